"""Several rules on the same draws, beside one replicate and rule at a time."""

from functools import partial

import numpy as np

from analysis.spec.algorithm import Run
from sim.paired import batch_means
from sim.rules import fixed, running_sum

RUN = Run(steps=(0.2, 0.1), iterations=203, replicates=3)
THRESHOLDS = np.array([0.3, 1.0])
M = 4
NOISE = np.random.default_rng(1).normal(size=(RUN.iterations, RUN.replicates, M))


def gradients(t, w):
    return (w[..., None] + NOISE[t])[..., None]


def alone(direction, threshold, step, replicate):
    """Batch means of w and w² [batches, 2] of one trajectory in plain loops."""
    w, path = 0.0, []
    for t in range(RUN.iterations):
        path.append(w)
        g = w + NOISE[t, replicate]
        w -= step * float(direction(g[:, None], threshold)[0])
    length = RUN.recorded // RUN.batches
    recorded = np.array(path[RUN.iterations - length * RUN.batches :])
    batches = recorded.reshape(RUN.batches, length)
    return np.stack([batches.mean(1), (batches**2).mean(1)], axis=-1)


def test_every_trajectory_is_that_of_a_plain_loop():
    rules = (fixed, running_sum)
    limit = THRESHOLDS[:, None, None, None, None]
    steps = np.multiply.outer(1 / THRESHOLDS, RUN.steps)[..., None]
    directions = [partial(rule, threshold=limit) for rule in rules]
    together = batch_means(gradients, directions, steps, RUN)
    assert together.shape == (2, 2, 2, RUN.replicates, RUN.batches, 2)
    for place in np.ndindex(together.shape[:4]):
        rule, c, step, replicate = place
        size = RUN.steps[step] / THRESHOLDS[c]
        expected = alone(rules[rule], THRESHOLDS[c], size, replicate)
        np.testing.assert_allclose(together[place], expected, rtol=1e-10)
