"""Run an experiment: every size at every step size, on all cores, resumable."""

import os
import sys
from pathlib import Path

from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment
from analysis.spec.feasibility import require_feasible
from sim import environment
from sim.backend import Device, resolve
from sim.estimate import Estimate
from sim.reduction.radial import chosen
from sim.results import Measured, MeasuredResult, Result, summary
from sim.sweep.session import Pieces, Session, Settings
from sim.sweep.store import Store
from sim.variants import SCHEDULE, Variant, name, word

WHOLE = Pieces()


def run(
    experiment: Experiment,
    out: str | Path | None = None,
    workers: int = 1,
    *,
    progress: bool | None = None,
    backend: str = "auto",
) -> Result | MeasuredResult:
    """Simulate the experiment at each of its micro-batch sizes, or with its schedule.

    With `out`, finished sizes and the state of unfinished ones are kept there and
    reused. `workers` is the number of threads; `backend` is auto, cpu or cuda.
    `progress` None shows a bar when stderr is a terminal. The result depends on none of
    these, but for rounding on the backend. Raises SpecificationError when `out` or the
    backend cannot be used, and for models that cannot be simulated.
    """
    done = measure(experiment, out, workers, progress, backend=backend)
    for variant, result in done.items():
        message = result.problem or result.warning
        if message:
            what = (
                name(variant)
                if variant is SCHEDULE
                else f"micro-batch size {name(variant)}"
            )
            print(f"{what}: {message}", file=sys.stderr)
    return summary(experiment, done)


def simulate(
    experiment: Experiment,
    out: str | Path | None,
    workers: int,
    progress: bool | None,
    *,
    backend: str = "auto",
) -> dict[int, Estimate]:
    """The bias by micro-batch size, in the experiment's order; for measure = "bias"."""
    done = measure(experiment, out, workers, progress, backend=backend)
    return {b: e for b, e in done.items() if b is not None and isinstance(e, Estimate)}


def measure(
    experiment: Experiment,
    out: str | Path | None,
    workers: int,
    progress: bool | None,
    *,
    backend: str = "auto",
    pieces: Pieces = WHOLE,
) -> dict[Variant, Measured]:
    """What was measured at each variant, in the experiment's order.

    Arguments and errors as for `run`. pieces: how the work is cut.
    """
    space = chosen(experiment)
    require_feasible(experiment, None if space is None else space.dimension)
    # There is no kernel for radii on a device.
    full = resolve(backend) == "cuda" and space is None
    device = Device() if full else None
    store = _store(experiment, out)
    variants = experiment.algorithm.variants
    stored = {
        variant: store.read(experiment, variant) if store else None
        for variant in variants
    }
    done = {variant: result for variant, result in stored.items() if result is not None}
    missing = sorted((v for v in variants if v not in done), key=word, reverse=True)
    if missing:
        environment.require()
        if store:
            store.require_writable()
    settings = Settings(workers, device, progress, pieces)
    with Session(experiment, missing, store, settings) as session:
        for variant in missing:
            done[variant] = session.finish(variant)
    return {variant: done[variant] for variant in variants}


def _store(experiment: Experiment, out: str | Path | None) -> Store | None:
    """Where results belong.

    Raises SpecificationError for what is no folder of its own in `out`.
    """
    if out is None:
        return None
    if out == "":
        refuse("out", out, "a folder")
    if Path(experiment.name).name != experiment.name or experiment.name in ("", ".."):
        refuse(
            "experiment.name",
            experiment.name,
            "the name of a folder (it is the file's)",
        )
    return Store(Path(out) / experiment.name)


def available_cores() -> int:
    """Cores that this process may use."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )
