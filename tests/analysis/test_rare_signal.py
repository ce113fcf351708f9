"""Rare samples that carry the gradient: proved, and against a law built sample by sample."""

import itertools

import numpy as np
import pytest

from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.rare_signal import attack, claim, measured


def test_every_step_follows():
    assert claim.verify() == len(claim.steps) + len(claim.witness)


def test_the_attack_fails():
    assert attack(np.random.default_rng(7)) > -1e-12


def test_value_by_hand():
    """At p = 2/3, κ = 1/3, b = 2: σ√(√4 - 1) = σ."""
    values = claim.evaluate(b=2, epsilon=1 - (2 / 3) ** 0.5, sigma=3.0)
    assert values["exact_bias"] == pytest.approx(3.0)


def test_the_pull_by_listing_every_micro_batch():
    """Second route, b = 3: all 2³ micro-batches, just inside and just beyond the bias."""
    size, clean = 3, 0.8
    bias = float(claim.evaluate(b=size, epsilon=1 - clean ** (1 / 3), sigma=1.0)["exact_bias"])
    usual = (1 - 1 / (2 * clean)) ** (1 / 3)
    values, chances = [-bias, bias * usual / (1 - usual)], [usual, 1 - usual]
    assert np.dot(chances, values) == pytest.approx(0)
    assert np.dot(chances, np.square(values)) == pytest.approx(1)
    for factor, expected in ((1 - 1e-9, 0.0), (1 + 1e-9, 2 * clean - 1)):
        pull = clean - 1
        for rare in itertools.product((0, 1), repeat=size):
            mean = factor * bias + np.mean([values[r] for r in rare])
            pull += clean * np.prod([chances[r] for r in rare]) * np.sign(mean)
        assert pull == pytest.approx(expected, abs=1e-12)


def test_at_one_sample_it_is_the_radius_and_below_it_for_more():
    at = {"epsilon": 0.01, "sigma": 1.0}
    sizes = np.arange(1, 69)
    ratio = claim.evaluate(b=sizes, **at)["exact_bias"]
    ratio = ratio / radius_claim.evaluate(b=sizes, alpha=1.0, **at)["bias_radius"]
    assert ratio[0] == pytest.approx(1)
    assert (ratio[1:] < 1).all()


def test_nothing_beyond_the_breakdown():
    values = claim.evaluate(b=[68, 69], epsilon=0.01, sigma=1)
    assert np.isfinite(values["exact_bias"]).tolist() == [True, False]


def test_large_micro_batches_are_enumerated_without_overflow():
    assert measured(5000, 0.7) * 5000**0.5 == pytest.approx(np.log(3.5) ** 0.5, rel=1e-3)
