"""Several update rules on the same random numbers, for precise differences."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.algorithm import Run
from analysis.spec.experiment import Experiment
from sim.random import philox
from sim.random.addresses import Draws
from sim.reduction.compositions import compositions

Array = NDArray[np.float64]


def batch_means(
    gradients: Callable[[int, Array], Array],
    directions: Sequence[Callable[[Array], Any]],
    steps: Array,
    run: Run,
) -> Array:
    """Batch means of ∇f and ‖∇f‖² for each rule [rules, …, R, batches, 2].

    The loss is w²/2 on a line, ∇f = w, and every replicate starts at its minimum.

    gradients: micro-batch gradients [rules, …, R, m, 1] at iteration t and w [rules, …,
    R]; the same draws for every rule are what makes them comparable. directions: the
    rules, functions of g [..., R, m, 1]. steps […, 1] are the step sizes, one for every
    run of a rule. run: says how many replicates, iterations and batches there are, and
    when the first batch begins.
    """
    shape = np.broadcast_shapes(steps.shape, (run.replicates,))
    w = np.zeros((len(directions), *shape))
    length = run.recorded // run.batches
    first = run.iterations - run.batches * length
    sums = np.zeros((run.batches, 2, *w.shape))
    for t in range(run.iterations):
        if t >= first:
            sums[(t - first) // length] += w, w * w
        g = gradients(t, w)
        for i, direction in enumerate(directions):
            w[i] -= steps * direction(g[i])[..., 0]
    return np.moveaxis(sums / length, (0, 1), (-2, -1))


def line_gradients(
    experiment: Experiment,
) -> Callable[[int], tuple[Array, Array]]:
    """Function of the iteration: slopes and intercepts [R, m] of the g_j in ∇f.

    The micro-batch gradients on a line with rare noise, draggers along -e_1, at the
    first of the micro-batch sizes; the draws are those of the engine. ∇f and g_j in
    units of the gradient.
    """
    model, run = experiment.gradient_model, experiment.run
    size = experiment.algorithm.sizes[0]
    count = experiment.algorithm.batch_size // size
    table = compositions(model, size, pure=False)
    mean = model.micro_batch_mean(size, table.draggers, table.draws[0])
    still = mean.first_axis - mean.dragger
    edges = np.cumsum(table.weight)[:-1]
    key = philox.key(run.seed, size, run.steps[0])

    def drawn(iteration: int) -> tuple[Array, Array]:
        draws = Draws(key, range(run.replicates), iteration)
        row = np.searchsorted(edges, draws.uniforms(philox.COMPOSITION, count))
        normal = np.sqrt(mean.variance[row]) * draws.normals(philox.NORMALS, count)
        return mean.benign[row], still[row] + normal

    return drawn


def log_variance(
    direction: Callable[[Array], Array],
    gradients: Callable[[float], Array],
    place: float,
    *,
    width: float = 1e-3,
) -> Array:
    """Logarithm of Var ψ/(d E ψ/d∇f)², leaving out each replicate in turn [R].

    For the jackknife. Over the number of iterations Var ψ/(d E ψ/d∇f)² is the variance
    of a long run's mean iterate, ψ the direction of a step and `place` the ∇f at rest.

    gradients: micro-batch gradients [R, n, m, 1] at a ∇f, always with the same draws;
    direction: the rule, from these to [R, n, 1]. The derivative is a central difference
    over ± `width`.
    """
    places = place + np.array([-width, 0, width])
    low, psi, high = (direction(gradients(float(x)))[..., 0] for x in places)
    slope = (high - low).mean(1) / (2 * width)
    columns = np.stack([psi.mean(1), (psi**2).mean(1), slope])
    others = columns.sum(1, keepdims=True) - columns
    mean, square, pull = others / (len(psi) - 1)
    return np.asarray(np.log((square - mean**2) / pull**2))
