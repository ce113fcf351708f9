"""What the steps of a derivation rest on in the end: suppositions still open, symbols tied down."""

import sympy as sp

from analysis.calculus import Monotone, UniqueMinimum
from analysis.steps import Axiom, Cases, Definition, Earlier, Step, StepError, Suppose


class Trace:
    """Bookkeeping along a derivation.

    `supposed[name]` holds the suppositions that the step still rests on. `fixed[name]` holds the
    symbols that an equality among its axioms, definitions, quotations and suppositions ties to
    others, `touched[name]` those that occur in any of them.
    """

    def __init__(self) -> None:
        self.supposed: dict[str, frozenset[str]] = {}
        self.fixed: dict[str, frozenset[sp.Symbol]] = {}
        self.touched: dict[str, frozenset[sp.Symbol]] = {}

    def add(self, step: Step) -> None:
        """Take up the next step.

        Raises StepError where a function's variable is not free to vary, or a case was never
        supposed.
        """
        for table in (self.supposed, self.fixed, self.touched):
            table[step.name] = frozenset().union(*(table[n] for n in step.using))
        if isinstance(step, UniqueMinimum) and step.symbol in self.fixed[step.name]:
            raise StepError(f"{step.name}: {step.symbol} is not free to vary")
        if isinstance(step, Monotone) and step.symbol in self.touched[step.using[0]]:
            raise StepError(f"{step.name}: {step.symbol} is not free to vary")
        if isinstance(step, Suppose):
            self.supposed[step.name] = frozenset([step.name])
        if isinstance(step, Cases):
            self.supposed[step.name] = self._discharged(step)
        if isinstance(step, (Axiom, Definition, Earlier, Suppose)):
            free = step.relation.lhs.free_symbols | step.relation.rhs.free_symbols
            self.touched[step.name] |= free
            if step.relation.relation == "=":
                self.fixed[step.name] |= free

    def _discharged(self, step: Cases) -> frozenset[str]:
        one, first, other, second = step.using
        for name in (one, other):
            if self.supposed[name] != {name}:
                raise StepError(f"{step.name}: {name!r} is not a supposition")
        return (self.supposed[first] - {one}) | (self.supposed[second] - {other})
