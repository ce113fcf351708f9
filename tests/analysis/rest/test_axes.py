"""The axes that matter: the same for a listed direction or number, in any dimension."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from analysis.rest.axes import span
from analysis.rest.stable import exact_bias
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian, Rare

NOISES = [Gaussian("gaussian", 1.0), Rare("rare", 0.1, 3.0, 0.3)]


def model(d, direction, law="persistent", noise=NOISES[0]):
    return GradientModel(d, 0.05, noise, Dragger(law, 5.0, direction))


@pytest.mark.parametrize("law", ["persistent", "orthogonal"])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("d", [2, 3, 50])
def test_one_number_or_a_list(d, noise, law):
    short, full = (span(model(d, v, law, noise)) for v in (-2.0, (-2.0,) * d))
    assert (short.axes, short.free.shape, short.ray) == (
        full.axes,
        full.free.shape,
        full.ray,
    )
    for one, other in ((short.first, full.first), (short.direction, full.direction)):
        np.testing.assert_allclose(np.abs(one), np.abs(other), atol=1e-12)
    assert short.first @ short.direction == pytest.approx(
        full.first @ full.direction, abs=1e-12
    )


def test_in_one_dimension():
    found = [exact_bias(model(1, v), "adaptive", 16, 4).bias for v in (-2.0, (-2.0,))]
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def limit(b, eps=0.05, norm=5.0):
    """The normalized rule's bias for infinite d, where the noise's length is fixed."""
    k = np.arange(b + 1)
    chance, scale = stats.binom.pmf(k, b, eps), np.sqrt((b - k) / b**2)

    def pull(a):
        mean = ((b - k) * a - k * norm) / b
        return chance @ (mean / np.hypot(mean, scale))

    return optimize.brentq(pull, 0, norm, xtol=1e-15)


@pytest.mark.parametrize("b", [1, 4, 8])
def test_a_thousand_million_dimensions(b):
    """At once, without vectors of that size; not yet the limit in 100 dimensions."""
    biases = [
        exact_bias(model(d, -1.0), "normalized", 16, b).bias for d in (10**9, 100)
    ]
    assert biases[0] == pytest.approx(limit(b), rel=1e-6)
    assert not math.isclose(biases[1], limit(b), rel_tol=1e-4)
