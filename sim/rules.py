"""The five update rules, written once for any array library with the array API.

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

from array_api_compat import array_namespace

Rule = Callable[[Any], Any]


def _norm(g: Any) -> Any:
    """Euclidean norm over the last axis, which is kept [..., 1]."""
    return array_namespace(g).linalg.vector_norm(g, axis=-1, keepdims=True)


def _scaled(g: Any, length: Any) -> Any:
    """Vectors g [..., d] rescaled to `length` [..., 1]; a zero vector stays zero."""
    xp = array_namespace(g)
    norm = _norm(g)
    zero = norm == 0
    return g * (xp.where(zero, xp.zeros_like(norm), length) / xp.where(zero, norm + 1, norm))


def _mean(g: Any) -> Any:
    return array_namespace(g).mean(g, axis=-2)


def sgd(g: Any) -> Any:
    """The mean gradient: no clipping."""
    return _mean(g)


def adaptive(g: Any) -> Any:
    """Algorithm 1: every micro-batch gradient is scaled down to the smallest norm among them."""
    smallest = array_namespace(g).min(_norm(g), axis=-2, keepdims=True)
    return _mean(_scaled(g, smallest))


def normalized(g: Any) -> Any:
    """The mean of the micro-batches' unit vectors: Algorithm 1 at constant clipping norm."""
    xp = array_namespace(g)
    return _mean(_scaled(g, xp.ones_like(_norm(g))))


def fixed(g: Any, threshold: float) -> Any:
    """Each micro-batch gradient is clipped to `threshold`, then averaged: per-core clipping."""
    xp = array_namespace(g)
    norm = _norm(g)
    return _mean(_scaled(g, xp.where(norm > threshold, xp.zeros_like(norm) + threshold, norm)))


def average_then_clip(g: Any, threshold: float) -> Any:
    """Rule `global`: the mini-batch gradient is averaged, then clipped to `threshold`."""
    return fixed(array_namespace(g).expand_dims(_mean(g), axis=-2), threshold)


def rule(name: str, aggregate: str = "mean", threshold: float | None = None) -> Rule:
    """The rule of that name as a function of g [..., m, d] alone.

    aggregate "sum" adds the micro-batches up instead of averaging: m times the direction.
    """
    if name in ("fixed", "global"):
        if threshold is None:
            raise ValueError(f"rule {name!r} needs a threshold")
        limited = {"fixed": fixed, "global": average_then_clip}
        direction: Rule = partial(limited[name], threshold=threshold)
    else:
        direction = {"sgd": sgd, "adaptive": adaptive, "normalized": normalized}[name]
    if aggregate == "mean":
        return direction
    return lambda g: direction(g) * g.shape[-2]
