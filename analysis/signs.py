"""Relations between expressions, and the two questions that SymPy answers about them.

Does an expression vanish (`reduced`)? Is its sign visible (`non_negative`, `strictly`)? A sign is
visible when SymPy's assumptions imply it, when it is a known fact, or part by part; denominators
are taken to be non-zero. Whatever is not visible counts as unknown, so a wrong proof is refused.
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
    generators = sorted(sp.Tuple(numerator, denominator, *ideal).free_symbols, key=str)
    try:
        basis = sp.groebner(ideal, *generators)
        if basis.reduce(sp.expand(denominator))[1] == 0:  # the expression has no value
            return remainder
        return basis.reduce(sp.expand(numerator))[1]
    except sp.PolynomialError:
        return remainder


def _substituted(expression: sp.Expr, equality: Relation) -> sp.Expr:
    if isinstance(equality.lhs, AppliedUndef):  # also below an integral sign
        return expression.xreplace({equality.lhs: equality.rhs})
    return expression.subs(equality.lhs, equality.rhs)


def non_negative(expression: sp.Expr, facts: Sequence[sp.Expr]) -> bool:
    """Whether the sign is visible: from SymPy's assumptions, the facts, or part by part."""
    if expression.is_nonnegative or any(_same_sign(expression, fact) for fact in facts):
        return True
    if expression.is_Add or expression.is_Mul:
        return all(non_negative(part, facts) for part in expression.args)
    if isinstance(expression, sp.log):
        return non_negative(expression.args[0] - 1, facts)
    return bool(
        expression.is_Pow and expression.exp.is_real and non_negative(expression.base, facts)
    )


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
        signs = non_negative(expression, [r.slack for r in relations])
        return signs and any(strictly(part, relations) for part in expression.args)
    if expression.is_Mul:
        return all(strictly(part, relations) for part in expression.args)
    if isinstance(expression, sp.log):
        return strictly(expression.args[0] - 1, relations)
    real = expression.is_Pow and expression.exp.is_real
    return bool(real and strictly(expression.base, relations))
