"""Expressions that are equal where both have a value."""

import pytest
import sympy as sp

from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Definition, Expectation, Identity

ZERO, ONE = sp.S.Zero, sp.S.One
a, b = sp.symbols("a b", real=True)
n = sp.Symbol("n", nonnegative=True)
t, x = sp.symbols("t x", positive=True)


def test_a_denominator_that_vanishes(prove, refused):
    """With a² + b² = 0 the quotient (a² + b²)/b³ is 0/0, not 0."""
    circle = Axiom("circle", Relation(a**2 + b**2, "=", ZERO), "")
    prove(
        circle,
        Identity("end", Relation((a**2 + b**2) / x**3, "=", ZERO), "", ("circle",)),
    )
    with refused:
        prove(
            circle,
            Identity("end", Relation((a**2 + b**2) / b**3, "=", ZERO), "", ("circle",)),
        )


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
    """At a pole of f its product with a vanishing factor is not 0 or its limit 1."""

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


def test_a_function_that_sympy_simplifies_wrongly(prove, refused):
    """The binomial coefficient of a over a is 1, and 0 at -1 as SymPy has it."""
    coefficient = sp.binomial(a, a)
    prove(Identity("end", Relation((a + 1) ** 2, "=", a**2 + 2 * a + 1), ""))
    with refused:
        prove(
            Definition("a", Relation(a, "=", -ONE), ""),
            Identity("one", Relation(ONE, "=", coefficient), ""),
            Identity("zero", Relation(coefficient, "=", ZERO), "", ("a",)),
            Chain("end", Relation(ONE, "=", ZERO), "", ("one", "zero")),
        )


A, B = sp.symbols("A B", commutative=False)
product = Axiom("product", Relation(A * B, "=", ONE), "")
second = Axiom("second", Relation(E(a**2), "=", ONE), "")
unknown = (
    sp.Limit(sp.exp(-n * t), t, sp.oo),
    sp.Limit(t**n, t, 0),
    sp.Limit(sp.Max(n * t, 1), t, sp.oo),
)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            (product, Identity("end", Relation(B * A, "=", ONE), "", ("product",))),
            id="factors that do not commute",
        ),
        *(
            pytest.param(
                (Identity("end", Relation(limit, "=", ZERO), ""),), id=f"limit {i}"
            )
            for i, limit in enumerate(unknown)
        ),
        pytest.param(
            (
                second,
                Expectation(
                    "end", Relation(E(b * a**2), "=", b), "", ("second",), random=(a,)
                ),
            ),
            id="the slope in a square",
        ),
    ],
)
def test_where_sympy_gives_up(refused, prove, steps):
    """What SymPy cannot do has not been checked, and the checker says so itself."""
    with refused:
        prove(*steps)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda n: sp.Limit(n * t / (n * t + 1), t, sp.oo), id="quotient"),
        pytest.param(
            lambda n: sp.Limit(sp.log(n * t + 1) / sp.log(t + 1), t, sp.oo),
            id="logarithms",
        ),
        pytest.param(lambda n: sp.Limit(n / (n + t), t, 0), id="at zero"),
    ],
)
def test_a_limit_for_most_parameters(prove, refused, form):
    """SymPy's limits of these are 1, as for n > 0; at n = 0 they are 0."""

    def limit(parameter):
        return Identity("end", Relation(ONE, "=", form(parameter)), "")

    prove(limit(x))
    with refused:
        prove(limit(n))


@pytest.mark.parametrize("parameter", [a, n])
def test_a_limit_that_is_infinite(prove, refused, parameter):
    """The limit of t/(at + 1) is 1/a but for a = 0, where 1 = a/a = 0."""

    def inverse(parameter):
        value = sp.Limit(t / (parameter * t + 1), t, sp.oo)
        return (
            Definition("b", Relation(b, "=", value), ""),
            Identity("one", Relation(ONE, "=", parameter * b), "", ("b",)),
        )

    prove(*inverse(x))
    with refused:
        prove(
            Definition("zero", Relation(parameter, "=", ZERO), ""),
            *inverse(parameter),
            Identity("product", Relation(parameter * b, "=", ZERO), "", ("zero",)),
            Chain("end", Relation(ONE, "=", ZERO), "", ("one", "product")),
        )


def test_a_slope_that_is_infinite(prove, refused):
    """The root of n has the slope 1/(2√n) but for n = 0, where 1 = 2√n/(2√n) = 0."""

    def slope(variable):
        return (
            Definition(
                "b", Relation(b, "=", sp.Derivative(sp.sqrt(variable), variable)), ""
            ),
            Identity("one", Relation(ONE, "=", 2 * sp.sqrt(variable) * b), "", ("b",)),
        )

    prove(*slope(x))
    with refused:
        prove(
            Definition("zero", Relation(n, "=", ZERO), ""),
            *slope(n),
            Identity("product", Relation(2 * sp.sqrt(n) * b, "=", ZERO), "", ("zero",)),
            Chain("end", Relation(ONE, "=", ZERO), "", ("one", "product")),
        )
