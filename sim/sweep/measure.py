"""Run an experiment: every micro-batch size at every step size, on all cores, resumable."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment
from sim import environment
from sim.backend import Device, resolve
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.estimate import Estimate
from sim.measures import MEASURES
from sim.results import Measured, MeasuredResult, Result, measured, summary
from sim.sweep.interrupt import Interrupt
from sim.sweep.keeper import Keeper, Progress
from sim.sweep.store import Store

CHUNK = 0.2  # seconds of a piece of work


def run(
    experiment: Experiment,
    out: str | Path | None = None,
    workers: int = 1,
    progress: bool | None = None,
    backend: str = "auto",
) -> Result | MeasuredResult:
    """Simulate the experiment at each of its micro-batch sizes, or with its schedule.

    With `out`, finished sizes and the state of unfinished ones are kept there and reused. `workers`
    is the number of threads; `backend` is auto, cpu or cuda. `progress` None shows a bar when
    stderr is a terminal. The result depends on none of these, but for rounding on the backend.
    Raises SpecificationError when `out` or the backend cannot be used, and for models that
    cannot be simulated.
    """
    done = measure(experiment, out, workers, progress, backend)
    for b, found in done.items():
        message = found.problem or found.warning
        if message:
            what = "schedule" if b is None else f"micro-batch size {b}"
            print(f"{what}: {message}", file=sys.stderr)
    return summary(experiment, done)


def simulate(
    experiment: Experiment,
    out: str | Path | None,
    workers: int,
    progress: bool | None,
    backend: str = "auto",
) -> dict[int, Estimate]:
    """The bias by micro-batch size, in the experiment's order; for measure = "bias"."""
    done = measure(experiment, out, workers, progress, backend)
    return {b: e for b, e in done.items() if b is not None and isinstance(e, Estimate)}


def measure(
    experiment: Experiment,
    out: str | Path | None,
    workers: int,
    progress: bool | None,
    backend: str = "auto",
) -> dict[int | None, Measured]:
    """What was measured by micro-batch size (None: the schedule), in the experiment's order."""
    experiment.require_memory()
    experiment.require_precision()
    experiment.require_relaxation()
    device = Device() if resolve(backend) == "cuda" else None
    store = _store(experiment, out)
    variants = experiment.algorithm.variants
    found = {b: store.read(experiment, b) if store else None for b in variants}
    done = {b: result for b, result in found.items() if result is not None}
    missing = sorted((b for b in variants if b not in done), key=lambda b: -(b or 0))
    if missing:
        environment.require()
    if store and missing:
        store.require_writable()
    centred = experiment.centred()
    keepers = [Keeper(store, experiment, centred, b) for b in missing]
    disable = None if progress is None and missing else not (progress and missing)
    total = experiment.run.iterations * len(experiment.run.steps) * len(missing)
    with (
        Workers(workers) as pool,
        Interrupt() as interrupt,
        tqdm(total=total, unit=" steps", unit_scale=True, disable=disable) as bar,
    ):
        for b, keeper in zip(missing, keepers, strict=True):
            try:
                for steps in _advance(centred, b, keeper.progress, pool, device, interrupt):
                    bar.update(steps)
                    if interrupt.asked:
                        raise KeyboardInterrupt
                    keeper.keep_if_due(interrupt)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(keeper.leave(interrupt, len(done))) from None
            done[b] = measured(experiment, keeper.progress.done)
            keeper.finish(done[b])
    return {b: done[b] for b in variants}


def _store(experiment: Experiment, out: str | Path | None) -> Store | None:
    """Where results belong; raises SpecificationError for what is no folder of its own in `out`."""
    if out is None:
        return None
    if out == "":
        refuse("out", out, "a folder")
    if Path(experiment.name).name != experiment.name or experiment.name in ("", ".."):
        refuse("experiment.name", experiment.name, "the name of a folder (it is the file's)")
    return Store(Path(out) / experiment.name)


def _advance(
    experiment: Experiment,
    b: int | None,
    progress: Progress,
    pool: Workers,
    device: Device | None,
    interrupt: Interrupt,
) -> Iterator[int]:
    """Go on from `progress` to the end, in pieces of about CHUNK seconds; yields steps done.

    Between two pieces `progress` is whole, so that it may be kept; so it is when a piece was
    stopped, where replicates may have done different numbers of steps.
    """
    run, stop = experiment.run, interrupt.stop
    for step in run.steps[len(progress.done) :]:
        gatherer = MEASURES[run.measure](experiment)
        at, state = progress.steps, progress.state or start(experiment)
        farthest = int(state.steps.max())
        if progress.found is not None:
            gatherer.found = progress.found
            yield at
        # Replicates that stand apart are first brought together by the CPU.
        place = None if at < farthest else device
        state = state.moved(place)
        with interrupt.at_once():
            machine = engine(experiment, b, step, pool, place, stop)
        rate = 0.0  # steps a second
        for pause in gatherer.pauses():
            while at < pause:
                end = min(pause, max(at + 1, at + int(rate * CHUNK), farthest))
                began = time.perf_counter()
                machine.advance(state, at, end, gatherer.records(at))
                reached = int(state.steps.min()) if stop[0] else end
                rate = (end - at) / max(time.perf_counter() - began, 1e-6)
                if reached == pause:
                    gatherer.collect(state, pause)
                progress.state, progress.found = state, gatherer.found
                yield reached - at
                at = reached
                if place is not device:
                    place, state = device, state.moved(device)
                    with interrupt.at_once():
                        machine = engine(experiment, b, step, pool, place, stop)
            if gatherer.done(state):
                gatherer.collect(state, run.iterations)
                break
        progress.done.append(gatherer.found)
        progress.state, progress.found = None, None


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
