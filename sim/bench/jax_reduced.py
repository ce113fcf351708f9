"""The job in JAX with the exact reduction.

`python -m sim.bench.jax_reduced` answers requests.

As in `sim.bench.numpy_reduced`, a micro-batch costs one number of draggers and d
normals.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sim.bench import jax_program
from sim.bench.jax_program import normals, vectors
from sim.bench.job import Job, Reduction
from sim.bench.worker import serve


def prepare(jax: Any, task: Job, gpu: bool) -> Callable[[Any], Any]:
    """Draw m micro-batch means."""
    jnp = jax.numpy
    cumulative = jnp.asarray(task.draggers()[:-1], jnp.float32)
    scales = jnp.asarray(task.scales())
    push = jnp.asarray(task.push / task.b)

    def draw(key: Any) -> Any:
        of_noise, of_draggers = jax.random.split(key)
        uniform = jax.random.uniform(of_draggers, (task.m,))
        k = jnp.searchsorted(cumulative, uniform, side="right", method="compare_all")
        z = normals(jax, of_noise, (task.m, task.d))
        return scales[k][..., None] * z + k.astype(jnp.float32)[..., None] * push

    return draw


build = partial(
    jax_program.build,
    reduction=Reduction.MEANS,
    prepare=partial(vectors, prepare=prepare),
)


if __name__ == "__main__":
    serve(build)
