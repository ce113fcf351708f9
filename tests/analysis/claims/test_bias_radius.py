"""The bias radius: proved, attacked, evaluated; a smaller radius is caught."""

import dataclasses

import numpy as np
import pytest
import sympy as sp
from scipy import optimize

from analysis.advice.sizes import bias_radius
from analysis.claims import CLAIMS
from analysis.claims.attacks.bias_radius import attack
from analysis.claims.bias_radius import claim, steps
from analysis.proof.relations import Relation
from analysis.proof.steps import StepError
from analysis.proof.symbols import lam
from analysis.spec.checking import SpecificationError


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_the_attack_comes_to_rest_at_the_radius(seed):
    """The laws reach the radius, so that one per cent less is not true."""
    assert -1e-12 < attack(claim, np.random.default_rng(seed)) < 1e-10
    assert attack(claim, np.random.default_rng(seed), 0.01) < -1e-3


def test_the_attack_sees_a_wrong_formula():
    """Attacked is what `evaluate` gives: 10 % too few draggers in a micro-batch."""
    values = claim.values | {
        "bias_radius": claim.values["bias_radius"].subs(lam, 0.9 * lam)
    }
    wrong = dataclasses.replace(claim, values=values)
    assert attack(wrong, np.random.default_rng(7)) < -1e-3


def test_it_is_the_root_of_the_drift_bound():
    """Second route: the zero of p G (G²-s²)/(G²+s²) - α(1-p) G found numerically."""
    p = 0.99**20
    alpha = 0.7
    s = 1.3 / np.sqrt(20)
    root = optimize.brentq(
        lambda g: p * (g**2 - s**2) / (g**2 + s**2) - alpha * (1 - p),
        1e-3,
        100,
        xtol=1e-14,
    )
    values = claim.evaluate(
        micro_batch_size=20, dragger_fraction=0.01, noise_scale=1.3, alignment=0.7
    )
    assert values["bias_radius"] == pytest.approx(root, rel=1e-10)


def test_a_radius_smaller_by_five_percent_is_refused():
    smaller = tuple(
        dataclasses.replace(
            step,
            relation=Relation(
                step.relation.lhs, "=", sp.Rational(19, 20) * step.relation.rhs
            ),
        )
        if step.name == "radius"
        else step
        for step in steps
    )
    with pytest.raises(StepError, match="factored drift"):
        dataclasses.replace(claim, steps=smaller).verify(CLAIMS)


def test_a_radius_smaller_by_five_percent_is_violated_at_one_sample():
    """B = 1, α = 1: a rare-event law rests between 0.95 and 1 of the radius."""
    eps = 0.2
    radius = float(bias_radius(np.array([1]), eps, 1.0)[0])
    for factor, crossed in ((0.95, True), (1.0 - 1e-6, True), (1.0 + 1e-6, False)):
        G = factor * radius
        # chance of z = -G from below, the lemma's witness with σ = 1
        w = 1 / (1 + G**2)
        drift = (1 - eps) * (1 - 2 * w) - eps
        assert (drift < 0) == crossed


def test_nothing_beyond_the_breakdown_and_nothing_without_noise():
    values = claim.evaluate(b=[68, 69], epsilon=0.01, sigma=1, alpha=1)
    assert values["breakdown"] == pytest.approx(np.log(2) / -np.log1p(-0.01))
    assert np.isfinite(values["bias_radius"]).tolist() == [True, False]
    assert bias_radius(np.array([8]), 0.01, 0.0)[0] == 0


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"b": 8, "epsilon": 0.1, "sigma": 1}, r"alignment \(alpha\) is missing"),
        ({"b": 8, "epsilon": 0.1, "sigma": 1, "alpha": 1, "T": 3}, "unknown input 'T'"),
        ({"b": 8, "epsilon": 1.5, "sigma": 1, "alpha": 1}, "dragger_fraction = 1.5"),
        ({"b": 0, "epsilon": 0.1, "sigma": 1, "alpha": 1}, "1 <= micro_batch_size"),
        ({"b": 8, "micro_batch_size": 8, "sigma": 1}, "given twice"),
        (
            {"b": "many", "epsilon": 0.1, "sigma": 1, "alpha": 1},
            "micro_batch_size = 'many'",
        ),
        (
            {"b": float("nan"), "epsilon": 0.1, "sigma": 1, "alpha": 1},
            "micro_batch_size = nan",
        ),
    ],
)
def test_inputs_are_refused_by_name(inputs, message):
    with pytest.raises(SpecificationError, match=message):
        claim.evaluate(**inputs)


@pytest.mark.parametrize("fraction", [0.2, 0.9])
def test_sideways_draggers_leave_the_noise_however_few_are_clean(fraction):
    """α = 0: σ/√b, also where (1-ε)^b is below the smallest float."""
    at = {"micro_batch_size": 65536, "dragger_fraction": fraction, "noise_scale": 2.0}
    at["alignment"] = 0.0
    assert claim.evaluate(**at)["bias_radius"] == pytest.approx(2 / 256, rel=1e-12)
    run = {"smoothness": 1.0, "initial_gap": 1.0, "horizon": 100.0}
    averaged = CLAIMS["averaged_guarantee"].evaluate(**at, **run)
    assert averaged["averaged_bias"] == pytest.approx(2 / 256, rel=1e-12)
