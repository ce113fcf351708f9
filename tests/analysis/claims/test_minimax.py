"""The minimax bound: proved, attacked, attained; a larger bound is caught."""

import dataclasses

import numpy as np
import pytest
import sympy as sp

from analysis.claims import CLAIMS
from analysis.claims.attacks.minimax import slack
from analysis.claims.minimax import claim, steps
from analysis.proof.relations import Relation
from analysis.proof.steps import StepError


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.4])
def test_it_is_attained_by_the_sign_and_five_percent_more_is_not_true(fraction):
    """The median rests at 0, midway between both worlds: error and bound coincide."""
    assert abs(slack(np.sign, fraction, 2.0)) < 1e-9
    bound = float(
        claim.evaluate(dragger_fraction=fraction, noise_scale=2.0)["minimax_bias"]
    )
    assert slack(np.sign, fraction, 2.0) - 0.05 * bound < -1e-3


def test_the_two_worlds_by_enumeration():
    """Mean, variance and the common mixture from their atoms."""
    eps = 0.1
    sigma = 1.5
    q = eps / (1 - eps)
    size = sigma / np.sqrt(q * (1 - q))
    up = np.array([0.0, 1 - q, q])  # chances of -A, 0, A
    atoms = np.array([-size, 0, size])
    mixed = (1 - eps) * up + eps * np.array([1.0, 0, 0])
    assert mixed == pytest.approx(mixed[::-1])
    assert up @ atoms**2 - (up @ atoms) ** 2 == pytest.approx(sigma**2)
    values = claim.evaluate(dragger_fraction=eps, noise_scale=sigma)
    assert values["minimax_bias"] == pytest.approx(up @ atoms)


def test_a_bound_larger_by_five_percent_is_refused():
    larger = tuple(
        dataclasses.replace(
            step,
            relation=Relation(
                step.relation.lhs, "=", step.relation.rhs * sp.Rational(21, 20)
            ),
        )
        if step.name == "closed form"
        else step
        for step in steps
    )
    with pytest.raises(StepError, match="closed form"):
        dataclasses.replace(claim, steps=larger).verify(CLAIMS)
