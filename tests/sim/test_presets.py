"""The ready-made experiments: each is readable, says what it shows, takes a step."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.presets import presets
from sim.problems import build, landscape

PROBLEMS = (
    "domains",
    "nonconvex",
    "linear_regression",
    "logistic_regression",
    "two_layer",
)


def test_every_problem_has_a_preset():
    for name in PROBLEMS:
        assert (
            build(Experiment.load(presets()[name])).__module__ == f"sim.problems.{name}"
        )


@pytest.mark.parametrize("name", presets())
def test_presets(name):
    text = presets()[name].read_text(encoding="utf-8")
    assert text.startswith("# ")
    e = Experiment.load(presets()[name])
    assert Experiment.from_mapping(e.to_mapping()) == e
    e = replace(e, run=replace(e.run, replicates=2))
    state, loss = start(e), landscape(e).loss
    before = loss(state.w.astype(np.float64))
    with Workers(2) as workers:
        engine(e, e.algorithm.sizes[-1], e.run.steps[0], workers=workers).advance(
            state, 0, 40, True
        )
    assert np.isfinite(state.sums).all()
    assert (state.sums[:, -1] > 0).all()
    if before.min() > build(e).minimum + 0.5:
        assert (loss(state.w.astype(np.float64)) < before).all()
