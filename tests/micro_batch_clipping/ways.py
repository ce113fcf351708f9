"""The ways into micro_batch_clipping as functions of a case, for its `--check`."""

import numpy as np

import micro_batch_clipping as mbc


def options(case):
    """What the case says beside gradients, rule and weights."""
    names = ("threshold", "quantile", "skip", "aggregate")
    return {name: case[name] for name in names if case[name] is not None}


def summary(result):
    """What the command compares."""
    return {
        "update": [float(x) for x in result.update],
        "rho": result.rho,
        "used": result.used,
        "skipped": result.skipped,
    }


def stacked(case, gradients):
    """By `clip`."""
    return mbc.clip(gradients, case["rule"], weights=case["weights"], **options(case))


def one_by_one(case, gradients):
    """By `Accumulator`; by two of them, merged, if there are more micro-batches."""
    weights = case["weights"] or [1] * len(case["gradients"])
    first, second = (mbc.Accumulator(case["rule"], **options(case)) for _ in range(2))
    for j, weight in enumerate(weights):
        (second if j > 1 else first).add(gradients[j, ...], weight)
    first.merge(second)
    return first.result()


def _numpy(case):
    dtype = case["dtype"]
    if dtype == "bfloat16":
        import ml_dtypes

        dtype = ml_dtypes.bfloat16
    return np.array(case["gradients"], dtype=dtype)


def numpy_clip(case):
    return summary(stacked(case, _numpy(case)))


def numpy_accumulator(case):
    return summary(one_by_one(case, _numpy(case)))


def strict_clip(case):
    """The arrays of the standard, with nothing beyond it; they have no short floats."""
    import array_api_strict

    return summary(stacked(case, array_api_strict.asarray(_numpy(case))))


def strict_accumulator(case):
    import array_api_strict

    return summary(one_by_one(case, array_api_strict.asarray(_numpy(case))))


def _torch(case):
    import torch

    return torch.tensor(case["gradients"], dtype=getattr(torch, case["dtype"]))


def torch_clip(case):
    return summary(stacked(case, _torch(case)))


def torch_accumulator(case):
    return summary(one_by_one(case, _torch(case)))


def torch_backward(case):
    """A model whose loss is linear: its gradient is the micro-batch's."""
    import torch

    gradients = _torch(case)
    model = torch.nn.Module()
    model.w = torch.nn.Parameter(torch.ones_like(gradients[0]))
    backward = mbc.Backward(model, case["rule"], **options(case))
    for row, weight in zip(
        gradients, case["weights"] or [1] * len(gradients), strict=True
    ):
        with backward.micro_batch(weight):
            (model.w * row).sum().backward()
    result = backward.finish()
    assert torch.equal(model.w.grad.nan_to_num(7), result.update.get("w").nan_to_num(7))
    return summary(result._replace(update=model.w.grad))


def _jax(case):
    import jax

    with jax.enable_x64(True):
        return jax.numpy.asarray(case["gradients"], dtype=case["dtype"])


def jax_clip(case):
    """Under jit, but where values are needed."""
    import jax

    with jax.enable_x64(True):
        way = jax.jit(lambda gradients: stacked(case, gradients))
        if case["skip"] == "raise":
            return summary(stacked(case, _jax(case)))
        return summary(way(_jax(case)))


def jax_scan(case):
    """Under jit; the gradient of a linear loss."""
    import jax

    def loss(w, row):
        return jax.numpy.sum(w * row)

    with jax.enable_x64(True):
        gradients = _jax(case)
        if case["skip"] == "raise":
            return summary(one_by_one(case, gradients))

        @jax.jit
        def way(params, rows):
            rest = {"weights": case["weights"], **options(case)}
            return mbc.scan(jax.grad(loss), params, rows, case["rule"], **rest)

        return summary(way(jax.numpy.ones_like(gradients[0]), gradients))
