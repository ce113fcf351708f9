"""The fused engine on the CPU: threads share the replicates and run the kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engines.course import Course
from sim.engines.cpu.arrays import packed, packed_course, plain
from sim.engines.cpu.kernel import advance
from sim.engines.state import ARRAYS, State
from sim.engines.waypoints import NONE, Waypoints
from sim.engines.workers import Workers
from sim.reduction.plan import Plan

PIECES = 4  # per thread, so that one which is held up does not hold up the others
STEPS = 4  # of a call of the kernel, for which a piece may be cut once more


class Mixture:
    """One plan at one step size, on some threads.

    precision: float32 or float64, of state.w. stop: see `sim.engines.engine`.
    """

    def __init__(
        self,
        plan: Plan,
        course: Course,
        *,
        precision: str,
        workers: Workers,
        stop: NDArray[np.bool_] | None = None,
    ) -> None:
        self._stop = stop
        given = packed_course(course, precision, stop)
        self._given = plain((given, packed(plan, precision)))
        self._workers = workers
        self._compile(plan.dimension, precision)

    def _compile(self, dimension: int, precision: str) -> None:
        """Compile the kernel here and now: its threads could not be interrupted."""
        w, moments = (np.empty((0, *x, dimension), precision) for x in ((), (0,)))
        sums, last = np.empty((0, dimension + 2)), np.empty((0, 3))
        hit = steps = np.empty(0, np.int64)
        advance((w, sums, hit, last, moments, steps), (0, 0, 0, False), *self._given)

    def advance(
        self,
        state: State,
        begin: int,
        end: int,
        record: bool,
        *,
        waypoints: Waypoints = NONE,
    ) -> None:
        """Do the steps begin … end - 1 of every replicate, in place."""
        replicates, threads = len(state.w), self._workers.threads
        calls = 1 + len(waypoints.steps)
        cuts = max(1, min(PIECES, (end - begin) // (STEPS * calls)))
        pieces = min(replicates, cuts * threads)
        edges = [replicates * i // pieces for i in range(pieces + 1)]

        def part(low: int, high: int) -> None:
            rows = slice(low, high)
            arrays: tuple[Any, ...] = tuple(
                getattr(state, name)[rows] for name in ARRAYS
            )
            stretches = waypoints.stretches(begin, end, rows, stop=self._stop)
            for first, last in stretches:
                advance(arrays, (low, first, last, record), *self._given)

        list(self._workers.map(part, edges[:-1], edges[1:]))
