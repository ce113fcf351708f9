"""Algorithm 1's score H for a given distribution, and the convexity lemma's bound."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate

from analysis.rest.mixture import Mixture
from analysis.rest.tails import tails
from analysis.rest.update import Update, clipping_norm

Array = NDArray[np.float64]


def score(
    law: Mixture, a: Array, micro_batches: int
) -> Callable[[Array | float], Array]:
    """H(r) = ∫_0^r S^(m-1) at ∇f = a [axes], for r [...] in units of the gradient.

    Between the nodes of analysis/rest/tails.py the integrand is interpolated: relative
    error 1e-4 (second route: the quadrature there, cut off at r).
    """
    t = tails(law, a)
    x = t.nodes.ravel()
    slope = t.survival.ravel() ** (micro_batches - 1)
    slope[slope < 1e-99] = 0.0  # the interpolation divides by it
    values = [1.0, *slope, slope[-1]]
    integral = interpolate.PchipInterpolator(
        [0.0, *x, 100 * x[-1]], values
    ).antiderivative()
    return lambda r: np.asarray(integral(np.asarray(r, np.float64)))


def _moments_below(
    law: Mixture, a: Array, micro_batches: int, r: float
) -> tuple[float, float]:
    """H(r) = ∫_0^r S^(m-1) dt and Π(r) = ∫_0^r H = ∫_0^r (r - t) S^(m-1) dt."""
    t = tails(law, a, r)
    slope = t.measure * t.survival ** (micro_batches - 1)
    return float(slope.sum()), float((slope * (r - t.nodes)).sum())


def score_ratio(law: Mixture, a: Array, micro_batches: int, noise: float) -> float:
    """R_m = H(∞)/H(s) at ∇f = a [axes], s the noise of a clean micro-batch.

    H(∞) is the mean of the smallest of m - 1 norms. It is by how much a contaminated
    micro-batch can count more than a usual one (claims/finite_micro_batches.py).
    """
    below = tails(law, a, noise)
    usual = np.einsum("pn,pn->", below.measure, below.survival ** (micro_batches - 1))
    return float(clipping_norm(law, a, micro_batches - 1) / usual)


def pull_and_bound(update: Update, gradient: float) -> tuple[float, float]:
    """E⟨ψ(g), e₁⟩ at ∇f = gradient·e₁ and the convexity lemma's bound, both over H(s).

    The bound is [Π(G) - Π(s)]/G, Π(r) = ∫_0^r H (claims/convexity_lemma.py), s the
    noise of a clean micro-batch. For a model whose gradients lie on the first axis,
    under Algorithm 1.
    """
    a = np.array([gradient])
    (gradients,) = update.gradients
    law, m = gradients.distribution, update.clipping.micro_batches
    s = update.model.noise_scale() / np.sqrt(update.clipping.micro_batch_size)
    _, at_gradient = _moments_below(law, a, m, gradient)
    unit, at_noise = _moments_below(law, a, m, s)
    pull = float(update.expected(a)[0])
    return pull / unit, (at_gradient - at_noise) / gradient / unit
