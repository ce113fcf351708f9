"""The shape of a launch on a GPU, without one."""

import numpy as np
import pytest

from sim.backend import PLAIN_SHARED
from sim.engines.cuda.geometry import Geometry
from sim.engines.cuda.layout import WARP

SINGLE, DOUBLE = np.dtype("float32"), np.dtype("float64")
PLANS = [
    (1, (24,)),
    (2, (600, 1, 7, 64)),
    (5, (70,)),
    (64, (9,)),
    (130, (2048,)),
    (4096, (3,)),
]


@pytest.mark.parametrize("real", [SINGLE, DOUBLE], ids=str)
@pytest.mark.parametrize(("d", "sizes"), PLANS)
def test_every_replicate_has_its_threads(hand_made, real, d, sizes):
    plan = hand_made.plan(d, sizes=sizes, axes=2)
    for processors in (1, 132):
        for replicates in (1, 5, 132, 70_000):
            launch = Geometry.choose(plan, replicates, processors, real=real)
            team = launch.form.team if launch.warps == 1 else WARP * launch.warps
            needed, present = (
                replicates * team,
                launch.grid(replicates) * launch.threads,
            )
            assert needed <= present < needed + launch.threads
            assert launch.threads % WARP == 0
            assert launch.resident * launch.threads <= max(16 * WARP, launch.threads)


def test_what_decides_the_order_of_sums_follows_from_the_plan_alone(hand_made):
    plan = hand_made.plan(64, sizes=(2048,))
    chosen = [
        Geometry.choose(plan, replicates, processors, real=SINGLE)
        for processors in (1, 8, 132)
        for replicates in (1, 9, 10_000)
    ]
    assert len({(launch.form, launch.cut) for launch in chosen}) == 1
    assert len({launch.warps for launch in chosen}) > 1


def test_few_replicates_fill_the_device_with_warps(hand_made):
    plan = hand_made.plan(64, sizes=(2048,))
    few, many = (Geometry.choose(plan, n, 132, real=SINGLE) for n in (4, 100_000))
    assert few.warps == few.most_blocks == 16
    assert many.warps == 1
    assert many.threads == 4 * WARP


@pytest.mark.parametrize(("axes", "warps"), [(1, 4), (20, 2), (40, 1)])
def test_a_block_shrinks_until_its_terms_fit_into_shared_memory(hand_made, axes, warps):
    plan = hand_made.plan(16, sizes=(64,), axes=axes)
    launch = Geometry.choose(plan, 100_000, 132, real=DOUBLE)
    assert launch.threads == warps * WARP
    assert launch.shared <= PLAIN_SHARED < 4 * launch.shared
