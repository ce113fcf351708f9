"""A Gaussian vector's length and direction, against mpmath's hypergeometrics."""

import mpmath as mp
import numpy as np
import pytest

from analysis.rest.chi import mean_cosine, radial_density

DIMENSIONS = [1, 2, 3, 4, 7, 30, 51, 52, 53, 200, 1000]


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kappa", [0.0, 1e-3, 0.3, 2.0, 15.0, 80.0, 300.0])
def test_density_and_cosine(d, kappa):
    """Relative error at most 1e-10 wherever the density exceeds 1e-25."""
    mp.mp.dps = 40
    centre = np.hypot(kappa, np.sqrt(d))
    for r in (1e-6, 0.05, 1.0, np.sqrt(d), abs(centre - 3) + 0.1, centre + 2):
        density, cosine = radial_density(d, np.array([kappa]), np.array([r]))
        nu, z = mp.mpf(d) / 2 - 1, mp.mpf(kappa) * mp.mpf(float(r))
        series = mp.hyp0f1(nu + 1, z**2 / 4)
        exact = mp.mpf(float(r)) ** (d - 1) * mp.exp(
            -(mp.mpf(float(r)) ** 2 + kappa**2) / 2
        )
        exact *= mp.mpf(2) ** (-nu) / mp.gamma(nu + 1) * series
        ratio = mp.mpf(float(r)) / d * mp.hyp0f1(nu + 2, z**2 / 4) / series
        if exact > 1e-25:
            assert density[0] == pytest.approx(float(exact), rel=1e-10)
        assert cosine[0] == pytest.approx(float(ratio), rel=1e-10)


@pytest.mark.parametrize("d", [*DIMENSIONS, 10**6])
@pytest.mark.parametrize("kappa", [0.0, 0.01, 0.5, 3.0, 50.0, 1000.0])
def test_mean_cosine_is_kummers_function(d, kappa):
    """E cos = κ Γ((d+1)/2)/(√2 Γ(d/2+1)) ₁F₁(½; d/2+1; -κ²/2)."""
    mp.mp.dps = 40
    half = mp.mpf(d) / 2
    exact = kappa * mp.gamma(half + 0.5) / (mp.sqrt(2) * mp.gamma(half + 1))
    exact *= mp.hyp1f1(0.5, half + 1, -(mp.mpf(kappa) ** 2) / 2)
    assert mean_cosine(d, kappa) == pytest.approx(float(exact), rel=1e-12)


def test_mean_cosine_without_noise():
    assert mean_cosine(5, np.inf) == 1.0


@pytest.mark.parametrize("d", [10**4, 10**6])
def test_density_integrates_to_one_in_high_dimension(d):
    for kappa in (0.0, 1.0, 30.0, 1000.0):
        centre = np.sqrt(kappa**2 + d - 1)
        r = np.linspace(centre - 9, centre + 9, 2001)
        density, _ = radial_density(d, np.array([kappa]), r)
        assert density.sum() * (r[1] - r[0]) == pytest.approx(1, abs=2e-9)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 100, 10**6])
@pytest.mark.parametrize("kappa", [1e4, 1e6, 1e8])
def test_density_integrates_to_one_far_out(d, kappa):
    """Where r² and κ² are 10¹⁶ and their difference is of order 1."""
    centre = np.sqrt(kappa**2 + d - 1)
    r = np.linspace(centre - 9, centre + 9, 2001)
    density, _ = radial_density(d, np.array([kappa]), r)
    assert density.sum() * 18 / 2000 == pytest.approx(1, abs=1e-6)
