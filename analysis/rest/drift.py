"""The expected update near a stationary point on a line, to second order."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.rest.fluctuation import fluctuation
from analysis.rest.update import Update
from analysis.spec.checking import refuse

WIDTH = 0.02  # of the differences, in units of a clean micro-batch's noise


class Drift(NamedTuple):
    """Derivatives of the expected update F in ∇f, and the variance of one update.

    The names are those of claims/finite_step.py: `drift_slope` is F' (dimensionless
    under Algorithm 1, 1/gradient under the normalized rule), `drift_bend` is F''.
    """

    drift_slope: float
    drift_bend: float
    update_variance: float


def drift(update: Update, root: NDArray[np.float64]) -> Drift:
    """F', F'' and the variance at the stationary point ∇f = root [1].

    Central differences; relative accuracy about 1e-3, as for `fluctuation`, which gives
    the variance. Raises SpecificationError in several dimensions, and where that has no
    expansion.
    """
    model = update.model
    if model.dimension != 1:
        refuse("model.dimension", model.dimension, "1 for a drift on a line")
    near = fluctuation(update, root)
    if near is None:
        refuse("model", "without an expansion", "one with a smooth expected update")
    width = WIDTH * model.noise_scale() / math.sqrt(update.clipping.micro_batch_size)
    low, middle, high = (update.expected(root + x)[0] for x in (-width, 0.0, width))
    return Drift(
        drift_slope=(high - low) / (2 * width),
        drift_bend=(high - 2 * middle + low) / width**2,
        update_variance=near.noise,
    )
