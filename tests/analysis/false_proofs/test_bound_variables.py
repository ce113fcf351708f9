"""A variable of a sum, a product, an integral or a derivative is not the quantity of that name."""

import pytest
import sympy as sp

from analysis.signs import Relation
from analysis.steps import Chain, Definition, Identity, Inequality

ZERO, ONE, TWO, THREE = sp.S.Zero, sp.S.One, sp.Integer(2), sp.Integer(3)
z = sp.Symbol("z", real=True)
k = sp.Symbol("k", positive=True)


def test_the_derivative_of_a_name(prove, refused):
    """The name z of k**2 does not depend on k, k**2 does: 0 = dz/dk = 2k."""
    slope = sp.Derivative(k**2, k)
    prove(Identity("end", Relation(slope, "=", 2 * k), ""))
    slope = sp.Derivative(z, k, evaluate=False)
    with refused:
        prove(
            Definition("z", Relation(z, "=", k**2), ""),
            Identity("none", Relation(ZERO, "=", slope), ""),
            Identity("some", Relation(slope, "=", 2 * k), "", ("z",)),
            Inequality("positive", Relation(2 * k, ">", ZERO), "", certificate=2 * k),
            Chain("equal", Relation(ZERO, "=", 2 * k), "", ("none", "some")),
            Chain("end", Relation(ZERO, ">", ZERO), "", ("equal", "positive")),
        )


@pytest.mark.parametrize(
    ("form", "value", "of_a_constant"),
    [
        pytest.param(sp.Sum, THREE, 2 * z, id="sum"),
        pytest.param(sp.Product, TWO, z**2, id="product"),
        pytest.param(sp.Integral, sp.Rational(3, 2), z, id="integral"),
    ],
)
def test_a_name_for_the_variable(prove, refused, form, value, of_a_constant):
    """With the name z of k put in, Σ z over k is Σ k; without, it is n z."""
    limits = (k, 1, 2)
    prove(Identity("end", Relation(sp.Integral(k, limits), "=", sp.Rational(3, 2)), ""))
    with refused:
        prove(
            Definition("z", Relation(z, "=", k), ""),
            Identity("inside", Relation(value, "=", form(z, limits)), "", ("z",)),
            Identity("constant", Relation(form(z, limits), "=", of_a_constant), ""),
            Chain("end", Relation(value, "=", of_a_constant), "", ("inside", "constant")),
        )


@pytest.mark.parametrize("form", [sp.Limit, sp.Subs])
def test_a_name_for_the_variable_at_a_point(prove, refused, form):
    """The variable is 0 at 0, its name is what it is: z = 0."""
    prove(Identity("end", Relation(sp.Limit(2 * k, k, 0), "=", ZERO), ""))
    with refused:
        prove(
            Definition("z", Relation(z, "=", k), ""),
            Identity("inside", Relation(form(z, k, 0), "=", ZERO), "", ("z",)),
            Identity("constant", Relation(z, "=", form(z, k, 0)), ""),
            Chain("end", Relation(z, "=", ZERO), "", ("constant", "inside")),
        )
