"""Stationary points where all gradients lie on one line."""

import numpy as np
from scipy import optimize

from analysis.rest.mixture import mixture
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update, expected_update
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule


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


def normalized_bias(model: GradientModel, micro_batch_size: int) -> float:
    """The normalized rule's exact bias where draggers push ∇f up the axis of all means.

    The expected update is the gradient of the convex E‖g‖, so that it has one root on
    the line: a bracket that begins at 0 finds it, many times faster than `exact_bias`,
    which also searches for others. The axis is the first of `Update.span`. The relative
    error is about 1e-6. Raises ValueError where the root is not positive.
    """
    law = mixture(model, micro_batch_size).thinned(1e-8)
    clipping = Clipping(Rule.NORMALIZED, micro_batch_size, micro_batch_size)

    def drift(x: float) -> float:
        return float(expected_update(law, np.array([x]), clipping)[0])

    high = model.noise_scale() / np.sqrt(micro_batch_size)
    while drift(high) < 0:
        high *= 2
    return float(optimize.brentq(drift, 0.0, high, xtol=1e-8, rtol=1e-6))
