"""Every inequality improved by five per cent is refused by its certificate.

Where a claim is tight, the attack finds a counterexample as well.
"""

import dataclasses

import numpy as np
import pytest
import sympy as sp

from analysis.claims import CLAIMS
from analysis.signs import Relation
from analysis.steps import Axiom, Definition, Earlier, StepError, Suppose

GIVEN = (Axiom, Definition, Earlier, Suppose)


def variants(claim):
    """Each derived step with its right side five per cent off, and what is known before it."""
    known = {}
    for step in claim.steps + claim.witness:
        if not isinstance(step, GIVEN) and step.relation.rhs != 0:
            for factor in (sp.Rational(19, 20), sp.Rational(21, 20)):
                relation = step.relation
                wrong = Relation(relation.lhs, relation.relation, factor * relation.rhs)
                yield dataclasses.replace(step, relation=wrong), known
        known[step.name] = step.relation


@pytest.mark.parametrize("name", CLAIMS)
def test_no_step_survives_five_per_cent(name):
    found = False
    for wrong, known in variants(CLAIMS[name]):
        with pytest.raises(StepError, match=wrong.name):
            wrong.verify(known)
        found = True
    assert found


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.tight])
def test_a_tight_claim_survives_no_improvement(name):
    """An attack that could not find this would prove nothing when it finds no violation."""
    attack = CLAIMS[name].attack
    assert attack(np.random.default_rng(5), 0.0) > -1e-9
    assert attack(np.random.default_rng(5), 0.05) < -1e-3
