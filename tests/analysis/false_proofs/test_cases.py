"""Proofs by cases: each case is supposed, and together they leave nothing out."""

import sympy as sp

from analysis.signs import Relation
from analysis.steps import Axiom, Cases, Suppose

ONE = sp.S.One
a, b, y = sp.symbols("a b y", real=True)


def test_a_case_that_is_no_supposition(prove, refused):
    """An axiom a <= b is not discharged by the case a > b."""

    def by_cases(one):
        return (
            one,
            Axiom("first", Relation(y, ">=", ONE), "", ("one",)),
            Suppose("other", Relation(a, ">", b), ""),
            Axiom("second", Relation(y, ">=", ONE), "", ("other",)),
            Cases("end", Relation(y, ">=", ONE), "", ("one", "first", "other", "second")),
        )

    prove(*by_cases(Suppose("one", Relation(a, "<=", b), "")))
    with refused:
        prove(*by_cases(Axiom("one", Relation(a, "<=", b), "")))
