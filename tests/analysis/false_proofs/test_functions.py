"""Functions without a formula, and what is said of them at one point only."""

import sympy as sp

from analysis.calculus import UniqueMinimum
from analysis.signs import Relation
from analysis.steps import Axiom, Cases, Chain, Definition, Identity, Inequality, Suppose

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
    prove(*everywhere(sp.Integral(H(t), (t, 0, r)), r, t))
    with refused:
        prove(*everywhere(limit, ONE, t, at_two(t)))


def test_known_in_one_case_under_an_integral(prove, refused):
    """H(t) is 1 for t >= 1 and 2 below, and its integral neither that of 1 nor that of 2."""
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


def test_known_at_a_minimum(prove, refused):
    """The zero of a slope is one point: that H is 1 there says nothing about its integral."""
    zero = sp.Symbol("z", positive=True)
    function, numerator = t + 1 / t, 1 / t**2 - 1
    low, high = (sp.Subs(numerator, t, end) for end in (ONE / 2, TWO))
    least = (
        Identity("slope", Relation(sp.Derivative(function, t), "=", -numerator), ""),
        Inequality("falls", Relation(-2 / t**3, "<", ZERO), "", certificate=2 / t**3),
        Identity("low", Relation(low, "=", low.doit()), ""),
        Identity("high", Relation(high, "=", high.doit()), ""),
        UniqueMinimum(
            "least",
            Relation(zero + 1 / zero, "<=", function),
            "",
            ("slope", "falls", "low", "high"),
            function=function,
            numerator=numerator,
            factor=ONE,
            symbol=t,
            zero=zero,
            interval=(ONE / 2, TWO),
        ),
    )
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
