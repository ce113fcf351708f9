"""Expressions as LaTeX that both a TeX system and matplotlib's mathtext can set."""

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter, greek_letters_set

from analysis.proof.relations import Relation

GREEK = greek_letters_set | {"kappa", "ell", "dbar"}
SIGNS = {"<=": r"\leq", ">=": r"\geq"}


class Printer(LatexPrinter):
    """SymPy's printer, no environments or limits above signs, which mathtext lacks."""

    def _print_Symbol(self, symbol: sp.Symbol, style: str = "plain") -> str:
        word = symbol.name.split("_")[0]
        if len(word) > 1 and word.isalpha() and word.lower() not in GREEK:
            return r"\mathrm{" + symbol.name.replace("_", r"\ ") + "}"
        return str(super()._print_Symbol(symbol))

    def _print_Integral(self, integral: sp.Integral) -> str:
        ((variable, low, high),) = integral.limits
        ends = rf"\int_{{{self._print(low)}}}^{{{self._print(high)}}}"
        return rf"{ends} {self._print(integral.function)}\, d{self._print(variable)}"

    def _print_E(self, expectation: sp.Expr, exp: Any = None) -> str:
        inside = rf"\mathbb{{E}}\left[{self._print(expectation.args[0])}\right]"
        return inside if exp is None else rf"{inside}^{{{exp}}}"

    def _print_Mean(self, mean: sp.Expr, exp: Any = None) -> str:
        inside = rf"\mathrm{{Mean}}\left[{self._print(mean.args[0])}\right]"
        return inside if exp is None else rf"{inside}^{{{exp}}}"

    def _print_Quantile(self, quantile: sp.Expr, exp: Any = None) -> str:
        of, level = (self._print(part) for part in quantile.args)
        inside = rf"\mathrm{{Quantile}}_{{{level}}}\left[{of}\right]"
        return inside if exp is None else rf"{inside}^{{{exp}}}"

    def _print_Derivative(self, slope: sp.Expr) -> str:
        (variable,) = slope.variables
        return (
            rf"\frac{{d}}{{d {self._print(variable)}}} "
            rf"\left({self._print(slope.expr)}\right)"
        )

    def _print_Piecewise(self, cases: sp.Piecewise) -> str:
        parts = []
        for value, condition in cases.args:
            when = r"\mathrm{else}"
            if condition is not sp.true:
                when = rf"\mathrm{{if}}\ {self._print(condition)}"
            parts.append(rf"{self._print(value)}\ {when}")
        return r"\left[" + r",\ ".join(parts) + r"\right]"

    def _print_Subs(self, expression: sp.Subs) -> str:
        value, old, new = expression.args
        place = f"{self._print(old[0])}={self._print(new[0])}"
        return rf"\left[{self._print(value)}\right]_{{{place}}}"

    def _print_Min(self, expression: sp.Min, exp: Any = None) -> str:
        return rf"\min\left({', '.join(self._print(a) for a in expression.args)}\right)"

    def _print_Max(self, expression: sp.Max, exp: Any = None) -> str:
        return rf"\max\left({', '.join(self._print(a) for a in expression.args)}\right)"


def latex(expression: sp.Expr) -> str:
    """The expression as LaTeX."""
    return str(Printer().doprint(expression))


def latex_relation(relation: Relation) -> str:
    """The relation as LaTeX."""
    sign = SIGNS.get(relation.relation, relation.relation)
    return f"{latex(relation.lhs)} {sign} {latex(relation.rhs)}"
