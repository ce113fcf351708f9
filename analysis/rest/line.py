"""Stationary points where all gradients lie on one line."""

import numpy as np

from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping


def stationary_gradient(model: GradientModel, clipping: Clipping) -> float:
    """∇f at the stationary point, with its sign, for domains in one dimension.

    Its size is the bias. Raises ValueError in several dimensions, for domains with one
    optimum, and for several stationary points or none.
    """
    shifts = model.domain_shifts() if model.domains else np.zeros((1, 1))
    if model.dimension != 1 or not shifts.any():
        raise ValueError("the sign is known for several domains in one dimension only")
    update = Update(model, clipping)
    (point,) = stationary_points(update)
    # the axis may point either way: compare a domain's shift in both
    farthest = int(np.abs(shifts[:, 0]).argmax())
    side = np.sign(update.span.shifts[farthest] @ shifts[farthest])
    return float(side * point.gradient[0])
