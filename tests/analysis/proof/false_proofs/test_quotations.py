"""What is quoted of another claim, and what a claim may call its own."""

from dataclasses import replace

import pytest
import sympy as sp

from analysis.claims import CLAIMS
from analysis.claims.alignment_lemma import R
from analysis.claims.alignment_lemma import x as ratio
from analysis.claims.setting import drift, k, spread, z1
from analysis.claims.skewness_expansion import best as b_star
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Axiom,
    Chain,
    Definition,
    Earlier,
    Expectation,
    Identity,
    Inequality,
)
from analysis.proof.symbols import G, alpha, b, p, s, x

LEMMA = (
    "radius",
    "length",
    "projection",
    "cosine at most 1",
    "cosine at least -1",
    "mean zero",
    "variance",
)  # what alignment_lemma rests on
ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
a, c = sp.symbols("a c", real=True)


def steps_of(name, *wanted):
    """The steps of these names in that claim."""
    claim = CLAIMS[name]
    by_name = {step.name: step for step in (*claim.steps, *claim.witness)}
    return [by_name[each] for each in wanted]


def quote(name, step, holding=()):
    """What this step of that claim proves."""
    (relation,) = (found.relation for found in steps_of(name, step))
    return Earlier("quoted", relation, "", claim=name, holding=holding)


def test_an_assumption_of_another_claim(prove, refused):
    """hitting_time assumes that G is beyond the radius; it does not prove it."""
    outside = steps_of("hitting_time", "target", "not there yet")
    prove(*outside, quote("hitting_time", "not inside the radius"))
    with refused:
        prove(quote("hitting_time", "not inside the radius"))


def test_a_symbol_that_another_claim_defines(prove, refused):
    """alignment_lemma calls G + s²/G what is 2G here."""
    named = Definition("R", Relation(R, "=", G + s**2 / G), "")
    prove(named, quote("alignment_lemma", "closed form"))
    with refused:
        prove(
            Definition("R", Relation(R, "=", 2 * G), ""),
            quote("alignment_lemma", "closed form"),
        )


def test_a_quotation_without_its_axioms(prove, refused):
    """Only for a cosine k, k >= 4kx - 2x² - 1; k = 5, x = 1 give 5 >= 17."""
    pointwise = quote("alignment_lemma", "pointwise")
    lower, upper = pointwise.relation.rhs, sp.Integer(17)
    prove(
        *steps_of("alignment_lemma", "cosine at most 1", "cosine at least -1"),
        pointwise,
    )
    with refused:
        prove(
            Definition("k", Relation(k, "=", sp.Integer(5)), ""),
            Definition("x", Relation(ratio, "=", ONE), ""),
            pointwise,
            Identity("left", Relation(sp.Integer(5), "=", k), "", ("k",)),
            Identity("right", Relation(lower, "=", upper), "", ("k", "x")),
            Chain(
                "end",
                Relation(sp.Integer(5), ">=", upper),
                "",
                ("left", "quoted", "right"),
            ),
        )


def test_two_minima_of_one_name(prove, refused, minimum):
    """One letter for the zeros of two slopes: one function at most is least there."""
    least = quote("skewness_expansion", "best size")
    function, numerator = x + 1 / x, 1 / x**2 - 1

    def here(zero):
        return minimum(function, numerator, x, zero, (ONE / 2, TWO))

    prove(*here(sp.Symbol("z", positive=True)), least)
    with refused:
        prove(*here(b_star), least)


def test_two_quotations_of_one_name(prove, refused):
    """Both sweet spots are called x*: the radius's and the averaged bound's."""
    worst = replace(
        quote(
            "sweet_spot",
            "conclusion",
            ("at most straight back", "not sideways", "below the breakdown, scaled"),
        ),
        name="worst case",
    )
    averaged = quote(
        "averaged_guarantee",
        "averaged sweet spot",
        ("not sideways", "below the breakdown, scaled"),
    )
    prove(worst)
    prove(averaged)
    with refused:
        prove(worst, averaged)


@pytest.mark.parametrize(
    ("quoted", "step", "assumed", "parameter", "value"),
    [
        ("sweet_spot", "closed form at α = 1", "zero at α = 1", x, sp.Integer(5)),
        ("threshold_size", "two sizes", "one sample at least", b, ONE / 2),
    ],
    ids=["scaled size", "size"],
)
def test_an_assumption_against_a_definition(
    prove, refused, quoted, step, assumed, parameter, value
):
    """What is assumed of a parameter does not hold because defined: 5 = 0.315."""
    quotation = quote(quoted, step, (assumed,))
    prove(quotation)
    with refused:
        prove(Definition("parameter", Relation(parameter, "=", value), ""), quotation)


def test_a_quotation_without_independence(prove, refused):
    """A micro-batch's noise is at most σ²/b for independent samples, σ² for equal."""
    noise = steps_of("bias_radius", "noise")
    bounded = quote("bias_radius", "noise of a micro-batch")
    prove(*noise, *steps_of("bias_radius", "independent samples"), bounded)
    with refused:
        prove(
            *noise,
            Definition("dependent", Relation(spread, "=", TWO * s**2), ""),
            bounded,
            Identity("twice", Relation(TWO * s**2, "=", spread), "", ("dependent",)),
            Chain("end", Relation(TWO * s**2, "<=", s**2), "", ("twice", "quoted")),
        )


def test_a_quotation_of_a_quotation(prove, refused):
    """bias_radius quotes drift and says why its assumption holds; here it may not.

    With α = 0 and a drift of -2G, which no clean micro-batch has, p >= 2 for a
    probability p.
    """
    parameters = (
        *steps_of("bias_radius", "noise"),
        *steps_of("drift", "clean probability"),
    )
    bounded = quote("bias_radius", "drift bound")
    held = steps_of(
        "bias_radius",
        "independent samples",
        "noise of the mean",
        "noise of a micro-batch",
    )
    prove(
        *parameters,
        *held,
        *steps_of("alignment_lemma", *LEMMA),
        *steps_of(
            "drift", "two cases", "p at most 1", "clean case", "contaminated case"
        ),
        bounded,
        random=CLAIMS["alignment_lemma"].random,
    )
    with refused:
        prove(
            *parameters,
            Definition("drift", Relation(drift, "=", -2 * G), ""),
            Definition("alpha", Relation(alpha, "=", ZERO), ""),
            bounded,
            Inequality(
                "end",
                Relation(G * (p - 2), ">=", ZERO),
                "",
                ("drift", "alpha", "quoted"),
                certificate=(
                    drift - bounded.relation.rhs,
                    2 * G**3 * p / (G**2 + s**2),
                ),
            ),
        )


def test_a_quotation_of_a_random_quantity(prove, refused):
    """The lemma's cosine depends on the noise: E z₁ = 0 does not make E z₁k = 0."""
    hypotheses = steps_of("alignment_lemma", *LEMMA)
    cosine = quote("alignment_lemma", "conclusion")

    def product(factor):
        end = Relation(E(z1 * factor), "=", ZERO)
        return (
            *hypotheses,
            cosine,
            Expectation(
                "end", end, "", ("mean zero",), random=CLAIMS["alignment_lemma"].random
            ),
        )

    prove(*product(a), random=CLAIMS["alignment_lemma"].random)
    with refused:
        prove(*product(k))


def test_a_quotation_that_names_a_random_quantity(prove, claim, refused, shelf):
    """There Y = X are numbers; here X is random, so E Y X is E X² and not Y·E X."""
    first, second, third = sp.symbols("X Y Z", real=True)
    same = Axiom("same", Relation(2 * second, "=", 2 * first), "")
    equal = Relation(second, "=", first)
    shelf.add("numbers", claim(same, Identity("end", equal, "", ("same",))))
    quoted = Earlier("quoted", equal, "", claim="numbers", holding=("same",))
    mean = Axiom("mean", Relation(E(third), "=", ZERO), "")

    def product(random):
        end = Relation(E(second * random), "=", ZERO)
        return Expectation("end", end, "", ("mean",), random=(random,))

    prove(quoted, mean, product(third))
    with refused:
        prove(
            quoted,
            replace(mean, relation=Relation(E(first), "=", ZERO)),
            product(first),
        )


def test_an_average_in_which_a_random_quantity_was_fixed(prove, claim, refused, shelf):
    """There E Z = 0 makes E aZ = 0 for a number a; here a is random, and may be Z."""
    noise = sp.Symbol("Z", real=True)
    end = Relation(E(a * noise), "=", ZERO)
    mean = Axiom("mean", Relation(E(noise), "=", ZERO), "")
    product = Expectation("end", end, "", ("mean",), random=(noise,))
    shelf.add("factor", claim(mean, product))
    quoted = Earlier("end", end, "", claim="factor", holding=("mean",))
    prove(quoted, random=(noise,))
    with refused:
        prove(quoted, random=(noise, a))


def test_a_quotation_of_a_minimum(prove, refused):
    """b* is the zero of a slope in skewness_expansion, and 1 here."""
    least = quote("skewness_expansion", "best size")
    prove(least)
    with refused:
        prove(Definition("one", Relation(b_star, "=", ONE), ""), least)


def test_a_claim_that_quotes_itself(prove, claim, refused, shelf):
    """0 >= 1 is what this claim proves, as this claim proves."""
    true, false = Relation(ONE, ">=", ZERO), Relation(ZERO, ">=", ONE)
    first = Inequality("end", true, "", certificate=ONE)
    shelf.add("first", claim(first))
    prove(Earlier("end", true, "", claim="first"))
    itself = shelf.add("itself", claim(Earlier("end", false, "", claim="itself")))
    with refused:
        itself.verify(shelf.library)


def test_two_claims_that_quote_each_other(claim, refused, shelf):
    """Each proves 0 >= 1 by the other."""
    true, false = Relation(ONE, ">=", ZERO), Relation(ZERO, ">=", ONE)
    shelf.add("one", claim(Inequality("end", true, "", certificate=ONE)))
    shelf.add("two", claim(Earlier("end", true, "", claim="one"))).verify(shelf.library)
    for name, other in (("one", "two"), ("two", "one")):
        quoted = Earlier("end", false, "", claim=other)
        shelf.add(name, claim(quoted))
    with refused:
        shelf.library["two"].verify(shelf.library)


anything = Axiom("assumed", Relation(a, ">=", c), "")
once = Chain("end", anything.relation, "", ("assumed",))


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((anything,), id="last step"),
        pytest.param((anything, once), id="chain of one link"),
        pytest.param(
            (Definition("five", Relation(G, "=", sp.Integer(5)), ""),), id="definition"
        ),
    ],
)
def test_a_statement_that_is_given(prove, refused, steps):
    """Nothing given proves itself: that numbers are equal, every gradient is 5."""
    assumed = Axiom("assumed", Relation(a, ">=", c), "")
    prove(
        assumed,
        Inequality(
            "end", Relation(a + 1, ">", c), "", ("assumed",), certificate=(a - c, ONE)
        ),
    )
    with refused:
        prove(*steps)
