"""The best fixed threshold: proved, attacked, attained, not surpassed."""

import dataclasses

import numpy as np
import pytest
import sympy as sp
from scipy import optimize

from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.huber_lemma import pull_of
from analysis.claims.attacks.optimal_threshold import attack, worst_pull
from analysis.claims.huber_lemma import mean_pull_bound
from analysis.claims.optimal_threshold import claim
from analysis.proof.symbols import b, lam

INPUTS = {"dragger_fraction": 0.02, "noise_scale": 1.5, "alignment": 0.8}


def test_values_by_hand():
    """At p = 0.8, α = 1: θ = 1/4, so c* = s/√(3/4), radius s/√3, normalized s√(5/3)."""
    values = claim.evaluate(b=1, epsilon=0.2, sigma=3, alpha=1)
    assert values["threshold"] == pytest.approx(2 * 3**0.5)
    assert values["bias_radius"] == pytest.approx(3**0.5)
    assert values["normalized_radius"] == pytest.approx(15**0.5)
    assert values["gain"] == pytest.approx(0.2**0.5)


def worst(threshold, noise, ratio):
    """Where the lemma's pull balances the push: the rule's worst point of rest."""
    pull = lambda g: mean_pull_bound(g, threshold, noise) - ratio * threshold  # noqa: E731
    return optimize.brentq(pull, 1e-12, 100 * (noise + threshold), xtol=1e-14)


@pytest.mark.parametrize("size", [1, 8, 20])
def test_radius_and_threshold_by_minimising_the_worst_point_of_rest(size):
    """Second route: solve the lemma's exact balance per threshold, take the best."""
    noise, clean = 1.5 / np.sqrt(size), 0.98**size
    ratio = 0.8 * (1 - clean) / clean
    best = optimize.minimize_scalar(
        lambda log_c: worst(np.exp(log_c), noise, ratio),
        bounds=(-4, 4),
        method="bounded",
    )
    values = claim.evaluate(micro_batch_size=size, **INPUTS)
    assert values["bias_radius"] == pytest.approx(best.fun, rel=1e-8)
    assert values["threshold"] == pytest.approx(np.exp(best.x), rel=1e-3)


def test_small_thresholds_rest_at_the_normalized_radius_less_the_threshold():
    noise = 1.0
    ratio = 0.3
    c = 0.05
    normalized = noise * np.sqrt((1 + ratio) / (1 - ratio))
    assert worst(c, noise, ratio) == pytest.approx(normalized - c)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.45])
def test_the_worst_law_rests_at_the_radius_and_five_percent_less_is_violated(fraction):
    """At α = 1, b = 1: 2c* with chance θ = ε/(1-ε), else 0."""
    values = claim.evaluate(b=1, epsilon=fraction, sigma=1.0, alpha=1)
    radius, c, ratio = (
        values["bias_radius"],
        values["threshold"],
        fraction / (1 - fraction),
    )
    law = Distribution(np.array([[2 * c], [0.0]]), np.array([ratio, 1 - ratio]))
    assert abs(pull_of(law, radius, c) - ratio) < 1e-12
    assert pull_of(law, 0.95 * radius, c) < ratio - 1e-4
    assert pull_of(law, 1.05 * radius, c) > ratio + 1e-4
    assert worst_pull(radius, 1.0, c) == pytest.approx(ratio)


@pytest.mark.parametrize("wrong", ["threshold", "bias_radius"])
def test_the_attack_sees_a_wrong_formula(wrong):
    """What is attacked is what `evaluate` gives.

    It is off by 10 % in the size's exponent, or by √2 in c*.
    """
    values = dict(claim.values)
    values[wrong] *= sp.sqrt(2) if wrong == "threshold" else sp.exp(-lam * b / 10)
    worse = dataclasses.replace(claim, values=values)
    assert attack(worse, np.random.default_rng(7)) < -1e-3


def test_nothing_beyond_the_breakdown_and_the_mean_without_draggers():
    values = claim.evaluate(b=[34, 69], epsilon=[0.0, 0.01], sigma=1, alpha=1)
    assert values["bias_radius"][0] == 0
    assert values["threshold"][0] == np.inf
    assert np.isnan([values[name][1] for name in values]).all()
