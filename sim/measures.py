"""What a simulation records: batch means, trajectories, averages, hitting times.

A measure names the iterations at which the engine pauses, and collects from its state
there. Replicates are averaged in at most GROUPS groups, so that the size of the record
depends neither on the number of iterations nor on that of replicates; groups are
independent, and intervals are computed from the variance between them.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.spec.algorithm import Run
from analysis.spec.experiment import Experiment
from sim.engines.state import State

GROUPS = 1024
ROWS = 4096  # replicates whose losses are computed at once
AVERAGES = ("gradient_norm", "squared_gradient_norm")
QUANTITIES = ("gradient_norm", "loss", "clipping_norm", "clean_fraction", "cosine")

Array = NDArray[np.float64]


def group_edges(replicates: int) -> NDArray[np.int64]:
    """Where groups of replicates begin [groups]; their sizes differ by one at most."""
    groups = min(replicates, GROUPS)
    return np.arange(groups) * replicates // groups


def group_means(values: Any) -> Array:
    """Means over the groups of replicates: [replicates, …] becomes [groups, …]."""
    if len(values) <= GROUPS:
        return np.asarray(values, np.float64)
    edges = group_edges(len(values))
    sizes = np.diff(np.append(edges, len(values)))
    sums = np.add.reduceat(np.asarray(values, np.float64), edges, axis=0)
    return np.asarray(sums / sizes.reshape(-1, *[1] * (sums.ndim - 1)))


class Measure(ABC):
    """The measure of one run; `found` is its record so far, all that must be stored."""

    found: Array
    reads: ClassVar[tuple[str, ...]]  # the state's arrays that it collects from

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.run = experiment, experiment.run

    @abstractmethod
    def pauses(self) -> list[int]:
        """The numbers of steps after which to collect, increasing to the run's end."""

    def records(self, step: int) -> bool:
        """Whether the sums of the state are needed from this step to the next pause."""
        return False

    @abstractmethod
    def collect(self, state: State, steps: int) -> None:
        """Take what is needed from the state after that many steps."""


class Bias(Measure):
    """Batch means of ∇f and ‖∇f‖² after burn-in: found [groups, batches, d + 1]."""

    reads = ("sums",)

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        self.length = self.run.recorded // self.run.batches
        self.first = self.run.iterations - self.length * self.run.batches
        groups = len(group_edges(self.run.replicates))
        self.found = np.zeros(
            (groups, self.run.batches, experiment.model.dimension + 1)
        )

    def pauses(self) -> list[int]:
        """The end of burn-in, and the end of each batch."""
        ends = [self.first + self.length * (k + 1) for k in range(self.run.batches)]
        return [self.first, *ends] if self.first else ends

    def records(self, step: int) -> bool:
        """After burn-in."""
        return step >= self.first

    def collect(self, state: State, steps: int) -> None:
        """The batch that has just ended."""
        if steps > self.first:
            batch = (steps - self.first) // self.length - 1
            with np.errstate(invalid="ignore", over="ignore"):
                sums = state.host("sums")[:, :-1]
                self.found[:, batch] = group_means(sums) / self.length
        state.sums[:] = 0


class Trajectory(Measure):
    """Means at log-spaced iterations: found [groups, points, QUANTITIES]."""

    reads = ("w", "last")

    def __init__(self, experiment: Experiment) -> None:
        from sim.problems import build  # numba, which is slow to import

        super().__init__(experiment)
        self.problem = build(experiment)
        self.points = points(self.run)
        groups = len(group_edges(self.run.replicates))
        self.found = np.zeros((groups, len(self.points), len(QUANTITIES)))

    def pauses(self) -> list[int]:
        """Log-spaced from 1 to the last iteration."""
        return self.points

    def collect(self, state: State, steps: int) -> None:
        """‖∇f‖ and f after the step, and what the step itself was like."""
        values = np.empty((self.run.replicates, len(QUANTITIES)))
        values[:, 2:] = state.host("last")
        w = state.host("w")
        with np.errstate(invalid="ignore", over="ignore"):
            for low in range(0, len(w), ROWS):
                part = np.asarray(w[low : low + ROWS], np.float64)
                values[low : low + ROWS, 0] = np.linalg.norm(
                    self.problem.gradient(part), axis=1
                )
                values[low : low + ROWS, 1] = self.problem.loss(part)
        self.found[:, self.points.index(steps)] = group_means(values)


class Average(Measure):
    """Means of ‖∇f‖ and ‖∇f‖² over each run's iterations: found [replicates, AVERAGES].

    Over 0 … T - 1, of every replicate: guarantees are about these means.
    """

    reads = ("sums",)

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        self.found = np.zeros((self.run.replicates, len(AVERAGES)))

    def pauses(self) -> list[int]:
        """Only the end."""
        return [self.run.iterations]

    def records(self, step: int) -> bool:
        """Always."""
        return True

    def collect(self, state: State, steps: int) -> None:
        """The means of all replicates."""
        squares, norms = state.host("sums")[:, -2:].T / steps
        self.found = np.column_stack([norms, squares])


class Hitting(Measure):
    """The first iteration with ‖∇f‖ <= radius: found [replicates].

    -1 where it was not reached, NaN where the iterates are not finite.
    """

    reads = ("w", "hit")

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        self.found = np.full(self.run.replicates, -1.0)

    def pauses(self) -> list[int]:
        """Only the end."""
        return [self.run.iterations]

    def collect(self, state: State, steps: int) -> None:
        """The hitting times of all replicates."""
        hit = np.asarray(state.host("hit"), np.float64)
        lost = ~np.isfinite(state.host("w")).all(axis=1)
        self.found = np.where(lost & (hit < 0), np.nan, hit)


MEASURES: dict[str, type[Measure]] = {
    "bias": Bias,
    "trajectory": Trajectory,
    "average": Average,
    "hitting": Hitting,
}


def points(run: Run) -> list[int]:
    """About run.points different log-spaced iterations from 1 to run.iterations."""
    wanted = min(run.points or 1, run.iterations)
    spaced = np.geomspace(1, run.iterations, wanted) if wanted > 1 else [run.iterations]
    return sorted({round(float(x)) for x in spaced})


def mean_and_error(values: Array) -> tuple[Array, Array]:
    """Mean over groups [groups, …] and its standard error; a single group's is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):  # of replicates that diverged
        mean = values.mean(0)
        if len(values) == 1:
            return mean, np.full_like(mean, np.nan)
        return mean, values.std(0, ddof=1) / np.sqrt(len(values))
