"""The job in JAX with the radial reduction.

`python -m sim.bench.jax_radial` answers requests.

A micro-batch costs its number of draggers and four normals, whatever the dimension: see
`sim.bench.radii`. The fourth gives the χ², by a polynomial; `jax.random.gamma` makes
the whole program several times slower. Everything has the shape [m, n], so that sums
over micro-batches are sums of long rows.
"""

from functools import partial
from typing import Any

import numpy as np

from sim.bench import jax_program, radii
from sim.bench.jax_program import Chain, normals
from sim.bench.job import Job, Reduction
from sim.bench.worker import serve


def prepare(jax: Any, task: Job, n: int, gpu: bool) -> Chain:
    """Some n replicates: `along` and `rest` [n]."""
    jnp, lax = jax.numpy, jax.lax
    thresholds = task.draggers()[:-1].astype(np.float32)
    thresholds = thresholds[thresholds < 1]
    along, rest = (jnp.full(n, x, jnp.float32) for x in radii.start(task))
    push = np.float32(radii.push(task) / task.b)
    variance = np.float32((task.spread / task.b) ** 2)
    *lower, highest = radii.cube_root(task.d - 3).astype(np.float32)
    ones = jnp.ones(task.m, jnp.float32)

    def chi_squared(z: Any) -> Any:
        root = jnp.full_like(z, highest)
        for coefficient in reversed(lower):
            root = root * z + coefficient
        return np.float32(task.d - 3) * root * root * root

    def gradients(state: Any, key: Any) -> tuple[Any, ...]:
        of_noise, of_draggers = jax.random.split(key)
        z = normals(jax, of_noise, (4, task.m, n))
        uniform = jax.random.uniform(of_draggers, (task.m, n))
        k = sum((uniform >= edge).astype(jnp.float32) for edge in thresholds)
        square = (task.b - k) * variance
        scale = jnp.sqrt(square)
        g_along = state[0] + k * push + scale * z[0]
        g_rest = state[1] + scale * z[1]
        chi = z[2] * z[2] + chi_squared(z[3])
        across = square * chi
        square = g_along * g_along + g_rest * g_rest + across
        inverse = lax.rsqrt(square)
        unit = (g_along * inverse, g_rest * inverse, across * inverse * inverse)
        return *unit, z[2] * lax.rsqrt(chi), square

    def step(state: Any, key: Any) -> Any:
        # Kept as arrays, or XLA draws the normals anew for each of their sums.
        drawn = lax.optimization_barrier(gradients(state, key))
        unit_along, unit_rest, across, cosine, square = drawn
        size = np.float32(task.step / task.m) * jnp.sqrt(square.min(axis=0))
        total = radii.square_of_sum(across, cosine, jnp)
        left = state[1] - size * (ones @ unit_rest)
        along = state[0] - size * (ones @ unit_along)
        return along, jnp.sqrt(left * left + size * size * total)

    def norms(state: Any) -> Any:
        return jnp.sqrt(state[0] * state[0] + state[1] * state[1])

    return Chain((along, rest), step, norms)


build = partial(jax_program.build, reduction=Reduction.RADII, prepare=prepare)


if __name__ == "__main__":
    serve(build)
