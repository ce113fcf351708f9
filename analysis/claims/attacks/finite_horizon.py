"""Attack on `finite_horizon`: the averaged guarantee at other sizes."""

import numpy as np

from analysis.claims.averaged_guarantee import claim as averaged_claim
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative excess of the averaged guarantee over its minimum.

    20 000 problems, a third of the sizes close to the best one. What is compared is
    what the claim is about, the formula of averaged_guarantee at different sizes; that
    guarantee itself is attacked by runs in averaged_guarantee.
    """
    n = 20_000
    inputs = {
        "alignment": rng.uniform(0.01, 1, n),
        "dragger_fraction": rng.uniform(1e-4, 0.4, n),
        "noise_scale": rng.lognormal(0, 1, n),
        "smoothness": rng.lognormal(0, 1, n),
        "initial_gap": rng.lognormal(0, 2, n),
        "horizon": 10 ** rng.uniform(0, 6, n),
    }
    optimum = claim.evaluate(**inputs)
    rate = -np.log1p(-inputs["dragger_fraction"])
    breakdown = np.log1p(1 / inputs["alignment"]) / rate
    near = optimum["micro_batch_size"] * rng.uniform(0.9, 1.1, n)
    near = np.clip(near, 1, 0.99 * breakdown)
    is_near = rng.random(n) < 1 / 3
    size = np.where(is_near, near, rng.uniform(0.01, 0.99, n) * breakdown)
    possible = size >= 1
    at = {name: values[possible] for name, values in inputs.items()}
    bounds = averaged_claim.evaluate(micro_batch_size=size[possible], **at)
    least = optimum["averaged_bound"][possible]
    return float(np.min(bounds["averaged_bound"] / least - 1 - improvement))
