"""The README's training code runs, and does what the README says."""

import re
from pathlib import Path

import pytest

import micro_batch_clipping as mbc

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## In your training code\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, flags=re.S)
LOOP, WORKERS, SCAN, MISTAKE = BLOCKS


def run(block, **names):
    """The block, with these names known to it; what it defines."""
    exec(block, names)
    return names


def test_recipes_are_short():
    assert all(len(block.splitlines()) < 25 for block in BLOCKS)


def linear(torch, rows):
    """A model with gradient `row` for each micro-batch, as a loss of inputs."""
    model = torch.nn.Linear(len(rows[0]), 1, bias=False)
    inputs = [torch.tensor([row]) for row in rows]

    def loss(outputs, targets):
        return (outputs - 0 * targets).mean()

    return model, [(x, torch.zeros(1, 1)) for x in inputs], loss


ROWS = [[3.0, 4.0], [0.0, 2.0], [-12.0, 5.0]]


@pytest.mark.parametrize("recipe", ["loop", "workers"])
def test_pytorch(recipe, tmp_path):
    """Two steps of SGD with rate 1, from the clipped gradients of a linear loss."""
    torch = pytest.importorskip("torch")
    model, micro_batches, loss = linear(torch, ROWS)
    before = model.weight.detach().clone()
    names = {"model": model, "loss": loss, "batches": [micro_batches] * 2}
    names["optimizer"] = torch.optim.SGD(model.parameters(), 1.0)
    if recipe == "loop":
        run(LOOP, **names)
    else:
        store = f"file://{tmp_path}/store"
        torch.distributed.init_process_group(
            "gloo", init_method=store, rank=0, world_size=1
        )
        try:
            run(WORKERS, **names)
        finally:
            torch.distributed.destroy_process_group()
    right = mbc.clip(torch.tensor(ROWS)).update
    torch.testing.assert_close((before - model.weight)[0] / 2, right)


def test_jax_and_optax():
    """Adam on the clipped gradient, with sizes as weights."""
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    rows, weights = jax.numpy.asarray(ROWS), jax.numpy.asarray([2.0, 1.0, 1.0])
    optimizer = optax.adam(0.1)
    params = {"w": jax.numpy.zeros(2)}

    def loss(params, row):
        return params["w"] @ row

    step = run(SCAN, jax=jax, optax=optax, optimizer=optimizer, loss=loss)["step"]
    found, _, done = step(params, optimizer.init(params), rows, weights)
    update = {"w": mbc.clip(rows, weights=weights).update}
    updates, _ = optimizer.update(update, optimizer.init(params), params)
    assert jax.numpy.allclose(found["w"], updates["w"])
    assert done.rho == 2


def test_the_mistake_is_one():
    """2 and 2 along two axes, clipped at 1: half each; the running sum has 1 to 2."""
    torch = pytest.importorskip("torch")
    rows = [[2.0, 0.0], [0.0, 2.0]]
    model, micro_batches, loss = linear(torch, rows)
    names = {"model": model, "loss": loss, "micro_batches": micro_batches}
    run(MISTAKE, torch=torch, threshold=1.0, **names)
    first, second = model.weight.grad[0]
    assert second / first == pytest.approx(2, rel=1e-5)
    right = mbc.clip(torch.tensor(rows), "fixed", threshold=1.0).update
    assert right.tolist() == [0.5, 0.5]
