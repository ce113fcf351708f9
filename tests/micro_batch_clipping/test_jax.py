"""JAX: jit, vmap, derivatives, scan, two devices, optax."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import micro_batch_clipping as mbc
from tests.micro_batch_clipping import ways

jax = pytest.importorskip("jax")
jnp = jax.numpy

ROOT = Path(__file__).parents[2]
PARAMS = {"w": jnp.ones(4), "c": jnp.zeros(())}
OPTIONS = {"adaptive": {}, "normalized": {}, "sgd": {}, "fixed": {"threshold": 2.0}}


def loss(params, batch):
    inputs, targets = batch
    return jnp.mean((inputs @ params["w"] + params["c"] - targets) ** 2)


def micro_batches(m=6, n=3):
    draw = np.random.default_rng(0)
    return tuple(
        jnp.asarray(draw.normal(size=s), jnp.float32) for s in ((m, n, 4), (m, n))
    )


def stacked(batches):
    return jax.vmap(jax.grad(loss), (None, 0))(PARAMS, batches)


def close(found, right, tolerance=1e-5):
    np.testing.assert_allclose(found["w"], right["w"], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found["c"], right["c"], rtol=tolerance, atol=tolerance)


@pytest.mark.soak  # a compilation for each case
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("way", ["jax_clip", "jax_scan"])
def test_the_vectors(way):
    rules = mbc.RULES if way == "jax_clip" else set(mbc.RULES) - {"quantile"}
    assert mbc.failures(getattr(ways, way), rules) == {}


@pytest.mark.parametrize("rule", OPTIONS)
def test_scan_is_the_stacked_form(rule):
    batches = micro_batches()
    weights = [1, 2, 3, 0, 1, 1]

    @jax.jit
    def scanned(params, batches):
        rest = {"weights": weights, **OPTIONS[rule]}
        return mbc.scan(jax.grad(loss), params, batches, rule, **rest)

    right = mbc.clip(stacked(batches), rule, weights=weights, **OPTIONS[rule])
    found = scanned(PARAMS, batches)
    close(found.update, right.update)
    for name in ("norms", "rho", "clipped", "used", "skipped"):
        np.testing.assert_allclose(getattr(found, name), getattr(right, name), 1e-6)


def test_many_steps_at_once():
    """Over steps with vmap, with weights of their own."""
    steps = jnp.stack([micro_batches()[0][:, 0], 2 + micro_batches()[0][:, 1]])
    weights = jnp.asarray([[1.0, 1, 1, 0, 2, 2], [3.0, 1, 1, 1, 1, 1]])
    found = jax.vmap(lambda g, n: mbc.clip(g, weights=n).update)(steps, weights)
    for j in range(2):
        right = mbc.clip(steps[j], weights=weights[j]).update
        np.testing.assert_allclose(found[j], right, rtol=1e-6)


@pytest.mark.parametrize("rule", OPTIONS)
def test_derivatives(rule):
    """Of the update through `clip` and through `scan`, against differences."""
    with jax.enable_x64(True):
        draw = np.random.default_rng(1)
        rows = jnp.asarray(draw.normal(size=(4, 3)))
        direction = jnp.asarray(draw.normal(size=(4, 3)))
        h = 1e-6

        def clipped(rows):
            return jnp.sum(mbc.clip(rows, rule, **OPTIONS[rule]).update ** 3)

        def scanned(rows):
            one = jnp.ones((), rows.dtype)
            update = mbc.scan(
                lambda p, row: p * row, one, rows, rule, **OPTIONS[rule]
            ).update
            return jnp.sum(update**3)

        for function in (clipped, scanned):
            value, gradient = jax.jit(function), jax.jit(jax.grad(function))
            difference = value(rows + h * direction) - value(rows - h * direction)
            slope = jnp.vdot(gradient(rows), direction)
            np.testing.assert_allclose(slope, difference / (2 * h), rtol=1e-6)
        zero = rows.at[0].set(0.0)
        if rule != "adaptive":
            assert jnp.isfinite(jax.jit(jax.grad(clipped))(zero)).all()


def test_raise_needs_values():
    with pytest.raises(ValueError, match=r"not under jax\.jit"):
        jax.jit(lambda g: mbc.clip(g, skip="raise"))(jnp.ones((2, 3)))


def test_nodes_that_jax_was_told_of():
    """Dataclasses, as flax and equinox have them."""

    @jax.tree_util.register_pytree_with_keys_class
    class Layer:
        def __init__(self, w, c):
            self.w, self.c = w, c

        def tree_flatten_with_keys(self):
            key = jax.tree_util.GetAttrKey
            return ((key("w"), self.w), (key("c"), self.c)), None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(*children)

    g = stacked(micro_batches())
    found = mbc.clip([Layer(**g)], groups=lambda path: path[1]).update[0]
    close(vars(found), mbc.clip(g, groups=lambda path: path[0]).update)


def test_optax():
    """First in a chain: Adam sees one gradient; the state says what was done."""
    optax = pytest.importorskip("optax")
    g = stacked(micro_batches())
    chain = optax.chain(mbc.transformation("fixed", threshold=2.0), optax.adam(0.1))
    state, weights = chain.init(PARAMS), jnp.asarray([1.0, 2, 3, 0, 1, 1])
    step = jax.jit(lambda g, s, n: chain.update(g, s, PARAMS, weights=n))
    for _ in range(2):
        updates, state = step(g, state, weights)
    assert step._cache_size() == 1  # the state keeps its types
    alone = optax.adam(0.1)
    right = mbc.clip(g, "fixed", threshold=2.0, weights=weights)
    old = alone.init(PARAMS)
    for _ in range(2):
        expected, old = alone.update(right.update, old, PARAMS)
    close(updates, expected)
    assert (state[0].used, state[0].skipped, state[0].clipped) == (5, 1, 1)


def test_a_transformation_without_optax(monkeypatch):
    monkeypatch.delitem(sys.modules, "optax", raising=False)
    transform = mbc.transformation()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = transform.init(PARAMS)
    assert type(transform) is mbc.Transformation
    g = stacked(micro_batches())
    update, state = transform.update(g, state)
    close(update, mbc.clip(g).update)
    assert state.used == 6


DEVICES = """
import jax, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
import micro_batch_clipping as mbc
from tests.micro_batch_clipping import test_jax as t

assert len(jax.devices()) == 2
mesh = Mesh(np.array(jax.devices()), ("workers",))
batches, weights = t.micro_batches(), jax.numpy.asarray([1.0, 2, 3, 0, 1, 1])
if hasattr(jax, "shard_map"):
    from jax import shard_map
else:
    from jax.experimental.shard_map import shard_map
for rule, options in t.OPTIONS.items():
    def step(params, batches, weights, rule=rule, options=options):
        result = mbc.scan(
            jax.grad(t.loss), params, batches, rule,
            weights=weights, axis_name="workers", **options,
        )
        return result.update, result.rho, result.used, result.norms

    specs = {"in_specs": (P(), P("workers"), P("workers"))}
    outs = (P(), P(), P(), P("workers"))
    step = jax.jit(shard_map(step, mesh=mesh, **specs, out_specs=outs))
    update, rho, used, norms = step(t.PARAMS, batches, weights)
    right = mbc.clip(t.stacked(batches), rule, weights=weights, **options)
    t.close(update, right.update)
    np.testing.assert_allclose(rho, right.rho, 1e-6)
    np.testing.assert_allclose(norms, right.norms, 1e-5)
    assert used == 5
print("agreed")
"""


@pytest.mark.soak
def test_two_devices_are_one():
    """shard_map with replicated parameters: nothing is added up before clipping."""
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, "-c", DEVICES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == "agreed", done.stderr
