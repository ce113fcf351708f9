"""What the kernel on a GPU is given: a plan as arrays, as scalars, and as macros."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engines.course import Course
from sim.engines.cuda.geometry import Geometry
from sim.reduction.plan import Composition, Plan

Array = NDArray[Any]


def arrays(plan: Plan, geometry: Geometry, real: np.dtype[Any]) -> tuple[Array, ...]:
    """The arrays that the kernel's first parameters point to.

    Every group of four reals is one access to memory; padding is zero.
    """
    return (
        _laws(plan, geometry),
        *_columns(plan),
        *_rows(plan, real),
        np.array([law.stretch for law in plan.laws], np.float64),
        _vectors(plan, geometry, real),
        plan.iteration_edges.astype(np.int64),
        plan.gradient_edges.astype(np.float64),
        plan.phase.astype(np.int32),
    )


def _laws(plan: Plan, geometry: Geometry) -> Array:
    """Per law: micro-batches, bits, first column and row, blocks, law of the last."""
    sizes = [(law.threshold.size, law.benign.size) for law in plan.laws]
    column, row = (np.cumsum([0, *counts]) for counts in zip(*sizes, strict=True))
    table = [
        (
            law.micro_batches,
            law.bits,
            column[p],
            row[p],
            *geometry.cut[p],
            plan.last_laws[p],
        )
        for p, law in enumerate(plan.laws)
    ]
    return np.array(table, np.int32)


def _columns(plan: Plan) -> tuple[Array, Array]:
    """The alias tables: upper half of the threshold and alias, lower half."""
    threshold = np.concatenate([law.threshold for law in plan.laws])
    upper = (threshold >> np.uint64(32)).astype(np.uint32)
    lower = (threshold & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    alias = np.concatenate([law.alias for law in plan.laws])
    return np.column_stack([upper, alias]), lower


def _rows(plan: Plan, real: np.dtype[Any]) -> tuple[Array, Array]:
    """The compositions: their terms, and in float64 what gamma variables need."""
    table = np.concatenate([_terms(law) for law in plan.laws])
    rows = np.zeros((len(table), -(-table.shape[1] // 4) * 4), real)
    rows[:, : table.shape[1]] = table
    skewed = [np.column_stack([law.first, law.shape]) for law in plan.laws]
    return rows, np.concatenate(skewed)


def _terms(law: Composition) -> Array:
    return np.column_stack(
        [law.benign, law.backward, law.deviation, law.first, law.clean, law.along]
    )


def _vectors(plan: Plan, geometry: Geometry, real: np.dtype[Any]) -> Array:
    """Centre, curvature, flat direction and axes, padded to the lanes' coordinates."""
    form, d = geometry.form, plan.dimension
    padded = d if d <= 2 else 4 * form.counters * form.lanes
    vectors = np.zeros((3 + len(plan.axes), padded), real)
    vectors[:, :d] = [plan.centre, plan.curvature, plan.flat, *plan.axes]
    return vectors


def scalars(
    plan: Plan,
    course: Course,
    replicates: int,
    most_blocks: int,
    *,
    real: np.dtype[Any],
) -> tuple[Any, ...]:
    """The kernel's parameters between its arrays and those of a call."""
    height, frequency = plan.wave
    backward = any(law.backward.any() for law in plan.laws)
    near = course.radius is not None
    optimizer = course.optimizer
    decays = (0.0, 0.0) if optimizer is None else optimizer.decays
    return (
        *(np.uint32(word) for word in course.key),
        np.uint32(0),  # the number of the first replicate
        np.int32(replicates),
        real.type(course.step),
        real.type(plan.clip),
        np.int32(plan.average),
        real.type(height * frequency),
        real.type(frequency),
        *(np.float64(decay) for decay in decays),
        *(real.type(1 - decay) for decay in decays),
        real.type((optimizer and optimizer.epsilon) or 0.0),
        np.float64(course.radius if near else -1),
        # whether ‖∇f‖ is needed
        np.int32(near or plan.gradient_edges.size > 0 or backward),
        np.int32(most_blocks),
        np.int32(plan.iteration_edges.size),
        np.int32(plan.gradient_edges.size),
    )


def macros(
    plan: Plan, course: Course, geometry: Geometry, *, real: np.dtype[Any]
) -> dict[str, object]:
    """The constants with which the kernel is compiled: see `micro_batch.cu`."""
    height, frequency = plan.wave
    form = geometry.form
    return {
        "D": plan.dimension,
        "AXES": plan.axes.shape[0],
        "GAMMAS": plan.compositions[0].stretch.size,
        "RULE": plan.rule,
        "MOMENTS": 0 if course.optimizer is None else course.optimizer.moments,
        "REAL": "float" if real.itemsize == 4 else "double",
        "FLAT": int(plan.flat.any()),
        "WAVE": int(height * frequency != 0),
        "UNEVEN": int(len(plan.laws) > len(plan.compositions)),
        "LANES": form.lanes,
        "COUNTERS": form.counters,
        "TEAM": form.team,
        "WARPS": geometry.warps,
        "THREADS": geometry.threads,
        "RESIDENT": geometry.resident,
    }
