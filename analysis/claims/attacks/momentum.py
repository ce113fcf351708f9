"""Attack on `momentum`: short runs along every path, and long sampled ones."""

import numpy as np

from analysis.claims.attacks.exact_runs import (
    Array,
    Batch,
    Loss,
    Run,
    random_batch,
    random_loss,
)
from analysis.proof.claim import Claim

PATHS = 2**11  # at most, in an exact run
REPLICATES = 400  # of a long run, whose mean norm has a standard error of about 1 %


def exact_norms(run: Run, batch: Batch, momentum: float) -> Array:
    """Mean of ‖∇f(w_t)‖ for t = 0, …, horizon - 1, over every outcome of every step."""
    w = np.array([run.start])
    running = np.zeros(1)
    probability = np.ones(1)
    norms = np.zeros(run.horizon)
    for t in range(run.horizon):
        slope = run.loss.slope(w)
        norms[t] = probability @ np.abs(slope)
        chances = batch.mean_direction(slope)
        directions = np.linspace(-1, 1, chances.shape[1])
        probability = (probability[:, None] * chances).ravel()
        after = momentum * running[:, None] + (1 - momentum) * directions
        w = (w[:, None] - run.step * after).ravel()
        running = after.ravel()
        possible = probability > 0
        w, running, probability = w[possible], running[possible], probability[possible]
    return norms


def sampled_norms(
    run: Run, batch: Batch, momentum: float, rng: np.random.Generator
) -> Array:
    """The same for a long run, estimated from independent runs."""
    w = np.full(REPLICATES, run.start)
    running = np.zeros(REPLICATES)
    norms = np.zeros(run.horizon)
    for t in range(run.horizon):
        slope = run.loss.slope(w)
        norms[t] = np.abs(slope).mean()
        chances = batch.mean_direction(slope)
        drawn = (rng.random((REPLICATES, 1)) > np.cumsum(chances[:, :-1], 1)).sum(1)
        direction = 2 * drawn / (chances.shape[1] - 1) - 1
        running = momentum * running + (1 - momentum) * direction
        w = w - run.step * running
    return norms


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of 150 exact runs and 3 sampled ones, relative to the bound.

    An improvement lowers the bound by that fraction.
    """
    slacks = []
    for i in range(153):
        sampled = i >= 150
        loss = Loss("quadratic", 1.0) if sampled else random_loss(rng)
        batch = random_batch(rng)
        start = loss.width * rng.uniform(0.05, 3)
        momentum = float(rng.choice([0.0, 0.5, 0.9, rng.uniform(0, 0.99)]))
        longest = np.log(PATHS) / np.log(2 * batch.count + 1)
        horizon = 1000 if sampled else int(rng.integers(1, 1 + int(longest)))
        values = claim.evaluate(
            smoothness=loss.smoothness,
            initial_gap=float(loss.value(np.array(start))),
            horizon=horizon,
            momentum=momentum,
            **batch.inputs,
        )
        run = Run(loss, start, float(values["step_size"]), horizon)
        norms = (
            sampled_norms(run, batch, momentum, rng)
            if sampled
            else exact_norms(run, batch, momentum)
        )
        bound = float(values["averaged_bound"])
        slacks.append(1 - improvement - float(norms.mean()) / bound)
    return min(slacks)
