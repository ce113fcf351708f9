"""Simulate sample by sample: for every problem, on any array library.

A step draws all B samples of each replicate and averages their gradients by
micro-batch; the rules of sim/rules.py turn the micro-batch gradients into a direction.
Replicates are taken a few at a time, and no number depends on which ones are taken
together.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.algorithm import Algorithm
from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment
from sim.backend import Device
from sim.engines.course import Course
from sim.engines.state import ARRAYS, State
from sim.engines.waypoints import NONE, Waypoints
from sim.engines.workers import Workers
from sim.optimizers import optimized
from sim.problems import Problem, build
from sim.random import philox
from sim.random.addresses import Draws
from sim.rules import rule

# numbers in the samples of the replicates that are simulated together (1 MiB)
CHUNK = 2**17
# numbers in the samples of a step: 0.3 seconds, in which nothing can be stopped
LARGEST = 2**21


class PerSample:
    """Trajectories of one problem under one rule, step and batch size or schedule.

    replicates: their numbers, one for each row of the state; one that has hit stops.
    sizes: the micro-batch size, or a function of the iteration and of ‖∇f‖ [R] that
    returns one for all or an integer array [R]. stop: see `sim.engines.engine`. Raises
    SpecificationError when a step has too many numbers.
    """

    def __init__(
        self,
        problem: Problem,
        algorithm: Algorithm,
        course: Course,
        *,
        sizes: int | Callable[[int, Any], Any],
        replicates: Sequence[int],
        stop: NDArray[np.bool_] | None = None,
    ) -> None:
        if problem.dimension > LARGEST:
            refuse(
                "model.dimension",
                problem.dimension,
                f"at most {LARGEST} sample by sample",
            )
        if algorithm.batch_size * problem.dimension > LARGEST:
            allowed = f"at most {LARGEST // problem.dimension} in dimension "
            allowed += f"{problem.dimension} (a step draws all its samples at once)"
            refuse("algorithm.batch_size", algorithm.batch_size, allowed)
        self.problem, self.algorithm, self.xp = problem, algorithm, problem.xp
        self.sizes = sizes
        self.course = course
        self.replicates = list(replicates)
        self.stop = np.zeros(1, np.bool_) if stop is None else stop
        self.rule = rule(
            algorithm.rule, algorithm.aggregate, algorithm.threshold, self.xp
        )

    def advance(self, state: State, begin: int, end: int, record: bool) -> None:
        """Steps `begin` to `end` - 1 of all replicates, added to the sums if `record`.

        A replicate that has hit the radius is left as it is.
        """
        many = max(1, CHUNK // (self.algorithm.batch_size * self.problem.dimension))
        for low, high in _groups(np.maximum(state.steps, begin), many):
            t = max(begin, int(state.steps[low]))
            rows = _Rows(state, slice(low, high), self.replicates[low:high])
            # divergence is seen in the numbers
            with np.errstate(over="ignore", invalid="ignore"):
                while t < end and not self.stop[0]:
                    self._step(rows, t, record)
                    t += 1
            rows.write(state)
            state.steps[low:high] = t

    def _step(self, rows: "_Rows", t: int, record: bool) -> None:
        """Iteration t of some replicates."""
        xp = self.xp
        a = self.problem.gradient(rows.w)
        wide = xp.astype(a, xp.float64)
        square = xp.sum(wide * wide, axis=-1)
        G = xp.sqrt(square)
        moving = xp.ones_like(rows.hit, dtype=xp.bool)
        if self.course.radius is not None:
            near = (rows.hit < 0) & (self.course.radius >= G)
            rows.hit = xp.where(near, xp.full_like(rows.hit, t), rows.hit)
            moving = rows.hit < 0
        if record:
            new = xp.concat([wide, square[:, None], G[:, None]], axis=-1)
            rows.sums = rows.sums + xp.where(moving[:, None], new, xp.zeros_like(new))
        active = self.problem.active(t, G)
        for b, mask in self._groups(t, G, moving):
            if mask is None:
                draws = self._draws(rows.numbers, t)
                direction, last = self._direction(rows.w, a, draws, b=b, active=active)
                direction, rows.moments = self._optimized(rows.moments, direction, t)
                rows.w = rows.w - self.course.step * direction
                rows.last = last
                continue
            numbers = [
                n
                for n, inside in zip(rows.numbers, _listed(mask), strict=True)
                if inside
            ]
            if numbers:
                w = rows.w[mask]
                draws = self._draws(numbers, t)
                direction, last = self._direction(
                    w, a[mask], draws, b=b, active=active[mask]
                )
                direction, moments = self._optimized(rows.moments[mask], direction, t)
                rows.w[mask] = w - self.course.step * direction
                rows.last[mask] = last
                rows.moments[mask] = moments

    def _groups(self, t: int, G: Any, moving: Any) -> Iterator[tuple[int, Any]]:
        """Micro-batch sizes and the rows [R] that have them; None for all rows."""
        xp = self.xp
        sizes = self.sizes(t, G) if callable(self.sizes) else self.sizes
        everywhere = self.course.radius is None
        if getattr(sizes, "ndim", 0) == 0:
            yield int(sizes), None if everywhere else moving
            return
        different = _listed(xp.unique_values(sizes))
        for b in different:
            alone = everywhere and len(different) == 1
            yield int(b), None if alone else (sizes == b) & moving

    def _draws(self, numbers: list[int], t: int) -> Draws:
        """The random numbers of these replicates in step t."""
        return Draws(self.course.key, numbers, t, self.xp, self.problem.dtype)

    def _direction(
        self, w: Any, a: Any, draws: Draws, *, b: int, active: Any
    ) -> tuple[Any, Any]:
        """The direction [R, d] at w [R, d], and the step's `State.last` [R, 3]."""
        xp = self.xp
        size = self.algorithm.batch_size
        g, clean = self.problem.micro_batch_gradients(w, b, size, draws, active=active)
        direction = self.rule(g)
        columns = [
            self._clipping_norm(g),
            xp.mean(xp.astype(clean, xp.float64), axis=-1),
            _cosine(xp.astype(direction, xp.float64), xp.astype(a, xp.float64), xp),
        ]
        return direction, xp.stack(columns, axis=-1)

    def _optimized(self, moments: Any, direction: Any, t: int) -> tuple[Any, Any]:
        """What the optimizer makes of the direction [R, d], and its moments."""
        if self.course.optimizer is None:
            return direction, moments
        return optimized(
            self.course.optimizer, moments, direction, iteration=t, xp=self.xp
        )

    def _clipping_norm(self, g: Any) -> Any:
        """The norm ρ [R] that g [R, m, d] are clipped to, in float64, nan for sgd."""
        xp = self.xp
        square = xp.astype(xp.sum(g * g, axis=-1), xp.float64)
        rho = self.algorithm.effective_rule.constant_clipping_norm(
            self.algorithm.threshold
        )
        if rho is None:
            return xp.sqrt(xp.min(square, axis=-1))
        return xp.full_like(square[:, 0], rho)


class Samples:
    """`PerSample` for one experiment: on the device, or shared among the workers."""

    def __init__(
        self,
        experiment: Experiment,
        b: int | None,
        step: float,
        *,
        workers: Workers,
        device: Device | None = None,
        stop: NDArray[np.bool_] | None = None,
    ) -> None:
        run, schedule = experiment.run, experiment.algorithm.schedule
        xp = np if device is None else device.xp
        problem = build(experiment, xp, getattr(xp, run.precision))
        key = philox.key(run.seed, b or 0, step)
        sizes = schedule.size_at if schedule is not None else b or 1
        course = Course(key, step, run.radius, experiment.algorithm.optimizer)
        pieces = min(run.replicates, workers.threads) if device is None else 1
        edges = [run.replicates * i // pieces for i in range(pieces + 1)]
        self.workers, self.stop = workers, stop
        self.places = [slice(low, high) for low, high in pairwise(edges)]
        self.parts = [
            PerSample(
                problem,
                experiment.algorithm,
                course,
                sizes=sizes,
                replicates=range(low, high),
                stop=stop,
            )
            for low, high in pairwise(edges)
        ]
        if device is None:
            # One sample, so that what it needs is compiled here: threads could not be
            # interrupted.
            w = np.zeros((1, problem.dimension), problem.dtype)
            draws = Draws(key, range(1), 0, np, problem.dtype)
            problem.micro_batch_gradients(w, 1, 1, draws, active=np.ones(1, np.bool_))

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

        def work(part: PerSample, place: slice) -> None:
            rows = State(*(getattr(state, name)[place] for name in ARRAYS))
            stretches = waypoints.stretches(begin, end, place, stop=self.stop)
            for first, last in stretches:
                part.advance(rows, first, last, record)

        list(self.workers.map(work, self.parts, self.places))


def _groups(steps: NDArray[np.int64], many: int) -> Iterator[tuple[int, int]]:
    """Begin and end of runs of at most `many` replicates, same number of steps."""
    changes = 1 + np.flatnonzero(np.diff(steps))
    for first, last in pairwise([0, *changes.tolist(), len(steps)]):
        for low in range(first, last, many):
            yield low, min(last, low + many)


class _Rows:
    """Some rows of a state, copied."""

    def __init__(self, state: State, place: slice, numbers: list[int]) -> None:
        self.place, self.numbers = place, numbers
        self.w, self.sums = state.w[place, :] + 0, state.sums[place, :]
        self.hit, self.last = state.hit[place], state.last[place, :] + 0
        self.moments = state.moments[place, ...] + 0

    def write(self, state: State) -> None:
        """Put the rows back."""
        state.w[self.place, :], state.sums[self.place, :] = self.w, self.sums
        state.hit[self.place], state.last[self.place, :] = self.hit, self.last
        state.moments[self.place, ...] = self.moments


def _listed(x: Any) -> list[int]:
    """Elements of a one-dimensional array of any library, as integers on the host."""
    return [int(v) for v in (x.tolist() if hasattr(x, "tolist") else x)]


def _cosine(x: Any, y: Any, xp: Any) -> Any:
    """Cosine between the rows of x and y [R, d]; 0 where one of them vanishes."""
    product = xp.sum(x * y, axis=-1)
    length = xp.sqrt(xp.sum(x * x, axis=-1) * xp.sum(y * y, axis=-1))
    zero = length == 0
    return xp.where(
        zero, xp.zeros_like(length), product / xp.where(zero, length + 1, length)
    )
