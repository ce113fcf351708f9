"""Expressions that are equal where both have a value."""

import pytest
import sympy as sp

from analysis.signs import Relation
from analysis.steps import Axiom, Chain, Definition, Identity

ZERO, ONE = sp.S.Zero, sp.S.One
a, b = sp.symbols("a b", real=True)
n = sp.Symbol("n", nonnegative=True)
t, x = sp.symbols("t x", positive=True)


def test_a_denominator_that_vanishes(prove, refused):
    """With a² + b² = 0 the quotient (a² + b²)/b³ is 0/0, not 0."""
    circle = Axiom("circle", Relation(a**2 + b**2, "=", ZERO), "")
    prove(circle, Identity("end", Relation((a**2 + b**2) / x**3, "=", ZERO), "", ("circle",)))
    with refused:
        prove(circle, Identity("end", Relation((a**2 + b**2) / b**3, "=", ZERO), "", ("circle",)))


def test_zero_over_zero(prove, refused):
    """With b = a put in, b/a is 1; with b = 0 put in, it is 0; but a = 0."""

    def ratio(denominator):
        return (
            Definition("b", Relation(b, "=", denominator), ""),
            Identity("one", Relation(ONE, "=", b / denominator), "", ("b",)),
        )

    prove(*ratio(x))
    with refused:
        prove(
            Definition("a", Relation(a, "=", ZERO), ""),
            *ratio(a),
            Identity("b is zero", Relation(b, "=", ZERO), "", ("a", "b")),
            Identity("zero", Relation(b / a, "=", ZERO), "", ("b is zero",)),
            Chain("end", Relation(ONE, "=", ZERO), "", ("one", "zero")),
        )


@pytest.mark.parametrize(
    ("function", "pole", "factor", "product"),
    [
        pytest.param(sp.tan, sp.pi / 2, sp.cos(a), sp.sin(a), id="tangent"),
        pytest.param(sp.gamma, ZERO, a, sp.gamma(a + 1), id="gamma"),
    ],
)
def test_zero_times_infinity(prove, refused, function, pole, factor, product):
    """At a pole of f the product of f with a factor that vanishes is not 0, and not its limit 1."""

    def times(function, factor, product):
        return (
            Definition("b", Relation(b, "=", factor), ""),
            Identity("product", Relation(product, "=", function(a) * b), "", ("b",)),
        )

    prove(*times(sp.exp, sp.exp(-a), ONE))
    with refused:
        prove(
            Definition("a", Relation(a, "=", pole), ""),
            *times(function, factor, product),
            Identity("one", Relation(ONE, "=", product), "", ("a",)),
            Identity("b is zero", Relation(b, "=", ZERO), "", ("a", "b")),
            Identity("zero", Relation(function(a) * b, "=", ZERO), "", ("b is zero",)),
            Chain("end", Relation(ONE, "=", ZERO), "", ("one", "product", "zero")),
        )


def test_a_limit_for_most_parameters(prove, refused):
    """SymPy's limit of nt/(nt + 1) is 1, as for n > 0; at n = 0 it is 0."""

    def limit(parameter):
        return sp.Limit(parameter * t / (parameter * t + 1), t, sp.oo)

    prove(Identity("end", Relation(ONE, "=", limit(x)), ""))
    with refused:
        prove(
            Definition("n", Relation(n, "=", ZERO), ""),
            Identity("one", Relation(ONE, "=", limit(n)), ""),
            Identity("zero", Relation(limit(n), "=", ZERO), "", ("n",)),
            Chain("end", Relation(ONE, "=", ZERO), "", ("one", "zero")),
        )
