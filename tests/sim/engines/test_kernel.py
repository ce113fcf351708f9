"""The fused engine against the plain-loop oracle, to 1e-12.

The oracle is fed with samples that add up to the engine's draws: a micro-batch's
Gaussian vector √(Σs²)·z is shared among its samples in proportion to the squares of
their scales s, and its gamma variable goes to its first benign sample.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.spec.algorithm import Algorithm
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.random import philox
from sim.random.addresses import Draws
from sim.reduction.compositions import composition, compositions, plan
from sim.reference import Sample, loss_gradient, norm, trajectory

STEPS = 50
STEP = 0.1
RARE = {"law": "rare", "probability": 0.2, "value": 3.0, "gaussian": 0.5}
GAMMA = {"law": "gamma", "shape": 0.7, "scale": 1.5, "sign": -1, "gaussian": 0.5}
NORMAL = {"law": "gaussian", "scale": 0.7}
SILENT = {"law": "gaussian", "scale": 0.0}
DIRECTION = [-1.0, 0.5, 0.0]
BACK = {"law": "persistent", "norm": 4.0, "direction": DIRECTION}
DRAGGERS = [
    BACK,
    {"law": "additive", "norm": 4.0, "direction": DIRECTION},
    {"law": "orthogonal", "norm": 4.0, "direction": DIRECTION},
    {"law": "isotropic", "norm": 4.0},
    {"law": "opposing", "norm": 4.0},
]
DOMAINS = [
    {"weight": 0.5, "optimum": [1.0, 0.0, 0.0], "noise": RARE},
    {"weight": 0.3, "optimum": [0.0, -1.0, 0.0], "noise": NORMAL},
    {"weight": 0.2, "optimum": [0.0, 0.0, 2.0], "noise": GAMMA},
]


def experiment(
    noise=NORMAL, dragger=BACK, rule="adaptive", b=(1, 3, 12), model=(), **algorithm
):
    table = {"noise": noise} if noise else {"domains": DOMAINS}
    if rule in ("fixed", "global"):
        algorithm["threshold"] = 0.4
    if "schedule" not in algorithm:
        algorithm["micro_batch_sizes"] = list(b)
    return Experiment.from_mapping(
        {
            "model": {
                "dimension": 3,
                "curvature": [0.5, 1.0, 2.0],
                "dragger_fraction": 0.2,
                "dragger": dragger,
                **table,
                **dict(model),
            },
            "algorithm": {"rule": rule, "batch_size": 12, **algorithm},
            "run": {
                "measure": "trajectory",
                "steps": [STEP],
                "start": [1.0, -2.0, 0.5],
                "replicates": 2,
                "iterations": STEPS,
                "precision": "float64",
            },
        }
    )


def row(table, word, extra):
    """The alias table's row for a 32-bit word and another, in Python's integers."""
    column = word >> (32 - table.bits)
    u = ((word << table.bits) & philox.MASK) << 32 | extra << table.bits
    return column if u < int(table.threshold[column]) else int(table.alias[column])


def batch(e, b, t, w, replicate=1):  # noqa: PLR0914 the addresses of one step, by hand
    """The samples of iteration t, for the oracle; b None: by schedule and window."""
    model, pure = e.model, e.algorithm.domains == "pure"
    length = norm(loss_gradient(model, list(w)))
    size = int(e.algorithm.schedule.size_at(t, length)) if b is None else b
    window = model.dragger.active
    active = window is None or window.contains(t, length)
    B = e.algorithm.batch_size
    m, rest = -(-B // size), B % size
    table = composition(model, size, B, pure=pure, active=active)
    laws = [(compositions(model, size, pure=pure, active=active), table)] * m
    if rest:
        laws[-1] = compositions(model, rest, pure=pure, active=active), table.last
    key = philox.key(e.run.seed, b or 0, STEP)
    here = range(replicate, replicate + 1)
    word, extra = (
        philox.bits(key, stream, here, t, m)[0]
        for stream in (philox.COMPOSITION, philox.REFINEMENT)
    )
    z = philox.normals(key, philox.NORMALS, here, t, 4 * m)[0].reshape(m, 4)[:, :3]
    rows = [row(law, int(word[j]), int(extra[j])) for j, (_, law) in enumerate(laws)]
    shape = np.array([law.shape[r] for r, (_, law) in zip(rows, laws, strict=True)])
    X = Draws(key, here, t).gamma(philox.GAMMA, shape.reshape(1, -1)).reshape(m, -1)
    found = []
    for j, (r, (kinds, _)) in enumerate(zip(rows, laws, strict=True)):
        found += micro_batch(model, kinds, r, z[j], X[j])
    return found


def micro_batch(model, kinds, r, z, X):
    """Samples of composition r whose noise adds up to vector z and variables X."""
    draggers = int(kinds.draggers[r])
    isotropic = model.dragger.law == "isotropic"
    scales = [model.dragger.norm if isotropic else 0.0] * draggers
    samples = [(True, 0.0, 0)] * draggers
    gammas = 0
    for k, (_, noise) in enumerate(model.parts):
        n, rare = int(kinds.clean[k, r]), int(kinds.draws[k, r])
        draws = [0.0] * n
        if noise.law == "rare":
            draws[:rare] = [1.0] * rare
        if noise.law == "gamma":
            draws[:1] = [X[gammas]] * len(draws[:1])
            gammas += 1
        samples += [(False, draw, k) for draw in draws]
        scales += [noise.gaussian] * n
    total = math.sqrt(sum(s * s for s in scales)) or 1.0
    return [
        Sample(dragger, draw, list(z * scale / total), domain)
        for (dragger, draw, domain), scale in zip(samples, scales, strict=True)
    ]


def walked(e, b, cuts=(STEPS,), threads=1):
    """The engine's iterates after each step [STEPS, 3], of replicate 1."""
    state = start(e)
    at = 0
    found = []
    with Workers(threads) as workers:
        machine = engine(e, b, STEP, workers=workers)
        for end in cuts:
            machine.advance(state, at, end, False)
            found.append(state.w[1].copy())
            at = end
    return np.array(found)


def distance(e, b, blunder=0.0):
    """Largest distance between the engine and the oracle over 50 steps."""
    found = walked(e, b, range(1, STEPS + 1))
    w = list(e.run.start)
    largest = 0.0
    for t in range(STEPS):
        samples = batch(e, b, t, w)
        if blunder and t == 7:
            samples = [
                replace(s, normal=[x + blunder for x in s.normal]) for s in samples
            ]
        size = b or int(
            e.algorithm.schedule.size_at(t, norm(loss_gradient(e.model, w)))
        )
        here = replace(e, run=replace(e.run, start=tuple(w)))
        w = trajectory(here, size, STEP, [samples])[-1]
        largest = max(largest, float(np.abs(found[t] - w).max()))
    return largest


CASES = {
    **{d["law"]: experiment(dragger=d) for d in DRAGGERS},
    "rare": experiment(RARE),
    "gamma": experiment(GAMMA),
    "gamma, isotropic": experiment(GAMMA, DRAGGERS[3]),
    **{
        rule: experiment(RARE, rule=rule)
        for rule in ("sgd", "normalized", "fixed", "global")
    },
    "sum": experiment(aggregate="sum", rule="normalized"),
    "domains": experiment(None, domains="mixed"),
    "pure domains": experiment(None, domains="pure"),
    "waves": experiment(
        model={
            "problem": "nonconvex",
            "nonconvex": {"amplitude": 0.3, "frequency": 4.0},
        }
    ),
    "no noise": experiment(SILENT),
}


@pytest.mark.parametrize("name", CASES)
def test_the_oracle_goes_the_same_way(name):
    for b in (1, 3, 12):
        assert distance(CASES[name], b) < 1e-12
    for b in (5, 7, 11):  # 5 + 5 + 2, 7 + 5, 11 + 1
        assert distance(CASES[name], b) < 1e-12


@pytest.mark.parametrize("name", ["persistent", "pure domains"])
def test_clean_micro_batches_are_counted(name):
    """The fraction of micro-batches without any dragger, at each of the first steps."""
    e = CASES[name]
    b = 3
    state, w = start(e), list(CASES[name].run.start)
    with Workers(1) as workers:
        machine = engine(e, b, STEP, workers=workers)
        for t in range(20):
            samples = batch(e, b, t, w)
            machine.advance(state, t, t + 1, False)
            w = list(state.w[1])
            parts = [samples[i : i + b] for i in range(0, len(samples), b)]
            clean = [not any(s.dragger for s in part) for part in parts]
            assert state.last[1, 1] == pytest.approx(np.mean(clean), abs=1e-12)


OPTIMIZERS = [
    {"kind": "momentum", "momentum": 0.8},
    {"kind": "adam", "beta1": 0.7, "beta2": 0.9, "epsilon": 0.01},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda table: table["kind"])
def test_optimizers(optimizer):
    """The oracle weighs all updates so far, where the engine keeps running means."""
    for name in ("persistent", "sum", "gamma"):
        e = CASES[name]
        rule = e.algorithm.to_mapping() | {"optimizer": optimizer}
        optimized = replace(e, algorithm=Algorithm.read(rule))
        batches = [batch(e, 3, t, e.run.start) for t in range(STEPS)]
        expected = np.array(trajectory(optimized, 3, STEP, batches)[1:])
        found = walked(optimized, 3, range(1, STEPS + 1))
        assert np.abs(found - expected).max() < 1e-12
        assert np.abs(walked(e, 3, range(1, STEPS + 1)) - expected).max() > 0.01
        single = replace(optimized, run=replace(e.run, precision="float32"))
        assert np.abs(walked(single, 3) - expected[-1]).max() < 2e-4


def test_without_memory_momentum_changes_nothing():
    e = CASES["gamma"]
    rule = e.algorithm.to_mapping()
    rule["optimizer"] = {"kind": "momentum", "momentum": 0.0}
    optimized = replace(e, algorithm=Algorithm.read(rule))
    assert np.abs(walked(optimized, 3) - walked(e, 3)).max() < 1e-13


def test_a_single_number_is_noticed():
    assert distance(CASES["gamma"], 3, blunder=0.01) > 1e-5


@pytest.mark.parametrize(
    "schedule",
    [
        {"iterations": [[0, 1], [10, 3], [30, 12]]},
        {"gradient_norm": [[1.5, 1], [0.6, 4], [0.0, 12]]},
        {"iterations": [[0, 5], [10, 2], [20, 7]]},
        {"gradient_norm": [[1.5, 2], [0.6, 5], [0.0, 10]]},
    ],
)
def test_schedules(schedule):
    e = experiment(schedule=schedule)
    assert distance(e, None) < 1e-12
    assert np.abs(walked(e, None) - walked(experiment(), 3)).max() > 1e-3


@pytest.mark.parametrize(
    "window", [{"iterations": [5, 20]}, {"gradient_norm": [0.5, 1.2]}]
)
def test_draggers_that_are_active_for_a_while(window):
    e = experiment(dragger=BACK | {"active": window})
    assert distance(e, 3) < 1e-12
    assert np.abs(walked(e, 3) - walked(experiment(), 3)).max() > 1e-3


@pytest.mark.parametrize("optimizer", [{}, *({"optimizer": o} for o in OPTIMIZERS)])
def test_nothing_depends_on_how_the_work_is_cut(optimizer):
    e = experiment(GAMMA, DRAGGERS[4], **optimizer)
    e = replace(e, run=replace(e.run, replicates=7, precision="float32"))
    states = []
    for threads, cuts in (
        (1, [STEPS]),
        (3, [1, 2, 17, STEPS]),
        (2, range(1, STEPS + 1)),
    ):
        state = start(e)
        at = 0
        with Workers(threads) as workers:
            machine = engine(e, 3, STEP, workers=workers)
            for end in cuts:
                machine.advance(state, at, end, True)
                at = end
        states.append(state)
    for other in states[1:]:
        for name in ("w", "sums", "hit", "last", "moments"):
            assert np.array_equal(getattr(states[0], name), getattr(other, name))


def test_single_precision_follows_double():
    for name, e in CASES.items():
        single = replace(e, run=replace(e.run, precision="float32"))
        assert np.abs(walked(e, 3) - walked(single, 3)).max() < 2e-4, name


def test_hitting_stops_a_replicate():
    e = experiment()
    e = replace(e, run=replace(e.run, measure="hitting", points=None, radius=1.5))
    state = start(e)
    with Workers(1) as workers:
        engine(e, 3, STEP, workers=workers).advance(state, 0, STEPS, False)
    path = walked(experiment(), 3, range(1, STEPS + 1))
    lengths = [
        norm(loss_gradient(e.model, list(w))) for w in [np.array(e.run.start), *path]
    ]
    first = next(t for t, length in enumerate(lengths) if length <= 1.5)
    assert state.hit[1] == first > 0
    assert np.array_equal(state.w[1], path[first - 1])


def test_too_many_kinds_are_refused():
    domains = [{**DOMAINS[0], "weight": 0.25}] * 4
    model = {
        "dimension": 3,
        "dragger_fraction": 0.2,
        "domains": domains,
        "dragger": BACK,
    }
    e = Experiment.from_mapping(
        {
            "model": model,
            "algorithm": {
                "rule": "sgd",
                "batch_size": 4096,
                "micro_batch_sizes": [4096],
            },
        }
    )
    with pytest.raises(SpecificationError, match="kinds of micro-batch"):
        plan(e, 4096)
