"""How strong draggers must be to move the point where a rule comes to rest."""

from dataclasses import replace

import numpy as np
from scipy import optimize

from analysis.rest.update import Update


def norm_at_bias(
    update: Update, *, bias: float, norms: tuple[float, float]
) -> float | None:
    """The draggers' norm at which the rule's bias is `bias`, on a line.

    Draggers are persistent and point in the negative direction. The norm is sought
    between the two `norms`, by the sign of the expected update where ∇f = -bias; None
    where even the larger one is not enough. Raises ValueError where the smaller one is
    too much. The relative error is 1e-6. The norm of the update's own model has no
    influence.
    """
    model, at = update.model, np.array([-bias])

    def pull(log_norm: float) -> float:
        dragger = replace(model.dragger, norm=float(np.exp(log_norm)))
        stronger = replace(update, model=replace(model, dragger=dragger))
        return -float(stronger.expected(at)[0])

    low, high = np.log(norms)
    if pull(high) >= 0:
        return None
    return float(np.exp(optimize.brentq(pull, low, high, xtol=1e-6)))
