"""The tails of a micro-batch's mean gradient g: S(t) = P(‖g‖ > t) and C(t) = E[g/‖g‖; ‖g‖ > t]."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analysis.mixture import Mixture
from analysis.radial import radial_density

Array = NDArray[np.float64]
REACH = 9.0  # a Gaussian vector's length stays this close to its centre, in standard deviations
NODES = 16


@lru_cache(maxsize=1)
def _gauss() -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes, weights, and the matrix that integrates from each node up to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    degrees = np.arange(NODES)
    vandermonde = np.polynomial.legendre.legvander(nodes, NODES - 1)
    tails = np.empty((NODES, NODES))
    for n in degrees:
        basis = np.polynomial.legendre.Legendre.basis(n).integ()
        tails[:, n] = basis(1.0) - basis(nodes)
    return nodes, weights, tails @ np.linalg.inv(vandermonde)


def _edges(centre: Array, scale: Array, jumps: Array) -> Array:
    """Panel edges on [0, ∞): 1.5 standard deviations wide where there is mass, finer towards 0."""
    low = np.maximum(centre - REACH * scale, 0)
    high = centre + REACH * scale
    order = np.argsort(low)
    pieces = [np.zeros(1), jumps]
    i = 0
    while i < order.size:
        start, stop, width = low[order[i]], high[order[i]], scale[order[i]]
        while i + 1 < order.size and low[order[i + 1]] <= stop:
            i += 1
            stop, width = max(stop, high[order[i]]), min(width, scale[order[i]])
        pieces.append(
            np.linspace(start, stop, 1 + max(2, int(np.ceil((stop - start) / width / 1.5))))
        )
        if start == 0:
            pieces.append(width * 2.0 ** -np.arange(0, 27))
        i += 1
    return np.unique(np.concatenate(pieces))


@dataclass(frozen=True)
class Tails:
    """S(t) [p, n] and C(t) [p, n, axes] on panels; `measure` [p, n] integrates over t."""

    nodes: Array
    measure: Array
    survival: Array
    direction: Array


def tails(law: Mixture, a: Array, cut: float = np.inf) -> Tails:
    """Survival function of ‖g‖ and C(t) = E[u; ‖g‖ > t] at a = Λw [axes], for t up to `cut`."""
    x, gauss, tail = _gauss()
    means = law.means(a)
    length = np.linalg.norm(means, axis=1)
    noisy = law.scale > 0
    scale, kappa = law.scale[noisy], length[noisy] / law.scale[noisy]
    centre = scale * np.sqrt(kappa**2 + law.dimension - 1)
    edges = _edges(centre, scale, length[~noisy])
    if cut < edges[-1]:
        edges = np.unique(np.append(edges, cut))
    half = np.diff(edges) / 2
    nodes = edges[:-1, None] + half[:, None] * (x + 1)

    # Each noisy composition adds its density on the panels that it reaches, all at once.
    first = np.searchsorted(edges, np.maximum(centre - REACH * scale, 0), side="right") - 1
    last = np.minimum(np.searchsorted(edges, centre + REACH * scale), half.size)
    count = last - first
    which = np.repeat(np.arange(scale.size), count)
    panel = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    r = nodes[panel] / scale[which, None]
    density, cosine = radial_density(law.dimension, kappa[which, None], r)
    density *= (law.weight[noisy] / scale)[which, None]
    flat = (panel[:, None] * NODES + np.arange(NODES)).ravel()
    columns = [density]
    columns += [density * cosine * (means[noisy, i] / scale)[which, None] for i in range(law.axes)]
    summed = np.stack(
        [np.bincount(flat, c.ravel(), minlength=nodes.size).reshape(nodes.shape) for c in columns],
        axis=-1,
    )
    full = np.einsum("pnc,n,p->pc", summed, gauss, half)
    above = np.cumsum(full[::-1], axis=0)[::-1] - full
    values = above[:, None] + np.einsum("pnc,kn,p->pkc", summed, tail, half)

    if not noisy.all():  # compositions without noise: each counts below its own length
        order = np.argsort(length[~noisy])
        jump = length[~noisy][order]
        weight = law.weight[~noisy][order]
        unit = means[~noisy][order] / np.where(jump > 0, jump, 1.0)[:, None]
        steps = np.column_stack([weight, weight[:, None] * unit])
        beyond = np.vstack([np.cumsum(steps[::-1], axis=0)[::-1], np.zeros(1 + law.axes)])
        values += beyond[np.searchsorted(jump, nodes, side="right")]

    total = law.weight[noisy].sum() - full[:, 0].sum()  # quadrature error, at most about 1e-9
    survival = np.clip(values[..., 0] + total, 0, 1)
    measure = np.where(nodes < cut, half[:, None] * gauss, 0.0)
    return Tails(nodes, measure, survival, values[..., 1:])
