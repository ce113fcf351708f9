"""The largest gradient norm at which a fixed threshold can rest, three ways."""

import numpy as np
import pytest
import sympy as sp

from analysis.advice.sizes import fixed_radii, fixed_radius
from analysis.advice.worst_case import WorstCase
from analysis.claims.attacks.huber_lemma import pull_of, witness
from analysis.claims.optimal_threshold import certified, claim
from analysis.proof.symbols import c, s, theta

CASE = WorstCase(0.01, 1.0)
GRID = np.geomspace(0.05, 40.0, 50)


@pytest.mark.parametrize("size", [1, 10])
def test_in_closed_form(size):
    """The certificate where c ≥ β/(2(1 + θ)), else β - c: from the claim's proof."""
    clean, scale = (1 - CASE.dragger_fraction) ** size, 1 / size**0.5
    ratio = (1 - clean) / clean
    beta = claim.evaluate(
        micro_batch_size=size, dragger_fraction=0.01, noise_scale=1.0, alignment=1.0
    )["normalized_radius"]
    near = sp.lambdify((c, s, theta), certified, "numpy")(GRID, scale, ratio)
    expected = np.where(beta / (2 * (1 + ratio)) <= GRID, near, beta - GRID)
    np.testing.assert_allclose(fixed_radii(CASE, size, GRID), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 10])
def test_one_by_one(size):
    radii = [fixed_radius(CASE, 4 * size, size, float(x)) for x in GRID]
    np.testing.assert_allclose(fixed_radii(CASE, size, GRID), radii, rtol=1e-11)


@pytest.mark.parametrize("threshold", [0.2, 1.0, 5.0, 20.0])
def test_attained_by_single_samples(threshold):
    """The lemma's two-point laws balance the push there, and 1 % inside they cannot."""
    ratio = CASE.dragger_fraction / (1 - CASE.dragger_fraction)
    radius = fixed_radii(CASE, 1, np.array([threshold]))[0]

    def pull(gradient):
        return pull_of(witness(gradient, threshold, 1.0), gradient, threshold)

    assert pull(radius) == pytest.approx(ratio, rel=1e-9)
    assert pull(0.99 * radius) < ratio < pull(1.01 * radius)
