"""What a derivation's steps rest on in the end, and which symbols may vary."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.proof.calculus import Monotone, UniqueMinimum
from analysis.proof.latex import latex
from analysis.proof.relations import AVERAGES, Quantile, Relation, bound
from analysis.proof.steps import (
    Axiom,
    Cases,
    Definition,
    Earlier,
    Expectation,
    Inequality,
    Step,
    StepError,
    Suppose,
)
from analysis.proof.symbols import NOTATION

T = TypeVar("T")

PARAMETERS = frozenset(entry.symbol for entry in NOTATION)
SCOPES = (sp.Integral, sp.Derivative, sp.Limit)  # below them a variable is bound


class Given(NamedTuple):
    """An axiom, a definition or a supposition, and the claim that writes it down."""

    claim: str
    step: Step


class Quoted(NamedTuple):
    """What stands behind a relation in the claim that proves it."""

    givens: frozenset[Given]
    definitions: frozenset[Relation]
    random: frozenset[sp.Symbol]


class Dependencies:
    """Bookkeeping along a derivation.

    `given[name]` holds the axioms, definitions and suppositions that a step rests on in
    the end, through quotations too; `supposed[name]` the suppositions that are still
    open. A symbol is random throughout a derivation if it is declared so, if an
    expectation takes it for random, if it is random in what is quoted, or if it is
    defined by random ones; every other symbol is a fixed number.

    `quoted` finds what stands behind a quotation. Raises StepError where a step rests
    on what is not there, is tied down, or is random.
    """

    def __init__(
        self,
        claim: str,
        steps: Sequence[Step],
        quoted: Callable[[Earlier], Quoted],
        random: Sequence[sp.Symbol] = (),
    ) -> None:
        self.claim = claim
        self.steps = steps
        self.quoted = quoted
        self.supposed: dict[str, frozenset[str]] = {}
        self.given: dict[str, frozenset[Given]] = {}
        self.roots: dict[sp.Expr, Relation] = {}
        self.varied = self._varied()
        self.zeros = frozenset(s.zero for s in steps if isinstance(s, UniqueMinimum))
        self.definitions = {
            s.relation.lhs: s.relation
            for s in steps
            if isinstance(s, Definition) or _names_a_symbol(s)
        }
        self.named = self.definitions | {
            s.relation.rhs: s.relation for s in steps if _names_an_average(s)
        }
        self.random = self._random(random)
        self._check_names()
        for step in steps:
            self._add(step)
        self._check_randomness()

    def _random(self, declared: Sequence[sp.Symbol]) -> frozenset[sp.Symbol]:
        random = frozenset(declared)
        for step in self.steps:
            if isinstance(step, Expectation):
                random |= frozenset(step.random)
            if isinstance(step, Earlier):
                random |= self.quoted(step).random & step.relation.free_symbols
        for step in self.steps:
            by_random = bool(step.relation.rhs.free_symbols & random)
            if by_random and isinstance(step, Definition):
                random |= {step.relation.lhs}
            if by_random and isinstance(step, UniqueMinimum):
                random |= {step.zero}
        return random

    def _check_names(self) -> None:
        """Refuse what is printed alike, is tied under a binder, or hides a variable."""
        named: dict[str, sp.Basic] = {}
        for step in self.steps:
            _check_one_symbol_a_name(step, named)
        for step in self.steps:
            if isinstance(step, UniqueMinimum):
                self._check_not_tied(_root(step))
            if isinstance(step, (Axiom, Definition, Suppose)):
                self._check_not_tied(step)
            self._check_no_name_hides_a_variable(step)

    def _check_no_name_hides_a_variable(self, step: Step) -> None:
        """Refuse z below a binder of k where z is a name for something in k."""
        roots = [_root(s).relation for s in self.steps if isinstance(s, UniqueMinimum)]
        relations = [*self.named.values(), *roots]
        behind = {r.lhs: set(r.rhs.free_symbols) for r in relations}
        for _ in behind:
            for symbols in behind.values():
                symbols |= set().union(*(behind.get(s, set()) for s in symbols))
        for side in written(step):
            for node in side.atoms(*SCOPES):
                for name in node.args[0].free_symbols & behind.keys():
                    hidden = (behind[name] - {name}) & bound(node)
                    if hidden:
                        what = f"{name} is a name for something in {hidden}"
                        raise StepError(f"{step.name}: {what}")

    def _varied(self) -> frozenset[sp.Symbol]:
        """The bound variables of which a function without a formula is taken."""
        return frozenset(
            symbol
            for step in self.steps
            for side in written(step)
            for node in side.atoms(*SCOPES)
            if node.has(AppliedUndef)
            for symbol in bound(node)
        )

    def _check_not_tied(self, step: Step) -> None:
        """Refuse a given that confines a variable of which a function is taken.

        Where a function without a formula stands below an integral sign, in a
        derivative or a limit, what is given of it has to hold for every value of the
        variable.
        """
        sides = (step.relation.lhs, step.relation.rhs)
        functions = [f for side in sides for f in side.atoms(AppliedUndef)]
        general = isinstance(step, Axiom) and step.axiom not in ("name", "root")
        for symbol in self.varied & step.relation.free_symbols:
            if not general or not any(symbol in f.free_symbols for f in functions):
                confined = f"confines {symbol}, a variable that is bound"
                raise StepError(f"{step.name}: {confined}")

    def _add(self, step: Step) -> None:
        self._check_using(step)
        self.supposed[step.name] = _union(self.supposed[n] for n in step.using)
        self.given[step.name] = _union(self.given[n] for n in step.using)
        if isinstance(step, Earlier):
            self._quote(step)
        self._check_free_to_vary(step)
        if any(side.has(*AVERAGES, Quantile) for side in written(step)):
            self._check_averages(step)
        if isinstance(step, Suppose):
            self.supposed[step.name] = frozenset([step.name])
        if isinstance(step, Cases):
            self.supposed[step.name] = self._discharged(step)
        if isinstance(step, (Axiom, Definition, Suppose)):
            self.given[step.name] |= {Given(self.claim, step)}
        if isinstance(step, UniqueMinimum):
            self._check_one_root_a_name(_root(step))
            self.given[step.name] |= {Given(self.claim, _root(step))}

    def _check_using(self, step: Step) -> None:
        """Refuse a step that rests on what is not before it, or repeats a name."""
        if isinstance(step, Axiom) and step.axiom == "root":
            raise StepError(f"{step.name}: only a unique minimum finds a root")
        if type(step.using) is not tuple:
            raise StepError(f"{step.name}: lists what it rests on in no tuple")
        missing = [name for name in step.using if name not in self.given]
        if missing:
            late = f"rests on {missing[0]!r}, which comes later or never"
            raise StepError(f"{step.name}: {late}")
        if step.name in self.given:
            raise StepError(f"{step.name}: there are two steps of this name")

    def _quote(self, step: Earlier) -> None:
        """Carry every hypothesis of the quoted relation not established here."""
        quoted = self.quoted(step)
        here = {
            s.relation: s.name for s in reversed(self.steps) if s.name in self.given
        }
        carried = frozenset(g for g in quoted.givens if g.step.relation not in here)
        for given in quoted.givens - carried:
            name = here[given.step.relation]
            self.given[step.name] |= self.given[name]
            self.supposed[step.name] |= self.supposed[name]
        for given in carried:
            self._check_carried(step, given, quoted)
        for relation_of in [step, *(given.step for given in carried)]:
            if self._fixes_what_is_random(relation_of, quoted, of=step):
                what = f"{step.claim} takes what is random for fixed numbers"
                raise StepError(f"{step.name}: {what}")
        for given in carried:
            if isinstance(given.step, Axiom) and given.step.axiom == "root":
                self._check_one_root_a_name(given.step)
        assumed = {g.step.name for g in carried if _is_assumption(g.step)}
        if assumed != set(step.holding):
            names = ", ".join(sorted(assumed)) or "nothing"
            what = f"{step.claim} assumes {names} beyond what is known here"
            raise StepError(f"{step.name}: {what}")
        self.given[step.name] |= carried

    def _check_carried(self, step: Earlier, given: Given, quoted: Quoted) -> None:
        """Refuse a hypothesis on what is defined otherwise here: it must be derived."""
        what = f"{step.name}: {given.claim} takes {given.step.name!r} as given"
        relation = given.step.relation
        if isinstance(given.step, Definition):
            if relation.lhs in self._spoken():
                raise StepError(f"{what}: define {relation.lhs} here as well")
            return
        self._check_not_tied(given.step)
        free = relation.free_symbols
        for symbol in free & self.named.keys():
            parameter = symbol in PARAMETERS and not free <= PARAMETERS
            if not parameter and self.named[symbol] not in quoted.definitions:
                raise StepError(f"{what}, and here {symbol} is defined: derive it")
        if not (isinstance(given.step, Axiom) and given.step.axiom == "root"):
            for symbol in free & self.zeros:
                raise StepError(f"{what}, and here {symbol} is a zero: derive it")

    def _fixes_what_is_random(self, step: Step, quoted: Quoted, of: Earlier) -> bool:
        """Whether a symbol is random here and fixed where it matters in a quotation.

        It matters inside an average, anywhere in a quoted relation with an average, and
        where an assumption equates it with something else that is spoken of here.
        `step` is the quotation `of`, or a hypothesis behind it.
        """
        relation = step.relation
        averages = relation.lhs.atoms(*AVERAGES) | relation.rhs.atoms(*AVERAGES)
        inside = _union(average.free_symbols for average in averages)
        spoken = (relation.free_symbols & self._spoken()) - self.random - PARAMETERS
        equated = _is_assumption(step) and _is_equality(step) and spoken
        fixed = relation.free_symbols & self.random - quoted.random
        throughout = equated or (step is of and averages)
        return bool(fixed & inside or (fixed and throughout))

    def _spoken(self) -> set[sp.Symbol]:
        return {symbol for step in self.steps for symbol in step.relation.free_symbols}

    def _check_one_root_a_name(self, root: Axiom) -> None:
        """Refuse a symbol that stands for the zeros of two functions."""
        zero = root.relation.lhs
        if self.roots.setdefault(zero, root.relation) != root.relation:
            raise StepError(f"{root.name}: {zero} is another zero as well")

    def _check_free_to_vary(self, step: Step) -> None:
        """What is used of the variable of a function holds on the whole interval.

        Nothing given confines it where the slope's sign is found; in a `UniqueMinimum`
        only that it lies between the ends.
        """
        if not isinstance(step, (Monotone, UniqueMinimum)):
            return
        confined: tuple[Relation, ...] = ()
        names = step.using[:1]
        if isinstance(step, UniqueMinimum):
            low, high = step.interval
            below = Relation(step.symbol, "<", high)
            confined = (below, Relation(step.symbol, ">", low))
            names = step.using
        for name in names:
            for given in self.given[name]:
                relation = given.step.relation
                if step.symbol in relation.free_symbols and relation not in confined:
                    raise StepError(f"{step.name}: {step.symbol} is not free to vary")

    def _check_averages(self, step: Step) -> None:
        """Refuse averages that suppose something of what is random or undeclared.

        An expectation integrates over all random symbols: no supposition may mention
        one, and every random symbol in the relation must be declared.
        """
        for name in self.supposed[step.name]:
            own = (g.step for g in self.given[step.name] if g.claim == self.claim)
            (supposed,) = (step for step in own if step.name == name)
            if supposed.relation.free_symbols & self.random:
                what = f"averages under {name!r}, on a random quantity"
                raise StepError(f"{step.name}: {what}")
        if isinstance(step, Expectation):
            hidden = step.relation.free_symbols & self.random - set(step.random)
            if hidden:
                raise StepError(f"{step.name}: {', '.join(map(str, hidden))} is random")

    def _check_randomness(self) -> None:
        """Refuse averages of fixed numbers, and givens that hide what is random."""
        for step in self.steps:
            for side in written(step):
                for node in side.atoms(*AVERAGES):
                    free = node.args[0].free_symbols
                    if free and not free & self.random:
                        what = f"nothing in {node} is declared random"
                        raise StepError(f"{step.name}: {what}")
        for step in self.steps:
            if isinstance(step, (Axiom, Suppose, Earlier)):
                self._check_no_hidden_randomness(step)

    def _check_no_hidden_randomness(self, step: Step) -> None:
        """Refuse a given by which what passes for fixed depends on what is random."""
        sides = [_outside_averages(s) for s in (step.relation.lhs, step.relation.rhs)]
        free = frozenset(sides[0].free_symbols | sides[1].free_symbols)
        random = free & self.random
        if not random:
            return
        strange: set[sp.Basic] = set(
            free - self.random - PARAMETERS - self.definitions.keys()
        )
        if _is_equality(step):
            for side in sides:
                fixed = not side.free_symbols & self.random
                if fixed and isinstance(side, (sp.Symbol, AppliedUndef)):
                    raise StepError(f"{step.name}: {side} is random, as what it equals")
            if len(random) == 1 and free != random:
                what = "makes a fixed number of what is random"
                raise StepError(f"{step.name}: {what}")
            functions = {f for side in sides for f in side.atoms(AppliedUndef)}
            strange |= {f for f in functions if f.free_symbols <= free - self.random}
        if strange:
            raise StepError(f"{step.name}: is {', '.join(map(str, strange))} random?")

    def _discharged(self, step: Cases) -> frozenset[str]:
        first_case, first, second_case, second = step.using
        for name in (first_case, second_case):
            if self.supposed[name] != {name}:
                raise StepError(f"{step.name}: {name!r} is not a supposition")
        open_first = self.supposed[first] - {first_case}
        return open_first | (self.supposed[second] - {second_case})


def written(step: Step) -> tuple[sp.Expr, ...]:
    """Every expression that the step writes down."""
    sides: tuple[sp.Expr, ...] = (step.relation.lhs, step.relation.rhs)
    if isinstance(step, Inequality):
        sides += step.terms
    if isinstance(step, Monotone):
        sides += (step.function, step.symbol, step.low, step.high)
    if isinstance(step, UniqueMinimum):
        sides += (step.function, step.numerator, step.factor, step.symbol, step.zero)
        sides += step.interval
    return sides


def _union(sets: Iterable[frozenset[T]]) -> frozenset[T]:
    empty: frozenset[T] = frozenset()
    return empty.union(*sets)


def _check_one_symbol_a_name(step: Step, named: dict[str, sp.Basic]) -> None:
    """Refuse two symbols, or a symbol and a function, that are printed alike."""
    for side in written(step):
        functions = [node.func for node in side.atoms(AppliedUndef)]
        for head in [*side.atoms(sp.Symbol), *functions]:
            name = latex(head) if isinstance(head, sp.Symbol) else str(head)
            if named.setdefault(name, head) != head:
                what = f"there are two symbols of the name {name}"
                raise StepError(f"{step.name}: {what}")


def _names_a_symbol(step: Step) -> bool:
    return _is_name(step) and isinstance(step.relation.lhs, sp.Symbol)


def _names_an_average(step: Step) -> bool:
    return _is_name(step) and isinstance(step.relation.lhs, AVERAGES)


def _is_name(step: Step) -> bool:
    return isinstance(step, Axiom) and step.axiom == "name"


def _root(step: UniqueMinimum) -> Axiom:
    """What the zero of a minimum stands for."""
    value = step.numerator.subs(step.symbol, step.zero)
    # The symbol comes first, as in a definition.
    equation = Relation(step.zero, "=", step.zero + value)
    reason = "what the symbol stands for"
    return Axiom(f"zero of {step.name}", equation, reason, axiom="root")


def _is_assumption(step: Step) -> bool:
    return isinstance(step, Axiom) and step.axiom == "assumption"


def _is_equality(step: Step) -> bool:
    return step.relation.relation == "="


def _outside_averages(side: sp.Expr) -> sp.Expr:
    averages = side.atoms(*AVERAGES, Quantile)
    return side.xreplace(dict.fromkeys(averages, sp.S.One))
