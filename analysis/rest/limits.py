"""Beside the exact bias: infinitely many dimensions, SGD after finitely many steps."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from analysis.rest.mixture import mixture
from analysis.spec.checking import refuse
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian
from analysis.spec.rule import Clipping, Rule

Array = NDArray[np.float64]


def bias_in_many_dimensions(model: GradientModel, clipping: Clipping) -> float:
    """The exact bias in the limit of infinite dimension, in units of the gradient.

    The noise then has a fixed length r, at right angles to ∇f, so that a composition c
    of a micro-batch has one length only, ‖g‖ = hypot(mean_c, r_c), and the cosine
    mean_c/‖g‖; its score is H(‖g‖) = ∫_0^‖g‖ P(‖g‖ > t)^(m-1) dt under Algorithm 1, and
    1 under the normalized rule. The bias is the root of Σ_c weight_c·H·cosine
    (claims/m_estimator_identity.py).

    Raises SpecificationError for other rules, for noise that is not Gaussian, and for
    draggers without a direction. The model's own dimension has no influence.
    """
    if clipping.rule not in (Rule.ADAPTIVE, Rule.NORMALIZED):
        refuse("rule", clipping.rule.value, "adaptive or normalized")
    if not isinstance(model.noise, Gaussian):
        refuse(
            "model.noise", "another law", "gaussian for the limit of many dimensions"
        )
    if model.dragger.law not in ("persistent", "additive"):
        refuse("model.dragger.law", model.dragger.law, "persistent or additive")
    # On a line a coordinate's scale is the total one.
    line = replace(
        model,
        dimension=1,
        curvature=1.0,
        dragger=replace(model.dragger, direction=-1.0),
    )
    law = mixture(line, clipping.micro_batch_size)

    def pull(a: float) -> float:
        mean = law.means(np.array([a]))[:, 0]
        length = np.hypot(mean, law.scale)
        score = np.ones_like(length)
        if clipping.rule.depends_on_m:
            score = _score_of_lengths(length, law.weight, clipping.micro_batches)
        return float(law.weight @ (score * mean / length))

    scale = model.noise_scale()
    return abs(float(optimize.brentq(pull, -scale, scale, xtol=1e-14 * scale)))


def _score_of_lengths(length: Array, weight: Array, micro_batches: int) -> Array:
    """H of Algorithm 1 [c] if micro-batch gradients have these lengths [c] only."""
    order = np.argsort(length)
    beyond = 1 - np.cumsum(weight[order])  # P(‖g‖ > the i-th length)
    slope = np.clip(np.append(1.0, beyond[:-1]), 0, 1) ** (micro_batches - 1)
    score = np.empty_like(length)
    score[order] = np.cumsum(slope * np.diff(length[order], prepend=0.0))
    return score


def sgd_mean_square(
    model: GradientModel, batch_size: int, *, step: float, iterations: int, start: float
) -> float:
    """Exact mean of E G_t², t < T, for SGD from w_0 = start, in the gradient's unit².

    On a line, curvature 1, for draggers of mean zero. ḡ is the mean of B samples, each
    w + ξ or with probability ε a dragger, so that E[w'² | w] = w²[(1 - η(1-ε))² +
    η²ε(1-ε)/B] + η²V with V the variance of claims/sgd_rate.py. Raises
    SpecificationError for other models.
    """
    if (
        model.dimension != 1
        or model.curvature != 1.0
        or model.dragger.law != "isotropic"
    ):
        refuse(
            "model", "another one", "on a line, of curvature 1, with isotropic draggers"
        )
    epsilon, norm = model.dragger_fraction, model.dragger.norm
    noise = model.noise_scale() ** 2
    variance = ((1 - epsilon) * noise + epsilon * norm**2) / batch_size
    keep = (1 - step * (1 - epsilon)) ** 2 + step**2 * epsilon * (
        1 - epsilon
    ) / batch_size
    stationary = step**2 * variance / (1 - keep)
    away = (start**2 - stationary) * (1 - keep**iterations) / (1 - keep) / iterations
    return float(stationary + away)
