"""What bounds the engine: its generator, growth with the job, memory, cold start."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from analysis.spec.experiment import Experiment
from sim.bench.programs import Resources, Worker, fresh

MANY = 100_000  # replicates whose memory is measured
GENERATOR_SECONDS = 0.5


@dataclass(frozen=True)
class Generator:
    """Normals a second of the CPU engine's generator alone.

    `engine_fraction`: those of the engine in a job of the same run, over those on all
    threads.
    """

    threads: int
    one_thread: float
    all_threads: float
    engine_fraction: float | None


@dataclass(frozen=True)
class Scaling:
    """Seconds of a run against one quantity, the others held.

    `exponent` is the slope of log seconds against log quantity by least squares; its
    error is that of the fit and small when the growth is a power. `expected`: of the
    leading term.
    """

    quantity: str
    held: str
    values: list[int]
    seconds: list[float]
    exponent: float
    exponent_error: float
    expected: float


@dataclass(frozen=True)
class Memory:
    """Peak resident MiB of a process that runs many replicates; `before`: with one."""

    dimension: int
    replicates: int
    before_mib: float
    peak_mib: float


@dataclass(frozen=True)
class ColdStart:
    """Seconds from starting Python to the end of one step, compiled code cached."""

    seconds: list[float]
    median_seconds: float


def generator(
    worker: Worker, threads: int, rounds: int, normals: float | None
) -> Generator:
    """Measure it in turn on one thread and on all; `normals`: the engine's a second."""
    rates: dict[int, list[float]] = {1: [], threads: []}
    for _ in range(rounds):
        for number, samples in rates.items():
            arguments = [number, GENERATOR_SECONDS]
            samples.append(worker.ask({"generator_rate": arguments})["result"])
    all_threads = median(rates[threads])
    fraction = None if normals is None else normals / all_threads
    return Generator(threads, median(rates[1]), all_threads, fraction)


def grids(reference: Experiment) -> list[tuple[str, str, float, dict[int, Experiment]]]:
    """What grows, what is held, the expected exponent, and experiments by value."""
    run = reference.run
    model = reference.model
    algorithm = reference.algorithm

    def with_run(**changes: int) -> Experiment:
        return replace(reference, run=replace(run, **changes))  # type: ignore[arg-type]

    def with_sizes(m: int, b: int) -> Experiment:
        changed = replace(algorithm, batch_size=m * b, micro_batch_sizes=(b,))
        return replace(reference, algorithm=changed, run=run)

    def in_dimension(d: int) -> Experiment:
        mapping = {**model.to_mapping(), "dimension": d}
        mapping["dragger"] = {**mapping["dragger"], "direction": 1.0}
        changed = {**reference.to_mapping(), "model": mapping, "run": run.to_mapping()}
        return Experiment.from_mapping(changed)

    b = algorithm.sizes[0]
    m = algorithm.batch_size // b
    d = model.dimension
    R = run.replicates
    T = run.iterations
    return [
        (
            "R",
            f"T={T} m={m} d={d}",
            1,
            {n: with_run(replicates=n) for n in _around(R, 4)},
        ),
        (
            "T",
            f"R={R} m={m} d={d}",
            1,
            {n: with_run(iterations=n) for n in _around(T, 4)},
        ),
        (
            "m",
            f"R={R} T={T} d={d} b={b}",
            1,
            {n: with_sizes(n, b) for n in _around(m, 4)},
        ),
        ("d", f"R={R} T={T} m={m}", 1, {n: in_dimension(n) for n in _around(d, 4)}),
        (
            "b",
            f"R={R} T={T} d={d} m={m}",
            0,
            {n: with_sizes(m, n) for n in (1, 4, 16, 64, 256)},
        ),
    ]


def _around(middle: int, factor: int) -> list[int]:
    return [middle * 2**k // factor for k in range(2 * factor.bit_length() - 1)]


def scaling(
    worker: Worker, reference: Experiment, resources: Resources, rounds: int
) -> list[Scaling]:
    """Measure the engine over the grids, all points once in each round."""
    rows = grids(reference)
    seconds: dict[tuple[str, int], list[float]] = {}
    for k in range(rounds + 1):
        for quantity, _, _, experiments in rows:
            for value, experiment in experiments.items():
                worker.build(experiment, resources)
                elapsed = worker.run(k, None)["seconds"]
                if k:  # the first round warms up
                    seconds.setdefault((quantity, value), []).append(elapsed)
    results = []
    for quantity, held, expected, experiments in rows:
        values = list(experiments)
        times = [median(seconds[quantity, value]) for value in values]
        slope, error = exponent(values, times)
        results.append(Scaling(quantity, held, values, times, slope, error, expected))
    return results


def exponent(values: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Slope and its standard error of log seconds on log values, by least squares."""
    x = np.log(values)
    y = np.log(seconds)
    x = x - x.mean()
    y = y - y.mean()
    slope = float(x @ y / (x @ x))
    residual = y - slope * x
    variance = float(residual @ residual) / (len(x) - 2)
    return slope, math.sqrt(variance / float(x @ x))


MEMORY = """
import json, resource, sys
from dataclasses import replace
from analysis.spec.experiment import Experiment
from sim.bench.engine import run
experiment = Experiment.from_mapping(json.loads({text!r}))
peaks = []
for replicates in (1, {replicates}):
    changed = replace(experiment.run, replicates=replicates, iterations=2)
    run(replace(experiment, run=changed), {backend!r})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peaks.append(peak / (2**20 if sys.platform == "darwin" else 2**10))
print(json.dumps(peaks))
"""

COLD = """
import json
from analysis.spec.experiment import Experiment
from sim.bench.engine import run
run(Experiment.from_mapping(json.loads({text!r})), {backend!r})
"""


def memory(reference: Experiment, backend: str, replicates: int = MANY) -> Memory:
    """Measure it in a fresh process, on the host."""
    text = json.dumps(reference.to_mapping())
    output = fresh(MEMORY.format(text=text, replicates=replicates, backend=backend))
    before, peak = json.loads(output)
    return Memory(reference.model.dimension, replicates, before, peak)


def cold_start(reference: Experiment, backend: str, repetitions: int = 5) -> ColdStart:
    """Measure fresh processes that do one step of one replicate.

    The first of them compiles and is not counted.
    """
    shortest = replace(reference.run, replicates=1, iterations=1, points=1)
    text = json.dumps(replace(reference, run=shortest).to_mapping())
    seconds = []
    for _ in range(repetitions + 1):
        begin = time.perf_counter()
        fresh(COLD.format(text=text, backend=backend))
        seconds.append(time.perf_counter() - begin)
    return ColdStart(seconds[1:], median(seconds[1:]))
