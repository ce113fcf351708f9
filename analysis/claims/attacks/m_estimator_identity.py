"""Attack on `m_estimator_identity`: both sides at discrete distributions."""

from itertools import product

import numpy as np

from analysis.claims.attacks.distributions import Distribution
from analysis.proof.claim import Claim


def both_sides(gradient: Distribution, m: int) -> tuple[np.ndarray, np.ndarray]:
    """E of the update [d], by all outcomes of m micro-batches, and E[H(‖g‖)u] [d].

    `gradient` is the distribution of a micro-batch's mean gradient.
    """
    points, probabilities = gradient
    length = np.linalg.norm(points, axis=1)
    known = length[:, None] > 0
    unit = np.divide(points, length[:, None], out=np.zeros_like(points), where=known)
    direct = np.zeros(points.shape[1])
    for outcome in product(range(len(points)), repeat=m):
        drawn = list(outcome)
        weight = probabilities[drawn].prod()
        direct += weight * length[drawn].min() * unit[drawn].mean(0)
    order = np.argsort(length)
    beyond = 1 - np.cumsum(probabilities[order])  # S between one length and the next
    slope = np.concatenate([[1.0], np.maximum(beyond[:-1], 0) ** (m - 1)])
    score = np.empty(len(points))
    score[order] = np.cumsum(slope * np.diff(length[order], prepend=0.0))
    return direct, (probabilities * score) @ unit


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Minus the largest relative difference of the two sides, at 150 random laws."""
    worst = 0.0
    for _ in range(150):
        n = rng.integers(2, 5)
        d = rng.integers(1, 5)
        count = int(rng.integers(1, 6))
        points = rng.normal(size=(n, d)) * rng.lognormal(0, 1, size=(n, 1))
        gradient = Distribution(points, rng.dirichlet(np.ones(n)))
        direct, by_score = both_sides(gradient, count)
        difference = np.linalg.norm(direct - (1 + improvement) * by_score)
        worst = max(worst, float(difference / np.linalg.norm(points, axis=1).max()))
    return -worst
