"""Tails of a micro-batch's gradient g: S(t) = P(‖g‖ > t), C(t) = E[g/‖g‖; ‖g‖ > t].

Both are integrals over the lengths t..∞ of densities that live on very different
scales: a narrow one around each composition's own length. [0, ∞) is cut into panels, as
narrow as the narrowest density that is there, each with twelve Gauss-Legendre nodes:

    0      edge            edge   edge        edge
    |---|--|--·-·-·-·-·-·--|-·-·-·|-·-··-·-·--|      panels p, nodes n
               mass of the panel's right part up to the next edge: the matrix `upwards`
                           sum of the mass of all panels to the right: a cumulative sum

The density of every composition with Gaussian noise is added up at the nodes of the
panels that it reaches; S and C at a node are the mass above it in its own panel and
that of all later panels. Compositions without Gaussian noise need no quadrature
(`analysis.rest.discrete`): where their tails jump there is an edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.rest.chi import radial_density
from analysis.rest.clouds import Cloud, cloud
from analysis.rest.discrete import Discrete, discrete
from analysis.rest.mixture import Mixture

Array = NDArray[np.float64]
Index = NDArray[np.intp]

NODES = 12
SETTLED = 1e13  # standard deviations from 0 at which a Gaussian vector is a point
HALVINGS = 27  # of the narrowest panel, towards 0


class Accuracy(NamedTuple):
    """The reach of a Gaussian vector's length and a panel's width, in deviations."""

    far: float
    width: float


FINE = Accuracy(far=8.0, width=2.0)
ROUGH = Accuracy(far=5.0, width=4.0)  # leaves errors of about 1e-6


class Quadrature(NamedTuple):
    """Gauss-Legendre nodes and weights on [-1, 1].

    The matrix `upwards` integrates from each node up to 1.
    """

    nodes: Array
    weights: Array
    upwards: Array


@lru_cache(maxsize=1)
def _gauss() -> Quadrature:
    """The rule of every panel, a constant."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    vandermonde = np.polynomial.legendre.legvander(nodes, NODES - 1)
    upwards = np.empty((NODES, NODES))
    for n in range(NODES):
        basis = np.polynomial.legendre.Legendre.basis(n).integ()
        upwards[:, n] = basis(1.0) - basis(nodes)
    return Quadrature(nodes, weights, upwards @ np.linalg.inv(vandermonde))


@dataclass(frozen=True)
class Panels:
    """Panels between the edges [p + 1] and their nodes [p, n]."""

    edges: Array
    nodes: Array

    @classmethod
    def between(cls, edges: Array) -> "Panels":
        """With Gauss's nodes in each."""
        half = np.diff(edges) / 2
        return cls(edges, edges[:-1, None] + half[:, None] * (_gauss().nodes + 1))

    @property
    def half(self) -> Array:
        """Half the width of each [p]."""
        return np.asarray(np.diff(self.edges) / 2)


@dataclass(frozen=True)
class Tails:
    """S(t) [p, n] and C(t) [p, n, axes] on panels; `measure` [p, n] integrates."""

    nodes: Array
    measure: Array
    survival: Array
    direction: Array


class _Lengths(NamedTuple):
    """Where tails fall: low and high ends [c], and scales on which they are smooth."""

    low: Array
    high: Array
    scale: Array


def tails(law: Mixture, a: Array, cut: float = np.inf, *, rough: bool = False) -> Tails:
    """P(‖g‖ > t) and C(t) = E[u; ‖g‖ > t] at a = ∇f [axes], for t up to `cut`."""
    return joint_tails((law,), a, cut, rough=rough)[0]


def joint_tails(
    laws: Sequence[Mixture], a: Array, cut: float = np.inf, *, rough: bool = False
) -> list[Tails]:
    """Tails of several distributions at the same nodes, to integrate their products."""
    accuracy = ROUGH if rough else FINE
    laws = [_settled(law, a) for law in laws]
    parts = [(cloud(law, a), discrete(law, a)) for law in laws]
    lengths = []
    for law, (noisy, still) in zip(laws, parts, strict=True):
        lengths.append(_reach(noisy, law.dimension, accuracy.far))
        lengths.append(_Lengths(still.low, still.high, still.widths()))
    points = np.concatenate([still.points() for _, still in parts])
    edges = _edges(
        _Lengths(*map(np.concatenate, zip(*lengths, strict=True))), accuracy, points
    )
    if cut < edges[-1]:
        edges = np.unique(np.append(edges, cut))
    panels = Panels.between(edges)
    measure = np.where(panels.nodes < cut, panels.half[:, None] * _gauss().weights, 0.0)
    found = []
    for law, (noisy, still) in zip(laws, parts, strict=True):
        reach = _reach(noisy, law.dimension, accuracy.far)
        mass = _noisy_mass(noisy, law.dimension, reach, panels)
        survival, direction = _from_above(mass, panels, noisy.weight.sum(), still)
        found.append(Tails(panels.nodes, measure, survival, direction))
    return found


def _settled(law: Mixture, a: Array) -> Mixture:
    """The law, Gaussian vectors with noise near the mean's rounding made points."""
    far = np.linalg.norm(law.means(a), axis=1) > SETTLED * law.scale
    settled = far & law.noisy
    return replace(law, scale=np.where(far, 0.0, law.scale)) if settled.any() else law


def _reach(noisy: Cloud, dimension: int, far: float) -> _Lengths:
    """The interval in which each composition's length is followed [c]."""
    centre = noisy.scale * np.sqrt(noisy.kappa**2 + dimension - 1)
    low = np.maximum(centre - far * noisy.scale, 0)
    return _Lengths(low, centre + far * noisy.scale, noisy.scale)


def _union(low: Array, high: Array) -> tuple[Array, Array]:
    """Starts and stops of disjoint intervals that cover low..high, in order."""
    order = np.argsort(low)
    low, far = low[order], np.maximum.accumulate(high[order])
    new = np.append(True, low[1:] > far[:-1])
    return low[new], far[np.append(new[1:], True)]


def _edges(lengths: _Lengths, accuracy: Accuracy, points: Array) -> Array:
    """Panel edges on [0, ∞): the points, and every `width` scales, finer towards 0.

    Where several overlap the narrowest counts, up to a factor of two.
    """
    low, high, scale = lengths
    pieces = [np.zeros(1), points]
    octave = np.floor(np.log2(scale / scale.min(initial=np.inf)))
    starts, stops = np.empty(0), np.empty(0)  # what narrower panels cover already
    for level in np.unique(octave):
        chosen = octave == level
        width = scale[chosen].min()
        begin, end = _union(low[chosen], high[chosen])
        if begin[0] == 0:
            pieces.append(width * 2.0 ** -np.arange(HALVINGS))
        for first, last in zip(begin, end, strict=True):
            inside = (stops > first) & (starts < last)
            gaps = zip(
                np.append(first, stops[inside]),
                np.append(starts[inside], last),
                strict=True,
            )
            for left, right in gaps:
                if left < right:
                    count = max(
                        2, int(np.ceil((right - left) / width / accuracy.width))
                    )
                    pieces.append(np.linspace(left, right, 1 + count))
        starts, stops = _union(np.append(starts, begin), np.append(stops, end))
    return np.unique(np.concatenate(pieces))


def _noisy_mass(noisy: Cloud, dimension: int, reach: _Lengths, panels: Panels) -> Array:
    """Densities of the lengths of Gaussian compositions at the nodes [p, n, 1 + axes].

    The first column is that of the length itself, the others are times E[g/‖g‖ | ‖g‖].
    Each composition is added on the panels that it reaches, all at once: `which`
    [pairs] is the composition and `panel` [pairs] the panel of each such pair.
    """
    which, panel = _pairs(reach, panels)
    scale = noisy.scale[which, None]
    density, cosine = radial_density(
        dimension, noisy.kappa[which, None], panels.nodes[panel] / scale
    )
    density /= scale
    # A vector far away has its density at nodes that rounding moves: its mass is 1 all
    # the same.
    mass = np.bincount(
        which,
        density @ _gauss().weights * panels.half[panel],
        minlength=noisy.scale.size,
    )
    density /= mass[which, None]
    turned = density * cosine
    columns = [density * noisy.weight[which, None]]
    columns += [turned * component[which, None] for component in noisy.vector.T]
    place = (panel[:, None] * NODES + np.arange(NODES)).ravel()
    shape = panels.nodes.shape
    added = [
        np.bincount(place, column.ravel(), minlength=panels.nodes.size).reshape(shape)
        for column in columns
    ]
    return np.stack(added, axis=-1)


def _pairs(reach: _Lengths, panels: Panels) -> tuple[Index, Index]:
    """All pairs of a composition and a panel that it reaches: both numbers [pairs]."""
    first = np.searchsorted(panels.edges, reach.low, side="right") - 1
    last = np.minimum(np.searchsorted(panels.edges, reach.high), panels.half.size)
    count = last - first
    which = np.repeat(np.arange(first.size), count)
    panel = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    return which, panel


def _from_above(
    mass: Array, panels: Panels, noisy: float, still: Discrete
) -> tuple[Array, Array]:
    """S(t) [p, n], C(t) [p, n, axes] of densities [p, n, 1 + axes] and discrete parts.

    noisy: the total probability of the compositions with Gaussian noise. By how much
    the quadrature misses it, at most about 1e-9, is added to S.
    """
    rule, half = _gauss(), panels.half
    full = np.einsum("pnc,n,p->pc", mass, rule.weights, half)
    later = np.cumsum(full[::-1], axis=0)[::-1] - full
    values = later[:, None] + np.einsum("pnc,kn,p->pkc", mass, rule.upwards, half)
    values += still.tails(panels.nodes)
    missed = noisy - full[:, 0].sum()
    survival = np.clip(values[..., 0] + missed, 0, 1)
    return survival, values[..., 1:]
