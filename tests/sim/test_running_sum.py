"""The clipped running sum, a mistake under study, and its micro-batches' weights."""

import math

import numpy as np
import pytest

from sim.rules import running_sum, running_sum_weights

GRADIENTS = np.random.default_rng(3).normal(0.5, 2, (20, 5, 3))


def in_plain_loops(gradients, threshold):
    """The mistake, a coordinate at a time."""
    total = [0.0] * len(gradients[0])
    for gradient in gradients:
        total = [s + x / len(gradients) for s, x in zip(total, gradient, strict=True)]
        norm = math.hypot(*total)
        if norm > threshold:
            total = [s * threshold / norm for s in total]
    return total


@pytest.mark.parametrize("threshold", [0.05, 0.7, 1e9])
def test_it_is_what_a_loop_does(threshold):
    expected = [in_plain_loops(g.tolist(), threshold) for g in GRADIENTS]
    np.testing.assert_allclose(running_sum(GRADIENTS, threshold), expected, rtol=1e-13)


@pytest.mark.parametrize("threshold", [0.05, 1.0, 1e9])
def test_it_is_the_weighted_sum(threshold):
    """In several dimensions, never longer than the threshold; without, the mean."""
    total, weights = (
        running_sum(GRADIENTS, threshold),
        running_sum_weights(GRADIENTS, threshold),
    )
    np.testing.assert_allclose(
        total, (weights[..., None] * GRADIENTS).sum(-2) / 5, atol=1e-12
    )
    assert np.linalg.norm(total, axis=-1).max() <= threshold * (1 + 1e-12)
    if threshold == 1e9:
        np.testing.assert_allclose(total, GRADIENTS.mean(-2))
        assert (weights == 1).all()


def test_without_noise_the_weights_are_geometric():
    """W_j = (1 + G/mc)^-(m-j+1) from the first saturation, here the first step."""
    m = 16
    c = 1.0
    g = np.full((m, 1), 40.0)
    back = np.arange(m, 0, -1.0)
    weights = running_sum_weights(g, c)
    np.testing.assert_allclose(weights[1:], (1 + 40 / (m * c)) ** -back[1:])
    assert running_sum(g, c) == pytest.approx(c)


def test_the_order_matters():
    """A dragger in the last micro-batch turns the sum, in the first it is outvoted."""
    g = np.ones((16, 1))
    g[-1] = -100.0
    assert running_sum(g, 0.05) == pytest.approx(-0.05)
    assert running_sum(g[::-1], 0.05) == pytest.approx(0.05)


def test_every_step_may_have_a_threshold_of_its_own():
    thresholds = np.linspace(0.1, 2, 20)[:, None, None]
    together = running_sum(GRADIENTS, thresholds)
    alone = [
        running_sum(g, float(c))
        for g, c in zip(GRADIENTS, thresholds.ravel(), strict=True)
    ]
    assert np.array_equal(together, alone)


def test_strict_arrays():
    """Only what the array API promises is used."""
    strict = pytest.importorskip("array_api_strict")
    g = strict.asarray(GRADIENTS)
    assert np.array_equal(
        np.asarray(running_sum(g, 0.7, strict)), running_sum(GRADIENTS, 0.7)
    )
    weights = np.asarray(running_sum_weights(g, 0.7, strict))
    assert np.array_equal(weights, running_sum_weights(GRADIENTS, 0.7))
