"""The job in NumPy by samples: `python -m sim.bench.numpy_samples` answers requests."""

from functools import partial

import numpy as np

from sim.bench import numpy_program
from sim.bench.job import Job, Reduction, Vector
from sim.bench.numpy_program import Draw, uniforms, vectors
from sim.bench.worker import serve


def prepare(task: Job, n: int) -> Draw:
    """Draw B samples for each of n replicates."""
    xi = np.empty((n, task.m, task.b, task.d), np.float32)
    samples = xi.reshape(-1, task.d)
    average = np.full(task.b, task.spread / task.b, np.float32)
    dragger = task.push / np.float32(task.spread)

    def draw(rng: np.random.Generator, w: Vector) -> Vector:
        rng.standard_normal(out=xi, dtype=np.float32)
        samples[np.flatnonzero(uniforms(rng, (len(samples),)) < task.fraction)] = (
            dragger
        )
        g = np.matmul(average, xi) if task.b > 1 else xi[:, :, 0] * average
        g += w[:, None, :]
        return g

    return draw


build = partial(
    numpy_program.build,
    reduction=Reduction.SAMPLES,
    prepare=partial(vectors, prepare=prepare),
)


if __name__ == "__main__":
    serve(build)
