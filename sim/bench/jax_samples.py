"""The job in JAX by samples: `python -m sim.bench.jax_samples` answers requests."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sim.bench import jax_program
from sim.bench.jax_program import normals, vectors
from sim.bench.job import Job, Reduction
from sim.bench.worker import serve


def prepare(jax: Any, task: Job, gpu: bool) -> Callable[[Any], Any]:
    """Draw B samples."""
    jnp = jax.numpy
    push = jnp.asarray(task.push)

    def draw(key: Any) -> Any:
        of_noise, of_draggers = jax.random.split(key)
        xi = normals(jax, of_noise, (task.m, task.b, task.d))
        dragger = jax.random.bernoulli(of_draggers, task.fraction, (task.m, task.b))
        weight = jnp.where(dragger, 0.0, jnp.float32(task.spread / task.b))
        fused = (weight[..., None] * xi).sum(1)
        noise = fused if gpu else jnp.einsum("mb,mbi->mi", weight, xi)
        return noise + dragger.mean(1, dtype=jnp.float32)[..., None] * push

    return draw


build = partial(
    jax_program.build,
    reduction=Reduction.SAMPLES,
    prepare=partial(vectors, prepare=prepare),
)


if __name__ == "__main__":
    serve(build)
