"""A claim: what it assumes, what it says, why it is true, and how to put numbers in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from analysis.signs import Relation
from analysis.steps import Axiom, Definition, Earlier, Known, Step, StepError, Suppose
from analysis.trace import Trace, symbols


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
        trace = Trace(self.steps + self.witness)
        for step in self.steps + self.witness:
            if isinstance(step, Earlier):
                self._look_up(step, known)
            step.verify(known)
            known[step.name] = step.relation
        if self.steps[-1].relation != self.statement:
            raise StepError(f"{self.name}: the last step is not the statement")
        if trace.supposed[self.steps[-1].name]:
            raise StepError(f"{self.name}: the statement rests on a supposition")
        return len(self.steps) + len(self.witness)

    def source(self, relation: Relation) -> frozenset[Step] | None:
        """The axioms, definitions and quotations behind a derived step that states the relation.

        None where the claim does not prove it, or only under a supposition.
        """
        trace = Trace(self.steps + self.witness)
        for step in self.steps + self.witness:
            derived = not isinstance(step, (Axiom, Definition, Suppose))
            if step.relation == relation and derived and not trace.supposed[step.name]:
                return trace.given[step.name]
        return None

    def _look_up(self, step: Earlier, known: Known) -> None:
        from analysis import claims

        if step.claim not in self.uses:
            raise StepError(f"{step.name}: {step.claim} is not among the claims used")
        behind = getattr(claims, step.claim).source(step.statement)
        if behind is None:
            raise StepError(f"{step.name}: {step.claim} does not prove that")
        spoken = symbols(step.relation)
        missing = [given for given in behind if given.relation not in known.values()]
        assumed = {g.name for g in missing if isinstance(g, Axiom) and g.axiom == "assumption"}
        defined = {
            g.name for g in missing if isinstance(g, Definition) and g.relation.lhs in spoken
        }
        if defined:
            raise StepError(f"{step.name}: {step.claim} defines {', '.join(sorted(defined))}")
        if assumed != set(step.holding):
            names = ", ".join(sorted(assumed)) or "nothing"
            raise StepError(f"{step.name}: {step.claim} assumes {names} beyond what is known here")

    def lambdify(self) -> Callable[..., dict[str, Any]]:
        """Function of the claim's inputs, by name or symbol, scalars or arrays that broadcast."""
        from analysis.numeric import compiled

        return compiled(self)

    def evaluate(self, **inputs: Any) -> dict[str, Any]:
        """The claim's values at the given inputs; NaN or infinity where it says nothing.

        Raises SpecificationError for a missing or unknown input or one outside its domain.
        """
        return self.lambdify()(**inputs)
