"""The job in NumPy with the exact reduction.

`python -m sim.bench.numpy_reduced` answers requests.

The mean of a micro-batch with k draggers is w + (k/b)·push + √(b - k)/b·spread·z, so
that k and one normal vector z are all that must be drawn.
"""

from functools import partial

import numpy as np

from sim.bench import numpy_program
from sim.bench.job import Job, Reduction, Vector
from sim.bench.numpy_program import Draw, uniforms, vectors
from sim.bench.worker import serve


def prepare(task: Job, n: int) -> Draw:
    """Draw m micro-batch means for each of n replicates."""
    g = np.empty((n, task.m, task.d), np.float32)
    means = g.reshape(-1, task.d)
    cumulative = task.draggers()[:-1].astype(np.float32)
    scales = task.scales()[:, None]
    pushes = (
        np.arange(task.b + 1, dtype=np.float32)[:, None]
        / np.float32(task.b)
        * task.push
    )

    def draw(rng: np.random.Generator, w: Vector) -> Vector:
        rng.standard_normal(out=g, dtype=np.float32)
        k = np.searchsorted(cumulative, uniforms(rng, (len(means),)), side="right")
        np.multiply(means, scales[k], out=means)
        contaminated = np.flatnonzero(k)
        means[contaminated] += pushes[k[contaminated]]
        np.add(g, w[:, None, :], out=g)
        return g

    return draw


build = partial(
    numpy_program.build,
    reduction=Reduction.MEANS,
    prepare=partial(vectors, prepare=prepare),
)


if __name__ == "__main__":
    serve(build)
