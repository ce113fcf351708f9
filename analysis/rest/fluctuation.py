"""Close to a point of rest: how fast the update pulls back, its noise, and the finite-step shift.

With J the Jacobian of the expected update F(a) in a = ∇f, C the covariance of one update and λ the
curvature, the iterates at step γ have covariance Σ, JΣ + ΣJᵀ = γλC, and their mean is shifted by
-J⁻¹F''[Σ]/2: the formula of claims/finite_step.py in several dimensions. Derivatives are central
differences of F; C follows from the second moments

    E[ρ²u_1u_1ᵀ] = E[H_2(‖g‖)uuᵀ],  H_2(r) = ∫_0^r 2tS^(m-1) dt,
    E[ρ²u_1u_2ᵀ] = ∫_0^∞ 2tS^(m-2) CCᵀ dt,

both by the layer-cake formula for ρ², as in analysis/rest/stable.py; for micro-batches of several
laws the powers of S are products likewise. Relative accuracy about 1e-3.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, linalg

from analysis.rest.axes import span
from analysis.rest.chi import radial_density
from analysis.rest.mixture import Mixture
from analysis.rest.stable import Piece, Unit, Units, is_mean, mean_update, survival
from analysis.rest.tails import Tails, joint_tails
from analysis.spec.model import GradientModel

Array = NDArray[np.float64]
THIN = 1e-7  # total chance of the compositions that the second moments leave out
REACH = 8.0  # standard deviations of a composition's length that are integrated over
NODES = 48
# Contraction, in mean lengths of an update per deviation of the noise, below which it is flat.
FLAT = 1e-6
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

    The other arguments as there, None as for `near_rest`.
    """
    return near_rest(model, root, rule, (Unit((Piece(b, group),), m),), threshold)


def near_rest(
    model: GradientModel,
    root: Array,
    rule: str,
    units: Sequence[Unit],
    threshold: float | None = None,
) -> Fluctuation | None:
    """Jacobian, noise and finite-step shift at a stable root [axes] of `points_of_rest`.

    None where there is no such expansion: a curvature that is not one number, draggers that are
    orthogonal (f is flat) or opposing (they jump at ∇f = 0 and leave a sphere), noise without a
    Gaussian part, where the expected update is not smooth, and an update that is flat at the root.
    """
    model.require_exact()
    laws = tuple((unit.law(model), unit.count) for unit in units)
    smooth = all((law.scale[law.benign > 0] > 0).all() and law.noisy.any() for law, _ in laws)
    special = model.dragger.law in ("orthogonal", "opposing") and model.dragger_fraction > 0
    if isinstance(model.curvature, tuple) or special or not smooth:
        return None
    if is_mean(rule, units, threshold):
        return _of_the_mean(laws, root)
    axes = span(model).axes
    outside = model.dimension - axes  # directions without a preferred one, all alike
    if outside:
        laws = tuple(
            (replace(law, offset=np.pad(law.offset, ((0, 0), (0, 1)))), count)
            for law, count in laws
        )
        root = np.append(root, 0.0)

    def update(a: Array) -> Array:
        return mean_update(laws, a, rule, threshold)[0]

    smallest = min(float(law.scale[law.noisy].min()) for law, _ in laws)
    h = 0.02 * smallest * np.eye(root.size)
    inside = range(axes)
    centre, length = mean_update(laws, root, rule, threshold)
    flat = FLAT * length / units[0].noise_scale(model)
    J = np.stack([(update(root + e) - update(root - e)) / (2 * e.max()) for e in h], axis=1)
    free = slice(0, axes)
    contraction = np.append(np.linalg.eigvals(J[free, free]).real, np.diag(J)[axes:])
    if contraction.min() < flat:
        return None
    C = covariance(laws, root, rule, threshold)
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
    norm = float(np.linalg.norm(root))
    along = root[free] @ shift / norm if norm > 0 else np.linalg.norm(shift)
    return Fluctuation(float(contraction.min()), noise, float(along))


def _of_the_mean(laws: Units, root: Array) -> Fluctuation:
    """The mean of all samples is linear in ∇f: no bend, hence no shift."""
    m = sum(count for _, count in laws)
    noise = contraction = 0.0
    for law, count in laws:
        means = law.means(root)
        square = law.weight @ ((means**2).sum(1) + law.dimension * law.scale**2)
        variance = float(square - ((law.weight @ means) ** 2).sum())
        noise += count / m * variance / m
        contraction += count / m * float(law.weight @ law.benign)
    return Fluctuation(contraction, noise, 0.0)


def covariance(laws: Units, a: Array, rule: str, threshold: float | None) -> Array:
    """Covariance [axes, axes] of one update at a = ∇f [axes]: E δδᵀ - E δ E δᵀ.

    With micro-batches of several sizes, count_k of law k, the second moment is
    m⁻² Σ_k count_k (E[H_2(‖g_k‖)uuᵀ] + Σ_l (count_l - [k = l]) E[ρ²u_ku_lᵀ]), the rules but
    `adaptive` having independent summands.
    """
    m = sum(count for _, count in laws)
    if rule == "adaptive":
        every = joint_tails([law for law, _ in laws], a)
        result = np.zeros((a.size, a.size))
        for k, (law, count) in enumerate(laws):
            rest = [n - (j == k) for j, (_, n) in enumerate(laws)]
            weight = _growth(every[k], survival(every, rest))
            result += count / m**2 * _second_moments(law, a, weight)
            for j, number in enumerate(rest):
                if number > 0:
                    pair = [n - (i == j) for i, n in enumerate(rest)]
                    both = survival(every, pair) * 2 * every[k].nodes * every[k].measure
                    moment = np.einsum(
                        "pn,pni,pnj->ij", both, every[k].direction, every[j].direction
                    )
                    result += count * number / m**2 * moment
        mean = mean_update(laws, a, rule, threshold)[0]
        return result - np.outer(mean, mean)

    cut = math.inf if threshold is None else threshold

    def square(r: Array) -> Array:
        return np.ones_like(r) if rule == "normalized" else np.minimum(r, cut) ** 2

    result = np.zeros((a.size, a.size))
    for law, count in laws:
        mean = mean_update(((law, count),), a, rule, threshold)[0]
        result += count / m**2 * (_second_moments(law, a, square) - np.outer(mean, mean))
    return result


def _growth(t: Tails, slope: Array) -> Callable[[Array], Array]:
    """H_2(r) = ∫_0^r 2t·slope dt, from the slope at the nodes [p, n]."""
    parts = (2 * t.nodes * slope * t.measure).ravel()
    grown = np.cumsum(parts)
    order = np.argsort(t.nodes.ravel())
    at, value = t.nodes.ravel()[order], (grown - parts / 2)[order]
    curve = interpolate.PchipInterpolator(np.append(0.0, at), np.append(0.0, value))
    last, total = float(at[-1]), float(value[-1])

    def weight(r: Array) -> Array:
        return np.where(r < last, curve(np.minimum(r, last)), total)

    return weight


def _second_moments(law: Mixture, a: Array, weight: Callable[[Array], Array]) -> Array:
    """`_second_moment` of the likelier compositions, some at a time."""
    result = np.zeros((a.size, a.size))
    thin = law.thinned(THIN)
    for begin in range(0, thin.weight.size, PART):
        keep = np.zeros(thin.weight.size, dtype=bool)
        keep[begin : begin + PART] = True
        result += _second_moment(thin.only(keep), a, weight)
    return result


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
