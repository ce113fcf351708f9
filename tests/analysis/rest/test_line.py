"""Stationary points on a line: their signs, and what is refused."""

import numpy as np
import pytest
from scipy import special, stats

from analysis.rest.line import normalized_bias, stationary_gradient
from analysis.rest.stable import exact_bias
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule


def model(towards, *, dimension=1, distance=1.0):
    """Two domains at 0 and `distance`, draggers that push ∇f towards one sign."""
    noise = {"law": "gaussian", "scale": 0.5}
    return GradientModel.read(
        {
            "problem": "domains",
            "dimension": dimension,
            "dragger_fraction": 0.01,
            "domains": [
                {"weight": 0.7, "optimum": [0.0] * dimension, "noise": noise},
                {"weight": 0.3, "optimum": [distance] * dimension, "noise": noise},
            ],
            "dragger": {"law": "additive", "norm": 20.0, "direction": -towards},
        }
    )


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("distance", [1.0, -1.0])
def test_its_size_is_the_bias(pure, distance):
    """The search for the bias, which knows no sign."""
    law = model(1.0, distance=distance)
    clipping = Clipping(Rule.NORMALIZED, 64, 4, pure=pure)
    gradient = stationary_gradient(law, clipping)
    bias = exact_bias(law, clipping.rule, 64, 4, pure=pure).bias
    assert abs(gradient) == pytest.approx(bias, rel=1e-9)


@pytest.mark.parametrize("distance", [1.0, -1.0])
@pytest.mark.parametrize("towards", [1.0, -1.0])
def test_it_is_where_the_draggers_push(towards, distance):
    """Additive draggers: SGD rests at ∇f = εD in their direction."""
    law, sgd = model(towards, distance=distance), Clipping(Rule.SGD, 64, 4)
    gradient = stationary_gradient(law, sgd)
    assert gradient == pytest.approx(towards * 0.01 * 20.0)


@pytest.mark.parametrize("refused", [{"dimension": 2}, {"distance": 0.0}])
def test_where_there_is_no_sign(refused):
    with pytest.raises(ValueError, match="several domains in one dimension"):
        stationary_gradient(model(1.0, **refused), Clipping(Rule.NORMALIZED, 64, 4))


def skewed(direction):
    """Rare samples one way, draggers in that direction."""
    noise = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.3}
    return GradientModel.read(
        {
            "dimension": 1,
            "dragger_fraction": 0.01,
            "noise": noise,
            "dragger": {"law": "persistent", "norm": 20.0, "direction": [direction]},
        }
    )


@pytest.mark.parametrize("b", [1, 5, 40])
def test_the_fast_root_by_the_distribution_function(b):
    """P(g > 0) = 1/2, summed over the draggers and rare samples of a micro-batch."""
    a = normalized_bias(skewed(-1.0), b)
    positive = 0.0
    for k in range(b + 1):
        clean = b - k
        rare = np.arange(clean + 1)
        weight = stats.binom.pmf(k, b, 0.01) * stats.binom.pmf(rare, clean, 0.1)
        total = clean * a - k * 20.0 + 3.0 * rare - (clean - rare) / 3
        spread = 0.3 * np.sqrt(max(clean, 1e-12))
        positive += weight @ special.ndtr(total / spread)
    assert positive == pytest.approx(0.5, abs=1e-6)


def test_a_root_that_is_not_positive_is_refused():
    """Draggers the other way push ∇f down, and there is no sign change above 0."""
    with pytest.raises(ValueError, match="different signs"):
        normalized_bias(skewed(1.0), 40)
