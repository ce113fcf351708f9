"""Near a stationary point: contraction, noise, shift of the mean at a finite step.

With J the Jacobian of the expected update F(a) in a = ∇f, C the covariance of one
update and λ the curvature, the iterates at step γ have covariance Σ, JΣ + ΣJᵀ = γλC,
and their mean is shifted by -J⁻¹F''[Σ]/2: the formula of claims/finite_step.py in
several dimensions. Derivatives are central differences of F; C follows from the second
moments

    E[ρ²u_1u_1ᵀ] = E[H_2(‖g‖)uuᵀ],  H_2(r) = ∫_0^r 2tS^(m-1) dt,
    E[ρ²u_1u_2ᵀ] = ∫_0^∞ 2tS^(m-2) CCᵀ dt,

both by the layer-cake formula for ρ², as in analysis/rest/update.py; for micro-batches
of several distributions the powers of S are products likewise. Relative accuracy about
1e-3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, linalg

from analysis.rest.chi import radial_density
from analysis.rest.mixture import Mixture
from analysis.rest.tails import Tails, joint_tails
from analysis.rest.update import Update, mean_update, survival
from analysis.spec.rule import Clipping

Array = NDArray[np.float64]
Gradients = Sequence[tuple[Mixture, float]]
Field = Callable[[Array], Array]

# total probability of the compositions that the second moments leave out
UNLIKELY = 1e-7
REACH = 8.0  # standard deviations of a composition's length that are integrated over
NODES = 48
# Contraction, in mean lengths of an update per deviation of the noise, below which it
# is flat.
FLAT = 1e-6
PART = 2000  # compositions at a time
WIDTH = 0.02  # of the differences, in units of the smallest Gaussian part of the noise


@dataclass(frozen=True)
class Fluctuation:
    """What the update does close to a stationary point; per unit of curvature.

    `contraction` is the smallest real part of J's eigenvalues: a deviation shrinks by
    the factor 1 - step·curvature·contraction. `noise` is tr C. `slope` is d‖E
    ∇f‖/d(step) at zero step.
    """

    contraction: float
    noise: float
    slope: float


def fluctuation(update: Update, root: Array) -> Fluctuation | None:
    """Jacobian, noise and finite-step shift at a stable stationary point a = ∇f [axes].

    None where there is no such expansion: a curvature that is not one number, draggers
    that are orthogonal (f is flat) or opposing (they jump at ∇f = 0 and leave a
    sphere), noise without a Gaussian part, where the expected update is not smooth, and
    an update that is flat at the point.
    """
    if isinstance(update.model.curvature, tuple) or not _is_smooth(update):
        return None
    if update.clipping.is_mean:
        return _of_the_mean(update.gradients, root)
    axes = update.span.axes
    # directions without a preferred one, all alike
    outside = update.model.dimension - axes
    gradients: Gradients = update.gradients
    if outside:
        gradients = [(law.with_another_axis(), count) for law, count in gradients]
        root = np.append(root, 0.0)

    def mean(a: Array) -> Array:
        return mean_update(gradients, a, update.clipping).vector

    steps = WIDTH * _smallest_scale(gradients) * np.eye(root.size)
    jacobian = _jacobian(mean, root, steps)
    contraction = _contraction(jacobian, axes)
    centre = mean_update(gradients, root, update.clipping)
    if contraction < FLAT * centre.length / update.units[0].noise_scale(update.model):
        return None
    moments = covariance(gradients, root, update.clipping)
    inside = jacobian[:axes, :axes]
    within = moments[:axes, :axes]
    bend = _bend(mean, root, steps, linalg.solve_continuous_lyapunov(inside, within))
    noise = float(np.trace(within))
    if outside:
        curved = _bend_aside(mean, root, steps[-1], centre.vector)[:axes]
        bend += outside * moments[-1, -1] / (2 * jacobian[-1, -1]) * curved
        noise += outside * float(moments[-1, -1])
    shift = -np.linalg.solve(inside, bend) / 2 * update.model.curvature
    return Fluctuation(contraction, noise, _lengthening(root[:axes], shift))


def _is_smooth(update: Update) -> bool:
    """Whether the expected update has the derivatives that the expansion needs."""
    model = update.model
    special = (
        model.dragger.law in ("orthogonal", "opposing") and model.dragger_fraction > 0
    )
    if special:
        return False
    return all(
        (law.scale[law.benign > 0] > 0).all() and law.noisy.any()
        for law, _ in update.gradients
    )


def _of_the_mean(gradients: Gradients, root: Array) -> Fluctuation:
    """The mean of all samples is linear in ∇f: no bend, hence no shift."""
    m = sum(count for _, count in gradients)
    noise = 0.0
    contraction = 0.0
    for law, count in gradients:
        means = law.means(root)
        square = law.weight @ ((means**2).sum(1) + law.dimension * law.scale**2)
        variance = float(square - ((law.weight @ means) ** 2).sum())
        noise += count / m * variance / m
        contraction += count / m * float(law.weight @ law.benign)
    return Fluctuation(contraction, noise, 0.0)


def _smallest_scale(gradients: Gradients) -> float:
    """The smallest Gaussian part of all compositions that have one."""
    return min(float(law.scale[law.noisy].min()) for law, _ in gradients)


def _jacobian(mean: Field, root: Array, steps: Array) -> Array:
    """Derivatives [axes, axes] of the expected update, a column for each step."""
    columns = [(mean(root + e) - mean(root - e)) / (2 * e.max()) for e in steps]
    return np.stack(columns, axis=1)


def _contraction(jacobian: Array, axes: int) -> float:
    """Smallest real part of its eigenvalues, on the diagonal outside the span."""
    values = np.linalg.eigvals(jacobian[:axes, :axes]).real
    return float(np.append(values, np.diag(jacobian)[axes:]).min())


def _bend(mean: Field, root: Array, steps: Array, sigma: Array) -> Array:
    """F''[Σ] = Σ_ij Σ_ij ∂_i∂_j F [axes], by second differences along the span."""
    axes = sigma.shape[0]
    bend = np.zeros(axes)
    for i in range(axes):
        for j in range(axes):
            corners = mean(root + steps[i] + steps[j]) + mean(
                root - steps[i] - steps[j]
            )
            corners -= mean(root + steps[i] - steps[j]) + mean(
                root - steps[i] + steps[j]
            )
            bend += sigma[i, j] * corners[:axes] / (4 * steps[i, i] * steps[j, j])
    return bend


def _bend_aside(mean: Field, root: Array, step: Array, centre: Array) -> Array:
    """∂²F [axes] across the span, where F is even, from values at and near the root."""
    return 2 * (mean(root + step) - centre) / step[-1] ** 2


def _lengthening(root: Array, shift: Array) -> float:
    """Change of ‖∇f‖ at the root when it is shifted a little."""
    norm = float(np.linalg.norm(root))
    return float(root @ shift / norm if norm > 0 else np.linalg.norm(shift))


def covariance(gradients: Gradients, a: Array, clipping: Clipping) -> Array:
    """Covariance [axes, axes] of one update at a = ∇f [axes]: E δδᵀ - E δ E δᵀ.

    With micro-batches of several sizes, count_k of distribution k, the second moment is
    m⁻² Σ_k count_k (E[H_2(‖g_k‖)uuᵀ] + Σ_l (count_l - [k = l]) E[ρ²u_ku_lᵀ]), the rules
    but `adaptive` having independent summands.
    """
    if clipping.rule.depends_on_m:
        return _with_common_norm(gradients, a, clipping)
    m = sum(count for _, count in gradients)

    def square(r: Array) -> Array:
        return clipping.rule.score(r, clipping.limit) ** 2

    result = np.zeros((a.size, a.size))
    for law, count in gradients:
        mean = mean_update(((law, count),), a, clipping).vector
        result += (
            count / m**2 * (_second_moments(law, a, square) - np.outer(mean, mean))
        )
    return result


def _with_common_norm(gradients: Gradients, a: Array, clipping: Clipping) -> Array:
    """The covariance when all micro-batches share one clipping norm ρ: Algorithm 1."""
    m = sum(count for _, count in gradients)
    tails = joint_tails([law for law, _ in gradients], a)
    result = np.zeros((a.size, a.size))
    for k, (law, count) in enumerate(gradients):
        others = [number - (j == k) for j, (_, number) in enumerate(gradients)]
        weight = _growth(tails[k], survival(tails, others))
        result += count / m**2 * _second_moments(law, a, weight)
        for j, number in enumerate(others):
            if number > 0:
                pair = [n - (i == j) for i, n in enumerate(others)]
                both = survival(tails, pair) * 2 * tails[k].nodes * tails[k].measure
                moment = np.einsum(
                    "pn,pni,pnj->ij", both, tails[k].direction, tails[j].direction
                )
                result += count * number / m**2 * moment
    mean = mean_update(gradients, a, clipping).vector
    return result - np.outer(mean, mean)


def _growth(t: Tails, slope: Array) -> Callable[[Array], Array]:
    """H_2(r) = ∫_0^r 2t·slope dt, from the slope at the nodes [p, n]."""
    parts = (2 * t.nodes * slope * t.measure).ravel()
    total = np.cumsum(parts)
    order = np.argsort(t.nodes.ravel())
    nodes = t.nodes.ravel()[order]
    values = (total - parts / 2)[order]
    curve = interpolate.PchipInterpolator(np.append(0.0, nodes), np.append(0.0, values))
    last, most = float(nodes[-1]), float(values[-1])

    def weight(r: Array) -> Array:
        return np.where(r < last, curve(np.minimum(r, last)), most)

    return weight


def _second_moments(law: Mixture, a: Array, weight: Callable[[Array], Array]) -> Array:
    """`_second_moment` of the likelier compositions, some at a time."""
    result = np.zeros((a.size, a.size))
    thin = law.thinned(UNLIKELY)
    for begin in range(0, thin.weight.size, PART):
        keep = np.zeros(thin.weight.size, dtype=bool)
        keep[begin : begin + PART] = True
        result += _second_moment(thin.only(keep), a, weight)
    return result


def _second_moment(law: Mixture, a: Array, weight: Callable[[Array], Array]) -> Array:
    """E[weight(‖g‖) uuᵀ] [axes, axes], weighted by the compositions' probabilities.

    Given its length r a Gaussian vector has E[uuᵀ] = β I + (1 - dβ) nnᵀ, n the
    direction of its mean and β = E[cos]/(κr), lengths in standard deviations.
    """
    noisy = law.noisy
    means = law.means(a)
    length = np.linalg.norm(means, axis=1)
    n = means / np.where(length > 0, length, 1.0)[:, None]
    still = (law.weight * weight(length))[~noisy]
    result = np.einsum("c,ci,cj->ij", still, n[~noisy], n[~noisy])
    if not noisy.any():
        return result
    across, along = _around_and_along(law, length[noisy], weight)
    turned = np.einsum("c,ci,cj->ij", along, n[noisy], n[noisy])
    return result + across.sum() * np.eye(a.size) + turned


def _around_and_along(
    law: Mixture, length: Array, weight: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """E[weight β] and E[weight (1 - dβ)] of each composition with Gaussian noise [c].

    length: that of their means [c].
    """
    scale, probability = law.scale[law.noisy], law.weight[law.noisy]
    kappa = length / scale
    r, gauss, half = _near(np.sqrt(kappa**2 + law.dimension - 1))
    density, cosine = radial_density(law.dimension, kappa[:, None], r)
    part = density * gauss * half * weight(r * scale[:, None]) * probability[:, None]
    across = (part * cosine / r).sum(1)
    return across, part.sum(1) - law.dimension * across


def _near(centre: Array) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes [c, NODES] within REACH of the centres [c].

    Returns their weights on [-1, 1] [NODES] too, and half the interval lengths [c, 1].
    """
    x, gauss = np.polynomial.legendre.leggauss(NODES)
    low = np.maximum(centre - REACH, 0.0)
    half = (centre + REACH - low)[:, None] / 2
    return low[:, None] + half * (x + 1), gauss, half
