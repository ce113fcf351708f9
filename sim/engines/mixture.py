"""Simulate by micro-batch instead of by sample, exactly.

A micro-batch's mean depends on its samples through three things: how many are draggers, one draw of
the benign noise law (such as how many are rare), and one Gaussian vector. Drawing those instead of
b samples changes nothing in law, and sample by sample the algebra is that of `sim.reference` (a
test holds the two to 1e-12).
"""

import numpy as np
from numpy.typing import NDArray

from analysis.model import Experiment, GradientModel
from sim.draws import Draws, Source
from sim.rules import Rule, rule

Array = NDArray[np.float64]
BLOCK = 2**20  # numbers drawn at once (8 MiB), unless a single step needs more
CHUNK = 2**13  # numbers in one step of the replicates that are simulated together


def noise(model: GradientModel, b: int, draws: Draws) -> tuple[Array, Array]:
    """Split the micro-batch gradients into factor [r, t, m]·∇f + noise [r, t, m, d].

    The noise takes over the memory of `draws.normal`.
    """
    law = model.micro_batch_mean(b, draws.draggers, draws.draw)
    xi = draws.normal
    xi *= np.sqrt(law.variance)[..., None]
    if model.dragger_fraction > 0 and model.dragger.direction is not None:
        xi += law.dragger[..., None] * np.array(model.dragger.direction)
    xi[..., 0] += law.first_axis
    return np.broadcast_to(law.benign, xi.shape[:-1]), xi


def advance(w: Array, a: Array, step: float, direction: Rule, factor: Array, xi: Array) -> Array:
    """One step of every replicate: w, a = ∇f [r, d], factor [r, m] and noise xi [r, m, d]."""
    return w - step * np.asarray(direction(factor[..., None] * a[:, None, :] + xi))


def simulate(experiment: Experiment, b: int, step: float, replicates: range) -> Array:
    """Batch means of ∇f after burn-in [replicates, batches, d], for one size and one step size.

    Non-finite where a trajectory diverged. Memory does not grow with the number of iterations.
    Raises SpecificationError for opposing draggers and for domains.
    """
    model, algorithm, run = experiment.gradient_model, experiment.algorithm, experiment.run
    m, d = algorithm.batch_size // b, model.dimension
    source = Source(model, b, m, run.seed, step, replicates)
    direction = rule(algorithm.rule, algorithm.aggregate, algorithm.threshold)
    w = np.zeros((len(replicates), d))
    w[:, slice(None) if isinstance(run.start, tuple) else 0] = run.start
    length = run.recorded // run.batches
    first = run.iterations - length * run.batches
    sums = np.zeros((len(replicates), run.batches, d))
    block = max(1, BLOCK // (len(replicates) * m * d))
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging run is reported, not warned of
        for begin in range(0, run.iterations, block):
            steps = min(block, run.iterations - begin)
            factor, xi = noise(model, b, source.draw(steps))
            for t in range(steps):
                w = advance(w, model.hessian(w), step, direction, factor[:, t], xi[:, t])
                if begin + t >= first:
                    sums[:, (begin + t - first) // length] += w
            if not np.isfinite(w).any():
                sums[:] = np.nan
                break
        return model.hessian(sums) / length


def chunks(experiment: Experiment, b: int) -> list[range]:
    """Ranges of replicates of which one step is about CHUNK numbers."""
    numbers = experiment.algorithm.batch_size // b * experiment.gradient_model.dimension
    total = experiment.run.replicates
    size = max(1, min(total, CHUNK // numbers))
    return [range(i, min(i + size, total)) for i in range(0, total, size)]
