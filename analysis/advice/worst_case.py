"""What the guarantees depend on, and how a mini-batch is best cut into micro-batches.

A mini-batch of B samples is cut into m = ⌈B/b⌉ micro-batches of b samples; the last one
has what is left, and each has the weight 1/m (`analysis.spec.rule.micro_batches`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.advice.closed_forms import Micro
from analysis.spec.checking import integer, real
from analysis.spec.limits import LARGEST_STEP
from analysis.spec.rule import micro_batches

Array = NDArray[np.float64]
Sizes = NDArray[np.int64]

SMALLEST_SCALE = 1e-100  # of the noise: its square must stay in the range of floats
LARGEST_SCALE = 1e100
INDIFFERENT = 1.02  # costs that differ by less than this factor count as equal


@dataclass(frozen=True)
class WorstCase:
    """All that is known of noise and draggers; guarantees hold for every such problem.

    `dragger_fraction` ε in [0, 1) and `alignment` α in [0, 1] are dimensionless;
    `noise_scale` σ, from 1e-100 to 1e100, is the standard deviation of a benign
    gradient over all coordinates; `dragger_norm` D >= 0, in the same unit, bounds E‖d‖
    of a dragger's gradient d, and is None where it is unknown. Raises
    SpecificationError for a value outside its domain.
    """

    dragger_fraction: float
    noise_scale: float = 1.0
    alignment: float = 1.0
    dragger_norm: float | None = None

    def __post_init__(self) -> None:
        real(0, 1, open_high=True)("dragger_fraction", self.dragger_fraction)
        real(SMALLEST_SCALE, LARGEST_SCALE)("noise_scale", self.noise_scale)
        real(0, 1)("alignment", self.alignment)
        if self.dragger_norm is not None:
            real(0)("dragger_norm", self.dragger_norm)

    @property
    def rate(self) -> float:
        """λ = -ln(1-ε): a micro-batch of b samples is clean with chance p = e^(-λb)."""
        return float(-np.log1p(-self.dragger_fraction))

    def micro(self, size: Any) -> Micro:
        """Micro-batches of that size, a number or an array of them."""
        return Micro(self.rate, self.alignment, self.noise_scale, size)

    @property
    def sgd_radius(self) -> float:
        """Plain SGD's largest bias for small steps, αεD/(1-ε): sgd_persistent_bias.

        Infinite where D is unknown and there are draggers that push back.
        """
        odds = self.dragger_fraction / (1 - self.dragger_fraction)
        if odds == 0 or self.alignment == 0:
            return 0.0
        return (
            np.inf
            if self.dragger_norm is None
            else self.alignment * odds * self.dragger_norm
        )


def even_sizes(batch_size: int) -> Sizes:
    """The candidate sizes [n], increasing: ⌈B/m⌉ for every number m of micro-batches.

    All divisors of B are among them, and n is about 2√B. For given m no other cut is as
    even: with one of these the radius of the normalized rule is as small as with the
    best of all sizes from 1 to B (measured: tests/analysis/advice/test_worst_case.py).
    """
    B = integer(1, LARGEST_STEP)("batch_size", batch_size)
    small = np.arange(1, math.isqrt(B) + 2)
    sizes = np.unique(np.concatenate([small, -(-B // small)]))
    return np.unique(-(-B // -(-B // sizes)))


def count(batch_size: int, sizes: Sizes) -> Sizes:
    """How many micro-batches there are, m = ⌈B/b⌉, for the sizes [n]."""
    return -(-batch_size // sizes)


def last(batch_size: int, sizes: Sizes) -> Sizes:
    """How many samples the last micro-batch has, for the sizes [n]."""
    return batch_size - (count(batch_size, sizes) - 1) * sizes


def cut_drift(
    case: WorstCase, batch_size: int, sizes: Sizes, gradient_norm: float
) -> Array:
    """The guaranteed pull of the normalized rule at gradient norm G, for each size [n].

    Micro-batch j pulls with h_{b_j}(G) at least (claim drift), whatever its size; the
    update is their mean, so the pull is (1/m) Σ_j h_{b_j}(G), in the unit of G. It is
    -αG where all micro-batches are contaminated.
    """
    G = gradient_norm
    square = G**2

    def pull(b: Sizes) -> Array:
        p, s2 = np.exp(-case.rate * b), case.noise_scale**2 / b
        return p * G * (square - s2) / (square + s2) - case.alignment * (1 - p) * G

    m = count(batch_size, sizes)
    return np.asarray(((m - 1) * pull(sizes) + pull(last(batch_size, sizes))) / m)


def cut_radius(case: WorstCase, batch_size: int, sizes: Sizes) -> Array:
    """The normalized rule's bias radius [n] for a mini-batch cut at these sizes [n].

    No stationary point lies beyond the root of Σ_j h_{b_j}(G) = 0, the sum of
    `cut_drift`. Divided by G each term rises with y = G², so there is one root at most;
    with m-1 micro-batches of b samples (p, s²) and one of what is left (p', s'²) it is
    that of

        (m-1) p (y-s²)/(y+s²) + p' (y-s'²)/(y+s'²) = α[(m-1)(1-p) + (1-p')],

    a quadratic equation in y. Where b divides B it is Bias(b) of the claim bias_radius.
    Infinite where there is no root: too many micro-batches hold a dragger.
    """
    m = count(batch_size, sizes) - 1
    remainder = last(batch_size, sizes)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # all weights in units of p', so that α = 0 has an answer however small p' is
        clean = m * np.exp(-case.rate * (sizes - remainder))
        dirty = -(m * np.expm1(-case.rate * sizes) + np.expm1(-case.rate * remainder))
        push = np.zeros(sizes.shape)
        if case.alignment > 0:
            push = case.alignment * dirty * np.exp(case.rate * remainder)
        s2 = 1 / sizes
        t2 = 1 / remainder
        square = clean + 1 - push
        linear = (clean - 1) * (t2 - s2) - push * (s2 + t2)
        constant = (clean + 1 + push) * s2 * t2
        root = np.sqrt(linear**2 + 4 * square * constant)
        y = np.where(
            linear > 0, 2 * constant / (linear + root), (root - linear) / (2 * square)
        )
        radius = np.where(square > 0, np.sqrt(np.where(square > 0, y, 0.0)), np.inf)
    return np.asarray(case.noise_scale * radius)


def cut_average(
    case: WorstCase, batch_size: int, sizes: Sizes, pace: float, *, order: float = 2.0
) -> Array:
    """The bound of averaged_guarantee [n] for a mini-batch cut at these sizes [n].

    The bound on the mean gradient norm of the normalized rule over a run; pace =
    √(2LΔ/T), in the unit of σ. A micro-batch of size b pulls with κG - ps at least
    (claim drift, 'linear bound'); the update is the mean over all of them, so κ and ps
    become their means. Infinite from the breakdown on. With an `order` ν below 2 it is
    the bound of heavy_tails, s = 2^((2-ν)/ν)σ/b^(1-1/ν); at pace 0 it is a radius.
    """
    scale = 2 ** ((2 - order) / order) * case.noise_scale

    def mean(value: Callable[[Array, Sizes], Array]) -> Array:
        m = count(batch_size, sizes)
        remainder = last(batch_size, sizes)
        whole, smaller = (value(np.exp(-case.rate * b), b) for b in (sizes, remainder))
        return np.asarray(((m - 1) * whole + smaller) / m)

    margin = mean(lambda p, b: p - case.alignment * (1 - p))
    noise = mean(lambda p, b: p * scale / b ** (1 - 1 / order))
    known = margin > 0
    with np.errstate(over="ignore"):  # next to the breakdown
        return np.where(known, (pace + noise) / np.where(known, margin, 1.0), np.inf)


def cheapest(
    batch_size: int,
    sizes: Sizes,
    least: Array,
    cost: Callable[[int], float] | None = None,
) -> int | None:
    """The best divisor of B within 2 % of the smallest cost, else the smallest size.

    `least` [n] bounds the costs of the sizes [n] from below and is their cost where
    `cost` is not given; cost(b) is computed no more often than necessary, and infinite
    for a size that is not allowed. The smallest size has the most micro-batches. None
    where every cost is infinite.
    """

    @cache
    def exact(i: int) -> float:
        return float(least[i]) if cost is None else cost(int(sizes[i]))

    order = [int(i) for i in np.argsort(least, kind="stable") if np.isfinite(least[i])]
    smallest = np.inf
    for i in order:
        if least[i] >= smallest:
            break
        smallest = min(smallest, exact(i))
    if smallest == np.inf:
        return None
    limit = smallest + (INDIFFERENT - 1) * abs(smallest)
    close = [i for i in order if least[i] <= limit]
    dividing = [i for i in close if batch_size % sizes[i] == 0 and exact(i) <= limit]
    if dividing:
        return int(sizes[min(dividing, key=exact)])
    return next(int(sizes[i]) for i in sorted(close) if exact(i) <= limit)


def described(batch_size: int, b: int) -> str:
    """The cut in words: "8 micro-batches of 29 samples and one of 25"."""
    (size, whole), *smaller = micro_batches(batch_size, b)
    samples = "sample" if size == 1 else "samples"
    text = f"{whole} micro-batch{'es' if whole > 1 else ''} of {size} {samples}"
    return text + "".join(f" and one of {size}" for size, _ in smaller)
