"""The fastest size by the kurtosis: integrals by parts, and how good the bounds are."""

import mpmath
import numpy as np
import pytest

from analysis.claims.kurtosis_size import claim
from analysis.speed.best_size import best_size
from analysis.speed.norms import GammaNorms


def integral(n, k):
    """I_k, the integral of e^(-nt) tanh(t/2)^k."""
    return mpmath.quad(
        lambda t: mpmath.exp(-n * t) * mpmath.tanh(t / 2) ** k, [0, 1, 5, 20, 400]
    )


@pytest.mark.parametrize("n", [0.3, 1.0, 7.5])
def test_the_integrals(n):
    """By parts, and the digamma function."""
    zeroth, first, second, third = (integral(n, k) for k in range(4))
    assert float(n * first) == pytest.approx(float((zeroth - second) / 2), rel=1e-9)
    assert float(n * second) == pytest.approx(float(first - third), rel=1e-9)
    difference = mpmath.digamma((n + 1) / 2) - mpmath.digamma(n / 2)
    assert float(zeroth + first) == pytest.approx(float(difference), rel=1e-9)
    assert 1 / (2 * n**2 + 1) < first < 1 / (2 * n**2)


@pytest.mark.parametrize("kurtosis", [1.1, 3.0, 60.0])
def test_the_bounds_close_in_as_draggers_become_rare(kurtosis):
    """Their ratio tends to 1 like λ(κ-1)/2, and the fastest size lies between."""
    for fraction in (1e-2, 1e-3, 1e-5):
        bounds = claim.evaluate(kurtosis=kurtosis, dragger_fraction=fraction)
        best = best_size(GammaNorms(kurtosis), fraction)
        upper, lower = bounds["largest_best_size"], bounds["smallest_best_size"]
        assert lower < best < upper or best == 1 > lower
        gap = -np.log1p(-fraction) * (kurtosis - 1)
        assert lower / upper == pytest.approx(np.sqrt(1 - gap), rel=1e-9)


def test_the_values():
    """ε = 0.005: 7.06 for Gaussian residuals; nothing below where λ(κ-1) > 1."""
    values = claim.evaluate(kurtosis=3.0, dragger_fraction=0.005)
    assert values["largest_best_size"] == pytest.approx(1 / (2 * 0.00501254**0.5), 1e-6)
    assert values["smallest_best_size"] == pytest.approx(7.02673, rel=1e-5)
    values = claim.evaluate(kurtosis=1000.0, dragger_fraction=0.005)
    assert np.isnan(values["smallest_best_size"])
