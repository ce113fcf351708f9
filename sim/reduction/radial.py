"""From dimension to radius: what a quadratic's steps depend on, exact in distribution.

Let V be the fixed vectors of a problem: the draggers' direction, the domains' optima,
e₁ if the noise has a part along it, for a bias the start too. The curvature's equal
eigenvalues make blocks of coordinates. In each block let S be the span of V's parts
there, and N the dimension of what is left. The rest of the noise is isotropic in these
N dimensions, and nothing else has a part there but x = w - centre itself. So a rotation
that keeps every S changes nothing, and

    the coordinates of x in the spans S, and in every block the length r of its rest

are a Markov chain of their own: `explicit` coordinates, then a `radius` a block. One
micro-batch needs of its Gaussian vector z in a block: the component along x's rest, and
in the N - 1 dimensions orthogonal to it the squared length ρ² and an angle. With
weights c_j the sum T of the weighted gradients has orthogonal parts c_j·s_j·ρ_j·u_j
there (s_j the deviation of a coordinate), the directions u_j independent of all lengths
and uniform. So two partial sums of lengths A and B add up to one of squared length

    A² + B² + 2AB·cos θ,    cos θ ~ z₂/√(z₂² + χ²(N-2)),

whose direction is again uniform and independent of its length; and if ρ² = z₂² +
χ²(N-2) then z₂/ρ is independent of ρ, so that the same two numbers serve as length and
as angle. With P² the square of the whole sum's length, p its component along the
radius, a step of size h makes r² ← (r - h·p)² + h²·P².

For a bias, E ∇f at any time is invariant under these rotations: its part outside the
spans S is zero exactly, and is not estimated. Blocks with few dimensions left are
`explicit` altogether.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.noise import StudentT
from sim.reduction.compositions import planned
from sim.reduction.plan import Array, RadialPlan, Space

FEWEST = 8  # dimensions left in a block that has a radius; fewer are faster as they are
# What a micro-batch costs beyond its explicit coordinates, in coordinates of the full
# engine: measured at 4 to 256 micro-batches on two processors.
OVERHEAD = 8
RADIUS = 6
INDEPENDENT = 1e-12  # relative length of what a vector adds to a span


@dataclass(frozen=True)
class Coordinates:
    """Explicit coordinates, then radii: `explicit` and `orthogonal.size` of them.

    curvature, centre, flat, start [D] and axes [axes, D] are those of the problem in
    the reduced coordinates, D = explicit + radii: the gradient is that of a
    `sim.reduction.plan.Plan`. orthogonal [radii]: the dimensions N - 1 that are neither
    in the span of a block's fixed vectors nor along its radius. The first coordinate is
    along e₁ where the noise has a part along it.
    """

    explicit: int
    orthogonal: Array
    curvature: Array
    centre: Array
    flat: Array
    axes: Array
    start: Array

    @property
    def dimension(self) -> int:
        """D."""
        return self.curvature.size

    def gradient(self, w: Array) -> Array:
        """∇f at w [..., D]: its explicit components, then those along the radii."""
        return bent(w - self.centre, self.curvature, self.flat)

    def loss(self, w: Array) -> Array:
        """The loss at w [..., D], zero at the centre."""
        found: Array = ((w - self.centre) * self.gradient(w)).sum(-1) / 2
        return found


def bent(x: Array, curvature: Array, flat: Array) -> Array:
    """PΛPx of x [..., D], P = I - vvᵀ for the flat direction v (zeros: none)."""
    slope = curvature * (x - (x @ flat)[..., None] * flat)
    found: Array = slope - (slope @ flat)[..., None] * flat
    return found


@dataclass(frozen=True)
class _Block:
    """Equal eigenvalues: some coordinates, and a basis [rank, coordinates] of the span.

    Without basis all coordinates are explicit. left: the dimensions outside the span.
    """

    place: NDArray[np.int64]
    basis: Array | None = None
    left: int = 0

    def explicit(self, x: Array) -> Array:
        """The components of x [coordinates of all blocks] in the span."""
        part = x[self.place]
        return part if self.basis is None else self.basis @ part

    def radius(self, x: Array) -> float:
        """The length of what is left of x."""
        assert self.basis is not None
        part = x[self.place]
        return float(np.linalg.norm(part - (self.basis @ part) @ self.basis))


@dataclass(frozen=True)
class _Vectors:
    """A model's vectors, by groups of coordinates in which all of them are constant.

    Group i has multiplicity[i] coordinates. A vector has an entry for each group, its
    length in that group, so that products are those of the whole vectors.
    """

    multiplicity: Array
    curvature: Array
    first: Array  # e₁
    direction: Array  # of the draggers, 0 without
    optima: Array  # [domains, groups]
    centre: Array
    start: Array

    @classmethod
    def of(cls, experiment: Experiment) -> "_Vectors":
        """Those of an experiment; groups are single coordinates where lists are given.

        Else they are the first coordinate and all others.
        """
        model, start = experiment.gradient_model, experiment.run.start
        d = model.dimension
        direction = model.dragger.direction
        given = (model.curvature, direction, start, model.domains)
        listed = d == 1 or any(isinstance(value, tuple) for value in given)
        multiplicity = np.ones(d) if listed else np.array([1.0, d - 1.0])
        root = np.sqrt(multiplicity)
        first = np.zeros(multiplicity.size)
        first[0] = 1.0
        zeros = np.zeros(multiplicity.size)
        domains = model.domains or ()
        optima = [np.broadcast_to(k.optimum, d) for k in domains]
        return cls(
            multiplicity=multiplicity,
            curvature=zeros + np.asarray(model.curvature, np.float64),
            first=first,
            direction=zeros if direction is None else _unit(direction, d) * root,
            optima=np.reshape(optima, (len(domains), zeros.size)),
            centre=model.centre if domains else zeros,
            start=np.array(start) if isinstance(start, tuple) else start * first,
        )

    def fixed(self, experiment: Experiment) -> list[Array]:
        """The vectors whose directions the steps know, e₁ first if it is one."""
        noises = [noise for _, noise in experiment.gradient_model.parts]
        found = [self.first] if any(noise.has_axis for noise in noises) else []
        found += [self.direction, *self.optima, self.centre]
        if experiment.run.measure == "bias":
            found.append(self.start if self.start.any() else self.first)
        return [x for x in found if x.any()]


def _unit(direction: float | tuple[float, ...], d: int) -> Array:
    """The entries of a unit vector, one number where all are equal."""
    entry = np.asarray(direction, np.float64)
    return entry if entry.ndim else entry / math.sqrt(d)


def _basis(vectors: Sequence[Array], columns: int) -> Array:
    """An orthonormal basis [rank, columns] of the vectors' span, in their order."""
    found = np.zeros((0, columns))
    for vector in vectors:
        length = np.linalg.norm(vector)
        if length == 0:
            continue
        rest = vector / length
        for _ in range(2):  # the second time removes what rounding left
            rest = rest - (found @ rest) @ found
        size = np.linalg.norm(rest)
        if size > INDEPENDENT:
            found = np.vstack([found, rest / size])
    return found


def _blocks(vectors: _Vectors, fixed: Sequence[Array]) -> list[_Block]:
    """The blocks, the one of the first coordinate first; those without radius as one.

    No basis is computed for blocks that are too small for any radius.
    """
    _, number = np.unique(vectors.curvature, return_inverse=True)
    size = np.bincount(number, weights=vectors.multiplicity)
    small = size[number] < FEWEST
    found = []
    for k in np.flatnonzero(size >= FEWEST):
        place = np.flatnonzero(number == k)
        basis = _basis([x[place] for x in fixed], place.size)
        left = int(size[k]) - len(basis)
        if left >= FEWEST:
            found.append(_Block(place, basis, left))
        else:
            small[place] = True
    if small.any():
        found.append(_Block(np.flatnonzero(small)))
    return sorted(found, key=lambda block: int(block.place[0]))


def chosen(experiment: Experiment) -> Coordinates | None:
    """The reduced coordinates if the experiment is simulated in them, else None.

    As run.engine says, or as is faster. Raises SpecificationError where it asks for
    radii and there are none. The choice is the same for `experiment.centred()`.
    """
    wanted = experiment.run.engine
    if wanted == "full":
        return None
    centred = experiment.centred()
    space = coordinates(centred)
    if wanted == "radial" and space is None:
        allowed = (
            "auto or full (radii need a quadratic loss, no optimizer, and noise alone "
            f"in {FEWEST} dimensions of an eigenvalue)"
        )
        refuse("run.engine", wanted, allowed)
    if space is None or (wanted == "auto" and not _faster(space, experiment)):
        return None
    return space if centred is experiment else coordinates(experiment)


def _faster(space: Coordinates, experiment: Experiment) -> bool:
    cost = OVERHEAD + space.explicit + RADIUS * space.orthogonal.size
    return experiment.model.dimension > cost


def reducible(experiment: Experiment) -> bool:
    """Whether noise is isotropic in most dimensions, and the loss quadratic.

    Not for student-t noise, whose scale differs from sample to sample; nor with an
    optimizer, whose running means have directions of their own.
    """
    model = experiment.model
    return (
        isinstance(model, GradientModel)
        and experiment.algorithm.optimizer is None
        and model.nonconvex is None
        and not any(isinstance(noise, StudentT) for _, noise in model.parts)
    )


def radial_plan(
    experiment: Experiment, micro_batch_size: int | None, space: Coordinates
) -> RadialPlan:
    """The plan for one micro-batch size, or for the schedule where None.

    Raises TooManyCompositionsError.
    """
    reduced = planned(
        experiment,
        micro_batch_size,
        Space(
            centre=space.centre,
            curvature=space.curvature,
            flat=space.flat,
            wave=(0.0, 0.0),
            axes=space.axes,
        ),
    )
    return RadialPlan(reduced, space.orthogonal)


def coordinates(experiment: Experiment) -> Coordinates | None:
    """The reduced coordinates, None where no block of coordinates has a radius."""
    if not reducible(experiment):
        return None
    vectors = _Vectors.of(experiment)
    blocks = _blocks(vectors, vectors.fixed(experiment))
    radial = [block for block in blocks if block.basis is not None]
    if not radial:
        return None
    zeros = np.zeros(len(radial))

    def reduced(x: Array) -> Array:
        """A vector that has nothing outside the spans."""
        return np.concatenate([*(block.explicit(x) for block in blocks), zeros])

    spread = [
        np.full(block.explicit(vectors.first).size, vectors.curvature[block.place[0]])
        if block.basis is not None
        else vectors.curvature[block.place]
        for block in blocks
    ]
    eigenvalues = [vectors.curvature[block.place[0]] for block in radial]
    curvature = np.concatenate([*spread, eigenvalues])
    dragger = experiment.gradient_model.dragger
    direction, centre = reduced(vectors.direction), reduced(vectors.centre)
    flat = direction if dragger.law == "orthogonal" else np.zeros(curvature.size)
    axes = [direction] if dragger.direction is not None else []
    axes += [bent(centre - reduced(x), curvature, flat) for x in vectors.optima]
    start = reduced(vectors.start)
    start[-len(radial) :] = [b.radius(vectors.start - vectors.centre) for b in radial]
    return Coordinates(
        explicit=curvature.size - len(radial),
        orthogonal=np.array([block.left - 1.0 for block in radial]),
        curvature=curvature,
        centre=centre,
        flat=flat,
        axes=np.reshape(axes, (len(axes), curvature.size)),
        start=start,
    )
