"""The claims' formulae for a page: shortened by notation, every symbol explained."""

from dataclasses import dataclass

import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.proof.claim import Claim
from analysis.proof.relations import Mean, Quantile, Relation
from analysis.proof.symbols import NOTATION, alpha, b, kappa, lam, p, sigma
from analysis.proof.values import Implicit
from figures.markup import Markup, element, joined
from figures.mathml import mathml

CLEAN = sp.exp(-b * lam)
MARGIN = p - alpha * (1 - p)
ZERO = (element("mo", "="), element("mn", 0))
BETA = sp.Symbol("beta", positive=True)
RADIUS = sigma * sp.sqrt(p + alpha * (1 - p)) / (sp.sqrt(b) * sp.sqrt(kappa))


@dataclass(frozen=True)
class Formula:
    """A claim's statement as MathML, and its symbols: MathML, meaning."""

    statement: Markup
    solved: tuple[Markup, ...]
    words: tuple[tuple[Markup, str], ...]
    notation: tuple[sp.Symbol, ...]


def formula(claim: Claim) -> Formula:
    """The claim's statement for reading, defining equations, and the words it uses.

    `notation` has the symbols of the notation that occur; `words` explains the others.
    """
    shown = shortened(claim)
    solved = [v for v in claim.values.values() if isinstance(v, Implicit)]
    parts = [shown.lhs, shown.rhs, *(value.equation for value in solved)]
    names = {str(x): x for part in parts for x in _names(part)}
    words = dict(claim.terms)
    if BETA in shown.rhs.free_symbols:
        words["beta"] = "the bias radius of bias_radius"
    return Formula(
        mathml(shown),
        tuple(joined(mathml(v.equation), *ZERO) for v in solved),
        tuple((mathml(sp.Symbol(name)), text) for name, text in words.items()),
        tuple(
            entry.symbol
            for entry in NOTATION
            if names.get(str(entry.symbol)) == entry.symbol
        ),
    )


def shortened(claim: Claim) -> Relation:
    """The statement with p for e^(-λb), κ for p - α(1-p), β for another's bias radius.

    Nothing else is changed: putting the long forms back gives the statement. A
    statement with exponentials of something else keeps them all, so that like is
    compared with like.
    """
    sides = [claim.statement.lhs, claim.statement.rhs]
    if {e for side in sides for e in side.atoms(sp.exp)} == {CLEAN}:
        sides = [side.xreplace({CLEAN: p}) for side in sides]
        sides = [
            side.xreplace({2 * MARGIN: 2 * kappa, MARGIN: kappa}) for side in sides
        ]
        if claim.name != "bias_radius":
            sides = [side.subs(RADIUS, BETA) for side in sides]
    return Relation(sides[0], claim.statement.relation, sides[1])


def _names(expression: sp.Expr) -> set[sp.Basic]:
    return expression.free_symbols | {
        f.func for f in expression.atoms(AppliedUndef, Mean, Quantile)
    }
