"""A claim: what it assumes, what it says, why it is true, and how to put numbers in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from analysis.signs import Relation
from analysis.steps import Earlier, Known, Step, StepError
from analysis.trace import Trace


@dataclass(frozen=True)
class Implicit:
    """The zero of `equation` in `symbol` on the open interval (low, high), found by bracketing."""

    symbol: sp.Symbol
    equation: sp.Expr
    low: sp.Expr
    high: sp.Expr


PARTS = (
    "The rule",
    "How a noisy gradient points",
    "Where the rule comes to rest",
    "How fast it gets there",
    "What is best possible",
    "Against SGD",
    "Close to the exact bias",
)


@dataclass(frozen=True)
class Claim:
    """One result: what it assumes, what it says, why it is true, and how to put numbers in.

    `part` is its place in the argument, one of PARTS. `values` maps names to expressions in symbols
    of the notation, or to implicit equations; a later one may use an earlier one by its symbol.
    `witness` holds further steps, on when the result is tight or where it ends; `attained` says by
    which law. `attack(rng, improvement)` tries to break the claim numerically, its
    constant improved by that fraction, and returns the smallest slack that it met, relative to the
    size of the two sides: negative when it succeeded.
    """

    name: str
    part: str
    title: str
    kind: str
    assumptions: tuple[str, ...]
    statement: Relation
    steps: tuple[Step, ...]
    witness: tuple[Step, ...]
    values: dict[str, sp.Expr | Implicit]
    attack: Callable[[np.random.Generator, float], float]
    uses: tuple[str, ...] = ()
    attained: str = ""
    figure: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def tight(self) -> bool:
        """Whether the statement is claimed to be attained, so that any improvement is false."""
        return bool(self.attained)

    def verify(self) -> int:
        """Check every step and that the last one is the statement; the number of steps.

        Raises StepError where a step does not follow, quotes what another claim does not prove,
        rests on a supposition that is never discharged, or varies a symbol that is tied down.
        """
        known: Known = {}
        trace = Trace()
        for step in self.steps + self.witness:
            missing = [name for name in step.using if name not in known]
            if missing:
                raise StepError(f"{step.name}: rests on {missing[0]!r}, which comes later or never")
            if step.name in known:
                raise StepError(f"{step.name}: there are two steps of this name")
            if isinstance(step, Earlier):
                self._look_up(step)
            trace.add(step)
            step.verify(known)
            known[step.name] = step.relation
        if self.steps[-1].relation != self.statement:
            raise StepError(f"{self.name}: the last step is not the statement")
        if trace.supposed[self.steps[-1].name]:
            raise StepError(f"{self.name}: the statement rests on a supposition")
        return len(self.steps) + len(self.witness)

    def proved(self) -> list[Relation]:
        """What other claims may quote: the statement, and every step without a supposition."""
        trace = Trace()
        for step in self.steps + self.witness:
            trace.add(step)
        every = self.steps + self.witness
        return [step.relation for step in every if not trace.supposed[step.name]]

    def _look_up(self, step: Earlier) -> None:
        from analysis import claims

        if step.claim not in self.uses:
            raise StepError(f"{step.name}: {step.claim} is not among the claims used")
        source: Claim = getattr(claims, step.claim)
        if step.statement not in source.proved():
            raise StepError(f"{step.name}: {step.claim} does not prove that")

    def lambdify(self) -> Callable[..., dict[str, Any]]:
        """Function of the claim's inputs, by name or symbol, scalars or arrays that broadcast."""
        from analysis.numeric import compiled

        return compiled(self)

    def evaluate(self, **inputs: Any) -> dict[str, Any]:
        """The claim's values at the given inputs; NaN or infinity where it says nothing.

        Raises SpecificationError for a missing or unknown input or one outside its domain.
        """
        return self.lambdify()(**inputs)
