"""What a claim evaluates to, and that its numbers are those that its proof shows.

A value is an expression in symbols of the notation, or the root of an equation. Each
names the step that shows it: its right side, the definitions put in, perhaps at a power
or for other symbols.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import mpmath
import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.proof.calculus import UniqueMinimum
from analysis.proof.dependencies import PARAMETERS, Dependencies, Given
from analysis.proof.relations import AVERAGES, DIGITS, FORMS, same_positive_root
from analysis.proof.steps import Axiom, Definition, Step, StepError, Suppose
from analysis.proof.symbols import alpha

KINKS = (sp.Max, sp.Min)


@dataclass(frozen=True)
class Implicit:
    """The zero of `equation` in `symbol` between low and high, by bracketing."""

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


class Branch(NamedTuple):
    """What a value is in one case.

    `fixed` has the symbol that the case puts to a number; `where` is its condition.
    """

    value: sp.Expr
    fixed: dict[sp.Symbol, sp.Expr]
    where: sp.Basic


def sideways(value: sp.Expr) -> sp.Expr:
    """The value with a branch of its own for α = 0: p cancels, and may underflow."""
    return sp.Piecewise((value.subs(alpha, 0), sp.Eq(alpha, 0)), (value, True))


def check_values(
    values: Mapping[str, Value],
    shown: Mapping[str, str | Shown],
    dependencies: Dependencies,
    statement: str,
) -> None:
    """Raise StepError unless every value is what a step shows, for all its inputs.

    `dependencies` are those of the claim's steps, `statement` names the last of its
    proof.
    """
    claim = dependencies.claim
    if set(shown) != set(values):
        missing = sorted(set(shown) ^ set(values))
        raise StepError(f"{claim}: which step shows {', '.join(missing)}?")
    tied = _tied(dependencies)
    steps = {step.name: step for step in dependencies.steps}
    for name, value in values.items():
        if isinstance(value, Implicit):
            tied -= {value.symbol}
        elif value.free_symbols & tied:
            raise StepError(f"{claim}: {name} has an input that the steps define")
        source = shown[name]
        source = Shown(source) if isinstance(source, str) else source
        step = steps.get(source.step)
        if not step or not _Source(dependencies, statement, step, source).shows(value):
            raise StepError(f"{claim}: {name} is not what {source.step!r} shows")


def _tied(dependencies: Dependencies) -> set[sp.Symbol]:
    """Symbols that are no inputs: defined by parameters alone, or a minimum's zero."""
    definitions = {symbol: r.rhs for symbol, r in dependencies.definitions.items()}
    closed = {symbol: _closed(rhs, definitions) for symbol, rhs in definitions.items()}
    tied = {symbol for symbol, rhs in closed.items() if rhs.free_symbols <= PARAMETERS}
    return tied | (dependencies.zeros & PARAMETERS)


class _Source:
    """A step of a claim, as the place that a value comes from."""

    def __init__(
        self, dependencies: Dependencies, statement: str, step: Step, source: Shown
    ) -> None:
        self.dependencies = dependencies
        self.step = step
        self.source = source
        self.stated = dependencies.given[statement]
        self.behind = dependencies.given[step.name] | self.stated

    def shows(self, value: Value) -> bool:
        """Whether the value is what the step shows, and the step may show one."""
        if self.dependencies.supposed[self.step.name]:
            return False
        if isinstance(value, Implicit):
            if isinstance(self.step, UniqueMinimum):
                return self._is_the_zero_of_the_minimum(value, self.step)
            return isinstance(self.step, Axiom) and self._is_the_root_of_the_axiom(
                value
            )
        if not self._may_show():
            return False
        side = self.step.relation.rhs.doit()
        return value == side or (self._may_replace() and self._is_the_side(value, side))

    def _may_show(self) -> bool:
        """Whether it is a definition, derived, or a choice that the statement needs."""
        if not isinstance(self.step, (Axiom, Suppose)):
            return True
        chosen = Given(self.dependencies.claim, self.step) in self.stated
        return isinstance(self.step, Axiom) and chosen and _names_a_symbol(self.step)

    def _may_replace(self) -> bool:
        """Whether each replacement varies with the inputs and has its symbol's sign.

        It must also be of a symbol that the steps define by nothing else.
        """
        for symbol, new in self.source.at.items():
            defined = self.dependencies.named.get(symbol)
            free = isinstance(symbol, sp.Symbol) and (
                defined is None or defined.rhs == new
            )
            signed = symbol in PARAMETERS and symbol.is_positive
            if not free or not new.free_symbols or (signed and not new.is_positive):
                return False
        return True

    def _is_the_side(self, value: sp.Expr, side: sp.Expr) -> bool:
        for branch in _branches(value):
            fixed = branch.fixed
            ours = self._put_in(branch.value, fixed)
            theirs = self._put_in(side.subs(self.source.at).subs(fixed), fixed)
            if any(len(ours.atoms(kink)) > len(theirs.atoms(kink)) for kink in KINKS):
                return False  # a bump that the step does not have
            where = branch.where.subs(fixed)
            given = self._assumed(fixed)
            power = self.source.power
            if not same_positive_root(ours, theirs, power, where=where, given=given):
                return False
        return True

    def _assumed(self, fixed: Mapping[Any, Any]) -> sp.Basic:
        """What the step assumes of replaced parameters, for what replaces them."""
        assumed = [
            given.step.relation
            for given in self.dependencies.given[self.step.name]
            if isinstance(given.step, Axiom)
            and given.step.relation.free_symbols <= PARAMETERS
            and given.step.relation.free_symbols & self.source.at.keys()
            and not given.step.relation.slack.has(*AVERAGES, AppliedUndef)
        ]

        def replaced(side: sp.Expr) -> sp.Expr:
            return self._put_in(side.subs(self.source.at).subs(fixed), fixed)

        return sp.And(
            *(FORMS[r.relation](replaced(r.lhs), replaced(r.rhs)) for r in assumed)
        )

    def _is_the_zero_of_the_minimum(self, value: Implicit, step: UniqueMinimum) -> bool:
        low, high = (self._put_in(end, {}) for end in step.interval)
        shorter = isinstance(value.high, sp.Min) and high in value.high.args
        ends = value.low == low and (value.high == high or shorter)
        same = self._put_in(step.numerator, {}) == value.equation
        return ends and same and step.symbol == value.symbol

    def _is_the_root_of_the_axiom(self, value: Implicit) -> bool:
        """Whether an axiom names the root, steps its ends, and every axiom holds."""
        slack = self.step.relation.slack
        named = {
            zero: value.equation.subs(value.symbol, zero)
            for zero in self.step.relation.free_symbols
        }
        zeros = [
            zero for zero, equation in named.items() if slack in (equation, -equation)
        ]
        derivation = self.dependencies.steps
        slacks = [sign * s.relation.slack for s in derivation for sign in (1, -1)]
        ends = [
            value.equation.subs(value.symbol, end) for end in (value.low, value.high)
        ]
        proved = all(any(sp.expand(s - end) == 0 for s in slacks) for end in ends)
        if (
            len(zeros) != 1
            or not proved
            or value.equation.free_symbols != {value.symbol}
        ):
            return False
        return self._holds_at_the_root(zeros[0], value)

    def _holds_at_the_root(self, zero: sp.Symbol, value: Implicit) -> bool:
        """Whether the equation has a root between its ends where all givens hold."""
        givens = [
            given.step.relation
            for given in self.behind
            if isinstance(given.step, Axiom)
            and given.step.relation.free_symbols == {zero}
        ]
        equation = sp.lambdify(value.symbol, value.equation, modules="mpmath")
        with mpmath.workdps(DIGITS):
            low, high = (mpmath.mpf(sp.N(e, DIGITS)) for e in (value.low, value.high))
            if not equation(low) * equation(high) < 0:
                return False
            root = mpmath.findroot(equation, (low, high), solver="anderson")
            slacks = sp.lambdify(zero, [r.slack for r in givens], modules="mpmath")(
                root
            )
            return all(
                slack >= 0 if given.relation != "=" else abs(slack) < 1e-20
                for given, slack in zip(givens, slacks, strict=True)
            )

    def _put_in(self, expression: sp.Expr, fixed: Mapping[Any, Any]) -> sp.Expr:
        """The expression with definitions put in, and what is chosen behind the value.

        The symbols in `fixed` keep their numbers.
        """
        derivation = self.dependencies.steps
        chosen = [
            step
            for step in derivation
            if isinstance(step, Axiom)
            and Given(self.dependencies.claim, step) in self.behind
            and _names_a_symbol(step)
        ]
        definitions = [step for step in derivation if isinstance(step, Definition)]
        named = {
            step.relation.lhs: step.relation.rhs.subs(fixed)
            for step in [*chosen, *definitions]
        }
        return _closed(expression, named)


def _names_a_symbol(step: Step) -> bool:
    return step.relation.relation == "=" and isinstance(step.relation.lhs, sp.Symbol)


def _closed(expression: sp.Expr, named: Mapping[Any, sp.Expr]) -> sp.Expr:
    """The expression with every name replaced, until none is left."""
    for _ in named:
        expression = expression.subs(named)
    return expression


def _branches(value: sp.Expr) -> list[Branch]:
    """The cases in which the value says something."""
    if not isinstance(value, sp.Piecewise):
        return [Branch(value, {}, sp.true)]
    branches = []
    for case, condition in value.args:
        equality = isinstance(condition, sp.Eq)
        fixed = {condition.lhs: condition.rhs} if equality else {}
        where = sp.true if equality else condition
        branches += [
            Branch(inner.value, fixed | inner.fixed, sp.And(where, inner.where))
            for inner in _branches(case)
            if inner.value is not sp.nan
        ]
    return branches
