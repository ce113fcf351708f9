"""The GPU's kernel against `sim.engines.readable`.

It runs thread by thread on the CPU, and on a device.
"""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest

from analysis.spec.optimizer import Optimizer
from analysis.spec.rule import Rule
from sim.engines.course import Course
from sim.engines.cuda.launch import Cuda, source
from sim.engines.cuda.layout import WARP, Shape, shape
from sim.engines.readable import Stepwise
from sim.random import philox

KEY = philox.key(1, 8, 0.1)
STEP = 0.1
STEPS = 50
PHASES = (5, 12, 40, 70)
CASES = {
    "1": (1, "fixed", {"axes": 0}),
    "2": (2, "adaptive", {"gammas": 1, "backward": True, "sizes": (150,)}),
    "3": (3, "normalized", {"gammas": 2, "axes": 6, "flat": True, "sizes": PHASES}),
    "5": (5, "sgd", {"wave": (0.3, 2.0), "average": False, "rows": 1, "sizes": (3,)}),
    "64": (64, "adaptive", {"sizes": PHASES, "backward": True, "flat": True}),
    "130": (130, "global", {"axes": 2}),
    "wide": (
        64,
        "normalized",
        {"form": Shape(8, 2, 32, 2), "gammas": 1, "sizes": (70,)},
    ),
    "wider": (130, "fixed", {"form": Shape(16, 3, 32), "average": False}),
    "narrow": (64, "fixed", {"form": Shape(4, 4, 16), "sizes": (9,)}),
    "uneven 1": (1, "adaptive", {"sizes": (23,), "last": {0: 3}, "gammas": 1}),
    "uneven 2": (2, "sgd", {"sizes": (41, 60, 20, 130), "last": {0: 4, 2: 1, 3: 6}}),
    "uneven 64": (64, "fixed", {"sizes": (9,), "last": {0: 5}, "backward": True}),
    "uneven 130": (130, "adaptive", {"sizes": (70,), "last": {0: 2}, "gammas": 2}),
    "single 2": (2, "normalized", {"precision": "float32"}),
    "single 64": (
        64,
        "adaptive",
        {"precision": "float32", "sizes": PHASES, "backward": True},
    ),
    "single 130": (130, "fixed", {"precision": "float32", "gammas": 1}),
    "momentum 64": (64, "adaptive", {"optimizer": "momentum", "sizes": (70,)}),
    "adam 2": (2, "normalized", {"optimizer": "adam", "precision": "float32"}),
}
SOAK = {
    f"{d} {rule} {precision}": (
        d,
        rule,
        {"precision": precision, "backward": True, "gammas": 1},
    )
    for d in (1, 2, 3, 4, 5, 16, 64, 130)
    for rule in Rule.names()
    for precision in ("float64", "float32")
}


def prepared(hand_made, device, case, replicates=3, radius=None):
    """The case's plan, state and engine."""
    d, rule, options = case
    options = dict(options)
    precision, form = options.pop("precision", "float64"), options.pop("form", None)
    kind = options.pop("optimizer", None)
    optimizer = kind and Optimizer(kind)
    plan = hand_made.plan(d, rule, **options)
    kept = optimizer.moments if optimizer else 0
    state = hand_made.start(plan, replicates, precision, moments=kept)
    kinds = {
        "precision": precision,
        "replicates": replicates,
        "device": device,
        "form": form,
    }
    return plan, state, Cuda(plan, Course(KEY, STEP, radius, optimizer), **kinds)


def run(engine, state, device, *edges):
    """A copy of the state, advanced from edge to edge."""
    there = copy.copy(state)
    for name, array in vars(state).items():
        setattr(there, name, device.put(array.copy()))
    for begin, end in itertools.pairwise(edges):
        engine.advance(there, begin, end, begin >= 10)
    for name, array in vars(there).items():
        setattr(there, name, device.get(array))
    return there


def assert_close(found, expected):
    single = found.w.dtype == np.float32
    assert np.array_equal(found.hit, expected.hit)
    scale = max(1, np.abs(expected.w).max())
    np.testing.assert_allclose(
        found.w, expected.w, rtol=0, atol=scale * (5e-6 if single else 1e-12)
    )
    tolerance = (
        {"rtol": 5e-5, "atol": 5e-4} if single else {"rtol": 1e-11, "atol": 1e-11}
    )
    np.testing.assert_allclose(found.sums, expected.sums, **tolerance)
    np.testing.assert_allclose(found.last, expected.last, **tolerance)
    np.testing.assert_allclose(found.moments, expected.moments, **tolerance)


def assert_same(found, expected):
    for name, array in vars(expected).items():
        assert np.array_equal(getattr(found, name), array, equal_nan=True), name


def check(hand_made, device, case):
    plan, state, engine = prepared(hand_made, device, case)
    found = run(engine, state, device, 0, 10, STEPS)
    expected = copy.deepcopy(state)
    kind = case[2].get("optimizer")
    stepwise = Stepwise(plan, KEY, STEP, optimizer=kind and Optimizer(kind))
    for begin, end in ((0, 10), (10, STEPS)):
        stepwise.advance(expected, begin, end, begin >= 10)
    assert_close(found, expected)
    assert np.ptp(found.last[:, 1]) > 0 or plan.compositions[0].clean.size == 1
    assert_same(run(engine, state, device, 0, 1, 10, 11, 30, STEPS), found)
    return state, engine, found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_trajectories(hand_made, host_device, case):
    state, engine, found = check(hand_made, host_device, case)
    host_device.backwards = True
    try:
        assert_same(run(engine, state, host_device, 0, 10, STEPS), found)
    finally:
        host_device.backwards = False


@pytest.mark.soak
@pytest.mark.parametrize("case", SOAK.values(), ids=SOAK)
def test_every_rule_in_many_dimensions(hand_made, host_device, case):
    check(hand_made, host_device, case)


def assert_independent(hand_made, device, case, layouts):
    """First results by (form, replicates, processors), the same in all layouts."""
    d, rule, options = case
    processors = device.processors
    found = []
    used = set()
    for form, replicates, device.processors in layouts:
        changed = (d, rule, {**options, "form": form})
        _, state, engine = prepared(hand_made, device, changed, replicates)
        state.w[:2] = [[1], [-2]]  # these are the same, whatever the others
        used.add((engine.geometry.warps, engine.geometry.threads))
        found.append(run(engine, state, device, 0, 10, 16))
    device.processors = processors
    assert len(used) == len(layouts)
    for other in found[1:]:
        for name in vars(other):
            assert np.array_equal(getattr(other, name)[:2], getattr(found[0], name)[:2])


def layouts(case):
    """Few replicates on many processors, many on one, and many warps for one."""
    d, _, options = case
    size = np.dtype(options.get("precision", "float64")).itemsize
    one = options.get("form") or shape(d, *options["sizes"], size)
    several = [(None, 9, 132)] if one.team == WARP else []
    return [(one, 2, 132), (one, 9, 1), *several]


INDEPENDENT = [(64, "normalized", {"sizes": (70,)}), (2, "adaptive", {"sizes": (600,)})]


OTHERS = [CASES["narrow"], CASES["uneven 130"]]


@pytest.mark.parametrize(
    "case", [*INDEPENDENT, *OTHERS], ids=["64", "2", "narrow", "uneven"]
)
def test_neither_warps_nor_replicates_matter(hand_made, host_device, case):
    assert_independent(hand_made, host_device, case, layouts(case))


@pytest.mark.parametrize("case", ["3", "64"])
def test_a_hit_ends_a_replicate(hand_made, host_device, case):
    plan, state, engine = prepared(hand_made, host_device, CASES[case], 4, radius=1.3)
    state.w[0] = plan.centre  # where the gradient is zero at once
    found = run(engine, state, host_device, 0, 10, STEPS)
    assert found.hit[0] == 0
    assert 0 < found.hit[1:].max() < STEPS
    assert np.isnan(found.last[0]).all()
    expected = copy.deepcopy(state)
    for begin, end in ((0, 10), (10, STEPS)):
        Stepwise(plan, KEY, STEP, 1.3).advance(expected, begin, end, begin >= 10)
    assert_close(found, expected)
    assert_same(run(engine, state, host_device, 0, *range(3, STEPS + 1)), found)


def test_late_iterations_have_numbers_of_their_own(hand_made, host_device):
    plan, state, engine = prepared(hand_made, host_device, CASES["2"])
    begin = 2**32 - 2
    found = run(engine, state, host_device, begin, begin + 4)
    expected = copy.deepcopy(state)
    Stepwise(plan, KEY, STEP).advance(expected, begin, begin + 4, True)
    assert_close(found, expected)
    early = run(engine, state, host_device, 2**20, 2**20 + 4)
    assert not np.allclose(early.w, found.w)


def test_a_large_dimension(hand_made, host_device):
    plan, state, engine = prepared(
        hand_made, host_device, (4096, "adaptive", {"sizes": (5,)})
    )
    expected = copy.deepcopy(state)
    Stepwise(plan, KEY, STEP).advance(expected, 0, 3, False)
    assert_close(run(engine, state, host_device, 0, 3), expected)


def test_ties_of_the_leading_bits_take_a_second_word(  # noqa: PLR0914 word by word
    hand_made, host_device
):
    """Thresholds equal to a word drawn, and just above or below its refinement."""
    plan, state, engine = prepared(
        hand_made, host_device, (64, "sgd", {"sizes": (40,)}), 1
    )
    [law] = plan.compositions
    x, y = (
        philox.bits(KEY, stream, range(1), 0, law.micro_batches)[0]
        for stream in (philox.COMPOSITION, philox.REFINEMENT)
    )
    bits, half = np.uint64(law.bits), np.uint64(32)
    column = (x >> (half - bits)).astype(int)
    u = (((x << bits) & np.uint64(philox.MASK)) << half) | y << bits
    threshold, alias = law.threshold.copy(), np.roll(np.arange(2**law.bits) % 6, 1)
    for i, (c, value) in enumerate(zip(column, u, strict=True)):
        threshold[c] = value + np.uint64(i % 2)
    compositions = (replace(law, threshold=threshold, alias=alias.astype(np.uint32)),)
    results = {}
    for name, tied in {
        "exact": threshold,
        "cut": threshold >> half << half,
    }.items():
        tied_plan = replace(
            plan, compositions=(replace(compositions[0], threshold=tied),)
        )
        kinds = {"precision": "float64", "replicates": 1, "device": host_device}
        engine = Cuda(tied_plan, Course(KEY, STEP), **kinds)
        results[name] = run(engine, state, host_device, 0, 1)
        expected = copy.deepcopy(state)
        Stepwise(tied_plan, KEY, STEP).advance(expected, 0, 1, False)
        assert_close(results[name], expected)
    assert not np.allclose(results["exact"].w, results["cut"].w)


@pytest.mark.parametrize("case", ["64", "wider"])
def test_divergence_is_seen(hand_made, host_device, case):
    _, state, engine = prepared(hand_made, host_device, CASES[case])
    state.w[0, 3] = np.nan
    found = run(engine, state, host_device, 0, 10, 12)
    assert np.isnan(found.w[0]).all() if case == "64" else np.isnan(found.w[0, 3])
    assert np.isfinite(found.w[1]).all()
    assert np.isnan(found.sums[0, -1])


@pytest.mark.parametrize("case", ["single 64", "2"])
def test_the_throughput_kernel_draws_the_normals(hand_made, host_device, case):
    _, state, engine = prepared(hand_made, host_device, CASES[case])
    kernel = host_device.kernel(source(), "normals_only", engine.macros)
    out = np.zeros(64, state.w.dtype)
    kernel(2, 32, (*map(np.uint32, (*KEY, 5)), out))
    z = philox.normals(KEY, philox.NORMALS, range(64), 0, 20)
    np.testing.assert_allclose(
        out, z.sum(1), rtol=0, atol=1e-5 if "single" in case else 1e-13
    )


def test_a_missing_barrier_is_seen(hand_made, host_device, monkeypatch):
    """The power twin of the tests above: a kernel without barriers between lanes."""
    # without a norm that would make the lanes meet
    case = (64, "sgd", {"sizes": (70,)})
    broken = source().replace("__syncwarp(team);", "")
    monkeypatch.setattr("sim.engines.cuda.launch.source", lambda: broken)
    plan, state, engine = prepared(hand_made, host_device, case)
    found = run(engine, state, host_device, 0, 1)
    expected = copy.deepcopy(state)
    Stepwise(plan, KEY, STEP).advance(expected, 0, 1, False)
    assert not np.allclose(found.w, expected.w)


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_trajectories_on_a_device(hand_made, device, case):
    check(hand_made, device, case)


@pytest.mark.gpu
@pytest.mark.parametrize("case", INDEPENDENT, ids=["64", "2"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_neither_warps_nor_replicates_matter_on_a_device(
    hand_made, device, case, precision
):
    d, rule, options = case
    changed = (d, rule, {**options, "precision": precision})
    assert_independent(hand_made, device, changed, layouts(changed))
