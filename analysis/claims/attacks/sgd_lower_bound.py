"""Attack on `sgd_lower_bound`: exact second moments on the quadratic, at every step."""

import numpy as np

from analysis.claims.attacks.exact_runs import Array
from analysis.proof.claim import Claim

STEPS = 200  # between a tiny fraction of 1/L and 1/L


def mean_squares(problem: dict[str, float], steps: Array) -> Array:
    """The mean of E G_t² over t = 0, …, T-1 on f = Lw²/2, for step sizes η [n].

    E w_{t+1}² = E(1 - ηLν)² E w_t² + η²V, ν the share of benign samples, summed in
    closed form; V and the variance of ν are those of B independent samples.
    """
    L, T = problem["smoothness"], problem["horizon"]
    B, eps = problem["batch_size"], problem["dragger_fraction"]
    benign = (1 - eps) * problem["noise_scale"] ** 2
    noise = steps**2 * (benign + eps * problem["dragger_norm"] ** 2) / B
    lost = steps * L * (1 - eps)
    shrinking = lost * (2 - lost) - (steps * L) ** 2 * eps * (1 - eps) / B
    level = noise / shrinking
    start = 2 * problem["initial_gap"] / L
    gone = -np.expm1(T * np.log1p(-shrinking)) / shrinking / T
    return np.asarray(L**2 * (level + (start - level) * gone))


def random_problem(rng: np.random.Generator) -> dict[str, float]:
    """Scales of all sizes; every second horizon is long enough for the limit."""
    horizon = (
        10 ** rng.uniform(0, 6) if rng.random() < 0.5 else 10 ** rng.uniform(8, 14)
    )
    return {
        "smoothness": float(rng.lognormal(0, 2)),
        "initial_gap": float(rng.lognormal(0, 2)),
        "horizon": float(np.ceil(horizon)),
        "batch_size": float(rng.integers(1, 1000)),
        "dragger_fraction": float(rng.uniform(1e-4, 0.9)),
        "noise_scale": float(rng.lognormal(0, 1)),
        "dragger_norm": float(rng.lognormal(1, 2)),
    }


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest excess over the bound, relative to it: 500 problems, all steps to 1/L.

    An improvement raises the bound.
    """
    problems = [random_problem(rng) for _ in range(500)]
    together = {name: [p[name] for p in problems] for name in problems[0]}
    bounds = claim.evaluate(**together)["squared_bound"]
    slacks = []
    for problem, bound in zip(problems, bounds, strict=True):
        longest = 1 / problem["smoothness"]
        steps = longest * np.geomspace(1e-3 / problem["horizon"], 1, STEPS)
        squares = mean_squares(problem, steps)
        slacks.append(float(squares.min() / bound) - 1 - improvement)
    return min(slacks)
