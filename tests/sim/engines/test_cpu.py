"""The fused kernel on the CPU against its readable form, on hand-made plans."""

import copy

import numpy as np
import pytest

from analysis.spec.optimizer import Optimizer
from sim.engines.course import Course
from sim.engines.cpu.engine import Mixture
from sim.engines.readable import Stepwise
from sim.engines.workers import Workers
from sim.random import philox

KEY = (123456789, 4000000000)


def both(
    plan,
    state,
    precision="float64",
    steps=50,
    radius=None,
    *,
    spoil=0.0,
    optimizer=None,
):
    """The two final states."""
    other = copy.deepcopy(state)
    course = Course(KEY, 0.1, radius, optimizer)
    with Workers(2) as workers:
        Mixture(plan, course, precision=precision, workers=workers).advance(
            state, 0, steps, True
        )
    stepwise = Stepwise(plan, KEY, 0.1 + spoil, radius, optimizer=optimizer)
    stepwise.advance(other, 0, steps, True)
    return state, other


def difference(states, relative=False):
    first, second = states
    assert np.array_equal(first.hit, second.hit)
    largest = 0.0
    for name in ("w", "sums", "last", "moments"):
        x, y = getattr(first, name), getattr(second, name)
        assert np.array_equal(np.isnan(x), np.isnan(y)), name
        size = 1 + np.abs(np.nan_to_num(x)) if relative else 1
        distance = np.abs(np.nan_to_num(x) - np.nan_to_num(y)) / size
        largest = max(largest, float(distance.max(initial=0.0)))
    return largest


CASES = [
    (1, "adaptive", {"sizes": (24,)}),
    (2, "normalized", {"sizes": (24, 6, 1, 12)}),
    (3, "fixed", {"axes": 3, "gammas": 2}),
    (5, "global", {"backward": True, "sizes": (7,)}),
    (8, "adaptive", {"gammas": 1, "axes": 2, "backward": True}),
    (19, "global", {"axes": 0}),
    (
        40,
        "adaptive",
        {"axes": 3, "gammas": 2, "backward": True, "sizes": (24, 6, 1, 37)},
    ),
    (64, "adaptive", {"wave": (0.3, 2.0)}),
    (64, "sgd", {"average": False, "sizes": (5,)}),
    (130, "normalized", {"flat": True}),
    (1, "adaptive", {"sizes": (25,), "last": {0: 3}}),
    (2, "sgd", {"sizes": (1030, 6, 1, 13), "last": {0: 4, 3: 1}, "gammas": 1}),
    (
        40,
        "fixed",
        {"axes": 3, "gammas": 2, "sizes": (24, 6, 2, 37), "last": {1: 6, 2: 2}},
    ),
    (64, "global", {"sizes": (9,), "last": {0: 5}, "backward": True}),
]


@pytest.mark.parametrize(("d", "rule", "features"), CASES)
def test_double_precision(hand_made, d, rule, features):
    plan = hand_made.plan(d, rule, **features)
    assert difference(both(plan, hand_made.start(plan, 5))) < 1e-9
    assert difference(both(plan, hand_made.start(plan, 5), spoil=1e-4)) > 1e-6


@pytest.mark.parametrize(("d", "rule", "features"), CASES[:8])
def test_single_precision(hand_made, d, rule, features):
    plan = hand_made.plan(d, rule, **features)
    states = both(plan, hand_made.start(plan, 5, "float32"), "float32")
    assert difference(states, relative=True) < 2e-5  # two hundred roundings


@pytest.mark.parametrize(
    ("kind", "case"), [("momentum", CASES[1]), ("adam", CASES[3]), ("adam", CASES[5])]
)
def test_optimizers(hand_made, kind, case):
    """In small and large dimensions, in both precisions, and up to a hit."""
    d, rule, features = case
    optimizer = Optimizer(kind)
    plan = hand_made.plan(d, rule, **features)
    for precision, limit in (("float64", 1e-9), ("float32", 2e-5)):
        states = [
            hand_made.start(plan, 5, precision, moments=optimizer.moments)
            for _ in range(3)
        ]
        pair = both(plan, states[0], precision, optimizer=optimizer)
        assert difference(pair, relative=True) < limit
        far = both(plan, states[1], precision, optimizer=optimizer, spoil=1e-3)
        assert difference(far, relative=True) > 10 * limit
        hit = both(plan, states[2], precision, radius=2.5, optimizer=optimizer)
        assert difference(hit, relative=True) < limit


def test_hits(hand_made):
    plan = hand_made.plan(4, "normalized")
    states = both(plan, hand_made.start(plan, 9), radius=1.0)
    assert (states[0].hit > 0).any()
    assert difference(states) < 1e-9


@pytest.mark.parametrize("last", [2**31, 0, 2**32 - 1])
def test_ties_of_an_alias_table_are_decided_by_a_second_word(hand_made, last):
    """Thresholds share leading bits with words that occur, so that there are ties."""
    plan = hand_made.plan(2, "adaptive", sizes=(64,))
    (law,) = plan.compositions
    words = philox.bits(KEY, philox.COMPOSITION, range(1), 0, 64)[0].tolist()
    for word in words:
        column = word >> (32 - law.bits)
        if column < law.benign.size:
            law.threshold[column] = (word << law.bits & philox.MASK) << 32 | last
    assert difference(both(plan, hand_made.start(plan, 1), steps=1)) < 1e-12


def test_what_a_hit_leaves_behind_does_not_depend_on_the_calls(hand_made):
    plan = hand_made.plan(4, "normalized")
    whole, cut = (hand_made.start(plan, 9) for _ in range(2))
    with Workers(2) as workers:
        engine = Mixture(
            plan, Course(KEY, 0.1, 1.0), precision="float64", workers=workers
        )
        engine.advance(whole, 0, 50, True)
        for t in range(50):
            engine.advance(cut, t, t + 1, True)
    assert (whole.hit > 0).any()
    for name, array in vars(whole).items():
        assert np.array_equal(array, getattr(cut, name), equal_nan=True), name
