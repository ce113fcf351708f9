"""PyTorch: `Backward` around real backward passes, alone and on two workers."""

import contextlib
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import micro_batch_clipping as mbc
from tests.micro_batch_clipping import ways

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:every micro-batch:RuntimeWarning")


def network(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    layers = torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
    return torch.nn.Sequential(*layers).to(dtype)


def data(sizes, seed=1, dtype=torch.float64):
    """Micro-batches of those sizes, with a dragger in the first one."""
    draw = torch.Generator().manual_seed(seed)
    batches = [
        (
            torch.randn(n, 3, generator=draw, dtype=dtype),
            torch.randn(n, 1, generator=draw, dtype=dtype),
        )
        for n in sizes
    ]
    batches[0][1][0] += 100
    return batches


def loss(model, batch):
    inputs, targets = batch
    return torch.nn.functional.mse_loss(model(inputs), targets)


def by_hand(model, batches, rule="adaptive", weights=None, **options):
    """The gradients by torch.autograd.grad, stacked, clipped at once."""
    named = dict(model.named_parameters())
    rows = [torch.autograd.grad(loss(model, b), list(named.values())) for b in batches]
    stacked = {
        name: torch.stack([row[i] for row in rows]) for i, name in enumerate(named)
    }
    weights = weights or [len(inputs) for inputs, _ in batches]
    return mbc.clip(stacked, rule, weights=weights, **options)


def backward_pass(clipping, model, batches):
    for batch in batches:
        with clipping.micro_batch(weight=len(batch[0])):
            loss(model, batch).backward()
    return clipping.finish()


def equal(model, update, tolerance=1e-13):
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            parameter.grad, update[name], rtol=tolerance, atol=tolerance
        )


@pytest.mark.filterwarnings("ignore:a micro-batch has a zero:RuntimeWarning")
@pytest.mark.parametrize("way", ["torch_clip", "torch_accumulator", "torch_backward"])
def test_the_vectors(way):
    rules = mbc.RULES if way == "torch_clip" else set(mbc.RULES) - {"quantile"}
    assert mbc.failures(getattr(ways, way), rules) == {}


@pytest.mark.parametrize("rule", ["adaptive", "normalized", "fixed", "sgd"])
def test_backward_is_the_stacked_form(rule):
    options = {"threshold": 0.5} if rule == "fixed" else {}
    model, batches = network(), data([8, 8, 8, 3])
    clipping = mbc.Backward(model, rule, **options)
    for _ in range(2):  # the second step knows nothing of the first
        right = by_hand(model, batches, rule, **options)
        result = backward_pass(clipping, model, batches)
        equal(model, right.update)
        torch.testing.assert_close(result.norms, right.norms)
        torch.testing.assert_close(result.clipped, right.clipped)
        torch.optim.SGD(model.parameters(), 0.1).step()
        model.zero_grad()


def test_torch_func_computes_all_micro_batches_at_once():
    """What `clip` needs is vmap over grad."""
    model, batches = network(), data([6, 6, 6])
    params = {name: p.detach() for name, p in model.named_parameters()}
    inputs, targets = (torch.stack(part) for part in zip(*batches, strict=True))

    def mean_loss(params, inputs, targets):
        out = torch.func.functional_call(model, params, (inputs,))
        return torch.nn.functional.mse_loss(out, targets)

    gradients = torch.func.vmap(torch.func.grad(mean_loss), in_dims=(None, 0, 0))
    found = mbc.clip(gradients(params, inputs, targets)).update
    right = by_hand(model, batches).update
    for name in params:
        torch.testing.assert_close(found[name], right[name])


def test_a_micro_batch_in_pieces():
    """Two backward passes whose losses add up to the micro-batch's mean."""
    model, batches = network(), data([8, 4])
    right = by_hand(model, batches).update
    clipping = mbc.Backward(model)
    for inputs, targets in batches:
        with clipping.micro_batch(weight=len(inputs)):
            for piece in (slice(0, 3), slice(3, None)):
                share = len(inputs[piece]) / len(inputs)
                (share * loss(model, (inputs[piece], targets[piece]))).backward()
    clipping.finish()
    equal(model, right)


def test_unused_and_frozen_parameters():
    """They keep no gradient, so that an optimizer leaves them alone."""
    model, batches = network(), data([4, 4])
    model.spare = torch.nn.Linear(2, 2)
    model[0].bias.requires_grad_(False)
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    with contextlib.suppress(TypeError):
        model.spare.forward = None
    used = [p for n, p in named.items() if "spare" not in n]
    body = torch.nn.Sequential(*list(model.children())[:3])
    clipping = mbc.Backward(model)
    rows = [torch.autograd.grad(loss(body, b), used) for b in batches]
    right = mbc.clip([torch.stack(rows_) for rows_ in zip(*rows, strict=True)]).update
    for batch in batches:
        with clipping.micro_batch():
            loss(body, batch).backward()
    clipping.finish()
    for parameter, update in zip(used, right, strict=True):
        torch.testing.assert_close(parameter.grad, update)
    assert model.spare.weight.grad is None
    assert model[0].bias.grad is None


def test_sparse_gradients():
    table = torch.nn.Embedding(5, 2, sparse=True)
    clipping = mbc.Backward(table, "normalized")
    with clipping.micro_batch():
        table(torch.tensor([1, 1])).sum().backward()
    clipping.finish()
    assert table.weight.grad.norm() == pytest.approx(1)


def test_gradients_that_have_a_graph():
    """Those that require grad themselves can be differentiated through."""
    g = torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: mbc.clip(x).update, (g,))
    assert torch.autograd.gradcheck(
        lambda x: mbc.clip(x, "normalized", weights=[1, 3]).update, (g,)
    )


def test_mistakes_are_refused():
    model, batches = network(), data([4, 4])
    clipping = mbc.Backward(model)
    with pytest.raises(RuntimeError, match="no micro-batch"):
        clipping.finish()
    loss(model, batches[0]).backward()
    with (
        pytest.raises(RuntimeError, match=r"0\.weight\.grad: must be None"),
        clipping.micro_batch(),
    ):
        pass
    model.zero_grad()
    with pytest.raises(IndexError), clipping.micro_batch():
        loss(model, batches[2]).backward()
    right = by_hand(model, batches).update  # what failed was not added
    backward_pass(clipping, model, batches)
    equal(model, right)


def test_sharded_models_are_refused():
    """A stand-in with the module's name and the parameter's attribute."""
    model = network()
    model[0].weight.device_mesh = None
    with pytest.raises(TypeError, match=r"0\.weight: must be whole"):
        mbc.Backward(model)
    sharded = type(
        "Sharded", (torch.nn.Linear,), {"__module__": "torch.distributed.fsdp"}
    )
    with pytest.raises(TypeError, match="model: must not be sharded"):
        mbc.Backward(sharded(2, 2))


def test_a_nan_micro_batch_is_left_out():
    model, batches = network(), data([4, 4, 4])
    right = by_hand(model, batches[1:]).update
    batches[0][0][0, 0] = math.nan
    result = backward_pass(mbc.Backward(model), model, batches)
    assert (result.used, result.skipped, result.nonfinite) == (2, 1, 1)
    equal(model, right)


def test_autocast():
    """The forward pass in bfloat16, gradients in the parameters' float32."""
    model, batches = network(dtype=torch.float32), data([8, 8], dtype=torch.float32)
    clipping = mbc.Backward(model)
    for batch in batches:
        with clipping.micro_batch(), torch.autocast("cpu", torch.bfloat16):
            loss(model, batch).backward()
    clipping.finish()
    right = by_hand(model, batches).update
    for name, parameter in model.named_parameters():
        assert parameter.grad.dtype == torch.float32
        torch.testing.assert_close(parameter.grad, right[name], rtol=0.1, atol=0.02)


@pytest.mark.parametrize("rule", ["adaptive", "fixed"])
def test_loss_scaling_with_an_overflow(rule):
    """The step is that of the other micro-batches, and the scale backs off."""
    options = {"threshold": 0.5} if rule == "fixed" else {}
    model, batches = network(dtype=torch.float32), data([8, 8, 4], dtype=torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    clipping = mbc.Backward(model, rule, scaler=scaler, **options)
    right = by_hand(model, batches[:2], rule, **options).update
    for j, batch in enumerate(batches):
        with clipping.micro_batch(weight=len(batch[0])):
            overflow = math.inf if j == 2 else 1.0
            (scaler.scale(loss(model, batch)) * overflow).backward()
    result = clipping.finish()
    assert (result.used, result.nonfinite) == (2, 1)
    scaler.step(optimizer)
    scaler.update(clipping.next_scale)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(before[name] - parameter.detach(), right[name])
    assert scaler.get_scale() == 2.0**11


def test_an_empty_micro_batch_is_no_overflow():
    """Its NaN, from 0/0, does not shrink the loss scale."""
    model, batches = network(dtype=torch.float32), data([4, 4], dtype=torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    clipping = mbc.Backward(model, scaler=scaler)
    for batch, weight in zip(batches, (0, 4), strict=True):
        with clipping.micro_batch(weight):
            (
                scaler.scale(loss(model, batch)) / weight
                if weight
                else scaler.scale(loss(model, batch)) * math.nan
            ).backward()
    assert clipping.finish().skipped == 1
    assert clipping.next_scale is None


WORKER = """
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import micro_batch_clipping as mbc
from tests.micro_batch_clipping import test_torch as t

rank, port, rule, share = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
dist.init_process_group(
    "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
)
options = {"threshold": 0.5} if rule == "fixed" else {}
model, batches = t.network(), t.data([8, 8, 5, 3])
model.spare = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
plain = torch.nn.Sequential(*list(model.children()))
right = t.by_hand(plain, batches, rule, **options)
parallel = DistributedDataParallel(model)
mine = {"even": [batches[:2], batches[2:]], "one": [batches, []]}[share][rank]
clipping = mbc.Backward(parallel, rule, **options)
for step in range(2):
    result = t.backward_pass(clipping, parallel, mine)
    t.equal(plain, right.update)
    assert model.spare.grad is None
    assert (int(result.used), int(result.skipped)) == (4, 0)
    torch.testing.assert_close(result.rho, right.rho)
    assert len(result.norms) == len(mine)
    parallel.zero_grad()
try:
    clipping.finish()
except RuntimeError as error:
    assert "on any worker" in str(error)
    print("agreed")
"""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("rule", "share"), [("adaptive", "even"), ("fixed", "even"), ("adaptive", "one")]
)
def test_two_workers_are_one(rule, share, unused_port):
    """DistributedDataParallel over gloo, equal to the stacked form to rounding.

    Also where one worker has no micro-batch, and where nobody has one.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), str(unused_port), rule, share],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [worker.communicate(timeout=400) for worker in workers]
    assert [out.strip() for out, _ in said] == ["agreed", "agreed"], said


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
