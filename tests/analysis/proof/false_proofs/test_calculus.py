"""Monotone functions, minima and tangents beyond where the slope is known."""

import pytest
import sympy as sp

from analysis.proof.calculus import Monotone, Tangent
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Inequality

ZERO, ONE, TWO, THREE = sp.S.Zero, sp.S.One, sp.Integer(2), sp.Integer(3)
HALF = sp.Rational(1, 2)
a, v, y = sp.symbols("a v y", real=True)
w, t, x = sp.symbols("w t x", positive=True)


def monotone(function, symbol, low, high, slope, certificate, *facts, order=True):
    """φ(low) against φ(high) by the slope's sign, its certificate resting on facts."""
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
                Inequality(
                    "fact",
                    Relation(sp.expand(square), ">=", ZERO),
                    "",
                    certificate=square,
                ),
            )
        )


def test_monotone_across_a_jump(prove, refused):
    """The arc tangent of 1/y falls on either side of its jump: -π/4 >= π/4."""
    falls = Relation(-1 / (y**2 + 1), "<=", ZERO)
    prove(*monotone(-y, y, -ONE, ONE, Relation(-ONE, "<=", ZERO), ONE))
    with refused:
        prove(*monotone(sp.atan(1 / y), y, -ONE, ONE, falls, 1 / (y**2 + 1)))


def test_monotone_integral_that_has_no_value(prove, refused):
    """The integration variable is "positive", its limits begin at -1, across a pole."""

    def integral(integrand, low):
        function, slope = sp.Integral(integrand, (t, low, x)), integrand.subs(t, x)
        return monotone(function, x, TWO, THREE, Relation(slope, ">=", ZERO), slope)

    prove(*integral(sp.exp(-t), ONE))
    with refused:
        prove(*integral(t**-2, -ONE))


def test_monotone_integral_with_a_jump_in_its_second_limit(prove, refused):
    """A double integral is as smooth as all of its limits: -π/4 >= π/4, once more."""

    def area(end, certificate, *more):
        function = sp.Integral(ONE, *more, (v, 0, end))
        return monotone(
            function, y, -ONE, ONE, Relation(-certificate, "<=", ZERO), certificate
        )

    prove(*area(-y, ONE))
    with refused:
        prove(*area(sp.atan(1 / y), 1 / (y**2 + 1), (t, 0, 1)))


def test_monotone_with_a_jump_below_the_integral_sign(prove, refused):
    """Y less 1 from 0 on has the slope 1 and a jump: -1/4 <= 1/4 - 1."""

    def rising(integrand):
        function = y + sp.Integral(integrand, (t, 0, 1))
        return monotone(function, y, -HALF / 2, HALF / 2, Relation(ONE, ">", ZERO), ONE)

    prove(*rising(-t))
    with refused:
        prove(*rising(sp.Piecewise((ZERO, y < 0), (-ONE, True))))


def test_monotone_between_ends_that_are_bound(prove, refused):
    """∫ x t dt from 0 to 1 is x/2.

    With t put in for x it is 1/3: 1/3 <= r/2 for any r >= t.
    """
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


def test_minimum_across_a_pole(prove, refused, minimum):
    """Minus the logarithm of (w - 1)² falls to the pole at 1 and jumps there."""
    z = sp.Symbol("z", positive=True)
    prove(*minimum(w + 1 / w, 1 / w**2 - 1, w, z, (HALF, TWO)))
    with refused:
        function = -sp.log((w - 1) ** 2) - 3 * w
        prove(*minimum(function, 3 + 2 / (w - 1), w, z, (ZERO, HALF)))


def test_minimum_across_a_gap(prove, refused, minimum):
    """A fact about the point x says nothing about the points between x and the zero.

    The function has its zero slope at 1, where it is 1, and is -12.3 at 2.1, beyond its
    pole at 2.
    """
    z = sp.Symbol("z", positive=True)
    below = Axiom("below", Relation(x, "<", THREE), "")
    prove(
        *minimum(
            -x - 2 * sp.log(3 - x),
            1 - x,
            x,
            z,
            (ZERO, THREE),
            below,
            factor=1 / (3 - x),
        )
    )
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
        pytest.param(
            {"irrational": True}, (y - 1) ** 2 / 2, (ZERO, TWO), id="irrational"
        ),
        pytest.param(
            {"negative": True}, (y - HALF) ** 2 / 2, (ZERO, ONE), id="negative"
        ),
        pytest.param({"complex": True}, (y - 1) ** 2 / 2, (ZERO, TWO), id="complex"),
        pytest.param(
            {"prime": True},
            (y - sp.Rational(5, 2)) ** 2 / 2 + y / 20,
            (ZERO, THREE),
            id="prime",
        ),
    ],
)
def test_minimum_at_a_zero_of_another_kind(
    prove, refused, minimum, assumptions, function, interval
):
    """The zero is a real of the interval, and need be nothing that its name claims."""

    def of(**assumptions):
        symbol, zero = (sp.Symbol(name, **assumptions) for name in "yz")
        phi = function.subs(y, symbol)
        return minimum(phi, sp.expand(-sp.diff(phi, symbol)), symbol, zero, interval)

    prove(*of(positive=True))
    with refused:
        prove(*of(**assumptions))


def test_minimum_at_a_zero_of_the_wrong_sign(prove, refused, minimum):
    """The zero of 1 - 2y is 1/2, whatever its name claims."""

    def named(**assumptions):
        zero = sp.Symbol("z", **assumptions)
        return minimum((y - HALF) ** 2, 1 - 2 * y, y, zero, (ZERO, ONE))

    prove(*named(real=True))
    with refused:
        prove(*named(negative=True))


def test_minimum_with_a_jump_below_the_integral_sign(prove, refused, minimum):
    """Beyond a jump down by 2, without slope, x + 1/x is below its minimum before."""
    zero = sp.Symbol("z", positive=True)

    def least(integrand):
        function = x + 1 / x + sp.Integral(integrand, (t, 0, 1))
        return minimum(function, 1 / x**2 - 1, x, zero, (HALF, TWO))

    prove(*least(-t))
    with refused:
        prove(*least(sp.Piecewise((ZERO, x < 3), (-TWO, True))))
