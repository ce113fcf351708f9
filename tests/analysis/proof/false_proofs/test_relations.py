"""What the two sides of a relation may be, and its sign."""

import pytest
import sympy as sp

from analysis.proof.relations import Relation
from analysis.proof.steps import Chain, Definition, Identity, Inequality

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
a, y = sp.symbols("a y", real=True)
x = sp.Symbol("x", positive=True)


@pytest.mark.parametrize("sign", ["≥", "=>"])
def test_a_sign_that_means_nothing(prove, refused, sign):
    """Whatever is neither =, >= nor > was read as <=, and printed as is: 0 ≥ 1."""
    prove(Inequality("end", Relation(ONE, ">=", ZERO), "", certificate=ONE))
    with refused:
        prove(Inequality("end", Relation(ZERO, sign, ONE), "", certificate=ONE))


def test_a_number_that_is_rounded(prove, refused):
    """In floating point 1e17 is the root of 1e34 + 1, so a number is below itself."""

    def root(large, value):
        return (
            Definition("x", Relation(x, "=", large), ""),
            Identity("root", Relation(sp.sqrt(x**2 + 1), "=", value), "", ("x",)),
            Inequality(
                "less",
                Relation(x, "<", sp.sqrt(x**2 + 1)),
                "",
                certificate=1 / (x + sp.sqrt(x**2 + 1)),
            ),
            Chain("end", Relation(x, "<", value), "", ("less", "root")),
        )

    prove(*root(sp.Integer(10**17), sp.sqrt(sp.Integer(10**34 + 1))))
    with refused:
        prove(*root(sp.Float("1e17"), x))


def test_a_value_that_is_not_there(prove, refused):
    """A Piecewise without a last case is positive where it has no value."""

    def cases(*more):
        value = sp.Piecewise((ONE, y > 1), *more)
        return (
            Definition("y", Relation(y, "=", ZERO), ""),
            Inequality("end", Relation(value, ">", ZERO), "", certificate=value),
        )

    prove(*cases((TWO, True)))
    with refused:
        prove(*cases())


def test_a_sign_that_is_lost_at_the_end_of_a_range(prove, refused):
    """exp(-|log n|) is n below 1, which SymPy calls positive: 0 = exp(-|log 0|) > 0."""

    def decay(exponent):
        value = sp.exp(-exponent)
        return Inequality("positive", Relation(value, ">", ZERO), "", certificate=value)

    n = sp.Symbol("n", nonnegative=True)
    prove(decay(n))
    size = sp.Abs(sp.log(n))
    with refused:
        prove(
            Definition("n", Relation(n, "=", ZERO), ""),
            decay(size),
            Identity("zero", Relation(ZERO, "=", sp.exp(-size)), "", ("n",)),
            Chain("end", Relation(ZERO, ">", ZERO), "", ("zero", "positive")),
        )


def test_two_symbols_of_one_name(prove, refused):
    """A statement that prints x < x, of symbols of different assumptions."""
    small = sp.Symbol("x", real=True)

    def less(low):
        return (
            Definition("low", Relation(low, "=", x - 1), ""),
            Inequality("end", Relation(low, "<", x), "", ("low",), certificate=ONE),
        )

    prove(*less(y))
    with refused:
        prove(*less(small))


@pytest.mark.parametrize(
    "side", [1, 1.0, "1", True, None, sp.true, sp.Lt(a, y), sp.Tuple(ONE)]
)
def test_a_side_that_is_no_expression(prove, refused, side):
    """A side is an expression of SymPy, so that it is known what it is equal to."""
    prove(Identity("end", Relation((a + 1) ** 2, "=", a**2 + 2 * a + 1), ""))
    with refused:
        prove(Identity("end", Relation(side, "=", side), ""))
