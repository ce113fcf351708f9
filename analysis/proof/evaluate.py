"""Numbers from claims: the one place that turns expressions into functions."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import elementwise
from sympy.codegen.cfunctions import expm1, log1p

from analysis.proof.claim import Claim
from analysis.proof.symbols import BY_NAME, Entry, epsilon, lam
from analysis.proof.values import Implicit
from analysis.spec.checking import SpecificationError, percent_hint, refuse, suggestion

Values = dict[str, Any]


def inputs(claim: Claim) -> tuple[Entry, ...]:
    """The notation entries that the claim's values need, in the order of the notation table."""
    given: set[sp.Symbol] = set()
    needed: set[sp.Symbol] = set()
    for name, value in claim.values.items():
        parts = (value.equation, value.low, value.high) if isinstance(value, Implicit) else (value,)
        free = set().union(*(part.free_symbols for part in parts)) - given
        if isinstance(value, Implicit):
            free -= {value.symbol}
            given.add(BY_NAME[name].symbol)
        needed |= free
    if lam in needed:
        needed = (needed - {lam}) | {epsilon}
    entries = {id(e): e for e in BY_NAME.values() if e.symbol in needed}
    return tuple(entries.values())


def compiled(claim: Claim) -> Callable[..., Values]:
    """Function of the claim's inputs (by name or symbol; arrays broadcast) to its values.

    All values of a call have one shape, that of the inputs broadcast together.
    """
    entries = inputs(claim)

    def function(**given: Any) -> Values:
        at: dict[sp.Symbol, Any] = checked_inputs(claim.name, entries, given)
        if epsilon in at:
            at[lam] = -np.log1p(-at[epsilon])
        result: Values = {}
        try:
            shape = np.broadcast_shapes(*(array.shape for array in at.values()))
        except ValueError:
            shapes = ", ".join(f"{e.name} {at[e.symbol].shape}" for e in entries)
            raise SpecificationError(f"{claim.name}: shapes do not broadcast: {shapes}") from None
        with np.errstate(all="ignore"):  # outside its range a claim says NaN or infinity
            for name, value in claim.values.items():
                if isinstance(value, Implicit):
                    result[name] = at[value.symbol] = _root(value, at)
                else:
                    result[name] = _function(value, at)
        return {name: np.array(np.broadcast_to(v, shape))[()] for name, v in result.items()}

    return function


def checked_inputs(claim: str, entries: tuple[Entry, ...], given: Values) -> dict[sp.Symbol, Any]:
    """Arrays by symbol. Raises SpecificationError naming a missing, unknown or forbidden input."""
    allowed = ", ".join(f"{e.name} ({e.symbol})" for e in entries)
    known = {e.name: e for e in entries} | {str(e.symbol): e for e in entries}
    result: dict[sp.Symbol, Any] = {}
    for name, value in given.items():
        if name not in known:
            meant = suggestion(name, known)
            message = f"{claim}: unknown input {name!r}: must be one of {allowed}{meant}"
            raise SpecificationError(message)
        entry = known[name]
        if entry.symbol in result:
            raise SpecificationError(f"{claim}: {entry.name} is given twice")
        result[entry.symbol] = in_domain(entry, value)
    for entry in entries:
        if entry.symbol not in result:
            raise SpecificationError(f"{claim}: the input {entry.name} ({entry.symbol}) is missing")
    return result


def in_domain(entry: Entry, value: Any) -> np.ndarray:
    """The value as floats, refused when some element lies outside the entry's domain."""
    interval = entry.domain
    ends = (interval.start, "<" if interval.left_open else "<=", entry.symbol)
    allowed = f"{ends[0]} {ends[1]} {entry.name}"
    if interval.end != sp.oo:
        allowed += f" {'<' if interval.right_open else '<='} {interval.end}"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        refuse(entry.name, value, f"numbers with {allowed}")
    low, high = float(interval.start), float(interval.end)
    good = (array > low) if interval.left_open else (array >= low)
    good &= (array < high) if interval.right_open else (array <= high)
    if not (good & np.isfinite(array)).all():
        percent = array.ndim == 0 and entry.name.endswith("fraction")
        hint = percent_hint(float(array)) if percent else ""
        refuse(entry.name, value, f"finite with {allowed}{hint}")
    return array


def accurate(expression: sp.Expr) -> sp.Expr:
    """The same expression with c e^y - c as c expm1(y) and log(1 + y) as log1p(y).

    A chance of draggers may be far below the spacing of floats around 1.
    """
    exponential = expression.replace(lambda e: e.is_Add and e.has(sp.exp), _with_expm1)
    return exponential.replace(
        lambda e: isinstance(e, sp.log) and e.args[0].is_Add and sp.S.One in e.args[0].args,
        lambda e: log1p(e.args[0] - 1),
    )


def _with_expm1(total: sp.Expr) -> sp.Expr:
    terms = list(total.args)
    for term in total.args:
        powers = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.exp)]
        if len(powers) == 1 and -term / powers[0] in terms:
            scale = term / powers[0]
            terms.remove(term)
            terms.remove(-scale)
            terms.append(scale * expm1(powers[0].args[0]))
    return sp.Add(*terms)


@cache
def _lambdified(expression: sp.Expr, first: sp.Symbol | None = None) -> tuple[Any, list[sp.Symbol]]:
    """The expression as a function, and its symbols in the order of the arguments."""
    free = sorted(expression.free_symbols - {first}, key=str)
    order = free if first is None else [first, *free]
    return sp.lambdify(order, accurate(expression), modules=["numpy", "scipy"]), free


def _function(expression: sp.Expr, at: dict[sp.Symbol, Any]) -> Any:
    function, free = _lambdified(expression)
    same_shape = np.broadcast_arrays(*(at[symbol] for symbol in free))  # for And, Min and Max
    return np.asarray(function(*same_shape), dtype=np.float64)


def _root(implicit: Implicit, at: dict[sp.Symbol, Any]) -> Any:
    """The root by bracketing, NaN where the interval holds none."""
    low, high = _function(implicit.low, at), _function(implicit.high, at)
    function, free = _lambdified(implicit.equation, implicit.symbol)
    low, high, *rest = np.broadcast_arrays(low, high, *(at[symbol] for symbol in free))
    result = elementwise.find_root(
        function, (low, high), args=tuple(rest), tolerances={"xatol": 0.0, "xrtol": 1e-15}
    )
    return np.where(result.success, result.x, np.nan)[()]
