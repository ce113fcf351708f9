"""Normals of the CPU engine in float32: their polynomials and rounding."""

import numpy as np
import pytest

from sim.random import bulk, philox
from sim.random.normals import COS, LOG, SIN


def polynomial(coefficients, x):
    return np.polynomial.polynomial.polyval(x, coefficients)


def logarithm(coefficients):
    f = np.linspace(2**-0.5 - 1, 2**0.5 - 1, 20_001)
    f = f[f != 0]
    return np.abs(f * polynomial(coefficients, f) / (-2 * np.log1p(f)) - 1).max()


def sine(coefficients):
    x = np.linspace(-1, 1, 20_001)
    return np.abs(
        x * (1 - x**2) * polynomial(coefficients, x**2) - np.sin(np.pi * x)
    ).max()


def cosine(coefficients):
    x = np.linspace(-1, 1, 20_001)
    return np.abs(
        (1 - 4 * x**2) * polynomial(coefficients, x**2) - np.cos(np.pi * x)
    ).max()


@pytest.mark.parametrize(
    ("error", "coefficients", "bound"),
    [(logarithm, LOG, 2.7e-8), (sine, SIN, 1.3e-8), (cosine, COS, 1.3e-8)],
)
def test_polynomials(error, coefficients, bound):
    """Errors as stated; a millionth more of any coefficient is seen."""
    assert error(coefficients) < bound
    for k, c in enumerate(coefficients[:3]):
        assert (
            error((*coefficients[:k], c * (1 + 1e-6), *coefficients[k + 1 :])) > bound
        )


def test_normals_to_float32_rounding():
    """U and angle are rounded to 24 bits, so r is off by 2⁻²⁴/r and 2⁻²³ of itself."""
    key = philox.key(1, 8, 0.1)
    count = 100_000
    exact = philox.normals(key, philox.NORMALS, [3], 7, count)[0]
    found = bulk.normals(key, philox.NORMALS, [3], 7, count, np.float32)[0]
    radius = np.repeat(np.hypot(exact[::2], exact[1::2]), 2)
    allowed = 4e-7 * radius + 1.2e-7 / radius
    assert (np.abs(found - exact) < allowed).all()
    assert (np.abs(found * (1 + 2e-6) - exact) > allowed).any()
