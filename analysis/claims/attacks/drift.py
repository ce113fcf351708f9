"""Attack on `drift`: random noise, the lemma's two-point noise, and pushes."""

import numpy as np

from analysis.claims.attacks import alignment_lemma
from analysis.claims.attacks.distributions import random_centred, two_points
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack, in units of G, over noise and pushes.

    An improvement makes the contaminated push weaker, and the noise smaller, by that
    fraction.
    """
    slacks = []
    for i in range(2000):
        strength, clean = rng.uniform(0, 1, 2)
        noise = random_centred(rng)
        gradient = noise.scale * rng.lognormal(0, 1)
        if i % 4 == 0:
            noise = two_points(gradient, noise.scale, 1e-12)
        of_clean = alignment_lemma.slack(noise, gradient, improvement)
        # E cos of a contaminated one over α
        push = rng.uniform(-1, 1) if i % 2 else -1.0
        of_contaminated = strength * (push + 1 - improvement)
        slacks.append(clean * of_clean + (1 - clean) * of_contaminated)
    return float(min(slacks))
