"""The five update rules, written once for every array library: xp is NumPy, CuPy or a strict one.

Each rule maps the micro-batch gradients g [..., m, d] of one step to the direction [..., d] that is
subtracted from w after multiplication with the step size. Edge cases, tested one by one:

| case                        | sgd, global | adaptive          | normalized | fixed       |
| --------------------------- | ----------- | ----------------- | ---------- | ----------- |
| one micro-batch has norm 0  | counts as 0 | the step is 0     | counts as 0| counts as 0 |
| m = 1 (b = B)               | the mean    | the mean (= sgd)  | unit vector| = global    |
| a gradient is not finite    | not finite  | not finite        | not finite | not finite  |

Non-finite results are passed on, never repaired: a run that diverges must be seen to diverge.
Norms are exact for gradients between about 1e-150 and 1e150 in float64, where squares neither
overflow nor vanish.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

Rule = Callable[[Any], Any]


def _norm(g: Any, xp: Any) -> Any:
    """Euclidean norm over the last axis, which is kept [..., 1]."""
    return xp.sqrt(xp.sum(g * g, axis=-1, keepdims=True))


def _scaled(g: Any, norm: Any, length: Any, xp: Any) -> Any:
    """Vectors g [..., d] of the given norm rescaled to `length` [..., 1]; zero stays zero."""
    zero = norm == 0
    return g * (xp.where(zero, xp.zeros_like(norm), length) / xp.where(zero, norm + 1, norm))


def sgd(g: Any, xp: Any = np) -> Any:
    """The mean gradient: no clipping."""
    return xp.mean(g, axis=-2)


def adaptive(g: Any, xp: Any = np) -> Any:
    """Algorithm 1: every micro-batch gradient is scaled down to the smallest norm among them."""
    norm = _norm(g, xp)
    return xp.mean(_scaled(g, norm, xp.min(norm, axis=-2, keepdims=True), xp), axis=-2)


def normalized(g: Any, xp: Any = np) -> Any:
    """The mean of the micro-batches' unit vectors: Algorithm 1 at constant clipping norm."""
    norm = _norm(g, xp)
    return xp.mean(_scaled(g, norm, xp.ones_like(norm), xp), axis=-2)


def fixed(g: Any, threshold: float, xp: Any = np) -> Any:
    """Each micro-batch gradient is clipped to `threshold`, then averaged: per-core clipping."""
    norm = _norm(g, xp)
    length = xp.where(norm > threshold, xp.zeros_like(norm) + threshold, norm)
    return xp.mean(_scaled(g, norm, length, xp), axis=-2)


def average_then_clip(g: Any, threshold: float, xp: Any = np) -> Any:
    """Rule `global`: the mini-batch gradient is averaged, then clipped to `threshold`."""
    return fixed(xp.expand_dims(xp.mean(g, axis=-2), axis=-2), threshold, xp)


def rule(name: str, aggregate: str = "mean", threshold: float | None = None, xp: Any = np) -> Rule:
    """The rule of that name as a function of g [..., m, d] alone.

    aggregate "sum" adds the micro-batches up instead of averaging: m times the direction. Raises
    ValueError when the rule needs a threshold and has none.
    """
    if name in ("fixed", "global"):
        if threshold is None:
            raise ValueError(f"rule {name!r} needs a threshold")
        limited = {"fixed": fixed, "global": average_then_clip}
        direction: Rule = partial(limited[name], threshold=threshold, xp=xp)
    else:
        direction = partial(
            {"sgd": sgd, "adaptive": adaptive, "normalized": normalized}[name], xp=xp
        )
    if aggregate == "mean":
        return direction
    return lambda g: direction(g) * g.shape[-2]
