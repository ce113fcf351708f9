"""The engine against the oracle, against closed forms, and against itself cut up differently."""

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import sim.engines.mixture as engine
from analysis.model import RULES, Experiment
from sim.draws import Draws, Source
from sim.reference import Sample, trajectory
from sim.rules import rule

B, D, STEPS = 12, 3, 40


def experiment(rule_name="adaptive", noise="rare", dragger="persistent", **run):
    law = {"law": "rare", "probability": 0.3, "value": 2.0, "gaussian": 0.5}
    return Experiment.from_mapping(
        {
            "model": {
                "dimension": D,
                "curvature": [0.5, 1.0, 2.0],
                "dragger_fraction": 0.2,
                "noise": law if noise == "rare" else {"law": "gaussian", "scale": 0.7},
                "dragger": {"law": dragger, "norm": 4.0, "direction": [-1.0, 0.5, 0.0]},
            },
            "algorithm": {
                "rule": rule_name,
                "batch_size": B,
                "micro_batch_sizes": [1, 3, 12],
                **({"threshold": 0.6} if rule_name in ("fixed", "global") else {}),
            },
            "run": {"start": [1.0, -2.0, 0.5], **run},
        }
    )


def samples(model, rng):
    """Mini-batches for the oracle, and the same draws by micro-batch for the engine."""
    dragger = rng.random((STEPS, B)) < model.dragger_fraction
    rare = rng.random((STEPS, B)) < model.noise.probability
    normal = rng.normal(size=(STEPS, B, D))
    batches = [
        [Sample(bool(dragger[t, i]), float(rare[t, i]), normal[t, i]) for i in range(B)]
        for t in range(STEPS)
    ]
    return batches, dragger, rare, normal


def reduced(b, dragger, rare, normal):
    """Counts and one standard normal vector per micro-batch, from those of its samples."""
    shape = (1, STEPS, B // b, b)
    clean = ~dragger.reshape(shape)
    count = clean.sum(-1)
    total = (normal.reshape(*shape, D) * clean[..., None]).sum(-2)
    scaled = total / np.sqrt(np.maximum(count, 1))[..., None]
    return Draws(b - count, (rare.reshape(shape) & clean).sum(-1), scaled)


def run_engine(e, b, step, draws):
    direction = rule(e.algorithm.rule, e.algorithm.aggregate, e.algorithm.threshold)
    factor, xi = engine.noise(e.model, b, draws)
    w = np.array([e.run.start])
    iterates = [w[0]]
    for t in range(STEPS):
        w = engine.advance(w, e.model.hessian(w), step, direction, factor[:, t], xi[:, t])
        iterates.append(w[0])
    return np.array(iterates)


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
@pytest.mark.parametrize("dragger", ["persistent", "additive"])
@pytest.mark.parametrize("noise", ["rare", "gaussian"])
@pytest.mark.parametrize("rule_name", RULES)
def test_trajectories_equal_the_oracle(rule_name, noise, dragger, aggregate):
    """The exact reduction is algebra: fed with the same samples, both agree to 1e-12."""
    e = experiment(rule_name, noise, dragger)
    e = replace(e, algorithm=replace(e.algorithm, aggregate=aggregate))
    batches, *draws = samples(e.model, np.random.default_rng(5))
    for b in e.algorithm.micro_batch_sizes:
        step = 0.1 if aggregate == "mean" else 0.1 * b / B
        expected = np.array(trajectory(e, b, step, batches))
        found = run_engine(e, b, step, reduced(b, *draws))
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_oracle_comparison_has_power():
    """A micro-batch that forgets one sample's noise is seen."""
    e = experiment()
    batches, dragger, rare, normal = samples(e.model, np.random.default_rng(5))
    expected = np.array(trajectory(e, 3, 0.1, batches))
    normal = normal.copy()
    normal[7, np.flatnonzero(~dragger[7])[0]] = 0
    assert np.abs(run_engine(e, 3, 0.1, reduced(3, dragger, rare, normal)) - expected).max() > 1e-9


def test_adaptive_with_one_micro_batch_is_sgd():
    batches, *_ = samples(experiment().model, np.random.default_rng(5))
    adaptive = trajectory(experiment("adaptive"), B, 0.1, batches)
    assert adaptive == trajectory(experiment("sgd"), B, 0.1, batches)
    run = {"iterations": 200, "replicates": 4}
    one = engine.simulate(experiment("adaptive", **run), B, 0.1, range(4))
    other = engine.simulate(experiment("sgd", **run), B, 0.1, range(4))
    assert one == pytest.approx(other, rel=1e-12)


def test_the_result_does_not_depend_on_the_cut(monkeypatch):
    """Blocks of steps, chunks of replicates and the order of sizes change nothing, to the bit."""
    e = experiment(iterations=120, replicates=6)
    whole = engine.simulate(e, 3, 0.1, range(6))
    monkeypatch.setattr(engine, "BLOCK", 1)
    parts = [engine.simulate(e, 3, 0.1, range(i, i + 2)) for i in (4, 0, 2)]
    assert np.array_equal(whole, np.concatenate([parts[1], parts[2], parts[0]]))


def test_streams_differ_by_seed_size_step_and_replicate():
    model = experiment().model
    base = {"b": 4, "m": 3, "seed": 1, "step": 0.1, "replicates": range(1)}
    variants = [{}, {"b": 3}, {"seed": 2}, {"step": 0.2}, {"replicates": range(1, 2)}]
    drawn = [Source(model, **(base | v)).draw(1).normal.ravel()[0] for v in variants]
    assert len(set(drawn)) == len(variants)


def test_draws_have_the_right_law():
    """Means of the counts and of their product, |z| < 6 for 5 numbers: false alarms 1e-8."""
    model = experiment().model
    draws = Source(model, 6, 4, 1, 0.1, range(2)).draw(20_000)
    k, r = draws.draggers.ravel(), draws.draw.ravel()
    eps, q, n = model.dragger_fraction, model.noise.probability, k.size
    assert abs(k.mean() - 6 * eps) < 6 * k.std() / math.sqrt(n)
    assert abs(r.mean() - 6 * (1 - eps) * q) < 6 * r.std() / math.sqrt(n)
    product = (k - 6 * eps) * r
    expected = -q * 6 * eps * (1 - eps)
    assert abs(product.mean() - expected) < 6 * product.std() / math.sqrt(n)
    assert abs(product.mean()) > 6 * product.std() / math.sqrt(n)  # independence would be seen
    assert abs(draws.normal.mean()) < 6 / math.sqrt(draws.normal.size)
    assert abs((draws.normal**2).mean() - 1) < 6 * math.sqrt(2 / draws.normal.size)


@pytest.mark.parametrize("dragger", ["persistent", "additive"])
def test_sgd_closed_form(dragger):
    """The stationary mean of Λw is -ε D v/(1-ε) or -ε D v, at every step size; |z| < 6."""
    e = experiment("sgd", dragger=dragger, iterations=2000, replicates=40)
    for step in (0.2, 0.1):
        means = engine.simulate(e, 3, step, range(40)).mean(1)
        push = 4.0 * np.array(e.model.dragger.direction)
        expected = -0.2 * push / (0.8 if dragger == "persistent" else 1.0)
        error = means.std(0, ddof=1) / math.sqrt(40)
        assert np.abs((means.mean(0) - expected) / error).max() < 6
        assert np.abs((means.mean(0) - 1.05 * expected) / error).max() > 6  # 5 % off is seen


def test_divergence_is_reported_not_hidden():
    e = experiment("sgd", iterations=5000, replicates=2)
    assert not np.isfinite(engine.simulate(e, 3, 5.0, range(2))).all(-1).any()


def test_memory_does_not_grow_with_iterations(monkeypatch):
    monkeypatch.setattr(engine, "BLOCK", 2**14)

    peaks = []
    for iterations in (500, 5_000):
        e = experiment(iterations=iterations, replicates=32)
        engine.simulate(e, 12, 0.1, range(1))
        tracemalloc.start()
        engine.simulate(e, 12, 0.1, range(32))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
