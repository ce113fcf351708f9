"""The steps of a derivation, each a relation with a reason, each checked by SymPy.

A step is an axiom (named in AXIOMS, taken as given), or it is verified: an identity reduces to
zero, an inequality comes with a certificate, an expression equal to the difference of its sides
whose sign is visible term by term. A step may rest on the steps before it, nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import sympy as sp

AXIOMS = {
    "assumption": "a hypothesis of the claim, as listed under its assumptions",
    "inner product": "lengths and angles are those of an inner product space",
    "Cauchy-Schwarz": "|⟨u, v⟩| ≤ ‖u‖‖v‖",
    "probability": "a chance lies between 0 and 1",
    "total expectation": "E X = P(A) E[X | A] + P(not A) E[X | not A]",
    "independence": "for independent mean-zero vectors, E‖Σ z_i‖² = Σ E‖z_i‖²",
    "earlier claim": "the statement of another claim, its hypotheses met",
}


class StepError(ValueError):
    """A step that does not follow. The message names the step and what was left over."""


class E(sp.Function):
    """Expectation of an expression in random symbols; never evaluated by SymPy."""

    def _latex(self, printer: Any) -> str:
        return rf"\mathbb{{E}}\left[{printer.doprint(self.args[0])}\right]"


@dataclass(frozen=True)
class Relation:
    """lhs relation rhs, with relation one of = <= >= < >."""

    lhs: sp.Expr
    relation: str
    rhs: sp.Expr

    @property
    def slack(self) -> sp.Expr:
        """Expression that is zero (for =) or non-negative when the relation holds."""
        return self.lhs - self.rhs if self.relation in ("=", ">=", ">") else self.rhs - self.lhs

    def latex(self) -> str:
        """The relation as LaTeX."""
        signs = {"<=": r"\le", ">=": r"\ge"}
        sign = signs.get(self.relation, self.relation)
        return f"{sp.latex(self.lhs)} {sign} {sp.latex(self.rhs)}"


@dataclass(frozen=True)
class Step(ABC):
    """A named relation with its reason; `using` names the earlier steps that it rests on."""

    how: ClassVar[str]
    name: str
    relation: Relation
    reason: str
    using: tuple[str, ...] = ()

    @abstractmethod
    def verify(self, known: "Known") -> None:
        """Raise StepError unless the step follows from what is known."""


@dataclass(frozen=True)
class Axiom(Step):
    """Taken as given: `axiom` is a key of AXIOMS."""

    how: ClassVar[str] = "given"

    axiom: str = "assumption"

    def verify(self, known: "Known") -> None:
        """Only the axiom's name is checked."""
        if self.axiom not in AXIOMS:
            raise StepError(f"{self.name}: {self.axiom!r} is not a listed axiom")


@dataclass(frozen=True)
class Definition(Step):
    """A new symbol for an expression in symbols that are there already."""

    how: ClassVar[str] = "definition"

    def verify(self, known: "Known") -> None:
        """Raise StepError if the symbol is in use."""
        used = {v for r in known.values() for v in (r.lhs.free_symbols | r.rhs.free_symbols)}
        new = self.relation.lhs
        if not isinstance(new, sp.Symbol) or new in used | self.relation.rhs.free_symbols:
            raise StepError(f"{self.name}: {new} is not a new symbol")


@dataclass(frozen=True)
class Averaged(Step):
    """E of both sides of the one relation in `using`: expectation is linear and monotone."""

    how: ClassVar[str] = "expectation of an earlier step"

    def verify(self, known: "Known") -> None:
        """Raise StepError unless both sides are those of the relation, inside E."""
        inner = known[self.using[0]]
        if self.relation != Relation(E(inner.lhs), inner.relation, E(inner.rhs)):
            raise StepError(f"{self.name}: is not E of {self.using[0]!r}")


@dataclass(frozen=True)
class Chain(Step):
    """Transitivity: the relations in `using`, each beginning where the one before it ends."""

    how: ClassVar[str] = "transitivity"

    def verify(self, known: "Known") -> None:
        """Raise StepError at a gap, or where the direction changes."""
        links = [known[n] for n in self.using]
        gaps = any(left.rhs != right.lhs for left, right in pairwise(links))
        ends = links[0].lhs == self.relation.lhs and links[-1].rhs == self.relation.rhs
        directions = {link.relation for link in links} - {"=", self.relation.relation}
        if gaps or not ends or directions:
            raise StepError(f"{self.name}: the links do not form a chain")


@dataclass(frozen=True)
class Identity(Step):
    """lhs - rhs reduces to zero, by simplification or modulo the equalities in `using`."""

    how: ClassVar[str] = "reduces to zero"

    def verify(self, known: "Known") -> None:
        """Raise StepError with the remainder."""
        remainder = reduced(self.relation.slack, [known[n] for n in self.using])
        if self.relation.relation != "=" or remainder != 0:
            raise StepError(f"{self.name}: {self.relation.slack} leaves {remainder}")


@dataclass(frozen=True)
class Inequality(Step):
    """The slack equals `certificate`, a sum of products of factors of visible sign."""

    how: ClassVar[str] = "certificate"

    certificate: sp.Expr = sp.S.Zero

    def verify(self, known: "Known") -> None:
        """Raise StepError if the certificate is another expression, or a factor has no sign."""
        relations = [known[n] for n in self.using]
        remainder = reduced(self.relation.slack - self.certificate, relations)
        if remainder != 0:
            raise StepError(f"{self.name}: the certificate is off by {remainder}")
        facts = [r.slack for r in relations]
        if not non_negative(self.certificate, facts):
            raise StepError(f"{self.name}: the sign of {self.certificate} is not visible")
        if self.relation.relation in "<>" and not strictly(self.certificate, relations):
            raise StepError(f"{self.name}: {self.certificate} may be zero")


@dataclass(frozen=True)
class Expectation(Step):
    """E of an expression that is affine in random quantities, whose moments `using` bounds.

    Each relation in `using` reads E(z) relation value; an inequality is used with the sign of the
    quantity's coefficient.
    """

    how: ClassVar[str] = "affine in random quantities"

    def verify(self, known: "Known") -> None:
        """Raise StepError if the expression is not affine, or a moment points the wrong way."""
        (expression,) = self.relation.lhs.args
        rest, total = sp.expand(expression), sp.S.Zero
        for moment in (known[n] for n in self.using):
            (quantity,) = moment.lhs.args
            coefficient = sp.simplify(sp.diff(rest, quantity))
            rest = sp.expand(rest - coefficient * quantity)
            total += coefficient * moment.rhs
            wrong = moment.relation != "=" and moment.relation != self.relation.relation
            sign = -coefficient if wrong else coefficient
            if coefficient.has(quantity) or (
                moment.relation != "=" and not non_negative(sp.factor(sign), [])
            ):
                raise StepError(f"{self.name}: {quantity} enters with {coefficient}")
        randoms = {q for n in self.using for q in known[n].lhs.args[0].free_symbols}
        if rest.free_symbols & randoms or sp.simplify(rest + total - self.relation.rhs) != 0:
            raise StepError(
                f"{self.name}: E leaves {sp.simplify(rest + total - self.relation.rhs)}"
            )


@dataclass(frozen=True)
class Solution(Step):
    """SymPy's solve, applied to the equation `of`, finds `lhs` = rhs and nothing else."""

    how: ClassVar[str] = "solve"

    of: sp.Expr = sp.S.Zero

    def verify(self, known: "Known") -> None:
        """Raise StepError when solve finds something else."""
        found = sp.solve(self.of, self.relation.lhs)
        if len(found) != 1 or sp.simplify(found[0] - self.relation.rhs) != 0:
            raise StepError(f"{self.name}: solve finds {found}")


@dataclass(frozen=True)
class UniqueMinimum(Step):
    """φ(x*) ≤ φ(x) on (low, high), where x* is the one zero of `numerator` D.

    Rests on φ' = -factor·D with a positive factor, D' < 0, D(low) > 0, D(high) < 0, and on what the
    factor's sign needs. By the intermediate value theorem D has one zero; by the mean value theorem
    φ falls before it and rises after it.
    """

    how: ClassVar[str] = "signs of a derivative"

    function: sp.Expr = sp.S.Zero
    numerator: sp.Expr = sp.S.Zero
    factor: sp.Expr = sp.S.Zero
    symbol: sp.Symbol = sp.Symbol("x")
    zero: sp.Symbol = sp.Symbol("x_star")
    interval: tuple[sp.Expr, sp.Expr] = (sp.S.Zero, sp.oo)

    def verify(self, known: "Known") -> None:
        """Raise StepError naming the first of the four that does not fit."""
        slope, falls, low, high, *signs = (known[n] for n in self.using)
        D, x = self.numerator, self.symbol
        fits = {
            "the slope": slope == Relation(sp.diff(self.function, x), "=", -self.factor * D),
            "the factor": strictly(self.factor, signs),
            "the fall": falls == Relation(sp.diff(D, x), "<", sp.S.Zero),
            "the low end": low.lhs == D.subs(x, self.interval[0]) and low.rhs.is_positive,
            "the high end": high.lhs == D.subs(x, self.interval[1]) and strictly(-high.rhs, signs),
            "the conclusion": self.relation
            == Relation(self.function.subs(x, self.zero), "<=", self.function),
        }
        for name, fit in fits.items():
            if not fit:
                raise StepError(f"{self.name}: {name} does not fit")


Known = dict[str, Relation]


def reduced(expression: sp.Expr, relations: Sequence[Relation]) -> sp.Expr:
    """Zero if the expression vanishes, also modulo the equalities among `relations`.

    Those whose left side is a symbol or an exponential are substituted; the others reduce the
    numerator as polynomials (Gröbner basis).
    """
    equalities = [r for r in relations if r.relation == "="]
    definitions = [r for r in equalities if isinstance(r.lhs, (sp.Symbol, sp.exp, E))]
    others = [r.slack for r in equalities if r not in definitions]
    for r in definitions:
        expression = expression.subs(r.lhs, r.rhs)
        others = [other.subs(r.lhs, r.rhs) for other in others]
    remainder = sp.simplify(expression)
    if remainder == 0 or not others:
        return remainder
    numerator, *ideal = (sp.numer(sp.together(e)) for e in [remainder, *others])
    generators = sorted(sp.Tuple(numerator, *ideal).free_symbols, key=str)
    return sp.groebner(ideal, *generators).reduce(sp.expand(numerator))[1]


def non_negative(expression: sp.Expr, facts: Sequence[sp.Expr]) -> bool:
    """Whether the sign is visible: from SymPy's assumptions, the facts, or part by part."""
    if expression.is_nonnegative or any(_same_sign(expression, fact) for fact in facts):
        return True
    if expression.is_Add or expression.is_Mul:
        return all(non_negative(part, facts) for part in expression.args)
    return bool(
        expression.is_Pow and expression.exp.is_real and non_negative(expression.base, facts)
    )


def _same_sign(expression: sp.Expr, fact: sp.Expr) -> bool:
    if fact == 0 or expression.free_symbols != fact.free_symbols:
        return False
    ratio = sp.cancel(expression / fact)
    return bool(ratio.is_positive and ratio.is_number)


def strictly(expression: sp.Expr, relations: Sequence[Relation]) -> bool:
    """Whether a non-negative expression is visibly positive."""
    facts = [r.slack for r in relations if r.relation in "<>"]
    if expression.is_positive or any(_same_sign(expression, fact) for fact in facts):
        return True
    if expression.is_Add:
        return any(strictly(part, relations) for part in expression.args)
    if expression.is_Mul:
        return all(strictly(part, relations) for part in expression.args)
    if isinstance(expression, sp.log):
        return strictly(expression.args[0] - 1, relations)
    return bool(expression.is_Pow and strictly(expression.base, relations))
