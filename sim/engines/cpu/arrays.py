"""What the compiled kernel works on: a plan as arrays, the replicates, the buffers.

All are tuples of arrays and numbers, whose names cost nothing in compiled code. "Reals"
are in the precision of the iterates.
"""

from typing import Any, NamedTuple

import numpy as np

from sim.compiled.vectors import lanes
from sim.engines.course import Course
from sim.reduction.plan import Plan

BUFFER = 4096  # normals at a time: 16 KiB
SMALL = 8  # up to that dimension loops run over micro-batches, else over coordinates


class Layout(NamedTuple):
    """How micro-batches stand in the buffer of normals."""

    stride: int  # from one to the next
    whole: int  # coordinates that fill vectors
    block: int  # micro-batches at a time


class Loss(NamedTuple):
    """The benign loss: see `sim.reduction.plan.Plan`; all reals."""

    centre: Any  # [d]
    curvature: Any  # [d]
    bend: bool  # whether there is a flat direction
    flat: Any  # [d]
    wave: Any  # [2]


class Phases(NamedTuple):
    """Which law holds when."""

    iteration_edges: Any  # [p]
    gradient_edges: Any  # [q] float64
    law: Any  # [p + 1, q + 1]


class Laws(NamedTuple):
    """The laws of a micro-batch; their tables and rows stand one after the other."""

    micro_batches: Any  # [laws]
    last: Any  # [laws]: the law of the last micro-batch, -1 where it is no other
    bits: Any  # [laws] uint64
    first_column: Any  # [laws]
    first_row: Any  # [laws]
    stretch: Any  # [laws, gammas] float64


class Columns(NamedTuple):
    """The columns of all alias tables."""

    limit: Any  # the leading bits of threshold
    threshold: Any  # uint64
    alias: Any  # uint32


class Rows(NamedTuple):
    """The compositions of all laws; reals unless said otherwise."""

    benign: Any
    backward: Any
    first: Any  # float64
    deviation: Any
    along: Any  # [rows, axes], at least one axis
    shape: Any  # [rows, gammas] float64
    clean: Any  # bool


class Packed(NamedTuple):
    """A `sim.reduction.plan.Plan` for iterates of one precision."""

    rule: int
    clip: Any
    average: bool
    axes: Any  # [axes, d], at least one
    layout: Layout
    loss: Loss
    phases: Phases
    laws: Laws
    columns: Columns
    rows: Rows


class Replicates(NamedTuple):
    """The arrays of a `sim.engines.state.State`, for some of its replicates."""

    w: Any
    sums: Any
    hit: Any
    last: Any
    moments: Any
    steps: Any


class Piece(NamedTuple):
    """What is asked for: steps begin … end - 1 of the replicates from `first` on."""

    first: int
    begin: int
    end: int
    record: bool


class PackedCourse(NamedTuple):
    """A `Course` in the kernel's types, and whether to stop."""

    key: tuple[Any, Any]  # two words, as uint64
    size: Any  # of a step
    # a replicate hits where ‖∇f‖ is at most that; negative: it never does
    radius: float
    stop: Any  # [1] bool: whether the work is to be given up
    decays: tuple[float, float]  # of the optimizer's moments in a step
    gains: tuple[Any, Any]  # 1 - decay, in the precision of the iterates
    epsilon: Any  # Adam's


class Buffers(NamedTuple):
    """A thread's workspace, with the gradients of one block of micro-batches."""

    gradient: Any  # ∇f [d]
    total: Any  # sum of the clipped gradients [d]
    words: Any  # for the compositions of all micro-batches
    rows: Any  # the micro-batches' rows [block]
    # their normals; above dimension SMALL then their gradients in the same place
    z: Any
    y: Any  # up to dimension SMALL their gradients [d, block]
    terms: Any  # of their gradients [4, block]: see BENIGN … ALONG
    # squares of their norms, then what the rule multiplies them with [block]
    weight: Any


# the terms, up to dimension SMALL; above it only FIRST
BENIGN, DEVIATION, FIRST, ALONG = range(4)


class Terms(NamedTuple):
    """The terms of one gradient: benign·∇f + deviation·z + first·e₁ + along·axis."""

    benign: Any
    deviation: Any
    first: Any
    along: Any


class Block(NamedTuple):
    """Micro-batches first … first + size - 1; `alike` of them follow the step's law."""

    first: int
    size: int
    alike: int


class Step(NamedTuple):
    """What is known of one replicate's step before its random numbers are."""

    replicate: int  # its place among the replicates
    law: int
    micro_batches: int
    address: Any  # of its random numbers
    square: float  # ‖∇f‖²
    inverse: Any  # 1/‖∇f‖, 0 where the gradient has no direction
    record: bool  # ∇f, ‖∇f‖² and ‖∇f‖ in the sums
    report: bool  # what the step was like


class Outcome(NamedTuple):
    """What was seen of all micro-batches of a step."""

    smallest: Any  # norm
    clean: int  # how many have no dragger


def packed(plan: Plan, precision: str) -> Packed:
    """The plan for iterates of that precision."""
    real, laws = np.dtype(precision), plan.laws
    columns = np.cumsum([0, *(law.threshold.size for law in laws)])
    rows = np.cumsum([0, *(law.benign.size for law in laws)])

    def joined(name: str, kind: Any) -> Any:
        parts = [getattr(law, name) for law in laws]
        return np.ascontiguousarray(np.concatenate(parts), kind)

    axes, along = plan.axes, joined("along", real)
    if len(axes) == 0:
        axes, along = np.zeros((1, plan.dimension)), np.zeros((len(along), 1), real)
    return Packed(
        rule=plan.rule,
        clip=real.type(plan.clip),
        average=plan.average,
        axes=np.ascontiguousarray(axes, real),
        layout=layout(plan, real.itemsize),
        loss=Loss(
            centre=plan.centre.astype(real),
            curvature=plan.curvature.astype(real),
            bend=bool(plan.flat.any()),
            flat=plan.flat.astype(real),
            wave=np.array(plan.wave, real),
        ),
        phases=Phases(plan.iteration_edges, plan.gradient_edges, plan.phase),
        laws=Laws(
            micro_batches=np.array([law.micro_batches for law in laws]),
            last=plan.last_laws,
            bits=np.array([law.bits for law in laws], np.uint64),
            first_column=columns[:-1],
            first_row=rows[:-1],
            stretch=np.stack([law.stretch for law in laws]),
        ),
        columns=Columns(
            limit=np.concatenate(
                [law.threshold >> np.uint64(32 + law.bits) for law in laws]
            ),
            threshold=joined("threshold", np.uint64),
            alias=joined("alias", np.uint32),
        ),
        rows=Rows(
            benign=joined("benign", real),
            backward=joined("backward", real),
            first=joined("first", np.float64),
            deviation=joined("deviation", real),
            along=along,
            shape=joined("shape", np.float64),
            clean=joined("clean", np.bool_),
        ),
    )


def packed_course(course: Course, precision: str, stop: Any) -> PackedCourse:
    """The course for iterates of that precision; stop [1]: `PackedCourse.stop`."""
    high, low = map(np.uint64, course.key)
    real, optimizer = np.dtype(precision).type, course.optimizer
    decays = (0.0, 0.0) if optimizer is None else optimizer.decays
    return PackedCourse(
        key=(high, low),
        size=real(course.step),
        radius=-1.0 if course.radius is None else course.radius,
        stop=np.zeros(1, np.bool_) if stop is None else stop,
        decays=decays,
        gains=(real(1 - decays[0]), real(1 - decays[1])),
        epsilon=real((optimizer and optimizer.epsilon) or 0.0),
    )


def layout(plan: Plan, itemsize: int) -> Layout:
    """The layout for reals of that many bytes."""
    width = 4 * lanes() // itemsize  # of a vector
    numbers = BUFFER // 4 if plan.dimension <= SMALL else BUFFER
    return Layout(
        stride=plan.stride,
        whole=plan.dimension - plan.dimension % width,
        block=4 * max(1, numbers // (4 * plan.stride)),
    )


def plain(names: Any) -> Any:
    """The same tuple without names, which numba takes ten times faster from Python."""
    return tuple(plain(part) if isinstance(part, tuple) else part for part in names)
