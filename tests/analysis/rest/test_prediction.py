"""Predictions from recorded gradients, where the exact bias is known."""

import numpy as np
import pytest

from analysis.rest.prediction import Recording, predict_from_gradients
from analysis.rest.stable import exact_bias
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian

EPSILON = 0.02
NORM = 4.0
SIGMA = 1.0
BATCH = 64
BATCHES = 20_000
CURVATURE = np.array([1.0, 3.0])


def recording(seed=1):
    """A quadratic in 2D, Gaussian noise, persistent draggers along the first axis."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(BATCHES, BATCH, 2)) * SIGMA / np.sqrt(2)
    clean = rng.random((BATCHES, BATCH)) >= EPSILON

    def gradients(w):
        return np.where(clean[..., None], CURVATURE * w + noise, np.array([-NORM, 0.0]))

    return Recording(np.zeros(2), gradients, clean, lambda w: CURVATURE * w)


def sgd(g):
    return g.mean(1)


def algorithm_1(g):
    norm = np.linalg.norm(g, axis=-1, keepdims=True)
    return (g * norm.min(1, keepdims=True) / norm).mean(1)


def test_sgd_by_hand():
    """It is linear: one Newton step is exact, and rests at εD/(1-ε); 5 sigma."""
    (found,) = predict_from_gradients(recording(), sgd, [8], 0.1)
    exact = EPSILON * NORM / (1 - EPSILON)
    assert abs(found.bias - exact) < 5 * found.standard_error * (1 + EPSILON)
    assert found.contraction == pytest.approx(1 - EPSILON, rel=1e-2)
    assert found.standard_error < 0.1 * exact


def test_algorithm_1_by_the_exact_bias():
    """Small biases to first order: within 5 %; that of SGD is another one."""
    model = GradientModel(
        2,
        EPSILON,
        Gaussian("gaussian", SIGMA),
        Dragger("persistent", NORM, (-1.0, 0.0)),
    )
    for found in predict_from_gradients(recording(), algorithm_1, [2, 8], 0.05):
        exact = exact_bias(model, "adaptive", BATCH, found.micro_batch_size).bias
        assert found.bias == pytest.approx(exact, rel=0.05)
        assert abs(exact - EPSILON * NORM / (1 - EPSILON)) > 5 * found.standard_error


def test_the_noise_scale():
    assert recording().noise_scale == pytest.approx(SIGMA, rel=2e-3)
