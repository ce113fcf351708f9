"""Every kind of step accepts what follows and refuses what does not."""

import pytest
import sympy as sp

from analysis.signs import E, Relation, non_negative, strictly
from analysis.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
    Solution,
    StepError,
    UniqueMinimum,
)

a, b = sp.symbols("a b", real=True)
x = sp.Symbol("x", positive=True)
z = sp.Symbol("z", real=True)


def refuse(step, known=None):
    with pytest.raises(StepError):
        step.verify(known or {})


def test_axiom_must_be_listed():
    Axiom("n", Relation(a, "=", b), "", axiom="independence").verify({})
    refuse(Axiom("n", Relation(a, "=", b), "", axiom="obvious"))


def test_definition_needs_a_new_symbol():
    Definition("n", Relation(a, "=", b**2), "").verify({})
    refuse(Definition("n", Relation(a, "=", a + 1), ""))
    refuse(Definition("n", Relation(a, "=", b), ""), {"used": Relation(a, "<=", sp.S.One)})


def test_definition_shows_the_sign_that_its_symbol_claims():
    known = {"order": Relation(a, "<", b)}
    Definition("n", Relation(x, "=", b - a), "", ("order",)).verify(known)
    refuse(Definition("n", Relation(x, "=", b - a), ""), known)
    refuse(Definition("n", Relation(x, "=", a**2), ""))


def test_identity():
    square = Relation((a + b) ** 2, "=", a**2 + 2 * a * b + b**2)
    Identity("n", square, "").verify({})
    refuse(Identity("n", Relation((a + b) ** 2, "=", a**2 + b**2), ""))
    refuse(Identity("n", Relation(a, "<=", a), ""))


def test_identity_modulo_earlier_equalities():
    known = {"circle": Relation(a**2 + b**2, "=", sp.S.One)}
    Identity("n", Relation(a**4 - b**4, "=", a**2 - b**2), "", ("circle",)).verify(known)
    refuse(Identity("n", Relation(a**4 + b**4, "=", sp.S.One), "", ("circle",)), known)


def test_inequality_needs_the_right_certificate_with_a_visible_sign():
    relation = Relation(a**2 + b**2, ">=", 2 * a * b)
    Inequality("n", relation, "", certificate=(a - b) ** 2).verify({})
    refuse(Inequality("n", relation, "", certificate=(a + b) ** 2))
    refuse(Inequality("n", Relation(a**2, ">=", b), "", certificate=a**2 - b))
    strict = Relation(a**2 + b**2, ">", 2 * a * b)
    refuse(Inequality("n", strict, "", certificate=(a - b) ** 2))


def test_inequality_uses_facts():
    known = {"order": Relation(a, "<=", b)}
    step = Inequality("n", Relation(x * a, "<=", x * b), "", ("order",), certificate=x * (b - a))
    step.verify(known)
    refuse(
        Inequality("n", Relation(x * a, ">=", x * b), "", ("order",), certificate=x * (a - b)),
        known,
    )


def test_a_sign_proves_no_equality():
    refuse(Inequality("n", Relation(a**2, "=", sp.S.Zero), "", certificate=a**2))
    known = {"second": Relation(E(z), "<=", x)}
    for coefficient in (2, -2):
        equality = Relation(E(coefficient * z), "=", coefficient * x)
        refuse(Expectation("n", equality, "", ("second",)), known)


def test_averaged_takes_both_sides():
    known = {"inner": Relation(a, ">=", b)}
    Averaged("n", Relation(E(a), ">=", E(b)), "", ("inner",)).verify(known)
    refuse(Averaged("n", Relation(E(b), ">=", E(a)), "", ("inner",)), known)


def test_expectation_respects_the_sign_of_the_coefficient():
    known = {"second": Relation(E(z), "<=", x)}
    Expectation("n", Relation(E(1 - 2 * z), ">=", 1 - 2 * x), "", ("second",)).verify(known)
    refuse(Expectation("n", Relation(E(1 + 2 * z), ">=", 1 + 2 * x), "", ("second",)), known)
    refuse(Expectation("n", Relation(E(z**2), "<=", x**2), "", ("second",)), known)


def test_chain_has_no_gap_and_one_direction():
    known = {
        "ab": Relation(a, ">=", b),
        "bx": Relation(b, "=", x),
        "zx": Relation(x, "<=", z),
    }
    Chain("n", Relation(a, ">=", x), "", ("ab", "bx")).verify(known)
    refuse(Chain("n", Relation(a, ">=", z), "", ("ab", "zx")), known)
    refuse(Chain("n", Relation(a, ">=", z), "", ("ab", "bx", "zx")), known)
    refuse(Chain("n", Relation(a, ">", x), "", ("ab", "bx")), known)


def test_solution_is_found_by_solve():
    Solution("n", Relation(x, "=", sp.LambertW(2)), "", of=x * sp.exp(x) - 2).verify({})
    refuse(Solution("n", Relation(x, "=", sp.LambertW(3)), "", of=x * sp.exp(x) - 2))


def minimum(function, numerator, factor, **changes):
    """X + 1/x on (0, ∞) in the variable x, or a variant of it."""
    star = sp.Symbol("x_star", positive=True)
    known = {
        "slope": Relation(sp.diff(function, x), "=", -factor * numerator),
        "falls": Relation(sp.diff(numerator, x), "<", sp.S.Zero),
        "low": Relation(numerator.subs(x, 0), "=", numerator.subs(x, 0)),
        "high": Relation(numerator.subs(x, 2), "=", numerator.subs(x, 2)),
    }
    step = UniqueMinimum(
        "n",
        changes.get("conclusion", Relation(function.subs(x, star), "<=", function)),
        "",
        ("slope", "falls", "low", "high"),
        function=function,
        numerator=numerator,
        factor=factor,
        symbol=x,
        zero=star,
        interval=(sp.S.Zero, sp.Integer(2)),
    )
    return step, known


def test_unique_minimum_needs_all_its_signs():
    step, known = minimum(x + 1 / x, 1 - x**2, 1 / x**2)
    step.verify(known)
    refuse(*minimum(x + 1 / x, x**2 - 1, -1 / x**2))
    refuse(*minimum(x + 9 / x, 9 - x**2, 1 / x**2))
    refuse(*minimum(x + 1 / x, 1 - x**2, 1 / x**2, conclusion=Relation(x, "<=", x + 1 / x)))


def test_signs():
    assert non_negative((a - b) ** 2 + x, [])
    assert not non_negative(a - b, [])
    assert strictly(sp.log(1 + 1 / x), [])
    assert not strictly(sp.log(x), [])
    assert not strictly(a**2, [])
