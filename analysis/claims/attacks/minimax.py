"""Attack on `minimax`: clipped rules in the two worlds that look the same."""

from collections.abc import Callable

import numpy as np

from analysis.proof.claim import Claim

Score = Callable[[np.ndarray], np.ndarray]


def slack(
    score: Score, fraction: float, scale: float, improvement: float = 0.0
) -> float:
    """Largest error minus the bound, for the rule that rests where the mean score is 0.

    `score` is a non-decreasing function of gradients [n]. Both worlds are built atom by
    atom, the rule is run in each, and the error is the distance from that world's
    benign mean; minus infinity if a world breaks an assumption.
    """
    deviation = fraction / (1 - fraction)
    size = scale / np.sqrt(deviation * (1 - deviation))
    atoms = np.array([-size, 0.0, size])
    errors = []
    for side in (1, -1):
        benign = np.array([0.0, 1 - deviation, deviation])[::side]
        draggers = np.array([1.0, 0.0, 0.0])[::side]
        seen = (1 - fraction) * benign + fraction * draggers
        mean = benign @ atoms
        if benign @ atoms**2 - mean**2 > scale**2 * (1 + 1e-9):
            return -np.inf
        errors.append(abs(_stationary_point(score, atoms, seen) - mean))
    bound = scale * float(np.sqrt(fraction / (1 - 2 * fraction)))
    return float(max(errors)) - (1 + improvement) * bound


def _stationary_point(score: Score, atoms: np.ndarray, weights: np.ndarray) -> float:
    """The middle of the points where the mean score changes sign, among the atoms."""
    ends = []
    for sign in (1, -1):
        low, high = atoms[0], atoms[-1]
        for _ in range(100):
            middle = (low + high) / 2
            mean = weights @ score(atoms - middle)
            rises = mean > 0 if sign > 0 else mean >= 0
            low, high = (middle, high) if rises else (low, middle)
        ends.append(low)
    return float(sum(ends) / 2)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of 200 clipped rules, each side with a threshold of its own."""
    slacks = []
    for _ in range(200):
        symmetric = rng.random() >= 0.8
        left, right = [rng.lognormal()] * 2 if symmetric else rng.lognormal(0, 1, 2)

        def score(
            g: np.ndarray, left: float = left, right: float = right
        ) -> np.ndarray:
            return np.clip(g, -left, right)

        slacks.append(slack(score, rng.uniform(0.01, 0.45), 1.0, improvement))
    return min(slacks)
