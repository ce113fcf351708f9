"""Attack on `kurtosis_size`: the zero of the slope, by quadrature and bisection."""

import numpy as np

from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative distance of the best size from its two bounds, in 300 cases."""
    n = 300
    fraction = np.exp(rng.uniform(np.log(1e-9), np.log(0.5), n))
    kurtosis = 1 + np.exp(rng.uniform(np.log(0.01), np.log(1000), n))
    bounds = claim.evaluate(dragger_fraction=fraction, kurtosis=kurtosis)
    spread = (kurtosis - 1) / 2
    best = spread * _degrees(-np.log1p(-fraction) * spread)
    below = bounds["smallest_best_size"]
    known = np.isfinite(below)  # where the lower bound says something
    slacks = (
        bounds["largest_best_size"] / best - 1,
        best[known] / below[known] - 1,
    )
    return float(min(slack.min() for slack in slacks) - improvement)


def _degrees(rate: np.ndarray) -> np.ndarray:
    """The degrees of freedom n at which ∫_0^∞ e^{-nt} tanh(t/2) dt is 2 rate."""
    spacing = 0.1
    t = np.exp(np.arange(-45, 11, spacing))[:, None]
    low, high = np.full_like(rate, 1e-3), np.full_like(rate, 1e6)
    for _ in range(80):
        n = np.sqrt(low * high)
        slope = spacing * (t * np.exp(-n * t) * np.tanh(t / 2)).sum(0)
        low, high = (
            np.where(slope > 2 * rate, n, low),
            np.where(slope > 2 * rate, high, n),
        )
    return np.asarray(np.sqrt(low * high))
