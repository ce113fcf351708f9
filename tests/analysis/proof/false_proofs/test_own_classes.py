"""Objects that answer the checker themselves, and names that are read as others."""

import pytest
import sympy as sp

from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality, Step

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
a, b, X = sp.symbols("a b X", real=True)
t, x = sp.symbols("t x", positive=True)


class Convinced(Step):
    """A step that follows from itself."""

    how = "obvious"

    def verify(self, known):
        pass


class ConvincedIdentity(Identity):
    """An identity that is not checked."""

    def verify(self, known):
        pass


class Slackless(Relation):
    """A relation whose two sides are never apart."""

    slack = ZERO


class Agreeable(Relation):
    """A relation that equals every other one."""

    def __eq__(self, other):
        return True

    __hash__ = Relation.__hash__


class PositiveZero(sp.Function):
    """An expression that is positive when it is asked, zero when it is simplified."""

    is_positive = True

    def doit(self, **hints):
        return ZERO


square = Identity("end", Relation((a - b) * (a + b), "=", a**2 - b**2), "")


@pytest.mark.parametrize("kind", [Convinced, ConvincedIdentity])
def test_a_step_that_verifies_itself(prove, refused, kind):
    """Only the kinds of step of the checker are checked: 0 = 1."""
    prove(square)
    with refused:
        prove(kind("end", Relation(ZERO, "=", ONE), ""))


def test_a_relation_that_has_no_slack(prove, refused):
    """The difference of the two sides is what the relation says: 0 = 1."""
    prove(square)
    with refused:
        prove(Identity("end", Slackless(ZERO, "=", ONE), ""))


def test_a_statement_that_equals_the_last_step(prove, refused):
    """What is stated is compared with what is proved by the statement itself: 0 = 1."""
    prove(square, statement=square.relation)
    with refused:
        prove(square, statement=Agreeable(ZERO, "=", ONE))


def test_an_expression_that_says_two_things(prove, refused):
    """0 = f > 0 for a function that answers in code."""
    prove(Inequality("end", Relation(sp.exp(a), ">", ZERO), "", certificate=sp.exp(a)))
    f = PositiveZero(a)
    with refused:
        prove(
            Identity("zero", Relation(ZERO, "=", f), ""),
            Inequality("positive", Relation(f, ">", ZERO), "", certificate=f),
            Chain("end", Relation(ZERO, ">", ZERO), "", ("zero", "positive")),
        )


def two(symbol):
    """A symbol for 2, which is at least 1."""
    return (
        Definition("two", Relation(symbol, "=", TWO), ""),
        Inequality("end", Relation(symbol, ">=", ONE), "", ("two",), certificate=ONE),
    )


def test_a_symbol_that_is_called_like_a_number(prove, refused):
    """A statement that prints 0 >= 1, of a symbol called 0."""
    prove(*two(x))
    with refused:
        prove(*two(sp.Symbol("0", positive=True)))


def test_a_symbol_that_is_a_whole_number(prove, refused):
    """A statement that prints N² >= N, which is false for N = 1/2."""

    def square(symbol, *using):
        certificate = symbol * (symbol - 1)
        return Inequality(
            "end", Relation(symbol**2, ">=", symbol), "", using, certificate=certificate
        )

    prove(Axiom("at least 1", Relation(x, ">=", ONE), ""), square(x, "at least 1"))
    with refused:
        prove(square(sp.Symbol("N", integer=True, positive=True)))


def test_a_function_that_is_called_like_the_expectation(prove, refused):
    """A statement that prints E(X)² = 0 of a function E that has the values 0."""

    def squared(function):
        return (
            Axiom("zero", Relation(function(X), "=", ZERO), ""),
            Identity("end", Relation(function(X) ** 2, "=", ZERO), "", ("zero",)),
        )

    prove(*squared(sp.Function("H", real=True)))
    with refused:
        prove(*squared(sp.Function("E", real=True)))


def test_two_functions_of_one_name(prove, refused):
    """A statement that prints H(t) > H(t), of functions of different assumptions."""
    high = sp.Function("H", nonnegative=True)

    def above(low):
        certificate = (high(t), ONE)
        return (
            Axiom("low", Relation(low(t), "=", -ONE), ""),
            Inequality(
                "end",
                Relation(high(t), ">", low(t)),
                "",
                ("low",),
                certificate=certificate,
            ),
        )

    prove(*above(sp.Function("K", real=True)))
    with refused:
        prove(*above(sp.Function("H", real=True)))
