"""Run an experiment: every micro-batch size at every step size, on all cores, resumable."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from analysis.fields import refuse
from analysis.model import Experiment
from sim.backend import Device, resolve
from sim.engines import engine
from sim.engines.state import ARRAYS, State, start
from sim.estimate import Array, Estimate
from sim.measures import MEASURES
from sim.results import Measured, MeasuredResult, Result, measured, summary
from sim.store import Store

CHUNK = 0.2  # seconds between two looks at Ctrl-C
KEEP = 30.0  # seconds between two writings of an unfinished state


@dataclass
class Progress:
    """How far the run at one micro-batch size is: finished step sizes, and the current one."""

    done: list[Array] = field(default_factory=list)  # what was found at the finished ones
    steps: int = 0  # of the current one
    state: State | None = None
    found: Array | None = None

    @classmethod
    def read(cls, experiment: Experiment, arrays: dict[str, Any]) -> "Progress":
        """From the arrays that were kept; from the beginning if they are none or do not fit."""
        fresh, found = start(experiment), MEASURES[experiment.run.measure](experiment).found
        count = sum(name.startswith("done") for name in arrays)
        expected = {f"done{i}": found for i in range(count)}
        if set(arrays) != set(expected):
            expected |= {name: getattr(fresh, name) for name in ARRAYS}
            expected |= {"found": found, "steps": np.array(0)}
        fits = set(arrays) == set(expected) and all(
            arrays[name].shape == array.shape and arrays[name].dtype == array.dtype
            for name, array in expected.items()
        )
        steps = int(arrays["steps"]) if fits and "steps" in arrays else 0
        if (
            not fits
            or count > len(experiment.run.steps)
            or not 0 <= steps <= experiment.run.iterations
        ):
            return cls()
        progress = cls([arrays[f"done{i}"] for i in range(count)], steps)
        if "steps" in arrays:
            progress.found = arrays["found"]
            progress.state = State(*(arrays[name] for name in ARRAYS))
        return progress

    def to_arrays(self) -> dict[str, Any]:
        """The arrays to be kept."""
        arrays = {f"done{i}": found for i, found in enumerate(self.done)}
        if self.state is not None and self.found is not None:
            arrays |= {name: self.state.host(name) for name in ARRAYS}
            arrays |= {"steps": np.array(self.steps), "found": self.found}
        return arrays


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
        for message in (found.problem, found.warning):
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
    device = Device() if resolve(backend) == "cuda" else None
    inner = experiment.centred()
    if out == "":
        refuse("out", out, "a folder")
    store = None if out is None else Store(Path(out) / experiment.name)
    variants = experiment.algorithm.variants
    found = {b: store.read(experiment, b) if store else None for b in variants}
    done = {b: result for b, result in found.items() if result is not None}
    missing = sorted((b for b in variants if b not in done), key=lambda b: -(b or 0))
    disable = None if progress is None and missing else not (progress and missing)
    total = experiment.run.iterations * len(experiment.run.steps) * len(missing)
    try:
        with (
            Interrupt() as interrupt,
            ThreadPoolExecutor(workers) as pool,
            tqdm(total=total, unit=" steps", unit_scale=True, disable=disable) as bar,
        ):
            for b in missing:
                state = Progress.read(inner, store.read_state(experiment, b) if store else {})
                kept = time.monotonic()
                for steps in _advance(inner, b, state, pool, device):
                    bar.update(steps)
                    if store and (interrupt.asked or time.monotonic() - kept > KEEP):
                        store.write_state(experiment, b, state.to_arrays())
                        kept = time.monotonic()
                    if interrupt.asked:
                        raise KeyboardInterrupt
                done[b] = measured(experiment, state.done)
                if store:
                    store.write(experiment, b, done[b])
                    with suppress(FileNotFoundError):
                        store.unfinished(experiment, b).unlink()
    except KeyboardInterrupt:
        kept_in = f"What is done is in {store.folder}; run again to go on." if store else ""
        raise KeyboardInterrupt(kept_in) from None
    return {b: done[b] for b in variants}


class Interrupt:
    """Ctrl-C sets `asked`, so that a piece of work may end; the next one interrupts as usual."""

    asked = False

    def __enter__(self) -> "Interrupt":
        self.before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        self.replaced = main and self.before is signal.default_int_handler
        if self.replaced:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, *_: Any) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self.before)

    def __exit__(self, *_: object) -> None:
        if self.replaced:
            signal.signal(signal.SIGINT, self.before)


def _advance(
    experiment: Experiment,
    b: int | None,
    progress: Progress,
    pool: ThreadPoolExecutor,
    device: Device | None,
) -> Iterator[int]:
    """Go on from `progress` to the end, in pieces of about CHUNK seconds; yields steps done.

    Between two pieces `progress` is whole, so that it may be kept.
    """
    run = experiment.run
    for step in run.steps[len(progress.done) :]:
        gatherer = MEASURES[run.measure](experiment)
        at = progress.steps
        state = (progress.state or start(experiment)).moved(device)
        if progress.found is not None:
            gatherer.found = progress.found
            yield at
        machine = engine(experiment, b, step, pool, device)
        rate = 0.0  # steps a second
        for pause in gatherer.pauses():
            while at < pause:
                end = min(pause, at + max(1, int(rate * CHUNK)))
                began = time.perf_counter()
                machine.advance(state, at, end, gatherer.records(at))
                rate = (end - at) / max(time.perf_counter() - began, 1e-6)
                if end == pause:
                    gatherer.collect(state, end)
                progress.steps, progress.state, progress.found = end, state, gatherer.found
                yield end - at
                at = end
            if gatherer.done(state):
                gatherer.collect(state, run.iterations)
                break
        progress.done.append(gatherer.found)
        progress.steps, progress.state, progress.found = 0, None, None


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
