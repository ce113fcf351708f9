"""What is random, under which names, and that an average is over every case."""

from dataclasses import replace

import pytest
import sympy as sp

from analysis.proof.relations import E, Mean, Quantile, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Cases,
    Definition,
    Expectation,
    Identity,
    Inequality,
    Suppose,
)
from analysis.proof.symbols import s

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
        Expectation(
            "end", Relation(E(X * factor), "=", ZERO), "", ("mean",), random=(X,)
        ),
    )


@pytest.mark.parametrize(
    ("factor", "alias"),
    [
        pytest.param(s, Axiom("s", Relation(2 * s, "=", 2 * X), ""), id="parameter"),
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
    """A quantity declared nowhere is its own mean, so that E Y = 0 makes Y = 0."""
    shifted = Relation(E(X + Y), "=", Y)
    prove(mean, Expectation("end", shifted, "", ("mean",), random=(X,)))
    with refused:
        prove(
            Axiom("mean", Relation(E(Y), "=", ZERO), ""),
            Expectation("constant", Relation(E(Y), "=", Y), "", (), random=()),
            Identity("end", Relation(Y, "=", ZERO), "", ("constant", "mean")),
        )


def test_a_moment_of_a_function(prove, refused):
    """E K(X) = 0 does not make E X K(X) = 0: with K(X) = X it is E X²."""

    def moment(quantity):
        end = Relation(E(X * quantity), "=", ZERO)
        return (
            Axiom("mean", Relation(E(quantity), "=", ZERO), ""),
            Expectation("end", end, "", ("mean",), random=(quantity,)),
        )

    prove(*moment(Y))
    with refused:
        prove(*moment(K(X)))


def test_a_zero_that_is_random(prove, refused, minimum):
    """(t - Y)²/2 is least at Y, which is random with Y: E Y² is not Y·E Y."""
    zero, level, random = sp.symbols("z y Y", positive=True)
    average = Axiom("mean", Relation(E(random), "=", ONE), "")
    product = Relation(E(random * zero), "=", zero)
    end = Expectation("end", product, "", ("mean",), random=(random,))

    def at_the_minimum(target):
        return minimum((t - target) ** 2 / 2, target - t, t, zero, (ZERO, 2 * target))

    prove(average, *at_the_minimum(level), end)
    with refused:
        prove(average, *at_the_minimum(random), end)


def quantile(expression):
    return Quantile(expression, sp.Rational(2, 5))


every_average = pytest.mark.parametrize("average", [E, Mean, quantile])


@every_average
def test_a_limit_inside_the_average(prove, refused, average):
    """For X of the law e^-x the mean of t e^-tX is t/(1 + t).

    Its limit is 1, that inside is 0.
    """
    positive, k = sp.symbols("X k", positive=True)
    outside = sp.Limit(average(t * sp.exp(-t * positive)), t, sp.oo)
    prove(
        Identity("end", Relation(sp.Limit(t * sp.exp(-t * k), t, sp.oo), "=", ZERO), "")
    )
    with refused:
        prove(
            Identity("end", Relation(outside, "=", average(ZERO)), ""),
            random=(positive,),
        )


@pytest.mark.parametrize("form", [sp.Limit, sp.Subs])
def test_an_average_at_a_point(prove, refused, form):
    """The mean of X does not depend on X, and is not the mean of 0 where X is 0."""
    k = sp.Symbol("k", positive=True)
    prove(Identity("end", Relation(form(2 * k, k, 0), "=", ZERO), ""))
    with refused:
        average = Relation(form(c * E(k), k, 0), "=", c * E(ZERO))
        prove(Identity("end", average, ""), random=(k,))


@every_average
def test_cases_outside_the_average(prove, refused, average):
    """E of what is 1 or 2 by the sign of X is one number, not two by the sign of X."""
    inside = sp.Piecewise((ONE, X > 0), (TWO, True))
    outside = sp.Piecewise((average(ONE), X > 0), (average(TWO), True))
    expanded = Relation(E((X + 1) ** 2), "=", E(X**2 + 2 * X + 1))
    prove(Identity("end", expanded, ""), random=(X,))
    with refused:
        prove(Identity("end", Relation(average(inside), "=", outside), ""), random=(X,))


@every_average
def test_an_equation_under_a_supposition_inside_an_average(prove, refused, average):
    """Where X >= 0 its size K is X, elsewhere -X.

    E K is E X or -E X for a sure sign only.
    """

    def by_sign(size, supposed):
        gaps = [average(size) - average(each) for each in (X, -X)]
        zero = Relation(gaps[0] * gaps[1], "=", ZERO)
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
    """Beyond or below 1: U against 1, U³ against U², means, product of the gaps."""
    direction = 1 if sign == ">=" else -1
    excess, first, third = direction * (supposed - 1), E(U) - E(ONE), E(U**3) - E(U**2)
    return (
        Suppose(name, Relation(supposed, sign, ONE), ""),
        Inequality(
            f"{name} U", Relation(U, sign, ONE), "", (name, *using), certificate=excess
        ),
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
    up, down = (
        one_case("up", ">=", supposed, using),
        one_case("down", "<=", supposed, using),
    )
    steps = (*first, *up, *down)
    return (
        *steps,
        Cases("end", up[-1].relation, "", ("up", "up end", "down", "down end")),
    )


declared = Expectation("declared", Relation(E(ONE), "=", ONE), "", (), random=(U,))
alias = Axiom("alias", Relation(W, "=", U), "", axiom="name")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(by_cases(U, declared), id="declared as random"),
        pytest.param(by_cases(U), id="declared nowhere"),
        pytest.param(
            by_cases(W, declared, alias, using=("alias",)), id="under another name"
        ),
    ],
)
def test_an_average_under_a_supposition(prove, refused, steps):
    """A supposition on what is random holds for a part of the average only."""
    square = Inequality(
        "square", Relation(U**2, ">=", ZERO), "", ("up",), certificate=U**2
    )
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
