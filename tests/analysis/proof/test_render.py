"""What is printed of a claim: complete, in step with the code, and every formula can be set."""

import re
from pathlib import Path

import pytest
import sympy as sp
from matplotlib import mathtext

from analysis.claims import CLAIMS
from analysis.proof.latex import latex, latex_relation
from analysis.proof.render import bounds_page, by_part, checked, grounds, listing, tex, text
from analysis.proof.steps import AXIOMS, Axiom, Definition, Suppose
from analysis.proof.symbols import NOTATION

NOTES = Path(__file__).parents[3] / "paper_notes"


@pytest.fixture(scope="module")
def parser():
    return mathtext.MathTextParser("path")


@pytest.mark.parametrize("name", CLAIMS)
def test_every_formula_can_be_set(name, parser):
    claim = CLAIMS[name]
    for step in claim.steps + claim.witness:
        parser.parse(f"${latex_relation(step.relation)}$")
        for term in getattr(step, "terms", ()):
            parser.parse(f"${latex(term)}$")
    assert latex_relation(claim.statement) in tex(claim, proof=False)


def test_what_mathtext_lacks_is_avoided(parser):
    x, t = sp.symbols("x t", positive=True)
    cases = sp.Piecewise((x, x < 1), (x**2, True))
    for expression in (sp.Integral(t**2, (t, 0, x)), cases, sp.Min(x, t), sp.Max(x, t)):
        parser.parse(f"${latex(expression)}$")
    with pytest.raises(ValueError, match="Unknown"):
        parser.parse(f"${sp.latex(cases)}$")


def test_the_page_of_bounds_is_in_step():
    assert (NOTES / "bounds.md").read_text(encoding="utf-8") == bounds_page(CLAIMS)


def test_every_claim_has_its_place_after_those_that_it_uses():
    assert [c for part in by_part(CLAIMS).values() for c in part] == list(CLAIMS.values())
    seen = set()
    for name, claim in CLAIMS.items():
        assert set(claim.uses) <= seen, name
        seen.add(name)
        assert name in listing(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_show_says_everything(name):
    claim = CLAIMS[name]
    shown = " ".join(text(claim, CLAIMS, proof=True).split())
    for part in (*claim.assumptions, *claim.remarks, claim.kind, claim.title, claim.attained):
        assert " ".join(part.split()) in shown
    for step in claim.steps + claim.witness:
        assert step.name in shown
        assert " ".join(step.reason.split()) in shown


def test_symbols_are_listed_once():
    assert (
        len({str(e.symbol) for e in NOTATION}) == len({e.name for e in NOTATION}) == len(NOTATION)
    )


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_machine_checked_and_what_is_taken_as_given(name):
    claim = CLAIMS[name]
    derived, total, axioms, *_, behind = map(int, re.findall(r"\d+", checked(claim)))
    counted = [isinstance(s, (Axiom, Definition, Suppose)) for s in claim.derivation]
    assert (total, derived) == (len(counted), counted.count(False))
    assert axioms == sum(isinstance(step, Axiom) for step in claim.derivation)
    shown = " ".join(text(claim, CLAIMS, proof=False).split())
    assert " ".join(checked(claim).split()) in shown
    listed = grounds(claim)
    assert set(listed) <= set(AXIOMS)
    assert sum(len(names.split("; ")) for names in listed.values()) == behind == len(claim.givens)
    for given in claim.givens:
        assert given.step.name in listed[given.step.axiom]


def test_hypotheses_of_quoted_claims_are_listed():
    """averaged_guarantee quotes drift, which quotes alignment_lemma, which assumes E z = 0."""
    carried = {(given.claim, given.step.name) for given in CLAIMS["averaged_guarantee"].givens}
    assert {("alignment_lemma", "mean zero"), ("drift", "contaminated case")} <= carried
    assert ("averaged_guarantee", "fresh mini-batch") in carried


def test_no_identity_says_the_same_twice():
    for claim in CLAIMS.values():
        for step in claim.derivation:
            assert step.relation.lhs != step.relation.rhs, (claim.name, step.name)
