"""The fluctuation of ρ: limits by integrals, the bound, a model in 10⁸ dimensions."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, special

from analysis.claims.attacks.rho_fluctuation import ratio_by_outcomes, ratio_by_tails
from analysis.claims.rho_fluctuation import claim
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping
from analysis.speed.efficiency import Point, efficiency


def share(survival, m, end):
    """(∫S^m)²/∫2tS^m, to the end of the tail of the smallest of m."""
    mean, _ = integrate.quad(lambda t: survival(t) ** m, 0, end, epsabs=1e-13)
    square, _ = integrate.quad(lambda t: 2 * t * survival(t) ** m, 0, end, epsabs=1e-13)
    return mean**2 / square


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_limit_of_many_norms(k):
    """Norms χ_k, of density like r^(k-1) at 0: Γ(1+1/k)²/Γ(1+2/k) as m grows."""
    expected = special.gamma(1 + 1 / k) ** 2 / special.gamma(1 + 2 / k)
    off = []
    for m in (10**4, 10**6):
        end = np.sqrt(2 * special.gammaincinv(k / 2, 40 / m))
        found = share(lambda t: special.gammaincc(k / 2, t**2 / 2), m, end)
        off.append(abs(found / expected - 1))
    assert off[1] < 1e-2
    assert off[1] <= off[0] + 1e-9


@pytest.mark.parametrize("k", [1, 2, 3])
def test_weibull_norms_in_closed_form(k):
    """P(‖g‖ > t) = exp(-t^k): E ρ = Γ(1+1/k)/m^(1/k), E ρ² = Γ(1+2/k)/m^(2/k).

    By SymPy, so that the limit of many norms is reached at every m.
    """
    t = sp.Symbol("t", positive=True)
    m = sp.Symbol("m", positive=True)
    tail = sp.exp(-m * t**k)
    mean = sp.integrate(tail, (t, 0, sp.oo))
    square = sp.integrate(2 * t * tail, (t, 0, sp.oo))
    found = sp.simplify(mean**2 / square)
    expected = sp.gamma(1 + sp.Rational(1, k)) ** 2 / sp.gamma(1 + sp.Rational(2, k))
    assert sp.simplify(sp.gammasimp(found - expected)) == 0


def test_the_limits_in_numbers():
    """1/2 and π/4, then nearly 1 - π²/(6k²)."""
    k = np.array([1.0, 2.0, 16.0])
    limits = special.gamma(1 + 1 / k) ** 2 / special.gamma(1 + 2 / k)
    assert limits[:2] == pytest.approx([0.5, math.pi / 4])
    assert 1 - limits[2] == pytest.approx(math.pi**2 / (6 * 16**2), rel=0.15)


def test_the_bound_by_hand():
    """At p = 1/2, G = R = 1, a = 1/2, m = 2: (1/4)/(1/4·1/4) = 4."""
    values = claim.evaluate(
        gradient_norm=1.0,
        update_pull=0.5,
        dragger_fraction=0.5,
        micro_batch_size=1,
        micro_batches=2,
        dragger_norm=1.0,
    )
    assert values["contaminated_bound"] == pytest.approx(4.0)


def test_algorithm_1_may_be_faster():
    """The bound 1 + spread/(ma²), at m = 1 and an alignment in proportion to length."""
    lengths = np.array([0.5, 1.0, 3.0])
    weights = np.array([0.2, 0.5, 0.3])
    mean = weights @ lengths
    spread = weights @ lengths**2 - mean**2
    found = ratio_by_outcomes(lengths, lengths, weights, 1)
    assert found == pytest.approx(1 + spread / mean**2)
    assert ratio_by_outcomes(lengths, lengths, weights, 3) < 1 + spread / 3 / mean**2


@pytest.mark.parametrize("norm", [30.0, 300.0])
def test_a_model_in_many_dimensions(norm):
    """The exact efficiencies in 10⁸ dimensions, where a composition has one length.

    There clean micro-batches are all of one length, the clipping norm unless all are
    contaminated; then Algorithm 1 is slow, as the bound says.
    """
    G = 0.01
    b = 2
    B = 8
    epsilon = 0.1
    table = {
        "dimension": 10**8,
        "dragger_fraction": epsilon,
        "noise": {"law": "gaussian", "scale": 1.0},
        "dragger": {"law": "isotropic", "norm": norm},
    }
    point = Point.along(GradientModel.read(table), G)
    adaptive, normalized = (
        efficiency(point, Clipping(rule, B, b)).efficiency
        for rule in ("adaptive", "normalized")
    )
    k = np.arange(b + 1)
    lengths = np.sqrt((b - k) + k * norm**2) / b
    alignments = (b - k) * G / b / lengths
    weights = np.array([1, 2, 1]) * epsilon**k * (1 - epsilon) ** (b - k)
    expected = ratio_by_tails(lengths, alignments, weights, B // b)
    assert adaptive / normalized == pytest.approx(expected, rel=2e-3)
    bound = claim.evaluate(
        gradient_norm=G,
        update_pull=float(weights @ alignments),
        dragger_fraction=epsilon,
        micro_batch_size=b,
        micro_batches=B // b,
        dragger_norm=norm,
    )["contaminated_bound"]
    assert adaptive / normalized < bound
