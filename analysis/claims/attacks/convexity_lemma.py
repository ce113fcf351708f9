"""Attack on `convexity_lemma`: random and searched noise, random concave scores."""

from collections.abc import Callable

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    cosines,
    random_points,
    random_weights,
    shifted,
    smallest,
    three_points,
)
from analysis.proof.claim import Claim

# From lengths r to H(r) and Π(r).
Score = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def random_score(rng: np.random.Generator) -> Score:
    """A concave score with H(0) = 0: a sum of clipped lengths."""
    corners = rng.lognormal(0, 1.5, rng.integers(1, 5))
    weights = rng.dirichlet(np.ones(len(corners))) / corners

    def score(length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cut = np.minimum(length[..., None], corners)
        return cut @ weights, (cut * (length[..., None] - cut / 2)) @ weights

    return score


def unit(length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The score of the normalized rule, H = 1."""
    return np.ones_like(length), length


def slack(
    noise: Distribution, gradient_norm: float, score: Score, improvement: float = 0.0
) -> float:
    """E⟨ψ, Ge⟩ minus the bound, over Π(G) + Π(s), for noise that is centred here.

    An improvement makes the noise in the bound smaller by that fraction.
    """
    centred = noise.centred
    scale = centred.scale * (1 - improvement)
    v = shifted(centred.atoms, gradient_norm)
    length = np.linalg.norm(v, axis=1)
    pull = centred.probabilities @ (score(length)[0] * cosines(v) * gradient_norm)
    at_mean, at_noise = score(np.array([gradient_norm, scale]))[1]
    return float((pull - at_mean + at_noise) / (at_mean + at_noise))


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over random laws and scores, H = 1 at its worst, and a search."""
    slacks = []
    for _ in range(2000):
        points = random_points(rng)
        noise = Distribution(points, random_weights(rng, points))
        gradient = rng.lognormal(0, 1)
        slacks.append(slack(noise, gradient, random_score(rng), improvement))
    for gradient in rng.lognormal(0, 1, 20):
        atoms = np.array([[-gradient * (1 + 1e-12)], [gradient]])
        noise = Distribution(atoms, np.array([0.5, 0.5]))
        slacks.append(slack(noise, gradient, unit, improvement))

    def objective(free: np.ndarray, score: Score) -> float:
        gradient = float(np.exp(free[9]))
        return slack(three_points(free), gradient, score, improvement)

    for score in (unit, random_score(rng), random_score(rng)):
        start = rng.normal(size=10)
        slacks.append(smallest(objective, start, (score,), iterations=1500))
    return float(min(slacks))
