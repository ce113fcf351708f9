"""Momentum and Adam, written once for every array library: see `Optimizer`."""

from typing import Any

import numpy as np

from analysis.spec.optimizer import Optimizer
from sim.rules import quiet


@quiet
def optimized(
    optimizer: Optimizer, moments: Any, u: Any, *, iteration: int, xp: Any = np
) -> tuple[Any, Any]:
    """What takes the place of the direction u [..., d], and the new moments.

    moments [..., k, d] are the running means before the step, k = optimizer.moments;
    iteration counts from 0. All are of the type of u. A mean is moved by its distance
    from the new value, (1 - β)(u - M), so that it has no drift from rounding β.
    """
    first, second = optimizer.decays
    mean = moments[..., 0, :]
    mean = mean + (1 - first) * (u - mean)
    if optimizer.kind == "momentum":
        return mean, mean[..., None, :]
    square = moments[..., 1, :]
    square = square + (1 - second) * (u * u - square)
    times = iteration + 1
    unbiased = mean / (1 - first**times)
    root = xp.sqrt(square / (1 - second**times))
    return unbiased / (root + optimizer.epsilon), xp.stack([mean, square], axis=-2)
