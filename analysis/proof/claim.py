"""A claim: what it assumes, what it says, why it is true, and how to put numbers in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.proof.calculus import Monotone, Solution, Tangent, UniqueMinimum
from analysis.proof.dependencies import Given, Quoted, Trace, written
from analysis.proof.grammar import implied, objection, undefined
from analysis.proof.relations import Relation, substituted
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Cases,
    Chain,
    Definition,
    Earlier,
    Expectation,
    Identity,
    Inequality,
    Known,
    Step,
    StepError,
    Suppose,
)
from analysis.proof.values import Shown, Value
from analysis.proof.values import check as check_values

GIVEN = (Axiom, Definition, Suppose)
REPEATING = (Chain, Averaged, Cases, Earlier, UniqueMinimum)  # they write nothing of their own
KINDS = (
    *(Axiom, Definition, Suppose, Earlier, Identity, Inequality, Chain, Cases),
    *(Averaged, Expectation, Tangent, Monotone, Solution, UniqueMinimum),
)

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

    `part` is its place in the argument, one of PARTS. `random` lists what averages in its steps are
    taken over; every other symbol is a fixed number. `values` maps names to expressions in symbols
    of the notation, or to implicit equations; a later one may use an earlier one by its symbol.
    `shown` names the step of which each value is a side, with the definitions put in. `witness`
    holds further steps, on when the result is tight or where it ends; `attained` says by which law.
    `uses` lists the claims that its steps quote, `about` those whose formulae it is about.
    `attack(rng, improvement)` tries to break the claim numerically, its constant improved by that
    fraction, and returns the smallest slack that it met, relative to the size of the two sides:
    negative when it succeeded.
    """

    name: str
    part: str
    title: str
    kind: str
    assumptions: tuple[str, ...]
    statement: Relation
    steps: tuple[Step, ...]
    witness: tuple[Step, ...]
    values: dict[str, Value]
    attack: Callable[[np.random.Generator, float], float]
    shown: dict[str, str | Shown] = field(default_factory=dict)
    random: tuple[sp.Symbol, ...] = ()
    uses: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    attained: str = ""
    figure: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def tight(self) -> bool:
        """Whether the statement is claimed to be attained, so that any improvement is false."""
        return bool(self.attained)

    @property
    def derivation(self) -> tuple[Step, ...]:
        """All steps, those of the proof and those of the witness."""
        return self.steps + self.witness

    def verify(self) -> int:
        """Check every step and that the last one is the statement; the number of steps.

        Raises StepError where a step does not follow, writes what has no certain meaning, quotes
        what another claim does not prove, rests on a supposition that is never discharged, or
        varies a symbol that is tied down; and where a value is not what a step shows. What is
        quoted is taken from the claims as they are listed, each to be verified by itself.
        """
        known: Known = {}
        trace = self.trace
        for step in self.derivation:
            if type(step) not in KINDS:
                raise StepError(f"{step.name}: is not a step of a known kind")
            formulas = [given.step.relation for given in trace.given[step.name]]
            self._check(step, known, [f for f in formulas if isinstance(f.lhs, AppliedUndef)])
            known[step.name] = step.relation
        if type(self.statement) is not Relation:
            raise StepError(f"{self.name}: states no relation")
        if not self.steps or self.steps[-1].relation != self.statement:
            raise StepError(f"{self.name}: the last step is not the statement")
        if isinstance(self.steps[-1], GIVEN):
            raise StepError(f"{self.name}: the statement is given, not derived")
        if trace.supposed[self.steps[-1].name]:
            raise StepError(f"{self.name}: the statement rests on a supposition")
        quoted = {step.claim for step in self.derivation if isinstance(step, Earlier)}
        if quoted != set(self.uses):
            raise StepError(f"{self.name}: uses {self.uses} and quotes {sorted(quoted)}")
        check_values(self)
        return len(self.derivation)

    @staticmethod
    def _check(step: Step, known: Known, formulas: list[Relation]) -> None:
        """Raise StepError unless the step follows; what SymPy cannot do has not been checked."""
        try:
            _check_writing(step, [known[n] for n in step.using], formulas)
            step.verify(known)
        except StepError:
            raise
        except (
            ArithmeticError,
            AttributeError,
            NotImplementedError,
            RecursionError,
            TypeError,
            ValueError,
        ) as e:
            raise StepError(f"{step.name}: SymPy cannot check it ({e})") from e

    @cached_property
    def trace(self) -> Trace:
        """What each step rests on. Raises StepError where claims quote each other in a circle."""
        return self._traced(())

    def _traced(self, through: tuple[str, ...]) -> Trace:
        if self.name in through:
            raise StepError(f"{self.name}: is quoted in its own proof")
        if "trace" in self.__dict__:
            return self.trace  # of a circle there is none

        def library(step: Earlier) -> Quoted:
            from analysis import claims

            found = getattr(claims, step.claim, None)
            if type(found) is not Claim:
                raise StepError(f"{step.name}: there is no claim {step.claim!r}")
            return found.quoted(step, (*through, self.name))

        found = Trace(self.name, self.derivation, library, self.random)
        self.__dict__["trace"] = found  # where the cached property keeps it
        return found

    def quoted(self, quotation: Earlier, through: tuple[str, ...] = ()) -> Quoted:
        """What stands behind the relation that another claim quotes.

        Raises StepError where this claim does not prove it, or only under a supposition.
        """
        trace = self._traced(through)
        for step in self.derivation:
            derived = not isinstance(step, GIVEN) and not trace.supposed[step.name]
            if derived and step.relation == quotation.relation:
                definitions = frozenset(trace.named.values())
                return Quoted(trace.given[step.name], definitions, trace.random)
        raise StepError(f"{quotation.name}: {self.name} does not prove that")

    @property
    def givens(self) -> tuple[Given, ...]:
        """The axioms behind statement and values, through quotations too, in a fixed order."""
        sources = [s if isinstance(s, str) else s.step for s in self.shown.values()]
        names = [self.steps[-1].name, *sources]
        behind = frozenset().union(*(self.trace.given[name] for name in names))
        axioms = [g for g in behind if isinstance(g.step, Axiom) and g.step.axiom != "root"]
        return tuple(sorted(axioms, key=lambda g: (g.claim != self.name, g.claim, g.step.name)))

    @property
    def derived(self) -> int:
        """How many of the steps are checked by SymPy: neither given nor a definition."""
        return sum(not isinstance(step, GIVEN) for step in self.derivation)

    @property
    def stated(self) -> int:
        """How many of the steps are axioms, taken as given."""
        return sum(isinstance(step, Axiom) for step in self.derivation)

    def lambdify(self) -> Callable[..., dict[str, Any]]:
        """Function of the claim's inputs, by name or symbol, scalars or arrays that broadcast."""
        from analysis.proof.evaluate import compiled

        return compiled(self)

    def evaluate(self, **inputs: Any) -> dict[str, Any]:
        """The claim's values at the given inputs; NaN or infinity where it says nothing.

        Raises SpecificationError for a missing or unknown input or one outside its domain.
        """
        return self.lambdify()(**inputs)


def _check_writing(step: Step, facts: list[Relation], behind: list[Relation]) -> None:
    """Raise StepError for what may not be written, or may have no value."""
    if type(step.relation) is not Relation:
        raise StepError(f"{step.name}: states no relation")
    for expression in [*written(step), *_with_functions(step, [*facts, *behind])]:
        why = objection(expression)
        if why:
            raise StepError(f"{step.name}: {why}")
    if isinstance(step, REPEATING):
        return
    known = implied(facts)
    certificates = step.terms if isinstance(step, Inequality) else ()
    sides = [step.relation.lhs, step.relation.rhs, *certificates]
    for expression in [*sides, *_with_functions(step, [*facts, *behind])]:
        part = undefined(expression, known)
        if part is not None:
            raise StepError(f"{step.name}: {part} may have no value")


def _with_functions(step: Step, facts: list[Relation]) -> list[sp.Expr]:
    """The two sides where a function has the formula that is given, so that it is judged too."""
    formulas = [f for f in facts if f.relation == "=" and isinstance(f.lhs, AppliedUndef)]
    sides = [step.relation.lhs, step.relation.rhs]
    for formula in len(formulas) * formulas:  # in every order, as one may lead to another
        new = [substituted(side, formula) for side in sides]
        sides += [side for side in dict.fromkeys(new) if side not in sides]
    return sides[2:]
