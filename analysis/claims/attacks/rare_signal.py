"""Attack on `rare_signal`: stationary points of the law closest to the limit."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from analysis.claims.attacks.distributions import Distribution
from analysis.proof.claim import Claim

CLOSE = 1 - 1e-9  # y over ell of the law that stands for the limit


class Interval(NamedTuple):
    """The smallest and the largest stationary point."""

    low: float
    high: float


def points_of_rest(noise: Distribution, clean: float, high: float) -> Interval:
    """The ends of the G in [0, high] at which the pull vanishes or turns from - to +.

    A clean micro-batch has this noise, numbers [n]; contaminated ones point straight
    back. A pull within 1e-12 of zero counts as zero: that is its rounding error.
    """
    ends = []
    for zero in (-1e-12, 1e-12):
        low = 0.0
        top = high
        for _ in range(80):
            middle = (low + top) / 2
            mean_sign = noise.probabilities @ np.sign(middle + noise.atoms)
            pull = clean * mean_sign - (1 - clean)
            low, top = (low, middle) if pull > zero else (middle, top)
        ends.append(low)
    return Interval(*ends)


def deviations(size: int, usual: float, value: float) -> Distribution:
    """Mean of `size` samples, each `value` with this probability, else balancing it."""
    count = np.arange(size + 1)  # rare samples
    log_probabilities = (
        special.gammaln(size + 1)
        - special.gammaln(count + 1)
        - special.gammaln(size - count + 1)
        + special.xlog1py(count, -usual)
        + special.xlogy(size - count, usual)
    )
    rare = -value * usual / (1 - usual)
    mean = value + count * (rare - value) / size
    return Distribution(mean, np.exp(log_probabilities))


def measured(size: int, clean: float, share: float = CLOSE) -> Interval:
    """The points of rest at σ = 1, from the distribution of the number of rare samples.

    `share` is y/ell: the law whose points of rest are counted.
    """
    usual = np.exp(-share * np.log1p(1 / (2 * clean - 1)) / size)
    usual_value = np.sqrt(1 / usual - 1)
    noise = deviations(size, usual, -usual_value)
    return points_of_rest(noise, clean, 10 * usual_value)


def nearness(
    claim: Claim,
    rng: np.random.Generator,
    improvement: float,
    measured: Callable[[int, float], Interval],
) -> float:
    """Largest relative distance, negative, of both ends of the points from the limit.

    300 cases, each by the law that is closest to the limit; what that law is away from
    it by continuity, 1e-8, does not count.
    """
    slacks = []
    for _ in range(300):
        size = int(np.exp(rng.uniform(0, np.log(300))))
        scaled = rng.uniform(0.005, 0.68)
        values = claim.evaluate(b=size, epsilon=-np.expm1(-scaled / size), sigma=1.0)
        ends = np.array(measured(size, np.exp(-scaled)))
        distance = np.abs(ends / values["limiting_bias"] - 1 - improvement).max()
        slacks.append(min(0.0, 1e-8 - distance))
    return float(min(slacks))


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """The closed form against the number of rare samples, enumerated."""
    return nearness(claim, rng, improvement, measured)
