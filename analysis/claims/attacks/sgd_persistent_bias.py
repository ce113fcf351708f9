"""Attack on `sgd_persistent_bias`: exact runs, also from the stationary point."""

from dataclasses import dataclass, replace

import numpy as np

from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.exact_runs import (
    Loss,
    Run,
    Samples,
    mean_square,
    random_loss,
    random_noise,
)
from analysis.proof.claim import Claim


def straight_back(norm: float, mean: float) -> Distribution:
    """Two equally likely draggers of this root mean square norm, with mean -mean."""
    spread = np.sqrt(norm**2 - mean**2)
    return Distribution(np.array([-mean - spread, -mean + spread]), np.full(2, 0.5))


@dataclass(frozen=True)
class Problem:
    """A run of SGD, its mini-batch, and the moments of noise and draggers."""

    run: Run
    count: int
    fraction: float
    alignment: float
    sigma: float
    norm: float
    mean: float

    @property
    def inputs(self) -> dict[str, float]:
        """Its numbers, by their names in the notation."""
        loss = self.run.loss
        return {
            "smoothness": loss.smoothness,
            "initial_gap": float(loss.value(np.array(self.run.start))),
            "horizon": self.run.horizon,
            "batch_size": self.count,
            "dragger_fraction": self.fraction,
            "alignment": self.alignment,
            "noise_scale": self.sigma,
            "dragger_norm": self.norm,
            "dragger_mean": self.mean,
            "learning_rate": self.run.step,
        }


def short_problem(rng: np.random.Generator) -> Problem:
    """A run of a few steps, with few samples in a mini-batch, on any loss."""
    loss = random_loss(rng)
    sigma = rng.lognormal(-1, 1)
    norm = rng.lognormal(1, 1)
    fraction = rng.uniform(0.01, 0.8)
    count = int(rng.integers(1, 3))
    alignment = rng.uniform(0, 1)
    mean = norm * rng.uniform(0, 1)
    horizon = int(rng.integers(1, 6 // count + 1))
    start = loss.width * rng.uniform(0.05, 3)
    step = rng.uniform(0.01, 1) / loss.smoothness
    run = Run(loss, start, step, horizon)
    return Problem(run, count, fraction, alignment, sigma, norm, mean)


def at_rest(problem: Problem) -> Problem:
    """Every assumption is met with equality, and the run starts where it rests."""
    loss = Loss("quadratic", problem.run.loss.smoothness)
    odds = problem.fraction / (1 - problem.fraction)
    start = odds * problem.norm / loss.smoothness
    return replace(
        problem,
        run=replace(problem.run, loss=loss, start=start, horizon=4000),
        count=10**9,
        alignment=1.0,
        sigma=1e-3,
        mean=problem.norm,
    )


def long_problem(problem: Problem, rng: np.random.Generator) -> Problem:
    """The same on a quadratic, for longer and with larger mini-batches."""
    loss = Loss("quadratic", problem.run.loss.smoothness)
    count = int(rng.integers(1, 100))
    horizon = int(rng.choice([10, 100, 1000]))
    return replace(
        problem, run=replace(problem.run, loss=loss, horizon=horizon), count=count
    )


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over exact runs, relative to the bound.

    Short ones on any loss, all their paths enumerated, long ones on quadratics, and a
    large batch that starts at its point of rest. An improvement lowers the bound by
    that fraction.
    """
    slacks = []
    for i in range(200):
        problem = short_problem(rng)
        long = i % 4 == 0
        if i % 20 == 0:
            problem = at_rest(problem)
        elif long:
            problem = long_problem(problem, rng)
        draggers = straight_back(problem.norm, problem.alignment * problem.mean)
        noise = random_noise(rng, problem.sigma)
        samples = Samples(noise, draggers, problem.fraction)
        square = mean_square(problem.run, samples, problem.count, by_moments=long)
        bound = claim.evaluate(**problem.inputs)["gradient_bound"]
        slacks.append(1 - improvement - float(np.sqrt(square) / bound))
    return min(slacks)
