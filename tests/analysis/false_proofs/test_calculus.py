"""Monotone functions, minima and tangents beyond the interval on which the slope is known."""

import pytest
import sympy as sp

from analysis.calculus import Monotone, Tangent, UniqueMinimum
from analysis.signs import Relation
from analysis.steps import Axiom, Identity, Inequality

ZERO, ONE, TWO, THREE = sp.S.Zero, sp.S.One, sp.Integer(2), sp.Integer(3)
HALF = sp.Rational(1, 2)
a, y = sp.symbols("a y", real=True)
w, t, x = sp.symbols("w t x", positive=True)


def monotone(function, symbol, low, high, slope, certificate, *facts, order=True):
    """φ(low) against φ(high) from the sign of the slope, whose certificate rests on the facts."""
    value = function.subs(symbol, low), function.subs(symbol, high)
    rising = slope.relation in (">", ">=")
    names = tuple(fact.name for fact in facts)
    end = Relation(value[0], "<=" if rising else ">=", value[1])
    return (
        *facts,
        Inequality("slope", slope, "", names, certificate=certificate),
        Inequality("order", Relation(low, "<=", high), "", certificate=high - low),
        Monotone("end", end, "", ("slope", "order"), function, symbol, low, high),
    )


def test_monotone_beyond_its_domain(prove, refused):
    """x² rises for x >= 0 only: 4 <= 1."""
    slope = Relation(2 * w, ">", ZERO)
    prove(*monotone(w**2, w, ONE, TWO, slope, 2 * w))
    n = sp.Symbol("n", nonnegative=True)
    with refused:
        prove(*monotone(n**2, n, -TWO, ONE, Relation(2 * n, ">=", ZERO), 2 * n))


def test_monotone_across_a_pole(prove, refused):
    """1/(y - 1) falls on either side of its pole: -1 >= 1."""
    prove(*monotone(1 / w, w, ONE, TWO, Relation(-1 / w**2, "<=", ZERO), 1 / w**2))
    square = (y - 1) ** 2
    with refused:
        prove(
            *monotone(
                1 / (y - 1),
                y,
                ZERO,
                TWO,
                Relation(-1 / square, "<=", ZERO),
                1 / sp.expand(square),
                Inequality("fact", Relation(sp.expand(square), ">=", ZERO), "", certificate=square),
            )
        )


def test_monotone_across_a_jump(prove, refused):
    """The arc tangent of 1/y falls on either side of its jump: -π/4 >= π/4."""
    falls = Relation(-1 / (y**2 + 1), "<=", ZERO)
    prove(*monotone(-y, y, -ONE, ONE, Relation(-ONE, "<=", ZERO), ONE))
    with refused:
        prove(*monotone(sp.atan(1 / y), y, -ONE, ONE, falls, 1 / (y**2 + 1)))


def test_monotone_integral_that_has_no_value(prove, refused):
    """The variable of integration is called positive, its limits begin at -1, across a pole."""

    def integral(low):
        function = sp.Integral(t**-2, (t, low, x))
        return monotone(function, x, TWO, THREE, Relation(x**-2, ">=", ZERO), x**-2)

    prove(*integral(ONE))
    with refused:
        prove(*integral(-ONE))


def test_monotone_integral_with_a_jump_in_its_second_limit(prove, refused):
    """A double integral is as smooth as all of its limits: -π/4 >= π/4, once more."""

    def area(end, certificate, *inner):
        function = sp.Integral(ONE, *inner, (a, 0, end))
        return monotone(function, y, -ONE, ONE, Relation(-certificate, "<=", ZERO), certificate)

    prove(*area(-y, ONE))
    with refused:
        prove(*area(sp.atan(1 / y), 1 / (y**2 + 1), (t, 0, 1)))


def test_monotone_between_ends_that_are_bound(prove, refused):
    """∫ x t dt from 0 to 1 is x/2, with t put in for x it is 1/3; and 1/3 <= r/2 not for all r >= t."""
    function = sp.Integral(x * t, (t, 0, 1))
    low, high = sp.symbols("l r", positive=True)

    def rising(low):
        end = Relation(function.subs(x, low), "<=", function.subs(x, high))
        return (
            Axiom("order", Relation(low, "<=", high), ""),
            Inequality("slope", Relation(HALF, ">=", ZERO), "", certificate=HALF),
            Monotone("end", end, "", ("slope", "order"), function, x, low, high),
        )

    prove(*rising(low))
    with refused:
        prove(*rising(t))


def test_tangent_of_a_complex_exponent(prove, refused):
    """An imaginary number has no sign: e^(i a) >= 1 + i a."""
    prove(Tangent("end", Relation(sp.exp(a), ">=", 1 + a), ""))
    with refused:
        prove(Tangent("end", Relation(sp.exp(sp.I * a), ">=", 1 + sp.I * a), ""))


def minimum(function, numerator, symbol, zero, interval, *facts, factor=ONE):
    """The four signs that a unique minimum rests on, and the minimum."""
    fall, names = sp.diff(numerator, symbol), tuple(fact.name for fact in facts)

    def at(name, end):
        value = Relation(sp.Subs(numerator, symbol, end), "=", numerator.subs(symbol, end))
        return Identity(name, value, "", names)

    return (
        *facts,
        Identity(
            "slope",
            Relation(sp.Derivative(function, symbol), "=", -factor * numerator),
            "",
            names,
        ),
        Inequality("falls", Relation(fall, "<", ZERO), "", certificate=-fall),
        at("low", interval[0]),
        at("high", interval[1]),
        UniqueMinimum(
            "end",
            Relation(function.subs(symbol, zero), "<=", function),
            "",
            ("slope", "falls", "low", "high", *names),
            function=function,
            numerator=numerator,
            factor=factor,
            symbol=symbol,
            zero=zero,
            interval=interval,
        ),
    )


def test_minimum_across_a_pole(prove, refused):
    """Minus the logarithm of (w - 1)² falls to the pole at 1 and jumps there."""
    z = sp.Symbol("z", positive=True)
    prove(*minimum(w + 1 / w, 1 / w**2 - 1, w, z, (HALF, TWO)))
    with refused:
        function = -sp.log((w - 1) ** 2) - 3 * w
        prove(*minimum(function, 3 + 2 / (w - 1), w, z, (ZERO, HALF)))


def test_minimum_across_a_gap(prove, refused):
    """A fact about the point x says nothing about the points between x and the zero.

    The function has its zero slope at 1, where it is 1, and is -12.3 at 2.1, beyond its pole at 2.
    """
    z = sp.Symbol("z", positive=True)
    below = Axiom("below", Relation(x, "<", THREE), "")
    prove(*minimum(-x - 2 * sp.log(3 - x), 1 - x, x, z, (ZERO, THREE), below, factor=1 / (3 - x)))
    square = x**2 - 4 * x + 4
    beside = Axiom("beside", Relation(square, ">", ZERO), "x is not 2")
    with refused:
        prove(
            *minimum(
                sp.log(square) / 2 + (2 - x) / square,
                1 - x,
                x,
                z,
                (ZERO, THREE),
                beside,
                factor=1 / square,
            )
        )


@pytest.mark.parametrize(
    ("assumptions", "function", "interval"),
    [
        pytest.param({"irrational": True}, (y - 1) ** 2 / 2, (ZERO, TWO), id="irrational"),
        pytest.param({"negative": True}, (y - HALF) ** 2 / 2, (ZERO, ONE), id="negative"),
        pytest.param({"complex": True}, (y - 1) ** 2 / 2, (ZERO, TWO), id="complex"),
        pytest.param(
            {"prime": True},
            (y - sp.Rational(5, 2)) ** 2 / 2 + y / 20,
            (ZERO, THREE),
            id="prime",
        ),
    ],
)
def test_minimum_at_a_zero_of_another_kind(prove, refused, assumptions, function, interval):
    """The zero is a real number of the interval, and need be nothing that its name claims."""

    def of(**assumptions):
        symbol, zero = (sp.Symbol(name, **assumptions) for name in "yz")
        phi = function.subs(y, symbol)
        return minimum(phi, sp.expand(-sp.diff(phi, symbol)), symbol, zero, interval)

    prove(*of(positive=True))
    with refused:
        prove(*of(**assumptions))


def test_minimum_at_a_zero_of_the_wrong_sign(prove, refused):
    """The zero of 1 - 2y is 1/2, whatever its name claims."""

    def named(**assumptions):
        zero = sp.Symbol("z", **assumptions)
        return minimum((y - HALF) ** 2, 1 - 2 * y, y, zero, (ZERO, ONE))

    prove(*named(real=True))
    with refused:
        prove(*named(negative=True))
