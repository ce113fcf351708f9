"""The shape of a launch on a GPU, chosen from numbers alone: no device is needed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.backend import PLAIN_SHARED
from sim.engines.cuda.layout import WARP, Shape, blocks, coordinates, shape, warps
from sim.reduction.plan import Plan

BLOCK_WARPS = 4  # of a block in which every replicate has one warp or less


@dataclass(frozen=True)
class Geometry:
    """How the kernel is launched.

    form: lanes, counters and team of a micro-batch. cut: length and number of the
    blocks of micro-batches, for each of the plan's laws. warps: of each replicate.
    threads: of a block. resident: blocks that a multiprocessor should hold. shared:
    bytes of dynamic shared memory.
    """

    form: Shape
    cut: tuple[tuple[int, int], ...]
    warps: int
    threads: int
    resident: int
    shared: int

    @classmethod
    def choose(
        cls,
        plan: Plan,
        replicates: int,
        processors: int,
        *,
        real: np.dtype[Any],
        form: Shape | None = None,
    ) -> "Geometry":
        """The launch for so many replicates on a device with so many multiprocessors.

        real: the precision of the iterates. form: overrules the choice of a layout, and
        its `warps` that of their number.
        """
        d, itemsize = plan.dimension, real.itemsize
        most = max(law.micro_batches for law in plan.laws)
        chosen = form or shape(d, most, itemsize)
        cut = tuple(blocks(law.micro_batches, d, itemsize, chosen) for law in plan.laws)
        resident = 16 if coordinates(d, chosen) * itemsize <= 32 else 8  # warps
        used = chosen.warps
        if form is None and chosen.team == WARP:
            used = warps(replicates, _most(cut), resident, processors)
        tile = _tile(plan, chosen, itemsize)
        threads = WARP * used
        if used == 1:
            threads = _gathered(replicates * chosen.team, processors, tile)
        shared = threads * tile
        if used > 1:
            sums = 2 * _most(cut) * coordinates(d, chosen) * WARP
            shared += (sums + 2 * used) * itemsize + 4 * used
        per_processor = max(1, resident * WARP // threads)
        return cls(chosen, cut, used, threads, per_processor, shared)

    @property
    def most_blocks(self) -> int:
        """The largest number of blocks of micro-batches in a step."""
        return _most(self.cut)

    def grid(self, replicates: int) -> int:
        """Blocks of threads for so many replicates."""
        together = 1 if self.warps > 1 else self.threads // self.form.team
        return -(-replicates // together)


def _most(cut: tuple[tuple[int, int], ...]) -> int:
    return max(number for _, number in cut)


def _tile(plan: Plan, form: Shape, itemsize: int) -> int:
    """Bytes of shared memory for a thread's micro-batches' terms, in groups of four."""
    terms = 4 * -(-(3 + len(plan.axes)) // 4) * itemsize
    return 0 if form.lanes == 1 else 4 * terms


def _gathered(lanes: int, processors: int, tile: int) -> int:
    """Threads of a block if replicates have a warp or less; `lanes`: of all replicates.

    Few replicates are spread over the processors, not gathered in a block.
    """
    filled = -(-lanes // (WARP * processors))
    threads = WARP * min(BLOCK_WARPS, max(1, filled))
    while threads > WARP and threads * tile > PLAIN_SHARED:
        threads //= 2
    return threads
