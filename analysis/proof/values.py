"""What a claim evaluates to, and that its numbers are those that its proof shows.

A value is an expression in symbols of the notation, or the root of an equation. Each names the step
that shows it: its right side, the definitions put in, perhaps at a power or for other symbols.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import mpmath
import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.proof.calculus import UniqueMinimum
from analysis.proof.dependencies import PARAMETERS, Given
from analysis.proof.relations import AVERAGES, DIGITS, FORMS, same_positive_root
from analysis.proof.steps import Axiom, Definition, Step, StepError, Suppose
from analysis.proof.symbols import alpha

if TYPE_CHECKING:
    from analysis.proof.claim import Claim

KINKS = (sp.Max, sp.Min)


@dataclass(frozen=True)
class Implicit:
    """The zero of `equation` in `symbol` on the open interval (low, high), found by bracketing."""

    symbol: sp.Symbol
    equation: sp.Expr
    low: sp.Expr
    high: sp.Expr


Value: TypeAlias = "sp.Expr | Implicit"


@dataclass(frozen=True)
class Shown:
    """Where a value comes from: to this power, it is the right side of a step.

    The step's symbols are replaced by `at`.
    """

    step: str
    at: Mapping[sp.Expr, sp.Expr] = field(default_factory=dict)
    power: int = 1


def sideways(value: sp.Expr) -> sp.Expr:
    """The value with a branch of its own for α = 0, where p cancels and may have underflowed."""
    return sp.Piecewise((value.subs(alpha, 0), sp.Eq(alpha, 0)), (value, True))


def check(claim: "Claim") -> None:
    """Raise StepError unless every value is what a step of the claim shows, for all its inputs."""
    if set(claim.shown) != set(claim.values):
        missing = sorted(set(claim.shown) ^ set(claim.values))
        raise StepError(f"{claim.name}: which step shows {', '.join(missing)}?")
    tied = _tied(claim)
    for name, value in claim.values.items():
        if isinstance(value, Implicit):
            tied -= {value.symbol}
        elif value.free_symbols & tied:
            raise StepError(f"{claim.name}: {name} has an input that the steps define")
        source = claim.shown[name]
        source = Shown(source) if isinstance(source, str) else source
        steps = [step for step in claim.derivation if step.name == source.step]
        if not steps or not _Source(claim, steps[0], source).shows(value):
            raise StepError(f"{claim.name}: {name} is not what {source.step!r} shows")


def _tied(claim: "Claim") -> set[sp.Symbol]:
    """Symbols that are no inputs: defined by parameters alone, or the zero of a minimum."""
    definitions = {symbol: r.rhs for symbol, r in claim.trace.definitions.items()}
    closed = {symbol: _closed(value, definitions) for symbol, value in definitions.items()}
    tied = {symbol for symbol, value in closed.items() if value.free_symbols <= PARAMETERS}
    return tied | (claim.trace.zeros & PARAMETERS)


class _Source:
    """A step of a claim, as the place that a value comes from."""

    def __init__(self, claim: "Claim", step: Step, source: Shown) -> None:
        self.claim, self.step, self.source = claim, step, source
        self.behind = claim.trace.given[step.name] | claim.trace.given[claim.steps[-1].name]

    def shows(self, value: Value) -> bool:
        """Whether the value is what the step shows, and the step may show one."""
        if self.claim.trace.supposed[self.step.name]:
            return False
        if isinstance(value, Implicit):
            if isinstance(self.step, UniqueMinimum):
                return self._is_the_zero_of_the_minimum(value, self.step)
            return isinstance(self.step, Axiom) and self._is_the_root_of_the_axiom(value)
        if not self._may_show():
            return False
        side = self.step.relation.rhs.doit()
        return value == side or (self._may_replace() and self._is_the_side(value, side))

    def _may_show(self) -> bool:
        """Whether the step is a definition, is derived, or is a choice that the statement needs."""
        if not isinstance(self.step, (Axiom, Suppose)):
            return True
        stated = self.claim.trace.given[self.claim.steps[-1].name]
        chosen = Given(self.claim.name, self.step) in stated
        return isinstance(self.step, Axiom) and chosen and _names_a_symbol(self.step)

    def _may_replace(self) -> bool:
        """Whether each replacement varies with the inputs, and has the sign of its symbol.

        And whether it is of a symbol that the steps define by nothing else.
        """
        for symbol, new in self.source.at.items():
            defined = self.claim.trace.named.get(symbol)
            free = isinstance(symbol, sp.Symbol) and (defined is None or defined.rhs == new)
            signed = symbol in PARAMETERS and symbol.is_positive
            if not free or not new.free_symbols or (signed and not new.is_positive):
                return False
        return True

    def _is_the_side(self, value: sp.Expr, side: sp.Expr) -> bool:
        for branch, fixed, where in _branches(value):
            one = self._put_in(branch, fixed)
            other = self._put_in(side.subs(self.source.at).subs(fixed), fixed)
            if any(len(one.atoms(kink)) > len(other.atoms(kink)) for kink in KINKS):
                return False  # a bump that the step does not have
            where, given = where.subs(fixed), self._assumed(fixed)
            if not same_positive_root(one, other, self.source.power, where, given):
                return False
        return True

    def _assumed(self, fixed: Mapping[Any, Any]) -> sp.Basic:
        """What the step assumes of the parameters that are replaced, for what replaces them."""
        assumed = [
            given.step.relation
            for given in self.claim.trace.given[self.step.name]
            if isinstance(given.step, Axiom)
            and given.step.relation.free_symbols <= PARAMETERS
            and given.step.relation.free_symbols & self.source.at.keys()
            and not given.step.relation.slack.has(*AVERAGES, AppliedUndef)
        ]
        sides = [
            (self._put_in(side.subs(self.source.at).subs(fixed), fixed) for side in (r.lhs, r.rhs))
            for r in assumed
        ]
        return sp.And(*(FORMS[r.relation](*pair) for r, pair in zip(assumed, sides, strict=True)))

    def _is_the_zero_of_the_minimum(self, value: Implicit, step: UniqueMinimum) -> bool:
        low, high = (self._put_in(end, {}) for end in step.interval)
        shorter = isinstance(value.high, sp.Min) and high in value.high.args
        ends = value.low == low and (value.high == high or shorter)
        same = self._put_in(step.numerator, {}) == value.equation
        return ends and same and step.symbol == value.symbol

    def _is_the_root_of_the_axiom(self, value: Implicit) -> bool:
        """Whether an axiom names the root, steps name its ends, and it is as all axioms say."""
        slack = self.step.relation.slack
        named = {
            zero: value.equation.subs(value.symbol, zero)
            for zero in self.step.relation.free_symbols
        }
        zeros = [zero for zero, equation in named.items() if slack in (equation, -equation)]
        slacks = [sign * s.relation.slack for s in self.claim.derivation for sign in (1, -1)]
        ends = [value.equation.subs(value.symbol, end) for end in (value.low, value.high)]
        shown = all(any(sp.expand(slack - end) == 0 for slack in slacks) for end in ends)
        if not zeros or not shown or value.equation.free_symbols != {value.symbol}:
            return False
        (zero,) = zeros
        givens = [
            given.step.relation
            for given in self.behind
            if isinstance(given.step, Axiom) and given.step.relation.free_symbols == {zero}
        ]
        equation = sp.lambdify(value.symbol, value.equation, modules="mpmath")
        with mpmath.workdps(DIGITS):
            low, high = (mpmath.mpf(sp.N(end, DIGITS)) for end in (value.low, value.high))
            if not equation(low) * equation(high) < 0:
                return False
            root = mpmath.findroot(equation, (low, high), solver="anderson")
            as_given = sp.lambdify(zero, [r.slack for r in givens], modules="mpmath")(root)
            signs = zip(givens, as_given, strict=True)
            return all(s >= 0 if r.relation != "=" else abs(s) < 1e-20 for r, s in signs)

    def _put_in(self, expression: sp.Expr, fixed: Mapping[Any, Any]) -> sp.Expr:
        """The expression with definitions put in, and with what is chosen behind step or statement.

        The symbols in `fixed` keep their numbers.
        """
        chosen = [
            step
            for step in self.claim.derivation
            if isinstance(step, Axiom)
            and Given(self.claim.name, step) in self.behind
            and _names_a_symbol(step)
        ]
        definitions = [step for step in self.claim.derivation if isinstance(step, Definition)]
        named = {s.relation.lhs: s.relation.rhs.subs(fixed) for s in [*chosen, *definitions]}
        return _closed(expression, named)


def _names_a_symbol(step: Step) -> bool:
    return step.relation.relation == "=" and isinstance(step.relation.lhs, sp.Symbol)


def _closed(expression: sp.Expr, named: Mapping[Any, sp.Expr]) -> sp.Expr:
    """The expression with every name replaced, until none is left."""
    for _ in named:
        expression = expression.subs(named)
    return expression


def _branches(value: sp.Expr) -> list[tuple[sp.Expr, dict[sp.Symbol, sp.Expr], sp.Basic]]:
    """What the value is where it says something.

    With the symbol that a branch puts to a number, and the condition under which it holds.
    """
    if not isinstance(value, sp.Piecewise):
        return [(value, {}, sp.true)]
    found = []
    for branch, condition in value.args:
        fixed, where = {}, condition
        if isinstance(condition, sp.Eq):
            fixed, where = {condition.lhs: condition.rhs}, sp.true
        found += [
            (inner, fixed | more, sp.And(where, further))
            for inner, more, further in _branches(branch)
            if inner is not sp.nan
        ]
    return found
