"""Relations between expressions, and the two questions that SymPy answers about them.

Does an expression vanish (`reduced`)? Is its sign visible (`non_negative`, `strictly`)?
A sign is visible when SymPy's assumptions imply it, when it is a known fact, or part by
part. Whatever is not visible counts as unknown, so a wrong proof is refused.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.polys.polyerrors import BasePolynomialError

from analysis.proof.symbols import NOTATION

STRICT = ("<", ">")
FORMS = {"=": sp.Eq, "<=": sp.Le, ">=": sp.Ge, "<": sp.Lt, ">": sp.Gt}


class E(sp.Function):
    """Expectation of an expression in random symbols; never evaluated by SymPy."""


class Mean(sp.Function):
    """Mean over the steps 0, …, T-1 of one run of what varies; never evaluated."""


class Quantile(sp.Function):
    """Quantile(X, level): the smallest x with P(X ≤ x) ≥ level; never evaluated."""


AVERAGES = (E, Mean)
SUBSTITUTED = (sp.Symbol, sp.exp, *AVERAGES, AppliedUndef)  # as left sides
BINDERS = (sp.Integral, sp.Derivative, sp.Limit, sp.Subs)
OPAQUE = (*AVERAGES, Quantile, AppliedUndef, *BINDERS)  # what has no value at numbers
SHARES = frozenset(entry.symbol for entry in NOTATION if entry.domain.end == 1)
EXACT = 1e-20  # what counts as zero where an identity is tried at numbers
DIGITS = 60  # of these numbers
TRIALS = 3  # such numbers
ATTEMPTS = 3000  # to meet numbers at which a condition holds


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
        if self.relation in ("=", ">=", ">"):
            return self.lhs - self.rhs
        return self.rhs - self.lhs


def reduced(expression: sp.Expr, relations: Sequence[Relation]) -> sp.Expr:
    """Zero if the expression vanishes, also modulo the equalities among `relations`.

    Those whose left side is a symbol, a function, an average or an exponential are
    substituted; the others reduce the numerator as polynomials (Gröbner basis). What
    SymPy simplifies to zero is tried at random numbers as well, where it is made of
    elementary functions.
    """
    expression = expression.doit()
    equalities = [_carried_out(r) for r in relations if r.relation == "="]
    polynomials: list[sp.Expr] = []
    while equalities:
        equality = equalities.pop(0)
        if not isinstance(equality.lhs, SUBSTITUTED):
            polynomials.append(equality.slack)
            continue
        expression = substituted(expression, equality)
        polynomials = [substituted(p, equality) for p in polynomials]
        equalities = [
            Relation(substituted(r.lhs, equality), "=", substituted(r.rhs, equality))
            for r in equalities
        ]
    remainder = sp.simplify(_with_numbers_for_averages(expression.doit()))
    if remainder == 0 and not _vanishes_at_numbers(expression):
        return expression
    if remainder == 0 or not polynomials:
        return remainder
    return _modulo(remainder, polynomials, relations)


def _modulo(
    remainder: sp.Expr, polynomials: list[sp.Expr], relations: Sequence[Relation]
) -> sp.Expr:
    """The remainder, reduced by what vanishes; itself if that shows nothing."""
    numerators = [sp.numer(sp.together(e)) for e in [remainder, *polynomials]]
    (numerator, *ideal), of_numbers = _with_symbols_for_numbers(numerators)
    ideal += of_numbers
    denominator = sp.denom(sp.together(remainder))
    together = sp.Tuple(numerator, *ideal)
    generators = sorted(together.free_symbols | together.atoms(sp.exp), key=str)
    try:
        basis = sp.groebner(ideal, *generators)
        if not non_zero(denominator, relations):  # the expression may have no value
            return remainder
        return basis.reduce(sp.expand(numerator))[1]
    except BasePolynomialError:
        return remainder


def _carried_out(equality: Relation) -> Relation:
    """The equality with its substitutions carried out."""
    lhs, rhs = (
        side.doit() if side.has(sp.Subs) else side
        for side in (equality.lhs, equality.rhs)
    )
    return Relation(lhs, "=", rhs)


def _with_numbers_for_averages(expression: sp.Expr) -> sp.Expr:
    """A number for every average, so that nothing moves across its bracket."""
    for kind in (Quantile, *AVERAGES):
        nodes = expression.atoms(kind)
        inside = {node: sp.expand(sp.simplify(node.args[0])) for node in nodes}
        plain = {node: node.func(inside[node], *node.args[1:]) for node in nodes}
        numbers = {node: sp.Dummy(real=True) for node in plain.values()}
        expression = expression.xreplace(
            {node: numbers[same] for node, same in plain.items()}
        )
    return expression


def _with_symbols_for_numbers(
    parts: list[sp.Expr],
) -> tuple[list[sp.Expr], list[sp.Expr]]:
    """A symbol for every irrational constant: a sum of them may be zero unseen.

    Also what vanishes because a constant is no zero, or a root of a rational number.
    """
    symbols: dict[sp.Expr, sp.Symbol] = {}
    for node in (node for part in parts for node in sp.preorder_traversal(part)):
        constant = isinstance(node, sp.Expr) and not node.free_symbols
        if constant and not (node.is_Rational or node.is_Add or node.is_Mul):
            symbols.setdefault(node, sp.Symbol(f"number {node}"))
    vanishing = [
        symbol * sp.Symbol(f"over {symbol}") - 1
        for node, symbol in symbols.items()
        if node.is_nonzero
    ]
    for node, symbol in symbols.items():
        if node.is_Pow and node.base.is_Rational and node.exp.is_Rational:
            vanishing.append(symbol**node.exp.q - node.base**node.exp.p)
    return [part.xreplace(symbols) for part in parts], vanishing


def bound(node: sp.Basic) -> set[sp.Symbol]:
    """The variables that an integral, derivative, limit or substitution binds."""
    return {node.args[1]} if isinstance(node, sp.Limit) else set(node.variables)


def substituted(expression: sp.Expr, equality: Relation) -> sp.Expr:
    """The right side in place of the left one, wherever that means the same.

    A function is replaced below an integral sign too, as what is given of it holds for
    every value of the variable. Nothing else that speaks of a bound variable may be
    carried across its binder.
    """
    if isinstance(equality.lhs, AppliedUndef):
        return expression.xreplace({equality.lhs: equality.rhs})
    captured = [
        node
        for node in expression.atoms(*BINDERS)
        if bound(node) & equality.free_symbols
    ]
    hidden = {node: sp.Dummy() for node in captured}
    shown = {dummy: node for node, dummy in hidden.items()}
    return expression.xreplace(hidden).subs(equality.lhs, equality.rhs).xreplace(shown)


def _vanishes_at_numbers(expression: sp.Expr) -> bool:
    """Whether it is zero to 20 digits at random values of its symbols' signs."""
    if expression.has(*OPAQUE):
        return True
    symbols = sorted(expression.free_symbols, key=str)
    function = sp.lambdify(symbols, expression, modules="mpmath")
    drawn = random.Random(0)
    with mpmath.workdps(DIGITS):
        for _ in range(TRIALS):
            signs = [1 if s.is_nonnegative else drawn.choice((-1, 1)) for s in symbols]
            numbers = [
                sign * mpmath.mpf(drawn.randint(1, 10**6)) / 10**6 for sign in signs
            ]
            try:
                value = function(*numbers)
            except (ValueError, TypeError, ZeroDivisionError):  # no value there
                return False
            if not abs(value) < EXACT:
                return False
    return True


def same_positive_root(
    value: sp.Expr,
    side: sp.Expr,
    power: int = 1,
    *,
    where: sp.Basic = sp.true,
    given: sp.Basic = sp.true,
) -> bool:
    """Whether value^power is the side where both are real, value ≥ 0 if power is even.

    By agreement to 20 digits at random numbers between 10^-9 and 10^11 at which `where`
    holds (below 1 what the notation says is). False as well where too few such numbers
    are met, and where `given` does not hold at one of them.
    """
    if value.has(*OPAQUE) or side.has(*OPAQUE):
        return value == side and power == 1
    if value == side and power == 1 and given == sp.true:
        return True
    free = sp.Tuple(value, side, where, given).free_symbols
    symbols = sorted(free, key=str)
    function = sp.lambdify(symbols, [value, side], modules="mpmath")
    holds = sp.lambdify(symbols, where, modules="mpmath")
    as_given = sp.lambdify(symbols, given, modules="mpmath")
    agreements = 0
    with mpmath.workdps(DIGITS):
        for seed in range(ATTEMPTS):
            numbers = _numbers(seed, symbols)
            pair = _real_pair(function, holds, numbers)
            if pair is None:
                continue
            left, right = pair
            apart = abs(left**power - right) > EXACT * abs(right)
            if apart or not as_given(*numbers) or (power % 2 == 0 and left < 0):
                return False
            agreements += 1
            if agreements == 10 * TRIALS:
                return True
    return False


def _real_pair(
    function: Callable[..., Any],
    holds: Callable[..., Any],
    numbers: Sequence[mpmath.mpf],
) -> tuple[mpmath.mpf, mpmath.mpf] | None:
    """Both values where the condition holds and they are real numbers; else None."""
    try:
        if not holds(*numbers):
            return None
        left, right = (mpmath.mpc(value) for value in function(*numbers))
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):  # no value there
        return None
    if left.imag or right.imag or mpmath.isinf(left) or mpmath.isinf(right):
        return None
    return left.real, right.real


def _numbers(seed: int, symbols: Sequence[sp.Symbol]) -> list[mpmath.mpf]:
    """Positive numbers: moderate, small, of any size, or large, by turns."""
    drawn = random.Random(seed)
    wide = 9 if seed % 2 else 1
    numbers = []
    for symbol in symbols:
        number = mpmath.mpf(drawn.randint(1, 99)) / 10 ** drawn.randint(2, 1 + wide)
        large = seed % 4 == 3 or (seed % 4 == 2 and drawn.random() < 0.5)
        numbers.append(1 / number if large and symbol not in SHARES else 10 * number)
        if symbol in SHARES:
            numbers[-1] = number
    return numbers


def non_negative(expression: sp.Expr, relations: Sequence[Relation]) -> bool:
    """Whether the sign shows in SymPy's assumptions, the relations, or part by part."""
    if expression.is_nonnegative or any(
        _same_sign(expression, r.slack) for r in relations
    ):
        return True
    if expression.is_Add or expression.is_Mul:
        return all(non_negative(part, relations) for part in expression.args)
    if isinstance(expression, sp.log):
        return non_negative(expression.args[0] - 1, relations)
    if isinstance(expression, AVERAGES):
        return non_negative(expression.args[0], [])
    if isinstance(expression, sp.Integral):
        ((_, low, high),) = expression.limits
        return non_negative(high - low, relations) and non_negative(
            expression.function, []
        )
    if not (expression.is_Pow and expression.exp.is_real):
        return False
    if expression.exp.is_nonnegative:
        return non_negative(expression.base, relations)
    # a quotient: the denominator must not vanish
    return strictly(expression.base, relations)


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
    if (
        expression.is_nonzero
        or strictly(expression, relations)
        or strictly(-expression, relations)
    ):
        return True
    return all(
        factor.is_nonzero
        or strictly(factor, relations)
        or strictly(sp.expand(-factor), relations)
        for factor in sp.Mul.make_args(sp.factor(expression))
        for factor in [factor.base if factor.is_Pow else factor]
    )


def plain(symbol: sp.Symbol, *signs: str) -> bool:
    """Whether the symbol assumes nothing, reality or a sign, and no more."""
    templates = [sp.Symbol(symbol.name), sp.Symbol(symbol.name, real=True)]
    templates += [sp.Symbol(symbol.name, **{sign: True}) for sign in signs]
    return symbol in templates


def regular(function: sp.Expr, relations: Sequence[Relation]) -> bool:
    """Whether it is visibly smooth: powers, exp, log, integrals in their domain.

    Functions without a formula count as smooth, as the axioms that speak of their slope
    say. What stands below an integral sign is judged by grammar.py.
    """
    if function.is_Symbol or function.is_number:
        return True
    if isinstance(function, AppliedUndef):
        return all(regular(part, relations) for part in function.args)
    if isinstance(function, sp.Integral):
        smooth = not function.function.has(sp.Piecewise, sp.Min, sp.Max)
        return smooth and all(regular(end, relations) for end in function.limits[0][1:])
    if function.is_Pow and not (
        function.exp.is_integer and function.exp.is_nonnegative
    ):
        return (
            regular(function.exp, relations)
            and strictly(function.base, relations)
            and regular(function.base, relations)
        )
    if isinstance(function, sp.log) and not strictly(function.args[0], relations):
        return False
    known = function.is_Add or function.is_Mul or function.is_Pow
    known = known or isinstance(function, (sp.exp, sp.log))
    return known and all(regular(part, relations) for part in function.args)
