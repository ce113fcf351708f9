"""The CPU's kernel against the readable form of both kernels, on plans no experiment makes."""

import copy
import itertools

import numpy as np
import pytest

from sim import philox
from sim.engines.fused import advance
from sim.engines.mixture import packed
from sim.engines.stepwise import Stepwise

KEY, STEP, STEPS = philox.key(1, 8, 0.1), 0.1, 50
CASES = {
    "1": (1, "fixed", {"axes": 0}),
    "2": (2, "adaptive", {"gammas": 1, "backward": True, "sizes": (150,)}),
    "3": (3, "normalized", {"gammas": 2, "axes": 6, "flat": True, "sizes": (5, 12, 40, 70)}),
    "5": (5, "sgd", {"wave": (0.3, 2.0), "average": False, "rows": 1, "sizes": (3,)}),
    "64": (64, "adaptive", {"sizes": (5, 12, 40, 70), "backward": True, "flat": True}),
    "130": (130, "global", {"axes": 2}),
}


def advanced(plan, state, radius, *edges):
    state = copy.deepcopy(state)
    words, step = tuple(map(np.uint64, KEY)), state.w.dtype.type(STEP)
    for begin, end in itertools.pairwise(edges):
        times = (0, begin, end, begin >= 10, -1.0 if radius is None else radius, step)
        arrays = (state.w, state.sums, state.hit, state.last)
        advance(*arrays, *times, words, packed(plan, state.w.dtype.name))
    return state


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("radius", [None, 1.3])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_trajectories(hand_made, case, radius, precision):
    d, rule, options = case
    plan = hand_made.plan(d, rule, **options)
    state = hand_made.start(plan, 4, precision)
    expected = copy.deepcopy(state)
    for begin, end in ((0, 10), (10, STEPS)):
        Stepwise(plan, KEY, STEP, radius).advance(expected, begin, end, begin >= 10)
    found = advanced(plan, state, radius, 0, 10, STEPS)
    error = 1e-11 if precision == "float64" else 2e-4
    for name, array in vars(expected).items():
        np.testing.assert_allclose(getattr(found, name), array, rtol=error, atol=error)
    again = advanced(plan, state, radius, 0, 3, 10, 11, 29, STEPS)
    for name, array in vars(again).items():
        assert np.array_equal(getattr(found, name), array, equal_nan=True), name
