"""One job in all programs, in turn, so that what disturbs the machine disturbs all."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from analysis.spec.experiment import Experiment
from sim.bench.agreement import Agreement, agreement
from sim.bench.job import Job, job
from sim.bench.programs import OURS, PROGRAMS, Entry, Resources, Worker, WorkerError

SHORTEST = 0.3  # seconds that a program should get in a round, by repetition
MOST = 5  # repetitions


@dataclass
class Row:
    """One program's result; numbers are None unless `status` is "ok".

    `ratio`: its time divided by this engine's, the median over rounds. `mean` of ‖w‖
    over all runs and replicates after each of the job's points, with its standard
    error.
    """

    program: str
    status: str = "ok"
    device: str | None = None
    build_seconds: float | None = None
    median_seconds: float | None = None
    fastest_seconds: float | None = None
    slowest_seconds: float | None = None
    sample_gradients_per_second: float | None = None
    normals_per_second: float | None = None
    ratio: float | None = None
    mean: list[float] | None = None
    standard_error: list[float] | None = None


@dataclass
class Comparison:
    """The rows of one variant, and whether the programs agree."""

    variant: str
    dimension: int
    batch_size: int
    micro_batch_size: int
    replicates: int
    iterations: int
    points: list[int]
    rows: list[Row]
    agreement: Agreement


@dataclass
class _Contender:
    """A program that takes part: its worker, and its measurements so far."""

    row: Row
    entry: Entry
    worker: Worker
    repetitions: int = 1
    # seconds a run, the median of each round
    rounds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    means: list[list[float]] = field(default_factory=list)
    errors: list[list[float]] = field(default_factory=list)

    def attempt(self, act: Callable[..., None], *arguments: Any) -> None:
        """Act, or leave the comparison with the reason as the row's status."""
        if self.row.status == "ok":
            try:
                act(*arguments)
            except WorkerError as reason:
                self.row.status = str(reason)

    def prepare(self, experiment: Experiment, resources: Resources) -> None:
        """Build, compile, and run once to warm up."""
        run = replace(experiment.run, engine=self.entry.engine)
        reply = self.worker.build(replace(experiment, run=run), resources)
        self.row.build_seconds = reply["seconds"]
        self.row.device = reply["device"]
        warm = self.worker.run(0)["seconds"]
        self.repetitions = max(1, min(MOST, math.ceil(SHORTEST / max(warm, 1e-3))))

    def play(self, seed: int) -> None:
        """One round."""
        replies = [self.worker.run(seed + k) for k in range(self.repetitions)]
        times = [reply["seconds"] for reply in replies]
        self.seconds += times
        self.rounds.append(median(times))
        self.means += [reply["mean"] for reply in replies]
        self.errors += [reply["standard_error"] for reply in replies]

    def conclude(self, task: Job, ours: list[float] | None) -> None:
        """Fill in the row; `ours` are the rounds of this engine, if it finished."""
        row = self.row
        row.median_seconds = median(self.rounds)
        row.fastest_seconds = min(self.seconds)
        row.slowest_seconds = max(self.seconds)
        row.sample_gradients_per_second = task.sample_gradients / row.median_seconds
        row.normals_per_second = task.normals(self.entry.reduction) / row.median_seconds
        if ours:
            row.ratio = median(a / b for a, b in zip(self.rounds, ours, strict=True))
        n = len(self.means)
        row.mean = [math.fsum(column) / n for column in zip(*self.means, strict=True)]
        row.standard_error = [
            math.hypot(*column) / n for column in zip(*self.errors, strict=True)
        ]


def compare(
    name: str,
    experiment: Experiment,
    rounds: int,
    resources: Resources,
    *,
    programs: Mapping[str, Entry] | None = None,
    tick: Callable[[], Any] = lambda: None,
) -> Comparison:
    """Measure the experiment in the programs (None: all); `tick` is called each round.

    Every program is built and warmed up first. In each of the `rounds` another program
    is the first. Runs have different seeds, and their means are pooled. A program is
    left out if one run takes more than `sim.bench.programs.PATIENCE` seconds.
    """
    entries = PROGRAMS if programs is None else programs
    rows = {program: Row(program) for program in entries}
    with ExitStack() as stack:
        contenders = _contenders(entries, rows, stack)
        for contender in contenders:
            contender.attempt(contender.prepare, experiment, resources)
        for k in range(rounds):
            first = k % max(1, len(contenders))
            for contender in contenders[first:] + contenders[:first]:
                contender.attempt(contender.play, 1 + k * MOST)
            tick()
    task = job(experiment)
    finished = [contender for contender in contenders if contender.row.status == "ok"]
    ours = next((c.rounds for c in finished if c.row.program == OURS), None)
    for contender in finished:
        contender.conclude(task, ours)
    return Comparison(
        variant=name,
        dimension=task.d,
        batch_size=task.B,
        micro_batch_size=task.b,
        replicates=task.R,
        iterations=task.T,
        points=task.points,
        rows=list(rows.values()),
        agreement=agreement(_last_estimates(rows.values())),
    )


def _contenders(
    entries: Mapping[str, Entry], rows: Mapping[str, Row], stack: ExitStack
) -> list[_Contender]:
    """A running worker for each program that is installed; the others' rows say so."""
    contenders = []
    for program, entry in entries.items():
        if entry.installed:
            worker = stack.enter_context(Worker(entry))
            contenders.append(_Contender(rows[program], entry, worker))
        else:
            rows[program].status = "not installed"
    return contenders


def _last_estimates(rows: Iterable[Row]) -> list[tuple[str, float, float]]:
    """Name, mean and standard error at the last point, where there are any."""
    return [
        (row.program, row.mean[-1], row.standard_error[-1])
        for row in rows
        if row.mean and row.standard_error
    ]
