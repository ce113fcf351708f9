"""The fused engine on the CPU: threads share the replicates and run the kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engines.course import Course
from sim.engines.cpu import kernel, radial_kernel
from sim.engines.cpu.arrays import PackedCourse, packed, plain
from sim.engines.cpu.radial_arrays import packed_radii
from sim.engines.state import ARRAYS, State
from sim.engines.workers import Workers
from sim.reduction.plan import Plan, RadialPlan

PIECES = 4  # per thread, so that one which is held up does not hold up the others
SHORT = 16  # steps; below, a piece of work is too small to be cut like that


class Mixture:
    """One plan at one step size, on some threads.

    precision: float32 or float64, of state.w. stop: see `sim.engines.engine`.
    """

    def __init__(
        self,
        plan: Plan | RadialPlan,
        course: Course,
        *,
        precision: str,
        workers: Workers,
        stop: NDArray[np.bool_] | None = None,
    ) -> None:
        high, low = map(np.uint64, course.key)
        given = PackedCourse(
            key=(high, low),
            size=np.dtype(precision).type(course.step),
            radius=-1.0 if course.radius is None else course.radius,
            stop=np.zeros(1, np.bool_) if stop is None else stop,
        )
        self._workers = workers
        if isinstance(plan, RadialPlan):
            self._kernel: Any = radial_kernel.advance
            self._given = plain((given, *packed_radii(plan, precision)))
        else:
            self._kernel = kernel.advance
            self._given = plain((given, packed(plan, precision)))
        self._compile(precision)

    def _compile(self, precision: str) -> None:
        """Compile the kernel here and now: its threads could not be interrupted."""
        w = np.empty((0, 1), precision)
        sums, last = np.empty((0, 2)), np.empty((0, 3))
        hit = steps = np.empty(0, np.int64)
        self._kernel((w, sums, hit, last, steps), (0, 0, 0, False), *self._given)

    def advance(self, state: State, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate, in place."""
        replicates, threads = len(state.w), self._workers.threads
        many = threads if end - begin < SHORT else PIECES * threads
        pieces = min(replicates, many)
        edges = [replicates * i // pieces for i in range(pieces + 1)]

        def part(low: int, high: int) -> None:
            arrays: tuple[Any, ...] = tuple(
                getattr(state, name)[low:high] for name in ARRAYS
            )
            self._kernel(arrays, (low, begin, end, record), *self._given)

        list(self._workers.map(part, edges[:-1], edges[1:]))
