"""Attack on `threshold_size`: the radius of optimal_threshold at other sizes."""

import numpy as np

from analysis.claims.optimal_threshold import claim as threshold_claim
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative excess over the radius of single samples, at 20 000 sizes.

    What is compared is what the claim is about, the formula of optimal_threshold at
    different sizes; that formula itself is attacked by laws in optimal_threshold.
    """
    strength = rng.uniform(0.01, 1, 20_000)
    fraction = rng.uniform(1e-4, 0.4, 20_000)
    breakdown = np.log1p(1 / strength) / -np.log1p(-fraction)
    possible = breakdown > 1
    largest = breakdown[possible]
    sizes = 1 + (largest - 1) * rng.uniform(0, 0.99, len(largest)) ** 2
    at = {
        "alignment": strength[possible],
        "dragger_fraction": fraction[possible],
        "noise_scale": 1.0,
    }
    radii = threshold_claim.evaluate(micro_batch_size=sizes, **at)["bias_radius"]
    single = threshold_claim.evaluate(micro_batch_size=1, **at)["bias_radius"]
    return float(np.min(radii / single - 1 - improvement))
