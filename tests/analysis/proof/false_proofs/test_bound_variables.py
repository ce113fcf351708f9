"""A variable of a sum, product, integral or derivative is no quantity of that name."""

import pytest
import sympy as sp

from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality

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
            Chain(
                "end", Relation(value, "=", of_a_constant), "", ("inside", "constant")
            ),
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


@pytest.mark.parametrize(
    ("form", "low", "value"),
    [
        pytest.param(sp.Sum, -3, sp.Integer(-5), id="sum"),
        pytest.param(sp.Product, -1, ZERO, id="product"),
    ],
)
def test_the_sign_of_the_variable(prove, refused, form, low, value):
    """A variable called positive runs from below zero: -3 - 2 - 1 + 0 + 1 > 0."""
    prove(Inequality("end", Relation(k + 2, ">", ZERO), "", certificate=k + 2))
    total = form(k, (k, low, 1))
    with refused:
        prove(
            Inequality("positive", Relation(total, ">", ZERO), "", certificate=total),
            Identity("value", Relation(value, "=", total), ""),
            Chain("end", Relation(value, ">", ZERO), "", ("value", "positive")),
        )


def test_a_formula_for_the_variable(prove, refused):
    """The slope of k + K in K is 1; with K = k put in it would be that of 2k in k."""
    function = sp.Function("K", real=True)(k)
    formula = Axiom("formula", Relation(function, "=", k), "for every k")
    slope = sp.Derivative(function, k)
    prove(formula, Identity("end", Relation(slope, "=", ONE), "", ("formula",)))
    slope = sp.Derivative(k + function, function, evaluate=False)
    with refused:
        prove(
            formula,
            Identity("one", Relation(ONE, "=", slope), ""),
            Identity("two", Relation(slope, "=", TWO), "", ("formula",)),
            Chain("end", Relation(ONE, "=", TWO), "", ("one", "two")),
        )


def test_a_function_that_names_the_variable(prove, refused):
    """K(c) = t put in under the integral of K(c) over t.

    But K(c) is its own mean: K(c) = 1/2.
    """
    value = sp.Function("K", real=True)(sp.Symbol("c", real=True))
    t, half = sp.Symbol("t", positive=True), sp.Rational(1, 2)
    mean = sp.Integral(value, (t, 0, 1))
    prove(
        Axiom("value", Relation(value, "=", half), ""),
        Identity("end", Relation(mean, "=", half), "", ("value",)),
    )
    with refused:
        prove(
            Axiom("name", Relation(value, "=", t), "", axiom="name"),
            Identity("inside", Relation(mean, "=", half), "", ("name",)),
            Identity("constant", Relation(value, "=", mean), ""),
            Chain("end", Relation(value, "=", half), "", ("constant", "inside")),
        )


def test_a_fact_about_the_variable(prove, refused):
    """C = t under ∫ c dt makes 1/4 > c, a fact, 1/4 > 1/2, and so log(-1/4) real."""
    c, d = sp.symbols("c d", real=True)
    t, quarter = sp.Symbol("t", positive=True), sp.Rational(1, 4)

    def logarithm(fact, argument, *using):
        return (
            Axiom("fact", Relation(quarter - fact, ">", ZERO), ""),
            Definition(
                "d", Relation(d, "=", sp.log(quarter - argument)), "", ("fact", *using)
            ),
            Inequality("end", Relation(d**2, ">=", ZERO), "", certificate=d**2),
        )

    prove(*logarithm(c, c))
    integrals = (sp.Integral(each, (t, 0, 1)) for each in (c, t))
    with refused:
        prove(Definition("c", Relation(c, "=", t), ""), *logarithm(*integrals, "c"))
