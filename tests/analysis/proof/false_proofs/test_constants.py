"""Constants that are zero unseen, and functions with jumps, kinks and poles unseen."""

import pytest
import sympy as sp

from analysis.proof.calculus import Monotone
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Definition, Expectation, Identity, Inequality

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
a, c, y, X = sp.symbols("a c y X", real=True)
k, m, r, t, x = sp.symbols("k m r t x", positive=True)
H = sp.Function("H", nonnegative=True)
P = sp.Function("P", positive=True)
K = sp.Function("K", real=True)
half = sp.Integral(t, (t, 0, 1))


@pytest.mark.parametrize(
    "zero",
    [
        pytest.param(sp.log(6) - sp.log(2) - sp.log(3), id="sum of logarithms"),
        pytest.param(half - ONE / 2, id="integral"),
        pytest.param(E(ONE) - 1, id="average of a number"),
        pytest.param(K(ZERO), id="value of a function"),
    ],
)
def test_a_constant_that_is_zero(prove, refused, zero):
    """With 0·a = 0 every number a is 0, where polynomials are divided by it."""

    def divided(constant):
        return (
            Axiom("value", Relation(K(ZERO), "=", ZERO), ""),
            Expectation("one", Relation(E(ONE), "=", ONE), "", (), random=(X,)),
            Axiom("product", Relation(constant * a, "=", ZERO), ""),
            Identity("end", Relation(a, "=", ZERO), "", ("product",)),
        )

    prove(*divided(sp.Integer(3)))
    with refused:
        prove(*divided(zero))


@pytest.mark.parametrize(
    ("limit", "true", "value"),
    [
        pytest.param(
            lambda k, m: sp.Limit(
                sp.exp(k * x) / (sp.exp(k * x) + sp.exp(m * x)), x, sp.oo
            ),
            lambda k: sp.Limit(ONE / x, x, sp.oo),
            ZERO,
            id="the larger rate",
        ),
        pytest.param(
            lambda k, m: sp.Limit(x / (x + (k - m) ** 2), x, 0),
            lambda k: sp.Limit(x / (x + k**2), x, 0),
            ZERO,
            id="equal parameters",
        ),
        pytest.param(
            lambda k, m: sp.Limit(sp.sqrt(x - 6) * sp.sqrt(x - 5), x, 0),
            lambda k: sp.Limit(sp.sqrt(x + 6) * sp.sqrt(x + 5) - 2 * sp.sqrt(30), x, 0),
            -sp.sqrt(30),
            id="no value near the end",
        ),
        pytest.param(
            lambda k, m: sp.Limit(x**x, x, 0, "-"),
            lambda k: sp.Limit(x**x, x, 0),
            ONE,
            id="from the other side",
        ),
    ],
)
def test_a_limit_that_sympy_takes_for_all_parameters(
    prove, refused, limit, true, value
):
    """SymPy compares parameters as if it knew the larger, and roots as if real."""
    prove(Identity("end", Relation(true(k), "=", value), ""))
    with refused:
        prove(Identity("end", Relation(limit(k, m), "=", value), ""))


def test_a_function_of_a_jump(prove, refused):
    """A function of what jumps has the slope 0 and is no constant.

    K(0) <= K(1) for any K.
    """

    def constant(inner):
        low, high = (K(inner.subs(y, end)) for end in (-ONE, ONE))
        return (
            Inequality("slope", Relation(ZERO, ">=", ZERO), "", certificate=ZERO),
            Inequality("order", Relation(-ONE, "<=", ONE), "", certificate=TWO),
            Monotone(
                "end",
                Relation(low, "<=", high),
                "",
                ("slope", "order"),
                K(inner),
                y,
                -ONE,
                ONE,
            ),
        )

    def rising(function):
        return (
            Inequality("slope", Relation(ONE, ">=", ZERO), "", certificate=ONE),
            Inequality("order", Relation(-ONE, "<=", ONE), "", certificate=TWO),
            Monotone(
                "end",
                Relation(function.subs(y, -1), "<=", function.subs(y, 1)),
                "",
                ("slope", "order"),
                function,
                y,
                -ONE,
                ONE,
            ),
        )

    prove(*rising(y + K(c)))
    with refused:
        prove(*constant(sp.Piecewise((ZERO, y < 0), (ONE, True))))


@pytest.mark.parametrize("at", [ZERO, None])
def test_a_slope_at_a_kink(prove, refused, at):
    """The function y below 0 and y² beyond has no slope at 0; SymPy says 1."""

    def slope(function, value):
        derivative = sp.Derivative(function, y)
        if at is None:
            zero = Definition("y", Relation(y, "=", ZERO), "")
            return zero, Identity("end", Relation(derivative, "=", value), "", ("y",))
        return (Identity("end", Relation(sp.Subs(derivative, y, at), "=", value), ""),)

    prove(*slope(y + y**2, ONE))
    with refused:
        prove(*slope(sp.Piecewise((y, y <= 0), (y**2, True)), ONE))


def test_a_pole_at_the_end_of_a_case(prove, refused):
    """1/(1 - t) below 1, and 0 at 1, is finite everywhere.

    Its integral is not: ∞ + 1 > ∞.
    """

    def finite(value):
        integral = sp.Integral(sp.Piecewise((value, t < 1), (ZERO, True)), (t, 0, 1))
        return Inequality(
            "end", Relation(1 + integral, ">", integral), "", certificate=ONE
        )

    prove(finite(1 / (1 + t)))
    with refused:
        prove(finite(1 / (1 - t)))


@pytest.mark.parametrize(
    "integrand",
    [P(x), 1 + H(t), sp.exp(H(t)), K(t) + x],
    ids=["fixed", "sum", "power", "shifted"],
)
def test_an_integral_to_infinity_of_what_is_no_function(prove, refused, integrand):
    """What is >= 1, or a constant, has an infinite integral: 0 = 1/(1 + ∞) > 0."""

    def positive(integrand):
        integral = sp.Integral(integrand, (t, 0, sp.oo))
        return (
            Axiom("sign", Relation(integral, ">=", ZERO), ""),
            Inequality(
                "end", Relation(1 + integral, ">", ZERO), "", ("sign",), (integral, ONE)
            ),
        )

    prove(*positive(H(t)))
    with refused:
        prove(*positive(integrand))


def test_a_formula_by_way_of_another(prove, refused):
    """H = 1/P and P = t give H = 1/t, in either order, and an infinite integral."""
    integral = sp.Integral(H(t), (t, 0, 1))

    def bounded(formula):
        above = Relation(1 + integral, ">", integral)
        return (
            Axiom("P", Relation(P(t), "=", formula), "for every t"),
            Axiom("H", Relation(H(t), "=", 1 / P(t)), "for every t"),
            Inequality("end", above, "", ("P", "H"), certificate=ONE),
        )

    prove(*bounded(1 + t))
    with refused:
        prove(*bounded(t))


def test_a_formula_behind_what_is_used(prove, refused):
    """What rests on H = 1/t rests on a function without integral, however written."""
    integral = sp.Integral(H(t), (t, 0, 1))

    def bounded(formula):
        above = Relation(1 + integral, ">", integral)
        return (
            Axiom("H", Relation(H(t), "=", formula), "for every t"),
            Identity("twice", Relation(2 * H(t), "=", 2 * formula), "", ("H",)),
            Inequality("end", above, "", ("twice",), certificate=ONE),
        )

    prove(*bounded(1 / (1 + t)))
    with refused:
        prove(*bounded(1 / t))


def test_a_slope_beyond_the_sign_of_the_variable(prove, refused):
    """That K(k) = k for k > 0 says nothing about the slope at -1."""

    def slope(point):
        at = sp.Subs(sp.Derivative(k**2, k), k, point)
        return Identity("end", Relation(at, "=", 2 * point), "")

    prove(slope(ONE))
    with refused:
        prove(slope(-ONE))


def test_a_function_that_equals_a_zero(prove, refused, minimum):
    """(v - k)²/2 is least at z = k: K(k) = z has the slope 1 in k, not 0."""
    v, z = sp.symbols("v z", positive=True)

    def slope(target):
        return (
            *minimum((v - target) ** 2 / 2, target - v, v, z, (ZERO, 2 * target)),
            Axiom("K", Relation(K(k), "=", z), "for every k"),
            Identity("end", Relation(sp.Derivative(K(k), k), "=", ZERO), "", ("K",)),
        )

    prove(*slope(r))
    with refused:
        prove(*slope(k))
