"""The efficiency: values by hand, and against the exact one of models."""

import numpy as np
import pytest

from analysis.claims.efficiency import claim
from analysis.rest.chi import mean_cosine
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping
from analysis.speed.efficiency import Point, efficiency

OTHERS = {
    "batch_size": 64,
    "micro_batches": 16,
    "dragger_fraction": 0.02,
    "noise_scale": 2.0,
    "dragger_norm": 5.0,
    "smoothness": 1.0,
}


def test_values_by_hand():
    """μ = 1/2 and ν = 1: a quarter of G²/(2L), with half of G/L as the step."""
    given = OTHERS | {"gradient_norm": 3.0, "smoothness": 2.0}
    values = claim.evaluate(update_pull=0.5, update_square=1.0, **given)
    assert values["efficiency"] == pytest.approx(0.25)
    assert values["best_step"] == pytest.approx(0.75)
    assert values["guaranteed_fall"] == pytest.approx(0.25 * 9 / 4)


def test_no_step_has_a_better_guarantee():
    """Second route: the guarantee of smoothness, step by step."""
    G = 1.7
    mu = 0.4
    nu = 0.9
    L = 2.5
    given = OTHERS | {"gradient_norm": G, "smoothness": L}
    values = claim.evaluate(update_pull=mu, update_square=nu, **given)
    steps = np.linspace(0, 2, 20_001)
    falls = steps * G * mu - L * steps**2 * nu / 2
    assert falls.max() == pytest.approx(values["guaranteed_fall"], rel=1e-7)
    assert steps[falls.argmax()] == pytest.approx(values["best_step"], abs=1e-4)


@pytest.mark.parametrize("dimension", [1, 4])
def test_sgd_and_normalized_are_those_of_a_model(dimension):
    """Gaussian noise in every direction, and draggers of mean zero."""
    model = GradientModel.read(
        {
            "dimension": dimension,
            "dragger_fraction": 0.02,
            "noise": {"law": "gaussian", "scale": 2.0},
            "dragger": {"law": "isotropic", "norm": 5.0},
        }
    )
    G = 1.3
    b = 4
    point = Point.along(model, G)
    k = np.arange(b + 1)
    weight = np.array([1, 4, 6, 4, 1]) * 0.02**k * 0.98 ** (b - k)
    scale = np.sqrt(((b - k) * 2.0**2 + k * 5.0**2) / dimension) / b
    pull = weight @ mean_cosine(dimension, (b - k) * G / b / scale)
    given = OTHERS | {"gradient_norm": G, "update_square": 1.0}
    values = claim.evaluate(update_pull=float(pull), **given)
    for rule, name in (
        ("sgd", "sgd_efficiency"),
        ("normalized", "normalized_efficiency"),
    ):
        exact = efficiency(point, Clipping(rule, 64, b)).efficiency
        assert values[name] == pytest.approx(exact, rel=1e-8)


def test_the_gradient_noise_scale():
    """Without draggers: a batch of σ²/G² samples has efficiency 1/2."""
    given = OTHERS | {"dragger_fraction": 0.0, "gradient_norm": 0.5, "batch_size": 16}
    values = claim.evaluate(update_pull=1.0, update_square=1.0, **given)
    assert values["sgd_efficiency"] == pytest.approx(0.5)
