"""The fastest size: Hölder and Laplace by numbers, its guarantee, where it is 1."""

import mpmath
import numpy as np
import pytest

from analysis.claims.speed_sweet_spot import claim
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule
from analysis.speed.best_size import best_size, log_relative_efficiency
from analysis.speed.efficiency import Point, efficiency
from analysis.speed.norms import GammaNorms, RecordedNorms


def test_the_transforms_are_log_convex_in_the_size():
    """φ(t/b)^b at three sizes, not whole ones, for random norms and t."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        square = rng.gamma(0.3, size=5)
        t, b1, b2 = np.exp(rng.normal(size=3) * 2)

        def log_power(b, square=square, t=t):
            return b * np.log(np.mean(np.exp(-t / b * square)))

        middle = log_power((b1 + b2) / 2)
        assert middle <= (log_power(b1) + log_power(b2)) / 2 + 1e-13


def test_the_root_by_laplace():
    """√x = ∫_0^∞ (1 - e^(-tx)) t^(-3/2) dt/(2√π)."""
    for x in (0.3, 2.0):
        integral = mpmath.quad(
            lambda u, x=x: (1 - mpmath.exp(-x * mpmath.exp(u))) * mpmath.exp(-u / 2),
            range(-60, 61, 10),
        )
        root = integral / (2 * mpmath.sqrt(mpmath.pi))
        assert float(root) == pytest.approx(x**0.5, rel=1e-9)


def test_the_guarantee():
    """At the size b = √((κ-1)/(8λ)) of other norms of this kurtosis as well."""
    at = {"micro_batch_size": 16.0, "dragger_fraction": 0.005, "kurtosis": 12.0}
    expected = 0.995**32 * (1 - 11 / 32) ** 2
    guaranteed = claim.evaluate(**at)["guaranteed_relative_efficiency"]
    assert guaranteed == pytest.approx(expected)
    two = RecordedNorms([0.0] * 11 + [1.0])
    assert two.kurtosis == pytest.approx(12)
    for norms in (two, GammaNorms(12.0)):
        assert np.exp(log_relative_efficiency(norms, 0.005, 16.0)) > guaranteed
    few = claim.evaluate(**(at | {"micro_batch_size": 5.0}))
    assert np.isnan(few["guaranteed_relative_efficiency"])


def ratio(b, norms, signal):
    """E[Σ s_i/√(Σ a_i²)]²/b by enumeration, all norms equally probable."""
    grid = np.stack(np.meshgrid(*b * [np.arange(len(norms))])).reshape(b, -1)
    sums = signal[grid].sum(0) / np.sqrt((norms[grid] ** 2).sum(0))
    return float(np.mean(sums)) ** 2 / b


def test_no_sweet_spot_where_the_signal_is_proportional_to_the_norm():
    """With s = a one sample is best without draggers too. The twin, s = a², gains."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        norms = np.exp(rng.normal(size=4) * rng.uniform(0.1, 3))
        by_norm = [ratio(b, norms, norms) for b in range(1, 7)]
        by_square = [ratio(b, norms, norms**2) for b in range(1, 7)]
        assert max(by_norm) <= by_norm[0] * (1 + 1e-12)
        assert (np.diff(by_square) > 0).all()


@pytest.mark.parametrize("dimension", [1, 2, 50])
def test_no_sweet_spot_under_gaussian_noise_of_one_size(dimension):
    """Eff is (1-ε)^(2b) times a constant, largest at b = 1, in every dimension.

    Little signal, and isotropic draggers of norm 10⁸: the exact efficiency.
    """
    model = GradientModel.read(
        {
            "dimension": dimension,
            "dragger_fraction": 0.01,
            "noise": {"law": "gaussian", "scale": 1.0},
            "dragger": {"law": "isotropic", "norm": 1e8},
        }
    )
    point = Point.along(model, 1e-4)
    values = [
        efficiency(point, Clipping(Rule.NORMALIZED, 64, b)).efficiency / 0.99 ** (2 * b)
        for b in (1, 4, 64)
    ]
    assert values == pytest.approx(3 * [values[0]], rel=1e-4)
    assert best_size(GammaNorms(1.0), 1e-6) == 1
