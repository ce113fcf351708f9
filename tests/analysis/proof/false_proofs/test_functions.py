"""Functions without a formula, and what is said of them at one point only."""

import pytest
import sympy as sp

from analysis.proof.relations import Relation
from analysis.proof.steps import (
    Axiom,
    Cases,
    Chain,
    Definition,
    Identity,
    Inequality,
    Suppose,
)

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
H = sp.Function("H", nonnegative=True)
K = sp.Function("K", real=True)
k, r, t, N = sp.symbols("k r t N", positive=True)


def everywhere(form, value, symbol, *first):
    """The form has this value where H is 1, which an axiom says of this symbol."""
    return (
        *first,
        Axiom("value", Relation(H(symbol), "=", ONE), "for every value of the symbol"),
        Identity("end", Relation(form, "=", value), "", ("value",)),
    )


def at_two(symbol):
    return Definition("two", Relation(symbol, "=", TWO), "")


def test_known_at_one_point_under_an_integral(prove, refused):
    """H(t) = 1 where t = 2 says nothing about the integral of H."""
    integral = sp.Integral(H(t), (t, 0, r))
    prove(*everywhere(integral, r, t))
    with refused:
        prove(*everywhere(integral, r, t, at_two(t)))


def test_known_at_one_point_between_two_inequalities(prove, refused):
    """The symbol is tied as well by t >= 2 and t <= 2."""
    integral = sp.Integral(H(t), (t, 0, r))
    low = Axiom("low", Relation(r, ">=", TWO), "")
    prove(*everywhere(integral, r, t, low))
    with refused:
        prove(
            *everywhere(
                integral,
                r,
                t,
                Axiom("low", Relation(t, ">=", TWO), ""),
                Axiom("high", Relation(t, "<=", TWO), ""),
            )
        )


def test_known_at_one_point_under_a_sum(prove, refused):
    """H(k) = 1 where k = 2 says nothing about H(1) + ... + H(N)."""
    total = sp.Sum(H(k), (k, 1, N))
    prove(*everywhere(sp.Integral(H(k), (k, 0, N)), N, k))
    with refused:
        prove(*everywhere(total, N, k, at_two(k)))


def test_known_at_one_point_under_a_limit(prove, refused):
    """H(t) = 1 where t = 2 says nothing about the limit of H at 0."""
    limit = sp.Limit(H(t), t, 0)
    prove(*everywhere(sp.Integral(H(t), (t, 0, 1)), ONE, t))
    with refused:
        prove(*everywhere(limit, ONE, t, at_two(t)))


def test_known_in_one_case_under_an_integral(prove, refused):
    """H(t) is 1 for t >= 1 and 2 below, its integral neither that of 1 nor of 2."""
    integral = sp.Integral(H(t), (t, 0, N))
    zero = Relation((integral - N) * (integral - 2 * N), "=", ZERO)

    def by_cases(supposed):
        return (
            Suppose("one", Relation(supposed, ">=", ONE), ""),
            Axiom("above", Relation(H(t), "=", ONE), "", ("one",)),
            Identity("first", zero, "", ("above",)),
            Suppose("other", Relation(supposed, "<", ONE), ""),
            Axiom("below", Relation(H(t), "=", TWO), "", ("other",)),
            Identity("second", zero, "", ("below",)),
            Cases("end", zero, "", ("one", "first", "other", "second")),
        )

    prove(*by_cases(r))
    with refused:
        prove(*by_cases(t))


def test_known_at_a_minimum(prove, refused, minimum):
    """The zero of a slope is one point: H = 1 there says nothing of its integral."""
    zero = sp.Symbol("z", positive=True)
    least = minimum(t + 1 / t, 1 / t**2 - 1, t, zero, (ONE / 2, TWO))
    prove(*least, *everywhere(sp.Integral(H(k), (k, 0, r)), r, k))
    with refused:
        prove(*least, *everywhere(sp.Integral(H(zero), (zero, 0, r)), r, zero))


def test_known_at_one_point_under_a_derivative(prove, refused):
    """H(t) = 1 where t = 2 says nothing about the slope of H."""
    slope = sp.Derivative(H(t), t)
    prove(*everywhere(slope, ZERO, t))
    with refused:
        prove(*everywhere(slope, ZERO, t, at_two(t)))


def test_a_value_against_the_sign_of_the_function(prove, refused):
    """An axiom H(t) = -1 for a function whose own assumption says H >= 0: 0 <= -1."""
    value = Axiom("value", Relation(K(t), "=", -ONE), "")
    prove(value, Identity("end", Relation(K(t) ** 2, "=", ONE), "", ("value",)))
    with refused:
        prove(
            Axiom("value", Relation(H(t), "=", -ONE), ""),
            Inequality("sign", Relation(ZERO, "<=", H(t)), "", certificate=H(t)),
            Chain("end", Relation(ZERO, "<=", -ONE), "", ("sign", "value")),
        )


@pytest.mark.parametrize(
    ("formula", "end"),
    [pytest.param(1 / t, ONE, id="pole"), pytest.param(ONE, sp.oo, id="long interval")],
)
def test_a_formula_with_an_infinite_integral(prove, refused, formula, end):
    """A function without formula, given one, may integrate to ∞: 0 = 1/(1 + ∞) > 0."""

    def inverse(formula, end, value):
        integral = sp.Integral(H(t), (t, 0, end))
        term = 1 / (1 + integral)
        return (
            Axiom("formula", Relation(H(t), "=", formula), "for every value of t"),
            Axiom("sign", Relation(integral, ">=", ZERO), ""),
            Identity("value", Relation(value, "=", term), "", ("formula", "sign")),
            Inequality(
                "positive", Relation(term, ">", ZERO), "", ("sign",), certificate=term
            ),
            Chain("end", Relation(value, ">", ZERO), "", ("value", "positive")),
        )

    prove(*inverse(ONE, ONE, ONE / 2))
    with refused:
        prove(*inverse(formula, end, ZERO))


def test_a_name_for_a_value_of_the_function(prove, refused):
    """With the name c for K(t) the integral of K is c's: every function is constant."""
    function = sp.Function("K", real=True)(t)
    mean, c = sp.Integral(function, (t, 0, 1)), sp.Symbol("c", real=True)

    constant = Axiom("constant", Relation(function, "=", c), "for every value of t")
    prove(constant, Identity("end", Relation(mean, "=", c), "", ("constant",)))
    with refused:
        prove(
            Axiom("name", Relation(c, "=", function), "", axiom="name"),
            Identity("value", Relation(function, "=", c), "", ("name",)),
            Identity("end", Relation(mean, "=", c), "", ("value",)),
        )
