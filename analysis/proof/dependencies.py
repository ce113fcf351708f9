"""What the steps of a derivation rest on in the end, and which symbols are free to vary."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

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

PARAMETERS = frozenset(entry.symbol for entry in NOTATION)


class Given(NamedTuple):
    """An axiom, a definition or a supposition, and the claim in which it is written down."""

    claim: str
    step: Step


class Quoted(NamedTuple):
    """What stands behind a relation in the claim that proves it."""

    givens: frozenset[Given]
    definitions: frozenset[Relation]
    random: frozenset[sp.Symbol]


Library = Callable[[Earlier], Quoted]


class Trace:
    """Bookkeeping along a derivation.

    `given[name]` holds the axioms, definitions and suppositions that a step rests on in the end,
    through quotations too; `supposed[name]` the suppositions that are still open; `carried[name]`
    what a quotation brings in that is not a step here. A symbol is random throughout a derivation
    if it is declared so, if an expectation takes it for random, if it is random in what is quoted,
    or if it is defined by random ones; every other symbol is a fixed number.
    """

    def __init__(
        self,
        claim: str,
        steps: Sequence[Step],
        library: Library,
        random: Sequence[sp.Symbol] = (),
    ) -> None:
        self.claim, self.steps, self.library = claim, steps, library
        self.supposed: dict[str, frozenset[str]] = {}
        self.given: dict[str, frozenset[Given]] = {}
        self.carried: dict[str, frozenset[Given]] = {}
        self.roots: dict[sp.Expr, Relation] = {}
        self.varied = self._varied()
        self.zeros = frozenset(s.zero for s in steps if isinstance(s, UniqueMinimum))
        self.definitions = {
            s.relation.lhs: s.relation for s in steps if isinstance(s, Definition) or _names(s)
        }
        self.named = self.definitions | {
            s.relation.rhs: s.relation for s in steps if _names_an_average(s)
        }
        self.random = self._random(random)
        self._one_symbol_a_name()
        self._nothing_tied_under_a_binder()
        for step in steps:
            self._add(step)
        self._averages_of_what_is_random()
        for step in steps:
            if isinstance(step, (Axiom, Suppose, Earlier)):
                self._no_hidden_randomness(step)

    def _random(self, declared: Sequence[sp.Symbol]) -> frozenset[sp.Symbol]:
        found = frozenset(declared)
        for step in self.steps:
            if isinstance(step, Expectation):
                found |= frozenset(step.random)
            if isinstance(step, Earlier):
                found |= self.library(step).random & step.relation.free_symbols
        for step in self.steps:
            if isinstance(step, Definition) and step.relation.rhs.free_symbols & found:
                found |= {step.relation.lhs}
            if isinstance(step, UniqueMinimum) and step.relation.rhs.free_symbols & found:
                found |= {step.zero}
        return found

    def _one_symbol_a_name(self) -> None:
        """Refuse two symbols, or a symbol and a function, that are printed alike."""
        named: dict[str, sp.Basic] = {}
        for step in self.steps:
            for side in written(step):
                heads = [node.func for node in side.atoms(AppliedUndef)]
                for each in [*side.atoms(sp.Symbol), *heads]:
                    name = latex(each) if isinstance(each, sp.Symbol) else str(each)
                    if named.setdefault(name, each) != each:
                        raise StepError(f"{step.name}: there are two symbols of the name {name}")

    def _nothing_tied_under_a_binder(self) -> None:
        """What is given of a function holds for every value of the variable, or is refused.

        Where a function without a formula stands below an integral sign, in a derivative or a
        limit, no given may confine the variable that is bound there.
        """
        for step in self.steps:
            if isinstance(step, UniqueMinimum):
                self._not_tied(_root(step))
            if isinstance(step, (Axiom, Definition, Suppose)):
                self._not_tied(step)
            self._no_name_hides_a_variable(step)

    def _no_name_hides_a_variable(self, step: Step) -> None:
        """Refuse z below a binder of k where z is a name for something in k."""
        roots = [_root(s).relation for s in self.steps if isinstance(s, UniqueMinimum)]
        behind = {r.lhs: set(r.rhs.free_symbols) for r in [*self.named.values(), *roots]}
        for _ in behind:
            for symbols in behind.values():
                symbols |= set().union(*(behind.get(symbol, set()) for symbol in symbols))
        for side in written(step):
            for node in side.atoms(sp.Integral, sp.Derivative, sp.Limit):
                for name in node.args[0].free_symbols & behind.keys():
                    hidden = (behind[name] - {name}) & bound(node)
                    if hidden:
                        raise StepError(f"{step.name}: {name} is a name for something in {hidden}")

    def _varied(self) -> frozenset[sp.Symbol]:
        """The bound variables of which a function without a formula is taken."""
        return frozenset(
            symbol
            for step in self.steps
            for side in written(step)
            for node in side.atoms(sp.Integral, sp.Derivative, sp.Limit)
            if node.has(AppliedUndef)
            for symbol in bound(node)
        )

    def _not_tied(self, step: Step) -> None:
        """Refuse a given that confines a variable of which a function is taken under a binder."""
        for symbol in self.varied & step.relation.free_symbols:
            sides = (step.relation.lhs, step.relation.rhs)
            spoken = any(symbol in f.free_symbols for s in sides for f in s.atoms(AppliedUndef))
            if not spoken or not isinstance(step, Axiom) or step.axiom in ("name", "root"):
                raise StepError(f"{step.name}: confines {symbol}, a variable that is bound")

    def _add(self, step: Step) -> None:
        if isinstance(step, Axiom) and step.axiom == "root":
            raise StepError(f"{step.name}: only a unique minimum finds a root")
        if type(step.using) is not tuple:
            raise StepError(f"{step.name}: lists what it rests on in no tuple")
        missing = [name for name in step.using if name not in self.given]
        if missing:
            raise StepError(f"{step.name}: rests on {missing[0]!r}, which comes later or never")
        if step.name in self.given:
            raise StepError(f"{step.name}: there are two steps of this name")
        self.supposed[step.name] = frozenset().union(*(self.supposed[n] for n in step.using))
        self.given[step.name] = frozenset().union(*(self.given[n] for n in step.using))
        if isinstance(step, Earlier):
            self._quote(step)
        self._free_to_vary(step)
        if any(side.has(*AVERAGES, Quantile) for side in written(step)):
            self._averages(step)
        if isinstance(step, Suppose):
            self.supposed[step.name] = frozenset([step.name])
        if isinstance(step, Cases):
            self.supposed[step.name] = self._discharged(step)
        if isinstance(step, (Axiom, Definition, Suppose)):
            self.given[step.name] |= {Given(self.claim, step)}
        if isinstance(step, UniqueMinimum):
            self._one_root_a_name(_root(step))
            self.given[step.name] |= {Given(self.claim, _root(step))}

    def _quote(self, step: Earlier) -> None:
        """Carry every hypothesis of the quoted relation that is not established here."""
        quoted = self.library(step)
        behind = quoted.givens
        here = {s.relation: s.name for s in reversed(self.steps) if s.name in self.given}
        carried = frozenset(g for g in behind if g.step.relation not in here)
        for given in behind - carried:
            name = here[given.step.relation]
            self.given[step.name] |= self.given[name]
            self.supposed[step.name] |= self.supposed[name]
        for given in carried:
            self._may_be_carried(step, given, quoted)
        for each in [step, *(given.step for given in carried)]:
            if self._fixes_what_is_random(each, quoted, is_quotation=each is step):
                raise StepError(f"{step.name}: {step.claim} takes what is random for fixed numbers")
        for given in carried:
            if isinstance(given.step, Axiom) and given.step.axiom == "root":
                self._one_root_a_name(given.step)
        assumed = {g.step.name for g in carried if _is_assumption(g.step)}
        if assumed != set(step.holding):
            names = ", ".join(sorted(assumed)) or "nothing"
            raise StepError(f"{step.name}: {step.claim} assumes {names} beyond what is known here")
        self.carried[step.name] = carried
        self.given[step.name] |= carried

    def _may_be_carried(self, step: Earlier, given: Given, quoted: Quoted) -> None:
        """Refuse a hypothesis about what is defined here otherwise: it has to be derived."""
        what = f"{step.name}: {given.claim} takes {given.step.name!r} as given"
        relation = given.step.relation
        if isinstance(given.step, Definition):
            if relation.lhs in self._spoken():
                raise StepError(f"{what}: define {relation.lhs} here as well")
            return
        self._not_tied(given.step)
        free = relation.free_symbols
        for symbol in free & self.named.keys():
            parameter = symbol in PARAMETERS and not free <= PARAMETERS
            if not parameter and self.named[symbol] not in quoted.definitions:
                raise StepError(f"{what}, and here {symbol} is defined: derive it")
        if not (isinstance(given.step, Axiom) and given.step.axiom == "root"):
            for symbol in free & self.zeros:
                raise StepError(f"{what}, and here {symbol} is a zero: derive it")

    def _fixes_what_is_random(self, step: Step, quoted: Quoted, is_quotation: bool) -> bool:
        """Whether a symbol is random here, and a fixed number where it matters in what is quoted.

        It matters inside an average, anywhere in a quoted relation with an average, and where an
        assumption equates it with something else that is spoken of here.
        """
        relation = step.relation
        averages = relation.lhs.atoms(*AVERAGES) | relation.rhs.atoms(*AVERAGES)
        inside = frozenset().union(*(average.free_symbols for average in averages))
        others = (relation.free_symbols & self._spoken()) - self.random - PARAMETERS
        equated = _is_assumption(step) and _is_equality(step) and others
        fixed = relation.free_symbols & self.random - quoted.random
        return bool(fixed & inside or (fixed and (equated or (is_quotation and averages))))

    def _spoken(self) -> set[sp.Symbol]:
        return {symbol for step in self.steps for symbol in step.relation.free_symbols}

    def _one_root_a_name(self, root: Axiom) -> None:
        """Refuse a symbol that stands for the zeros of two functions."""
        zero = root.relation.lhs
        if self.roots.setdefault(zero, root.relation) != root.relation:
            raise StepError(f"{root.name}: {zero} is another zero as well")

    def _free_to_vary(self, step: Step) -> None:
        """What is used of the variable of a function holds on the whole interval.

        Nothing given confines it where the slope's sign is found; in a `UniqueMinimum` only that it
        lies between the ends.
        """
        if not isinstance(step, (Monotone, UniqueMinimum)):
            return
        confined: tuple[Relation, ...] = ()
        checked = step.using[:1]
        if isinstance(step, UniqueMinimum):
            low, high = step.interval
            confined = (Relation(step.symbol, "<", high), Relation(step.symbol, ">", low))
            checked = step.using
        for name in checked:
            for given in self.given[name]:
                relation = given.step.relation
                if step.symbol in relation.free_symbols and relation not in confined:
                    raise StepError(f"{step.name}: {step.symbol} is not free to vary")

    def _averages(self, step: Step) -> None:
        """An average is over every value of what is random, and knows all that is."""
        for name in self.supposed[step.name]:
            own = (g.step for g in self.given[step.name] if g.claim == self.claim)
            (supposed,) = (step for step in own if step.name == name)
            if supposed.relation.free_symbols & self.random:
                raise StepError(f"{step.name}: averages under {name!r}, on a random quantity")
        if isinstance(step, Expectation):
            hidden = step.relation.free_symbols & self.random - set(step.random)
            if hidden:
                raise StepError(f"{step.name}: {', '.join(map(str, hidden))} is random")

    def _averages_of_what_is_random(self) -> None:
        """Refuse the average of an expression in fixed numbers only: what is random is declared."""
        for step in self.steps:
            for side in written(step):
                for node in side.atoms(*AVERAGES):
                    free = node.args[0].free_symbols
                    if free and not free & self.random:
                        raise StepError(f"{step.name}: nothing in {node} is declared random")

    def _no_hidden_randomness(self, step: Step) -> None:
        """Refuse a given by which a symbol that passes for fixed depends on what is random."""
        sides = [_outside_averages(side) for side in (step.relation.lhs, step.relation.rhs)]
        free = frozenset(sides[0].free_symbols | sides[1].free_symbols)
        random = free & self.random
        if not random:
            return
        for side in sides:
            fixed = not side.free_symbols & self.random
            if fixed and isinstance(side, (sp.Symbol, AppliedUndef)) and _is_equality(step):
                raise StepError(f"{step.name}: {side} is random, as what it equals")
        if _is_equality(step) and len(random) == 1 and free != random:
            raise StepError(f"{step.name}: makes a fixed number of what is random")
        strange: set[sp.Basic] = set(free - self.random - PARAMETERS - self.definitions.keys())
        if _is_equality(step):
            functions = {f for side in sides for f in side.atoms(AppliedUndef)}
            strange |= {f for f in functions if f.free_symbols <= free - self.random}
        if strange:
            raise StepError(f"{step.name}: is {', '.join(map(str, strange))} random?")

    def _discharged(self, step: Cases) -> frozenset[str]:
        one, first, other, second = step.using
        for name in (one, other):
            if self.supposed[name] != {name}:
                raise StepError(f"{step.name}: {name!r} is not a supposition")
        return (self.supposed[first] - {one}) | (self.supposed[second] - {other})


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


def _names(step: Step) -> bool:
    return (
        isinstance(step, Axiom)
        and step.axiom == "name"
        and isinstance(step.relation.lhs, sp.Symbol)
    )


def _names_an_average(step: Step) -> bool:
    return (
        isinstance(step, Axiom) and step.axiom == "name" and isinstance(step.relation.lhs, AVERAGES)
    )


def _root(step: UniqueMinimum) -> Axiom:
    """What the zero of a minimum stands for."""
    value = step.numerator.subs(step.symbol, step.zero)
    equation = Relation(step.zero, "=", step.zero + value)  # the symbol first, as in a definition
    return Axiom(f"zero of {step.name}", equation, "what the symbol stands for", axiom="root")


def _is_assumption(step: Step) -> bool:
    return isinstance(step, Axiom) and step.axiom == "assumption"


def _is_equality(step: Step) -> bool:
    return step.relation.relation == "="


def _outside_averages(side: sp.Expr) -> sp.Expr:
    averages = side.atoms(*AVERAGES, Quantile)
    return side.xreplace(dict.fromkeys(averages, sp.S.One))
