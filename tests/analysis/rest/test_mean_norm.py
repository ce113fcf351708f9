"""The mean norm of the gradient at rest, by quadrature and by closed forms."""

import numpy as np
import pytest
from scipy import integrate

from analysis.rest.mean_norm import at_rest, folded_mean
from analysis.rest.stable import exact_bias
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule


def model(dimension=1, noise=None, norm=50.0):
    direction = [-1.0] + [0.0] * (dimension - 1)
    return GradientModel.read(
        {
            "dimension": dimension,
            "dragger_fraction": 0.01,
            "noise": noise or {"law": "gaussian", "scale": 2.0},
            "dragger": {"law": "persistent", "norm": norm, "direction": direction},
        }
    )


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (0.3, 0.5), (-1.0, 0.2)])
def test_folded_normal_by_quadrature(mean, spread):
    def integrand(x):
        return abs(x) * np.exp(-(((x - mean) / spread) ** 2) / 2)

    area, _ = integrate.quad(integrand, -9, 9, points=[0.0, mean])
    assert folded_mean(mean, spread) == pytest.approx(
        area / spread / np.sqrt(2 * np.pi), rel=1e-7
    )


def test_sgd_is_an_autoregression():
    """Its bias is εD/(1-ε), its variance ηv/(2-η) with v that of one mini-batch."""
    rest = at_rest(model(), Clipping(Rule.SGD, 64, 64))
    bias = 0.01 * 50.0 / 0.99
    assert rest.bias == pytest.approx(bias)
    eta = 0.002
    variance = (0.99 * (4.0 + bias**2) + 0.01 * 50.0**2) / 64
    spread = np.sqrt(eta * variance / (2 - eta))
    assert rest.mean_norm(eta) == pytest.approx(folded_mean(bias, spread), rel=1e-3)


def test_the_mean_norm_is_the_bias_for_small_steps():
    rest = at_rest(model(), Clipping(Rule.ADAPTIVE, 64, 8))
    bias = exact_bias(model(), "adaptive", 64, 8).bias
    assert rest.bias == pytest.approx(bias)
    assert rest.mean_norm(1e-6) == pytest.approx(bias, rel=1e-5)


def test_what_has_no_expansion_is_refused():
    discrete = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.0}
    with pytest.raises(ValueError, match="no expansion"):
        at_rest(model(noise=discrete), Clipping(Rule.NORMALIZED, 64, 8))
    with pytest.raises(ValueError, match="one dimension"):
        at_rest(model(dimension=2), Clipping(Rule.NORMALIZED, 64, 8))
