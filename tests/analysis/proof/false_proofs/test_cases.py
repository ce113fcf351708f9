"""Proofs by cases: each case is supposed, and together they leave nothing out."""

import sympy as sp

from analysis.proof.relations import Relation
from analysis.proof.steps import (
    Axiom,
    Cases,
    Chain,
    Definition,
    Identity,
    Inequality,
    Suppose,
)

ZERO, ONE = sp.S.Zero, sp.S.One
a, b, y = sp.symbols("a b y", real=True)
n = sp.Symbol("n", nonnegative=True)
w, x = sp.symbols("w x", positive=True)


def test_a_case_that_is_no_supposition(prove, refused):
    """An axiom a <= b is not discharged by the case a > b."""

    def by_cases(one):
        return (
            one,
            Axiom("first", Relation(y, ">=", ONE), "", ("one",)),
            Suppose("other", Relation(a, ">", b), ""),
            Axiom("second", Relation(y, ">=", ONE), "", ("other",)),
            Cases(
                "end", Relation(y, ">=", ONE), "", ("one", "first", "other", "second")
            ),
        )

    prove(*by_cases(Suppose("one", Relation(a, "<=", b), "")))
    with refused:
        prove(*by_cases(Axiom("one", Relation(a, "<=", b), "")))


def test_a_number_that_is_not_real(prove, refused):
    """1 + i is neither at least nor at most 1, and (1 + i - 1)² = -1."""

    def by_order(z):
        square = Relation((z - 1) ** 2, ">=", ZERO)
        return (
            Suppose("one", Relation(z, ">=", ONE), ""),
            Inequality("first", square, "", ("one",), certificate=(z - 1) ** 2),
            Suppose("other", Relation(z, "<=", ONE), ""),
            Inequality("second", square, "", ("other",), certificate=(1 - z) ** 2),
            Cases("square", square, "", ("one", "first", "other", "second")),
        )

    prove(*by_order(y))
    z = sp.Symbol("z")
    with refused:
        prove(
            Definition("z", Relation(z, "=", 1 + sp.I), ""),
            *by_order(z),
            Identity("value", Relation(-ONE, "=", (z - 1) ** 2), "", ("z",)),
            Chain("end", Relation(-ONE, ">=", ZERO), "", ("value", "square")),
        )


def test_a_quotient_without_a_value(prove, refused):
    """1/a is neither > 0 nor <= 0 where a = 0, and a²/(a²x² + 1) is zero there."""

    def by_sign(denominator):
        value = denominator**2 / (denominator**2 * x**2 + 1)
        positive = Relation(value, ">", ZERO)
        return (
            Suppose("one", Relation(1 / denominator, ">", ZERO), ""),
            Definition("w", Relation(w, "=", 1 / denominator), "", ("one",)),
            Identity("inverse", Relation(denominator, "=", 1 / w), "", ("w",)),
            Inequality(
                "sign",
                Relation(denominator, ">", ZERO),
                "",
                ("inverse",),
                certificate=1 / w,
            ),
            Inequality("first", positive, "", ("sign",), certificate=value),
            Suppose("other", Relation(1 / denominator, "<=", ZERO), ""),
            Definition("n", Relation(n, "=", -1 / denominator), "", ("other",)),
            Inequality("second", positive, "", ("n",), certificate=1 / (x**2 + n**2)),
            Cases("positive", positive, "", ("one", "first", "other", "second")),
        )

    prove(*by_sign(sp.Symbol("a", positive=True)))
    with refused:
        prove(
            Definition("a", Relation(a, "=", ZERO), ""),
            *by_sign(a),
            Identity(
                "value", Relation(ZERO, "=", a**2 / (a**2 * x**2 + 1)), "", ("a",)
            ),
            Chain("end", Relation(ZERO, ">", ZERO), "", ("value", "positive")),
        )
