"""Least squares in many dimensions: closed forms, samples of the law, refusals."""

import math

import numpy as np
import pytest
from scipy import special

from analysis.claims.attacks.rho_fluctuation import ratio_by_tails
from analysis.spec.checking import SpecificationError
from analysis.spec.rule import Clipping
from analysis.speed.best_size import log_relative_efficiency
from analysis.speed.least_squares import (
    LeastSquares,
    least_squares_efficiency,
)
from analysis.speed.norms import GammaNorms

NEGLIGIBLE = 1e-4  # an alignment, where gradients have nothing in common


def of(rule, b, problem, B=64):
    return least_squares_efficiency(problem, Clipping(rule, B, b))


def mean_chi(b):
    return math.sqrt(2) * special.poch(b / 2, 0.5)


@pytest.mark.parametrize("b", [1, 2, 4, 8, 16])
def test_the_table_of_a_simulation(b):
    """Least squares with d = 1000, B = 64, draggers a hundred times as long, ε = 0.02.

    Simulated elsewhere by NumPy, with errors of about 2 %; those of Algorithm 1 at
    b = 16, of which few steps decide, are not compared.
    """
    normalized = {1: 0.0379, 2: 0.0446, 4: 0.0463, 8: 0.0422, 16: 0.0324}
    adaptive = {1: 0.0197, 2: 0.0360, 4: 0.0434, 8: 0.0412}
    problem = LeastSquares(1 / math.sqrt(1000), 0.02, 100.0)
    found = of("normalized", b, problem).efficiency
    assert found == pytest.approx(normalized[b], rel=0.03)
    if b in adaptive:
        assert of("adaptive", b, problem).efficiency == pytest.approx(
            adaptive[b], rel=0.03
        )


@pytest.mark.parametrize("b", [1, 2, 5, 16])
def test_the_normalized_rule_in_the_limit(b):
    """(1-ε)^(2b)(E χ_b)² a² m, for draggers without end and little signal."""
    m = 12
    epsilon = 0.03
    problem = LeastSquares(NEGLIGIBLE, epsilon, 1e9)
    found = of("normalized", b, problem, m * b).efficiency
    pull = (1 - epsilon) ** b * mean_chi(b) * NEGLIGIBLE
    assert found == pytest.approx(m * pull**2, rel=1e-4)


@pytest.mark.parametrize("m", [2, 3, 8, 64])
def test_two_samples_in_closed_form(m):
    """Lengths χ_2 and an alignment in proportion: m(1/m + arctan(√a)/√a)²/π, a = m-1.

    The first term is ∫tS^m dt, the second ∫S^(m-1) ∫_t^∞ S, by polar coordinates. At
    m = 2 Algorithm 1 is the faster rule, from m = 3 on the normalized one.
    """
    problem = LeastSquares(NEGLIGIBLE, 0.0, 0.0)
    adaptive, normalized = (
        of(rule, 2, problem, 2 * m).efficiency for rule in ("adaptive", "normalized")
    )
    root = math.sqrt(m - 1)
    expected = m * (1 / m + math.atan(root) / root) ** 2 / math.pi
    assert adaptive / normalized == pytest.approx(expected, rel=1e-4)
    assert (expected > 1) == (m == 2)


def test_many_micro_batches_of_one_sample():
    """(E ρ)²/E ρ² → 1/2: the norms' density at 0 is positive."""
    problem = LeastSquares(1e-6, 0.0, 0.0)
    adaptive, normalized = (
        of(rule, 1, problem, 4096).efficiency for rule in ("adaptive", "normalized")
    )
    assert adaptive / normalized == pytest.approx(0.5, abs=2e-3)


@pytest.mark.parametrize("b", [2, 6])
def test_by_the_formula_of_the_claim_at_quantiles(b):
    """A discrete law of lengths and alignments in place of the integrals."""
    epsilon = 0.04
    norm = 6.0
    m = 5
    count = 4000
    u = (np.arange(count) + 0.5) / count
    parts = []
    for k in range(b + 1):
        x = 2 * special.gammaincinv((b - k) / 2, u) if k < b else np.zeros(count)
        length = np.sqrt(k * norm**2 + x)
        weight = math.comb(b, k) * epsilon**k * (1 - epsilon) ** (b - k)
        parts.append((length, x / length, np.full(count, weight / count)))
    law = [np.concatenate(column) for column in zip(*parts, strict=True)]
    problem = LeastSquares(NEGLIGIBLE, epsilon, norm)
    adaptive, normalized = (
        of(rule, b, problem, m * b).efficiency for rule in ("adaptive", "normalized")
    )
    assert adaptive / normalized == pytest.approx(ratio_by_tails(*law, m), rel=2e-3)


def test_sgd_by_moments():
    """A sample's gradient has mean (1-ε)∇f, square R²d(1-ε + εD²)."""
    d = 50
    epsilon = 0.02
    D = 10.0
    B = 32
    problem = LeastSquares(1 / math.sqrt(d), epsilon, D)
    square = d * (1 - epsilon + epsilon * D**2)
    mean = 1 - epsilon
    found = of("sgd", B, problem, B)
    expected = mean**2 / (mean**2 + (square - mean**2) / B)
    assert found.efficiency == pytest.approx(expected, rel=1e-12)
    assert found.best_step == pytest.approx(expected / mean, rel=1e-12)
    assert of("adaptive", B, problem, B) == found


def test_the_sizes_are_ranked_as_by_the_relative_efficiency():
    """With long draggers and little signal it is F, for norms of kurtosis 3."""
    epsilon = 0.01
    B = 64
    problem = LeastSquares(NEGLIGIBLE, epsilon, 1e9)
    sizes = np.array([1, 2, 4, 8, 16])
    found = [of("normalized", int(b), problem, B).efficiency for b in sizes]
    relative = np.exp(log_relative_efficiency(GammaNorms(3.0), epsilon, sizes))
    scale = B * NEGLIGIBLE**2
    assert np.array(found) / scale == pytest.approx(relative, rel=1e-4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.0, 0.1, 1.0), "alignment"),
        ((1.0, 0.1, 1.0), "alignment"),
        ((0.1, 1.0, 1.0), "dragger_fraction"),
        ((0.1, 0.1, -1.0), "dragger_norm"),
    ],
)
def test_bad_numbers_are_refused(values, said):
    with pytest.raises(SpecificationError, match=said):
        LeastSquares(*values)


def test_other_rules_are_refused():
    problem = LeastSquares(0.1, 0.0, 0.0)
    with pytest.raises(SpecificationError, match="normalized, adaptive, sgd"):
        least_squares_efficiency(problem, Clipping("fixed", 8, 2, 1.0))
    with pytest.raises(SpecificationError, match="divisor of 8"):
        of("adaptive", 3, problem, 8)
