"""What is random, under which names, and that an average is over every case."""

from dataclasses import replace

import pytest
import sympy as sp

from analysis.signs import E, Relation
from analysis.steps import (
    Averaged,
    Axiom,
    Cases,
    Definition,
    Expectation,
    Identity,
    Inequality,
    Suppose,
)

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
HALF = sp.Rational(3, 2)
a, c, U, W, X, Y = sp.symbols("a c U W X Y", real=True)
t = sp.Symbol("t", positive=True)
K = sp.Function("K", real=True)

mean = Axiom("mean", Relation(E(X), "=", ZERO), "")


def product(factor, *first):
    """E(X·factor) = 0 because E X = 0, for a factor that is not random."""
    return (
        mean,
        *first,
        Expectation("end", Relation(E(X * factor), "=", ZERO), "", ("mean",), random=(X,)),
    )


@pytest.mark.parametrize(
    ("factor", "alias"),
    [
        pytest.param(Y, Definition("Y", Relation(Y, "=", X), ""), id="definition"),
        pytest.param(Y, Axiom("Y", Relation(Y, "=", X), "", axiom="name"), id="name"),
        pytest.param(Y, Axiom("Y", Relation(2 * Y, "=", 2 * X), ""), id="equation"),
        pytest.param(K(c), Axiom("K", Relation(K(c), "=", X), ""), id="function"),
    ],
)
def test_another_name_of_a_random_quantity(prove, refused, factor, alias):
    """Y = X is random as well, so that E(X Y) = E X² is not Y·E X."""
    prove(*product(Y, Definition("Y", Relation(Y, "=", c**2), "")))
    with refused:
        prove(*product(factor, alias))


def test_a_name_of_a_name(prove, refused):
    """Y = W is random because W = X, which is said later."""
    named = Definition("Y", Relation(Y, "=", W), "")
    prove(*product(Y, named, Axiom("W", Relation(W, "=", c), "")))
    with refused:
        prove(*product(Y, named, Axiom("W", Relation(W, "=", X), "")))


def test_a_mean_that_is_zero(prove, refused):
    """A quantity that is declared nowhere is its own mean, so that E Y = 0 makes Y = 0."""
    constant = Expectation("constant", Relation(E(Y), "=", Y), "", (), random=())
    prove(mean, Expectation("end", Relation(E(X + Y), "=", Y), "", ("mean",), random=(X,)))
    with refused:
        prove(
            Axiom("mean", Relation(E(Y), "=", ZERO), ""),
            constant,
            Identity("end", Relation(Y, "=", ZERO), "", ("constant", "mean")),
        )


def test_cases_outside_the_average(prove, refused):
    """E of what is 1 or 2 by the sign of X is a number, not E 1 or E 2 by the sign of X."""
    inside = sp.Piecewise((ONE, X > 0), (TWO, True))
    outside = sp.Piecewise((E(ONE), X > 0), (E(TWO), True))
    prove(Identity("end", Relation(E((X + 1) ** 2), "=", E(X**2 + 2 * X + 1)), ""), random=(X,))
    with refused:
        prove(Identity("end", Relation(E(inside), "=", outside), ""), random=(X,))


def test_an_equation_under_a_supposition_inside_an_average(prove, refused):
    """Where X >= 0 its size K is X, elsewhere -X; E K is E X or -E X for a sure sign only."""

    def by_sign(size, supposed):
        zero = Relation((E(size) - E(X)) * (E(size) - E(-X)), "=", ZERO)
        return (
            Suppose("one", Relation(supposed, ">=", ZERO), ""),
            Axiom("up", Relation(size, "=", X), "", ("one",)),
            Identity("first", zero, "", ("up",)),
            Suppose("other", Relation(supposed, "<=", ZERO), ""),
            Axiom("down", Relation(size, "=", -X), "", ("other",)),
            Identity("second", zero, "", ("down",)),
            Cases("end", zero, "", ("one", "first", "other", "second")),
        )

    prove(*by_sign(K(X), c), random=(X,))
    with refused:
        prove(*by_sign(K(X), X), random=(X,))


def one_case(name, sign, supposed, using):
    """Beyond or below 1: U against 1, U³ against U², their means, and the product of the gaps."""
    direction = 1 if sign == ">=" else -1
    excess, first, third = direction * (supposed - 1), E(U) - E(ONE), E(U**3) - E(U**2)
    return (
        Suppose(name, Relation(supposed, sign, ONE), ""),
        Inequality(f"{name} U", Relation(U, sign, ONE), "", (name, *using), certificate=excess),
        Inequality(
            f"{name} U³",
            Relation(U**3, sign, U**2),
            "",
            (f"{name} U",),
            certificate=U**2 * (direction * (U - 1)),
        ),
        Averaged(f"{name} E U", Relation(E(U), sign, E(ONE)), "", (f"{name} U",)),
        Averaged(f"{name} E U³", Relation(E(U**3), sign, E(U**2)), "", (f"{name} U³",)),
        Inequality(
            f"{name} end",
            Relation(first * third, ">=", ZERO),
            "",
            (f"{name} E U", f"{name} E U³"),
            certificate=(direction * first) * (direction * third),
        ),
    )


def by_cases(supposed, *first, using=()):
    """(E U - 1)(E U³ - E U²) >= 0, by cases of `supposed`, which is U.

    False for U = 2 with chance 0.4, else 0: the gaps are -0.2 and 1.6.
    """
    up, down = one_case("up", ">=", supposed, using), one_case("down", "<=", supposed, using)
    steps = (*first, *up, *down)
    return (*steps, Cases("end", up[-1].relation, "", ("up", "up end", "down", "down end")))


declared = Expectation("declared", Relation(E(ONE), "=", ONE), "", (), random=(U,))
alias = Axiom("alias", Relation(W, "=", U), "", axiom="name")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(by_cases(U, declared), id="declared as random"),
        pytest.param(by_cases(U), id="declared nowhere"),
        pytest.param(by_cases(W, declared, alias, using=("alias",)), id="under another name"),
    ],
)
def test_an_average_under_a_supposition(prove, refused, steps):
    """A supposition on what is random holds for a part of the average only."""
    square = Inequality("square", Relation(U**2, ">=", ZERO), "", ("up",), certificate=U**2)
    mean = Averaged("mean", Relation(E(U**2), ">=", E(ZERO)), "", ("square",))
    prove(
        declared,
        Suppose("up", Relation(c, ">=", ZERO), "c is not random"),
        square,
        mean,
        Suppose("down", Relation(c, "<=", ZERO), ""),
        replace(square, name="square below", using=("down",)),
        replace(mean, name="mean below", using=("square below",)),
        Cases("end", mean.relation, "", ("up", "mean", "down", "mean below")),
    )
    with refused:
        prove(*steps)
