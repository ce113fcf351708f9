"""The project's own engine as a benchmark program: `python -m sim.bench.engine`."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from analysis.spec.experiment import Experiment
from sim.bench.worker import Program, Statistics, serve
from sim.compiled.jit import compiled
from sim.measures import points
from sim.random.normals import ROOM, numbers, store_normals
from sim.random.philox import NORMALS
from sim.results import Trajectories
from sim.sweep.measure import available_cores, measure

BLOCK = 4096  # normals at a time, as in the engine
BATCH = 2**25  # normals between two looks at the clock: about 20 milliseconds


def run(
    experiment: Experiment, backend: str, threads: int | None = None
) -> tuple[list[int], list[float], list[float]]:
    """Numbers of steps, and mean ‖∇f‖ over replicates its standard error after each.

    The experiment has measure = "trajectory", one size and one step size.
    """
    workers = available_cores() if threads is None else threads
    (result,) = measure(experiment, None, workers, False, backend=backend).values()
    assert isinstance(result, Trajectories)
    means = [point[0] for point in result.mean[0]]
    errors = [point[0] for point in result.standard_error[0]]
    return points(experiment.run), means, errors


def build(experiment: Experiment, threads: int, backend: str) -> Program:
    """The run, compiled."""
    short = replace(experiment.run, iterations=1, points=1, replicates=1)
    run(replace(experiment, run=short), backend, threads)

    def once(seed: int) -> Statistics:
        seeded = replace(experiment, run=replace(experiment.run, seed=seed))
        return run(seeded, backend, threads)[1:]

    return Program(once, "gpu" if backend == "cuda" else "cpu")


@compiled
def _generate(out, count, replicate):  # type: ignore[no-untyped-def]
    """Draw `count` normals into a buffer again and again, as the engine does.

    Returns one of the last.
    """
    for begin in range(0, count, out.size - ROOM):
        for i in range(0, out.size - ROOM, numbers()):
            position = np.uint64((begin + i) // 4)
            counter = (position, np.uint64(0), replicate, np.uint64(NORMALS))
            store_normals(out, i, (np.uint64(1), np.uint64(2)), counter)
    return out[0]


def generator_rate(threads: int, seconds: float = 1.0) -> float:
    """Normals a second of the CPU engine's generator alone, by threads and time."""
    buffers = [np.empty(BLOCK + ROOM, np.float32) for _ in range(threads)]
    for buffer in buffers:
        _generate(buffer, BLOCK, np.uint64(0))
    barrier = threading.Barrier(threads)

    def work(replicate: int) -> tuple[int, float]:
        barrier.wait()
        begin = time.perf_counter()
        count = 0
        while time.perf_counter() - begin < seconds:
            _generate(buffers[replicate], BATCH, np.uint64(replicate))
            count += BATCH
        return count, time.perf_counter() - begin

    with ThreadPoolExecutor(threads) as pool:
        return sum(count / elapsed for count, elapsed in pool.map(work, range(threads)))


if __name__ == "__main__":
    serve(build, generator_rate=generator_rate)
