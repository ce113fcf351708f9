"""The steps of a derivation, each a relation with a reason, each checked by SymPy.

A step is an axiom (named in AXIOMS, taken as given), or it is verified: an identity
reduces to zero, an inequality comes with a certificate, an expression equal to the
difference of its sides whose sign is visible term by term. A step may rest on the steps
before it, nothing else.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import sympy as sp

from analysis.proof.relations import (
    AVERAGES,
    FORMS,
    STRICT,
    Relation,
    non_negative,
    plain,
    reduced,
    strictly,
)

# Two conditions on the same sides that leave no third case.
OPPOSITE = {
    ("<=", ">"),
    ("<=", ">="),
    ("<", ">="),
    (">=", "<="),
    (">=", "<"),
    (">", "<="),
}
AXIOMS = {
    "assumption": "a hypothesis of the claim, as listed under its assumptions",
    "root": (
        "a symbol for the only root of an equation, which a unique minimum has found"
    ),
    "name": "a symbol for a quantity of the argument, named nowhere else",
    "inner product": "lengths and angles are those of an inner product space",
    "Cauchy-Schwarz": "|⟨u, v⟩| ≤ ‖u‖‖v‖",
    "probability": (
        "a probability lies in [0, 1]; what holds with probability 1 - q "
        "bounds that quantile"
    ),
    "total expectation": (
        "E X = E E[X | Y]; E X = P(A) E[X | A] + P(not A) E[X | not A]"
    ),
    "independence": "for independent vectors of mean zero, E‖Σ z_i‖² = Σ E‖z_i‖²",
    "i.i.d.": (
        "independent, of one law: P(all > t) = P(one > t)^n, and labels do not matter"
    ),
    "fresh mini-batches": (
        "given w_t a mini-batch is drawn from its law, whatever was drawn before"
    ),
    "indicator": "1[x in A] ≤ h(x) where h ≥ 0, and h ≥ 1 on A",
    "layer cake": (
        "E min(c, r) = ∫_0^r P(c > t) dt for c ≥ 0; E c = ∫_0^∞ P(c > t) dt; "
        "E c² = ∫_0^∞ 2t P(c > t) dt"
    ),
    "Fubini": "E ∫ X(t) dt = ∫ E X(t) dt where ∫ E|X(t)| dt is finite",
    "Hölder": "E XY ≤ (E X^r)^{1/r}(E Y^q)^{1/q} for X, Y ≥ 0, 1/r + 1/q = 1",
    "Laplace": (
        "√x = ∫_0^∞ (1 - e^{-tx}) t^{-3/2} dt/(2√π); a sum's transform is the product"
    ),
    "gamma function": "Γ'/Γ(y) - Γ'/Γ(x) = ∫_0^∞ (e^{-xt} - e^{-yt})/(1 - e^{-t}) dt",
    "by parts": "x ∫_0^∞ e^{-xt} f(t) dt = f(0) + ∫_0^∞ e^{-xt} f'(t) dt, bounded f",
    "Jensen": "E φ(X) ≥ φ(E X) for convex φ, ≤ for concave φ",
    "monotone integral": "∫_a^r H ≤ (r - a) H(r) for non-decreasing H, also for r < a",
    "concave": "H(r) ≥ r H'(r) for concave H with H(0) = 0",
    "line integral": "φ(v) - φ(w) = ∫_0^1 ⟨∇φ(w + t(v - w)), v - w⟩ dt",
    "smoothness": "f(v) ≤ f(w) + ⟨∇f(w), v - w⟩ + L‖v - w‖²/2 for L-smooth f",
    "telescoping": "Σ (f_t - f_{t+1}) = f_0 - f_T, and f ≥ f*",
    "induction": "what holds of 0, and of n + 1 where it holds of n, holds of every n",
    "supermartingale": (
        "a non-negative supermartingale has E X_τ ≤ E X_0, P(sup X ≥ x) ≤ E X_0/x"
    ),
    "Hoeffding": "E e^{θ(X - E X)} ≤ e^{θ²(b-a)²/8} for X in [a, b]",
    "total variance": (
        "E‖X - E X‖² = E Var(X | Y) + Var E(X | Y), traces of covariances"
    ),
    "limit": "what holds of every law of a family holds in the limit, by continuity",
    "median": (
        "on a line the normalized rule moves against the side with more "
        "than half the mass"
    ),
    "normal": (
        "of jointly normal variables, what a linear regression leaves is normal and "
        "independent of the regressor"
    ),
    "concentration": (
        "a quadratic form of many independent normals is its mean, up to a relative "
        "error that vanishes as their effective number grows"
    ),
    "expansion": "a Taylor or Edgeworth expansion, the order of its remainder stated",
}


class StepError(ValueError):
    """A step that does not follow. The message names the step and the remainder."""


@dataclass(frozen=True)
class Step(ABC):
    """A named relation with its reason; `using` names the steps it rests on."""

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
        """Raise StepError for an axiom not listed, or contradicting the symbols' signs.

        A name is given to a new symbol, as in a definition, or to an average.
        """
        if self.axiom not in AXIOMS:
            raise StepError(f"{self.name}: {self.axiom!r} is not a listed axiom")
        lhs, rhs = self.relation.lhs, self.relation.rhs
        if FORMS[self.relation.relation](lhs, rhs) == sp.false:
            raise StepError(f"{self.name}: contradicts the signs of its symbols")
        if self.axiom != "name":
            return
        new, value = (rhs, lhs) if isinstance(lhs, AVERAGES) else (lhs, rhs)
        if self.relation.relation != "=" or not _is_new(new, value, known):
            raise StepError(f"{self.name}: names nothing new")
        _check_sign(self.name, new, value, [known[n] for n in self.using])


@dataclass(frozen=True)
class Definition(Step):
    """A new symbol for an expression.

    Its sign, if it has one, must be visible from `using`.
    """

    how: ClassVar[str] = "definition"

    def verify(self, known: "Known") -> None:
        """Raise StepError if the symbol is in use, or its sign is not visible."""
        new, rhs = self.relation.lhs, self.relation.rhs
        if self.relation.relation != "=" or not _is_new(new, rhs, known):
            raise StepError(f"{self.name}: {new} is not a new symbol")
        _check_sign(self.name, new, rhs, [known[n] for n in self.using])
        if not plain(new, "positive", "nonnegative"):
            raise StepError(
                f"{self.name}: {new} is no real symbol, or claims more than a sign"
            )


def _check_sign(
    name: str, symbol: sp.Expr, value: sp.Expr, facts: list[Relation]
) -> None:
    """Raise StepError if the symbol has a sign that is not visible in its value."""
    visible = (
        strictly(value, facts) if symbol.is_positive else non_negative(value, facts)
    )
    if symbol.is_nonnegative and not visible:
        raise StepError(f"{name}: the sign of {value} is not visible")


def _is_new(symbol: sp.Expr, value: sp.Expr, known: "Known") -> bool:
    """Whether a symbol is new to the steps so far and to its value, bound or not."""
    if not isinstance(symbol, sp.Symbol):
        return False
    sides = [side for r in known.values() for side in (r.lhs, r.rhs)]
    return not any(side.has(symbol) for side in [value, *sides])


@dataclass(frozen=True)
class Averaged(Step):
    """E, or Mean, of both sides of the one relation in `using`.

    Averages are monotone.
    """

    how: ClassVar[str] = "average of an earlier step"

    def verify(self, known: "Known") -> None:
        """Raise StepError unless both are the relation's sides, averaged."""
        inner, average = known[self.using[0]], self.relation.lhs.func
        averaged = Relation(average(inner.lhs), inner.relation, average(inner.rhs))
        if average not in AVERAGES or len(self.using) != 1 or self.relation != averaged:
            raise StepError(f"{self.name}: is not an average of {self.using[0]!r}")


@dataclass(frozen=True)
class Chain(Step):
    """Transitivity: the relations in `using`, each beginning where the last ends."""

    how: ClassVar[str] = "transitivity"

    def verify(self, known: "Known") -> None:
        """Raise StepError at a gap, or where the direction changes."""
        links = [known[n] for n in self.using]
        if len(links) < 2:
            raise StepError(f"{self.name}: a chain needs links")
        gaps = any(left.rhs != right.lhs for left, right in pairwise(links))
        ends = links[0].lhs == self.relation.lhs and links[-1].rhs == self.relation.rhs
        signs = {link.relation for link in links}
        wanted = self.relation.relation
        if wanted in STRICT:
            fits = wanted in signs and signs <= {"=", wanted, wanted + "="}
        else:
            fits = signs <= {"=", wanted, wanted[0]}
        if gaps or not ends or not fits:
            raise StepError(f"{self.name}: the links do not form a chain")


@dataclass(frozen=True)
class Identity(Step):
    """Lhs - rhs reduces to zero, simplified or modulo the equalities in `using`."""

    how: ClassVar[str] = "reduces to zero"

    def verify(self, known: "Known") -> None:
        """Raise StepError with the remainder, or where nothing is said."""
        if self.relation.lhs == self.relation.rhs:
            raise StepError(f"{self.name}: both sides are the same expression")
        remainder = reduced(self.relation.slack, [known[n] for n in self.using])
        if self.relation.relation != "=" or remainder != 0:
            raise StepError(f"{self.name}: {self.relation.slack} leaves {remainder}")


@dataclass(frozen=True)
class Inequality(Step):
    """The slack equals `certificate` of visible sign, or a sum of several such."""

    how: ClassVar[str] = "certificate"
    certificate: sp.Expr | tuple[sp.Expr, ...] = sp.S.Zero

    @property
    def terms(self) -> tuple[sp.Expr, ...]:
        """The terms of the certificate."""
        return (
            self.certificate
            if isinstance(self.certificate, tuple)
            else (self.certificate,)
        )

    def verify(self, known: "Known") -> None:
        """Raise StepError if the certificate differs, or a term has no sign."""
        if self.relation.relation == "=":
            raise StepError(f"{self.name}: a certificate of sign proves no equality")
        relations = [known[n] for n in self.using]
        remainder = reduced(self.relation.slack - sum(self.terms), relations)
        if remainder != 0:
            raise StepError(f"{self.name}: the certificate is off by {remainder}")
        for term in self.terms:
            if not non_negative(term, relations):
                raise StepError(f"{self.name}: the sign of {term} is not visible")
        strict = self.relation.relation in STRICT
        if strict and not any(strictly(term, relations) for term in self.terms):
            raise StepError(f"{self.name}: {self.certificate} may be zero")


@dataclass(frozen=True)
class Expectation(Step):
    """E, or Mean, of what is affine in random quantities, whose moments `using` bounds.

    Relations in `using` that read E(z) relation value, z a random symbol, are the
    moments; an inequality is used with the sign of its coefficient, for which the
    others are facts. `random` lists every symbol that is random: coefficients and the
    right side must be free of them.
    """

    how: ClassVar[str] = "affine in random quantities"
    random: tuple[sp.Symbol, ...] = ()

    def verify(self, known: "Known") -> None:
        """Raise StepError if it is not affine, or a moment points the wrong way."""
        relations = [known[n] for n in self.using]
        average = self.relation.lhs.func
        moments = [r for r in relations if r.lhs.func in AVERAGES]
        facts = [r for r in relations if r not in moments]
        if average not in AVERAGES or any(r.lhs.func != average for r in moments):
            raise StepError(f"{self.name}: the left sides must be averages of one kind")
        if self.relation.relation in STRICT:
            raise StepError(f"{self.name}: an expectation is bounded, not strictly")
        # what is left once moments are out
        fixed = sp.expand(self.relation.lhs.args[0])
        total = sp.S.Zero
        for moment in moments:
            (quantity,) = moment.lhs.args
            if quantity not in self.random or not isinstance(quantity, sp.Symbol):
                raise StepError(f"{self.name}: {quantity} is not declared random")
            coefficient = sp.simplify(sp.diff(fixed, quantity))
            self._check_moment(moment, coefficient, facts)
            fixed = sp.expand(fixed - coefficient * quantity)
            total += coefficient * moment.rhs
        remainder = sp.simplify(fixed + total - self.relation.rhs)
        free = fixed.free_symbols | self.relation.rhs.free_symbols
        if free & set(self.random) or remainder:
            raise StepError(f"{self.name}: E leaves {remainder}")

    def _check_moment(
        self, moment: Relation, coefficient: sp.Expr, facts: list[Relation]
    ) -> None:
        """Raise StepError unless this moment may be used with this coefficient."""
        (quantity,) = moment.lhs.args
        opposed = moment.relation[0] != self.relation.relation[0]
        sign = sp.factor(-coefficient if opposed else coefficient)
        bounded = self.relation.relation != "=" and non_negative(sign, facts)
        if not (moment.relation == "=" or bounded):
            raise StepError(f"{self.name}: {quantity} enters with {coefficient}")
        if coefficient.free_symbols & set(self.random):
            raise StepError(f"{self.name}: the coefficient {coefficient} is random")


@dataclass(frozen=True)
class Earlier(Step):
    """What another claim has proved: its statement, or that of a derived step.

    `Claim.verify` looks it up there. What the other claim has defined about the same
    symbols must be defined here as well, and each of its assumptions be a step here or
    be named in `holding`, with the reason why it holds in `reason`.
    """

    how: ClassVar[str] = "the statement of an earlier claim"
    claim: str = ""
    holding: tuple[str, ...] = ()

    def verify(self, known: "Known") -> None:
        """Nothing here: `Dependencies` raises StepError for what is not proved."""


@dataclass(frozen=True)
class Suppose(Step):
    """A hypothesis for a part of the proof.

    `Cases` must discharge it before the conclusion.
    """

    how: ClassVar[str] = "supposed"

    def verify(self, known: "Known") -> None:
        """Any relation may be supposed."""


@dataclass(frozen=True)
class Cases(Step):
    """Two suppositions that leave nothing out, and what follows from each.

    `using` names the first supposition, its consequence, the second and its
    consequence. The suppositions compare the same two sides in opposite directions, at
    least one including equality. Either both consequences are the relation itself, or
    its right side is Piecewise((first, first supposition), (second, True)).
    """

    how: ClassVar[str] = "one of the two holds"

    def verify(self, known: "Known") -> None:
        """Raise StepError if a case is missing, or a consequence is another one."""
        case, first, complement, second = (known[n] for n in self.using)
        sides = (case.lhs, case.rhs)
        compared = (case.relation, complement.relation)
        if sides != (complement.lhs, complement.rhs) or compared not in OPPOSITE:
            raise StepError(f"{self.name}: there may be a third case")
        if first == second == self.relation:
            return
        condition = FORMS[case.relation](*sides)
        split = sp.Piecewise((first.rhs, condition), (second.rhs, True))
        same = first.lhs == second.lhs == self.relation.lhs
        signs = {first.relation, second.relation, self.relation.relation}
        if not same or len(signs) > 1 or self.relation.rhs != split:
            raise StepError(f"{self.name}: is not what the cases give")


Known = dict[str, Relation]
