"""The fused engine on the CPU: replicates are shared among threads, which run `fused.advance`."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engines.cpu.kernel import Packed, advance
from sim.engines.state import ARRAYS, State
from sim.reduction.plan import Plan

PIECES = 4  # per thread, so that one which is held up does not hold up the others
SHORT = 16  # steps; below, a piece of work is too small to be cut like that


def packed(plan: Plan, precision: str) -> Packed:
    """The plan as the kernel reads it, for iterates of the given precision."""
    real, parts = np.dtype(precision), plan.laws
    columns = np.cumsum([0, *(c.threshold.size for c in parts)])
    rows = np.cumsum([0, *(c.benign.size for c in parts)])

    axes = plan.axes if len(plan.axes) else np.zeros((1, plan.dimension))

    def joined(name: str, kind: Any) -> Any:
        return np.ascontiguousarray(np.concatenate([getattr(c, name) for c in parts]), kind)

    along = joined("along", real)
    if not len(plan.axes):
        along = np.zeros((len(along), 1), real)
    return Packed(
        rule=plan.rule,
        clip=real.type(plan.clip),
        average=plan.average,
        bend=bool(plan.flat.any()),
        centre=plan.centre.astype(real),
        curvature=plan.curvature.astype(real),
        flat=plan.flat.astype(real),
        wave=np.array(plan.wave, real),
        axes=np.ascontiguousarray(axes, real),
        iteration_edges=plan.iteration_edges,
        gradient_edges=plan.gradient_edges,
        phase=plan.phase,
        micro_batches=np.array([c.micro_batches for c in parts]),
        last=plan.last_laws,
        bits=np.array([c.bits for c in parts], np.uint64),
        first_column=columns[:-1],
        first_row=rows[:-1],
        stretch=np.stack([c.stretch for c in parts]),
        limit=np.concatenate([c.threshold >> np.uint64(32 + c.bits) for c in parts]),
        threshold=joined("threshold", np.uint64),
        alias=joined("alias", np.uint32),
        first=joined("first", np.float64),
        shape=joined("shape", np.float64),
        clean=joined("clean", np.bool_),
        along=along,
        **{name: joined(name, real) for name in ("benign", "backward", "deviation")},
    )


class Mixture:
    """One plan at one step size, on the threads of a pool.

    key: the two words of `sim.random.philox.key`. radius: a replicate whose ‖∇f‖ is at most that
    has hit; None does not look. precision: float32 or float64, of state.w. stop: see
    `sim.engines.engine`.
    """

    def __init__(
        self,
        plan: Plan,
        key: tuple[int, int],
        step: float,
        radius: float | None = None,
        *,
        precision: str,
        pool: ThreadPoolExecutor,
        stop: NDArray[np.bool_] | None = None,
    ) -> None:
        self.key = tuple(map(np.uint64, key))
        self.step = np.dtype(precision).type(step)
        self.radius = -1.0 if radius is None else radius
        self.plan = packed(plan, precision)
        self.pool = pool
        self.stop = np.zeros(1, np.bool_) if stop is None else stop
        self._compile()

    def _compile(self) -> None:
        """Compile the kernel for this precision here and now: threads could not be interrupted."""
        real, d = self.plan.centre.dtype, self.plan.centre.size
        w, sums, last = np.empty((0, d), real), np.empty((0, d + 1)), np.empty((0, 3))
        hit = steps = np.empty(0, np.int64)
        self._advance([w, sums, hit, last, steps], 0, 0, 0, False)

    def _advance(self, arrays: Iterable[Any], low: int, begin: int, end: int, record: bool) -> None:
        times = (self.stop, low, begin, end, record, self.radius, self.step)
        advance(*arrays, *times, self.key, self.plan)

    def advance(self, state: State, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate, in place."""
        replicates = len(state.w)
        threads = self.pool._max_workers
        pieces = min(replicates, threads if end - begin < SHORT else PIECES * threads)
        edges = [replicates * i // pieces for i in range(pieces + 1)]

        def part(low: int, high: int) -> None:
            arrays = [getattr(state, name)[low:high] for name in ARRAYS]
            self._advance(arrays, low, begin, end, record)

        list(self.pool.map(part, edges[:-1], edges[1:]))
