"""Several update rules on the same random numbers, so that their differences are precise."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.algorithm import Run

Array = NDArray[np.float64]


def batch_means(
    gradients: Callable[[int, Array], Array],
    directions: Sequence[Callable[[Array], Any]],
    steps: Array,
    run: Run,
) -> Array:
    """Batch means of ∇f and ‖∇f‖² for each rule [rules, …, R, batches, 2].

    The loss is w²/2 on a line, ∇f = w, and every replicate starts at its minimum.

    gradients: micro-batch gradients [rules, …, R, m, 1] at iteration t and w [rules, …, R]; the
    same draws for every rule are what makes them comparable. directions: the rules, functions of
    g [..., R, m, 1]. steps […, 1] are the step sizes, one for every run of a rule. run: says how
    many replicates, iterations and batches there are, and when the first batch begins.
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
