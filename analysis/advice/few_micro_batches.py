"""The bound for few micro-batches of a model, whose clipping norm lets draggers in."""

import numpy as np
from numpy.typing import NDArray

from analysis.claims.finite_micro_batches import claim
from analysis.rest.score import score_ratio
from analysis.rest.update import Update

Array = NDArray[np.float64]


def few_micro_batches_radius(update: Update, a: Array) -> float | None:
    """The bound of finite_micro_batches at ∇f = a [axes], α = 1; None if not finite.

    For Algorithm 1, with R_m = H(∞)/H(s) of the distribution there.
    """
    clipping, sigma = update.clipping, update.model.noise_scale()
    (gradients,) = update.gradients
    s = sigma / np.sqrt(clipping.micro_batch_size)
    values = claim.evaluate(
        score_ratio=score_ratio(gradients.distribution, a, clipping.micro_batches, s),
        micro_batch_size=clipping.micro_batch_size,
        dragger_fraction=update.model.dragger_fraction,
        noise_scale=sigma,
        alignment=1.0,
    )
    return float(values["bias_radius"]) if np.isfinite(values["bias_radius"]) else None
