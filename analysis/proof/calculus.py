"""Derivation steps that use calculus: roots, minima, monotone functions, tangents."""

from dataclasses import dataclass
from typing import ClassVar

import sympy as sp

from analysis.proof.relations import BINDERS, Relation, bound, plain, regular, strictly
from analysis.proof.steps import Known, Step, StepError


@dataclass(frozen=True)
class Tangent(Step):
    """e^y ≥ 1 + y, log y ≤ y - 1 or log y ≥ 1 - 1/y, any y: a curve and its tangent.

    `exponent` is y where SymPy writes e^y as a product of other powers.
    """

    how: ClassVar[str] = "tangent of a convex or concave function"
    exponent: sp.Expr | None = None

    def verify(self, known: Known) -> None:
        """Raise StepError for other relations, or a logarithm of what may be ≤ 0."""
        curve, sign, line = self.relation.lhs, self.relation.relation, self.relation.rhs
        if (
            self.exponent is not None
            and sign == ">="
            and curve == sp.exp(self.exponent)
        ):
            difference = line - (1 + self.exponent)
        elif isinstance(curve, sp.exp) and sign == ">=":
            difference = line - (1 + curve.args[0])
        elif isinstance(curve, sp.log) and sign in ("<=", ">="):
            (y,) = curve.args
            if not strictly(y, [known[n] for n in self.using]):
                raise StepError(f"{self.name}: {y} is not visibly positive")
            difference = line - (y - 1 if sign == "<=" else 1 - 1 / y)
        else:
            raise StepError(f"{self.name}: is not a tangent")
        if sp.simplify(difference) != 0:
            raise StepError(f"{self.name}: the tangent is off by {difference}")


@dataclass(frozen=True)
class Monotone(Step):
    """φ(low) ≤ φ(high), or ≥, from the sign of φ' and low ≤ high: mean value theorem.

    `using` names the slope (φ' relation 0 for every value of `symbol`), the order (low
    ≤ high), and what else the ends need in order to lie where the slope's sign is
    known.
    """

    how: ClassVar[str] = "sign of a derivative"

    function: sp.Expr = sp.S.Zero
    symbol: sp.Symbol = sp.Symbol("x")
    low: sp.Expr = sp.S.Zero
    high: sp.Expr = sp.S.Zero

    def verify(self, known: Known) -> None:
        """Raise StepError naming what does not fit."""
        slope, order, *further = (known[n] for n in self.using)
        x, sign = self.symbol, slope.relation[0]
        value = self.function.subs(x, self.low), self.function.subs(x, self.high)
        inside = [order, *further]
        fits = {
            "the slope": sp.simplify(slope.lhs - sp.diff(self.function, x)) == 0
            and slope.rhs == 0
            and sign in "<>",
            "the order": order
            in (_least(self.low, self.high), _most(self.high, self.low)),
            "the variable": plain(x, "positive"),
            "the bound variables": not binds(self.function, self.low, self.high),
            "the domain": not x.is_positive
            or all(strictly(end, inside) for end in (self.low, self.high)),
            "the function": regular(
                self.function, [r for r in further if x not in r.free_symbols]
            ),
            "the conclusion": self.relation
            == (_least(*value) if sign == ">" else _most(*value)),
        }
        for name, fit in fits.items():
            if not fit:
                raise StepError(f"{self.name}: {name} does not fit")


def _least(low: sp.Expr, high: sp.Expr) -> Relation:
    return Relation(low, "<=", high)


def _most(high: sp.Expr, low: sp.Expr) -> Relation:
    return Relation(high, ">=", low)


@dataclass(frozen=True)
class Solution(Step):
    """x = value: SymPy solves the equation in `using`, whose left side is monotone.

    The equation reads f(x) = 0; f' has one visible strict sign, so the root is the only
    one.
    """

    how: ClassVar[str] = "solve"

    def verify(self, known: Known) -> None:
        """Raise StepError when solve finds otherwise, or there might be other roots."""
        equation, x = known[self.using[0]], self.relation.lhs
        slope = sp.expand(sp.diff(equation.lhs, x))
        monotone = strictly(slope, []) or strictly(-slope, [])
        if equation.relation != "=" or equation.rhs != 0 or not monotone:
            raise StepError(
                f"{self.name}: {equation.lhs} = {equation.rhs} may have several roots"
            )
        roots = sp.solve(equation.lhs, x)
        if len(roots) != 1 or sp.simplify(roots[0] - self.relation.rhs) != 0:
            raise StepError(f"{self.name}: solve finds {roots}")


@dataclass(frozen=True)
class UniqueMinimum(Step):
    """φ(x*) ≤ φ(x), where x* is the one zero of `numerator` N between low and high.

    Rests on φ' = -factor·N with a positive factor, N' < 0, N(low) > 0, N(high) < 0, and
    on what the factor's sign needs, each for every x of which nothing is given but x <
    high (then the minimum is one over low < x < high) or for every x that its sign
    admits. By the intermediate value theorem N has one zero; by the mean value theorem
    φ falls before it and rises after it. `zero` is a new symbol.
    """

    how: ClassVar[str] = "signs of a derivative"

    function: sp.Expr = sp.S.Zero
    numerator: sp.Expr = sp.S.Zero
    factor: sp.Expr = sp.S.Zero
    symbol: sp.Symbol = sp.Symbol("x")
    zero: sp.Symbol = sp.Symbol("x_star")
    interval: tuple[sp.Expr, sp.Expr] = (sp.S.Zero, sp.oo)

    def verify(self, known: Known) -> None:
        """Raise StepError naming what does not fit."""
        slope, falls, low, high, *signs = (known[n] for n in self.using)
        N, x = self.numerator, self.symbol
        start, end = self.interval
        domain = [*signs, Relation(x, ">", start)]
        fits = {
            "the slope": slope.relation == "="
            and slope.lhs
            in (sp.diff(self.function, x), sp.Derivative(self.function, x))
            and slope.rhs == -self.factor * N,
            "the factor": strictly(self.factor, signs),
            "the fall": falls == Relation(sp.diff(N, x), "<", sp.S.Zero),
            "the low end": _value_at(low, N, x, start) and strictly(low.rhs, signs),
            "the high end": _value_at(high, N, x, end) and strictly(-high.rhs, signs),
            "the order of the ends": strictly(end - start, signs),
            "the functions": regular(self.function, domain) and regular(N, domain),
            "the variable": plain(x, "positive")
            and (not x.is_positive or start.is_nonnegative),
            "the sign of the zero": self.zero.assumptions0 == x.assumptions0,
            "the bound variables": not binds(self.function, self.zero, start, end),
            "the name of the zero": not any(
                side.has(self.zero) for r in known.values() for side in (r.lhs, r.rhs)
            ),
            "the conclusion": self.relation
            == Relation(self.function.subs(x, self.zero), "<=", self.function),
        }
        for name, fit in fits.items():
            if not fit:
                raise StepError(f"{self.name}: {name} does not fit")


def binds(function: sp.Expr, *put_in: sp.Expr) -> bool:
    """Whether a symbol of the insert would come under an integral of the function."""
    free = set().union(*(part.free_symbols for part in put_in))
    return any(bound(node) & free for node in function.atoms(*BINDERS))


def _value_at(
    relation: Relation, function: sp.Expr, x: sp.Symbol, point: sp.Expr
) -> bool:
    """Whether the relation says what the function is at the point."""
    said = relation.relation == "=" and isinstance(relation.lhs, sp.Subs)
    return said and relation.lhs == sp.Subs(function, x, point)
