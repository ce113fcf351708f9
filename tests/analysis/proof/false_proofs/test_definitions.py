"""What a new symbol may stand for: an existing real number, of the sign claimed."""

import pytest
import sympy as sp

from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
a, b = sp.symbols("a b", real=True)
n = sp.Symbol("n", nonnegative=True)
x, k = sp.symbols("x k", positive=True)


def test_a_zero_denominator(prove, refused):
    """A certificate that divides by a symbol defined as zero: a <= b for any a, b."""

    def divided(symbol, *first):
        quotient = (b * symbol - a * symbol) / symbol
        return *first, Inequality(
            "end", Relation(a, "<=", b), "", ("0",), certificate=quotient
        )

    prove(*divided(x, Axiom("0", Relation(a * x, "<=", b * x), "")))
    with refused:
        prove(
            *divided(
                n,
                Definition("n", Relation(n, "=", ZERO), ""),
                Inequality(
                    "0", Relation(a * n, "<=", b * n), "", ("n",), certificate=ZERO
                ),
            )
        )


@pytest.mark.parametrize(
    "assumptions", [{"nonzero": True, "real": True}, {"irrational": True}]
)
def test_a_symbol_that_claims_more_than_a_sign(prove, refused, assumptions):
    """0 < 0 from a symbol that is 0 and whose assumptions say that it is not."""

    def squared(symbol, value):
        return (
            Definition("z", Relation(symbol, "=", value), ""),
            Inequality(
                "positive", Relation(ZERO, "<", symbol**2), "", certificate=symbol**2
            ),
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
    """Without assuming real nothing is asked of z = 1/a, where a = 0: 1 = a z = 0."""
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

    def named(z, total, inverse):
        return (
            Definition("sum", Relation(z, "=", total), ""),
            Identity("end", Relation(1 / z, "=", inverse), "", ("sum",)),
        )

    prove(*named(sp.Symbol("z", positive=True), 1 + k, 1 / (1 + k)))
    with refused:
        prove(*named(sp.Symbol("z"), sp.Sum(2**k, (k, 0, sp.oo)), ZERO))


def test_a_real_symbol_that_is_infinite(prove, refused):
    """|log n| is finite for SymPy; at n = 0 it is not: 0 = 1/(n₂ + 1) > 0."""

    def inverse(symbol, *first):
        return (
            *first,
            Inequality(
                "positive",
                Relation(1 / (symbol + 1), ">", ZERO),
                "",
                certificate=1 / (symbol + 1),
            ),
        )

    prove(*inverse(n, Definition("n", Relation(n, "=", x**2), "")))
    size = sp.Symbol("size", nonnegative=True)
    with refused:
        prove(
            Definition("n", Relation(n, "=", ZERO), ""),
            *inverse(
                size, Definition("size", Relation(size, "=", sp.Abs(sp.log(n))), "")
            ),
            Identity("zero", Relation(ZERO, "=", 1 / (size + 1)), "", ("size", "n")),
            Chain("end", Relation(ZERO, ">", ZERO), "", ("zero", "positive")),
        )


@pytest.mark.parametrize("infinite", [x, E(a)])
def test_an_axiom_that_says_infinity(prove, refused, infinite):
    """What has a sign is a number: with ∞ for it, 0 = 1/(1 + ∞) > 0."""

    def inverse(value):
        term = 1 / (1 + infinite)
        return (
            Axiom("value", Relation(infinite, "=", value), ""),
            Axiom("sign", Relation(infinite, ">=", ZERO), ""),
            Identity(
                "inverse", Relation(1 / (1 + value), "=", term), "", ("value", "sign")
            ),
            Inequality(
                "positive", Relation(term, ">", ZERO), "", ("sign",), certificate=term
            ),
            Chain(
                "end", Relation(1 / (1 + value), ">", ZERO), "", ("inverse", "positive")
            ),
        )

    prove(*inverse(TWO), random=(a,))
    with refused:
        prove(*inverse(sp.oo), random=(a,))


def test_a_real_symbol_that_is_not_real(prove, refused):
    """Lambert's second branch at a positive number is not real, nor is its square."""

    def squared(value):
        return (
            Definition("a", Relation(a, "=", value), ""),
            Inequality("square", Relation(a**2, ">=", ZERO), "", certificate=a**2),
            Identity("value", Relation(value**2, "=", a**2), "", ("a",)),
            Chain("end", Relation(value**2, ">=", ZERO), "", ("value", "square")),
        )

    prove(*squared(sp.LambertW(x)))
    with refused:
        prove(*squared(sp.LambertW(x, -1)))


def test_a_name_that_claims_a_sign(prove, refused):
    """With the name x > 0 for any number a, any number is positive."""
    positive = Relation(a, ">", ZERO)
    prove(
        Axiom("sign", positive, ""),
        Axiom("name", Relation(b, "=", a), "", axiom="name"),
        Inequality("end", Relation(b, ">", ZERO), "", ("name", "sign"), certificate=a),
    )
    with refused:
        prove(
            Axiom("name", Relation(x, "=", a), "", axiom="name"),
            Inequality("end", positive, "", ("name",), certificate=x),
        )
