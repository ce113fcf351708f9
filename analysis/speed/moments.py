"""Two moments of one update δ at a point: E δ and E‖δ‖².

For micro-batches of one distribution, S(t) = P(‖g‖ > t) and C(t) = E[u; ‖g‖ > t],

    E‖δ‖² = E‖ψ(g)‖²/m + (1 - 1/m)‖E ψ(g)‖²,    E‖ψ(g)‖² = ∫_0^c 2t S(t) dt

where the m terms are independent: `fixed` and `global` (there with m = 1) with the
threshold c, `normalized` with ‖ψ‖ = 1 unless g = 0. Under Algorithm 1 all terms share
ρ. It exceeds t if all norms do, hence by the layer-cake formula for ρ²

    E ρ² = ∫_0^∞ 2t S(t)^m dt,    E[ρ²⟨u_1, u_2⟩] = ∫_0^∞ 2t S(t)^(m-2) ‖C(t)‖² dt,

and E‖δ‖² = E ρ²/m + (1 - 1/m) E[ρ²⟨u_1, u_2⟩]. With micro-batches of several sizes the
powers of S are products over the distributions, as in analysis/rest/update.py. The
relative error is about 1e-9.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.rest.discrete import discrete
from analysis.rest.mixture import Mixture
from analysis.rest.tails import Tails, joint_tails, tails
from analysis.rest.update import mean_update, survival
from analysis.spec.rule import Clipping, Rule

Array = NDArray[np.float64]
Gradients = Sequence[tuple[Mixture, float]]


class Moments(NamedTuple):
    """E δ [axes], in units of the update, and E‖δ‖² in their square."""

    mean: Array
    square: float


def moments(gradients: Gradients, a: Array, clipping: Clipping) -> Moments:
    """The moments of one update at a = ∇f [axes].

    gradients: the distributions of what is clipped and how many there are of each, in
    the coordinates of a.
    """
    if clipping.is_mean:
        means = [_mean_gradient(law, a) for law, _ in gradients]
        squares = [_mean_square(law, a) for law, _ in gradients]
        return _of_independent(gradients, means, squares)
    if clipping.rule.depends_on_m:
        mean = mean_update(gradients, a, clipping).vector
        return Moments(mean, _common_norm_square(gradients, a))
    means = [mean_update(((law, n),), a, clipping).vector for law, n in gradients]
    squares = [_clipped_square(law, a, clipping) for law, _ in gradients]
    return _of_independent(gradients, means, squares)


def _of_independent(
    gradients: Gradients, means: Sequence[Array], squares: Sequence[float]
) -> Moments:
    """Of the average of independent terms, with E ψ and E‖ψ‖² of each distribution."""
    counts = [count for _, count in gradients]
    m = sum(counts)
    total = sum(
        (n * mean for n, mean in zip(counts, means, strict=True)),
        np.zeros_like(means[0]),
    )
    variance = sum(
        n * (square - float(mean @ mean))
        for n, square, mean in zip(counts, squares, means, strict=True)
    )
    return Moments(total / m, (float(total @ total) + variance) / m**2)


def _gamma_means(law: Mixture, a: Array) -> Array:
    """Mean gradient of each composition [c, axes], with the mean of its gamma part."""
    means = law.means(a)
    means[:, 0] += law.stretch * law.shape
    return means


def _mean_gradient(law: Mixture, a: Array) -> Array:
    """E g [axes]."""
    return np.asarray(law.weight @ _gamma_means(law, a))


def _mean_square(law: Mixture, a: Array) -> float:
    """E‖g‖² of the whole gradient, in all dimensions."""
    spread = law.dimension * law.scale**2 + law.stretch**2 * law.shape
    return float(law.weight @ ((_gamma_means(law, a) ** 2).sum(1) + spread))


def _clipped_square(law: Mixture, a: Array, clipping: Clipping) -> float:
    """E‖ψ(g)‖² for a constant clipping norm."""
    if clipping.rule is Rule.NORMALIZED:
        still = discrete(law, a)
        return float(1 - still.weight[still.length == 0].sum())
    t = tails(law, a, clipping.limit)
    return float(np.einsum("pn,pn,pn->", 2 * t.nodes, t.measure, t.survival))


def _common_norm_square(gradients: Gradients, a: Array) -> float:
    """E ρ²‖ū‖², ρ the smallest norm."""
    m = sum(count for _, count in gradients)
    if m == 1:
        return _mean_square(gradients[0][0], a)
    laws = joint_tails([law for law, _ in gradients], a)
    rest = [count for _, count in gradients]
    total = m * _layers(laws, rest, 1.0)
    for k, first in enumerate(laws):
        for j, second in enumerate(laws):
            pairs = rest[k] * (rest[j] - (j == k))
            if pairs == 0:
                continue
            others = [n - (i == k) - (i == j) for i, n in enumerate(rest)]
            product = np.einsum("pna,pna->pn", first.direction, second.direction)
            total += pairs * _layers(laws, others, product)
    return total / m**2


def _layers(
    laws: Sequence[Tails], powers: Sequence[float], factor: Array | float
) -> float:
    """∫_0^∞ 2t Π_k S_k(t)^powers_k · factor dt, factor at the nodes [p, n]."""
    t = laws[0]
    return float((2 * t.nodes * t.measure * survival(laws, powers) * factor).sum())
