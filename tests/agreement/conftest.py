"""Random models and what the simulator does with them.

Everything random follows from a model's number, the seed.
"""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.problems import build
from sim.random import philox
from sim.random.addresses import Draws

LAWS = ("persistent", "additive", "orthogonal", "opposing", "isotropic")
# of the clean chance: at that of the claim the pull below the point of rest is zero
FEWER = 0.97


def random_noise(rng, laws=("gaussian", "rare", "gamma"), gaussian=(0.3, 0.8)):
    """A noise law of total standard deviation between 1/2 and 2."""
    law, scale = str(rng.choice(laws)), float(np.exp(rng.uniform(-0.7, 0.7)))
    if law == "gaussian":
        return {"law": law, "scale": scale}
    if law == "student-t":
        return {"law": law, "scale": scale, "degrees": float(rng.uniform(3, 8))}
    part = rng.uniform(*gaussian)
    rest, sign = scale * math.sqrt(1 - part**2), int(rng.choice([-1, 1]))
    if law == "gamma":
        shape = float(np.exp(rng.uniform(-1.2, 1.4)))
        return {
            "law": law,
            "shape": shape,
            "scale": rest,
            "sign": sign,
            "gaussian": scale * part,
        }
    q = float(rng.uniform(0.02, 0.5))
    value = sign * rest * math.sqrt((1 - q) / q)
    return {"law": law, "probability": q, "value": value, "gaussian": scale * part}


def random_dragger(rng, laws, d):
    """A dragger law, its norm between 1 and 30, its direction at random.

    On a line opposing draggers leave two points of rest, between which the iterates
    jump.
    """
    law = str(
        rng.choice(
            [law for law in laws if d > 1 or law not in ("orthogonal", "opposing")]
        )
    )
    table = {"law": law, "norm": float(np.exp(rng.uniform(0, 3.4)))}
    if law in ("persistent", "additive", "orthogonal"):
        table["direction"] = rng.normal(size=d).tolist()
    return table


def random_sizes(rng, breakdown=0.6, least=4):
    """B, a divisor b with at least so many micro-batches, ε with λb up to a limit."""
    B = int(rng.choice([16, 32, 48, 64]))
    b = int(rng.choice([b for b in range(1, B // least + 1) if B % b == 0]))
    scaled = float(np.exp(rng.uniform(math.log(0.01), math.log(breakdown))))
    return B, b, -math.expm1(-scaled / b)


def experiment(model, rule, B, b, seed, step, threshold=None, **run):
    """An experiment of one size; `step` is the larger of two step sizes."""
    algorithm = {"rule": rule, "batch_size": B, "micro_batch_sizes": [b]}
    if threshold is not None:
        algorithm["threshold"] = threshold
    if "domains" in model:
        algorithm["domains"] = run.pop("domains", "mixed")
    run = {
        "steps": [step, step / 2],
        "iterations": 1500,
        "replicates": 64,
        "seed": seed,
    } | run
    return Experiment.from_mapping({"model": model, "algorithm": algorithm, "run": run})


def with_sizes(made, B, b):
    """The experiment with other sizes."""
    return replace(
        made, algorithm=replace(made.algorithm, batch_size=B, micro_batch_sizes=(b,))
    )


def straight_back(noise, B, b, fraction, rule="normalized", **run):
    """One dimension, draggers so long that dirty micro-batches point straight back."""
    dragger = {"law": "persistent", "norm": 1e4, "direction": [-1.0]}
    model = {
        "dimension": 1,
        "dragger_fraction": fraction,
        "noise": noise,
        "dragger": dragger,
    }
    return experiment(model, rule, B, b, run.pop("seed", 1), run.pop("step"), **run)


def two_points(sign, chance, scale):
    """Noise of deviation `scale`: of that sign and chance, else its balance."""
    value = sign * scale * math.sqrt((1 - chance) / chance)
    return {"law": "rare", "probability": chance, "value": value, "gaussian": 0.0}


def gradients(experiment, w, rows):
    """Simulated micro-batch gradients [rows, m, d] at w [d], and clean ones [rows, m].

    The rows are independent steps; samples are drawn one by one.
    """
    b, B, seed = (
        experiment.algorithm.sizes[0],
        experiment.algorithm.batch_size,
        experiment.run.seed,
    )
    draws = Draws(philox.key(seed, b, 1.0), range(rows), 0)
    where = np.broadcast_to(w, (rows, experiment.model.dimension))
    return build(experiment).micro_batch_gradients(
        where, b, B, draws, active=np.ones(rows, bool)
    )


def paths(experiment, step, horizon):
    """‖∇f‖ before the steps 0 … horizon - 1, by replicate [horizon, replicates]."""
    [b] = experiment.algorithm.sizes
    problem, state = build(experiment), start(experiment)
    found = np.empty((horizon, experiment.run.replicates))
    with Workers(1) as workers:
        machine = engine(experiment, b, step, workers=workers)
        for t in range(horizon):
            found[t] = np.linalg.norm(
                problem.gradient(np.asarray(state.w, np.float64)), axis=1
            )
            machine.advance(state, t, t + 1, False)
    return found


def random_model(rng, fraction, laws=LAWS, problems=True):
    """Quadratic or wavy loss or domains, noise near discrete or smooth, draggers."""
    d = int(rng.choice([1, 1, 2, 3, 8]))
    model = {
        "dimension": d,
        "curvature": np.exp(rng.uniform(-0.5, 0.5, size=d)).tolist(),
        "dragger_fraction": fraction,
        "dragger": random_dragger(rng, laws, d),
    }
    kind = (
        rng.choice(["quadratic"] * 8 + ["nonconvex", "domains"])
        if problems
        else "quadratic"
    )
    noises = ("gaussian", "rare", "rare", "gamma") + ("student-t",) * (
        rng.random() < 0.1
    )
    if kind == "domains":
        return model | {"domains": random_domains(rng, d)}
    if kind == "nonconvex" and model["dragger"]["law"] != "orthogonal":
        wave = {
            "amplitude": float(rng.uniform(0.1, 0.5)),
            "frequency": float(rng.uniform(1, 2)),
        }
        model |= {"problem": "nonconvex", "nonconvex": wave}
    return model | {"noise": random_noise(rng, noises, (0.1, 0.8))}


def random_domains(rng, d):
    """Two or three domains, their optima a few noise scales apart."""
    weights = rng.dirichlet([3.0] * int(rng.integers(2, 4)))
    weights[-1] = 1 - weights[:-1].sum()
    noise = [random_noise(rng, ("gaussian", "rare")) for _ in weights]
    optima = (rng.normal(size=(len(weights), d))).tolist()
    rows = zip(weights.tolist(), optima, noise, strict=True)
    return [{"weight": w, "optimum": x, "noise": n} for w, x, n in rows]


def resting(rule, model, B, b, seed, **run):
    """An experiment whose steps suit its rule and noise."""
    made = experiment(model, rule, B, b, seed, 0.1, **run)
    model, d, m = made.gradient_model, made.model.dimension, B // b
    group = b if run.get("domains") == "pure" else 1
    s = model.noise_scale(group) / math.sqrt(B if rule == "global" else b)
    # of an update, or so
    longest = {"normalized": 1.0, "adaptive": s * max(m ** (-1 / d), 0.3)}
    unit = (
        s
        / longest.get(rule, min(s, run.get("threshold") or s))
        / float(np.max(model.curvature))
    )
    longer = m ** (1 / d) * 0.3 if rule == "adaptive" else 1
    iterations = int(1500 * min(max(1.0, longer), 5.0))
    settings = {"steps": (0.1 * unit, 0.05 * unit), "iterations": iterations}
    return replace(made, run=replace(made.run, **settings))


def discrete(
    chance, B, b, fraction, sign=-1, rule="normalized", threshold=None, step=0.02
):
    """Two-point noise of deviation 1, draggers straight back; larger step by s.

    It starts a bit above the normalized rule's radius, from where the pull is strong.
    """
    noise = two_points(sign, chance, 1.0)
    start = 1.2 / math.sqrt(b * (2 * (1 - fraction) ** b - 1))
    run = {
        "step": step / math.sqrt(b),
        "iterations": 6000,
        "replicates": 32,
        "start": start,
    }
    return straight_back(noise, B, b, fraction, rule, threshold=threshold, **run)


def worst(sign, B, b, fraction, rule="normalized", threshold=None):
    """Law of rare_signal (sign -1) or rare_outlier (1): straight back in half of cases.

    For the normalized rule with a few more draggers: they do not move its point of
    rest, and without them the pull below it is zero.
    """
    clean = (1 - fraction) ** b
    half = 1 / (2 * clean)
    chance = (1 - half if sign < 0 else half) ** (1 / b)
    if rule == "normalized":
        return discrete(chance, B, b, 1 - (FEWER * clean) ** (1 / b), sign)
    return discrete(
        chance, B, b, fraction, sign, rule, threshold, step=0.1 * math.sqrt(b)
    )


def extrapolated(experiment):
    """Stationary mean of ∇f at zero step, from two [replicates, d], and at the larger.

    Replicates start at random within a step, so that lattices, on which the normalized
    rule walks where draggers and noise are discrete, average out.
    """
    run, [b] = experiment.run, experiment.algorithm.sizes
    half = run.iterations // 2
    rng = np.random.default_rng(run.seed)
    means = []
    with Workers(1) as workers:
        for step in run.steps:
            machine, state = (
                engine(experiment, b, step, workers=workers),
                start(experiment),
            )
            state.w += (step * rng.uniform(-1, 1, state.w.shape)).astype(state.w.dtype)
            machine.advance(state, 0, half, False)
            state.sums[:] = 0
            machine.advance(state, half, run.iterations, True)
            means.append(state.sums[:, :-2] / (run.iterations - half))
    assert run.steps[0] == 2 * run.steps[1]
    return 2 * means[1] - means[0], means[0]


@pytest.fixture(scope="session")
def lab():
    """What this file offers, by name."""
    offered = (
        *(random_noise, random_dragger, random_sizes, random_model, random_domains),
        *(experiment, resting, straight_back, two_points, discrete, worst),
        *(gradients, paths, extrapolated, with_sizes),
    )
    return SimpleNamespace(fewer=FEWER, laws=LAWS, **{f.__name__: f for f in offered})
