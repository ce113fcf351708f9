"""What is tried at numbers, replaced or named: values and slopes in disguise."""

import sympy as sp

from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Identity, Inequality
from analysis.proof.symbols import G, sigma
from analysis.proof.symbols import x as size
from analysis.proof.values import Implicit, Shown

ZERO, ONE, TWO, THREE = sp.S.Zero, sp.S.One, sp.Integer(2), sp.Integer(3)
BOUND = sp.sqrt(G**2 + sigma**2)
k, r, z = sp.symbols("k r z", positive=True)


def test_a_value_that_is_wrong_between_the_trials(prove, refused):
    """G <= √(G² + σ²), not half if 3 < G < 3 + 10⁻⁹, which no random number meets."""
    bounded = Inequality(
        "end", Relation(G, "<=", BOUND), "", certificate=sigma**2 / (G + BOUND)
    )
    window = 10**9 * sp.Max(0, sp.Min(G - 3, 3 + sp.Rational(1, 10**9) - G))
    prove(bounded, values={"bound": BOUND}, shown={"bound": "end"})
    with refused:
        prove(bounded, values={"bound": BOUND * (1 - window)}, shown={"bound": "end"})


def test_a_value_where_what_is_given_does_not_hold(prove, refused):
    """G <= σ is given by σ >= G; with σ/10 put in for σ it is not G <= σ/10."""
    given = Axiom("given", Relation(sigma, ">=", G), "")
    less = Inequality(
        "end", Relation(G, "<=", sigma), "", ("given",), certificate=sigma - G
    )
    prove(given, less, values={"bound": sigma}, shown={"bound": "end"})
    with refused:
        shown = {"bound": Shown("end", {sigma: sigma / 10})}
        prove(given, less, values={"bound": sigma / 10}, shown=shown)


def test_another_root_of_an_axiom(prove, refused):
    """(z - 1)(z - 3) = 0 with z <= 2 is 1, and not the root between 2 and 4."""
    equation = (size - 1) * (size - 3)
    steps = (
        Axiom("root", Relation(equation.subs(size, z), "=", ZERO), ""),
        Axiom("first", Relation(z, "<=", TWO), ""),
        Inequality("one", Relation(ONE, ">", ZERO), "", certificate=ONE),
        Inequality("three", Relation(THREE, ">", ZERO), "", certificate=THREE),
        Inequality(
            "end", Relation(2 * z, "<=", 2 * TWO), "", ("first",), certificate=4 - 2 * z
        ),
    )

    def between(low, high):
        value = {"size": Implicit(size, equation, sp.Integer(low), sp.Integer(high))}
        prove(*steps, values=value, shown={"size": "root"})

    between(0, 2)
    with refused:
        between(2, 4)


def test_the_slope_of_a_product_with_a_name(prove, refused):
    """With the name z of k² the slope of zk is 3k², not z."""

    def slope(value):
        total = sp.Derivative(z * k, k) + z
        return (
            Definition("z", Relation(z, "=", value), ""),
            Identity("end", Relation(total, "=", 2 * value), "", ("z",)),
        )

    prove(*slope(r**2))
    with refused:
        prove(*slope(k**2))
