"""The axes of micro-batches' mean gradients, and those along which to search.

Given its composition, the mean is a combination of ∇f, the first axis (where the noise
has one), the draggers' direction and the domains' shifts. Outside the span of the last
three the law is symmetric, so a component of ∇f there is pushed back and a stationary
point has none. Opposing draggers are the exception: they follow ∇f, so one axis outside
the span is searched as well.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.spec.draggers import DIRECTED
from analysis.spec.model import GradientModel

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """An orthonormal basis of `axes` vectors, and the model's vectors in it.

    first [axes] is e₁, direction [axes] the draggers' v, shifts [domains, axes] the
    domains' ∇f_k - ∇f; zero where they do not matter. A stationary point is sought
    among a = free @ y, free [axes, q]; q = 0 when a = 0 is the only one. `ray`: the
    update is the same for both signs of the last y, so that y >= 0 is enough there.
    """

    first: Array
    direction: Array
    shifts: Array
    free: Array
    ray: bool

    @property
    def axes(self) -> int:
        """How many axes there are, at least one."""
        return self.first.size


def span(model: GradientModel) -> Span:
    """The span of the model's means."""
    d, law = model.dimension, model.dragger.law
    active = model.dragger_fraction > 0 and model.dragger.norm > 0
    # there no gradient has a component along v, even without draggers
    flat = law == "orthogonal"
    first, direction, shifts = _vectors(model)
    if not any(noise.has_axis for _, noise in model.parts):
        first = np.zeros_like(first)
    if not (flat or (law in DIRECTED and active)):
        direction = np.zeros_like(first)
    order = [direction, first, *shifts] if flat else [first, direction, *shifts]
    basis = _orthonormal(order)
    coordinates = np.array(
        [[q @ x for q in basis] for x in (first, direction, *shifts)]
    )
    ray = False
    if law == "opposing" and active:
        ray = len(basis) < d
        extra = int(ray)
        free = np.eye(len(basis) + extra)
    else:
        extra = int(not basis)
        free = np.eye(len(basis) + extra)[:, flat or extra :]
    coordinates = np.pad(coordinates.reshape(2 + len(shifts), -1), ((0, 0), (0, extra)))
    return Span(coordinates[0], coordinates[1], coordinates[2:], free, ray)


def products(
    model: GradientModel, direction: float | tuple[float, ...] | None
) -> Array:
    """Inner products of a unit vector with e₁, the draggers' v, the domains' shifts.

    The vector is e₁ for None, the same in every coordinate for a number, whose sign
    counts, else along the list [d], not all zero. The result is [2 + domains], with 0
    for what the model does not have.
    """
    every = isinstance(direction, tuple)
    first, v, shifts = _vectors(model, every)
    vector: Array = first
    if isinstance(direction, tuple):
        listed = np.array(direction) / np.abs(direction).max()
        vector = listed / np.linalg.norm(listed)
    elif direction is not None:
        vector = np.sign(direction) * _alike(model.dimension, first.size)
    return np.array([first @ vector, v @ vector, *(shifts @ vector)])


def coordinates(place: Span, products: Array, length: float) -> tuple[Array, bool]:
    """The coordinates of a vector, by its products with the span's vectors; its length.

    What lies outside the span, unless it is below 1e-7 of the length, is along an axis
    on which no vector of the span has a component. Returns the coordinates [axes], or
    [axes + 1] where such an axis has to be added, and whether it has.
    """
    rows = np.vstack([place.first, place.direction, place.shifts])
    there = rows.any(axis=1)
    inside = np.zeros(place.axes)
    if there.any():
        inside[:] = np.linalg.lstsq(rows[there], products[there])[0]
    square = length**2 - float(inside @ inside)
    if square <= (1e-7 * length) ** 2:
        return inside, False
    outside = np.sqrt(square)
    (unused,) = np.nonzero(~rows.any(axis=0))
    if unused.size:
        inside[unused[0]] = outside
        return inside, False
    return np.append(inside, outside), True


def _vectors(model: GradientModel, every: bool = False) -> tuple[Array, Array, Array]:
    """e₁, the draggers' v (zero if none) and the domains' shifts [domains, axes].

    In all d coordinates where the file lists coordinates, or with `every`. Otherwise
    the second coordinate and those after it are alike in each of these vectors, and two
    axes are enough: the first, and the unit vector whose other coordinates are equal.
    """
    d, dragger = model.dimension, model.dragger
    direction = dragger.direction
    if every or isinstance(direction, tuple) or model.domains is not None:
        shifts = model.domain_shifts()
        v = np.zeros(d) if direction is None else dragger.unit_vector(d)
    else:
        shifts = np.zeros((1, min(d, 2)))
        v = (direction or 0.0) * _alike(d, min(d, 2))
    first = np.zeros_like(v)
    first[0] = 1.0
    return first, v, shifts


def _alike(dimension: int, axes: int) -> Array:
    """The unit vector of equal coordinates, in all of them or along the two axes."""
    if axes == dimension:
        return np.full(axes, 1 / np.sqrt(dimension))
    return np.sqrt([1.0, dimension - 1.0]) / np.sqrt(dimension)


def _orthonormal(vectors: list[Array]) -> list[Array]:
    """Gram-Schmidt, done twice; a vector within 1e-12 of the span adds nothing."""
    basis: list[Array] = []
    for x in vectors:
        length = np.linalg.norm(x)
        if length == 0:
            continue
        rest = x / length
        for _ in range(2):
            for q in basis:
                rest = rest - (q @ rest) * q
        size = np.linalg.norm(rest)
        if size > 1e-12:
            basis.append(rest / size)
    return basis
