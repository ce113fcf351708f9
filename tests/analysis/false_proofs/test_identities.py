"""Expressions that are equal where both have a value."""

import sympy as sp

from analysis.signs import Relation
from analysis.steps import Axiom, Identity

ZERO = sp.S.Zero
a, b = sp.symbols("a b", real=True)
x = sp.Symbol("x", positive=True)


def test_a_denominator_that_vanishes(prove, refused):
    """With a² + b² = 0 the quotient (a² + b²)/b³ is 0/0, not 0."""
    circle = Axiom("circle", Relation(a**2 + b**2, "=", ZERO), "")
    prove(circle, Identity("end", Relation((a**2 + b**2) / x**3, "=", ZERO), "", ("circle",)))
    with refused:
        prove(circle, Identity("end", Relation((a**2 + b**2) / b**3, "=", ZERO), "", ("circle",)))
