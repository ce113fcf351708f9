"""Attack on `alignment_lemma`: random and searched noise, and its two-point witness."""

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    cosines,
    random_points,
    random_weights,
    shifted,
    smallest,
    three_points,
    two_points,
)
from analysis.proof.claim import Claim


def slack(noise: Distribution, gradient_norm: float, improvement: float = 0.0) -> float:
    """E cos minus the bound, for noise that is centred here.

    An improvement shortens the distance 1 - bound by that fraction.
    """
    z, probabilities = noise.centred
    second = probabilities @ (z**2).sum(1)
    cosine = probabilities @ cosines(shifted(z, gradient_norm))
    distance = (1 - improvement) * 2 * second / (gradient_norm**2 + second)
    return float(cosine - 1 + distance)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over random laws, witnesses and a search over three atoms."""
    slacks = []
    for _ in range(2000):
        points = random_points(rng)
        noise = Distribution(points, random_weights(rng, points))
        slacks.append(slack(noise, rng.lognormal(0, 1), improvement))
    for norm, scale in rng.lognormal(0, 1, (200, 2)):
        slacks.append(slack(two_points(norm, scale, 1e-12), norm, improvement))

    def objective(free: np.ndarray) -> float:
        return slack(three_points(free), 1.0, improvement)

    for _ in range(3):
        slacks.append(smallest(objective, rng.normal(size=9), iterations=1500))
    return float(min(slacks))
