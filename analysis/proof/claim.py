"""A claim: what it assumes, what it says, why it is true, and how to put numbers in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.proof.assumptions import Assumption, included
from analysis.proof.calculus import Monotone, Solution, Tangent, UniqueMinimum
from analysis.proof.dependencies import Dependencies, Given, Quoted, written
from analysis.proof.evaluate import evaluate
from analysis.proof.grammar import implied, objection, undefined
from analysis.proof.library import Library
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
from analysis.proof.values import Shown, Value, check_values

GIVEN = (Axiom, Definition, Suppose)
REPEATING = (Chain, Averaged, Cases, Earlier, UniqueMinimum)  # they write nothing new
KINDS = (
    *(Axiom, Definition, Suppose, Earlier, Identity, Inequality, Chain, Cases),
    *(Averaged, Expectation, Tangent, Monotone, Solution, UniqueMinimum),
)
UNCHECKED = (  # what SymPy raises where it gives up
    *(ArithmeticError, AttributeError, NotImplementedError, RecursionError),
    *(TypeError, ValueError),
)


@dataclass(frozen=True)
class Claim:
    """One result: what it assumes, what it says, why it is true, and its numbers.

    `part` is its place in the argument, one of `library.PARTS`; `summary` says in one
    line what it says. `terms` explains the symbols of the statement that are not in the
    notation. `steps` is the proof, and ends with the statement; `witness` holds further
    steps, on when the result is tight or where it ends; `attained` says by which law.

    `values` maps names to expressions in symbols of the notation, or to implicit
    equations; a later one may use an earlier one by its symbol. `shown` names the step
    of which each value is a side, with the definitions put in.

    `random` lists what averages in the steps are taken over; every other symbol is a
    fixed number. `uses` lists the claims that the steps quote, `about` those whose
    formulae the claim is about. `figure` shows it; `agreement` names the files in
    tests/agreement that hold it against simulation, and is empty where there is nothing
    to simulate.
    """

    name: str
    part: str
    title: str
    kind: str
    summary: str
    assumptions: tuple[Assumption, ...]
    statement: Relation
    steps: tuple[Step, ...]
    witness: tuple[Step, ...]
    values: dict[str, Value]
    terms: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str | Shown] = field(default_factory=dict)
    random: tuple[sp.Symbol, ...] = ()
    uses: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    attained: str = ""
    figure: str = ""
    agreement: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def tight(self) -> bool:
        """Whether it is claimed to be attained, so that any improvement is false."""
        return bool(self.attained)

    @property
    def derivation(self) -> tuple[Step, ...]:
        """All steps, those of the proof and those of the witness."""
        return self.steps + self.witness

    @property
    def derived(self) -> int:
        """How many of the steps SymPy checks: neither given nor a definition."""
        return sum(not isinstance(step, GIVEN) for step in self.derivation)

    @property
    def stated(self) -> int:
        """How many of the steps are axioms, taken as given."""
        return sum(isinstance(step, Axiom) for step in self.derivation)

    def verify(self, library: Library) -> int:
        """Check every step and that the last one is the statement; the number of steps.

        What is quoted is taken from the library's claims as they are listed, each to be
        verified by itself.

        Raises StepError where a step does not follow, writes what has no certain
        meaning, quotes what another claim does not prove, rests on a supposition that
        is never discharged, or varies a symbol that is tied down; and where a value is
        not what a step shows.
        """
        known: Known = {}
        dependencies = self.dependencies(library)
        for step in self.derivation:
            if type(step) not in KINDS:
                raise StepError(f"{step.name}: is not a step of a known kind")
            formulas = [given.step.relation for given in dependencies.given[step.name]]
            formulas = [f for f in formulas if isinstance(f.lhs, AppliedUndef)]
            _check(step, known, formulas)
            known[step.name] = step.relation
        self._check_statement(dependencies)
        check_values(self.values, self.shown, dependencies, self.steps[-1].name)
        return len(self.derivation)

    def _check_statement(self, dependencies: Dependencies) -> None:
        """Raise StepError unless the proof proves the statement, by what it quotes."""
        if type(self.statement) is not Relation:
            raise StepError(f"{self.name}: states no relation")
        if not self.steps or self.steps[-1].relation != self.statement:
            raise StepError(f"{self.name}: the last step is not the statement")
        if isinstance(self.steps[-1], GIVEN):
            raise StepError(f"{self.name}: the statement is given, not derived")
        if dependencies.supposed[self.steps[-1].name]:
            raise StepError(f"{self.name}: the statement rests on a supposition")
        quoted = {step.claim for step in self.derivation if isinstance(step, Earlier)}
        if quoted != set(self.uses):
            raise StepError(
                f"{self.name}: uses {self.uses} and quotes {sorted(quoted)}"
            )

    def dependencies(self, library: Library) -> Dependencies:
        """What each step rests on, through quotations from the library too.

        Raises StepError where claims quote each other in a circle, and where a step
        rests on what is not there, is tied down, or is random.
        """
        return self._dependencies(library, ())

    def _dependencies(self, library: Library, through: tuple[str, ...]) -> Dependencies:
        if self.name in through:
            raise StepError(f"{self.name}: is quoted in its own proof")
        of_the_library = library.get(self.name) is self
        if of_the_library and self.name in library.dependencies:
            return library.dependencies[self.name]  # of a circle there are none

        def quoted(step: Earlier) -> Quoted:
            claim = library.get(step.claim)
            if type(claim) is not Claim:
                raise StepError(f"{step.name}: there is no claim {step.claim!r}")
            return claim._quoted(step, library, (*through, self.name))

        result = Dependencies(self.name, self.derivation, quoted, self.random)
        if of_the_library:
            library.dependencies[self.name] = result
        return result

    def _quoted(
        self, quotation: Earlier, library: Library, through: tuple[str, ...]
    ) -> Quoted:
        """What stands behind the relation that another claim quotes.

        Raises StepError where this claim does not prove it, or only under a
        supposition.
        """
        dependencies = self._dependencies(library, through)
        for step in self.derivation:
            proved = (
                not isinstance(step, GIVEN) and not dependencies.supposed[step.name]
            )
            if proved and step.relation == quotation.relation:
                return Quoted(
                    dependencies.given[step.name],
                    frozenset(dependencies.named.values()),
                    dependencies.random,
                )
        raise StepError(f"{quotation.name}: {self.name} does not prove that")

    def givens(self, library: Library) -> tuple[Given, ...]:
        """The axioms behind statement and values, through quotations too."""
        dependencies = self.dependencies(library)
        shown = [s.step if isinstance(s, Shown) else s for s in self.shown.values()]
        names = [self.steps[-1].name, *shown]
        behind = frozenset().union(*(dependencies.given[name] for name in names))
        axioms = [
            given
            for given in behind
            if isinstance(given.step, Axiom) and given.step.axiom != "root"
        ]
        return tuple(
            sorted(axioms, key=lambda g: (g.claim != self.name, g.claim, g.step.name))
        )

    def evaluate(self, **inputs: Any) -> dict[str, Any]:
        """The claim's values at these inputs; NaN or infinity where it says nothing.

        Inputs go by the names or the symbols of the notation, in its units; they are
        numbers or arrays that broadcast, and every value has their common shape.

        >>> from analysis.claims import CLAIMS
        >>> at = {"micro_batch_size": [1, 64], "dragger_fraction": 0.01}
        >>> values = CLAIMS["bias_radius"].evaluate(**at, noise_scale=1, alignment=1)
        >>> values["bias_radius"].round(4).tolist()
        [1.0102, 0.5525]

        Raises SpecificationError for an input that is missing, unknown or outside its
        domain, and for shapes that do not broadcast.
        """
        return evaluate(self.name, self.values, inputs)


def assuming(label: str, claims: Mapping[str, Claim]) -> dict[str, Assumption]:
    """The claims that make the assumption of this label, and the form in which."""
    return {
        name: assumption
        for name, claim in claims.items()
        for assumption in included(claim.assumptions)
        if assumption.label == label
    }


def _check(step: Step, known: Known, formulas: list[Relation]) -> None:
    """Raise StepError unless the step follows; what SymPy cannot do was not checked."""
    try:
        _check_writing(step, [known[n] for n in step.using], formulas)
        step.verify(known)
    except StepError:
        raise
    except UNCHECKED as error:
        raise StepError(f"{step.name}: SymPy cannot check it ({error})") from error


def _check_writing(step: Step, facts: list[Relation], behind: list[Relation]) -> None:
    """Raise StepError for what may not be written, or may have no value."""
    if type(step.relation) is not Relation:
        raise StepError(f"{step.name}: states no relation")
    with_formulas = _with_formulas(step, [*facts, *behind])
    for expression in [*written(step), *with_formulas]:
        why = objection(expression)
        if why:
            raise StepError(f"{step.name}: {why}")
    if isinstance(step, REPEATING):
        return
    known = implied(facts)
    certificates = step.terms if isinstance(step, Inequality) else ()
    sides = [step.relation.lhs, step.relation.rhs, *certificates]
    for expression in [*sides, *with_formulas]:
        part = undefined(expression, known)
        if part is not None:
            raise StepError(f"{step.name}: {part} may have no value")


def _with_formulas(step: Step, facts: list[Relation]) -> list[sp.Expr]:
    """The two sides with functions replaced by the formulas that are given."""
    formulas = [
        f for f in facts if f.relation == "=" and isinstance(f.lhs, AppliedUndef)
    ]
    sides = [step.relation.lhs, step.relation.rhs]
    for formula in len(formulas) * formulas:  # in every order: one may lead to another
        new = [substituted(side, formula) for side in sides]
        sides += [side for side in dict.fromkeys(new) if side not in sides]
    return sides[2:]
