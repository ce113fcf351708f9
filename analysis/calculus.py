"""Steps of a derivation that use calculus: roots, minima, monotone functions, tangents."""

from dataclasses import dataclass
from typing import ClassVar

import sympy as sp

from analysis.signs import Relation, plain, regular, strictly
from analysis.steps import Known, Step, StepError


@dataclass(frozen=True)
class Tangent(Step):
    """e^y ≥ 1 + y, log y ≤ y - 1 or log y ≥ 1 - 1/y, for any y: a curve and its tangent."""

    how: ClassVar[str] = "tangent of a convex or concave function"

    def verify(self, known: Known) -> None:
        """Raise StepError for any other relation, or a logarithm of what may not be positive."""
        curve, sign, line = self.relation.lhs, self.relation.relation, self.relation.rhs
        if not curve.is_real:
            raise StepError(f"{self.name}: {curve} may not be real")
        if isinstance(curve, sp.exp) and sign == ">=":
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
    """φ(low) ≤ φ(high), or ≥, from the sign of φ' and low ≤ high: the mean value theorem.

    `using` names the slope (φ' relation 0 for every value of `symbol`), the order (low ≤ high), and
    what else the ends need in order to lie where the slope's sign is known.
    """

    how: ClassVar[str] = "sign of a derivative"

    function: sp.Expr = sp.S.Zero
    symbol: sp.Symbol = sp.Symbol("x")
    low: sp.Expr = sp.S.Zero
    high: sp.Expr = sp.S.Zero

    def verify(self, known: Known) -> None:
        """Raise StepError naming what does not fit."""
        slope, order, *rest = (known[n] for n in self.using)
        x, sign = self.symbol, slope.relation[0]
        value = self.function.subs(x, self.low), self.function.subs(x, self.high)
        inside = [order, *rest]
        fits = {
            "the slope": sp.simplify(slope.lhs - sp.diff(self.function, x)) == 0
            and slope.rhs == 0
            and sign in "<>",
            "the order": order in (_least(self.low, self.high), _most(self.high, self.low)),
            "the variable": plain(x, "positive"),
            "the domain": not x.is_positive
            or all(strictly(end, inside) for end in (self.low, self.high)),
            "the function": regular(self.function, [r for r in rest if not touches(r, x)]),
            "the conclusion": self.relation == (_least(*value) if sign == ">" else _most(*value)),
        }
        for name, fit in fits.items():
            if not fit:
                raise StepError(f"{self.name}: {name} does not fit")


def touches(relation: Relation, symbol: sp.Symbol) -> bool:
    """Whether the relation says something about the symbol."""
    return symbol in relation.lhs.free_symbols | relation.rhs.free_symbols


def _least(low: sp.Expr, high: sp.Expr) -> Relation:
    return Relation(low, "<=", high)


def _most(high: sp.Expr, low: sp.Expr) -> Relation:
    return Relation(high, ">=", low)


@dataclass(frozen=True)
class Solution(Step):
    """x = value: SymPy's solve finds it from the equation in `using`, whose left side is monotone.

    The equation reads f(x) = 0; f' has one visible strict sign, so the root is the only one.
    """

    how: ClassVar[str] = "solve"

    def verify(self, known: Known) -> None:
        """Raise StepError when solve finds something else, or there might be another root."""
        equation, x = known[self.using[0]], self.relation.lhs
        slope = sp.expand(sp.diff(equation.lhs, x))
        monotone = strictly(slope, []) or strictly(-slope, [])
        if equation.relation != "=" or equation.rhs != 0 or not monotone:
            raise StepError(f"{self.name}: {equation.lhs} = {equation.rhs} may have several roots")
        found = sp.solve(equation.lhs, x)
        if len(found) != 1 or sp.simplify(found[0] - self.relation.rhs) != 0:
            raise StepError(f"{self.name}: solve finds {found}")


@dataclass(frozen=True)
class UniqueMinimum(Step):
    """φ(x*) ≤ φ(x) on (low, high), where x* is the one zero of `numerator` D.

    Rests on φ' = -factor·D with a positive factor, D' < 0, D(low) > 0, D(high) < 0, and on what the
    factor's sign needs. By the intermediate value theorem D has one zero; by the mean value theorem
    φ falls before it and rises after it. `zero` is a new symbol, and x any point of the interval.
    """

    how: ClassVar[str] = "signs of a derivative"

    function: sp.Expr = sp.S.Zero
    numerator: sp.Expr = sp.S.Zero
    factor: sp.Expr = sp.S.Zero
    symbol: sp.Symbol = sp.Symbol("x")
    zero: sp.Symbol = sp.Symbol("x_star")
    interval: tuple[sp.Expr, sp.Expr] = (sp.S.Zero, sp.oo)

    def verify(self, known: Known) -> None:
        """Raise StepError naming the first of the four that does not fit."""
        slope, falls, low, high, *signs = (known[n] for n in self.using)
        D, x = self.numerator, self.symbol
        domain = [*signs, Relation(x, ">", self.interval[0])]
        fits = {
            "the slope": slope == Relation(sp.diff(self.function, x), "=", -self.factor * D),
            "the factor": strictly(self.factor, signs),
            "the fall": falls == Relation(sp.diff(D, x), "<", sp.S.Zero),
            "the low end": low.relation == "="
            and low.lhs == D.subs(x, self.interval[0])
            and low.rhs.is_positive,
            "the high end": high.relation == "="
            and high.lhs == D.subs(x, self.interval[1])
            and strictly(-high.rhs, signs),
            "the functions": regular(self.function, domain) and regular(D, domain),
            "the sign of the zero": self.zero.assumptions0 == x.assumptions0,
            "the name of the zero": not any(
                self.zero in r.lhs.free_symbols | r.rhs.free_symbols for r in known.values()
            ),
            "the conclusion": self.relation
            == Relation(self.function.subs(x, self.zero), "<=", self.function),
        }
        for name, fit in fits.items():
            if not fit:
                raise StepError(f"{self.name}: {name} does not fit")
