"""Every kind of step accepts what follows and refuses what does not."""

import pytest
import sympy as sp

from analysis.proof.calculus import Solution, UniqueMinimum
from analysis.proof.relations import E, Relation, non_negative, strictly, substituted
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
    StepError,
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
    refuse(
        Definition("n", Relation(a, "=", b), ""), {"used": Relation(a, "<=", sp.S.One)}
    )


def test_definition_shows_the_sign_that_its_symbol_claims():
    known = {"order": Relation(a, "<", b)}
    Definition("n", Relation(x, "=", b - a), "", ("order",)).verify(known)
    refuse(Definition("n", Relation(x, "=", b - a), ""), known)
    refuse(Definition("n", Relation(x, "=", a**2), ""))
    refuse(
        Definition("n", Relation(sp.Symbol("n", negative=True), "=", sp.Integer(5)), "")
    )


def test_identity():
    square = Relation((a + b) ** 2, "=", a**2 + 2 * a * b + b**2)
    Identity("n", square, "").verify({})
    refuse(Identity("n", Relation((a + b) ** 2, "=", a**2 + b**2), ""))
    refuse(Identity("n", Relation(a, "<=", a), ""))


def test_identity_modulo_earlier_equalities():
    known = {"circle": Relation(a**2 + b**2, "=", sp.S.One)}
    Identity("n", Relation(a**4 - b**4, "=", a**2 - b**2), "", ("circle",)).verify(
        known
    )
    refuse(Identity("n", Relation(a**4 + b**4, "=", sp.S.One), "", ("circle",)), known)
    nothing = {
        "a": Relation(2 * a, "=", sp.S.Zero),
        "b": Relation(2 * b, "=", sp.S.Zero),
    }
    refuse(Identity("n", Relation(a / b, "=", sp.Integer(3)), "", ("a", "b")), nothing)
    Identity("n", Relation(a**4 / x, "=", (1 - b**2) ** 2 / x), "", ("circle",)).verify(
        known
    )
    refuse(Identity("n", Relation(a**4 / z, "=", b**4 / z), "", ("circle",)), known)
    strange = {"exp": Relation(a + sp.sqrt(x), "=", sp.exp(x))}
    refuse(Identity("n", Relation(a, "=", x), "", ("exp",)), strange)


def test_inequality_needs_the_right_certificate_with_a_visible_sign():
    relation = Relation(a**2 + b**2, ">=", 2 * a * b)
    Inequality("n", relation, "", certificate=(a - b) ** 2).verify({})
    refuse(Inequality("n", relation, "", certificate=(a + b) ** 2))
    refuse(Inequality("n", Relation(a**2, ">=", b), "", certificate=a**2 - b))
    strict = Relation(a**2 + b**2, ">", 2 * a * b)
    refuse(Inequality("n", strict, "", certificate=(a - b) ** 2))


def test_inequality_uses_facts():
    known = {"order": Relation(a, "<=", b)}
    step = Inequality(
        "n", Relation(x * a, "<=", x * b), "", ("order",), certificate=x * (b - a)
    )
    step.verify(known)
    refuse(
        Inequality(
            "n", Relation(x * a, ">=", x * b), "", ("order",), certificate=x * (a - b)
        ),
        known,
    )


def test_a_sign_proves_no_equality():
    refuse(Inequality("n", Relation(a**2, "=", sp.S.Zero), "", certificate=a**2))
    known = {"second": Relation(E(z), "<=", x)}
    for coefficient in (2, -2):
        equality = Relation(E(coefficient * z), "=", coefficient * x)
        refuse(Expectation("n", equality, "", ("second",), random=(z,)), known)


def test_averaged_takes_both_sides():
    known = {"inner": Relation(a, ">=", b)}
    Averaged("n", Relation(E(a), ">=", E(b)), "", ("inner",)).verify(known)
    refuse(Averaged("n", Relation(E(b), ">=", E(a)), "", ("inner",)), known)


def expectation(known, lhs, relation, rhs, random=(z,)):
    return Expectation(
        "n", Relation(lhs, relation, rhs), "", tuple(known), random=random
    )


def test_expectation_respects_the_sign_of_the_coefficient():
    known = {"second": Relation(E(z), "<=", x)}
    expectation(known, E(1 - 2 * z), ">=", 1 - 2 * x).verify(known)
    refuse(expectation(known, E(1 + 2 * z), ">=", 1 + 2 * x), known)
    refuse(expectation(known, E(z**2), "<=", x**2), known)
    strict = {"second": Relation(E(z), "<", x)}
    expectation(strict, E(-2 * z), ">=", -2 * x).verify(strict)
    refuse(expectation(strict, E(-2 * z), "<=", -2 * x), strict)


def test_expectation_keeps_random_symbols_inside():
    known = {"mean": Relation(E(z), "=", sp.S.Zero)}
    expectation(known, E(a * z + b), "=", b).verify(known)
    refuse(expectation(known, E(a * z), "=", sp.S.Zero, random=(z, a)), known)
    refuse(expectation(known, E(a + z), "=", a, random=(z, a)), known)
    refuse(expectation(known, E(z), "=", sp.S.Zero, random=()), known)
    other = {"not E": Relation(sp.exp(z), "<=", x)}
    refuse(expectation(other, sp.exp(z + 3), "<=", x + 3), other)


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
    refuse(Chain("n", Relation(b, "<", x), "", ("bx",)), known)
    refuse(Chain("n", Relation(b, "<", x), ""), known)


def solution(equation, root, relation="="):
    known = {"equation": Relation(equation, relation, sp.S.Zero)}
    return Solution("n", Relation(x, "=", root), "", ("equation",)), known


def test_solution_is_found_and_is_the_only_one():
    step, known = solution(sp.exp(x) + x - 3, 3 - sp.LambertW(sp.exp(3)))
    step.verify(known)
    refuse(*solution(sp.exp(x) + x - 3, sp.LambertW(3)))
    refuse(*solution(sp.exp(x) + x - 3, 3 - sp.LambertW(sp.exp(3)), ">="))
    refuse(*solution(sp.sin(x) - 1, sp.pi / 2))  # solve knows one root of many


def minimum(function, numerator, factor, **changes):
    """X + 1/x on (0, ∞) in the variable x, or a variant of it."""
    star = sp.Symbol("x_star", positive=True)
    known = {
        "slope": Relation(sp.diff(function, x), "=", -factor * numerator),
        "falls": Relation(sp.diff(numerator, x), "<", sp.S.Zero),
        "low": Relation(sp.Subs(numerator, x, 0), "=", numerator.subs(x, 0)),
        "high": Relation(sp.Subs(numerator, x, 2), "=", numerator.subs(x, 2)),
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
    refuse(
        *minimum(x + 1 / x, 1 - x**2, 1 / x**2, conclusion=Relation(x, "<=", x + 1 / x))
    )
    step, known = minimum(x + 1 / x, 1 - x**2, 1 / x**2)
    refuse(step, known | {"low": Relation(sp.S.One, "<=", sp.S.One)})
    refuse(step, known | {"name": Relation(step.zero, "=", sp.Integer(2))})


def test_signs():
    assert non_negative((a - b) ** 2 + x, [])
    assert not non_negative(a - b, [])
    assert strictly(sp.log(1 + 1 / x), [])
    assert not strictly(sp.log(x), [])
    assert not strictly(a**2, [])
    assert not strictly(x**sp.I, [])


def test_nothing_is_put_in_below_a_binder_that_would_capture_it():
    """At z = t, ∫ z H(t) dt is not ∫ t H(t) dt; z = b may be put in, H for all t."""
    t, function = sp.Symbol("t", real=True), sp.Function("H", nonnegative=True)
    integral = sp.Integral(z * function(t), (t, 0, 1))
    assert substituted(integral, Relation(z, "=", t)) == integral
    assert substituted(integral, Relation(z, "=", b)) == sp.Integral(
        b * function(t), (t, 0, 1)
    )
    everywhere = Relation(function(t), "=", t**2)
    assert substituted(integral, everywhere) == sp.Integral(z * t**2, (t, 0, 1))
