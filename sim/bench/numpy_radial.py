"""The job in NumPy with the radial reduction.

`python -m sim.bench.numpy_radial` answers requests.

A micro-batch costs its number of draggers, three normals and a gamma variable, whatever
the dimension: see `sim.bench.radii`.
"""

from functools import partial

import numpy as np

from sim.bench import numpy_program, radii
from sim.bench.job import Job, Reduction, Vector
from sim.bench.numpy_program import Chain, uniforms
from sim.bench.worker import serve


def prepare(task: Job, n: int) -> Chain:
    """Some n replicates [n]: `along` and `rest`."""
    along, rest = (np.full(n, x, np.float32) for x in radii.start(task))
    cumulative = task.draggers()[:-1].astype(np.float32)
    variances = task.scales() ** 2
    pushes = np.arange(task.b + 1, dtype=np.float32) * (radii.push(task) / task.b)
    pushes = pushes.astype(np.float32)
    shape, z = (task.m, n), np.empty((3, task.m, n), np.float32)
    half = (task.d - 3) / 2

    def advance(rng: np.random.Generator) -> None:
        rng.standard_normal(out=z, dtype=np.float32)
        chi = rng.standard_gamma(half, shape, dtype=np.float32)
        chi *= 2
        k = np.searchsorted(cumulative, uniforms(rng, shape), side="right")
        variance = variances[k]
        scale = np.sqrt(variance)
        g_along = scale * z[0] + pushes[k] + along
        g_rest = scale * z[1] + rest
        chi += z[2] * z[2]
        across = variance * chi
        square = g_along * g_along + g_rest * g_rest + across
        inverse = 1 / np.sqrt(square)
        size = np.float32(task.step / task.m) * np.sqrt(square.min(axis=0))
        cosine = z[2] / np.sqrt(chi)
        total = radii.square_of_sum(across * inverse * inverse, cosine)
        along[:] -= size * np.einsum("mr,mr->r", g_along, inverse)
        left = rest - size * np.einsum("mr,mr->r", g_rest, inverse)
        rest[:] = np.sqrt(left * left + size * size * total)

    def norms() -> Vector:
        return np.hypot(along, rest)

    return Chain(advance, norms)


build = partial(numpy_program.build, reduction=Reduction.RADII, prepare=prepare)


if __name__ == "__main__":
    serve(build)
