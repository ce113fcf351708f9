"""One job in all programs: rounds in turn, so that whatever disturbs the machine disturbs all."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from analysis.spec.experiment import Experiment
from sim.bench.agreement import Agreement, agreement
from sim.bench.job import job
from sim.bench.programs import OURS, PROGRAMS, Entry, Worker, WorkerError

SHORTEST = 0.3  # seconds that a program should get in a round, by repetition
MOST = 5  # repetitions


@dataclass
class Row:
    """One program's result; numbers are None unless `status` is "ok".

    `ratio`: its time divided by this engine's, the median over rounds. `mean` of ‖w‖ over all runs
    and replicates after each of the job's points, with its standard error.
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
    """A program that takes part: its worker, and what it did so far."""

    row: Row
    entry: Entry
    worker: Worker
    repetitions: int = 1
    rounds: list[float] = field(default_factory=list)  # seconds a run, the median of each round
    seconds: list[float] = field(default_factory=list)
    means: list[list[float]] = field(default_factory=list)
    errors: list[list[float]] = field(default_factory=list)

    def attempt(self, act: Callable[..., None], *arguments: Any) -> None:
        """Do it, or leave the competition and say why."""
        if self.row.status == "ok":
            try:
                act(*arguments)
            except WorkerError as reason:
                self.row.status = str(reason)

    def prepare(self, experiment: Experiment, threads: int, backend: str) -> None:
        """Build, compile, and run once to warm up."""
        built = self.worker.build(experiment, threads, backend)
        self.row.build_seconds, self.row.device = built["seconds"], built["device"]
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


def compare(
    name: str,
    experiment: Experiment,
    rounds: int,
    threads: int,
    backend: str,
    programs: dict[str, Entry] | None = None,
    tick: Callable[[], Any] = lambda: None,
) -> Comparison:
    """Measure the experiment in the programs (None: in all of them); `tick` is called each round.

    Every program is built and warmed up first; then `rounds` rounds, each begun by another one.
    Runs have different seeds, and their means are pooled. What takes more than
    `sim.bench.programs.PATIENCE` seconds a run is left out.
    """
    task, entries = job(experiment), PROGRAMS if programs is None else programs
    rows = {program: Row(program) for program in entries}
    with ExitStack() as stack:
        contenders = []
        for program, entry in entries.items():
            if not entry.installed:
                rows[program].status = "not installed"
                continue
            worker = stack.enter_context(Worker(entry))
            contenders.append(_Contender(rows[program], entry, worker))
        for c in contenders:
            c.attempt(c.prepare, experiment, threads, backend)
        for k in range(rounds):
            first = k % max(1, len(contenders))
            for c in contenders[first:] + contenders[:first]:
                c.attempt(c.play, 1 + k * MOST)
            tick()
    finished = [c for c in contenders if c.row.status == "ok"]
    ours = next((c.rounds for c in finished if c.row.program == OURS), None)
    for c in finished:
        row, n = c.row, len(c.means)
        row.median_seconds = median(c.rounds)
        row.fastest_seconds, row.slowest_seconds = min(c.seconds), max(c.seconds)
        row.sample_gradients_per_second = task.sample_gradients / row.median_seconds
        row.normals_per_second = task.normals(c.entry.reduced) / row.median_seconds
        if ours:
            row.ratio = median(a / b for a, b in zip(c.rounds, ours, strict=True))
        row.mean = [math.fsum(column) / n for column in zip(*c.means, strict=True)]
        row.standard_error = [math.hypot(*column) / n for column in zip(*c.errors, strict=True)]
    known = [row for row in rows.values() if row.mean and row.standard_error]
    last = [(r.program, r.mean[-1], r.standard_error[-1]) for r in known]  # type: ignore[index]
    return Comparison(
        variant=name,
        dimension=task.d,
        batch_size=task.B,
        micro_batch_size=task.b,
        replicates=task.R,
        iterations=task.T,
        points=task.points,
        rows=list(rows.values()),
        agreement=agreement(last),
    )
