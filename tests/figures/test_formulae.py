"""MathML read back by an independent reader is the claim that it shows."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.claims import CLAIMS
from analysis.proof.relations import E, Mean, Quantile, Relation
from analysis.proof.symbols import alpha, b, kappa, lam, p, sigma
from analysis.proof.values import Implicit
from figures.formulae import BETA, formula, shortened
from figures.mathml import mathml

GREEK = {
    **{
        "alpha": "α",
        "beta": "β",
        "gamma": "γ",
        "delta": "δ",
        "Delta": "Δ",
        "epsilon": "ε",
    },
    **{"zeta": "ζ", "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ"},
    "nu": "ν",
    **{"sigma": "σ", "tau": "τ", "ell": "ℓ", "Dbar": "D¯", "star": "*"},
}
RELATIONS = {"=": "=", "≤": "<=", "≥": ">=", "<": "<", ">": ">"}


def text(symbol):
    return "".join(GREEK.get(part, part) for part in symbol.name.split("_"))


class Reader:
    """Presentation MathML to SymPy, in the symbols given."""

    def __init__(self, symbols):
        self.symbols = {text(x): x for x in symbols}

    def relation(self, markup):
        children = list(ElementTree.fromstring(f"<math>{markup}</math>"))
        (at,) = (
            i for i, c in enumerate(children) if c.tag == "mo" and c.text in RELATIONS
        )
        return (
            self.row(children[:at]),
            RELATIONS[children[at].text],
            self.row(children[at + 1 :]),
        )

    def row(self, children):
        if children[0].tag == "mo" and children[0].text in ("(", "["):
            return self.row(children[1:-1])
        if children[0].tag == "mo" and children[0].text == "{":
            return sp.Piecewise(*(self.case(*line) for line in children[1]))
        if children[0].tag == "msubsup":
            low, high = (self.one(c) for c in list(children[0])[1:])
            return sp.Integral(
                self.row(children[1:-3]), (self.one(children[-1]), low, high)
            )
        total = sp.S.Zero
        sign = 1
        term = []
        for child in children:
            if child.tag == "mo" and child.text in "+−":
                total += sign * self.term(term) if term else 0
                sign = -1 if child.text == "−" else 1
                term = []
            else:
                term.append(child)
        return total + sign * self.term(term)

    def term(self, children):
        if len(children) == 3 and children[1].text == "\u2061":
            argument, name = self.one(children[2]), children[0].text
            if children[0].tag == "msub":
                return Quantile(argument, self.row(list(list(children[0])[1])))
            return {"ln": sp.log, "E": E, "Mean": Mean}.get(name, sp.Function(name))(
                argument
            )
        factors, times = children[::2], children[1::2]
        assert all(c.tag == "mo" and c.text == "\u2062" for c in times)
        return sp.prod(map(self.one, factors))

    def case(self, value, condition):
        value, (condition,) = self.row(list(value)), condition
        if condition.tag == "mtext":
            assert condition.text == "otherwise"
            return value, True
        relation = list(list(condition)[1])
        (at,) = (i for i, c in enumerate(relation) if c.tag == "mo" and c.text in "≤≥")
        left, right = self.row(relation[:at]), self.row(relation[at + 1 :])
        return value, left <= right if relation[at].text == "≤" else left >= right

    def one(self, element):
        parts = list(element)
        shown = "".join(element.itertext())
        if shown in self.symbols and element.tag in ("mi", "msub", "msup", "mover"):
            return self.symbols[shown]
        if element.tag == "msup":
            power = self.one(parts[1])
            return (
                sp.exp(power) if parts[0].text == "e" else self.one(parts[0]) ** power
            )
        if element.tag == "mfrac":
            return self.one(parts[0]) / self.one(parts[1])
        if element.tag == "mn":
            return sp.Integer(element.text)
        if element.tag == "mi" and element.text == "π":
            return sp.pi
        assert element.tag in ("mrow", "msqrt"), element.tag
        return sp.sqrt(self.row(parts)) if element.tag == "msqrt" else self.row(parts)


def names(*expressions):
    return {x for e in expressions for x in e.free_symbols | e.atoms(sp.Symbol)}


LONG = {
    BETA: sigma
    * sp.sqrt(p + alpha * (1 - p))
    / sp.sqrt(b)
    / sp.sqrt(p - alpha * (1 - p)),
    kappa: p - alpha * (1 - p),
    p: sp.exp(-b * lam),
}


def same(found, wanted):
    """Equal at ten random points or, for unknown functions, as written."""
    if wanted.has(AppliedUndef, E, Mean, Quantile):
        return str(found) == str(wanted)
    symbols = sorted(wanted.free_symbols, key=str)
    assert found.free_symbols == wanted.free_symbols
    both = sp.lambdify(symbols, [found, wanted], "numpy")
    points = np.random.default_rng(1).uniform(0.05, 0.3, (10, len(symbols)))
    values = np.array([both(*(point + 0j)) for point in points])
    return np.allclose(values[:, 0], values[:, 1], rtol=1e-12, atol=0)


def read_back(claim):
    """The statement that is shown, names put back."""
    given = claim.statement
    shown = shortened(claim)
    reader = Reader(names(shown.lhs, shown.rhs))
    left, relation, right = reader.relation(formula(claim).statement)
    for short, long in LONG.items():
        if short not in names(given.lhs, given.rhs):
            left, right = left.subs(short, long), right.subs(short, long)
    return Relation(left, relation, right)


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_shown_is_the_statement(name):
    given, found = CLAIMS[name].statement, read_back(CLAIMS[name])
    assert found.relation == given.relation
    assert same(found.lhs, given.lhs)
    assert same(found.rhs, given.rhs)


def test_another_statement_is_seen():
    """The twin: one sign, or one power, is different."""
    claim = CLAIMS["bias_radius"]
    for false in (claim.statement.rhs * sigma, claim.statement.rhs.subs(alpha, -alpha)):
        assert not same(read_back(claim).rhs, false)


@pytest.mark.parametrize("name", CLAIMS)
def test_equations_are_those_of_the_values(name):
    values = [v for v in CLAIMS[name].values.values() if isinstance(v, Implicit)]
    for value, markup in zip(values, formula(CLAIMS[name]).solved, strict=True):
        left, relation, right = Reader(names(value.equation)).relation(markup)
        assert (relation, right) == ("=", 0)
        assert same(left, value.equation)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_symbol_is_explained_once(name):
    claim = CLAIMS[name]
    shown = shortened(claim)
    bound = {
        x
        for e in (shown.lhs, shown.rhs)
        for i in e.atoms(sp.Integral)
        for x in i.variables
    }
    kinds = (AppliedUndef, Mean, Quantile)
    functions = {f.func for e in (shown.lhs, shown.rhs) for f in e.atoms(*kinds)} - {E}
    used = {x.name for x in names(shown.lhs, shown.rhs) - bound} | {
        str(f) for f in functions
    }
    words = {*claim.terms} | ({"beta"} & used)
    notation = {x.name for x in formula(claim).notation}
    assert used <= words | notation
    assert words <= used
    assert len(formula(claim).words) == len(words)


def test_signs_fractions_and_roots():
    x, y = sp.symbols("x y", positive=True)
    assert mathml(-x) == "<mrow><mo>−</mo><mi>x</mi></mrow>"
    assert (
        mathml(sp.Rational(-1, 2))
        == "<mrow><mo>−</mo><mfrac><mn>1</mn><mn>2</mn></mfrac></mrow>"
    )
    assert mathml(sp.sqrt(x) / sp.sqrt(y)).count("msqrt") == 2  # one root: its two tags
    assert mathml(Relation(x, "<", y)) == "<mi>x</mi><mo>&lt;</mo><mi>y</mi>"
    with pytest.raises(TypeError, match="no MathML for"):
        mathml(sp.Sum(x, (x, 1, 2)))
