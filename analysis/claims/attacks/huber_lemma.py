"""Attack on `huber_lemma`: random and searched noise, and its two witnesses."""

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    random_points,
    random_weights,
    smallest,
    three_points,
)
from analysis.claims.huber_lemma import mean_pull_bound
from analysis.proof.claim import Claim


def pull_of(noise: Distribution, gradient_norm: float, threshold: float) -> float:
    """E⟨e, ψ(v)⟩/c for noise of vectors that is centred here."""
    v = noise.centred.atoms
    v[:, 0] += gradient_norm
    length = np.maximum(np.linalg.norm(v, axis=1), threshold)
    return float(noise.probabilities @ (v[:, 0] / length))


def slack(
    noise: Distribution,
    gradient_norm: float,
    threshold: float,
    improvement: float = 0.0,
) -> float:
    """E⟨e, ψ(v)⟩ minus the bound, over c, for noise that is centred here.

    An improvement makes the noise in the bound smaller by that fraction.
    """
    scale = (1 - improvement) * noise.centred.scale
    bound = mean_pull_bound(gradient_norm, threshold, scale)
    return pull_of(noise, gradient_norm, threshold) - bound / threshold


def witness(gradient_norm: float, threshold: float, noise: float) -> Distribution:
    """The two points on e that attain the bound."""
    r = np.hypot(gradient_norm - threshold, noise)
    low, high = threshold - r, threshold + r
    if r > 2 * threshold:
        low = -threshold
        high = gradient_norm + noise**2 / (gradient_norm + threshold)
    weights = np.array([high - gradient_norm, gradient_norm - low]) / (high - low)
    return Distribution(np.array([[low], [high]]), weights)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over random laws, both witnesses and a three-atom search."""
    slacks = []
    for _ in range(2000):
        points = random_points(rng)
        gradient, threshold = rng.lognormal(0, 1, 2)
        noise = Distribution(points, random_weights(rng, points))
        slacks.append(slack(noise, gradient, threshold, improvement))
    for _ in range(200):
        gradient, threshold, scale = rng.lognormal(0, 1, 3)
        noise = witness(gradient, threshold, scale)
        slacks.append(slack(noise, gradient, threshold, improvement))

    def objective(free: np.ndarray, threshold: float) -> float:
        return slack(three_points(free), 1.0, threshold, improvement)

    for threshold in (0.2, 1.0, 3.0):
        start = rng.normal(size=9)
        slacks.append(smallest(objective, start, (threshold,), iterations=1200))
    return float(min(slacks))
