"""The five update rules, written once for every array library.

The library xp is NumPy, CuPy or a strict one.

Each rule maps the micro-batch gradients g [..., m, d] of one step to the direction
[..., d] that is subtracted from w after multiplication with the step size. Edge cases,
tested one by one:

| case                     | sgd, global | adaptive       | normalized  | fixed       |
| ------------------------ | ----------- | -------------- | ----------- | ----------- |
| a micro-batch has norm 0 | counts as 0 | the step is 0  | counts as 0 | counts as 0 |
| m = 1 (b = B)            | the mean    | the mean (sgd) | unit vector | = global    |
| a gradient is not finite | not finite  | not finite     | not finite  | not finite  |

Non-finite results are passed on, never repaired: a run that diverges must be seen to
diverge. Finite gradients give the right direction whatever their size, also where
squares overflow or vanish. Numbers of less than 32 bits are computed with in float32;
the result has the type of g.
"""

import math
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from numbers import Real
from typing import Any

import numpy as np

from analysis.spec.checking import choice, refuse
from analysis.spec.rule import Rule

Direction = Callable[[Any], Any]
# types of g that are computed with as they are
WIDE = ("float32", "float64", "longdouble")
NOT_REAL = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("complex64", "complex128"),
)
NO_NUMBERS = tuple("OSUTMm")  # kinds of NumPy's types: objects, texts, dates

# squares are looked at, divergence is seen
quiet = np.errstate(over="ignore", invalid="ignore")


@lru_cache(maxsize=64)
def _working_type(dtype: Any, xp: Any) -> Any:
    """The type to compute with instead of that one, None if it will do."""

    def among(types: tuple[str, ...]) -> bool:
        return any(hasattr(xp, name) and dtype == getattr(xp, name) for name in types)

    if among(NOT_REAL) or getattr(dtype, "kind", "") in NO_NUMBERS:
        refuse("g.dtype", str(dtype), "a real floating-point type")
    # NumPy's, with its bytes in the other order
    if not getattr(dtype, "isnative", True):
        native = dtype.newbyteorder("=")
        return _working_type(native, xp) or native
    return None if among(WIDE) else xp.float32


@lru_cache(maxsize=64)
def _squares(dtype: Any, xp: Any) -> tuple[float, float]:
    """Between these, a square has all its digits."""
    info = xp.finfo(dtype)
    return float(info.smallest_normal) / float(info.eps), float(info.max)


def _ordinary(g: Any, xp: Any) -> Any | None:
    """The norms of g [..., 1] if no square overflows, underflows or is 0, else None."""
    square = xp.sum(g * g, axis=-1, keepdims=True)
    low, high = _squares(g.dtype, xp)
    fits = float(xp.min(square)) > low and float(xp.max(square)) <= high
    return xp.sqrt(square) if fits else None


def _polar(g: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Vectors h of normal size, a number, norm of h; g = number·h [..., d], [..., 1].

    The number is 1 where g is ordinary itself, zero or not finite: a mini-batch's
    result does not depend on what stands beside it.
    """
    square = xp.sum(g * g, axis=-1, keepdims=True)
    low, high = _squares(g.dtype, xp)
    largest = xp.max(xp.abs(g), axis=-1, keepdims=True)
    plain = ((square > low) & (square <= high)) | (largest == 0) | ~xp.isfinite(largest)
    number = xp.where(plain, xp.ones_like(largest), largest)
    h = g / number
    return h, number, xp.sqrt(xp.sum(h * h, axis=-1, keepdims=True))


def _scaled(h: Any, norm: Any, length: Any, xp: Any) -> Any:
    """Vectors h [..., d] of that norm rescaled to `length` [..., 1]; zero stays zero.

    Where the factor itself would lose digits, h is normalised first.
    """
    zero = norm == 0
    divisor = xp.where(zero, norm + 1, norm)
    factor = xp.where(zero, xp.zeros_like(norm), length) / divisor
    faint = (factor < xp.finfo(h.dtype).smallest_normal) & (length > 0)
    return xp.where(faint, h / divisor * length, h * factor)


def _mean(g: Any, xp: Any) -> Any:
    """Mean over the micro-batches [..., d], also where their sum would overflow."""
    mean = xp.mean(g, axis=-2)
    finite = xp.isfinite(mean)
    if bool(xp.all(finite)):
        return mean
    return xp.where(finite, mean, xp.sum(g / g.shape[-2], axis=-2))


@quiet
def sgd(g: Any, xp: Any = np) -> Any:
    """The mean gradient: no clipping."""
    return _mean(g, xp)


@quiet
def adaptive(g: Any, xp: Any = np) -> Any:
    """Algorithm 1: each micro-batch gradient is shortened to the smallest norm."""
    norm = _ordinary(g, xp)
    if norm is not None:
        return _mean(g * (xp.min(norm, axis=-2, keepdims=True) / norm), xp)
    h, number, norm = _polar(g, xp)
    smallest = xp.min(number * norm, axis=-2, keepdims=True)
    longest = math.sqrt(g.shape[-1])  # of h; norms relative to it cannot overflow
    relative = xp.min(number * (norm / longest), axis=-2, keepdims=True)
    fits = xp.isfinite(smallest)
    shorter = _scaled(h, norm, xp.where(fits, smallest, relative), xp)
    return _mean(xp.where(fits, shorter, shorter * longest), xp)


@quiet
def normalized(g: Any, xp: Any = np) -> Any:
    """The mean of the micro-batches' unit vectors: Algorithm 1 at constant norm."""
    norm = _ordinary(g, xp)
    if norm is not None:
        return _mean(g * (1 / norm), xp)
    h, _, norm = _polar(g, xp)
    return _mean(_scaled(h, norm, xp.ones_like(norm), xp), xp)


@quiet
def fixed(g: Any, threshold: Any, xp: Any = np) -> Any:
    """Each micro-batch gradient is clipped at `threshold`, averaged: per-core clipping.

    The threshold is a number, or an array that broadcasts against the norms [..., m,
    1].
    """
    norm = _ordinary(g, xp)
    if norm is not None:
        length = xp.zeros_like(norm) + threshold
        if float(xp.min(length)) > math.sqrt(_squares(g.dtype, xp)[0]):
            return _mean(g * (xp.where(norm > length, length, norm) / norm), xp)
    h, number, norm = _polar(g, xp)
    length = xp.zeros_like(norm) + threshold
    clipped = norm > length / number
    return _mean(xp.where(clipped, _scaled(h, norm, length, xp), g), xp)


@quiet
def average_then_clip(g: Any, threshold: Any, xp: Any = np) -> Any:
    """Rule `global`: the mean over the micro-batches is clipped to `threshold`."""
    return fixed(xp.expand_dims(_mean(g, xp), axis=-2), threshold, xp)


def _direction(rule: Rule, threshold: float | None) -> Callable[..., Any]:
    """The function of g and xp that the rule is, once its threshold is one."""
    if not rule.needs_threshold:
        if threshold is not None:
            refuse("threshold", threshold, f"absent with rule {rule.value!r}")
        limit = math.inf
    elif (
        isinstance(threshold, Real)
        and not isinstance(threshold, bool)
        and threshold > 0
    ):
        try:
            limit = float(threshold)
        except OverflowError:  # an integer of hundreds of digits
            limit = sys.float_info.max
        if limit == math.inf:
            return sgd
    else:
        refuse(
            "threshold", threshold, f"a number > 0, or inf, with rule {rule.value!r}"
        )
    match rule:
        case Rule.SGD:
            return sgd
        case Rule.ADAPTIVE:
            return adaptive
        case Rule.NORMALIZED:
            return normalized
        case Rule.FIXED:
            return partial(fixed, threshold=limit)
        case Rule.GLOBAL:
            return partial(average_then_clip, threshold=limit)


def running_sum(g: Any, threshold: Any, xp: Any = np) -> Any:
    """A mistake, no rule of an experiment: S ← clip(S + g_j/m), j = 1 … m; the last S.

    It is what a loop does that accumulates gradients and clips after each micro-batch.
    For gradients of ordinary size: their squares neither overflow nor vanish.
    """
    return _accumulated(g, threshold, xp)[0]


def running_sum_weights(g: Any, threshold: Any, xp: Any = np) -> Any:
    """The weight W_j of each micro-batch in the running sum Σ W_j g_j/m [..., m].

    W_j = f_j f_(j+1) … f_m, with f_j the factor by which the j-th clipping shortens the
    sum.
    """
    weights: list[Any] = []
    for factor in reversed(_accumulated(g, threshold, xp)[1]):
        weights.append(weights[-1] * factor if weights else factor)
    return xp.concat(weights[::-1], axis=-2)[..., 0]


def _accumulated(g: Any, threshold: Any, xp: Any) -> tuple[Any, list[Any]]:
    """The last S [..., d], and the factors f_1 … f_m [..., 1, 1]."""
    m = g.shape[-2]
    factors: list[Any] = []
    total = xp.zeros_like(g[..., :1, :])
    for j in range(m):
        total = total + g[..., j : j + 1, :] / m
        norm = xp.sqrt(xp.sum(total * total, axis=-1, keepdims=True))
        length = xp.zeros_like(norm) + threshold
        factors.append(length / xp.maximum(norm, length))
        total = total * factors[-1]
    return total[..., 0, :], factors


def rule(
    name: str,
    aggregate: str = "mean",
    threshold: float | None = None,
    xp: Any = np,
) -> Direction:
    """The rule of that name as function of g [..., m, d] alone, reals of any precision.

    aggregate "sum" adds the micro-batches up instead of averaging: m times the
    direction. `threshold`, for fixed and global only, is a number > 0 in units of g;
    inf is no clipping: sgd. Raises SpecificationError, a ValueError, for another name,
    aggregate or threshold, and the function that is returned does so for an array that
    holds no gradient.
    """
    chosen = Rule.check("rule", name)
    choice("mean", "sum")("aggregate", aggregate)
    direction = _direction(chosen, threshold)

    def applied(g: Any) -> Any:
        if g.ndim < 2 or 0 in g.shape[-2:]:
            refuse(
                "g.shape", tuple(g.shape), "[..., m, d] with at least one micro-batch"
            )
        if 0 in g.shape:  # no steps
            return xp.sum(g, axis=-2)
        wide = _working_type(g.dtype, xp)
        found = direction(g if wide is None else xp.astype(g, wide), xp=xp)
        if aggregate == "sum":
            found = found * g.shape[-2]
        return found if wide is None else xp.astype(found, g.dtype)

    return applied
