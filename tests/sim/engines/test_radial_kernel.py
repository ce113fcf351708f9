"""The radial kernel against its readable form, and how it is chosen."""

import copy
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.course import Course
from sim.engines.cpu.engine import Mixture
from sim.engines.readable_radial import RadialStepwise
from sim.engines.state import ARRAYS, start
from sim.engines.workers import Workers
from sim.presets import presets
from sim.reduction.plan import RadialPlan
from sim.reduction.radial import chosen
from sim.sweep.measure import measure
from sim.sweep.store import digest, specification

KEY = (123456789, 4000000000)
STEPS = 50
LEFT = ([61.0], [6.0, 10.0**9 - 3], [7.0, 30.0, 8.0])


@pytest.fixture
def radial(hand_made):
    """Functions that make plans and states of some explicit coordinates and radii."""

    def plan(explicit, left, rule="adaptive", **options):
        d = explicit + len(left)
        reduced = hand_made.plan(d, rule, **options)
        centre = reduced.centre.copy()
        axes = reduced.axes.copy()
        flat = reduced.flat.copy()
        for vector in (centre, axes, flat):
            vector[..., explicit:] = 0
        laws = [spread(law, left) for law in reduced.compositions]
        reduced = replace(
            reduced, centre=centre, axes=axes, flat=flat, compositions=tuple(laws)
        )
        return RadialPlan(reduced, np.array(left))

    def spread(law, left):
        last = law.last and spread(law.last, left)
        deviation = law.deviation / np.sqrt(max(left))
        return replace(law, deviation=deviation, last=last)

    def state(plan, replicates, precision="float64"):
        found = hand_made.start(plan.reduced, replicates, precision)
        found.w[:, plan.explicit :] = np.abs(found.w[:, plan.explicit :])
        found.sums = np.zeros((replicates, plan.explicit + 2))
        return found

    return SimpleNamespace(plan=plan, state=state)


def both(plan, state, precision="float64", steps=STEPS, radius=None, spoil=0.0):
    """The two final states."""
    other = copy.deepcopy(state)
    with Workers(2) as workers:
        Mixture(
            plan, Course(KEY, 0.1, radius), precision=precision, workers=workers
        ).advance(state, 0, steps, True)
    RadialStepwise(plan, KEY, 0.1 + spoil, radius).advance(other, 0, steps, True)
    return state, other


def difference(states):
    """The largest distance, relative where numbers are above 1."""
    first, second = states
    assert np.array_equal(first.hit, second.hit)
    largest = 0.0
    for name in ("w", "sums", "last"):
        x, y = getattr(first, name), getattr(second, name)
        assert np.array_equal(np.isnan(x), np.isnan(y)), name
        size = 1 + np.abs(np.nan_to_num(x))
        distance = np.abs(np.nan_to_num(x) - np.nan_to_num(y)) / size
        largest = max(largest, float(distance.max()))
    return largest


CASES = [
    (1, LEFT[0], "adaptive", {"sizes": (32,)}),
    (0, LEFT[0], "normalized", {"sizes": (24, 6, 1, 130), "axes": 0}),
    (2, LEFT[1], "fixed", {"axes": 2, "gammas": 2, "sizes": (70,)}),
    (3, LEFT[2], "global", {"backward": True, "sizes": (7,)}),
    (5, LEFT[1], "sgd", {"average": False, "sizes": (5,)}),
    (4, LEFT[2], "adaptive", {"flat": True, "axes": 3, "backward": True}),
    (2, LEFT[0], "adaptive", {"sizes": (65,), "last": {0: 3}, "gammas": 1}),
    (2, LEFT[2], "fixed", {"sizes": (9, 64, 1, 257), "last": {0: 5, 3: 2}}),
]


@pytest.mark.parametrize(("explicit", "left", "rule", "features"), CASES)
def test_double_precision(radial, explicit, left, rule, features):
    plan = radial.plan(explicit, left, rule, **features)
    assert difference(both(plan, radial.state(plan, 5))) < 1e-11
    assert difference(both(plan, radial.state(plan, 5), spoil=1e-4)) > 1e-6


@pytest.mark.parametrize(("explicit", "left", "rule", "features"), CASES)
def test_single_precision(radial, explicit, left, rule, features):
    plan = radial.plan(explicit, left, rule, **features)
    states = both(plan, radial.state(plan, 5, "float32"), "float32")
    assert difference(states) < 2e-5  # two hundred roundings


def test_hits(radial):
    plan = radial.plan(2, LEFT[0], "normalized")
    states = both(plan, radial.state(plan, 9), radius=1.0)
    assert (states[0].hit > 0).any()
    assert difference(states) < 1e-11


def test_later_attempts_at_a_chi_square(radial):
    """Six degrees: one number in a hundred is refused, and one in 10⁴ twice."""
    plan = radial.plan(1, [7.0], sizes=(1024,), axes=0)
    assert difference(both(plan, radial.state(plan, 20), steps=10)) < 1e-11


def j1(**run):
    e = Experiment.load(presets()["j1"])
    return replace(e, run=replace(e.run, **run))


def in_dimension(e, d):
    return replace(e, model=replace(e.model, dimension=d))


def test_nothing_depends_on_how_the_work_is_cut():
    e = j1(replicates=7)
    states = []
    for threads, cuts in ((1, [40]), (3, [1, 2, 17, 40]), (2, range(1, 41))):
        state = start(e)
        at = 0
        with Workers(threads) as workers:
            machine = engine(e, 8, 0.05, workers=workers)
            for end in cuts:
                machine.advance(state, at, end, True)
                at = end
        states.append(state)
    for other in states[1:]:
        for name in ARRAYS:
            assert np.array_equal(getattr(states[0], name), getattr(other, name))


def test_a_step_that_overflows_is_not_hidden(radial):
    plan = radial.plan(2, LEFT[0], "sgd")
    state = radial.state(plan, 1, "float32")
    state.w[0, -1] = np.inf
    with np.errstate(invalid="ignore"), Workers(1) as workers:
        Mixture(plan, Course(KEY, 0.1), precision="float32", workers=workers).advance(
            state, 0, 3, True
        )
    assert np.isnan(state.w[0, -1])


def test_the_faster_engine_is_chosen():
    assert chosen(in_dimension(j1(), 9)) is None
    assert chosen(in_dimension(j1(), 64)) is not None
    assert chosen(in_dimension(j1(engine="full"), 64)) is None
    assert chosen(in_dimension(j1(engine="radial"), 12)) is not None
    with pytest.raises(SpecificationError, match=r"run\.engine = 'radial': must be"):
        chosen(in_dimension(j1(engine="radial"), 8))


@pytest.mark.parametrize("name", presets())
def test_the_choice_does_not_depend_on_the_origin(name):
    e = Experiment.load(presets()[name])
    assert (chosen(e) is None) == (chosen(e.centred()) is None)


def test_results_of_two_engines_are_not_mixed_up():
    found = {
        word: digest(specification(j1(engine=word), 8))
        for word in ("auto", "radial", "full")
    }
    assert found["auto"] == found["radial"] != found["full"]
    low = in_dimension(j1(), 3)
    full = in_dimension(j1(engine="full"), 3)
    assert digest(specification(low, 8)) == digest(specification(full, 8))


@pytest.mark.parametrize("kind", ["trajectory", "bias", "hitting"])
def test_a_thousand_million_dimensions_take_no_memory(kind):
    run = {
        "trajectory": {"iterations": 40, "points": 3},
        "bias": {"points": None, "steps": (0.05, 0.025), "iterations": 256},
        "hitting": {"points": None, "radius": 4.0, "iterations": 40},
    }
    e = j1(measure=kind, replicates=4, **run[kind])
    tracemalloc.start()
    try:
        found = measure(in_dimension(e, 10**9), None, 2, False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found[8].problem is None or kind == "bias"
    assert peak < 2**27


def test_a_simulation_that_needs_all_coordinates_is_still_refused():
    e = in_dimension(j1(engine="full"), 10**9)
    with pytest.raises(SpecificationError, match=r"model\.dimension = 1000000000"):
        measure(e, None, 1, False)
