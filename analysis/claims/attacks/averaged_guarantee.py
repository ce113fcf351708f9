"""Attack on `averaged_guarantee`: exact runs, short and from where the rule rests."""

import numpy as np

from analysis.claims.attacks.exact_runs import (
    Batch,
    Loss,
    Run,
    normalized_run,
    random_batch,
    random_loss,
)
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over exact runs, relative to the bound.

    300 random runs, then the long run of a single sample with almost no draggers that
    starts where the worst noise lets it rest, and stays within 300 steps of there. An
    improvement lowers the bound by that fraction.
    """

    def slack(
        loss: Loss,
        batch: Batch,
        start: float,
        *,
        horizon: int,
        reach: int | None = None,
    ) -> float:
        values = claim.evaluate(
            smoothness=loss.smoothness,
            initial_gap=float(loss.value(np.array(start))),
            horizon=horizon,
            **batch.inputs,
        )
        run = Run(loss, start, float(values["step_size"]), horizon)
        norms, _ = normalized_run(run, batch, reach)
        return 1 - improvement - float(norms.mean() / values["averaged_bound"])

    slacks = []
    for _ in range(300):
        loss = random_loss(rng)
        batch = random_batch(rng)
        start = loss.width * rng.uniform(0.05, 3)
        horizon = int(rng.choice([1, 2, 5, 20, 60]))
        slacks.append(slack(loss, batch, start, horizon=horizon))
    quadratic = Loss("quadratic", 1.0)
    for alignment in (0.1, 1.0):
        batch = Batch(1e-6, alignment, 1, 1, 1.0)
        slacks.append(slack(quadratic, batch, 1.0, horizon=20_000, reach=300))
    return min(slacks)
