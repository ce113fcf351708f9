"""The fused engine on a GPU: compiles the kernel for a plan, and launches it.

The kernel is written in four files, `random.cu`, `micro_batch.cu` (a step's
micro-batches, and what the macros mean), `optimizer.cu` and `mixture.cu`, compiled as
one text for one problem: dimension, rule, precision and the numbers of axes, gamma
variables and moments are constants to the compiler.
"""

from pathlib import Path
from typing import Any

import numpy as np

from sim.backend import Device, Launch
from sim.engines.course import Course
from sim.engines.cuda.arguments import arrays, macros, scalars
from sim.engines.cuda.geometry import Geometry
from sim.engines.cuda.layout import Shape
from sim.engines.waypoints import NONE, Waypoints
from sim.reduction.plan import Plan

SOURCES = ("random.cu", "micro_batch.cu", "optimizer.cu", "mixture.cu")


def source() -> str:
    """The text of the kernel."""
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in SOURCES)


class Cuda:
    """One plan at one step size, for `replicates` replicates on a device.

    precision: float32 or float64, of state.w. The state's arrays are the device's
    (`device.put`), C-contiguous, with `hit` int64. A few seconds go into compilation
    where the same kernel has not been compiled before. `form` overrules the choice of
    a layout.
    """

    def __init__(
        self,
        plan: Plan,
        course: Course,
        *,
        precision: str,
        replicates: int,
        device: Device,
        form: Shape | None = None,
    ) -> None:
        real = np.dtype(precision)
        self.replicates = replicates
        self.geometry = Geometry.choose(
            plan, replicates, device.processors, real=real, form=form
        )
        most_blocks = self.geometry.most_blocks
        self.macros = macros(plan, course, self.geometry, real=real)
        self._given = (
            *(device.put(array) for array in arrays(plan, self.geometry, real)),
            *scalars(plan, course, replicates, most_blocks, real=real),
        )
        shared = self.geometry.shared
        self._launch: Launch = device.kernel(source(), "advance", self.macros, shared)

    def advance(
        self,
        state: Any,
        begin: int,
        end: int,
        record: bool,
        *,
        waypoints: Waypoints = NONE,
    ) -> None:
        """Do steps begin … end - 1 of replicates in place: see `sim.engines.state`."""
        there = (state.w, state.sums, state.hit, state.last, state.moments)
        grid = self.geometry.grid(self.replicates)
        everyone = slice(0, self.replicates)
        for first, last in waypoints.stretches(begin, end, everyone):
            times = (np.int32(record), np.int64(first), np.int64(last))
            given = (*self._given, *times, *there)
            self._launch(grid, self.geometry.threads, given)
            state.steps[:] = last
