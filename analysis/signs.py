"""Relations between expressions, and the two questions that SymPy answers about them.

Does an expression vanish (`reduced`)? Is its sign visible (`non_negative`, `strictly`)? A sign is
visible when SymPy's assumptions imply it, when it is a known fact, or part by part. Whatever is not
visible counts as unknown, so a wrong proof is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
from sympy.core.function import AppliedUndef

STRICT = ("<", ">")
FORMS = {"=": sp.Eq, "<=": sp.Le, ">=": sp.Ge, "<": sp.Lt, ">": sp.Gt}


class E(sp.Function):
    """Expectation of an expression in random symbols; never evaluated by SymPy."""


SUBSTITUTED = (sp.Symbol, sp.exp, E, AppliedUndef)  # left sides of equalities that are plugged in


@dataclass(frozen=True)
class Relation:
    """lhs relation rhs, with relation one of = <= >= < >."""

    lhs: sp.Expr
    relation: str
    rhs: sp.Expr

    @property
    def slack(self) -> sp.Expr:
        """Expression that is zero (for =) or non-negative when the relation holds."""
        return self.lhs - self.rhs if self.relation in ("=", ">=", ">") else self.rhs - self.lhs


def reduced(expression: sp.Expr, relations: Sequence[Relation]) -> sp.Expr:
    """Zero if the expression vanishes, also modulo the equalities among `relations`.

    Those whose left side is a symbol, a function, an expectation or an exponential are substituted;
    the others reduce the numerator as polynomials (Gröbner basis).
    """
    left = [r for r in relations if r.relation == "="]
    others: list[sp.Expr] = []
    while left:
        first = left.pop(0)
        if not isinstance(first.lhs, SUBSTITUTED):
            others.append(first.slack)
            continue
        expression = _substituted(expression, first)
        others = [_substituted(other, first) for other in others]
        left = [Relation(_substituted(r.lhs, first), "=", _substituted(r.rhs, first)) for r in left]
    remainder = sp.simplify(expression)
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
    except sp.PolynomialError:
        return remainder


def _substituted(expression: sp.Expr, equality: Relation) -> sp.Expr:
    if isinstance(equality.lhs, AppliedUndef):  # also below an integral sign
        return expression.xreplace({equality.lhs: equality.rhs})
    return expression.subs(equality.lhs, equality.rhs)


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
    """Whether the expression visibly has no zero, factor by factor."""
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

    Functions without a formula count as smooth, as the axioms that speak of their slope say.
    """
    if function.is_Symbol or function.is_number or isinstance(function, AppliedUndef):
        return True
    if isinstance(function, sp.Integral):
        parts = (function.function, *function.limits[0][1:])
        return all(regular(part, relations) for part in parts)
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
