"""Attack on `heavy_tails`: exact runs under noise whose moment ν alone is σ^ν."""

from typing import Any

import numpy as np

from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.exact_runs import (
    Batch,
    Loss,
    Run,
    normalized_run,
    random_loss,
)
from analysis.claims.attacks.heavy_drift import moment_scale, rare_and_far
from analysis.proof.claim import Claim


def _random_batch(rng: np.random.Generator) -> Batch:
    """Up to three samples, micro-batches and draggers below the breakdown."""
    noise = rare_and_far(rng)
    scale = float(rng.lognormal(0, 1)) / moment_scale(noise, 1.5)
    size = int(rng.integers(1, 4))
    scaled = rng.uniform(0.01, 0.95) ** 2 * np.log(2)
    law = Distribution(scale * noise.atoms[:, 0], noise.probabilities)
    count = int(rng.integers(1, 4))
    return Batch(-np.expm1(-scaled / size), 1.0, size, count, np.nan, law)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of 160 runs, every outcome enumerated, relative to the bound.

    Half of them begin where the bound allows the rule to rest. An improvement lowers
    the bound by that fraction.
    """
    slacks = []
    for i in range(160):
        batch = _random_batch(rng)
        order = float(rng.choice([2.0, 1.01, rng.uniform(1, 2)]))
        loss = random_loss(rng)
        start = loss.width * rng.uniform(0.05, 3)
        at = _inputs(batch, order) | {
            "smoothness": loss.smoothness,
            "horizon": int(rng.choice([1, 2, 5, 20, 60])),
        }
        if i % 2:
            loss = Loss("quadratic", loss.smoothness)
            radius = claim.evaluate(initial_gap=1.0, **at)["bias_radius"]
            start = float(radius) / loss.smoothness
        at["initial_gap"] = gap = float(loss.value(np.array(start)))
        bound = float(claim.evaluate(**at)["averaged_bound"])
        step = float(np.sqrt(2 * gap / (loss.smoothness * at["horizon"])))
        norms, _ = normalized_run(Run(loss, start, step, at["horizon"]), batch)
        slacks.append(1 - improvement - float(norms.mean()) / bound)
    return min(slacks)


def _inputs(batch: Batch, order: float) -> dict[str, Any]:
    """The batch's numbers, σ that of its noise's moment of this order."""
    assert batch.noise is not None
    atoms, probabilities = batch.noise
    sigma = moment_scale(Distribution(atoms[:, None], probabilities), order)
    return batch.inputs | {"noise_scale": sigma, "tail_exponent": order}
