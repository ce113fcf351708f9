"""Attack on `high_probability`: quantiles over every path of short runs."""

import numpy as np

from analysis.claims.attacks.exact_runs import (
    Run,
    every_path,
    normalized_outcomes,
    random_batch,
    random_loss,
)
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of the quantile 1 - q of a run's mean of G, relative to the bound.

    All paths of a run are enumerated; the split is random or the best. An improvement
    lowers the bound by that fraction.
    """
    slacks = []
    for i in range(200):
        loss = random_loss(rng)
        batch = random_batch(rng)
        start = loss.width * rng.uniform(0.05, 3)
        failure = rng.uniform(0, 1)
        horizon = int(rng.integers(1, 2 + 14 / np.log2(2 * batch.count + 1)))
        inputs = {
            "smoothness": loss.smoothness,
            "initial_gap": float(loss.value(np.array(start))),
            "horizon": horizon,
            "failure_probability": failure,
            "batch_size": batch.count * batch.size,
            **batch.inputs,
        }
        values = claim.evaluate(**inputs, split=rng.uniform(0.01, 0.99))
        if i % 2:
            values = claim.evaluate(**inputs, split=values["best_split"])
        run = Run(loss, start, float(values["step_size"]), horizon)
        probabilities, norms = every_path(run, normalized_outcomes(run, batch))
        reached = quantile(norms.mean(1), probabilities, 1 - failure)
        slacks.append(1 - improvement - float(reached / values["probable_bound"]))
    return min(slacks)


def quantile(values: np.ndarray, probabilities: np.ndarray, level: float) -> float:
    """The smallest of the values [n] that is not exceeded at this level."""
    order = np.argsort(values)
    index = int(np.searchsorted(np.cumsum(probabilities[order]), level))
    return float(values[order][min(index, len(values) - 1)])
