"""Rare samples that point back: proved, and against a law built sample by sample."""

import itertools

import numpy as np
import pytest

from analysis.claims.attacks.rare_outlier import measured
from analysis.claims.rare_outlier import claim


def test_value_by_hand():
    """At p = 2/3 and b = 1 a rare sample has chance q = 1/4: σ(1-q)/√(q(1-q)) = σ√3."""
    assert claim.evaluate(b=1, epsilon=1 / 3, sigma=2.0)[
        "limiting_bias"
    ] == pytest.approx(12**0.5)


def test_the_pull_by_listing_every_micro_batch():
    """Second route, b = 3: 2³ micro-batches; beyond the bias one rare one points on."""
    size = 3
    clean = 0.8
    bias = float(
        claim.evaluate(b=size, epsilon=1 - clean ** (1 / 3), sigma=1.0)["limiting_bias"]
    )
    usual = (1 / (2 * clean)) ** (1 / 3)
    chances = [usual, 1 - usual]
    values = [np.sqrt(1 / usual - 1), -np.sqrt(usual / (1 - usual))]
    assert np.dot(chances, values) == pytest.approx(0)
    assert np.dot(chances, np.square(values)) == pytest.approx(1)
    one = 3 * (1 - usual) * usual**2
    for factor, expected in ((0.9, 0.0), (1 - 1e-9, 0.0), (1 + 1e-9, 2 * clean * one)):
        pull = clean - 1
        for rare in itertools.product((0, 1), repeat=size):
            mean = factor * bias + np.mean([values[r] for r in rare])
            pull += clean * np.prod([chances[r] for r in rare]) * np.sign(mean)
        assert pull == pytest.approx(expected, abs=1e-12)


def test_nothing_beyond_the_breakdown():
    values = claim.evaluate(b=[68, 69], epsilon=0.01, sigma=1)
    assert np.isfinite(values["limiting_bias"]).tolist() == [True, False]


def test_large_micro_batches_tend_to_the_limit():
    k = np.log(1.4)
    ends = np.array(measured(5000, 0.7))
    assert ends * 5000**0.5 == pytest.approx((1 - k) / k**0.5, rel=1e-3)


@pytest.mark.parametrize(("size", "expected"), [(8, 0.1962), (31, 0.1822)])
def test_the_point_of_rest_is_unique_in_the_family_and_not_in_the_limit(size, expected):
    """At even balance all G up to the limit are at rest, below it none beyond 0."""
    clean = 0.99**size
    value = claim.evaluate(b=size, epsilon=0.01, sigma=1.0)["limiting_bias"]
    assert value == pytest.approx(expected, abs=1e-4)
    assert measured(size, clean, 1 + 1e-6) == pytest.approx((value, value), rel=1e-4)
    low, high = measured(size, clean, 1.0)
    assert high == pytest.approx(value, rel=1e-9)
    assert low < 0.2 * value
    # the other side of the balance
    assert measured(size, clean, 1 - 1e-6)[1] < 0.2 * value
