"""Attack on `sweet_spot`: the bias radius at other sizes."""

import numpy as np

from analysis.claims.bias_radius import claim as radius_claim
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative excess of the radius over its minimum, at 20 000 random sizes.

    What is compared is what the claim is about, the formula of bias_radius at different
    sizes; that formula itself is attacked by laws in bias_radius.
    """
    n = 20_000
    inputs = {
        "alignment": rng.uniform(0.01, 1, n),
        "dragger_fraction": rng.uniform(1e-4, 0.4, n),
        "noise_scale": np.ones(n),
    }
    optimum = claim.evaluate(**inputs)
    size = rng.uniform(0.01, 0.99, n) * optimum["breakdown"]
    possible = size >= 1
    at = {name: values[possible] for name, values in inputs.items()}
    radii = radius_claim.evaluate(micro_batch_size=size[possible], **at)["bias_radius"]
    least = optimum["bias_radius"][possible]
    return float(np.min(radii / least - 1 - improvement))
