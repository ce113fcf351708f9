"""Numbers from claims: the one place that turns expressions into functions."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from analysis.proof.symbols import BY_NAME, Entry, epsilon, lam
from analysis.proof.values import Implicit, Value
from analysis.spec.checking import SpecificationError, percent_hint, refuse, suggestion

Values = dict[str, Any]
Arrays = dict[sp.Symbol, np.ndarray]


class Compiled(NamedTuple):
    """An expression as a function of arrays; its symbols in the arguments' order."""

    function: Callable[..., Any]
    symbols: list[sp.Symbol]


def inputs(values: Mapping[str, Value]) -> tuple[Entry, ...]:
    """The notation entries that the values need, in the order of the notation table."""
    given: set[sp.Symbol] = set()
    needed: set[sp.Symbol] = set()
    for name, value in values.items():
        if isinstance(value, Implicit):
            parts = sp.Tuple(value.equation, value.low, value.high)
            needed |= parts.free_symbols - given - {value.symbol}
            given.add(BY_NAME[name].symbol)
        else:
            needed |= value.free_symbols - given
    if lam in needed:
        needed = (needed - {lam}) | {epsilon}
    entries = {id(e): e for e in BY_NAME.values() if e.symbol in needed}
    return tuple(entries.values())


def evaluate(claim: str, values: Mapping[str, Value], given: Values) -> Values:
    """The claim's values at these inputs, by name or symbol; arrays broadcast.

    All values of a call have one shape, that of the inputs broadcast together; they are
    NaN or infinite where the claim says nothing.

    Raises SpecificationError for an input that is missing, unknown or outside its
    domain, and for shapes that do not broadcast.
    """
    entries = inputs(values)
    at = checked_inputs(claim, entries, given)
    try:
        shape = np.broadcast_shapes(*(array.shape for array in at.values()))
    except ValueError:
        shapes = ", ".join(f"{e.name} {at[e.symbol].shape}" for e in entries)
        message = f"{claim}: shapes do not broadcast: {shapes}"
        raise SpecificationError(message) from None
    if epsilon in at:
        at[lam] = -np.log1p(-at[epsilon])
    result: Values = {}
    with np.errstate(all="ignore"):  # outside its range a claim says NaN or infinity
        for name, value in values.items():
            if isinstance(value, Implicit):
                at[value.symbol] = result[name] = _root(value, at)
            else:
                result[name] = _number(value, at)
    return {n: np.array(np.broadcast_to(v, shape))[()] for n, v in result.items()}


def checked_inputs(claim: str, entries: tuple[Entry, ...], given: Values) -> Arrays:
    """Arrays of floats by symbol.

    Raises SpecificationError naming an input that is missing, unknown or out of range.
    """
    allowed = ", ".join(f"{e.name} ({e.symbol})" for e in entries)
    known = {e.name: e for e in entries} | {str(e.symbol): e for e in entries}
    result: Arrays = {}
    for name, value in given.items():
        if name not in known:
            hint = suggestion(name, known)
            message = f"{claim}: unknown input {name!r}: must be one of {allowed}{hint}"
            raise SpecificationError(message)
        entry = known[name]
        if entry.symbol in result:
            raise SpecificationError(f"{claim}: {entry.name} is given twice")
        result[entry.symbol] = in_domain(entry, value)
    for entry in entries:
        if entry.symbol not in result:
            missing = f"the input {entry.name} ({entry.symbol}) is missing"
            raise SpecificationError(f"{claim}: {missing}")
    return result


def in_domain(entry: Entry, value: Any) -> np.ndarray:
    """The value as floats; refused where an element lies outside the entry's domain."""
    interval = entry.domain
    allowed = f"{interval.start} {'<' if interval.left_open else '<='} {entry.name}"
    if interval.end != sp.oo:
        allowed += f" {'<' if interval.right_open else '<='} {interval.end}"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        refuse(entry.name, value, f"numbers with {allowed}")
    low, high = float(interval.start), float(interval.end)
    inside = (array > low) if interval.left_open else (array >= low)
    inside &= (array < high) if interval.right_open else (array <= high)
    if not (inside & np.isfinite(array)).all():
        percent = array.ndim == 0 and entry.name.endswith("fraction")
        hint = percent_hint(float(array)) if percent else ""
        refuse(entry.name, value, f"finite with {allowed}{hint}")
    return array


def accurate(expression: sp.Expr) -> sp.Expr:
    """The same expression with c e^y - c as c expm1(y) and log(1 + y) as log1p(y).

    A probability of draggers may be far below the spacing of floats around 1.
    """
    exponential = expression.replace(lambda e: e.is_Add and e.has(sp.exp), _with_expm1)
    return exponential.replace(
        lambda e: (
            isinstance(e, sp.log) and e.args[0].is_Add and sp.S.One in e.args[0].args
        ),
        lambda e: log1p(e.args[0] - 1),
    )


def _with_expm1(total: sp.Expr) -> sp.Expr:
    terms = list(total.args)
    for term in total.args:
        powers = [
            factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.exp)
        ]
        if len(powers) == 1 and -term / powers[0] in terms:
            scale = term / powers[0]
            terms.remove(term)
            terms.remove(-scale)
            terms.append(scale * expm1(powers[0].args[0]))
    return sp.Add(*terms)


@cache
def _compiled(expression: sp.Expr, leading: sp.Symbol | None = None) -> Compiled:
    """The expression as a function; of the leading symbol first, if there is one."""
    symbols = sorted(expression.free_symbols - {leading}, key=str)
    arguments = symbols if leading is None else [leading, *symbols]
    modules = [{"LambertW": _lambert_w}, "numpy", "scipy"]
    function = sp.lambdify(arguments, accurate(expression), modules=modules)
    return Compiled(function, symbols)


def _lambert_w(z: Any) -> Any:
    """The principal branch of Lambert's W, real as z ≥ -1/e is."""
    from scipy.special import lambertw  # few claims need it

    return lambertw(z).real


def _number(expression: sp.Expr, at: Arrays) -> np.ndarray:
    compiled = _compiled(expression)
    arrays = np.broadcast_arrays(*(at[symbol] for symbol in compiled.symbols))
    return np.asarray(compiled.function(*arrays), dtype=np.float64)


def _root(implicit: Implicit, at: Arrays) -> Any:
    """The root by bracketing, NaN where the interval holds none."""
    from scipy.optimize import elementwise  # slow to import, and few claims need it

    low = _number(implicit.low, at)
    high = _number(implicit.high, at)
    equation = _compiled(implicit.equation, implicit.symbol)
    parameters = [at[symbol] for symbol in equation.symbols]
    low, high, *parameters = np.broadcast_arrays(low, high, *parameters)
    result = elementwise.find_root(
        equation.function,
        (low, high),
        args=tuple(parameters),
        tolerances={"xatol": 0.0, "xrtol": 1e-15},
    )
    return np.where(result.success, result.x, np.nan)[()]
