"""The length and the direction of a Gaussian vector, in any dimension.

For g ~ N(μ, I_d) with κ = ‖μ‖ the length r = ‖g‖ has the noncentral chi density

    f(r) = r^(d-1) e^{-(r²+κ²)/2} 2^{-ν} / Γ(ν+1) · ₀F₁(ν+1; (κr)²/4),    ν = d/2 - 1,

and given the length, E[cos(g, μ) | r] = I_{ν+1}(κr)/I_ν(κr) (Fisher, Proc. R. Soc. A
217, 1953). Everything is computed from logarithms, so dimension 10⁶ neither overflows
nor underflows.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
LARGE_ORDER = 25.0  # from here on the uniform expansion of I_ν below is exact to 1e-12


@lru_cache(maxsize=1)
def _debye_polynomials() -> list[np.polynomial.Polynomial]:
    """U_1 … U_8 of the uniform expansion of I_ν, by recursion (DLMF 10.41.9)."""
    P = np.polynomial.Polynomial
    u = P([1.0])
    result = []
    for _ in range(8):
        u = P([0, 0, 0.5, 0, -0.5]) * u.deriv() + (P([1, 0, -5]) * u).integ() / 8
        result.append(u)
    return result


@lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(64)
    return nodes, weights


def _stirling_remainder(x: float) -> float:
    """Ln Γ(x+1) - [(x + ½) ln x - x + ½ ln 2π] for x >= 10 (DLMF 5.11.1)."""
    y = 1 / x**2
    return (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))) / x


def log_0f1(nu: float, z: Array) -> Array:
    """Ln ₀F₁(ν+1; z²/4) - z for ν >= -1/2, z >= 0: ln[I_ν(z) e^{-z} Γ(ν+1) (2/z)^ν]."""
    if nu >= LARGE_ORDER:
        y = z / nu
        root = np.sqrt(1 + y * y)
        q = y * y / (1 + root)  # = root - 1
        tail = sum(
            u(1 / root) / nu ** (k + 1) for k, u in enumerate(_debye_polynomials())
        )
        exponent = 1 / (root + y) - 1 - np.log1p(q / 2)
        return (
            nu * exponent
            - np.log1p(y * y) / 4
            + np.log1p(tail)
            + _stirling_remainder(nu)
        )
    if nu == -0.5:
        return np.log1p(np.exp(-2 * z)) - np.log(2)
    if nu == 0.5:
        return np.log(_ratio(-np.expm1(-2 * z), 2 * z))
    result = np.empty_like(z)
    far = z > max(30.0, 2 * nu * nu)
    result[far] = _log_hankel(nu, z[far])
    near = z[~far]
    x = near * near / 4
    series = x / (nu + 1) * (1 + x / (2 * (nu + 2)) * (1 + x / (3 * (nu + 3))))
    safe = np.where(x < 1e-4, 1.0, near)
    if nu == 1.5:
        bessel = np.log(1.5 * (safe - 1 + (safe + 1) * np.exp(-2 * safe)) / safe**3)
        result[~far] = np.where(x < 1e-4, np.log1p(series) - near, bessel)
        return result
    scaled = {0: special.i0e, 1: special.i1e}.get(nu, lambda x: special.ive(nu, x))  # type: ignore[call-overload]
    bessel = np.log(scaled(safe)) + special.gammaln(nu + 1) - nu * np.log(safe / 2)
    result[~far] = np.where(x < 1e-4, np.log1p(series) - near, bessel)
    return result


def _log_hankel(nu: float, z: Array) -> Array:
    """The same for large z: 13 terms of Hankel (DLMF 10.40.1), exact to 1e-14."""
    k = np.arange(1, 13)
    terms = np.cumprod(-(4 * nu**2 - (2 * k - 1) ** 2) / (8 * k))
    if z.size:  # fewer where they are below rounding
        terms = terms[np.abs(terms) > 1e-17 * z.min() ** k]
    bessel = np.polynomial.polynomial.polyval(1 / z, np.concatenate([[1.0], terms]))
    power = (nu + 0.5) * np.log(z / 2)
    return np.log(bessel) - power + special.gammaln(nu + 1) - np.log(4 * np.pi) / 2


def _ratio(numerator: Array, denominator: Array) -> Array:
    """numerator/denominator, 1 where the denominator is 0."""
    return np.where(
        denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), 1.0
    )


def _log_power(dimension: int, r: Array) -> Array:
    """Ln of r^(d-1) 2^{-ν} / Γ(ν+1)."""
    n = dimension - 1
    if n < 2 * LARGE_ORDER:
        nu = dimension / 2 - 1
        return n * np.log(r) - nu * np.log(2) - special.gammaln(nu + 1)
    constant = (1 + n - n * np.log1p(1 / n) - np.log(np.pi)) / 2 - _stirling_remainder(
        (n + 1) / 2
    )
    return constant + n * np.log(r / np.sqrt(n))  # the rest is of order n, not n ln n


def radial_density(dimension: int, kappa: Array, r: Array) -> tuple[Array, Array]:
    """Density f(r) of ‖g‖, and E[cos(g, μ) | ‖g‖ = r]/κ, for g ~ N(μ, I), ‖μ‖ = κ.

    `kappa` and `r` > 0 broadcast. The second result is finite at κ = 0, where it is
    r/dimension. The exponent is written with (r - κ)², so that large κ and r do not
    cancel.
    """
    nu = dimension / 2 - 1
    z = kappa * r
    base = log_0f1(nu, z)
    density = np.exp(_log_power(dimension, r) - (r - kappa) ** 2 / 2 + base)
    cosine = r / dimension * np.exp(log_0f1(nu + 1, z) - base)
    return density, cosine


def mean_cosine(dimension: int, kappa: Any) -> Array:
    """E cos(g, μ) for g ~ N(μ, I), ‖μ‖ = κ [...]; 1 at κ = ∞.

    The integral κ√(2/π) ∫_0^{π/2} cos^d θ e^{-κ² sin²θ/2} dθ by Gauss-Legendre
    quadrature on the part where the integrand exceeds e^{-40}; it is smooth there, so
    64 nodes give 1e-14.
    """
    kappa = np.asarray(kappa, dtype=np.float64)
    nodes, weights = _legendre()
    finite = np.minimum(kappa, 1e8)
    upper = np.minimum(np.pi / 2, np.sqrt(80.0 / (dimension + 0.4 * finite**2)))
    theta = upper[..., None] * (nodes + 1) / 2
    sine2 = np.sin(theta) ** 2
    exponent = (dimension * np.log1p(-sine2) - finite[..., None] ** 2 * sine2) / 2
    integral = np.exp(exponent) @ weights * upper / 2
    return np.where(kappa >= 1e8, 1.0, finite * np.sqrt(2 / np.pi) * integral)
