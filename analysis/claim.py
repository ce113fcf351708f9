"""A claim: what it assumes, what it says, why it is true, and how to put numbers in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from analysis.signs import Relation
from analysis.steps import Earlier, Known, Step, StepError


@dataclass(frozen=True)
class Implicit:
    """The zero of `equation` in `symbol` on the open interval (low, high), found by bracketing."""

    symbol: sp.Symbol
    equation: sp.Expr
    low: sp.Expr
    high: sp.Expr


@dataclass(frozen=True)
class Claim:
    """One result: what it assumes, what it says, why it is true, and how to put numbers in.

    `values` maps names to expressions in symbols of the notation, or to implicit equations; a later
    one may use an earlier one by its symbol. `witness` holds further steps, on when the result is
    tight or where it ends. `attack(rng)` tries to break the claim numerically and returns the
    smallest slack that it met, negative when it succeeded.
    """

    name: str
    title: str
    kind: str
    assumptions: tuple[str, ...]
    statement: Relation
    steps: tuple[Step, ...]
    witness: tuple[Step, ...]
    values: dict[str, sp.Expr | Implicit]
    attack: Callable[[np.random.Generator], float]
    uses: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def verify(self) -> int:
        """Check every step and that the last one is the statement; the number of steps."""
        known: Known = {}
        for step in self.steps + self.witness:
            if isinstance(step, Earlier) and step.claim not in self.uses:
                raise StepError(f"{step.name}: {step.claim} is not among the claims used")
            missing = [name for name in step.using if name not in known]
            if missing:
                raise StepError(f"{step.name}: rests on {missing[0]!r}, which comes later or never")
            step.verify(known)
            known[step.name] = step.relation
        if self.steps[-1].relation != self.statement:
            raise StepError(f"{self.name}: the last step is not the statement")
        return len(self.steps) + len(self.witness)

    def lambdify(self) -> Callable[..., dict[str, Any]]:
        """Function of the claim's inputs, by name or symbol, scalars or arrays that broadcast."""
        from analysis.numeric import compiled

        return compiled(self)

    def evaluate(self, **inputs: Any) -> dict[str, Any]:
        """The claim's values at the given inputs; NaN or infinity where it says nothing.

        Raises SpecificationError for a missing or unknown input or one outside its domain.
        """
        return self.lambdify()(**inputs)
