"""The best size for gamma noise, by two other routes."""

import numpy as np
import pytest

from analysis.advice.sizes import best_sizes
from analysis.advice.skewed import best_size
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.model import GradientModel

SHAPE = 1.0  # exponential noise, skewness 2


@pytest.mark.parametrize("fraction", [0.03, 0.003])
def test_best_size_by_the_roots_of_the_expected_update(fraction):
    """Not from quantiles: the bias by root search at all whole sizes near the best."""
    noise = {"law": "gamma", "shape": SHAPE, "scale": 1.0, "sign": 1.0, "gaussian": 0.0}
    model = GradientModel.read(
        {
            "dimension": 1,
            "dragger_fraction": fraction,
            "noise": noise,
            "dragger": {"law": "persistent", "norm": 1e3, "direction": [-1.0]},
        }
    )
    best = best_size(fraction, SHAPE)
    sizes = range(int(best) - 2, int(best) + 4)
    bias = [exact_bias(model, "normalized", b, b).bias for b in sizes]
    assert abs(sizes[int(np.argmin(bias))] - best) < 1


def test_two_powers_by_their_definitions():
    """Rare draggers: this size and that with the best guarantee, 10 times as many."""
    at = {"skewness": 2.0, "noise_scale": 1.0, "micro_batch_size": 1.0}
    fractions = np.array([1e-7, 1e-6])
    formula = CLAIMS["skewness_expansion"].evaluate(dragger_fraction=fractions, **at)
    exact = [best_size(float(fraction), SHAPE) for fraction in fractions]
    worst = [
        best_sizes(float(fraction), 1.0, 1.0)["micro_batch_size"]
        for fraction in fractions
    ]
    assert exact == pytest.approx(formula["best_micro_batch_size"], rel=0.01)
    assert exact[0] / exact[1] == pytest.approx(10 ** (2 / 3), rel=0.01)
    assert worst[0] / worst[1] == pytest.approx(10, rel=1e-5)
