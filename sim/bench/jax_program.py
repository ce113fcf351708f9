"""What the JAX programs share: jit, scan over steps, chunks of replicates by core.

Each of these was measured against its alternatives (paper_notes/performance.md): one
host device for each core, vectors of 512 bits, the unpartitioned threefry generator,
Box and Muller's normals instead of `jax.random.normal`'s inverse error function, and
products with a vector of ones instead of sums, since XLA computes the normals again for
every sum that it fuses with them. JAX is imported only when a job is built: it is not a
dependency of the project.
"""

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from analysis.spec.experiment import Experiment
from sim.bench.job import Job, Reduction, job
from sim.bench.worker import Program

CHUNK = 2**16  # normals at a time: 256 KiB
GPU_CHUNK = 2**28  # on a GPU: 1 GiB
FLAGS = "--xla_cpu_prefer_vector_width=512 --xla_force_host_platform_device_count="


class Chain(NamedTuple):
    """Some replicates: state at the start; the next one from a key; their ‖w‖ [n]."""

    start: Any
    step: Callable[[Any, Any], Any]
    norms: Callable[[Any], Any]


# from JAX, the job, how many replicates, whether on a GPU
Prepare = Callable[[Any, Job, int, bool], Chain]


def start(threads: int, backend: str) -> Any:
    """Import JAX with the fastest settings.

    The number of host devices cannot be changed later.
    """
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}{threads}"
    os.environ["JAX_THREEFRY_PARTITIONABLE"] = "0"
    if backend == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    return jax


def normals(jax: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """Normals by Box and Muller (1958), float32; the last axis even, or the result odd.

    The angle is the second word itself, so that its quadrant is exact and two short
    polynomials (Cephes, Moshier 1989) give sine and cosine.
    """
    jnp = jax.numpy
    count = math.prod(shape)
    words = jax.random.bits(key, (2, -(-count // 2)), jnp.uint32)
    uniform = (words[0] >> 8).astype(jnp.float32) * 2.0**-24 + 2.0**-25
    radius = jnp.sqrt(-2.0 * jnp.log(uniform))
    turned = words[1] + jnp.uint32(2**29)
    quadrant = turned >> 30
    residue = (turned & jnp.uint32(2**30 - 1)).astype(jnp.int32) - 2**29
    sin, cos = _sine_cosine(residue.astype(jnp.float32) * np.float32(2 * np.pi / 2**32))
    odd = (quadrant & 1) == 1
    x, y = jnp.where(odd, sin, cos), jnp.where(odd, cos, sin)
    x = jnp.where((quadrant == 1) | (quadrant == 2), -x, x)
    y = jnp.where(quadrant >= 2, -y, y)
    return jnp.concatenate([radius * x, radius * y])[:count].reshape(shape)


def _sine_cosine(angle: Any) -> tuple[Any, Any]:
    """Both for angles up to π/4 in absolute value, float32."""
    z = angle * angle
    sin = angle * (
        1 + z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4))
    )
    tail = 4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5)
    return sin, 1 - z * (0.5 - z * tail)


def divisor(n: int, most: int) -> int:
    """The largest divisor of n that is at most `most`, at least 1."""
    return max(k for k in range(1, n + 1) if n % k == 0 and k <= max(1, most))


def vectors(
    jax: Any,
    task: Job,
    n: int,
    gpu: bool,
    *,
    prepare: Callable[[Any, Job, bool], Callable[[Any], Any]],
) -> Chain:
    """Some n replicates as vectors w [n, d].

    prepare(jax, job, gpu) returns the function that draws the micro-batch gradients
    minus w of one replicate [m, d] from a key.
    """
    jnp = jax.numpy
    draw = jax.vmap(prepare(jax, task, gpu))
    ones = jnp.ones(task.d, jnp.float32)

    def step(w: Any, key: Any) -> Any:
        g = w[:, None, :] + draw(jax.random.split(key, n))
        square = (g * g).sum(-1) if gpu else (g * g) @ ones
        length = jnp.sqrt(square)
        factor = length.min(axis=1, keepdims=True) / length
        return w - task.step / task.m * jnp.einsum(
            "rm,rmi->ri", factor, g, precision="highest"
        )

    def norms(w: Any) -> Any:
        return jnp.linalg.norm(w, axis=1)

    return Chain(jnp.tile(jnp.asarray(task.start), (n, 1)), step, norms)


def build(
    experiment: Experiment,
    threads: int,
    backend: str = "cpu",
    *,
    reduction: Reduction,
    prepare: Prepare,
) -> Program:
    """A compiled run of the job, on `threads` host devices or on a GPU.

    reduction: what `prepare` draws.
    """
    jax = start(threads, backend)
    jnp, lax, spec = jax.numpy, jax.lax, jax.sharding.PartitionSpec
    task = job(experiment)
    gpu = jax.devices()[0].platform != "cpu"
    devices = divisor(task.R, len(jax.devices()))
    share = task.R // devices
    most = (GPU_CHUNK if gpu else CHUNK) // task.normals_of_a_step(reduction)
    n = divisor(share, most)
    chain = prepare(jax, task, n, gpu)

    def advance(state: Any, at: tuple[Any, Any]) -> tuple[Any, Any]:
        state = chain.step(state, jax.random.fold_in(*at))
        return state, chain.norms(state)

    def simulate(key: Any) -> Any:
        times = jnp.arange(task.T)
        keys = jnp.broadcast_to(key, (task.T,))
        return lax.scan(advance, chain.start, (keys, times))[1]

    def part(keys: Any) -> Any:
        return jnp.moveaxis(lax.map(simulate, keys), 0, 1).reshape(task.T, share)

    def whole(key: Any) -> Any:
        keys = jax.random.split(key, task.R // n)
        if devices > 1:
            kind = (jax.sharding.AxisType.Auto,)
            mesh = jax.make_mesh(
                (devices,), ("r",), axis_types=kind, devices=jax.devices()[:devices]
            )
            norms = jax.shard_map(
                part,
                mesh=mesh,
                in_specs=spec("r"),
                out_specs=spec(None, "r"),
                check_vma=False,
            )(keys)
        else:
            norms = part(keys)
        return norms[np.array(task.points) - 1]

    key = jax.random.key(0, impl="threefry2x32")
    program = jax.jit(whole).lower(key).compile()

    def run(seed: int) -> tuple[list[float], list[float]]:
        return task.summary(program(jax.random.key(seed, impl="threefry2x32")))

    return Program(run, "gpu" if gpu else "cpu")
