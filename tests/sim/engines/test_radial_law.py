"""Both engines have the same distribution: twelve models, at four times each.

Of every replicate ‖∇f‖, f, the clipping norm and the cosine are compared, and their
squared deviations, so that means and spreads count. The differences of the two engines'
means are weighed by the inverse of their whole covariance (Hotelling's T²), so that a
sum over all models is one χ² statistic however the numbers are correlated. The
probability of a false alarm is 1e-9 for each test, but for the statistic's own
approximation by χ² at a thousand replicates, on the safe side.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.course import Course
from sim.engines.cpu.engine import Mixture
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.problems import landscape
from sim.random import philox
from sim.reduction.radial import chosen, radial_plan

STEP = 0.15
TIMES = (1, 4, 12, 40)
ALARM = 1e-9
NEGLIGIBLE = 1e-4  # of a correlation matrix's eigenvalues: one number tells another
NORMAL = {"law": "gaussian", "scale": 1.0}
RARE = {"law": "rare", "probability": 0.2, "value": 2.0, "gaussian": 0.8}
GAMMA = {"law": "gamma", "shape": 0.7, "scale": 1.0, "sign": -1, "gaussian": 0.9}


def experiment(
    d=24, noise=NORMAL, dragger="persistent", rule="adaptive", b=8, B=64, **options
):
    """An experiment far from its symmetries: no vector has a zero or equal entries."""
    rng = np.random.default_rng(d)
    table = {"law": dragger, "norm": 4.0}
    if dragger in ("persistent", "additive", "orthogonal"):
        table["direction"] = rng.normal(size=d).tolist()
    if "active" in options:
        table["active"] = options.pop("active")
    model = {"dimension": d, "dragger_fraction": 0.05, "dragger": table}
    model["curvature"] = options.pop("curvature", 1.0)
    algorithm = {"rule": rule, "batch_size": B, **options}
    if noise is None:
        optima = (rng.normal(size=(2, d)) / np.sqrt(d)).tolist()
        model["domains"] = [
            {"weight": 0.7, "optimum": optima[0], "noise": RARE},
            {"weight": 0.3, "optimum": optima[1], "noise": NORMAL},
        ]
    else:
        model["noise"] = noise
    if "schedule" not in options:
        algorithm["micro_batch_sizes"] = [b]
    if rule in ("fixed", "global"):
        algorithm["threshold"] = 0.4
    begin = (1.5 * rng.normal(size=d) / np.sqrt(d)).tolist()
    run = {"measure": "trajectory", "steps": [STEP], "start": begin, "iterations": 40}
    return Experiment.from_mapping(
        {"model": model, "algorithm": algorithm, "run": run | {"seed": d}}
    )


TWO = [0.5] * 22 + [1.5] * 18
SCHEDULE = {"gradient_norm": [[0.8, 1], [0.4, 5], [0.0, 16]]}
MODELS = {
    "persistent": experiment(),
    "rare, two eigenvalues": experiment(40, RARE, curvature=TWO, rule="normalized"),
    "mixed domains": experiment(36, None, domains="mixed", b=7),
    "additive": experiment(30, dragger="additive", b=1),
    "opposing": experiment(25, dragger="opposing", rule="fixed"),
    "isotropic": experiment(28, dragger="isotropic", rule="global"),
    "orthogonal": experiment(40, dragger="orthogonal", curvature=TWO),
    "gamma": experiment(26, GAMMA, rule="fixed", b=3),
    "pure domains": experiment(40, None, domains="pure", curvature=TWO),
    "sgd": experiment(20, RARE, rule="sgd", b=8),
    "sum": experiment(31, rule="normalized", b=16, aggregate="sum"),
    "schedule": experiment(27, schedule=SCHEDULE),
    "active": experiment(29, active={"gradient_norm": [0.3, 1.0]}),
}
QUICK = tuple(MODELS)[:3]


def watched(e, machine, state):
    """What is compared of every replicate [R, numbers]."""
    loss = landscape(e)
    found = []
    reached = 0
    for time in TIMES:
        machine.advance(state, reached, time, False)
        reached = time
        w = state.w.astype(np.float64)
        norm = np.linalg.norm(loss.gradient(w), axis=1)
        found += [norm, loss.loss(w), state.last[:, 0], state.last[:, 2]]
    values = np.array([x for x in found if np.isfinite(x).all()]).T
    return np.hstack([values, (values - values.mean(0)) ** 2])


def samples(e, replicates, wrong=0.0):
    """Those of the full engine, and of the radial one without `wrong` dimensions."""
    b = e.algorithm.variants[0]
    found = []
    for seed, name in enumerate(("full", "radial")):
        run = replace(e.run, engine=name, seed=seed + 2, replicates=replicates)
        here = replace(e, run=run)
        with Workers(1) as workers:
            machine = engine(here, b, STEP, workers=workers)
            if name == "radial" and wrong:
                plan = radial_plan(here, b, chosen(here))
                plan = replace(plan, orthogonal=plan.orthogonal - wrong)
                course = Course(philox.key(run.seed, b or 0, STEP), STEP)
                machine = Mixture(
                    plan, course, precision=run.precision, workers=workers
                )
            found.append(watched(here, machine, start(here)))
    return found


def statistic(first, second):
    """T² of two samples [R, numbers] and its degrees of freedom."""
    whole = np.vstack([first - first.mean(0), second - second.mean(0)])
    scale = whole.std(0)
    kept = scale > 1e-9 * np.abs(first).max()
    correlation = np.corrcoef(whole[:, kept].T)
    z = (first.mean(0) - second.mean(0))[kept] / scale[kept] / np.sqrt(2 / len(first))
    values, vectors = np.linalg.eigh(correlation)
    known = values > NEGLIGIBLE
    part = (z @ vectors)[known]
    return float((part**2 / values[known]).sum()), int(known.sum())


def probability(names, replicates, wrong=0.0):
    """Of a larger sum of the models' statistics, if the distributions are the same."""
    found = [statistic(*samples(MODELS[name], replicates, wrong)) for name in names]
    total, degrees = np.sum(found, axis=0)
    return float(stats.chi2.sf(total, degrees)), total / degrees


def test_both_engines_have_the_same_distribution():
    assert probability(QUICK, 1000)[0] > ALARM
    assert probability(QUICK, 1000, wrong=3.0)[0] < ALARM


@pytest.mark.soak
@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_the_same_distribution(name, record_property):
    found, square = probability([name], 20_000)
    label = f"radial engine, {name}: mean square of the scores"
    record_property("soak", {"what": label, "count": f"{square:.2f}"})
    assert found > ALARM
    assert probability([name], 20_000, wrong=3.0)[0] < ALARM
