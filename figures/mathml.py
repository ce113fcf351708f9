"""Expressions as presentation MathML, set by browsers without scripts or foreign fonts.

SymPy's own printer writes E as e and cannot set cases. This one also puts positive and
short terms first and joins square roots: √2√Δ√L/√T becomes √(2ΔL/T). No radicand of the
claims is negative.
"""

from collections.abc import Sequence
from functools import singledispatch
from html import escape
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from analysis.proof.relations import E, Mean, Quantile, Relation
from figures.markup import Markup

# not seen: a product; a function of
TIMES = "<mo>\u2062</mo>"
APPLY = "<mo>\u2061</mo>"
SIGNS = {"<=": "≤", ">=": "≥"}
HALF = sp.Rational(1, 2)
HIGH = ("<mfrac>", "<msqrt>", "<msubsup>", "<mtable>")


def mathml(expression: sp.Expr | Relation) -> Markup:
    """The expression or relation as the contents of a <math> element.

    Raises TypeError for what it cannot set.
    """
    if isinstance(expression, Relation):
        return Markup(_related(expression.lhs, expression.relation, expression.rhs))
    return Markup(_set(expression))


@singledispatch
def _set(expression: Any) -> str:
    raise TypeError(f"no MathML for {type(expression).__name__}: {expression}")


@_set.register(sp.Symbol)
def _symbol(symbol: sp.Symbol) -> str:
    if symbol.name == "Dbar":
        return "<mover><mi>D</mi><mo>¯</mo></mover>"
    base, _, index = symbol.name.partition("_")
    if index == "star":
        return f"<msup>{_letter(base)}<mo>*</mo></msup>"
    return f"<msub>{_letter(base)}{_letter(index)}</msub>" if index else _letter(base)


def _letter(name: str) -> str:
    """A letter, a Greek letter from its name, a number, or an upright word."""
    if name.isdigit():
        return f"<mn>{name}</mn>"
    shown = "ℓ" if name == "ell" else sp.pretty(sp.Symbol(name), use_unicode=True)
    style = ' mathvariant="normal"' if shown in "ΓΔΘΛΣΦΨΩ" else ""
    return f"<mi{style}>{escape(shown)}</mi>"


@_set.register(sp.Add)
def _sum(expression: sp.Add) -> str:
    terms = [term.as_coeff_Mul() for term in expression.as_ordered_terms()]
    terms.sort(key=lambda term: (bool(term[0].is_negative), term[1].has(sp.Add)))
    out = ""
    for i, (number, rest) in enumerate(terms):
        out += "<mo>−</mo>" if number.is_negative else "<mo>+</mo>" if i else ""
        out += _product(abs(number), rest)
    return f"<mrow>{out}</mrow>"


@_set.register(sp.Mul)
@_set.register(sp.Pow)
@_set.register(sp.Rational)
def _signed(expression: sp.Expr) -> str:
    number, rest = expression.as_coeff_Mul()
    sign = "<mo>−</mo>" if number.is_negative else ""
    return f"<mrow>{sign}{_product(abs(number), rest)}</mrow>"


def _product(number: sp.Rational, rest: sp.Expr) -> str:
    """A number >= 0 times the factors of `rest`, as a fraction where there is one.

    Square roots that are multiplied or divided are set as one.
    """
    above, below = ([sp.Integer(n)] if n != 1 else [] for n in (number.p, number.q))
    roots: tuple[list[sp.Expr], list[sp.Expr]] = ([], [])
    for factor in rest.as_ordered_factors() if rest != 1 else []:
        base, power = (
            (factor, sp.S.One) if isinstance(factor, sp.exp) else factor.as_base_exp()
        )
        under = bool(power.is_negative)
        if abs(power) == HALF:
            roots[under].append(base)
        else:
            (below if under else above).append(
                sp.Pow(base, abs(power) if under else power)
            )
    root_above, root_below = ("" if not r else _factors(r) for r in roots)
    if root_above and root_below:
        top = [f"<msqrt><mfrac>{root_above}{root_below}</mfrac></msqrt>"]
        bottom = []
    else:
        top, bottom = (
            [f"<msqrt>{r}</msqrt>"] if r else [] for r in (root_above, root_below)
        )
    upper = _factors(above, top)
    return (
        f"<mfrac>{upper}{_factors(below, bottom)}</mfrac>" if below or bottom else upper
    )


def _factors(factors: Sequence[sp.Expr], roots: Sequence[str] = ()) -> str:
    """The factors in a row: roots before sums, integrals last; 1 if there is none."""
    if not factors and not roots:
        return "<mn>1</mn>"
    first = [f for f in factors if not isinstance(f, (sp.Add, sp.Integral))]
    last = [f for f in factors if isinstance(f, sp.Add)]
    last += [f for f in factors if isinstance(f, sp.Integral)]
    if not roots and len(factors) == 1:
        return _simple(factors[0])
    product = TIMES.join([*map(_simple, first), *roots, *map(_closed, last)])
    return f"<mrow>{product}</mrow>"


def _simple(factor: sp.Expr) -> str:
    """What is not a product, without signs and fractions of its own."""
    if factor.is_Integer:
        return f"<mn>{factor}</mn>"
    if isinstance(factor, sp.Pow) and not isinstance(factor, sp.exp):
        return f"<msup>{_closed(factor.base)}{_set(factor.exp)}</msup>"
    return str(_set(factor))


def _closed(expression: sp.Expr) -> str:
    """Parenthesised unless a letter, a number, a function's value, a last integral."""
    plain = (sp.Symbol, E, AppliedUndef, sp.log, sp.Integral)
    if isinstance(expression, plain) or expression.is_Integer or expression is sp.pi:
        return _simple(expression)
    return _fenced("()", _set(expression))


def _fenced(pair: str, inside: str) -> str:
    """In brackets, which grow with what is inside where it is high."""
    grow = "" if any(tag in inside for tag in HIGH) else ' stretchy="false"'
    left, right = (f"<mo{grow}>{sign}</mo>" for sign in pair)
    return f"<mrow>{left}{inside}{right}</mrow>"


@_set.register(type(sp.pi))
def _pi(_: sp.Expr) -> str:
    return "<mi>π</mi>"


@_set.register(sp.exp)
def _exponential(expression: sp.exp) -> str:
    return f"<msup><mi>e</mi>{_set(expression.args[0])}</msup>"


@_set.register(sp.log)
@_set.register(AppliedUndef)
def _function(expression: sp.Expr) -> str:
    name = (
        "<mi>ln</mi>"
        if isinstance(expression, sp.log)
        else _letter(expression.func.__name__)
    )
    argument = expression.args[0]
    if isinstance(expression, sp.log) and (argument.is_Symbol or argument.is_Integer):
        return f"<mrow>{name}{APPLY}{_set(argument)}</mrow>"
    return f"<mrow>{name}{APPLY}{_fenced('()', _set(argument))}</mrow>"


@_set.register(E)
def _expectation(expression: sp.Expr) -> str:
    inside = _fenced("[]", _set(expression.args[0]))
    return f'<mrow><mi mathvariant="normal">E</mi>{APPLY}{inside}</mrow>'


@_set.register(Mean)
def _mean(expression: sp.Expr) -> str:
    inside = _fenced("[]", _set(expression.args[0]))
    return f"<mrow>{_letter('Mean')}{APPLY}{inside}</mrow>"


@_set.register(Quantile)
def _quantile(expression: sp.Expr) -> str:
    of, level = (_set(part) for part in expression.args)
    name = f"<msub>{_letter('Quantile')}<mrow>{level}</mrow></msub>"
    return f"<mrow>{name}{APPLY}{_fenced('[]', of)}</mrow>"


@_set.register(sp.Integral)
def _integral(integral: sp.Integral) -> str:
    ((variable, low, high),) = integral.limits
    sign = f"<msubsup><mo>∫</mo>{_set(low)}{_set(high)}</msubsup>"
    element = f'<mspace width="0.17em"></mspace><mi>d</mi>{_set(variable)}'
    inside = integral.function
    integrand = _closed(inside) if inside.is_Add else _set(inside)
    return f"<mrow>{sign}{integrand}{element}</mrow>"


@_set.register(sp.Piecewise)
def _cases(cases: sp.Piecewise) -> str:
    rows = ""
    for value, condition in cases.args:
        when = "<mtext>otherwise</mtext>"
        if condition is not sp.true:
            when = f"<mrow><mtext>if\u00a0</mtext>{_set(condition)}</mrow>"
        rows += f"<mtr><mtd>{_set(value)}</mtd><mtd>{when}</mtd></mtr>"
    return f"<mrow><mo>{{</mo><mtable>{rows}</mtable></mrow>"


@_set.register(Relational)
def _relation(relation: Relational) -> str:
    return f"<mrow>{_related(relation.lhs, relation.rel_op, relation.rhs)}</mrow>"


def _related(left: sp.Expr, sign: str, right: sp.Expr) -> str:
    return f"{_set(left)}<mo>{escape(SIGNS.get(sign, sign))}</mo>{_set(right)}"
