"""Relations between expressions, and the two questions that SymPy answers about them.

Does an expression vanish (`reduced`)? Is its sign visible (`non_negative`, `strictly`)? A sign is
visible when SymPy's assumptions imply it, when it is a known fact, or part by part. Whatever is not
visible counts as unknown, so a wrong proof is refused.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.polys.polyerrors import BasePolynomialError

STRICT = ("<", ">")
FORMS = {"=": sp.Eq, "<=": sp.Le, ">=": sp.Ge, "<": sp.Lt, ">": sp.Gt}


class E(sp.Function):
    """Expectation of an expression in random symbols; never evaluated by SymPy."""


class Mean(sp.Function):
    """Mean over the steps 0, …, T-1 of one run of what varies along it; never evaluated."""


class Quantile(sp.Function):
    """Quantile(X, level): the smallest x with P(X ≤ x) ≥ level; never evaluated."""


AVERAGES = (E, Mean)
SUBSTITUTED = (sp.Symbol, sp.exp, *AVERAGES, AppliedUndef)  # left sides that are plugged in
BINDERS = (sp.Integral, sp.Derivative, sp.Limit, sp.Subs)
OPAQUE = (*AVERAGES, Quantile, AppliedUndef, *BINDERS)  # what has no value at numbers
EXACT = sp.Rational(1, 10**20)  # what counts as zero where an identity is tried at numbers
TRIALS = 3  # such numbers


@dataclass(frozen=True)
class Relation:
    """lhs relation rhs, with relation one of = <= >= < >.

    Raises ValueError for any other sign, and for sides that are no exact expressions.
    """

    lhs: sp.Expr
    relation: str
    rhs: sp.Expr

    def __post_init__(self) -> None:
        if self.relation not in FORMS:
            raise ValueError(f"{self.relation!r} is not one of {', '.join(FORMS)}")
        for side in (self.lhs, self.rhs):
            if not isinstance(side, sp.Expr) or side.has(sp.Float):
                raise ValueError(f"{side!r} is no exact expression")

    @property
    def free_symbols(self) -> frozenset[sp.Symbol]:
        """The free symbols of both sides."""
        return frozenset(self.lhs.free_symbols | self.rhs.free_symbols)

    @property
    def slack(self) -> sp.Expr:
        """Expression that is zero (for =) or non-negative when the relation holds."""
        return self.lhs - self.rhs if self.relation in ("=", ">=", ">") else self.rhs - self.lhs


def reduced(expression: sp.Expr, relations: Sequence[Relation]) -> sp.Expr:
    """Zero if the expression vanishes, also modulo the equalities among `relations`.

    Those whose left side is a symbol, a function, an average or an exponential are substituted; the
    others reduce the numerator as polynomials (Gröbner basis). What SymPy simplifies to zero is
    tried at random numbers as well, where it is made of elementary functions.
    """
    expression = expression.doit()
    left = [_done(r) for r in relations if r.relation == "="]
    others: list[sp.Expr] = []
    while left:
        first = left.pop(0)
        if not isinstance(first.lhs, SUBSTITUTED):
            others.append(first.slack)
            continue
        expression = _substituted(expression, first)
        others = [_substituted(other, first) for other in others]
        left = [Relation(_substituted(r.lhs, first), "=", _substituted(r.rhs, first)) for r in left]
    remainder = sp.simplify(_with_numbers_for_averages(expression.doit()))
    if remainder == 0 and not _vanishes_at_numbers(expression):
        return expression
    if remainder == 0 or not others:
        return remainder
    numerator, *ideal = (sp.numer(sp.together(e)) for e in [remainder, *others])
    denominator = sp.denom(sp.together(remainder))
    parts = sp.Tuple(numerator, *ideal)
    generators = sorted(parts.free_symbols | parts.atoms(sp.exp), key=str)
    try:
        basis = sp.groebner(ideal, *generators)
        if not non_zero(denominator, relations):  # the expression may have no value
            return remainder
        return basis.reduce(sp.expand(numerator))[1]
    except BasePolynomialError:
        return remainder


def _done(equality: Relation) -> Relation:
    """The equality with its substitutions carried out."""
    sides = (s.doit() if s.has(sp.Subs) else s for s in (equality.lhs, equality.rhs))
    return Relation(next(sides), "=", next(sides))


def _with_numbers_for_averages(expression: sp.Expr) -> sp.Expr:
    """A number of its own for every average, so that nothing is moved across its bracket."""
    averages = expression.atoms(*AVERAGES)
    plain = {node: node.func(sp.expand(sp.simplify(node.args[0]))) for node in averages}
    numbers = {node: sp.Dummy(real=True) for node in plain.values()}
    return expression.xreplace({node: numbers[same] for node, same in plain.items()})


def bound(node: sp.Basic) -> set[sp.Symbol]:
    """The variables that an integral, derivative, limit or substitution binds."""
    return {node.args[1]} if isinstance(node, sp.Limit) else set(node.variables)


def _substituted(expression: sp.Expr, equality: Relation) -> sp.Expr:
    """The right side in place of the left one, wherever that means the same.

    A function is replaced below an integral sign too, as what is given of it holds for every value
    of the variable. Nothing else that speaks of a bound variable may be carried across its binder.
    """
    if isinstance(equality.lhs, AppliedUndef):
        return expression.xreplace({equality.lhs: equality.rhs})
    captured = [node for node in expression.atoms(*BINDERS) if bound(node) & equality.free_symbols]
    hidden = {node: sp.Dummy() for node in captured}
    shown = {dummy: node for node, dummy in hidden.items()}
    return expression.xreplace(hidden).subs(equality.lhs, equality.rhs).xreplace(shown)


def _vanishes_at_numbers(expression: sp.Expr) -> bool:
    """Whether it is zero to 20 digits wherever its symbols have random values of their signs."""
    if expression.has(*OPAQUE):
        return True
    drawn = random.Random(0)
    for _ in range(TRIALS):
        value = _at_numbers(expression, drawn).evalf(40)
        if value.has(sp.nan, sp.zoo, sp.oo) or not abs(value) < EXACT:
            return False
    return True


def _at_numbers(expression: sp.Basic, drawn: random.Random, scale: int = 1) -> Any:
    numbers = {
        symbol: sp.Rational(drawn.randint(1, 10**6) * drawn.randint(1, scale), 10**6)
        * (1 if symbol.is_nonnegative else drawn.choice((-1, 1)))
        for symbol in sorted(expression.free_symbols, key=str)
    }
    return expression.subs(numbers)


def equal_at_numbers(one: sp.Expr, other: sp.Expr) -> bool:
    """Whether two expressions agree to 20 digits at random numbers where both are real.

    Raises nothing; False as well where no such numbers are found.
    """
    if one == other:
        return True
    if any(side.has(*OPAQUE) for side in (one, other)):
        return False
    met = 0
    for seed in range(200):
        pair = sp.Tuple(one, other)
        try:
            first, second = (n.evalf(40) for n in _at_numbers(pair, random.Random(seed), 20))
        except ValueError:  # the larger of two numbers that are not real
            continue
        if not (first.is_real and second.is_real) or first.is_infinite or second.is_infinite:
            continue
        if not abs(first - second) <= EXACT * abs(first):
            return False
        met += 1
        if met == TRIALS:
            return True
    return False


def non_negative(expression: sp.Expr, relations: Sequence[Relation]) -> bool:
    """Whether the sign is visible: from SymPy's assumptions, the relations, or part by part."""
    if expression.is_nonnegative or any(_same_sign(expression, r.slack) for r in relations):
        return True
    if expression.is_Add or expression.is_Mul:
        return all(non_negative(part, relations) for part in expression.args)
    if isinstance(expression, sp.log):
        return non_negative(expression.args[0] - 1, relations)
    if not (expression.is_Pow and expression.exp.is_real):
        return False
    if expression.exp.is_nonnegative:
        return non_negative(expression.base, relations)
    return strictly(expression.base, relations)  # a quotient: the denominator must not vanish


def _same_sign(expression: sp.Expr, fact: sp.Expr) -> bool:
    if fact == 0 or expression.free_symbols != fact.free_symbols:
        return False
    ratio = sp.cancel(expression / fact)
    return bool(ratio.is_positive and ratio.is_number)


def strictly(expression: sp.Expr, relations: Sequence[Relation]) -> bool:
    """Whether the expression is visibly positive, by the same rules."""
    facts = [r.slack for r in relations if r.relation in STRICT]
    if expression.is_positive or any(_same_sign(expression, fact) for fact in facts):
        return True
    if expression.is_Add:
        some = any(strictly(part, relations) for part in expression.args)
        return some and non_negative(expression, relations)
    if expression.is_Mul:
        return all(strictly(part, relations) for part in expression.args)
    if isinstance(expression, sp.log):
        return strictly(expression.args[0] - 1, relations)
    real = expression.is_Pow and expression.exp.is_real
    return bool(real and strictly(expression.base, relations))


def non_zero(expression: sp.Expr, relations: Sequence[Relation]) -> bool:
    """Whether the expression visibly has no zero, as a whole or factor by factor."""
    if expression.is_nonzero or strictly(expression, relations) or strictly(-expression, relations):
        return True
    return all(
        factor.is_nonzero or strictly(factor, relations) or strictly(sp.expand(-factor), relations)
        for factor in sp.Mul.make_args(sp.factor(expression))
        for factor in [factor.base if factor.is_Pow else factor]
    )


def plain(symbol: sp.Symbol, *signs: str) -> bool:
    """Whether the symbol assumes nothing, or is real, or has one of the signs, and nothing more."""
    templates = [sp.Symbol(symbol.name), sp.Symbol(symbol.name, real=True)]
    templates += [sp.Symbol(symbol.name, **{sign: True}) for sign in signs]
    return symbol in templates


def regular(function: sp.Expr, relations: Sequence[Relation]) -> bool:
    """Whether it is visibly smooth: made of powers, exp, log and integrals, in their domain.

    Functions without a formula count as smooth, as the axioms that speak of their slope say. What
    stands below an integral sign is judged by grammar.py.
    """
    if function.is_Symbol or function.is_number or isinstance(function, AppliedUndef):
        return True
    if isinstance(function, sp.Integral):
        return all(regular(end, relations) for end in function.limits[0][1:])
    if function.is_Pow and not (function.exp.is_integer and function.exp.is_nonnegative):
        return (
            function.exp.is_number
            and strictly(function.base, relations)
            and regular(function.base, relations)
        )
    if isinstance(function, sp.log) and not strictly(function.args[0], relations):
        return False
    known = function.is_Add or function.is_Mul or function.is_Pow
    known = known or isinstance(function, (sp.exp, sp.log))
    return known and all(regular(part, relations) for part in function.args)
