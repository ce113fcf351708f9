"""Several rules on the same draws, beside one replicate and rule at a time."""

from functools import partial

import numpy as np
import pytest

from analysis.rest.mixture import mixture
from analysis.spec.experiment import Experiment, Run
from sim.paired import batch_means, line_gradients, log_variance
from sim.rules import fixed, running_sum

RUN = Run(steps=(0.2, 0.1), iterations=203, replicates=3)
THRESHOLDS = np.array([0.3, 1.0])
MICRO_BATCHES = 4
NOISE = np.random.default_rng(1).normal(
    size=(RUN.iterations, RUN.replicates, MICRO_BATCHES)
)


def gradients(t, w):
    return (w[..., None] + NOISE[t])[..., None]


def alone(direction, threshold, step, replicate):
    """Batch means of w and w² [batches, 2] of one trajectory in plain loops."""
    w = 0.0
    path = []
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


@pytest.fixture
def line_experiment():
    """Rare noise on a line, and draggers that push back."""
    noise = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.3}
    dragger = {"law": "persistent", "norm": 20.0, "direction": [-1.0]}
    model = {"dimension": 1, "dragger_fraction": 0.01, "noise": noise}
    rule = {"rule": "fixed", "batch_size": 64, "micro_batch_sizes": [4]}
    tables = {
        "model": model | {"dragger": dragger},
        "algorithm": rule | {"threshold": 1.0},
        "run": {"replicates": 64},
    }
    return Experiment.from_mapping(tables)


def test_line_gradients_have_the_exact_distribution(line_experiment):
    """Mean and variance of 65 536 of them far from the minimum, within five errors."""
    drawn = line_gradients(line_experiment)
    slope, intercept = np.stack([drawn(t) for t in range(64)], axis=1)
    g = (slope * 10.0 + intercept).ravel()
    law = mixture(line_experiment.gradient_model, 4)
    centre = law.benign * 10.0 + law.offset[:, 0]
    away = centre - law.weight @ centre
    variance = law.weight @ (away**2 + law.scale**2)
    fourth = law.weight @ (away**4 + 6 * away**2 * law.scale**2 + 3 * law.scale**4)
    z = (g.mean() - law.weight @ centre) / (variance / g.size) ** 0.5
    spread = (g.var() - variance) / ((fourth - variance**2) / g.size) ** 0.5
    assert g.size == 65_536
    assert max(abs(z), abs(spread)) < 5


def test_the_variance_of_a_mean_iterate_by_hand():
    """ψ = 3∇f ± 6, equally often in every replicate: 36/9, whichever is left out."""
    noise = np.tile([-6.0, 6.0], (5, 10))[:, :, None, None]
    variance = log_variance(
        lambda g: g.mean(-2), lambda gradient: 3 * gradient + noise, 0.7
    )
    assert variance == pytest.approx(np.full(5, np.log(4.0)), rel=1e-12)


def test_the_variance_without_one_replicate():
    """Beside that of the others alone."""
    noise = np.random.default_rng(2).normal(size=(6, 50, 3, 1))

    def clipped(g):
        return fixed(g, 1.0)

    together = log_variance(clipped, lambda gradient: gradient + noise, 0.2)
    for i in range(6):
        others = np.delete(noise, i, axis=0)
        psi = clipped(0.2 + others)
        slope = (clipped(0.201 + others) - clipped(0.199 + others)).mean() / 0.002
        assert together[i] == pytest.approx(np.log(psi.var() / slope**2), rel=1e-9)
