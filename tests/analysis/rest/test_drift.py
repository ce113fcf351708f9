"""Derivatives of the expected update on a line, by closed form and by quadrature."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special

from analysis.rest.drift import drift
from analysis.rest.fluctuation import fluctuation
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.checking import SpecificationError
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian
from analysis.spec.rule import Clipping

FRACTION = 0.05
NORM = 20.0
SIGMA = 1.5
SIZE = 8
COUNT = 4
MODEL = GradientModel(
    1,
    FRACTION,
    Gaussian("gaussian", SIGMA),
    Dragger("persistent", NORM, (-1.0,)),
)


def at_rest(rule):
    """The update of a rule, and its stationary point."""
    update = Update(MODEL, Clipping(rule, SIZE * COUNT, SIZE))
    (point,) = stationary_points(update)
    return update, point.gradient


def kinds(root):
    """With k draggers among b samples: probability, benign share, push, deviation.

    The draggers push away from the side of the root.
    """
    k = np.arange(SIZE)
    chosen = special.comb(SIZE, k) * FRACTION**k * (1 - FRACTION) ** (SIZE - k)
    push = -np.sign(root[0]) * k * NORM / SIZE
    return chosen, (SIZE - k) / SIZE, push, SIGMA * np.sqrt(SIZE - k) / SIZE


def test_normalized_by_the_density_at_zero():
    """F(a) = 2P(g > 0) - 1: its derivatives are the density of g at 0 and its slope."""
    update, root = at_rest("normalized")
    chosen, benign, push, scale = kinds(root)
    z = (benign * root + push) / scale
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    near = drift(update, root)
    slope = 2 * chosen @ (benign / scale * density)
    bend = 2 * chosen @ ((benign / scale) ** 2 * -z * density)
    assert near.drift_slope == pytest.approx(slope, rel=1e-3)
    assert near.drift_bend == pytest.approx(bend, rel=1e-3)
    assert near.update_variance == pytest.approx(1 / COUNT, rel=1e-6)


def test_algorithm_1_by_a_polynomial_through_its_integral():
    """F(a) = ∫ S(t)^(m-1) [P(g > t) - P(g < -t)] dt by adaptive quadrature."""
    update, root = at_rest("adaptive")
    chosen, benign, push, scale = kinds(root)

    def integrand(t, a):
        mean = benign * a + push
        above, below = (chosen @ special.ndtr((x - t) / scale) for x in (mean, -mean))
        return (above + below) ** (COUNT - 1) * (above - below)

    places = 0.1 * np.arange(-3, 4)
    values = [
        integrate.quad(integrand, 0, 8, args=(root[0] + x,), epsabs=1e-12, limit=200)[0]
        for x in places
    ]
    _, slope, half_bend, *_ = np.polynomial.polynomial.polyfit(places, values, 6)
    near = drift(update, root)
    assert near.drift_slope == pytest.approx(slope, rel=1e-3)
    assert near.drift_bend == pytest.approx(2 * half_bend, rel=1e-3)
    assert near.drift_slope == pytest.approx(
        fluctuation(update, root).contraction, rel=1e-3
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dimension": 2, "dragger": Dragger("persistent", 3.0, -1.0)},
            "dimension = 2",
        ),
        ({"dragger": Dragger("opposing", 3.0)}, "smooth expected update"),
    ],
)
def test_other_models_are_refused(change, message):
    update = Update(replace(MODEL, **change), Clipping("normalized", 32, SIZE))
    with pytest.raises(SpecificationError, match=message):
        drift(update, np.array([0.1]))
