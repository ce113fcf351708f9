"""From batch means to the bias: extrapolation to zero step, intervals, best sizes.

The stationary mean of ∇f depends smoothly on the step size, so a polynomial through two
or three step sizes is evaluated at zero, component by component. The extrapolated
vectors y_1 … y_n are independent and identically distributed with mean μ and covariance
Σ; the bias is ‖μ‖.

The norm of a noisy mean is too large on average: E‖ȳ‖² = ‖μ‖² + tr Σ/n. Intervals and
comparisons therefore use q = ‖ȳ‖² - tr Σ/n, which is unbiased for ‖μ‖². Its variance is
along·‖μ‖² + across, with along = 4 u·Σu/n, u the direction of ȳ, and across = 2 tr
Σ²/n². Evaluated at the hypothetical ‖μ‖, or at ‖ȳ‖ where that is larger, it gives
intervals that cover the bias in every dimension and down to zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.algorithm import UNITS

Array = NDArray[np.float64]
CONFIDENCE = 0.99
LARGEST_SHIFT = 0.25  # relative to the bias, see Estimate.warning
ROUNDING = 1e-12  # relative to the largest batch mean: a smaller deviation is rounding
UNDERFLOW = 1e-36  # a coordinate that stays below it in single precision counts as zero
LONGEST_MEMORY = 0.5  # correlation of successive batch means, see Estimate.warning


@dataclass(frozen=True)
class SquaredBias:
    """The unbiased square q of a bias, and its variance along·‖μ‖² + across.

    `bias` is ‖ȳ‖, `squared` is q; `degrees` are the degrees of freedom of the variance.
    """

    bias: float
    squared: float
    along: float
    across: float
    degrees: int

    @property
    def standard_error(self) -> float:
        """Standard deviation of the component of ȳ along itself."""
        return float(np.sqrt(self.along) / 2)

    def error_at(self, bias: float) -> float:
        """Standard deviation of q if the true bias were `bias`, or ‖ȳ‖ if larger."""
        return float(np.sqrt(self.along * max(bias, self.bias) ** 2 + self.across))

    @property
    def interval(self) -> tuple[float, float]:
        """99 % confidence interval: the biases whose score is below the quantile."""
        z = quantile((1 + CONFIDENCE) / 2, self.degrees)
        low = self.squared - z * self.error_at(0.0)
        middle = self.squared + z**2 * self.along / 2
        root = middle**2 - self.squared**2 + z**2 * self.across
        high = max(
            middle + np.sqrt(max(root, 0.0)), self.squared + z * self.error_at(0.0)
        )
        return float(np.sqrt(max(low, 0.0))), float(np.sqrt(max(high, 0.0)))

    def excess(self, other: "SquaredBias") -> tuple[float, float, int]:
        """By how much this q exceeds another one, if the bias here is the smaller one.

        The difference, its standard deviation and the latter's degrees of freedom.
        """
        error = np.hypot(self.error_at(0.0), other.error_at(self.bias))
        degrees = min(self.degrees, other.degrees)
        return self.squared - other.squared, float(error), degrees


@dataclass(frozen=True)
class Estimate:
    """The bias at one micro-batch size; NaN throughout when the simulation diverged.

    mean [d] is the extrapolated mean gradient ȳ; squared = q; along and across give its
    variance; degrees = n - 1. `unrest` is the largest z-score between the halves of the
    recorded run, over coordinates and step sizes, `drift` that of the extrapolated
    vectors; `memory` is the correlation between successive batch means where these
    count as independent, else 0; `shift` is the distance from the mean at the smallest
    step to ȳ. `at_steps` are the norms of the mean gradient at each of the steps, which
    have not been extrapolated.
    """

    mean: tuple[float, ...]
    squared: float
    along: float
    across: float
    degrees: int
    unrest: float
    drift: float
    memory: float
    shift: float
    at_steps: tuple[SquaredBias, ...]

    @property
    def bias(self) -> float:
        """‖ȳ‖."""
        return float(np.linalg.norm(self.mean))

    @property
    def standard_error(self) -> float:
        """Standard deviation of the component of ȳ along itself."""
        return self.square.standard_error

    @property
    def square(self) -> SquaredBias:
        """The square of the bias, for comparisons."""
        return SquaredBias(
            self.bias, self.squared, self.along, self.across, self.degrees
        )

    def error_at(self, bias: float) -> float:
        """Standard deviation of q if the true bias were `bias`, or ‖ȳ‖ if larger."""
        return self.square.error_at(bias)

    def score(self, bias: float) -> float:
        """Standardised distance of q from the square of a hypothetical bias."""
        return (self.squared - bias**2) / self.error_at(bias)

    @property
    def interval(self) -> tuple[float, float]:
        """99 % confidence interval: the biases whose score is below the quantile."""
        return self.square.interval

    @property
    def problem(self) -> str | None:
        """Why the numbers are not a stationary bias, or None.

        For a stationary run with Gaussian means the probability of a problem is at most
        10⁻⁵.
        """
        if not np.isfinite(self.bias):
            return "diverged: try smaller run.steps"
        if not math.isfinite(self.unrest):
            return (
                "not stationary (the gradient is not zero, but does not fluctuate): "
                "raise run.steps, which are lost in rounding, or run.iterations"
            )
        if not self.unrest <= quantile(1 - 1e-5 / (6 * len(self.mean)), self.degrees):
            return (
                f"not stationary (z = {self.unrest:.1f} between the halves of the "
                "recorded run): raise run.iterations or run.burn_in; where draggers "
                "win it never becomes so"
            )
        return None

    @property
    def warning(self) -> str | None:
        """Why the interval may be unreliable, or None; rare for a stationary run.

        The interval covers statistical error only. There is a warning when the
        second-order terms in the step size, estimated from the first-order ones, could
        exceed it. Two step sizes cannot identify them: if the first-order terms are
        small or cancel, there is no warning, and only smaller steps show whether the
        result depends on them.
        """
        if not self.memory <= LONGEST_MEMORY:
            return (
                f"successive batch means are correlated ({self.memory:.2f}), so the "
                "interval is too narrow: raise run.iterations or run.steps (with "
                "opposing draggers there may also be stationary points at several "
                "distances)"
            )
        significant_shift = max(self.shift - 3 * self.standard_error, 0.0)
        negligible = significant_shift**2 <= self.bias * self.standard_error
        small = self.shift <= LARGEST_SHIFT * self.bias + 4 * self.standard_error
        if not (negligible and small):  # so written that NaN is a warning
            return (
                "extrapolation to zero step moves the mean gradient by "
                f"{self.shift:.3g}, so terms of higher order may matter: use smaller "
                "run.steps"
            )
        if not self.drift <= quantile(1 - 5e-4 / len(self.mean), self.degrees):
            return (
                f"perhaps not stationary (z = {self.drift:.1f} between the halves of "
                "the extrapolated run), so the interval may miss the bias: raise "
                "run.iterations or run.burn_in"
            )
        return None


def quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t."""
    from scipy import special  # slow to import, and trajectories do not need it

    return float(special.stdtrit(degrees, probability))


def extrapolation_weights(steps: Sequence[float]) -> Array:
    """Weights c_i: Σ c_i P(step_i) = P(0) for polynomials of degree < len(steps)."""
    h = np.array(steps)
    return np.array(
        [np.prod(np.delete(h, i) / (np.delete(h, i) - h[i])) for i in range(h.size)]
    )


def estimate(
    batch_means: Array, steps: Sequence[float], squared: bool = False
) -> Estimate:
    """Estimate from batch means of ∇f and ‖∇f‖² [steps, replicates, batches, d + 1].

    With at least 32 replicates each of them counts as one independent vector; with
    fewer, each replicate contributes several runs of successive batches. `squared`: the
    bias is the root of the mean of ‖∇f‖² at zero step, not the norm of the mean of ∇f.
    The two are the same where there is one stationary point; where the stationary
    points form a sphere, only the first is their distance from 0.
    """
    batch_means = batch_means[..., -1:] if squared else batch_means[..., :-1]
    unit = _unit(batch_means, squared)
    batch_means = batch_means / (unit**2 if squared else unit)
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.einsum("s,srbd->rbd", extrapolation_weights(steps), batch_means)
        moments = _Moments.of(_units(y))
        at_steps = tuple(_at_step(means, unit, squared) for means in batch_means)
    if not moments.finite:
        return _diverged(batch_means.shape[-1], moments.count - 1, at_steps)
    finest = batch_means[np.argmin(steps)].mean((0, 1))
    shift = float(np.linalg.norm(moments.mean - finest))
    if squared:
        moments = moments.root()
        shift = abs(moments.mean[0] - math.sqrt(max(finest[0], 0.0)))
    zero = UNDERFLOW / (unit**2 if squared else unit)
    several_runs = moments.count > len(y) or squared
    square = moments.in_units_of(unit)
    return Estimate(
        mean=tuple(float(x) for x in unit * moments.mean),
        squared=square.squared,
        along=square.along,
        across=square.across,
        degrees=square.degrees,
        unrest=max(_unrest(means, zero) for means in batch_means),
        drift=_unrest(y, zero),
        memory=max(map(_memory, batch_means)) if several_runs else 0.0,
        shift=unit * shift,
        at_steps=at_steps,
    )


def _at_step(batch_means: Array, unit: float, squared: bool) -> SquaredBias:
    """The norm of the mean at one step, in units of `unit`; NaN where it diverged."""
    moments = _Moments.of(_units(batch_means))
    if not moments.finite:
        nan = float("nan")
        return SquaredBias(nan, nan, nan, nan, moments.count - 1)
    return (moments.root() if squared else moments).in_units_of(unit)


def _diverged(d: int, degrees: int, at_steps: tuple[SquaredBias, ...]) -> Estimate:
    nan = float("nan")
    return Estimate((nan,) * d, nan, nan, nan, degrees, nan, nan, nan, nan, at_steps)


@dataclass(frozen=True)
class _Moments:
    """Of independent vectors y_1 … y_n: mean ȳ [d], q, u·Σu, 2 tr Σ²/n², tr Σ and n."""

    mean: Array
    squared: float
    along: float
    across: float
    trace: float
    count: int

    @classmethod
    def of(cls, vectors: Array) -> "_Moments":
        """The moments of vectors [n, d]."""
        n, d = vectors.shape
        mean = vectors.mean(0)
        centred = vectors - mean
        gram = (centred @ centred.T if n <= d else centred.T @ centred) / (n - 1)
        trace = np.trace(gram)
        length = np.linalg.norm(mean)
        along = trace / d
        if length > 0:
            along = ((centred @ mean) ** 2).sum() / (n - 1) / length**2
        across = 2 * _trace_of_square(gram, trace, n, d) / n**2
        return cls(mean, mean @ mean - trace / n, along, across, trace, n)

    @property
    def finite(self) -> bool:
        """Whether all of them are numbers."""
        moments = [*self.mean, self.squared, self.along, self.across]
        return bool(np.isfinite(moments).all())

    def in_units_of(self, unit: float) -> SquaredBias:
        """The square of ‖ȳ‖ once the vectors have been multiplied by `unit`."""
        return SquaredBias(
            bias=float(unit * np.linalg.norm(self.mean)),
            squared=float(unit**2 * self.squared),
            along=float(unit**2 * 4 * self.along / self.count),
            across=float(unit**4 * self.across),
            degrees=self.count - 1,
        )

    def root(self) -> "_Moments":
        """Moments of the root of the mean, where the vectors are squares [n, 1]."""
        square = self.mean[0]
        bias = math.sqrt(max(square, 0.0))
        along = self.trace / bias**2 / 4 if bias > 0 else 0.0
        across = 0.0 if bias > 0 else self.trace / self.count
        return _Moments(np.array([bias]), square, along, across, self.trace, self.count)


def _unit(batch_means: Array, squared: bool) -> float:
    """A unit of gradients, at most 1, in which small squares do not underflow.

    It is a power of two, so that nothing is rounded.
    """
    largest = float(np.abs(batch_means).max())
    if not 0 < largest < 1:
        return 1.0
    exponent = math.frexp(largest)[1]
    return math.ldexp(1.0, exponent // 2 if squared else exponent)


def _units(y: Array) -> Array:
    """Independent vectors [n, d] from batch means [replicates, batches, d]."""
    replicates, batches, d = y.shape
    runs = 1 if replicates >= UNITS else math.ceil(UNITS / replicates)
    runs = min(runs, batches)
    while batches % runs:
        runs += 1
    return y.reshape(replicates * runs, batches // runs, d).mean(1)


def _unrest(means: Array, zero: float) -> float:
    """Largest z-score between the halves of a run [replicates, batches, d].

    Infinite or NaN where there is no score: some coordinate does not fluctuate, and is
    neither zero nor below `zero`. Its steps are lost in rounding.
    """
    half = means.shape[1] // 2
    early = means[:, :half]
    late = means[:, half:]
    if len(means) >= UNITS:  # each replicate is compared with itself
        differences = late.mean(1) - early.mean(1)
        difference = differences.mean(0)
        error = differences.std(0, ddof=1) / math.sqrt(len(means))
    else:
        halves = [part.reshape(-1, means.shape[-1]) for part in (early, late)]
        difference = halves[1].mean(0) - halves[0].mean(0)
        error = np.sqrt(sum(part.var(0, ddof=1) / len(part) for part in halves))
    largest = np.abs(means).max()
    constant = error <= ROUNDING * largest
    nonzero = np.abs(means).max((0, 1)) > max(zero, ROUNDING * largest)
    scores = np.where(nonzero, math.inf, 0.0)
    return float(
        np.divide(np.abs(difference), error, out=scores, where=~constant).max()
    )


def _memory(means: Array) -> float:
    """Correlation between successive batch means, over replicates and coordinates."""
    deviation = means - means.mean((0, 1))
    total = (deviation**2).sum() * (1 - 1 / means.shape[1])
    return (
        float((deviation[:, 1:] * deviation[:, :-1]).sum() / total)
        if total > 0
        else 0.0
    )


def _trace_of_square(covariance: Array, trace: Any, n: int, d: int) -> Any:
    """Unbiased tr Σ² by Bai and Saranadasa (1996), at least (tr Σ)²/d."""
    raw = (covariance**2).sum()
    unbiased = (n - 1) ** 2 / ((n + 1) * (n - 2)) * (raw - trace**2 / (n - 1))
    return np.maximum(unbiased, trace**2 / d)


def confidence_set(estimates: dict[int, Estimate]) -> list[int]:
    """The sizes that may have the smallest bias; the best is one with probability 99 %.

    A size is left out when the q of another is smaller by more than the one-sided
    quantile, its level divided by the number of comparisons (Bonferroni), or when it
    has a problem.
    """
    known = {
        b: estimate for b, estimate in estimates.items() if estimate.problem is None
    }

    def worse(estimate: Estimate, rival: Estimate) -> bool:
        difference, error, degrees = estimate.square.excess(rival.square)
        level = 1 - (1 - CONFIDENCE) / (len(known) - 1)
        return difference > quantile(level, degrees) * error

    def beaten(b: int) -> bool:
        return any(worse(known[b], rival) for c, rival in known.items() if c != b)

    return [b for b in known if not beaten(b)]
