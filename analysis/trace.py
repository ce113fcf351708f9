"""What the steps of a derivation rest on in the end, and which symbols are free to vary."""

from collections.abc import Sequence

import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.calculus import Monotone, UniqueMinimum
from analysis.signs import Relation
from analysis.steps import (
    Averaged,
    Axiom,
    Cases,
    Definition,
    Earlier,
    Expectation,
    Step,
    StepError,
    Suppose,
)

GIVEN = (Axiom, Definition, Earlier, Suppose)


def symbols(relation: Relation) -> frozenset[sp.Symbol]:
    """The free symbols of both sides."""
    return frozenset(relation.lhs.free_symbols | relation.rhs.free_symbols)


class Trace:
    """Bookkeeping along a derivation.

    `supposed[name]` holds the suppositions that the step still rests on, `given[name]` its axioms,
    definitions, quotations and suppositions. A symbol is random throughout a derivation if one of
    its expectations takes it for random, or if it is defined by random ones.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.supposed: dict[str, frozenset[str]] = {}
        self.given: dict[str, frozenset[Step]] = {}
        self.random: frozenset[sp.Symbol] = frozenset(
            symbol for step in steps if isinstance(step, Expectation) for symbol in step.random
        )
        for step in steps:
            if isinstance(step, Definition) and step.relation.rhs.free_symbols & self.random:
                self.random |= {step.relation.lhs}
        self._variables_of_integration(steps)
        for step in steps:
            self._add(step)

    def _variables_of_integration(self, steps: Sequence[Step]) -> None:
        """Refuse a variable of an integral that an equality ties to something."""
        bound = {
            variable
            for step in steps
            for side in (step.relation.lhs, step.relation.rhs)
            for integral in side.atoms(sp.Integral)
            for variable in integral.variables
        }
        for step in steps:
            relation = step.relation
            tied = isinstance(step, GIVEN) and relation.relation == "="
            if tied and not isinstance(relation.lhs, AppliedUndef) and bound & symbols(relation):
                raise StepError(f"{step.name}: ties down a variable of integration")

    def _add(self, step: Step) -> None:
        missing = [name for name in step.using if name not in self.given]
        if missing:
            raise StepError(f"{step.name}: rests on {missing[0]!r}, which comes later or never")
        if step.name in self.given:
            raise StepError(f"{step.name}: there are two steps of this name")
        self.supposed[step.name] = frozenset().union(*(self.supposed[n] for n in step.using))
        self.given[step.name] = frozenset().union(*(self.given[n] for n in step.using))
        self._free_to_vary(step)
        if isinstance(step, (Averaged, Expectation)):
            self._averages(step)
        if isinstance(step, Suppose):
            self.supposed[step.name] = frozenset([step.name])
        if isinstance(step, Cases):
            self.supposed[step.name] = self._discharged(step)
        if isinstance(step, GIVEN):
            self.given[step.name] |= {step}

    def _free_to_vary(self, step: Step) -> None:
        """The variable of a function: no equality ties it, no inequality confines the slope."""
        if not isinstance(step, (Monotone, UniqueMinimum)):
            return
        every = self.given[step.name]
        slopes = step.using[:1] if isinstance(step, Monotone) else step.using[:4]
        behind = frozenset().union(*(self.given[n] for n in slopes))
        tied = [g for g in every if g.relation.relation == "="] if slopes != step.using[:1] else []
        if any(step.symbol in symbols(g.relation) for g in [*tied, *behind]):
            raise StepError(f"{step.name}: {step.symbol} is not free to vary")

    def _averages(self, step: Averaged | Expectation) -> None:
        """An average is over every value of what is random, and knows all that is."""
        for name in self.supposed[step.name]:
            (supposed,) = (g for g in self.given[step.name] if g.name == name)
            if symbols(supposed.relation) & self.random:
                raise StepError(f"{step.name}: averages under {name!r}, on a random quantity")
        if isinstance(step, Expectation):
            hidden = symbols(step.relation) & self.random - set(step.random)
            if hidden:
                raise StepError(f"{step.name}: {', '.join(map(str, hidden))} is random")

    def _discharged(self, step: Cases) -> frozenset[str]:
        one, first, other, second = step.using
        for name in (one, other):
            if self.supposed[name] != {name}:
                raise StepError(f"{step.name}: {name!r} is not a supposition")
        return (self.supposed[first] - {one}) | (self.supposed[second] - {other})
