"""The templates of CONTRIBUTING.md are code that works; the files it names exist."""

import importlib
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import sim.reference
import sim.rules
from analysis.claims import CLAIMS
from analysis.proof.steps import StepError
from analysis.spec.experiment import Experiment
from sim.presets import presets
from sim.problems.problem import Problem, weighted_sums
from sim.random.addresses import Draws
from sim.random.philox import FEATURES, key
from sim.sweep.measure import simulate

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def template(heading, number=0, **names):
    """What the block of code below a heading defines; `names` are known to it."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    code = re.findall(r"```python\n(.*?)```", section, flags=re.S)[number]
    assert len(code.splitlines()) <= 60
    exec(code, names)
    return names


def test_the_claim_follows():
    claim = template("Add a claim")["claim"]
    assert claim.verify(CLAIMS) == 3
    assert claim.evaluate(noise_scale=6, micro_batch_size=9)["micro_batch_noise"] == 2
    half = replace(claim.statement, rhs=claim.statement.rhs / 2)
    with pytest.raises(StepError):
        replace(claim, statement=half).verify(CLAIMS)


def test_the_figure_is_drawn():
    pytest.importorskip("matplotlib")
    profiles = importlib.import_module("figures.kit.profiles")
    figure = template("Add a figure", __name__="line")["figure"]
    quick = profiles.Profile.QUICK
    (experiment,) = figure.experiments(quick)
    short = replace(experiment, run=replace(experiment.run, iterations=800))
    data = figure.data(quick, {experiment.name: simulate(short, None, 1, False)})
    assert [check.passed for check in figure.check(data)] == [True]
    for point in data["simulation"]:
        point["z"] += 50
    assert [check.passed for check in figure.check(data)] == [False]
    assert figure.draw(data).axes


def test_the_problem_has_the_gradient_of_its_loss():
    known = {"Problem": Problem, "weighted_sums": weighted_sums, "FEATURES": FEATURES}
    known |= {"ClassVar": ClassVar, "math": math}
    model = Experiment.load(presets()["sweet_spot"]).gradient_model
    problem = template("Add a learning problem", **known)["MeanEstimation"](model)
    w = np.array([[0.3, -2.0]])
    for e in np.eye(2):
        slope = (problem.loss(w + 1e-6 * e) - problem.loss(w - 1e-6 * e)) / 2e-6
        assert slope == pytest.approx(problem.gradient(w) @ e, rel=1e-8)
    draws = Draws(key(1, 2, 0.1), range(1), 0, np, np.float64)
    sums = problem.sample_sums(w, np.zeros((1, 1, 10**5), bool), draws)
    z = (sums[0, 0] / 10**5 - w[0]) / (0.5 / math.sqrt(10**5))
    assert np.abs(z).max() < 6  # false alarm: 4e-9
    none = problem.sample_sums(w, np.ones((1, 1, 8), bool), draws)
    assert (none == 0).all()


def test_the_rule_is_its_oracle():
    rule = template("Add an update rule", **vars(sim.rules))["smooth"]
    oracle = template("Add an update rule", 1, **vars(sim.reference))["smooth"]
    g = np.random.default_rng(1).normal(size=(5, 3))
    g[2] = 0  # a micro-batch without a gradient
    expected = sim.reference.mean(oracle(g.tolist(), None))
    assert rule(g) == pytest.approx(expected, rel=1e-13)
    assert np.abs(rule(g) - g.mean(0)).max() > 0.01


def test_the_files_that_are_named_exist():
    for path in re.findall(
        r"`((?:analysis|sim|figures|tests|paper_notes)/[\w./]+)`", PAGE
    ):
        assert "NAME" in path or (ROOT / path).exists(), path
