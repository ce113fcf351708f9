"""Functions without a formula, and what is said of them at one point only."""

import sympy as sp

from analysis.signs import Relation
from analysis.steps import Axiom, Chain, Definition, Identity, Inequality

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
    prove(*everywhere(total, N, k))
    with refused:
        prove(*everywhere(total, N, k, at_two(k)))


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
