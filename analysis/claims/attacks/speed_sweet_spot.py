"""Attack on `speed_sweet_spot`: norms with two values, whose means are binomial."""

import numpy as np

from analysis.proof.claim import Claim

LARGEST = 40


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative excess over the log-linear middle, and over the guarantee.

    1000 distributions at all sizes to 40: nearly equal norms, rare long ones and rare
    short ones. Neither Laplace transforms nor a series are used.
    """
    n = 1000
    rare = np.exp(rng.uniform(np.log(1e-6), np.log(0.5), n))
    ratio = np.exp(rng.choice([0.01, 1.0, 5.0], n) * rng.normal(size=n) * 2)
    fraction = np.exp(rng.uniform(np.log(1e-6), np.log(0.3), n))
    mean = rare * ratio + 1 - rare
    large, small = ratio / mean, 1 / mean
    kurtosis = rare * large**2 + (1 - rare) * small**2
    sizes = np.arange(1, LARGEST + 1)
    log_f = np.array(
        [
            2 * b * np.log1p(-fraction)
            + 2 * np.log(_root_mean_square(b, rare, large, small))
            for b in range(1, LARGEST + 1)
        ]
    )
    middle = [
        log_f[b - 1] - (log_f[b - 1 - k] + log_f[b - 1 + k]) / 2
        for b in range(2, LARGEST)
        for k in range(1, min(b, LARGEST - b + 1))
    ]
    guaranteed = claim.evaluate(
        micro_batch_size=sizes[:, None],
        dragger_fraction=fraction,
        kurtosis=np.maximum(kurtosis, 1.0),
    )["guaranteed_relative_efficiency"]
    possible = guaranteed > 0
    excess = np.exp(log_f[possible]) / guaranteed[possible] - 1
    return float(min(np.min(np.expm1(middle)), excess.min()) - improvement)


def _root_mean_square(
    b: int, rare: np.ndarray, large: np.ndarray, small: np.ndarray
) -> np.ndarray:
    """E √(mean of b squared norms) [n]: `large` with probability `rare`."""
    count = np.arange(b + 1)[:, None]
    choose = np.cumprod([1.0, *((b - k) / (k + 1) for k in range(b))])[:, None]
    probability = choose * rare**count * (1 - rare) ** (b - count)
    roots = np.sqrt((count * large + (b - count) * small) / b)
    return np.asarray((probability * roots).sum(0))
