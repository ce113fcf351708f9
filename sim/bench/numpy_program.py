"""What the NumPy programs share: chunks that fit in cache, one thread a core.

NumPy's ziggurat for float32 and its universal functions release the interpreter's lock,
so threads are enough. Of NumPy's bit generators SFC64 is the fastest.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.spec.experiment import Experiment
from sim.bench.job import Job, Reduction, Vector, job
from sim.bench.worker import Program

CHUNK = 2**17  # normals at a time: 512 KiB, which stay in a core's second-level cache
# g [n, m, d] from iterates w [n, d], which the next call may overwrite
Draw = Callable[[np.random.Generator, Vector], Vector]


class Chain(NamedTuple):
    """Some replicates: how to do a step of them, and their ‖w‖ [n]."""

    advance: Callable[[np.random.Generator], None]
    norms: Callable[[], Vector]


def vectors(task: Job, n: int, prepare: Callable[[Job, int], Draw]) -> Chain:
    """Some n replicates as vectors w [n, d]."""
    draw = prepare(task, n)
    w = np.tile(task.start, (n, 1))

    def advance(rng: np.random.Generator) -> None:
        g = draw(rng, w)
        length = np.sqrt(np.einsum("rmi,rmi->rm", g, g))
        factor = length.min(axis=1, keepdims=True) / length
        factor *= np.float32(task.step / task.m)
        np.subtract(w, np.matmul(factor[:, None, :], g)[:, 0], out=w)

    def norms() -> Vector:
        return np.sqrt(np.einsum("ri,ri->r", w, w))

    return Chain(advance, norms)


def build(
    experiment: Experiment,
    threads: int,
    backend: str = "cpu",
    *,
    reduction: Reduction,
    prepare: Callable[[Job, int], Chain],
) -> Program:
    """A run of the job on `threads` threads; NumPy knows no other backend than the CPU.

    prepare(job, n) allocates what n replicates need. reduction: what it draws.
    """
    task = job(experiment)
    chunks = -(-task.R * task.normals_of_a_step(reduction) // CHUNK)
    pieces = max(chunks, min(threads, task.R))
    sizes = [
        len(part) for part in np.array_split(np.empty(task.R), min(pieces, task.R))
    ]
    wanted = set(task.points)
    pool = ThreadPoolExecutor(threads)

    def simulate(seed: np.random.SeedSequence, n: int) -> Vector:
        rng = np.random.Generator(np.random.SFC64(seed))
        chain = prepare(task, n)
        norms = []
        for t in range(1, task.T + 1):
            chain.advance(rng)
            if t in wanted:
                norms.append(chain.norms())
        return np.array(norms)

    def run(seed: int) -> tuple[list[float], list[float]]:
        seeds = np.random.SeedSequence(seed).spawn(len(sizes))
        return task.summary(
            np.concatenate(list(pool.map(simulate, seeds, sizes)), axis=1)
        )

    return Program(run)


def uniforms(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform numbers in float32, precise enough for a probability of 1/20 to 10⁻⁶."""
    return rng.random(shape, dtype=np.float32)
