"""The engine that draws every sample: against oracle, libraries, itself cut up."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import sim.engines.sampled as engine
from analysis.spec.checking import SpecificationError
from analysis.spec.rule import Rule
from sim.engines.course import Course
from sim.problems import build
from sim.random import philox
from sim.random.addresses import Draws
from sim.reference import Sample, trajectory

BATCH = 12
STEPS = 16
KEY = philox.key(3, 3, 0.1)
THRESHOLD = {"fixed": {"threshold": 0.6}, "global": {"threshold": 0.6}}
ORACLE = ("quadratic", "rare", "gamma", "student-t", "nonconvex", "domains")
EVERY = (
    *ORACLE,
    *("linear_regression", "constant", "data", "logistic_regression", "two_layer"),
)


def start(problem, rows, spread=1.0):
    return spread * np.random.default_rng(6).normal(size=(rows, problem.dimension))


def state(w, xp=np, *, moments=0):
    R, d = w.shape
    return SimpleNamespace(
        w=xp.asarray(w.copy()),
        sums=xp.zeros((R, d + 2), dtype=xp.float64),
        hit=xp.full((R,), -1, dtype=xp.int64),
        last=xp.full((R, 3), math.nan, dtype=xp.float64),
        moments=xp.zeros((R, moments, d), dtype=xp.float64),
        steps=np.zeros(R, np.int64),
    )


def simulate(
    e, sizes=3, replicates=range(4), steps=STEPS, xp=np, w=None, radius=None, **calls
):
    """The state after so many steps, recorded all along, from the same places."""
    problem = build(e, xp)
    w = start(problem, 6)[list(replicates)] if w is None else w
    optimizer = e.algorithm.optimizer
    found = state(w, xp, moments=0 if optimizer is None else optimizer.moments)
    run = engine.PerSample(
        problem,
        e.algorithm,
        Course(KEY, 0.1, radius, optimizer),
        sizes=sizes,
        replicates=list(replicates),
    )
    for begin, end in calls.get("parts", [(0, steps)]):
        run.advance(found, begin, end, record=True)
    return found


def equal(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in ("w", "sums", "hit", "last", "moments")
    )


def oracle_samples(e, replicate, pure, b):
    """What chance decides, taken from the problem's addresses, for the oracle."""
    model = e.model
    laws = [law for _, law in model.parts]
    edges = np.cumsum([weight for weight, _ in model.parts])[:-1]
    for t in range(STEPS):
        at = Draws(KEY, [replicate], t)
        wrong = at.uniforms(philox.SAMPLE, BATCH)[0] < model.dragger_fraction
        normal = at.normals(philox.NORMALS, BATCH * model.dimension)[0].reshape(
            BATCH, -1
        )
        u, rare = (
            at.uniforms(philox.LABEL, BATCH)[0],
            at.uniforms(philox.COMPOSITION, BATCH)[0],
        )
        place = [i - i % b if pure else i for i in range(BATCH)]
        domain = [int((u[place[i]] >= edges).sum()) for i in range(BATCH)]
        shape = [
            {
                "gamma": getattr(law, "shape", 0),
                "student-t": getattr(law, "degrees", 0) / 2,
            }.get(law.law, 0.0)
            for law in (laws[k] for k in domain)
        ]
        gamma = at.gamma(philox.GAMMA, np.array([shape]))[0]
        draw = [
            float(rare[i] < laws[domain[i]].probability)
            if laws[domain[i]].law == "rare"
            else g
            for i, g in enumerate(gamma)
        ]
        yield [
            Sample(bool(wrong[i]), draw[i], normal[i], domain[i]) for i in range(BATCH)
        ]


@pytest.mark.parametrize("rule", Rule.names())
@pytest.mark.parametrize("name", ORACLE)
def test_trajectories_equal_the_oracle(name, rule, experiment):
    algorithm = {"rule": rule, **THRESHOLD.get(rule, {})}
    aggregate = "sum" if rule == "normalized" else "mean"
    for pure in (False, True) if name == "domains" else (False,):
        e = experiment(
            name, pure, {**algorithm, "aggregate": aggregate}, {"start": [1.0, -2.0, 1]}
        )
        for b in (1, 3, 12, 5, 7, 11) if rule == "adaptive" else (3, 5):
            expected = trajectory(e, b, 0.1, oracle_samples(e, 2, pure, b))
            found = simulate(e, b, [2], w=np.array([e.run.start]))
            assert found.w[0] == pytest.approx(expected[-1], rel=1e-12, abs=1e-12)
            gradients = np.array([e.model.gradient(np.array(w)) for w in expected[:-1]])
            assert found.sums[0, :-2] == pytest.approx(
                gradients.sum(0), rel=1e-11, abs=1e-11
            )
            squares = (gradients**2).sum(1)
            sums = [squares.sum(), np.sqrt(squares).sum()]
            assert found.sums[0, -2:] == pytest.approx(sums, rel=1e-11)


OPTIMIZERS = [
    {"kind": "momentum", "momentum": 0.8},
    {"kind": "adam", "beta1": 0.7, "beta2": 0.9, "epsilon": 0.01},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda table: table["kind"])
def test_optimizers(optimizer, experiment):
    """Against the oracle; on other arrays; in parts; with hits in between."""
    algorithm = {"rule": "adaptive", "optimizer": optimizer}
    e = experiment("rare", algorithm=algorithm, run={"start": [1.0, -2.0, 1.0]})
    batches = list(oracle_samples(e, 2, False, 3))
    expected = trajectory(e, 3, 0.1, batches)
    found = simulate(e, 3, [2], w=np.array([e.run.start]))
    assert found.w[0] == pytest.approx(expected[-1], rel=1e-12, abs=1e-12)
    plain = experiment("rare", algorithm={"rule": "adaptive"}, run={"start": 1.0})
    other = simulate(plain, 3, [2], w=np.array([e.run.start]))
    assert np.abs(other.w[0] - expected[-1]).max() > 0.01
    whole = simulate(e, radius=1.5)
    assert 0 <= whole.hit.max() < STEPS
    parts = simulate(e, radius=1.5, parts=[(0, 1), (1, 11), (11, STEPS)])
    assert equal(whole, parts)
    xp = Elsewhere(pytest.importorskip("array_api_strict"))
    there = simulate(e, xp=xp, radius=1.5)
    for part in ("w", "moments"):
        one = xp.home(getattr(there, part))
        assert one == pytest.approx(getattr(whole, part), rel=1e-11, abs=1e-12)


def test_the_oracle_comparison_has_power(experiment):
    e = experiment("quadratic", run={"start": [1.0, -2.0, 1.0]})
    batches = list(oracle_samples(e, 2, False, 3))
    expected = trajectory(e, 3, 0.1, batches)[-1]
    good = next(i for i, s in enumerate(batches[7]) if not s.dragger)
    batches[7][good] = Sample(False, 0.0, [0.0] * 3)
    assert np.abs(np.array(trajectory(e, 3, 0.1, batches)[-1]) - expected).max() > 1e-6


class Elsewhere:
    """The strict library with every new array on a device that NumPy cannot reach."""

    def __init__(self, strict):
        self.strict, self.device = strict, strict.Device("device1")

    def __getattr__(self, name):
        found = getattr(self.strict, name)
        if name in ("asarray", "arange", "zeros", "full", "ones", "linspace"):
            return lambda *args, **keys: found(*args, device=self.device, **keys)
        return found

    def home(self, x):
        return np.asarray(
            self.strict.asarray(x, device=self.strict.Device("CPU_DEVICE"))
        )


@pytest.mark.parametrize("name", EVERY)
def test_strict_arrays_on_another_device(name, experiment):
    """Only what the array API promises is used, nothing leaves the device unasked."""
    xp = Elsewhere(pytest.importorskip("array_api_strict"))
    pure = name == "domains"
    e = experiment(name, pure, {"rule": "adaptive"})
    expected = simulate(e, steps=4)
    found = simulate(e, steps=4, xp=xp)
    assert found.w.device == xp.device
    for part in ("w", "sums", "hit", "last"):
        one = xp.home(getattr(found, part))
        assert one == pytest.approx(getattr(expected, part), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("law", ["persistent", "additive", "opposing", "isotropic"])
def test_strict_arrays_with_schedules_hits_and_other_draggers(law, experiment):
    xp = Elsewhere(pytest.importorskip("array_api_strict"))
    direction = (
        {"direction": [1.0, 0.0, 0.0]} if law in ("persistent", "additive") else {}
    )
    dragger = {
        "law": law,
        "norm": 2.0,
        "active": {"gradient_norm": [0.5, 9.0]},
        **direction,
    }
    e = experiment(
        "linear_regression", algorithm={"rule": "normalized"}, dragger=dragger
    )
    e = e if law != "opposing" else experiment("logistic_regression", dragger=dragger)

    def sizes(xp):
        return lambda t, G: xp.where(
            G > 1, xp.full_like(G, 3.0), xp.ones_like(G)
        ).astype(int)

    expected = simulate(e, sizes(np), steps=12, radius=0.9)

    def other(t, G):
        return xp.astype(
            xp.where(G > 1, xp.full_like(G, 3.0), xp.ones_like(G)), xp.int64
        )

    found = simulate(e, other, steps=12, xp=xp, radius=0.9)
    for part in ("w", "sums", "hit", "last"):
        one = xp.home(getattr(found, part))
        assert one == pytest.approx(
            getattr(expected, part), rel=1e-11, abs=1e-12, nan_ok=True
        )


@pytest.mark.parametrize("name", EVERY)
def test_the_result_does_not_depend_on_the_cut(name, experiment, monkeypatch):
    """Calls, chunks and the replicates' company change nothing, to the bit."""
    e = experiment(name, algorithm={"rule": "adaptive"})
    whole = simulate(e, replicates=range(6))
    parts = simulate(e, replicates=range(6), parts=[(0, 1), (1, 11), (11, STEPS)])
    assert equal(whole, parts)
    alone = simulate(e, replicates=[4, 1])
    assert np.array_equal(alone.w, whole.w[[4, 1]])
    assert np.array_equal(alone.sums, whole.sums[[4, 1]])
    for chunk in (1, 2 * BATCH * whole.w.shape[1]):
        monkeypatch.setattr(engine, "CHUNK", chunk)
        assert equal(whole, simulate(e, replicates=range(6)))


@pytest.mark.parametrize("name", ["quadratic", "data", "two_layer"])
def test_schedules(name, experiment, monkeypatch):
    """Each replicate has the size its own gradient asks for, whoever is with it."""
    e = experiment(name, algorithm={"rule": "normalized"})
    problem, seen = build(e), set()
    middle = np.median(np.linalg.norm(problem.gradient(start(problem, 6)), axis=-1))

    def by_norm(t, G):
        return np.where(middle < G, 4, np.where(0.8 * middle < G, 1, 12))

    found = simulate(e, by_norm)
    for r in range(4):
        w = start(problem, 6)[[r]]
        for t in range(STEPS):
            b = int(by_norm(t, np.linalg.norm(problem.gradient(w), axis=-1))[0])
            seen.add(b)
            w = simulate(e, b, [r], w=w, parts=[(t, t + 1)]).w
        assert np.array_equal(found.w[r], w[0])
    assert len(seen) == 3
    monkeypatch.setattr(engine, "CHUNK", 1)
    assert equal(found, simulate(e, by_norm))
    early = simulate(e, lambda t, G: 1 if t < 10 else 4)
    late = simulate(e, 4, w=simulate(e, 1, steps=10).w, parts=[(10, STEPS)])
    assert np.array_equal(early.w, late.w)


def test_hits(experiment):
    """The first iteration within the radius; from then on a replicate rests."""
    e = experiment("quadratic", algorithm={"rule": "normalized"})
    radius = 0.8
    found = simulate(e, steps=60, radius=radius)
    problem = build(e)
    for r in range(4):
        w = start(problem, 6)[[r]]
        for t in range(60):
            if np.linalg.norm(problem.gradient(w)) <= radius:
                break
            w = simulate(e, 3, [r], w=w, parts=[(t, t + 1)]).w
        assert found.hit[r] == t
        assert np.array_equal(found.w[r], w[0])
    assert (found.hit > 0).all()
    w = np.zeros((1, 3))
    assert simulate(e, replicates=[0], w=w, radius=radius).hit[0] == 0
    assert simulate(e, steps=2, radius=0.0).hit.tolist() == [-1] * 4


@pytest.mark.parametrize("rule", Rule.names())
def test_the_last_step_is_described(rule, experiment):
    """Clipping norm, clean share, and cosine, from the step's own gradients."""
    e = experiment("quadratic", algorithm={"rule": rule, **THRESHOLD.get(rule, {})})
    problem = build(e)
    w = start(problem, 6)[:4]
    found = simulate(e, steps=1)
    at = Draws(KEY, range(4), 0)
    g, clean = problem.micro_batch_gradients(w, 3, BATCH, at, active=np.ones(4, bool))
    norms = np.linalg.norm(g, axis=-1)
    rho = {"sgd": [math.nan] * 4, "adaptive": norms.min(-1), "normalized": [1.0] * 4}
    assert found.last[:, 0] == pytest.approx(rho.get(rule, [0.6] * 4), nan_ok=True)
    assert np.array_equal(found.last[:, 1], clean.mean(-1))
    a, direction = problem.gradient(w), (w - found.w) / 0.1
    cosine = (
        (a * direction).sum(-1)
        / np.linalg.norm(a, axis=-1)
        / np.linalg.norm(direction, axis=1)
    )
    assert found.last[:, 2] == pytest.approx(cosine, rel=1e-9)


def test_cosine_of_nothing_is_zero(experiment):
    quiet = {"law": "gaussian", "scale": 0.0}
    e = experiment("quadratic", noise=quiet, dragger_fraction=0.0)
    assert simulate(e, w=np.zeros((4, 3))).last[:, 2].tolist() == [0.0] * 4


def test_nothing_is_recorded_unless_asked(experiment):
    e = experiment("quadratic")
    problem = build(e)
    found = state(start(problem, 4))
    engine.PerSample(
        problem, e.algorithm, Course(KEY, 0.1), sizes=3, replicates=range(4)
    ).advance(found, 0, 5, record=False)
    assert not found.sums.any()


def test_divergence_is_passed_on(experiment):
    e = experiment("quadratic")
    problem = build(e)
    found = state(start(problem, 4))
    run = engine.PerSample(
        problem, e.algorithm, Course(KEY, 1e3), sizes=3, replicates=range(4)
    )
    run.advance(found, 0, 200, record=True)
    assert not np.isfinite(found.w).any()
    assert not np.isfinite(found.sums).any()


def test_draggers_exist_while_they_are_active(experiment):
    push = {"law": "persistent", "norm": 4.0, "direction": [-1.0, 0.5, 0.0]}
    e = experiment("quadratic", dragger={**push, "active": {"iterations": [5, 9]}})
    before = simulate(e, steps=5)
    clean = experiment("quadratic", dragger_fraction=0.0)
    assert np.array_equal(before.w, simulate(clean, steps=5).w)
    during = simulate(e, w=before.w, parts=[(5, 9)])
    assert np.array_equal(
        during.w, simulate(experiment("quadratic"), w=before.w, parts=[(5, 9)]).w
    )
    assert not np.array_equal(during.w, simulate(clean, w=before.w, parts=[(5, 9)]).w)
    after = simulate(clean, w=during.w, parts=[(9, 12)])
    assert np.array_equal(simulate(e, steps=12).w, after.w)
    near = experiment(
        "quadratic", dragger={**push, "active": {"gradient_norm": [1e3, math.inf]}}
    )
    assert np.array_equal(simulate(near).w, simulate(clean).w)


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        ({}, 2**22, r"algorithm\.batch_size = .* must be at most"),
        (
            {"dimension": 2**21 + 1, "curvature": 1.0},
            1,
            r"model\.dimension = .* must be at most",
        ),
    ],
)
def test_a_step_that_takes_too_long_is_refused(experiment, model, size, message):
    dragger = {"dragger": {"law": "opposing", "norm": 1.0}}
    algorithm = {"batch_size": size, "micro_batch_sizes": [size]}
    e = experiment("quadratic", algorithm=algorithm, **dragger, **model)
    with pytest.raises(SpecificationError, match=message):
        engine.PerSample(
            build(e), e.algorithm, Course(KEY, 0.1), sizes=size, replicates=range(1)
        )
