"""The ready-made experiments: each can be read, says what it shows, and takes a step."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.model import Experiment, GradientModel
from sim import philox
from sim.engines.persample import PerSample
from sim.presets import presets
from sim.problems import build


@pytest.mark.parametrize("name", presets())
def test_presets(name):
    path = presets()[name]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert lines[1].startswith("# ")
    e = Experiment.load(path)
    assert Experiment.from_mapping(e.to_mapping()) == e
    if not isinstance(e.model, GradientModel):
        assert e.model.problem == name
    elif name != "sweet_spot":
        assert getattr(e.model, name) is not None
    problem = build(e)
    w = np.zeros((2, problem.dimension))
    w[:, slice(None) if isinstance(e.run.start, tuple) else 0] = e.run.start
    state = SimpleNamespace(
        w=w,
        sums=np.zeros((2, problem.dimension + 1)),
        hit=np.full(2, -1),
        last=np.zeros((2, 3)),
    )
    before = problem.loss(w)
    run = PerSample(problem, e.algorithm, e.run.steps[0], 8, philox.key(1, 8, 0.1), range(2))
    run.advance(state, 0, 40, record=True)
    assert np.isfinite(state.sums).all()
    if before.min() > problem.minimum + 0.5:
        assert (problem.loss(state.w) < before).all()
