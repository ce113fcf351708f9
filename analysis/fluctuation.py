"""Close to a point of rest: how fast the update pulls back, its noise, and the finite-step shift.

With J the Jacobian of the expected update F(a) in a = ∇f, C the covariance of one update and λ the
curvature, the iterates at step γ have covariance Σ, JΣ + ΣJᵀ = γλC, and their mean is shifted by
-J⁻¹F''[Σ]/2: the formula of claims/finite_step.py in several dimensions. Derivatives are central
differences of F; C follows from the second moments

    E[ρ²u_1u_1ᵀ] = E[H_2(‖g‖)uuᵀ],  H_2(r) = ∫_0^r 2tS^(m-1) dt,
    E[ρ²u_1u_2ᵀ] = ∫_0^∞ 2tS^(m-2) CCᵀ dt,

both by the layer-cake formula for ρ², as in analysis/exact.py. Relative accuracy about 1e-3.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, linalg

from analysis.exact import expected_update
from analysis.gradient import GradientModel
from analysis.mixture import Mixture, mixture
from analysis.radial import radial_density
from analysis.span import span
from analysis.tails import tails

Array = NDArray[np.float64]
THIN = 1e-7  # total chance of the compositions that the second moments leave out
REACH = 8.0  # standard deviations of a composition's length that are integrated over
NODES = 48
FLAT = 1e-6  # contraction below which the expected update counts as flat
PART = 2000  # compositions at a time


@dataclass(frozen=True)
class Fluctuation:
    """What the update does close to a point of rest; per unit of curvature.

    `contraction` is the smallest real part of J's eigenvalues: a deviation shrinks by the factor
    1 - step·curvature·contraction. `noise` is tr C. `slope` is d‖E ∇f‖/d(step) at zero step.
    """

    contraction: float
    noise: float
    slope: float


def fluctuation(
    model: GradientModel,
    root: Array,
    b: int,
    rule: str,
    m: float,
    threshold: float | None = None,
    group: int = 1,
) -> Fluctuation | None:
    """Jacobian, noise and finite-step shift at a stable root [axes] of `stable_roots`.

    The other arguments as there. None where there is no such expansion: a curvature that is not one
    number, draggers that are orthogonal (f is flat) or opposing (they jump at ∇f = 0 and leave a
    sphere), noise without a Gaussian part, where the expected update is not smooth, and an update
    that is flat at the root.
    """
    model.require_exact()
    law = mixture(model, b, group)
    smooth = bool((law.scale[law.benign > 0] > 0).all()) and law.noisy.any()
    special = model.dragger.law in ("orthogonal", "opposing") and model.dragger_fraction > 0
    if isinstance(model.curvature, tuple) or special or not smooth:
        return None
    if rule == "sgd" or (rule == "adaptive" and m == 1):
        return _of_the_mean(law, root, m)
    axes = span(model).axes
    outside = model.dimension - axes  # directions without a preferred one, all alike
    if outside:
        law = replace(law, offset=np.pad(law.offset, ((0, 0), (0, 1))))
        root = np.append(root, 0.0)

    def update(a: Array) -> Array:
        return expected_update(law, a, rule, m, threshold)

    h = 0.02 * float(law.scale[law.noisy].min()) * np.eye(root.size)
    inside = range(axes)
    centre = update(root)
    J = np.stack([(update(root + e) - update(root - e)) / (2 * e.max()) for e in h], axis=1)
    free = slice(0, axes)
    contraction = np.append(np.linalg.eigvals(J[free, free]).real, np.diag(J)[axes:])
    if contraction.min() < FLAT:
        return None
    C = covariance(law, root, rule, m, threshold, centre)
    sigma = linalg.solve_continuous_lyapunov(J[free, free], C[free, free])
    bent = np.zeros(axes)
    for i in inside:
        for j in inside:
            corners = update(root + h[i] + h[j]) + update(root - h[i] - h[j])
            corners -= update(root + h[i] - h[j]) + update(root - h[i] + h[j])
            bent += sigma[i, j] * corners[free] / (4 * h[i, i] * h[j, j])
    noise = float(np.trace(C[free, free]))
    if outside:
        side = h[-1]
        aside = 2 * (update(root + side) - centre)[free] / side[-1] ** 2
        bent += outside * C[-1, -1] / (2 * J[-1, -1]) * aside
        noise += outside * float(C[-1, -1])
    shift = -np.linalg.solve(J[free, free], bent) / 2 * float(model.curvature)
    length = float(np.linalg.norm(root))
    along = root[free] @ shift / length if length > 0 else np.linalg.norm(shift)
    return Fluctuation(float(contraction.min()), noise, float(along))


def _of_the_mean(law: Mixture, root: Array, m: float) -> Fluctuation:
    """The mean of all samples is linear in ∇f: no bend, hence no shift."""
    means = law.means(root)
    square = law.weight @ ((means**2).sum(1) + law.dimension * law.scale**2)
    noise = float(square - ((law.weight @ means) ** 2).sum()) / m
    return Fluctuation(float(law.weight @ law.benign), noise, 0.0)


def covariance(
    law: Mixture, a: Array, rule: str, m: float, threshold: float | None, mean: Array
) -> Array:
    """Covariance [axes, axes] of one update (mean over m micro-batches) at a = ∇f [axes]."""
    pairs = np.outer(mean, mean)  # E of the product of two micro-batches' contributions
    if rule == "adaptive":
        t = tails(law, a)
        slope = 2 * t.nodes * t.survival ** (m - 1)
        grown = np.cumsum((slope * t.measure).ravel())
        order = np.argsort(t.nodes.ravel())
        at, value = t.nodes.ravel()[order], (grown - (slope * t.measure).ravel() / 2)[order]
        curve = interpolate.PchipInterpolator(np.append(0.0, at), np.append(0.0, value))
        last, total = float(at[-1]), float(value[-1])

        def weight(r: Array) -> Array:
            return np.where(r < last, curve(np.minimum(r, last)), total)

        if m > 1:
            both = t.survival ** (m - 2) * 2 * t.nodes * t.measure
            pairs = np.einsum("pn,pni,pnj->ij", both, t.direction, t.direction)
    elif rule == "normalized":

        def weight(r: Array) -> Array:
            return np.ones_like(r)

    else:
        cut = np.inf if threshold is None else threshold

        def weight(r: Array) -> Array:
            return np.minimum(r, cut) ** 2

    second = np.zeros((a.size, a.size))
    thin = law.thinned(THIN)
    for begin in range(0, thin.weight.size, PART):
        keep = np.zeros(thin.weight.size, dtype=bool)
        keep[begin : begin + PART] = True
        second += _second_moment(thin.only(keep), a, weight)
    return second / m + (1 - 1 / m) * pairs - np.outer(mean, mean)


def _second_moment(law: Mixture, a: Array, weight: Callable[[Array], Array]) -> Array:
    """E[weight(‖g‖) uuᵀ] [axes, axes], summed over the compositions with their chances.

    Given its length r a Gaussian vector has E[uuᵀ] = β I + (1 - dβ) nnᵀ, n the direction of its
    mean and β = E[cos]/(κr), lengths in standard deviations.
    """
    d, noisy = law.dimension, law.noisy
    means = law.means(a)
    length = np.linalg.norm(means, axis=1)
    n = means / np.where(length > 0, length, 1.0)[:, None]
    result = np.einsum("c,ci,cj->ij", (law.weight * weight(length))[~noisy], n[~noisy], n[~noisy])
    if not noisy.any():
        return result
    scale, n, chance = law.scale[noisy], n[noisy], law.weight[noisy]
    kappa = length[noisy] / scale
    centre = np.sqrt(kappa**2 + d - 1)
    x, gauss = np.polynomial.legendre.leggauss(NODES)
    low, high = np.maximum(centre - REACH, 0.0), centre + REACH
    half = (high - low)[:, None] / 2
    r = low[:, None] + half * (x + 1)
    density, cosine = radial_density(d, kappa[:, None], r)
    part = density * gauss * half * weight(r * scale[:, None]) * chance[:, None]
    across = (part * cosine / r).sum(1)
    along = part.sum(1) - d * across
    return result + across.sum() * np.eye(a.size) + np.einsum("c,ci,cj->ij", along, n, n)
