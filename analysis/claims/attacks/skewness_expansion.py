"""Attack on `skewness_expansion`: gamma noise, whose bias is known exactly."""

import numpy as np

from analysis.proof.claim import Claim
from analysis.rest.gamma import median_bias


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest of 1/√b minus the relative error, for 500 gamma laws at three sizes.

    The exponential's next term makes an error of up to ℓ/(2√b), Edgeworth's of order
    1/b.
    """
    shape = rng.uniform(0.3, 5, 500)
    scaled = rng.uniform(0.1, 1, 500)
    slacks = []
    for size in (400, 2500, 10_000):
        rate = scaled * size**-1.5
        by_skewness = 2 / np.sqrt(shape) / (6 * size)
        by_draggers = np.sqrt(np.pi / 2) * rate * np.sqrt(size)
        expansion = (1 + improvement) * (by_skewness + by_draggers)
        error = np.abs(median_bias(shape, size, rate) / expansion - 1)
        slacks.append(float(np.min(1 / np.sqrt(size) - error)))
    return min(slacks)
