"""R(b) of gamma and recorded norms by other routes: Γ, quadrature, enumeration."""

from itertools import product

import mpmath
import numpy as np
import pytest
from scipy import integrate

from analysis.spec.checking import SpecificationError
from analysis.speed.norms import GammaNorms, RecordedNorms

NORMS = [0.1, 0.5, 1.0, 3.0]


@pytest.mark.parametrize("kurtosis", [1.001, 2.0, 3.0, 12.6, 60.0, 1e6])
def test_gamma_norms_by_the_density(kurtosis):
    """E √x over the gamma density of a mean of b, in mpmath."""
    for b in (1, 3, 40):
        shape = mpmath.mpf(b) / (mpmath.mpf(kurtosis) - 1)
        exact = mpmath.gamma(shape + 0.5) / mpmath.gamma(shape) / mpmath.sqrt(shape)
        value = GammaNorms(kurtosis).root_mean_square(b)
        assert value == pytest.approx(float(exact), rel=1e-11)
    shape = 3 / (kurtosis - 1)
    if 0.2 < shape < 20:
        integral = mpmath.quad(
            lambda y: 2 * y ** (2 * shape) * mpmath.exp(-(y**2)),
            [0, 1, 3, 20],
        )
        by_density = integral / mpmath.gamma(shape) / mpmath.sqrt(shape)
        value = GammaNorms(kurtosis).root_mean_square(3)
        assert value == pytest.approx(float(by_density), rel=1e-9)


def test_gaussian_residuals_are_gamma_norms_of_kurtosis_3():
    """E|x|/1 = √(2/π) at b = 1, and √π/2 at b = 2 (Rayleigh)."""
    values = GammaNorms(3.0).root_mean_square([1, 2])
    assert values == pytest.approx([np.sqrt(2 / np.pi), np.sqrt(np.pi) / 2], rel=1e-13)


def test_equal_norms():
    assert (GammaNorms(1.0).root_mean_square([1, 7.5, 1e9]) == 1).all()
    assert RecordedNorms([2.0, 2.0]).root_mean_square([1, 7.5, 1e9]) == pytest.approx(
        1, abs=1e-12
    )
    for kurtosis in (0.99, 2e9, float("nan")):
        with pytest.raises(SpecificationError, match="kurtosis"):
            GammaNorms(kurtosis)


@pytest.mark.parametrize("norms", [NORMS, [0.0, 0.0, 5.0], [1e-9, 1e9]])
def test_recorded_norms_by_enumeration(norms):
    """All n^b micro-batches, one by one."""
    square = np.array(norms) ** 2 / np.mean(np.array(norms) ** 2)
    for b in (1, 2, 3, 5):
        means = [np.mean(batch) for batch in product(square, repeat=b)]
        exact = np.mean(np.sqrt(means))
        value = RecordedNorms(norms).root_mean_square(b)
        assert value == pytest.approx(exact, rel=1e-11)


def test_recorded_norms_at_a_size_that_is_not_whole():
    """Laplace's form by adaptive quadrature over t = v², at b = 2.5."""
    square = np.array(NORMS) ** 2 / np.mean(np.array(NORMS) ** 2)

    def integrand(v):
        """(1 - φ(t/b)^b)/v², of which the integral is √π R."""
        falls = -np.mean(np.expm1(-(v**2) / 2.5 * square))
        if v > 1:
            return (1 - (1 - falls) ** 2.5) / v**2
        return -np.expm1(2.5 * np.log1p(-falls)) / v**2  # no digits lost at small v

    parts = [
        integrate.quad(integrand, *ends, epsabs=1e-13, epsrel=1e-13, limit=200)[0]
        for ends in ((0, 1), (1, 10), (10, 400))
    ]
    exact = (sum(parts) + 1 / 400) / np.sqrt(np.pi)
    value = RecordedNorms(NORMS).root_mean_square(2.5)
    assert value == pytest.approx(exact, rel=1e-10)


def test_recorded_gamma_norms():
    """10 000 quantiles of Gaussian residuals, against the formula: to 1e-3."""
    from scipy import special

    quantiles = special.ndtri((np.arange(10_000) + 0.5) / 10_000)
    sizes = [1, 2, 8, 64]
    recorded = RecordedNorms(np.abs(quantiles)).root_mean_square(sizes)
    exact = GammaNorms(3.0).root_mean_square(sizes)
    assert recorded == pytest.approx(exact, rel=1e-3)
    assert RecordedNorms(quantiles**2).kurtosis > 10


def test_the_unit_of_the_norms_does_not_matter():
    a, b = RecordedNorms(NORMS), RecordedNorms(1e200 * np.array(NORMS))
    assert a.kurtosis == pytest.approx(b.kurtosis, rel=1e-14)
    assert a.root_mean_square(4) == pytest.approx(b.root_mean_square(4), rel=1e-14)
