"""What only a CUDA device can show: many replicates' law and speed."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from sim.engines.course import Course
from sim.engines.cuda.launch import Cuda, source
from sim.random import philox

KEY = philox.key(1, 8, 0.1)
STEP = 0.1


def moved(device, state):
    """The state, its arrays on the device."""
    for name, array in vars(state).items():
        setattr(state, name, device.put(array))
    return state


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("d", [2, 64])
def test_the_spread_at_rest_is_that_of_an_autoregression(
    hand_made, device, precision, d
):
    """SGD: |z| < 6 of the mean square, 2e-9 each; 10 % more is seen."""
    n = 2**15
    plan = hand_made.plan(d, "sgd", (8,), rows=1, axes=0)
    law = replace(plan.compositions[0], first=np.zeros(1))
    plan = replace(plan, compositions=(law,), curvature=np.ones(d), centre=np.zeros(d))
    engine = Cuda(
        plan, Course(KEY, STEP), precision=precision, replicates=n, device=device
    )
    state = moved(device, hand_made.start(plan, n, precision, scale=0.1))
    engine.advance(state, 0, 200, False)
    found = device.get(state.w).astype(np.float64)
    decay = 1 - STEP
    variance = STEP**2 * law.deviation[0] ** 2 / 8 / (1 - decay**2)

    def score(x):
        return (np.mean(x**2) / variance - 1) * math.sqrt(x.size / 2)

    assert abs(score(found)) < 6
    assert abs(score(found * 1.1)) > 6


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("d", [2, 64])
def test_throughput(hand_made, device, precision, d, capsys):
    """Prints normals per second, alone and in the engine; nothing is demanded."""
    m = 128
    n = 2**14
    steps = 200
    count = 10**5
    plan = hand_made.plan(d, "adaptive", (m,))
    engine = Cuda(
        plan, Course(KEY, STEP), precision=precision, replicates=n, device=device
    )
    state = moved(device, hand_made.start(plan, n, precision))
    alone = device.kernel(source(), "normals_only", engine.macros)
    threads = 256 * 8 * device.processors
    out = device.put(np.zeros(threads, precision))
    arguments = (*map(np.uint32, (*KEY, count)), out)

    def seconds(work):
        work()
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    ceiling = (
        4 * count * threads / seconds(lambda: alone(threads // 256, 256, arguments))
    )
    rate = n * m * d * steps / seconds(lambda: engine.advance(state, 0, steps, True))
    with capsys.disabled():
        print(
            f"\n{precision}, d = {d}: {rate:.3g} normals/s, alone {ceiling:.3g}/s",
            end=" ",
        )
    assert math.isfinite(rate)
