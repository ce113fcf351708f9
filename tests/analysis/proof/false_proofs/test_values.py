"""A claim's numbers are what its steps show, at its own inputs and at all of them."""

from dataclasses import replace

import pytest
import sympy as sp

from analysis.claims import CLAIMS
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Inequality, Suppose
from analysis.proof.symbols import G, alpha, sigma, x
from analysis.proof.values import Implicit, Shown

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
SQUARE = G**2 + sigma**2
BOUND = sp.sqrt(SQUARE)

squares = Inequality("squares", Relation(G**2, "<=", SQUARE), "", certificate=sigma**2)
bounded = Inequality(
    "end", Relation(G, "<=", BOUND), "", certificate=sigma**2 / (G + BOUND)
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(BOUND / 2, "end", id="half"),
        pytest.param(-BOUND, Shown("squares", power=2), id="of the other sign"),
        pytest.param(
            BOUND + sp.Max(0, sigma - 10**6), "end", id="at small inputs only"
        ),
        pytest.param(
            BOUND.subs(sigma, 0), Shown("end", {sigma: ZERO}), id="at other inputs"
        ),
        pytest.param(
            sp.Piecewise((BOUND / 2, alpha < 1), (BOUND, True)),
            "end",
            id="in some cases only",
        ),
    ],
)
def test_a_value_that_is_not_proved(prove, refused, value, shown):
    """G <= √(G² + σ²), not half of that, and not G <= G, which holds for σ = 0 only."""
    steps = squares, bounded
    prove(*steps, values={"bound": BOUND}, shown={"bound": "end"})
    prove(*steps, values={"bound": BOUND}, shown={"bound": Shown("squares", power=2)})
    with refused:
        prove(*steps, values={"bound": value}, shown={"bound": shown})


halved = Relation(G, "<=", BOUND / 2)
equal = Axiom("equal", Relation(sigma, "=", G), "")


@pytest.mark.parametrize(
    ("value", "shown", "witness"),
    [
        pytest.param(
            BOUND / 2, "half", (Suppose("half", halved, ""),), id="a supposition"
        ),
        pytest.param(BOUND / 2, "half", (Axiom("half", halved, ""),), id="an axiom"),
        pytest.param(
            BOUND / 2,
            "half",
            (
                Suppose("supposed", Relation(2 * G, "<=", BOUND), ""),
                Inequality(
                    "half", halved, "", ("supposed",), certificate=(BOUND - 2 * G) / 2
                ),
            ),
            id="a step under a supposition",
        ),
        pytest.param(sp.sqrt(2) * G, "end", (equal,), id="an equality of the witness"),
        pytest.param(
            sp.sqrt(2) * G,
            "end",
            (
                Suppose("large", Relation(G, ">=", ONE), ""),
                replace(equal, using=("large",)),
            ),
            id="an equality of one case",
        ),
    ],
)
def test_a_value_by_what_is_not_proved(prove, refused, value, shown, witness):
    """What shows a value is derived, and rests on what the statement rests on only."""
    steps = squares, bounded
    prove(*steps, values={"bound": BOUND}, shown={"bound": "end"}, witness=witness)
    with refused:
        prove(*steps, values={"bound": value}, shown={"bound": shown}, witness=witness)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"equation": 1 / x**2 - 2}, id="of another equation"),
        pytest.param({"low": ONE, "high": 2 + sigma}, id="above another end"),
        pytest.param({"high": sigma * (2 + sigma)}, id="below another end"),
    ],
)
def test_a_root_that_is_not_the_one_in_the_steps(prove, refused, minimum, changes):
    """What is solved numerically is the equation in the steps, between its ends."""
    steps = minimum(
        x + 1 / x, 1 / x**2 - 1, x, sp.Symbol("z", positive=True), (ONE / 2, 2 + sigma)
    )
    root = Implicit(x, 1 / x**2 - 1, ONE / 2, 2 + sigma)
    prove(*steps, values={"size": root}, shown={"size": "least"})
    with refused:
        prove(
            *steps, values={"size": replace(root, **changes)}, shown={"size": "least"}
        )


def test_a_root_of_an_axiom_between_other_ends(refused):
    """Where an axiom names the root its ends are known: tightness's is beyond 0.4."""
    true = CLAIMS["tightness"]
    root = replace(
        true.values["margin"], low=sp.Rational(1, 1000), high=sp.Rational(2, 5)
    )
    with refused:
        replace(true, values={**true.values, "margin": root}).verify(CLAIMS)


@pytest.mark.parametrize("through", [2 * G, sp.Symbol("own", positive=True)])
def test_an_input_that_is_defined(prove, refused, through):
    """G <= σ holds for σ = 2G, also by another name.

    The values of the claim are for every σ.
    """
    own = sp.Symbol("own", positive=True)
    double = Inequality("end", Relation(G, "<=", TWO * G), "", certificate=G)
    prove(double, values={"bound": 2 * G}, shown={"bound": "end"})
    bound = Inequality(
        "end", Relation(G, "<=", sigma), "", ("noise", "own"), certificate=G
    )
    with refused:
        prove(
            Definition("own", Relation(own, "=", 2 * G), ""),
            Definition("noise", Relation(sigma, "=", through), ""),
            bound,
            values={"bound": sigma},
            shown={"bound": "end"},
        )
