"""The tails of a micro-batch's mean gradient g: S(t) = P(‖g‖ > t) and C(t) = E[g/‖g‖; ‖g‖ > t]."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analysis.bare import bare
from analysis.coalesce import cloud
from analysis.mixture import Mixture
from analysis.radial import radial_density

Array = NDArray[np.float64]
FINE = (8.0, 2.0)  # how far a Gaussian vector's length is followed, width of a panel, in
ROUGH = (5.0, 4.0)  # standard deviations; the rough choice leaves errors of about 1e-6
NODES = 12


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


def _union(low: Array, high: Array) -> tuple[Array, Array]:
    """Starts and stops of the disjoint intervals that together cover low..high, in order."""
    order = np.argsort(low)
    low, far = low[order], np.maximum.accumulate(high[order])
    new = np.append(True, low[1:] > far[:-1])
    return low[new], far[np.append(new[1:], True)]


def _edges(low: Array, high: Array, scale: Array, wide: float, points: Array) -> Array:
    """Panel edges on [0, ∞): `wide` scales apart from low to high, finer towards 0, and the points.

    Where several overlap the narrowest counts, up to a factor of two.
    """
    pieces = [np.zeros(1), points]
    octave = np.floor(np.log2(scale / scale.min(initial=np.inf)))
    starts, stops = np.empty(0), np.empty(0)  # what narrower panels cover already
    for level in np.unique(octave):
        chosen = octave == level
        width = scale[chosen].min()
        begin, end = _union(low[chosen], high[chosen])
        if begin[0] == 0:
            pieces.append(width * 2.0 ** -np.arange(0, 27))
        for first, last in zip(begin, end, strict=True):
            inside = (stops > first) & (starts < last)
            gap_begin = np.append(first, stops[inside])
            gap_end = np.append(starts[inside], last)
            for left, right in zip(gap_begin, gap_end, strict=True):
                if left < right:
                    count = max(2, int(np.ceil((right - left) / width / wide)))
                    pieces.append(np.linspace(left, right, 1 + count))
        starts, stops = _union(np.append(starts, begin), np.append(stops, end))
    return np.unique(np.concatenate(pieces))


@dataclass(frozen=True)
class Tails:
    """S(t) [p, n] and C(t) [p, n, axes] on panels; `measure` [p, n] integrates over t."""

    nodes: Array
    measure: Array
    survival: Array
    direction: Array


def tails(law: Mixture, a: Array, cut: float = np.inf, rough: bool = False) -> Tails:
    """Survival function of ‖g‖ and C(t) = E[u; ‖g‖ > t] at a = ∇f [axes], for t up to `cut`."""
    far, wide = ROUGH if rough else FINE
    x, gauss, tail = _gauss()
    still = bare(law, a)
    scale, kappa, weight, vector = cloud(law, a)
    centre = scale * np.sqrt(kappa**2 + law.dimension - 1)
    low, high = np.maximum(centre - far * scale, 0), centre + far * scale
    edges = _edges(
        np.append(low, still.low),
        np.append(high, still.high),
        np.append(scale, still.widths()),
        wide,
        still.points(),
    )
    if cut < edges[-1]:
        edges = np.unique(np.append(edges, cut))
    half = np.diff(edges) / 2
    nodes = edges[:-1, None] + half[:, None] * (x + 1)

    # Each noisy composition adds its density on the panels that it reaches, all at once.
    first = np.searchsorted(edges, low, side="right") - 1
    last = np.minimum(np.searchsorted(edges, high), half.size)
    count = last - first
    which = np.repeat(np.arange(scale.size), count)
    panel = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    r = nodes[panel] / scale[which, None]
    density, cosine = radial_density(law.dimension, kappa[which, None], r)
    density /= scale[which, None]
    turned = density * cosine
    flat = (panel[:, None] * NODES + np.arange(NODES)).ravel()
    columns = [density * weight[which, None]]
    columns += [turned * vector[:, i][which, None] for i in range(law.axes)]
    summed = np.stack(
        [np.bincount(flat, c.ravel(), minlength=nodes.size).reshape(nodes.shape) for c in columns],
        axis=-1,
    )
    full = np.einsum("pnc,n,p->pc", summed, gauss, half)
    above = np.cumsum(full[::-1], axis=0)[::-1] - full
    values = above[:, None] + np.einsum("pnc,kn,p->pkc", summed, tail, half)

    values += still.tails(nodes)
    total = weight.sum() - full[:, 0].sum()  # quadrature error, at most about 1e-9
    survival = np.clip(values[..., 0] + total, 0, 1)
    measure = np.where(nodes < cut, half[:, None] * gauss, 0.0)
    return Tails(nodes, measure, survival, values[..., 1:])
