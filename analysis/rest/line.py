"""Stationary points where all gradients lie on one line."""

import numpy as np

from analysis.rest.axes import span
from analysis.rest.stable import stable_roots
from analysis.spec.model import GradientModel


def stationary_gradient(
    model: GradientModel,
    rule: str,
    batch_size: int,
    micro_batch_size: int,
    *,
    pure: bool = False,
) -> float:
    """∇f at the stationary point, with its sign, for domains in one dimension.

    Its size is the bias. `pure`: each micro-batch has samples of one domain. Raises
    ValueError in several dimensions, for domains with one optimum, and for several
    stationary points or none.
    """
    shifts = model.domain_shifts() if model.domains else np.zeros((1, 1))
    if model.dimension != 1 or not shifts.any():
        raise ValueError("the sign is known for several domains in one dimension only")
    group = micro_batch_size if pure else 1
    m = batch_size // micro_batch_size
    (root,) = stable_roots(model, micro_batch_size, rule, m, group=group)
    # the axis of `span` may point either way: compare a domain's shift in both
    farthest = int(np.abs(shifts[:, 0]).argmax())
    side = np.sign(span(model).shifts[farthest] @ shifts[farthest])
    return float(side * root[0])
