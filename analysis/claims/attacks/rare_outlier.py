"""Attack on `rare_outlier`: stationary points of the law closest to the limit."""

import numpy as np

from analysis.claims.attacks.rare_signal import (
    Interval,
    deviations,
    nearness,
    points_of_rest,
)
from analysis.proof.claim import Claim

CLOSE = 1 + 1e-9  # y over ell of the law that stands for the limit


def measured(size: int, clean: float, share: float = CLOSE) -> Interval:
    """The points of rest at σ = 1, from the distribution of the number of rare samples.

    `share` is y/ell: the law whose points of rest are counted.
    """
    usual = np.exp(-share * np.log(2 * clean) / size)
    usual_value = np.sqrt(1 / usual - 1)
    noise = deviations(size, usual, usual_value)
    return points_of_rest(noise, clean, 2 / usual_value)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """The closed form against the number of rare samples, enumerated."""
    return nearness(claim, rng, improvement, measured)
