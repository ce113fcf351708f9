"""Rare samples that carry the gradient: proved, and against a law built by samples."""

import itertools

import numpy as np
import pytest

from analysis.claims.attacks.rare_signal import measured
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.rare_signal import claim


def test_value_by_hand():
    """At p = 2/3, κ = 1/3, b = 2: σ√(√4 - 1) = σ."""
    values = claim.evaluate(b=2, epsilon=1 - (2 / 3) ** 0.5, sigma=3.0)
    assert values["limiting_bias"] == pytest.approx(3.0)


def test_the_pull_by_listing_every_micro_batch():
    """Second route, b = 3: all 2³ micro-batches; no pull at all up to the bias."""
    size = 3
    clean = 0.8
    bias = float(
        claim.evaluate(b=size, epsilon=1 - clean ** (1 / 3), sigma=1.0)["limiting_bias"]
    )
    usual = (1 - 1 / (2 * clean)) ** (1 / 3)
    values = [-bias, bias * usual / (1 - usual)]
    chances = [usual, 1 - usual]
    assert np.dot(chances, values) == pytest.approx(0)
    assert np.dot(chances, np.square(values)) == pytest.approx(1)
    for factor, expected in ((0.3, 0.0), (1 - 1e-9, 0.0), (1 + 1e-9, 2 * clean - 1)):
        pull = clean - 1
        for rare in itertools.product((0, 1), repeat=size):
            mean = factor * bias + np.mean([values[r] for r in rare])
            pull += clean * np.prod([chances[r] for r in rare]) * np.sign(mean)
        assert pull == pytest.approx(expected, abs=1e-12)


def test_at_one_sample_it_is_the_radius_and_below_it_for_more():
    at = {"epsilon": 0.01, "sigma": 1.0}
    sizes = np.arange(1, 69)
    ratio = claim.evaluate(b=sizes, **at)["limiting_bias"]
    ratio = ratio / radius_claim.evaluate(b=sizes, alpha=1.0, **at)["bias_radius"]
    assert ratio[0] == pytest.approx(1)
    assert (ratio[1:] < 1).all()


def test_nothing_beyond_the_breakdown():
    values = claim.evaluate(b=[68, 69], epsilon=0.01, sigma=1)
    assert np.isfinite(values["limiting_bias"]).tolist() == [True, False]


def test_large_micro_batches_are_enumerated_without_overflow():
    ends = np.array(measured(5000, 0.7))
    assert ends * 5000**0.5 == pytest.approx(np.log(3.5) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(("size", "expected"), [(8, 0.3201), (31, 0.1942)])
def test_the_point_of_rest_is_unique_in_the_family_and_not_in_the_limit(size, expected):
    """At even balance every G from far below up to the limit is a point of rest."""
    clean = 0.99**size
    value = claim.evaluate(b=size, epsilon=0.01, sigma=1.0)["limiting_bias"]
    assert value == pytest.approx(expected, abs=1e-4)
    assert measured(size, clean, 1 - 1e-6) == pytest.approx((value, value), rel=1e-5)
    low, high = measured(size, clean, 1.0)
    assert high == pytest.approx(value, rel=1e-9)
    assert low < 0.2 * value
    # the other side of the balance
    assert measured(size, clean, 1 + 1e-6)[1] < 0.2 * value


def test_a_stationary_mean_on_the_interval_of_rest_is_not_the_limit():
    """Simulated at b = 1, ε = 0.01: E|G| far inside the continuum that the limit ends.

    20 000 steps of 0.02: nearly uniform between -β and β, so E|G| is near β/2; under
    the family's law with y = 0.8 ell it is near that law's point of rest. 500 runs:
    both margins are more than ten standard errors, found from the runs themselves.
    """
    rng = np.random.default_rng(3)
    step = 0.02
    clean = 0.99
    runs = 500
    value = float(claim.evaluate(b=1, epsilon=0.01, sigma=1.0)["limiting_bias"])

    def norms(share):
        usual = np.exp(-share * np.log1p(1 / (2 * clean - 1)))
        a = np.sqrt(1 / usual - 1)
        w, total = np.full(runs, value), np.zeros(runs)
        for i in range(20_000):
            rare = rng.random(runs) >= usual
            gradient = w + np.where(rare, a * usual / (1 - usual), -a)
            gradient = np.where(rng.random(runs) < clean, gradient, -1.0)
            w -= step * np.sign(gradient)
            total += abs(w) if i >= 10_000 else 0.0
        total /= 10_000
        return a, total.mean(), total.std() / runs**0.5

    rest, mean, error = norms(1.0)
    assert rest == pytest.approx(value)
    assert mean + 10 * error < 0.7 * value
    rest, mean, error = norms(0.8)
    assert mean - 10 * error > 0.85 * rest
