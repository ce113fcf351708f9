"""Many Gaussian compositions of one scale as few: interpolated in the mean's distance.

Everything asked of N(μ, s²I) is w·F(κ) and F(κ)·(w μ/s) with κ = ‖μ‖/s and F even and
smooth: it varies over distances of 1 in κ. So F at 16 points of a grid of step 1/4
gives it in between, to 1e-9 of its largest value, and the weights can be handed over to
the grid before F is computed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.rest.mixture import Mixture

Array = NDArray[np.float64]
STEP = 0.25
POINTS = 16
NEIGHBOURS = 6
WORTH = 2  # compositions for each point of the grid


class Cloud(NamedTuple):
    """Gaussian compositions: scale, κ, weight [c], and weight·mean/scale [c, axes]."""

    scale: Array
    kappa: Array
    weight: Array
    vector: Array


def cloud(law: Mixture, a: Array) -> Cloud:
    """Compositions with Gaussian noise, a = ∇f [axes], merged where that saves work."""
    scale, weight = law.scale[law.noisy], law.weight[law.noisy]
    mean = law.means(a)[law.noisy] / scale[:, None]
    kappa = np.linalg.norm(mean, axis=1)
    whole = Cloud(scale, kappa, weight, weight[:, None] * mean)
    if scale.size < WORTH * POINTS:
        return whole
    keep = np.ones(scale.size, dtype=bool)
    pieces = []
    for members in law.equal_scales:
        span = np.ptp(kappa[members]) / STEP + POINTS
        if members.size > WORTH * span:
            keep[members] = False
            pieces.append(_on_grid(Cloud(*(column[members] for column in whole))))
    rest = Cloud(*(column[keep] for column in whole))
    ratio = 0.1 / (8 + np.sqrt(2 * law.dimension))
    if rest.scale.size > WORTH * _points_needed(rest, ratio):
        pieces.append(_on_grids(rest, ratio))
        rest = Cloud(*(column[:0] for column in whole))
    return (
        Cloud(*map(np.concatenate, zip(rest, *pieces, strict=True)))
        if pieces
        else whole
    )


def _points_needed(part: Cloud, ratio: float) -> float:
    """About how many points the grids of all scales would have."""
    if part.scale.size == 0:
        return np.inf
    scales = np.log(part.scale.max() / part.scale.min()) / ratio + NEIGHBOURS
    return float(scales * (np.ptp(part.kappa) / STEP + POINTS))


def _on_grids(part: Cloud, ratio: float) -> Cloud:
    """Compositions of many scales moved to scales e^(j·ratio), then to the grid.

    At a fixed mean, w·F and F·μ/s vary with the scale s over relative distances of 1/8
    at most, as far out as anything counts, and of 1/√(2d): interpolation in log s from
    six of the new scales.
    """
    place = np.log(part.scale) / ratio
    base = np.floor(place).astype(np.int64) - NEIGHBOURS // 2 + 1
    share = lagrange_weights(place - base, NEIGHBOURS)
    pieces = []
    for j in range(int(base.min()), int(base.max()) + NEIGHBOURS):
        (rows,) = np.nonzero((base <= j) & (j < base + NEIGHBOURS))
        if rows.size == 0:
            continue
        weight = share[rows, j - base[rows]]
        change = part.scale[rows] / np.exp(j * ratio)
        vector = (weight * change)[:, None] * part.vector[rows]
        new = (np.full(rows.size, np.exp(j * ratio)), part.kappa[rows] * change)
        pieces.append(_on_grid(Cloud(*new, weight * part.weight[rows], vector)))
    return Cloud(*map(np.concatenate, zip(*pieces, strict=True)))


def _on_grid(part: Cloud) -> Cloud:
    """The weights of one scale moved to the points (j + ½)/4, negative ones folded."""
    place = part.kappa / STEP - 0.5
    base = np.floor(place).astype(np.int64) - POINTS // 2 + 1
    share = lagrange_weights(place - base, POINTS)
    index = base[:, None] + np.arange(POINTS)
    index = np.where(index < 0, -1 - index, index)
    low = index.min()
    flat, size = (index - low).ravel(), index.max() - low + 1

    def gathered(column: Array) -> Array:
        return np.bincount(flat, (share * column[:, None]).ravel(), size).astype(
            np.float64
        )

    vector = np.stack([gathered(column) for column in part.vector.T], axis=1)
    kappa = (np.arange(size) + low + 0.5) * STEP
    return Cloud(np.full(size, part.scale[0]), kappa, gathered(part.weight), vector)


def lagrange_weights(x: Array, points: int) -> Array:
    """Values at x [c] of the Lagrange polynomials of the points 0, 1, … [c, points]."""
    j = np.arange(points, dtype=np.float64)
    gaps = (j[:, None] - j[None, :]) + np.eye(points)
    distance = x[:, None] - j
    before = np.cumprod(np.column_stack([np.ones(x.size), distance[:, :-1]]), axis=1)
    after = np.cumprod(np.column_stack([np.ones(x.size), distance[:, :0:-1]]), axis=1)[
        :, ::-1
    ]
    return before * after / gaps.prod(axis=1)
