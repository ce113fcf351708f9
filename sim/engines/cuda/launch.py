"""The fused engine on a GPU: packs a plan into arrays, shapes the launch, compiles the kernel.

The kernel is written in three files, `random.cu`, `micro_batch.cu` (a step's micro-batches, and
what the macros mean) and `mixture.cu`, compiled as one text for one problem: dimension, rule,
precision and the numbers of axes and gamma variables are constants to the compiler.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.backend import PLAIN_SHARED, Device, Launch
from sim.engines.cuda.layout import WARP, Shape, blocks, coordinates, shape, warps
from sim.reduction.plan import Composition, Plan

SOURCES = ("random.cu", "micro_batch.cu", "mixture.cu")
BLOCK_WARPS = 4  # of a block in which every replicate has one warp or less


def source() -> str:
    """The text of the kernel."""
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in SOURCES)


def packed(
    plan: Plan, cut: list[tuple[int, int]], form: Shape, real: np.dtype[Any]
) -> tuple[NDArray[Any], ...]:
    """The plan as the arrays that the kernel's first parameters point to.

    cut: length and number of each composition's blocks. Every group of four reals is one access
    to memory; padding is zero.
    """
    parts = plan.laws
    column, row = (np.cumsum([0, *sizes]) for sizes in zip(*map(_sizes, parts), strict=True))
    laws = np.array(
        [
            (law.micro_batches, law.bits, column[p], row[p], *cut[p], plan.last_laws[p])
            for p, law in enumerate(parts)
        ],
        np.int32,
    )
    threshold = np.concatenate([law.threshold for law in parts])
    upper = (threshold >> np.uint64(32)).astype(np.uint32)
    lower = (threshold & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    columns = np.column_stack([upper, np.concatenate([law.alias for law in parts])])
    table = np.concatenate(
        [
            np.column_stack(
                [law.benign, law.backward, law.deviation, law.first, law.clean, law.along]
            )
            for law in parts
        ]
    )
    rows = np.zeros((len(table), -(-table.shape[1] // 4) * 4), real)
    rows[:, : table.shape[1]] = table
    skews = np.concatenate([np.column_stack([law.first, law.shape]) for law in parts])
    stretch = np.array([law.stretch for law in parts], np.float64)
    padded = plan.dimension if plan.dimension <= 2 else 4 * form.counters * form.lanes
    vectors = np.zeros((3 + len(plan.axes), padded), real)
    vectors[:, : plan.dimension] = [plan.centre, plan.curvature, plan.flat, *plan.axes]
    edges = (plan.iteration_edges.astype(np.int64), plan.gradient_edges.astype(np.float64))
    phase = plan.phase.astype(np.int32)
    return laws, columns, lower, rows, skews, stretch, vectors, *edges, phase


def _sizes(law: Composition) -> tuple[int, int]:
    return law.threshold.size, law.benign.size


class Cuda:
    """One plan at one step size, for `replicates` replicates on a device.

    key: the two words of `sim.random.philox.key`. radius: a replicate whose ‖∇f‖ is at most that
    has hit; None does not look. precision: float32 or float64, of state.w. The state's arrays are
    the device's (`device.put`), C-contiguous, with `hit` int64. A few seconds go into compilation
    where the same kernel has not been compiled before. `form` overrules the choice of a layout.
    """

    def __init__(
        self,
        plan: Plan,
        key: tuple[int, int],
        step: float,
        radius: float | None = None,
        *,
        precision: str,
        replicates: int,
        device: Device,
        form: Shape | None = None,
    ) -> None:
        real = np.dtype(precision)
        most = max(law.micro_batches for law in plan.laws)
        chosen = form or shape(plan.dimension, most, real.itemsize)
        cut = [
            blocks(law.micro_batches, plan.dimension, real.itemsize, chosen) for law in plan.laws
        ]
        self.most_blocks = max(number for _, number in cut)
        resident = 16 if coordinates(plan.dimension, chosen) * real.itemsize <= 32 else 8
        self.team = chosen.team
        self.warps = chosen.warps
        if form is None and chosen.team == WARP:
            self.warps = warps(replicates, self.most_blocks, resident, device.processors)
        # Few replicates are spread over the processors, not gathered in a block.
        filled = -(-replicates * chosen.team // (WARP * device.processors))
        self.threads = WARP * (self.warps if self.warps > 1 else min(BLOCK_WARPS, max(1, filled)))

        self.replicates = replicates
        self.arrays = tuple(device.put(array) for array in packed(plan, cut, chosen, real))
        gradient_edges = plan.gradient_edges.size > 0
        backward = any(law.backward.any() for law in plan.laws)
        height, frequency = plan.wave
        self.scalars = (
            *(np.uint32(word) for word in key),
            np.uint32(0),
            np.int32(replicates),
            real.type(step),
            real.type(plan.clip),
            np.int32(plan.average),
            real.type(height * frequency),
            real.type(frequency),
            np.float64(-1 if radius is None else radius),
            np.int32(radius is not None or gradient_edges or backward),
            np.int32(self.most_blocks),
            np.int32(plan.iteration_edges.size),
            np.int32(plan.gradient_edges.size),
        )
        axes, gammas = plan.axes.shape[0], plan.compositions[0].stretch.size
        macros: dict[str, object] = {
            "D": plan.dimension,
            "AXES": axes,
            "GAMMAS": gammas,
            "RULE": plan.rule,
            "REAL": "float" if real.itemsize == 4 else "double",
            "FLAT": int(plan.flat.any()),
            "WAVE": int(height * frequency != 0),
            "UNEVEN": int(len(plan.laws) > len(plan.compositions)),
            "LANES": chosen.lanes,
            "COUNTERS": chosen.counters,
            "TEAM": chosen.team,
            "WARPS": self.warps,
        }
        part = 4 * -(-(3 + axes) // 4) * real.itemsize  # bytes
        tile = 0 if chosen.lanes == 1 else 4 * part
        while self.warps == 1 and self.threads > WARP and self.threads * tile > PLAIN_SHARED:
            self.threads //= 2
        macros |= {"THREADS": self.threads, "RESIDENT": max(1, resident * WARP // self.threads)}
        shared = self.threads * tile
        if self.warps > 1:
            sums = 2 * self.most_blocks * coordinates(plan.dimension, chosen) * WARP
            shared += (sums + 2 * self.warps) * real.itemsize + 4 * self.warps
        self.macros = macros
        self.launch: Launch = device.kernel(source(), "advance", macros, shared)

    def advance(self, state: Any, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate, in place: see `sim.engines.state`."""
        per_block = 1 if self.warps > 1 else self.threads // self.team
        times = (np.int32(record), np.int64(begin), np.int64(end))
        arrays = (state.w, state.sums, state.hit, state.last)
        arguments = (*self.arrays, *self.scalars, *times, *arrays)
        self.launch(-(-self.replicates // per_block), self.threads, arguments)
        state.steps[:] = end
