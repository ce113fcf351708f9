"""How strong draggers must be to move the point where Algorithm 1 comes to rest."""

from dataclasses import replace

import numpy as np
from scipy import optimize

from analysis.rest.mixture import mixture
from analysis.rest.stable import expected_update
from analysis.spec.model import GradientModel


def norm_at_bias(
    model: GradientModel,
    micro_batch_size: int,
    micro_batches: int,
    *,
    bias: float,
    norms: tuple[float, float],
) -> float | None:
    """The draggers' norm at which Algorithm 1's bias is `bias`, on a line.

    Draggers are persistent and point in the negative direction. The norm is sought
    between the two `norms`, by the sign of the expected update where ∇f = -bias; None
    where even the larger one is not enough. Raises ValueError where the smaller one is
    too much. The relative error is 1e-6.
    """
    at = np.array([-bias])

    def pull(log_norm: float) -> float:
        dragger = replace(model.dragger, norm=float(np.exp(log_norm)))
        law = mixture(replace(model, dragger=dragger), micro_batch_size)
        return -float(expected_update(law, at, "adaptive", micro_batches, None)[0])

    low, high = np.log(norms)
    if pull(high) >= 0:
        return None
    return float(np.exp(optimize.brentq(pull, low, high, xtol=1e-6)))
