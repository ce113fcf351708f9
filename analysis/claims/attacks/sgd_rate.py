"""Attack on `sgd_rate`: exact runs with the largest second moments allowed."""

import numpy as np

from analysis.claims.attacks.exact_runs import (
    Loss,
    Run,
    Samples,
    mean_square,
    random_loss,
    random_noise,
)
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over exact runs, relative to the bound.

    Short ones on any loss, all their paths enumerated, and long ones on quadratics. An
    improvement lowers the bound.
    """
    slacks = []
    for i in range(200):
        long = i % 4 == 0
        loss = random_loss(rng)
        sigma = rng.lognormal(0, 1)
        norm = rng.lognormal(1, 1)
        fraction = rng.uniform(0.01, 0.9)
        count = int(rng.integers(1, 3))
        samples = Samples(random_noise(rng, sigma), random_noise(rng, norm), fraction)
        start = loss.width * rng.uniform(0.05, 3)
        if long:
            loss = Loss("quadratic", loss.smoothness)
            count = int(rng.integers(1, 100))
            horizon = int(rng.choice([10, 100, 1000]))
        else:
            longest = 15 / count / np.log2(len(samples.factor))  # 2^15 paths
            horizon = int(rng.integers(1, 2 + longest))
        values = claim.evaluate(
            smoothness=loss.smoothness,
            initial_gap=float(loss.value(np.array(start))),
            horizon=horizon,
            batch_size=count,
            dragger_fraction=fraction,
            noise_scale=sigma,
            dragger_norm=norm,
        )
        run = Run(loss, start, float(values["learning_rate"]), horizon)
        square = mean_square(run, samples, count, by_moments=long)
        slacks.append(1 - improvement - float(square / values["squared_bound"]))
    return min(slacks)
