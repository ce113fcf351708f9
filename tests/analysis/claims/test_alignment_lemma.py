"""The alignment lemma: proved, attacked, attained; a stronger variant is caught."""

import dataclasses

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.claims.alignment_lemma import bound, claim, steps
from analysis.claims.attacks.alignment_lemma import attack, slack
from analysis.claims.attacks.distributions import two_points
from analysis.proof.relations import Relation
from analysis.proof.steps import Identity, StepError


@pytest.mark.parametrize("seed", range(8))
def test_one_per_cent_more_does_not_survive_the_attack(seed):
    assert attack(claim, np.random.default_rng(seed), 0.01) < -1e-3


def witness_slack(gradient_norm, noise, improvement=1.0):
    """Slack of the two-point law at z = -G(1 + 1e-9), against an improved bound."""
    witness = two_points(gradient_norm, noise, 1e-9)
    bound_at = 1 - 2 * noise**2 / (gradient_norm**2 + noise**2)
    return slack(witness, gradient_norm) + bound_at * (1 - improvement)


@pytest.mark.parametrize(
    ("gradient_norm", "noise"), [(2.0, 1.0), (1.0, 0.1), (10.0, 3.0)]
)
def test_it_is_attained_and_a_bound_larger_by_five_percent_is_violated(
    gradient_norm, noise
):
    assert abs(witness_slack(gradient_norm, noise)) < 1e-7
    assert witness_slack(gradient_norm, noise, 1.05) < -0.01


def test_a_stronger_closed_form_is_refused():
    stronger = tuple(
        dataclasses.replace(
            step, relation=Relation(step.relation.lhs, "=", bound * 21 / 20)
        )
        if isinstance(step, Identity) and step.name == "closed form"
        else step
        for step in steps
    )
    with pytest.raises(StepError, match="closed form"):
        dataclasses.replace(claim, steps=stronger).verify(CLAIMS)


def test_evaluate_by_a_second_route():
    value = claim.evaluate(gradient_norm=[1.0, 3.0], s=2.0)["mean_cosine_bound"]
    assert value == pytest.approx([-0.6, 5 / 13])
