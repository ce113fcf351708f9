"""What a claim rests on is listed, and holds of the same quantities in quotes."""

from dataclasses import replace

import pytest
import sympy as sp

from analysis.claims import CLAIMS
from analysis.proof.relations import E, Quantile, Relation
from analysis.proof.steps import (
    Axiom,
    Definition,
    Earlier,
    Expectation,
    Identity,
    Inequality,
    Suppose,
)
from analysis.proof.symbols import G, s, sigma
from analysis.proof.symbols import x as size
from analysis.proof.values import Implicit, Shown

ZERO, ONE, TWO = sp.S.Zero, sp.S.One, sp.Integer(2)
BOUND = sp.sqrt(G**2 + sigma**2)
a, b, c, U, X, Y = sp.symbols("a b c U X Y", real=True)
k, r, t, v, z = sp.symbols("k r t v z", positive=True)
H = sp.Function("H", nonnegative=True)
bounded = Inequality(
    "end", Relation(G, "<=", BOUND), "", certificate=sigma**2 / (G + BOUND)
)


def quoted(shelf, made, holding=()):
    """A quotation of the last step of this claim."""
    shelf.add("other", made)
    return Earlier(
        "quoted", made.steps[-1].relation, "", claim="other", holding=holding
    )


def test_a_root_that_no_minimum_has_found(prove, refused):
    """A root is not listed among what is given, so that it can be no axiom: a >= b."""

    def above(axiom):
        given = Axiom("given", Relation(a, ">=", b), "", axiom=axiom)
        end = Relation(a + 1, ">", b)
        return given, Inequality("end", end, "", ("given",), certificate=(a - b, ONE))

    prove(*above("assumption"))
    with refused:
        prove(*above("root"))


def test_a_quotation_that_ties_a_variable(prove, claim, refused, shelf):
    """H(t) = t for every t, and t = 2, make H(t) = 2 there; ∫ H is not 2r here."""
    formula = Axiom("H", Relation(H(t), "=", t), "")
    at = Axiom("t", Relation(t, "=", TWO), "")
    two = Identity("two", Relation(H(t), "=", TWO), "", ("H", "t"))
    quotation = quoted(shelf, claim(formula, at, two), ("t", "H"))

    def integral(variable):
        form = sp.Integral(H(variable), (variable, 0, r))
        return Identity(
            "end", Relation(form + H(t), "=", 2 * r + H(t)), "", ("quoted", "all")
        )

    everywhere = Axiom("all", Relation(H(k), "=", TWO), "for every k")
    prove(quotation, everywhere, integral(k))
    with refused:
        prove(
            quotation,
            replace(everywhere, relation=Relation(H(k) + 1, "=", 2 * ONE + 1)),
            integral(t),
        )


def test_a_quotation_in_which_a_random_quantity_is_fixed(prove, claim, refused, shelf):
    """There Y = X is a number >= c; here X is random: E XY is E X², not Y·E X."""
    same, low = (
        Axiom("Y", Relation(2 * Y, "=", 2 * X), ""),
        Axiom("c", Relation(X, ">=", c), ""),
    )
    least = Inequality("least", Relation(Y, ">=", c), "", ("Y", "c"), certificate=X - c)
    quotation = quoted(shelf, claim(same, low, least), ("Y", "c"))

    def product(random):
        average = Relation(E(random * Y), "=", Y)
        return (
            quotation,
            Axiom("mean", Relation(E(random), "=", ONE), ""),
            Expectation("product", average, "", ("mean",), random=(random,)),
            Inequality(
                "end",
                Relation(E(random * Y), ">=", c),
                "",
                ("product", "quoted"),
                certificate=Y - c,
            ),
        )

    prove(*product(U))
    with refused:
        prove(*product(X))


def test_a_quotation_about_averages_without_one(prove, claim, refused, shelf):
    """There E cX = c·E X = 0 for a number c; for a random one E cX may well be s."""
    zero = Axiom("X", Relation(E(X), "=", ZERO), "")
    given = Axiom("c", Relation(E(c * X), "=", s), "")
    product = Expectation("p", Relation(E(c * X), "=", ZERO), "", ("X",), random=(X,))
    end = Inequality("end", Relation(s, "<=", ZERO), "", ("c", "p"), certificate=ZERO)
    quotation = quoted(shelf, claim(zero, given, product, end), ("X", "c"))
    prove(quotation, random=(X,))
    with refused:
        prove(quotation, random=(X, c))


@pytest.mark.parametrize("first", [False, True])
def test_an_assumption_about_a_zero(prove, claim, refused, minimum, shelf, first):
    """There z = a and z = b are numbers; here z is a slope's zero, so a = 1."""
    one, two = (
        Axiom(n, Relation(2 * z, "=", 2 * each), "") for n, each in (("a", a), ("b", b))
    )
    same = Identity("same", Relation(a, "=", b), "", ("a", "b"))
    quotation = quoted(shelf, claim(one, two, same), ("a", "b"))

    def least(zero):
        return minimum(v + 1 / v, 1 / v**2 - 1, v, zero, (ONE / 2, TWO))

    def both(zero):
        steps = (quotation, *least(zero)) if first else (*least(zero), quotation)
        return *steps, Identity("end", Relation(2 * a, "=", 2 * b), "", ("quoted",))

    prove(*both(k))
    with refused:
        prove(*both(z))


def test_one_name_for_two_averages(prove, claim, refused, shelf):
    """There c names E X, here E Y: E Y = E X for any two."""

    def name(step, average):
        return Axiom(step, Relation(average, "=", c), "", axiom="name")

    below = Inequality("below", Relation(c, "<=", E(X)), "", ("one",), certificate=ZERO)
    quotation = quoted(shelf, claim(name("one", E(X)), below, random=(X,)))

    def mean(average):
        end = Relation(average, "<=", E(X))
        return (
            name("two", average),
            quotation,
            Inequality("end", end, "", ("two", "quoted"), certificate=E(X) - c),
        )

    prove(*mean(E(X)), random=(X, Y))
    with refused:
        prove(*mean(E(Y)), random=(X, Y))


own = sp.Symbol("own", positive=True)
double = (
    Definition("own", Relation(own, "=", 2 * G), ""),
    Inequality("end", Relation(G, "<=", own), "", ("own",), certificate=G),
)


@pytest.mark.parametrize(
    ("steps", "value", "at"),
    [
        pytest.param((bounded,), BOUND / 2, {BOUND: BOUND / 2}, id="of an expression"),
        pytest.param(double, sigma, {own: sigma}, id="of a symbol that is defined"),
    ],
)
def test_a_value_at_another_place(prove, refused, steps, value, at):
    """G <= √(G² + σ²) holds at every σ, not with half of that put in for it."""
    moved = BOUND.subs(sigma, 2 * s)
    shown = {"bound": Shown("end", {sigma: 2 * s})}
    prove(bounded, values={"bound": moved}, shown=shown)
    with refused:
        prove(*steps, values={"bound": value}, shown={"bound": Shown("end", at)})


def test_a_parameter_that_is_a_zero(prove, refused, minimum):
    """The sum v + 1/v is least at its zero 1, not at every σ: v + 1/v >= σ + 1/σ."""

    def least(zero, value):
        end = Inequality(
            "end",
            Relation(v + 1 / v, ">=", zero + 1 / zero),
            "",
            ("least",),
            certificate=v + 1 / v - zero - 1 / zero,
        )
        two = Inequality("two", Relation(G, "<=", 2 * G), "", certificate=G)
        steps = (two, *minimum(v + 1 / v, 1 / v**2 - 1, v, zero, (ONE / 2, TWO)), end)
        shown = "two" if value == 2 * G else "end"
        prove(*steps, values={"bound": value}, shown={"bound": shown})

    least(z, 2 * G)
    with refused:
        least(sigma, sigma + 1 / sigma)


def test_a_root_in_one_case_only(prove, refused, minimum):
    """(σ - 1)(x + 1/x) is least at 1 where σ > 1; where σ < 1 it is largest there."""
    twice = Inequality("end", Relation(G, "<=", 2 * G), "", certificate=G)

    def shown(scale, *supposed):
        numerator = scale * (1 / size**2 - 1)
        names = tuple(step.name for step in supposed)
        curve = scale * (size + 1 / size)
        slope, falls, low, high, least = minimum(
            curve, numerator, size, z, (ONE / 2, TWO)
        )
        steps = (
            *supposed,
            slope,
            replace(falls, using=names, certificate=2 * scale / size**3),
            low,
            high,
            replace(least, using=(*least.using, *names)),
        )
        value = {"size": Implicit(size, numerator, ONE / 2, TWO)}
        prove(twice, witness=steps, values=value, shown={"size": "least"})

    shown(sigma)
    with refused:
        shown(sigma - 1, Suppose("large", Relation(sigma, ">", ONE), ""))


def test_two_symbols_that_are_printed_alike(prove, refused):
    """A statement that prints x₁ + 1 > x₁ of two symbols printed alike."""

    def above(first, second):
        given = Axiom("given", Relation(first, ">=", second), "")
        end = Relation(first + 1, ">", second)
        return given, Inequality(
            "end", end, "", ("given",), certificate=(first - second, ONE)
        )

    one, other, same = sp.symbols("x1 x2 x_1", real=True)
    prove(*above(one, other))
    with refused:
        prove(*above(one, same))


def test_a_value_by_what_the_statement_does_not_need(claim):
    """What shows a value is listed among the claim's givens: 2G <= √(G² + σ²)."""
    given = Axiom("given", Relation(2 * G, "<=", BOUND), "")
    end = Relation(G, "<=", BOUND / 2)
    half = Inequality("half", end, "", ("given",), certificate=(BOUND - 2 * G) / 2)
    made = claim(
        bounded,
        witness=(given, half),
        values={"bound": BOUND / 2},
        shown={"bound": "half"},
    )
    made.verify(CLAIMS)
    assert [behind.step for behind in made.givens(CLAIMS)] == [given]


@pytest.mark.parametrize("name", ["erf", "LambertW", "Integral"])
def test_a_function_that_is_called_like_another(prove, refused, name):
    """A statement that prints erf(t) + 1 = 3 of a function other than erf."""

    def two(function):
        given = Axiom("two", Relation(function(t), "=", TWO), "")
        return given, Identity(
            "end", Relation(function(t) + 1, "=", TWO + 1), "", ("two",)
        )

    prove(*two(sp.Function("K", real=True)))
    with refused:
        prove(*two(sp.Function(name, real=True)))


def test_a_symbol_that_is_called_like_the_base(prove, refused):
    """A statement that prints e <= 2 of a symbol called e."""

    def at_most(symbol):
        named = Definition("two", Relation(symbol, "=", TWO), "")
        return named, Inequality("end", Relation(symbol, "<=", TWO), "", ("two",))

    prove(*at_most(z))
    with refused:
        prove(*at_most(sp.Symbol("e", positive=True)))


@pytest.mark.parametrize("quantile", [Quantile(X, TWO, ONE), Quantile(X)])
def test_a_quantile_of_another_form(prove, refused, quantile):
    """A quantile is of one quantity at one level."""

    def above(quantile):
        given = Axiom("given", Relation(quantile, ">=", ZERO), "")
        end = Relation(quantile + 1, ">", ZERO)
        return given, Inequality(
            "end", end, "", ("given",), certificate=(quantile, ONE)
        )

    prove(*above(Quantile(X, ONE / 2)), random=(X,))
    with refused:
        prove(*above(quantile), random=(X,))


class Forgetful(tuple):
    """A tuple that is empty the first times it is read."""

    def __iter__(self):
        times = self.__dict__["times"] = self.__dict__.get("times", 0) + 1
        return iter(()) if times <= 3 else tuple.__iter__(self)


def test_what_is_used_and_not_listed(prove, refused):
    """What a step rests on is the same for what is given as for what is checked."""

    def above(using):
        given = Axiom("given", Relation(a, ">=", b), "")
        end = Relation(a + 1, ">", b)
        return given, Inequality("end", end, "", using, certificate=(a - b, ONE))

    prove(*above(("given",)))
    with refused:
        prove(*above(Forgetful(("given",))))
