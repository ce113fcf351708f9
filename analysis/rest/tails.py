"""The tails of a micro-batch's mean gradient g: S(t) = P(‖g‖ > t) and C(t) = E[g/‖g‖; ‖g‖ > t]."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analysis.rest.chi import radial_density
from analysis.rest.clouds import Cloud, cloud
from analysis.rest.discrete import Bare, bare
from analysis.rest.mixture import Mixture

Array = NDArray[np.float64]
FINE = (8.0, 2.0)  # how far a Gaussian vector's length is followed, width of a panel, in
ROUGH = (5.0, 4.0)  # standard deviations; the rough choice leaves errors of about 1e-6
NODES = 12
SETTLED = 1e13  # standard deviations from 0 at which a Gaussian vector is a point


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
    return joint_tails((law,), a, cut, rough)[0]


def joint_tails(
    laws: Sequence[Mixture], a: Array, cut: float = np.inf, rough: bool = False
) -> list[Tails]:
    """The tails of several laws at the same nodes, so that their products can be integrated."""
    far, wide = ROUGH if rough else FINE
    x, gauss, _ = _gauss()
    laws = [_settled(law, a) for law in laws]
    parts = [(cloud(law, a), bare(law, a)) for law in laws]
    spans = [one for law, part in zip(laws, parts, strict=True) for one in _spans(law, *part, far)]
    points = np.concatenate([still.points() for _, still in parts])
    low, high, scale = (np.concatenate(column) for column in zip(*spans, strict=True))
    edges = _edges(low, high, scale, wide, points)
    if cut < edges[-1]:
        edges = np.unique(np.append(edges, cut))
    half = np.diff(edges) / 2
    nodes = edges[:-1, None] + half[:, None] * (x + 1)
    measure = np.where(nodes < cut, half[:, None] * gauss, 0.0)
    return [
        Tails(nodes, measure, *_above(law, *part, far, edges, nodes))
        for law, part in zip(laws, parts, strict=True)
    ]


def _settled(law: Mixture, a: Array) -> Mixture:
    """The law with points in place of Gaussian vectors whose noise is near the mean's rounding."""
    far = np.linalg.norm(law.means(a), axis=1) > SETTLED * law.scale
    settled = far & law.noisy
    return replace(law, scale=np.where(far, 0.0, law.scale)) if settled.any() else law


def _spans(law: Mixture, noisy: Cloud, still: Bare, far: float) -> list[tuple[Array, Array, Array]]:
    """Where the law's tails fall, of the compositions with and without Gaussian noise.

    Low and high ends, and the lengths over which the tails are smooth there.
    """
    low, high = _reach(noisy, law.dimension, far)
    return [(low, high, noisy.scale), (still.low, still.high, still.widths())]


def _reach(noisy: Cloud, dimension: int, far: float) -> tuple[Array, Array]:
    """Interval in which each composition's length is followed: low and high [c]."""
    centre = noisy.scale * np.sqrt(noisy.kappa**2 + dimension - 1)
    return np.maximum(centre - far * noisy.scale, 0), centre + far * noisy.scale


def _above(
    law: Mixture, noisy: Cloud, still: Bare, far: float, edges: Array, nodes: Array
) -> tuple[Array, Array]:
    """S(t) [p, n] and C(t) [p, n, axes] at the nodes of the panels between the edges."""
    _, gauss, tail = _gauss()
    scale, kappa, weight, vector = noisy
    low, high = _reach(noisy, law.dimension, far)
    half = np.diff(edges) / 2

    # Each noisy composition adds its density on the panels that it reaches, all at once.
    first = np.searchsorted(edges, low, side="right") - 1
    last = np.minimum(np.searchsorted(edges, high), half.size)
    count = last - first
    which = np.repeat(np.arange(scale.size), count)
    panel = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    r = nodes[panel] / scale[which, None]
    density, cosine = radial_density(law.dimension, kappa[which, None], r)
    density /= scale[which, None]
    # A vector far away has its density at nodes that rounding moves: its chance is 1 all the same.
    mass = np.bincount(which, density @ gauss * half[panel], minlength=scale.size)
    density /= mass[which, None]
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
    return survival, values[..., 1:]
