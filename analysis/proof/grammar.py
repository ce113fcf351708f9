"""What a step may contain: the few kinds of expressions of certain meaning.

A checker is as sound as the least understood object that it admits. Symbols are real
numbers, with a sign or without; an expression is built from them by the operations
below, in the form in which SymPy itself would write it, and has a value wherever its
step speaks (`undefined`). Conventions:

- every expectation that is written exists, and so does the integral of a function
  without a formula, to infinity too; functions without a formula are real and as smooth
  as is asked of them;
- a given that speaks of such a function at a variable of integration or differentiation
  speaks of every value of that variable.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef, UndefinedFunction
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanTrue

from analysis.proof.relations import (
    AVERAGES,
    BINDERS,
    Quantile,
    Relation,
    non_negative,
    non_zero,
    strictly,
    substituted,
)

NUMBERS = (
    *(sp.Integer, sp.Rational, type(sp.S.Zero), type(sp.S.One), type(sp.S.NegativeOne)),
    *(type(sp.S.Half), type(sp.pi), type(sp.E)),
)
OPERATIONS = (
    sp.Add,
    sp.Mul,
    sp.Pow,
    sp.exp,
    sp.log,
    sp.Min,
    sp.Max,
    sp.LambertW,
    sp.erf,
    sp.Piecewise,
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Names that would be read as something else.
RESERVED = {
    "E",
    "e",
    "Mean",
    "Quantile",
    "I",
    "oo",
    "nan",
    "zoo",
    "pi",
    "exp",
    "log",
    "sqrt",
}
RESERVED |= {
    "erf",
    "Min",
    "Max",
    "LambertW",
    "Piecewise",
    "Integral",
    "Derivative",
    "Subs",
    "Limit",
}
CONDITIONS = (sp.Le, sp.Lt, sp.Ge, sp.Gt)
KINKED = (sp.Piecewise, sp.Min, sp.Max)  # may have no slope at a point
SIGNS: tuple[dict[str, bool], ...] = ({}, {"nonnegative": True}, {"positive": True})


def objection(expression: sp.Basic) -> str:
    """Why the expression may not be written, in a few words; empty if it may."""
    for node in _nodes(expression):
        why = _node(node)
        if why:
            return why
    return ""


def _nodes(expression: sp.Basic) -> Iterator[sp.Basic]:
    """Every node that has to be judged; places where infinity is meant are left out."""
    yield expression
    parts: Sequence[sp.Basic] = expression.args
    if isinstance(expression, sp.Integral):
        limits = [end for limit in expression.limits for end in limit]
        parts = [expression.function, *(end for end in limits if end != sp.oo)]
    elif isinstance(expression, sp.Limit):
        parts = [expression.args[0], expression.args[1]]
    elif isinstance(expression, sp.Derivative):
        parts = [expression.expr, *expression.variables]
    elif isinstance(expression, sp.Subs):
        parts = [expression.expr, *expression.variables, *expression.point]
    elif isinstance(expression, sp.Piecewise):
        parts = [part for pair in expression.args for part in pair.args]
    for part in parts:
        yield from _nodes(part)


def _node(node: sp.Basic) -> str:
    if isinstance(node, sp.Symbol):
        return (
            ""
            if _is_plain(node)
            else f"{node} is no real symbol with or without a sign"
        )
    if isinstance(node, AppliedUndef):
        return "" if _is_plain_function(node) else f"{node} is no plain function"
    if type(node) in NUMBERS:
        return ""
    if type(node) in BINDERS:
        return (
            f"{node} binds an average"
            if node.has(*AVERAGES, Quantile)
            else _binder(node)
        )
    if type(node) in AVERAGES:
        nested = len(node.args) != 1 or node.args[0].has(*AVERAGES, Quantile)
        return f"{node} is an average of averages" if nested else ""
    if isinstance(node, Relational):
        return "" if type(node) in CONDITIONS else f"{node} is no inequality"
    if isinstance(node, BooleanTrue):
        return ""
    if type(node) is Quantile:
        nested = len(node.args) != 2 or any(part.has(Quantile) for part in node.args)
        return f"{node} is no quantile at a level" if nested else ""
    if type(node) not in OPERATIONS:
        return f"{type(node).__name__} may not be written"
    if isinstance(node, sp.Piecewise) and node.args[-1].cond != sp.true:
        return f"{node} has no value in some cases"
    if isinstance(node, sp.LambertW) and len(node.args) != 1:
        return f"{node} is not the main branch"
    return (
        ""
        if node.func(*node.args) == node
        else f"{node} is not in the form SymPy gives it"
    )


def _is_plain(symbol: sp.Symbol) -> bool:
    if not NAME.fullmatch(symbol.name) or symbol.name in RESERVED:
        return False
    same = [sp.Symbol(symbol.name, real=True, **sign) for sign in SIGNS]
    return type(symbol) is sp.Symbol and symbol in same


def _is_plain_function(node: AppliedUndef) -> bool:
    """Whether it is f(...) for an f assumed real, perhaps of a sign, and no more."""
    function = node.func
    if not NAME.fullmatch(function.__name__) or function.__name__ in RESERVED:
        return False
    fresh = [
        sp.Function(function.__name__, **sign) for sign in ({"real": True}, *SIGNS[1:])
    ]
    same = [f for f in fresh if type(function) is UndefinedFunction and function == f]
    return any(vars(function).keys() == vars(f).keys() for f in same)


def _binder(node: sp.Basic) -> str:
    if isinstance(node, sp.Integral):
        (limit,) = node.limits if len(node.limits) == 1 else (sp.Tuple(),)
        if len(limit) != 3 or limit[1] == sp.oo:
            return f"{node} is no integral over one interval"
        ends = [end for end in limit[1:] if end != sp.oo]
        if any(end.has(sp.oo, limit[0]) for end in ends):
            return f"{node} is no integral over one interval"
        if limit[2] == sp.oo and not _is_of(node.function, limit[0]):
            return f"{node} may be infinite"
        signed = limit[0].is_nonnegative
        if signed and not all(non_negative(end, []) for end in ends):
            return f"{node} goes beyond the sign of {limit[0]}"
    if isinstance(node, sp.Limit):
        inside, x, end, side = node.args
        positive = all(symbol.is_positive for symbol in inside.free_symbols | {x})
        positive = positive and (end == sp.oo or str(side) == "+")
        if not positive or end not in (sp.S.Zero, sp.oo) or inside.has(AppliedUndef):
            return f"{node} is no limit at 0 or ∞ of a formula in positive symbols"
    return ""


def _is_of(integrand: sp.Expr, variable: sp.Symbol) -> bool:
    """Whether a factor is an unknown function of this variable, or its power."""
    factors = [f.base if f.is_Pow else f for f in sp.Mul.make_args(integrand)]
    return any(isinstance(f, AppliedUndef) and variable in f.args for f in factors)


def implied(facts: Sequence[Relation]) -> list[Relation]:
    """What the facts imply by substitution: inequalities only.

    They are the inequalities among the facts, that what a positive symbol equals is
    positive, and both with symbols replaced by what they equal.
    """
    equalities = [
        f for f in facts if f.relation == "=" and isinstance(f.lhs, sp.Symbol)
    ]
    known = [f for f in facts if f.relation != "="]
    known += [Relation(f.rhs, ">", sp.S.Zero) for f in equalities if f.lhs.is_positive]
    for equality in equalities:
        affected = [fact for fact in known if equality.lhs in fact.free_symbols]
        for fact in affected:
            lhs = substituted(fact.lhs, equality)
            rhs = substituted(fact.rhs, equality)
            known.append(Relation(lhs, fact.relation, rhs))
    return known


def undefined(expression: sp.Basic, facts: Sequence[Relation]) -> sp.Basic | None:
    """The first part that may have no finite real value, for all that the facts show.

    None if every part has one.
    """
    for kind, judge in JUDGES.items():
        if isinstance(expression, kind):
            return judge(expression, facts)
    if expression.is_Pow and not _power(expression, facts):
        return expression
    if isinstance(expression, sp.log) and not strictly(expression.args[0], facts):
        return expression
    lambert = isinstance(expression, sp.LambertW)
    if lambert and not non_negative(expression.args[0], facts):
        return expression
    return _first_undefined(expression.args, facts)


def _first_undefined(
    parts: Iterable[sp.Basic], facts: Sequence[Relation]
) -> sp.Basic | None:
    return next((u for part in parts if (u := undefined(part, facts))), None)


def _undefined_cases(
    expression: sp.Piecewise, facts: Sequence[Relation]
) -> sp.Basic | None:
    for value, condition in expression.args:
        known = [*facts, *_as_facts(condition)]
        part = undefined(value, known) or _first_undefined(condition.args, facts)
        if part is not None:
            return part
    return None


def _undefined_substitution(
    expression: sp.Subs, facts: Sequence[Relation]
) -> sp.Basic | None:
    value = expression.doit()
    points = zip(expression.variables, expression.point, strict=True)
    beyond = any(x.is_nonnegative and not non_negative(at, facts) for x, at in points)
    infinite = value.has(sp.nan, sp.zoo, sp.oo)
    infinite |= any(slope.has(*KINKED) for slope in expression.atoms(sp.Derivative))
    return expression if beyond or infinite else undefined(value, facts)


def _undefined_limit(
    expression: sp.Limit, facts: Sequence[Relation]
) -> sp.Basic | None:
    value = expression.doit()
    infinite = value.has(sp.nan, sp.zoo, sp.oo, sp.Limit)
    if infinite or not _holds_at_numbers(expression, value):
        return expression
    inside = [fact for fact in facts if expression.args[1] not in fact.free_symbols]
    return undefined(expression.args[0], inside) or undefined(value, facts)


def _undefined_derivative(
    expression: sp.Derivative, facts: Sequence[Relation]
) -> sp.Basic | None:
    if expression.has(*KINKED):
        return expression
    slope = expression.doit()
    part = undefined(expression.expr, facts)
    return part or (None if slope == expression else undefined(slope, facts))


def _undefined_integral(
    integral: sp.Integral, facts: Sequence[Relation]
) -> sp.Basic | None:
    """An integrand must be finite on the closed interval; its variable may be 0."""
    ((t, low, high),) = integral.limits
    inside = [fact for fact in facts if t not in fact.free_symbols]
    closed = integral.function
    if t.is_positive and not strictly(low, facts):
        closed = closed.subs(t, sp.Symbol(t.name, nonnegative=True))
    cases = [pair for p in closed.atoms(sp.Piecewise) for pair in p.args]
    values = [case.expr for case in cases if t.name in map(str, case.expr.free_symbols)]
    part = _first_undefined([closed, *values], inside)  # also where a case ends
    ends = [end for end in (low, high) if end != sp.oo]
    return part or _first_undefined(ends, facts)


# How each kind is judged whose value is not that of its parts.
JUDGES: dict[type, Callable[[Any, Sequence[Relation]], sp.Basic | None]] = {
    sp.Piecewise: _undefined_cases,
    sp.Integral: _undefined_integral,
    sp.Subs: _undefined_substitution,
    sp.Limit: _undefined_limit,
    sp.Derivative: _undefined_derivative,
}


def _holds_at_numbers(limit: sp.Limit, value: sp.Expr) -> bool:
    """Whether SymPy finds the same limit where the other symbols are numbers."""
    inside, variable, end, side = limit.args
    symbols = sorted(limit.free_symbols, key=str)
    count = len(symbols)
    # Equal numbers, rising ones, falling ones.
    for numbers in ([1] * count, range(2, count + 2), range(count + 1, 1, -1)):
        pairs = zip(symbols, numbers, strict=True)
        at = {symbol: sp.Integer(number) for symbol, number in pairs}
        at_numbers = sp.Limit(inside.subs(at), variable, end, str(side)).doit()
        if at_numbers.has(sp.Limit) or sp.simplify(at_numbers - value.subs(at)) != 0:
            return False
    return True


def _as_facts(condition: sp.Basic) -> list[Relation]:
    if not isinstance(condition, CONDITIONS):
        return []
    return [Relation(condition.lhs, condition.rel_op, condition.rhs)]


def _power(power: sp.Pow, facts: Sequence[Relation]) -> bool:
    base, exponent = power.args
    if exponent.is_Integer:
        return bool(exponent.is_nonnegative) or non_zero(base, facts)
    if strictly(base, facts):
        return True
    return non_negative(base, facts) and non_negative(exponent, facts)
