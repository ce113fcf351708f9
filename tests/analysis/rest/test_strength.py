"""The dragger norm at which Algorithm 1 has a given bias."""

import pytest

from analysis.rest.stable import exact_bias
from analysis.rest.strength import norm_at_bias
from analysis.rest.update import Update
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping

SIZE = 32


def model(norm):
    return GradientModel.read(
        {
            "dimension": 1,
            "dragger_fraction": 0.01,
            "noise": {"law": "gaussian", "scale": 1.0},
            "dragger": {"law": "persistent", "norm": norm, "direction": [-1.0]},
        }
    )


def algorithm_1(count):
    return Update(model(1.0), Clipping("adaptive", SIZE * count, SIZE))


@pytest.mark.parametrize("count", [2, 4, 8])
def test_the_bias_at_that_norm(count):
    """Second route: the general search for the bias, with draggers of that norm."""
    norm = norm_at_bias(algorithm_1(count), bias=0.2635, norms=(3.0, 1e6))
    bias = exact_bias(model(norm), "adaptive", SIZE * count, SIZE).bias
    assert bias == pytest.approx(0.2635, rel=1e-5)


def test_no_norm_is_long_enough():
    assert norm_at_bias(algorithm_1(16), bias=0.2635, norms=(3.0, 1e6)) is None


def test_the_shortest_is_too_long():
    with pytest.raises(ValueError, match="different signs"):
        norm_at_bias(algorithm_1(2), bias=0.2635, norms=(100.0, 1e6))
