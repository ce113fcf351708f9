"""From batch means to the bias: extrapolation to zero step, intervals, the set of best sizes.

The stationary mean of Λw depends smoothly on the step size, so a polynomial through two or three
step sizes is evaluated at zero, component by component. The extrapolated vectors are independent
copies y_1 … y_n of one law with mean μ and covariance Σ; the bias is ‖μ‖.

The norm of a noisy mean is too large on average: E‖ȳ‖² = ‖μ‖² + tr Σ/n. Intervals and comparisons
therefore use q = ‖ȳ‖² - tr Σ/n, which is unbiased for ‖μ‖², with variance
4 μ·Σμ/n + 2 tr Σ²/n²; they stay valid in high dimension and where the bias is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.model import MINIMUM_BATCH_MEANS

Array = NDArray[np.float64]
CONFIDENCE = 0.99


@dataclass(frozen=True)
class Estimate:
    """The bias at one micro-batch size; NaN throughout when the simulation diverged.

    mean [d] is the extrapolated mean gradient ȳ; bias = ‖ȳ‖; `squared` = q and its standard error;
    `degrees` = n - 1; `unrest` is the largest z-score between the halves of the recorded run.
    """

    mean: tuple[float, ...]
    bias: float
    standard_error: float
    squared: float
    squared_error: float
    degrees: int
    unrest: float

    @property
    def interval(self) -> tuple[float, float]:
        """99 % confidence interval for the bias, from the one for its square."""
        reach = quantile((1 + CONFIDENCE) / 2, self.degrees) * self.squared_error
        low, high = self.squared - reach, self.squared + reach
        return float(np.sqrt(max(low, 0.0))), float(np.sqrt(max(high, 0.0)))

    @property
    def at_rest(self) -> bool:
        """Whether the halves agree: false alarms in one run in 10⁶ for Gaussian means."""
        return not self.unrest > np.sqrt(2 * np.log(2e6 * len(self.mean)))

    def score(self, bias: float) -> float:
        """Standardised distance of q from the square of a hypothetical bias."""
        return (self.squared - bias**2) / self.squared_error


def quantile(chance: float, degrees: int) -> float:
    """Quantile of Student's t."""
    return float(special.stdtrit(degrees, chance))


def extrapolation_weights(steps: Sequence[float]) -> Array:
    """Weights c_i with Σ c_i P(step_i) = P(0) for every polynomial of degree < len(steps)."""
    h = np.array(steps)
    return np.array([np.prod(np.delete(h, i) / (np.delete(h, i) - h[i])) for i in range(h.size)])


def estimate(batch_means: Array, steps: Sequence[float]) -> Estimate:
    """Estimate from batch means of Λw [steps, replicates, batches, d].

    With at least 32 replicates each of them counts as one batch, otherwise every batch mean does.
    """
    weights = extrapolation_weights(steps)
    y = np.einsum("s,srbd->rbd", weights, batch_means)
    half = y.shape[1] // 2
    early, late = (_units(part) for part in (y[:, :half], y[:, half:]))
    difference = late.mean(0) - early.mean(0)
    spread = np.sqrt(early.var(0, ddof=1) / len(early) + late.var(0, ddof=1) / len(late))
    moving = np.divide(np.abs(difference), spread, out=np.zeros_like(spread), where=spread > 0)

    units = _units(y)
    n = len(units)
    mean = units.mean(0)
    centred = units - mean
    gram = centred @ centred.T if n <= units.shape[1] else centred.T @ centred
    trace = float(np.trace(gram)) / (n - 1)
    along = float(((centred @ mean) ** 2).sum()) / (n - 1)
    squared = float(mean @ mean) - trace / n
    variance = (4 * along + 2 * _trace_of_square(gram / (n - 1), trace, n, mean.size) / n) / n
    bias = float(np.linalg.norm(mean))
    error = np.sqrt(along / n) / bias if bias > 0 else np.sqrt(trace / n)
    finite = bool(np.isfinite(units).all())
    return Estimate(
        mean=tuple(float(x) for x in mean),
        bias=bias if finite else np.nan,
        standard_error=float(error) if finite else np.nan,
        squared=squared if finite else np.nan,
        squared_error=float(np.sqrt(variance)) if finite else np.nan,
        degrees=n - 1,
        unrest=float(moving.max()) if finite else np.nan,
    )


def _units(y: Array) -> Array:
    """Independent vectors [n, d]: means over the batches of a replicate, or the batches."""
    return y.mean(1) if y.shape[0] >= MINIMUM_BATCH_MEANS else y.reshape(-1, y.shape[-1])


def _trace_of_square(covariance: Array, trace: float, n: int, d: int) -> float:
    """Unbiased tr Σ² from the sample covariance (Bai and Saranadasa 1996), at least (tr Σ)²/d."""
    raw = float((covariance**2).sum())
    unbiased = (n - 1) ** 2 / ((n + 1) * (n - 2)) * (raw - trace**2 / (n - 1))
    return max(unbiased, trace**2 / d)


def confidence_set(estimates: dict[int, Estimate]) -> list[int]:
    """The sizes that may have the smallest bias: all contain the true one with chance >= 99 %.

    A size is dropped when another one's q is smaller by more than the one-sided quantile, its
    level divided by the number of comparisons (Bonferroni). Sizes that diverged are left out.
    """
    known = {b: e for b, e in estimates.items() if np.isfinite(e.bias)}
    kept = []
    for b, e in known.items():
        others = [other for c, other in known.items() if c != b]
        level = 1 - (1 - CONFIDENCE) / max(1, len(others))
        best = True
        for other in others:
            reach = quantile(level, min(e.degrees, other.degrees))
            error = np.hypot(e.squared_error, other.squared_error)
            best = best and e.squared - other.squared <= reach * error
        if best:
            kept.append(b)
    return kept
