"""What is printed of a claim: complete, up to date, every formula fit to be set."""

import re
from pathlib import Path

import pytest
import sympy as sp
from matplotlib import mathtext

from analysis.claims import CLAIMS
from analysis.proof.claim import assuming
from analysis.proof.latex import latex, latex_relation
from analysis.proof.render import (
    assumption_text,
    bounds_page,
    by_part,
    checked,
    claims_page,
    grounds,
    listing,
    tex,
    text,
)
from analysis.proof.steps import AXIOMS, Axiom, Definition, Suppose
from analysis.proof.symbols import NOTATION, notation_page

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


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("bounds", bounds_page(CLAIMS)),
        ("claims", claims_page(CLAIMS)),
        ("notation", notation_page()),
    ],
)
def test_the_pages_are_in_step(name, page):
    assert (NOTES / f"{name}.md").read_text(encoding="utf-8") == page


def test_infinite_domains_have_infinity_at_both_ends():
    assert "| (-∞, ∞) |" in notation_page()
    assert not re.search(r"\boo\b", notation_page())


def test_an_assumption_is_shown_with_the_claims_that_make_it():
    shown = assumption_text("A4", CLAIMS)
    assert shown.startswith("(A4) a contaminated micro-batch")
    lines = shown.split("Assumed by\n")[1].splitlines()
    names = [line.strip() for line in lines if not line.startswith("   ")]
    assert names == [name for name in CLAIMS if name in assuming("A4", CLAIMS)]
    assert (
        "    for this rule: E[⟨e, ψ(g)⟩ | contaminated] ≥ -αc, α > 0; "
        "α = 1 always holds"
    ) in lines


def test_every_claim_has_its_place_after_those_that_it_uses():
    assert [c for part in by_part(CLAIMS).values() for c in part] == list(
        CLAIMS.values()
    )
    seen = set()
    for name, claim in CLAIMS.items():
        assert set(claim.uses) <= seen, name
        seen.add(name)
        assert name in listing(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_show_says_everything(name):
    claim = CLAIMS[name]
    shown = " ".join(text(claim, CLAIMS, proof=True).split())
    parts = [*map(str, claim.assumptions), *claim.remarks, *claim.terms.values()]
    for part in (*parts, claim.kind, claim.title, claim.attained):
        assert " ".join(part.split()) in shown
    for step in claim.steps + claim.witness:
        assert step.name in shown
        assert " ".join(step.reason.split()) in shown


def test_symbols_are_listed_once():
    assert (
        len({str(e.symbol) for e in NOTATION})
        == len({e.name for e in NOTATION})
        == len(NOTATION)
    )


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_machine_checked_and_what_is_taken_as_given(name):
    claim = CLAIMS[name]
    derived, total, axioms, *_, behind = map(
        int, re.findall(r"\d+", checked(claim, CLAIMS))
    )
    counted = [isinstance(s, (Axiom, Definition, Suppose)) for s in claim.derivation]
    assert (total, derived) == (len(counted), counted.count(False))
    assert axioms == sum(isinstance(step, Axiom) for step in claim.derivation)
    shown = " ".join(text(claim, CLAIMS, proof=False).split())
    assert " ".join(checked(claim, CLAIMS).split()) in shown
    listed = grounds(claim, CLAIMS)
    assert set(listed) <= set(AXIOMS)
    givens = claim.givens(CLAIMS)
    counts = [len(names.split("; ")) for names in listed.values()]
    assert sum(counts) == behind == len(givens)
    for given in givens:
        assert given.step.name in listed[given.step.axiom]


def test_hypotheses_of_quoted_claims_are_listed():
    """averaged_guarantee quotes drift, it alignment_lemma, which assumes E z = 0."""
    givens = CLAIMS["averaged_guarantee"].givens(CLAIMS)
    carried = {(given.claim, given.step.name) for given in givens}
    assert {("alignment_lemma", "mean zero"), ("drift", "contaminated case")} <= carried
    assert ("averaged_guarantee", "fresh mini-batch") in carried


def test_no_identity_says_the_same_twice():
    for claim in CLAIMS.values():
        for step in claim.derivation:
            assert step.relation.lhs != step.relation.rhs, (claim.name, step.name)
