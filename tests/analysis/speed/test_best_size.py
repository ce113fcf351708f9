"""The fastest size: against the equation for it, searches over whole sizes, tables."""

import numpy as np
import pytest
from scipy import optimize, special, stats

from analysis.claims import CLAIMS
from analysis.spec.checking import SpecificationError
from analysis.speed.best_size import (
    best_divisor,
    best_size,
    log_relative_efficiency,
    speed_table,
)
from analysis.speed.norms import GammaNorms, RecordedNorms

RARE = -np.log1p(-0.005)


@pytest.mark.parametrize(
    ("kurtosis", "fraction"), [(3, 0.005), (1.5, 0.02), (12.6, 1e-4), (60, 1e-7)]
)
def test_gamma_norms_by_the_integral_equation(kurtosis, fraction):
    """∫_0^∞ e^(-nt) tanh(t/2) dt = 2μ, n = 2b/(κ-1), μ = λ(κ-1)/2; and a search."""
    spread = (kurtosis - 1) / 2
    rate = -np.log1p(-fraction) * spread
    t = np.exp(np.arange(-40, 10, 0.1))

    def excess(n):
        return 0.1 * (t * np.exp(-n * t) * np.tanh(t / 2)).sum() - 2 * rate

    found = best_size(GammaNorms(kurtosis), fraction)
    exact = spread * optimize.brentq(excess, 1e-3, 1e6, xtol=1e-13)
    assert found == pytest.approx(exact, rel=1e-8)
    search = optimize.minimize_scalar(
        lambda b: -log_relative_efficiency(GammaNorms(kurtosis), fraction, b),
        bounds=(1, 1e5),
        method="bounded",
    )
    assert found == pytest.approx(search.x, rel=1e-4)
    bounds = CLAIMS["kurtosis_size"].evaluate(
        kurtosis=kurtosis, dragger_fraction=fraction
    )
    assert bounds["smallest_best_size"] < found < bounds["largest_best_size"]


def test_recorded_norms_by_a_search():
    norms = RecordedNorms([0.0, 0.1, 0.5, 1.0, 3.0])
    search = optimize.minimize_scalar(
        lambda b: -log_relative_efficiency(norms, 0.01, b),
        bounds=(1, 100),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert best_size(norms, 0.01) == pytest.approx(search.x, rel=1e-6)


def sparse(b, share):
    """R(b) where a share of the samples has a Gaussian residual, the others none."""
    k = np.arange(1, b + 1)
    chi = np.sqrt(2) * np.exp(special.gammaln((k + 1) / 2) - special.gammaln(k / 2))
    return stats.binom.pmf(k, b, share) @ chi / np.sqrt(b * share)


def sparse_norms(share, n=4000):
    """Quantiles of |residual|: Gaussian for that share of the samples, else zero."""
    probability = (np.arange(n) + 0.5) / n
    beyond = np.maximum(probability - (1 - share), 0) / share
    return RecordedNorms(special.ndtri((1 + beyond) / 2))


@pytest.mark.parametrize("kurtosis", [3.0, 4.3, 12.6, 60.0])
def test_sparse_residuals_by_a_search_over_whole_sizes(kurtosis):
    """ε = 0.005. ln F is concave: the best whole size is next to the best real one.

    By binomial counts of chi variables, and by Laplace's form over quantiles.
    """
    share = 3 / kurtosis
    F = [np.exp(-2 * RARE * b) * sparse(b, share) ** 2 for b in range(1, 200)]
    assert abs(np.argmax(F) + 1 - best_size(sparse_norms(share), 0.005)) < 1


@pytest.mark.parametrize("kurtosis", [4.3, 12.6, 60.0])
def test_the_remainder_of_the_formula(kurtosis):
    """√((κ-1)/(8λ)) has a relative error of order √λ: a tenth at ε/100, so below half.

    The next term of ln R² is of order 1/b², as its first is of order 1/b.
    """
    norms = sparse_norms(3 / kurtosis)
    errors = []
    for fraction in (5e-3, 5e-5):
        formula = np.sqrt((norms.kurtosis - 1) / (8 * -np.log1p(-fraction)))
        errors.append(abs(best_size(norms, fraction) / formula - 1))
    assert errors[1] < errors[0] / 2


def test_numbers_that_the_notes_quote():
    """Kurtosis 12.6: fastest at 19 where the formula says 17."""
    F = [np.exp(-2 * RARE * b) * sparse(b, 3 / 12.6) ** 2 for b in range(1, 200)]
    assert np.argmax(F) + 1 == 19
    assert round(np.sqrt(11.6 / (8 * RARE))) == 17


def test_the_kurtosis_does_not_say_all():
    """One norm in ten thousand is 30 times as long: the formula is far too large.

    κ = 234; the twin, gamma norms of this kurtosis, is best where the formula says.
    """
    recorded = RecordedNorms([1.0, 0.05] * 5000 + [30.0])
    formula = np.sqrt((recorded.kurtosis - 1) / 8 / 1e-4)
    assert formula / best_size(recorded, 1e-4) == pytest.approx(3.8, abs=0.05)
    assert best_size(GammaNorms(recorded.kurtosis), 1e-4) > 0.9 * formula


def test_least_squares_in_a_thousand_dimensions():
    """Eff = x/(1 + (1 - 1/m)x) with x = (B/d)F(b): ε = 0.02, B = 64, d = 1000."""
    sizes = np.array([1, 2, 4, 8, 16])
    F = np.exp(log_relative_efficiency(GammaNorms(3.0), 0.02, sizes))
    x = 64 / 1000 * F
    table = x / (1 + (1 - sizes / 64) * x)
    assert table == pytest.approx([0.0377, 0.0444, 0.0460, 0.0419, 0.0317], abs=5e-5)


def test_single_samples_lose_a_third():
    """36 % for Gaussian residuals, 97 % where one sample in twenty has a residual."""
    lost = 1 - GammaNorms(3.0).root_mean_square(1) ** 2
    assert lost == pytest.approx(1 - 2 / np.pi)
    assert 1 - sparse(1, 0.05) ** 2 == pytest.approx(0.968, abs=1e-3)


def test_the_ends():
    """No draggers, so few that 10⁹ is not enough, equal norms, draggers everywhere."""
    assert best_size(GammaNorms(3.0), 0.0) is None
    assert best_size(GammaNorms(3.0), 1e-20) is None
    assert best_size(GammaNorms(1.0), 0.01) == 1
    assert best_size(GammaNorms(3.0), 0.9) == 1
    least = (1 - np.exp(-(2 * np.log(2) - 1) / 2), 1e-3)
    assert best_size(GammaNorms(3.0), least[0] * 1.001) == 1
    assert best_size(GammaNorms(3.0), least[0] * 0.99) > 1
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(SpecificationError, match="dragger_fraction"):
            best_size(GammaNorms(3.0), fraction)


@pytest.mark.parametrize("batch", [1, 7, 64, 96, 97])
def test_the_best_divisor(batch):
    """Of all divisors; F is log-concave, so it is one of the two around the best."""
    norms = RecordedNorms([0.1, 0.5, 1.0, 3.0])
    F = {
        b: float(log_relative_efficiency(norms, 0.01, b))
        for b in range(1, batch + 1)
        if batch % b == 0
    }
    assert best_divisor(norms, 0.01, batch) == max(F, key=F.get)
    assert best_divisor(norms, 0.0, batch) == batch
    assert best_divisor(GammaNorms(1.0), 0.0, batch) == 1


def test_the_table():
    table = speed_table(GammaNorms(3.0), 0.005, 64)
    assert [row["micro_batch_size"] for row in table["results"]] == [
        *(1, 2, 4, 8, 16, 32, 64)
    ]
    assert table["admissible"] in table["results"]
    values = [row["relative_efficiency"] for row in table["results"]]
    assert max(values) <= table["relative_efficiency"] < 1
    assert table["admissible"]["relative_efficiency"] == max(values)
    sizes = speed_table(GammaNorms(3.0), 0.005)["results"]
    assert sizes[-1]["micro_batch_size"] == 64
