"""Derivations of false statements: each leans on one thing that a checker may overlook."""

from dataclasses import replace

import pytest
import sympy as sp

from analysis import claims
from analysis.calculus import Monotone, Tangent, UniqueMinimum
from analysis.claims.alignment_lemma import R as RADIUS
from analysis.claims.alignment_lemma import bound, moments
from analysis.claims.bias_radius import beta
from analysis.signs import E, Relation
from analysis.steps import (
    Averaged,
    Axiom,
    Cases,
    Chain,
    Definition,
    Earlier,
    Expectation,
    Identity,
    Inequality,
    StepError,
    Suppose,
)
from analysis.symbols import G

a, b, y, X, Y = sp.symbols("a b y X Y", real=True)
n = sp.Symbol("n", nonnegative=True)
x = sp.Symbol("x", nonnegative=True)
r, t, w = sp.symbols("r t w", positive=True)
ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
H = sp.Function("H", nonnegative=True)


def order(low, high):
    return Inequality("order", Relation(low, "<=", high), "", certificate=high - low)


def slope(relation, certificate, using=()):
    return Inequality("slope", relation, "", using, certificate=certificate)


def minimum(function, numerator, symbol, zero, interval):
    low, high = (numerator.subs(symbol, end) for end in interval)
    fall = sp.diff(numerator, symbol)
    return (
        Identity("slope", Relation(sp.diff(function, symbol), "=", -numerator), ""),
        Inequality("falls", Relation(fall, "<", ZERO), "", certificate=-fall),
        Identity("low", Relation(low, "=", low), ""),
        Identity("high", Relation(high, "=", high), ""),
        UniqueMinimum(
            "end",
            Relation(function.subs(symbol, zero), "<=", function),
            "",
            ("slope", "falls", "low", "high"),
            function=function,
            numerator=numerator,
            factor=ONE,
            symbol=symbol,
            zero=zero,
            interval=interval,
        ),
    )


def odd(**assumptions):
    """0 < 0 from a symbol that is 0 and whose assumptions say that it is not."""
    z = sp.Symbol("z", **assumptions)
    return (
        Definition("z", Relation(z, "=", ZERO), ""),
        Inequality("pos", Relation(ZERO, "<", z**2), "", certificate=z**2),
        Identity("zero", Relation(z**2, "=", ZERO), "", ("z",)),
        Chain("end", Relation(ZERO, "<", ZERO), "", ("pos", "zero")),
    )


half = sp.Rational(3, 2)
both = (X - 1) * (X - 2)
coin = (
    Axiom("coin", Relation(X**2, "=", 3 * X - 2), "X is 1 or 2"),
    Expectation("E1", Relation(E(ONE), "=", ONE), "", (), random=(X,)),
    Expectation("E2", Relation(E(TWO), "=", TWO), "", (), random=(X,)),
    Suppose("A", Relation(X, "<", half), ""),
    Inequality("2-X", Relation(2 - X, ">", ZERO), "", ("A",), certificate=(half - X, ONE / 2)),
    Inequality("XA", Relation(X, "<=", ONE), "", ("coin", "2-X"), certificate=both / (2 - X)),
    Averaged("EA", Relation(E(X), "<=", E(ONE)), "", ("XA",)),
)

FALSE = {
    "a zero denominator": (
        Definition("n", Relation(n, "=", ZERO), ""),
        Inequality("0", Relation(a * n, "<=", b * n), "", ("n",), certificate=ZERO),
        Inequality("end", Relation(a, "<=", b), "", ("0",), certificate=(b * n - a * n) / n),
    ),
    "a symbol that is not zero": odd(real=True, nonzero=True),
    "a symbol that is irrational": odd(irrational=True),
    "a monotone function beyond its domain": (
        slope(Relation(2 * x, ">=", ZERO), 2 * x),
        order(-TWO, ONE),
        Monotone(
            "end", Relation(sp.Integer(4), "<=", ONE), "", ("slope", "order"), x**2, x, -TWO, ONE
        ),
    ),
    "a monotone function across a pole": (
        Inequality("fact", Relation(y**2 - 2 * y + 1, ">=", ZERO), "", certificate=(y - 1) ** 2),
        slope(Relation(-1 / (y - 1) ** 2, "<=", ZERO), 1 / (y**2 - 2 * y + 1), ("fact",)),
        order(ZERO, TWO),
        Monotone(
            "end", Relation(-ONE, ">=", ONE), "", ("slope", "order"), 1 / (y - 1), y, ZERO, TWO
        ),
    ),
    "a monotone function across a jump": (
        slope(Relation(-1 / (y**2 + 1), "<=", ZERO), 1 / (y**2 + 1)),
        order(-ONE, ONE),
        Monotone(
            "end",
            Relation(-sp.pi / 4, ">=", sp.pi / 4),
            "",
            ("slope", "order"),
            sp.atan(1 / y),
            y,
            -ONE,
            ONE,
        ),
    ),
    "a minimum across a pole": minimum(
        -sp.log((w - 1) ** 2) - 3 * w,
        3 + 2 / (w - 1),
        w,
        sp.Symbol("z", positive=True),
        (ZERO, ONE / 2),
    ),
    "a zero of the wrong sign": minimum(
        (y - ONE / 2) ** 2, 1 - 2 * y, y, sp.Symbol("z", negative=True), (ZERO, ONE)
    ),
    "an average under a supposition": (
        *coin,
        Suppose("B", Relation(X, ">=", half), ""),
        Inequality("X>1", Relation(X - 1, ">", ZERO), "", ("B",), certificate=(X - half, ONE / 2)),
        Inequality("XB", Relation(X, ">=", TWO), "", ("coin", "X>1"), certificate=both / (X - 1)),
        Averaged("EB", Relation(E(X), ">=", E(TWO)), "", ("XB",)),
        Axiom("one case", Relation(E(X), ">=", ZERO), "", ("EA",)),
        Axiom("other case", Relation(E(X), ">=", ZERO), "", ("EB",)),
        Cases("end", Relation(E(X), ">=", ZERO), "", ("A", "one case", "B", "other case")),
    ),
    "another name of a random quantity": (
        Axiom("mean", Relation(E(X), "=", ZERO), ""),
        Definition("Y", Relation(Y, "=", X), ""),
        Expectation("end", Relation(E(X * Y), "=", ZERO), "", ("mean",), random=(X,)),
    ),
    "a function known at one point": (
        Definition("t", Relation(t, "=", TWO), ""),
        Axiom("value", Relation(H(t), "=", ONE), ""),
        Identity("end", Relation(sp.Integral(H(t), (t, 0, r)), "=", r), "", ("value",)),
    ),
    "a complex exponent": (Tangent("end", Relation(sp.exp(sp.I * a), ">=", 1 + sp.I * a), ""),),
    "a denominator that vanishes": (
        Axiom("circle", Relation(a**2 + b**2, "=", ZERO), ""),
        Identity("end", Relation((a**2 + b**2) / b**3, "=", ZERO), "", ("circle",)),
    ),
    "an assumption of another claim": (
        Earlier(
            "end",
            Relation(G, ">", beta),
            "",
            claim="hitting_time",
            statement=Relation(G, ">", beta),
        ),
    ),
    "a symbol that another claim defines": (
        Definition("R", Relation(RADIUS, "=", 2 * G), ""),
        Earlier(
            "end",
            Relation(moments, "=", bound),
            "",
            claim="alignment_lemma",
            statement=Relation(moments, "=", bound),
        ),
    ),
    "a case that is no supposition": (
        Axiom("one", Relation(a, "<=", b), ""),
        Axiom("first", Relation(y, ">=", ONE), "", ("one",)),
        Suppose("other", Relation(a, ">", b), ""),
        Axiom("second", Relation(y, ">=", ONE), "", ("other",)),
        Cases("end", Relation(y, ">=", ONE), "", ("one", "first", "other", "second")),
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_it_is_refused(name):
    steps = FALSE[name]
    uses = tuple(step.claim for step in steps if isinstance(step, Earlier))
    false = replace(
        claims.minimax, statement=steps[-1].relation, steps=steps, witness=(), uses=uses
    )
    with pytest.raises(StepError):
        false.verify()


def test_what_is_refused_is_not_the_form():
    """The same forms with what was missing are accepted."""
    positive = sp.Symbol("n", positive=True)
    fine = (
        Axiom("0", Relation(a * positive, "<=", b * positive), ""),
        Inequality(
            "end",
            Relation(a, "<=", b),
            "",
            ("0",),
            certificate=(b * positive - a * positive) / positive,
        ),
    )
    good = minimum(w + 1 / w, 1 / w**2 - 1, w, sp.Symbol("z", positive=True), (ONE / 2, TWO))
    for steps in (fine, good, coin[:3]):
        claim = replace(claims.minimax, statement=steps[-1].relation, steps=steps, witness=())
        assert claim.verify() == len(steps)
