"""Attack on `hitting_time`: exact times of runs that start outside the target."""

from typing import NamedTuple

import numpy as np

from analysis.claims.attacks.exact_runs import (
    Batch,
    Loss,
    Run,
    hitting_time,
    random_batch,
    random_loss,
)
from analysis.proof.claim import Claim


class Problem(NamedTuple):
    """A loss, a mini-batch and a start; `inputs` are the claim's."""

    loss: Loss
    batch: Batch
    start: float
    inputs: dict[str, float]


def random_problem(claim: Claim, rng: np.random.Generator) -> Problem:
    """One that starts outside its target and whose bound is 1 to 60 steps.

    The width of the loss is chosen such that its gradients reach beyond the target.
    """
    while True:
        batch = random_batch(rng)
        shape = random_loss(rng)
        inputs = batch.inputs | {"smoothness": shape.smoothness}
        inputs["excess"] = batch.sigma * rng.lognormal(0, 1)
        target = float(claim.evaluate(initial_gap=1.0, **inputs)["target"])
        width = target * (1 + rng.exponential()) / shape.smoothness
        loss = Loss(shape.shape, shape.smoothness, width)
        start = width * rng.uniform(0.05, 3)
        inputs["initial_gap"] = float(loss.value(np.array(start)))
        bound = float(claim.evaluate(**inputs)["hitting_time"])
        if abs(loss.slope(np.array(start))) > target and 1 <= bound <= 60:
            return Problem(loss, batch, start, inputs)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over exact runs, relative to the bound.

    120 random ones, all from outside the target, and one from just outside a target far
    beyond the noise. The distribution of w_t is followed five times as long as the
    bound; time after that is not counted. An improvement lowers the bound by that
    fraction.
    """

    def slack(problem: Problem) -> float:
        values = claim.evaluate(**problem.inputs)
        bound = float(values["hitting_time"])
        step = float(values["step_size"])
        run = Run(problem.loss, problem.start, step, int(5 * bound + 5))
        time = hitting_time(run, problem.batch, float(values["target"]))
        return 1 - improvement - time / bound

    batch = Batch(1e-6, 1.0, 1, 1, 1e-3)
    start = 1.002
    inputs = batch.inputs | {
        "smoothness": 1.0,
        "initial_gap": start**2 / 2,
        "excess": 1.0,
    }
    slacks = [slack(Problem(Loss("quadratic", 1.0), batch, start, inputs))]
    slacks += [slack(random_problem(claim, rng)) for _ in range(120)]
    return min(slacks)
