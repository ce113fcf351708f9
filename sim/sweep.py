"""Run an experiment: every micro-batch size at every step size, in parallel, resumable."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from analysis.fields import refuse
from analysis.model import Experiment
from sim.draws import require_simulated
from sim.engines import mixture
from sim.estimate import Array, Estimate, confidence_set, estimate
from sim.store import Store

WORTH_A_POOL = 3_000_000  # micro-batches; below this, starting processes takes longer than the work


@dataclass(frozen=True)
class SizeResult:
    """The simulated bias at one micro-batch size; None where the run diverged or never rests."""

    micro_batch_size: int
    bias: float | None
    standard_error: float | None
    interval: tuple[float | None, float | None]


@dataclass(frozen=True)
class Best:
    """The size with the smallest simulated bias, and all that may have the smallest true one."""

    micro_batch_size: int | None
    confidence_set: list[int]


@dataclass(frozen=True)
class Result:
    """What `sim run` prints."""

    rule: str
    batch_size: int
    results: list[SizeResult]
    best: Best


@dataclass(frozen=True)
class Task:
    """One piece of work: some replicates at one size and one step size."""

    experiment: Experiment
    micro_batch_size: int
    step: float
    replicates: range

    @property
    def micro_batches(self) -> int:
        """Micro-batch gradients to be drawn."""
        per_step = self.experiment.algorithm.batch_size // self.micro_batch_size
        return per_step * self.experiment.run.iterations * len(self.replicates)

    def __call__(self) -> Array:
        """Batch means [replicates, batches, d]."""
        return mixture.simulate(self.experiment, self.micro_batch_size, self.step, self.replicates)


def run(
    experiment: Experiment,
    out: str | Path | None = None,
    workers: int = 1,
    progress: bool | None = None,
) -> Result:
    """Simulate the experiment and estimate the bias at each of its micro-batch sizes.

    With `out`, finished sizes are kept there and reused. `workers` > 1 starts processes, for which
    a script must guard its own code with `if __name__ == "__main__"`. `progress` None shows a bar
    when stderr is a terminal. The result depends on none of the three. Raises SpecificationError
    when `out` cannot be used, for opposing draggers and for domains.
    """
    estimates = simulate(experiment, out, workers, progress)
    for b, found in estimates.items():
        for message in (found.problem, found.warning):
            if message:
                print(f"micro-batch size {b}: {message}", file=sys.stderr)
    return summary(experiment, estimates)


def summary(experiment: Experiment, estimates: dict[int, Estimate]) -> Result:
    """The estimates as the documented result."""
    known = {b: e for b, e in estimates.items() if e.problem is None}
    results = [
        SizeResult(b, e.bias, e.standard_error, e.interval)
        if b in known
        else SizeResult(b, None, None, (None, None))
        for b, e in estimates.items()
    ]
    best = min(known, key=lambda b: known[b].bias) if known else None
    algorithm = experiment.algorithm
    return Result(
        algorithm.rule, algorithm.batch_size, results, Best(best, confidence_set(estimates))
    )


def simulate(
    experiment: Experiment, out: str | Path | None, workers: int, progress: bool | None
) -> dict[int, Estimate]:
    """Estimates by micro-batch size, in the experiment's order."""
    experiment.gradient_model.require_exact()
    require_simulated(experiment.gradient_model)
    experiment.require_memory()
    if out == "":
        refuse("out", out, "a folder")
    store = None if out is None else Store(Path(out) / experiment.name)
    sizes = experiment.algorithm.micro_batch_sizes
    done = {b: store.read(experiment, b) if store else None for b in sizes}
    estimates = {b: e for b, e in done.items() if e is not None}
    tasks = [
        Task(experiment, b, step, replicates)
        for b in sorted(sizes, reverse=True)  # cheap sizes first, so that much is kept early
        if b not in estimates
        for step in experiment.run.steps
        for replicates in mixture.chunks(experiment, b)
    ]
    pieces: dict[int, dict[tuple[float, int], Array]] = {b: {} for b in sizes}
    work = sum(task.micro_batches for task in tasks)
    disable = None if progress is None and tasks else not (progress and tasks)
    try:
        with (
            tqdm(total=work, unit=" micro-batches", unit_scale=True, disable=disable) as bar,
            closing(_finished(tasks, workers if work > WORTH_A_POOL else 1)) as finished,
        ):
            for task, batch_means in finished:
                b = task.micro_batch_size
                pieces[b][task.step, task.replicates.start] = batch_means
                bar.update(task.micro_batches)
                if sum(map(len, pieces[b].values())) == experiment.run.replicates * len(
                    experiment.run.steps
                ):
                    estimates[b] = estimate(
                        _joined(experiment, pieces.pop(b)), experiment.run.steps
                    )
                    if store:
                        store.write(experiment, b, estimates[b])
    except KeyboardInterrupt:
        kept = f"Finished sizes are in {store.folder}; run again to go on." if store else ""
        raise KeyboardInterrupt(kept) from None
    return {b: estimates[b] for b in sizes}


def _joined(experiment: Experiment, pieces: dict[tuple[float, int], Array]) -> Array:
    """Batch means [steps, replicates, batches, d]."""
    return np.stack(
        [
            np.concatenate([pieces[key] for key in sorted(pieces) if key[0] == step])
            for step in experiment.run.steps
        ]
    )


def _finished(tasks: Sequence[Task], workers: int) -> Generator[tuple[Task, Array], None, None]:
    """Each task with its result, as they finish."""
    if workers <= 1:
        for task in tasks:
            yield task, task()
        return
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, context, initializer=_ignore_interrupts)
    try:
        futures = {executor.submit(task): task for task in tasks}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
        executor.shutdown()
    except BrokenExecutor:
        raise ChildProcessError("a worker process was killed; is there enough memory?") from None
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
