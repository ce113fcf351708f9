"""Attack on `tightness`: what the two families reach at any size and fraction."""

import numpy as np

from analysis.claims.attacks import rare_outlier, rare_signal
from analysis.proof.claim import Claim


def share_reached(size: int, scaled: float) -> float:
    """The larger bias next to the two limits, over the radius, at λb = scaled."""
    clean = np.exp(-scaled)
    ends = *rare_signal.measured(size, clean), *rare_outlier.measured(size, clean)
    return float(max(ends) * np.sqrt(size * (2 * clean - 1)))


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack, in units of the radius, over sizes up to 1000, then minimised."""
    from scipy import optimize  # slow to import, and only attacks need it

    share = float(claim.evaluate(b=1, epsilon=0.1, sigma=1)["share"])
    least = (1 + improvement) * share
    slacks = []
    for _ in range(200):
        size = int(np.exp(rng.uniform(0, np.log(1000))))
        slacks.append(share_reached(size, rng.uniform(0.005, 0.68)) - least)
    for size in (1, 2, 3, 10, 1000):
        best = optimize.minimize_scalar(
            lambda scaled, size=size: share_reached(size, scaled),
            bounds=(0.2, 0.5),
            method="bounded",
        )
        slacks.append(best.fun - least)
    return float(min(slacks))
