"""What a new symbol may stand for: a real number that exists, with the sign that it claims."""

import pytest
import sympy as sp

from analysis.signs import Relation
from analysis.steps import Axiom, Chain, Definition, Identity, Inequality

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
a, b = sp.symbols("a b", real=True)
n = sp.Symbol("n", nonnegative=True)
x, k = sp.symbols("x k", positive=True)


def test_a_zero_denominator(prove, refused):
    """A certificate that divides by a symbol which is defined as zero: a <= b for any a and b."""

    def divided(symbol, *first):
        quotient = (b * symbol - a * symbol) / symbol
        return *first, Inequality("end", Relation(a, "<=", b), "", ("0",), certificate=quotient)

    prove(*divided(x, Axiom("0", Relation(a * x, "<=", b * x), "")))
    with refused:
        prove(
            *divided(
                n,
                Definition("n", Relation(n, "=", ZERO), ""),
                Inequality("0", Relation(a * n, "<=", b * n), "", ("n",), certificate=ZERO),
            )
        )


@pytest.mark.parametrize("assumptions", [{"nonzero": True, "real": True}, {"irrational": True}])
def test_a_symbol_that_claims_more_than_a_sign(prove, refused, assumptions):
    """0 < 0 from a symbol that is 0 and whose assumptions say that it is not."""

    def squared(symbol, value):
        return (
            Definition("z", Relation(symbol, "=", value), ""),
            Inequality("positive", Relation(ZERO, "<", symbol**2), "", certificate=symbol**2),
            Identity("value", Relation(symbol**2, "=", value**2), "", ("z",)),
            Chain("end", Relation(ZERO, "<", value**2), "", ("positive", "value")),
        )

    prove(*squared(sp.Symbol("z", positive=True), TWO))
    with refused:
        prove(*squared(sp.Symbol("z", **assumptions), ZERO))


def test_a_definition_that_is_an_inequality(prove, refused):
    """A symbol "defined" by n < 0 whose own assumption says n >= 0: 0 < 0."""
    prove(
        Definition("n", Relation(n, "=", TWO), ""),
        Inequality("sign", Relation(ZERO, "<=", n), "", certificate=n),
        Chain("end", Relation(ZERO, "<=", TWO), "", ("sign", "n")),
    )
    with refused:
        prove(
            Definition("n", Relation(n, "<", ZERO), ""),
            Inequality("sign", Relation(ZERO, "<=", n), "", certificate=n),
            Chain("end", Relation(ZERO, "<", ZERO), "", ("sign", "n")),
        )


def inverse(symbol, denominator, *first):
    """1 = denominator·symbol for the symbol that is 1/denominator."""
    return (
        *first,
        Definition("inverse", Relation(symbol, "=", 1 / denominator), ""),
        Identity("one", Relation(ONE, "=", denominator * symbol), "", ("inverse",)),
    )


def test_a_complex_symbol_that_is_one_over_zero(prove, refused):
    """Without the assumption real nothing is asked of z = 1/a, where a = 0: 1 = a z = 0."""
    prove(*inverse(sp.Symbol("z", real=True), x))
    z = sp.Symbol("z")
    with refused:
        prove(
            *inverse(z, a, Definition("a", Relation(a, "=", ZERO), "")),
            Identity("zero", Relation(a * z, "=", ZERO), "", ("a",)),
            Chain("end", Relation(ONE, "=", ZERO), "", ("one", "zero")),
        )


def test_a_symbol_for_a_sum_that_diverges(prove, refused):
    """Z = 1 + 2 + 4 + ... has 1/z = 0, so that 1 = z/z = 0."""
    finite, divergent = sp.Integer(15), sp.Sum(2**k, (k, 0, sp.oo))
    z = sp.Symbol("z", real=True)
    prove(
        Definition("sum", Relation(z, "=", finite), ""),
        Identity("end", Relation(2 * z, "=", sp.Integer(30)), "", ("sum",)),
    )
    z = sp.Symbol("z")
    with refused:
        prove(
            Definition("sum", Relation(z, "=", divergent), ""),
            Identity("end", Relation(1 / z, "=", ZERO), "", ("sum",)),
        )
