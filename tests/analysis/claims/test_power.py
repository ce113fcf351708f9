"""Every inequality improved by five per cent is refused by its certificate.

Where a claim is tight, the attack finds a counterexample as well.
"""

import dataclasses
import re

import numpy as np
import pytest
import sympy as sp

from analysis.claims import CLAIMS
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Earlier, StepError, Suppose

GIVEN = (Axiom, Definition, Earlier, Suppose)
FACTORS = (sp.Rational(19, 20), sp.Rational(21, 20))


@pytest.mark.parametrize(
    ("name", "every"),
    [
        *((name, False) for name in CLAIMS),
        *(pytest.param(name, True, marks=pytest.mark.soak) for name in CLAIMS),
    ],
)
def test_no_step_survives_five_per_cent(name, every):
    """The right side of each derived step in turn is made 5 % larger or smaller, or both."""
    known, refused = {}, 0
    for i, step in enumerate(CLAIMS[name].steps + CLAIMS[name].witness):
        relation = step.relation
        for factor in FACTORS if every else FACTORS[i % 2 :][:1]:
            if isinstance(step, GIVEN) or relation.rhs == 0:
                continue
            wrong = Relation(relation.lhs, relation.relation, factor * relation.rhs)
            with pytest.raises(StepError, match=re.escape(step.name)):
                dataclasses.replace(step, relation=wrong).verify(known)
            refused += 1
        step.verify(known)
        known[step.name] = relation
    assert refused


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.tight])
def test_a_tight_claim_survives_no_improvement(name):
    """An attack that could not find this would prove nothing when it finds no violation."""
    attack = CLAIMS[name].attack
    assert attack(np.random.default_rng(5), 0.0) > -1e-9
    assert attack(np.random.default_rng(5), 0.05) < -1e-3
