"""Guarantees over a run of T steps, against runs of the simulator from a random start.

Quadratic and wavy losses with known L, Δ and f*. The instances that come close have no
noise: a line, m = 1 and draggers straight back, so that every step is as long as the
bound allows.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.claims import CLAIMS
from sim.problems import build
from sim.sweep.measure import measure

SILENT = {"law": "gaussian", "scale": 0.0}
LITTLE = 1e-3  # the noise scale at which the bound of a run without noise is evaluated


def full(count):
    return pytest.param(count, marks=pytest.mark.soak)


def start_of(made):
    """L and Δ of an experiment's problem at its start."""
    problem = build(made)
    w = np.zeros((1, made.model.dimension))
    w[0] = made.run.start
    gap = float(problem.loss(w)[0] - problem.minimum)
    return {"smoothness": problem.smoothness, "initial_gap": gap}


def random_run(lab, rng, rule, laws, replicates=64):
    """An experiment started some noise scales away, and the guarantees' inputs."""
    B, b, fraction = lab.random_sizes(rng, least=1)
    model = lab.random_model(rng, fraction, laws)
    while "domains" in model or model.get("noise", {}).get("law") in (
        "student-t",
        "gamma",
    ):
        model = lab.random_model(rng, fraction, laws)
    d = model["dimension"]
    w = (rng.normal(size=d) * np.exp(rng.uniform(-1, 2))).tolist()
    seed = int(rng.integers(2**40))
    made = lab.experiment(model, rule, B, b, seed, 0.1, start=w, replicates=replicates)
    given = {"dragger_fraction": fraction, "noise_scale": made.model.noise_scale()}
    return made, given | start_of(made)


def silent_run(lab, fraction, start, replicates=512):
    """No noise, one sample a step, draggers straight back: every step has length γ."""
    dragger = {"law": "opposing", "norm": 1.0}
    model = {
        "dimension": 1,
        "dragger_fraction": fraction,
        "noise": SILENT,
        "dragger": dragger,
    }
    run = {"start": start, "replicates": replicates, "precision": "float64"}
    made = lab.experiment(model, "normalized", 1, 1, 1, 0.1, **run)
    given = {"dragger_fraction": fraction, "noise_scale": LITTLE, "alignment": 1}
    return made, given | start_of(made) | {"micro_batch_size": 1}


@pytest.mark.parametrize("count", [2, full(100)])
def test_averaged_guarantee(count, family, lab):
    """The mean of ‖∇f‖ over the run and over replicates."""
    found = family("averaged_guarantee", "0.9")
    for seed in range(count):
        rng = np.random.default_rng([40, seed])
        made, given = random_run(lab, rng, "normalized", lab.laws)
        T = int(np.exp(rng.uniform(3, 7)))
        given |= {"alignment": 1, "micro_batch_size": made.algorithm.sizes[0]}
        bound = CLAIMS["averaged_guarantee"].evaluate(horizon=T, **given)
        mean = lab.paths(made, float(bound["step_size"]), T).mean(0)
        found.mean(seed, mean, bound["averaged_bound"])
    for fraction in (0.0, 0.1):
        made, given = silent_run(lab, fraction, 1.0)
        bound = CLAIMS["averaged_guarantee"].evaluate(horizon=1000, **given)
        mean = lab.paths(made, float(bound["step_size"]), 1000).mean(0)
        theory = bound["averaged_bound"]
        found.mean(f"no noise, ε = {fraction}", mean, theory, 0.9 * theory)
    found.judge()


@pytest.mark.parametrize("count", [2, full(60)])
def test_high_probability(count, family, lab):
    """At most a share q of the runs is above the bound.

    Above the averaged bound there are more.
    """
    found = family("high_probability", "the mean's")

    def excess(mean, bound, q):
        """How surprising the number of runs above the bound is, as a normal score."""
        chance = stats.binom.sf((mean > bound).sum() - 1, len(mean), q)
        return -stats.norm.ppf(min(chance, 1 - 1e-9))

    for seed in range(count):
        rng = np.random.default_rng([41, seed])
        made, given = random_run(lab, rng, "normalized", lab.laws, 256)
        T, q = int(np.exp(rng.uniform(3, 6))), float(np.exp(rng.uniform(-4, -1)))
        given |= {"alignment": 1, "micro_batch_size": made.algorithm.sizes[0]}
        bound, step = probable(given, made.algorithm.batch_size, T, q)
        mean = lab.paths(made, step, T).mean(0)
        found.add(seed, excess(mean, bound, q), 1e6, np.quantile(mean, 1 - q) / bound)
    made, given = silent_run(lab, 0.1, 1.0, 1024)
    bound, step = probable(given, 1, 100, 0.05)
    mean = lab.paths(made, step, 100).mean(0)
    average = CLAIMS["averaged_guarantee"].evaluate(horizon=100, **given)[
        "averaged_bound"
    ]
    z = excess(mean, average, 0.05)
    found.add(
        "no noise", excess(mean, bound, 0.05), 1e6, np.quantile(mean, 0.95) / bound, z
    )
    found.judge()


def probable(given, B, T, q):
    """The bound at the best split, and the step size."""
    given = given | {"batch_size": B, "horizon": T, "failure_probability": q}
    evaluate = CLAIMS["high_probability"].evaluate
    split = float(evaluate(split=0.5, **given)["best_split"])
    values = evaluate(split=split, **given)
    return float(values["probable_bound"]), float(values["step_size"])


@pytest.mark.parametrize("count", [2, full(100)])
def test_hitting_time(count, family, lab):
    """The mean time until ‖∇f‖ ≤ β + δ; a run is cut at a hundred times the bound."""
    found = family("hitting_time", "0.9")
    for seed in range(count):
        rng = np.random.default_rng([42, seed])
        made, given = random_run(lab, rng, "normalized", lab.laws)
        b = made.algorithm.sizes[0]
        excess = (
            given["noise_scale"] / math.sqrt(b) * float(np.exp(rng.uniform(-0.5, 1)))
        )
        given |= {"alignment": 1, "micro_batch_size": b, "excess": excess}
        compare_times(found, seed, made, given)
    for fraction in (0.0, 0.02):
        made, given = silent_run(lab, fraction, 1.0 + 3 * LITTLE, 4096)
        compare_times(
            found, f"no noise, ε = {fraction}", made, given | {"excess": 1.0}, 0.9
        )
    found.judge()


def compare_times(found, label, made, given, factor=None):
    """The mean time against the bound; nothing if the run starts inside the target."""
    bound = CLAIMS["hitting_time"].evaluate(**given)
    theory, target = float(bound["hitting_time"]), float(bound["target"])
    if np.linalg.norm(build(made).gradient(np.array([made.run.start]))) <= target:
        return
    settings = {
        "measure": "hitting",
        "steps": (float(bound["step_size"]),),
        "radius": target,
    }
    run = replace(
        made.run, burn_in=None, iterations=math.ceil(100 * theory), **settings
    )
    [times] = measure(replace(made, run=run), None, 1, False).values()
    # Markov's inequality promises 0.99 on average
    assert times.reached[0] > 0.9 * run.replicates

    def score(theory):
        return (times.mean[0] - theory) / max(times.standard_error[0], 1e-9)

    spoilt = factor and score(factor * theory)
    found.add(label, score(theory), run.replicates - 1, times.mean[0] / theory, spoilt)


@pytest.mark.parametrize("count", [2, full(100)])
def test_sgd_rate(count, family, lab):
    """The mean of ‖∇f‖² with draggers of mean zero.

    One long step without noise attains the bound.
    """
    found = family("sgd_rate", "0.9")
    for seed in range(count):
        rng = np.random.default_rng([43, seed])
        made, given = random_run(lab, rng, "sgd", ("isotropic",))
        norm = made.model.dragger.norm
        given |= {"batch_size": made.algorithm.batch_size, "dragger_norm": norm}
        T = int(np.exp(rng.uniform(3, 7)))
        bound = CLAIMS["sgd_rate"].evaluate(horizon=T, **given)
        square = (lab.paths(made, float(bound["learning_rate"]), T) ** 2).mean(0)
        found.mean(seed, square, bound["squared_bound"])
    noise = {"law": "gaussian", "scale": LITTLE}
    dragger = {"law": "isotropic", "norm": 0.0}
    model = {
        "dimension": 1,
        "dragger_fraction": 0.0,
        "noise": noise,
        "dragger": dragger,
    }
    made = lab.experiment(model, "sgd", 8, 8, 1, 0.1, start=1.0)
    given = start_of(made) | {
        "batch_size": 8,
        "dragger_norm": 0.0,
        "dragger_fraction": 0.0,
    }
    bound = CLAIMS["sgd_rate"].evaluate(noise_scale=LITTLE, horizon=20, **given)
    square = (lab.paths(made, float(bound["learning_rate"]), 20) ** 2).mean(0)
    found.mean(
        "little noise", square, bound["squared_bound"], 0.9 * bound["squared_bound"]
    )
    found.judge()


@pytest.mark.parametrize("count", [2, full(100)])
def test_sgd_persistent_bias(count, family, lab):
    """The mean of ‖∇f‖² at any step size up to 1/L.

    Many draggers straight back attain the bound.
    """
    found = family("sgd_persistent_bias", "0.95")
    for seed in range(count):
        rng = np.random.default_rng([44, seed])
        made, given = random_run(
            lab, rng, "sgd", ("persistent", "opposing", "isotropic")
        )
        dragger, step = (
            made.model.dragger,
            float(rng.uniform(0.05, 1)) / given["smoothness"],
        )
        mean = 0.0 if dragger.law == "isotropic" else dragger.norm
        given |= {"dragger_norm": dragger.norm, "dragger_mean": mean, "alignment": 1}
        given |= {
            "batch_size": made.algorithm.batch_size,
            "horizon": int(np.exp(rng.uniform(3, 7))),
        }
        compare_squares(lab, found, seed, made, step, given)
    dragger = {"law": "persistent", "norm": 10.0, "direction": [-1.0]}
    noise = {"law": "gaussian", "scale": 0.1}
    model = {
        "dimension": 1,
        "dragger_fraction": 0.2,
        "noise": noise,
        "dragger": dragger,
    }
    made = lab.experiment(model, "sgd", 4096, 4096, 1, 0.1, start=2.5)
    given = {
        "dragger_fraction": 0.2,
        "noise_scale": 0.1,
        "alignment": 1,
        "batch_size": 4096,
    }
    given |= start_of(made) | {
        "dragger_norm": 10.0,
        "dragger_mean": 10.0,
        "horizon": 500,
    }
    compare_squares(lab, found, "attained", made, 0.5, given, 0.95)
    found.judge()


def compare_squares(lab, found, label, made, step, given, factor=None):
    """The mean square of ‖∇f‖ against the square of the bound."""
    bound = CLAIMS["sgd_persistent_bias"].evaluate(learning_rate=step, **given)[
        "gradient_bound"
    ]
    square = (lab.paths(made, step, given["horizon"]) ** 2).mean(0)
    found.mean(label, square, bound**2, factor and (factor * bound) ** 2)


@pytest.mark.parametrize("count", [2, full(60)])
def test_finite_horizon(count, family, lab):
    """At the best size the guarantee holds.

    With λb = 0.66 a run without noise exceeds it.
    """
    found = family("finite_horizon", "λb = 0.66")
    for seed in range(count):
        rng = np.random.default_rng([45, seed])
        made, given = random_run(lab, rng, "normalized", lab.laws)
        T = int(np.exp(rng.uniform(3, 6)))
        best = CLAIMS["finite_horizon"].evaluate(alignment=1, horizon=T, **given)
        b = max(1, round(float(best["micro_batch_size"])))
        given |= {"alignment": 1, "micro_batch_size": b, "horizon": T}
        bound = CLAIMS["averaged_guarantee"].evaluate(**given)
        assert bound["averaged_bound"] >= best["averaged_bound"]
        made = lab.with_sizes(made, 4 * b, b)
        mean = lab.paths(made, float(bound["step_size"]), T).mean(0)
        found.mean(seed, mean, bound["averaged_bound"])
    made, given = silent_run(lab, 1 - math.exp(-0.66), 1.0)
    small = {"dragger_fraction": 1 - math.exp(-0.66 / 60), "noise_scale": 1.0}
    step = CLAIMS["averaged_guarantee"].evaluate(horizon=1000, **given)["step_size"]
    best = CLAIMS["finite_horizon"].evaluate(
        alignment=1, horizon=1000, **start_of(made), **small
    )
    mean = lab.paths(made, float(step), 1000).mean(0)
    gap = mean - best["averaged_bound"]
    found.against(gap.mean() / gap.std(ddof=1) * math.sqrt(len(gap)), len(gap) - 1)
    found.judge()
