"""Gamma noise, isotropic and orthogonal draggers in the engine; what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sim.draws import Draws, Source

import sim.engines.mixture as engine
from analysis.fields import SpecificationError
from analysis.laws import Domain
from analysis.model import Experiment
from sim import run
from sim.reference import Sample, dragger_gradient, trajectory
from sim.rules import rule

B, D, STEPS = 12, 3, 40
GAMMA = {"law": "gamma", "shape": 0.7, "scale": 1.5, "sign": -1, "gaussian": 0.5}
NORMAL = {"law": "gaussian", "scale": 0.7}
V = [-1.0, 0.5, 0.0]
DRAGGERS = {
    "persistent": {"law": "persistent", "norm": 4.0, "direction": V},
    "orthogonal": {"law": "orthogonal", "norm": 4.0, "direction": V},
    "isotropic": {"law": "isotropic", "norm": 4.0},
    "opposing": {"law": "opposing", "norm": 4.0},
}


def experiment(noise, dragger, rule_name="adaptive", **run):
    return Experiment.from_mapping(
        {
            "model": {
                "dimension": D,
                "curvature": [0.5, 1.0, 2.0],
                "dragger_fraction": 0.2,
                "noise": noise,
                "dragger": DRAGGERS[dragger],
            },
            "algorithm": {"rule": rule_name, "batch_size": B, "micro_batch_sizes": [1, 3, 12]},
            "run": {"start": [1.0, -2.0, 0.5], **run},
        }
    )


def samples(model, b, rng):
    """Mini-batches for the oracle, and the same draws by micro-batch for the engine."""
    dragger = rng.random((STEPS, B)) < model.dragger_fraction
    normal = rng.normal(size=(STEPS, B, D))
    gamma = rng.gamma(getattr(model.noise, "shape", 1.0), size=(STEPS, B))
    batches = [
        [Sample(bool(dragger[t, i]), gamma[t, i], normal[t, i]) for i in range(B)]
        for t in range(STEPS)
    ]
    spread = model.dragger.norm if model.dragger.law == "isotropic" else 0.0
    size = np.where(dragger, spread, model.noise.gaussian).reshape(1, STEPS, B // b, b)
    total = (normal.reshape(*size.shape, D) * size[..., None]).sum(-2)
    length = np.sqrt((size**2).sum(-1))
    clean = ~dragger.reshape(size.shape)
    draw = (gamma.reshape(size.shape) * clean).sum(-1)
    standard = total / np.where(length > 0, length, 1.0)[..., None]
    return batches, Draws(b - clean.sum(-1), draw, standard)


def difference(e, b, seed=5, forget=False):
    """Largest distance between the engine's iterates and the oracle's."""
    batches, draws = samples(e.model, b, np.random.default_rng(seed))
    expected = np.array(trajectory(e, b, 0.1, batches))
    if forget:
        draws.draw[0, 7] += 0.01
        draws.normal[0, 7] += 0.01
    direction = rule(e.algorithm.rule, e.algorithm.aggregate, e.algorithm.threshold)
    factor, xi = engine.noise(e.model, b, draws)
    w = np.array([e.run.start])
    iterates = [w[0]]
    for t in range(STEPS):
        w = engine.advance(w, e.model.hessian(w), 0.1, direction, factor[:, t], xi[:, t])
        iterates.append(w[0])
    return np.abs(np.array(iterates) - expected).max()


@pytest.mark.parametrize("rule_name", ["adaptive", "normalized", "sgd"])
@pytest.mark.parametrize("noise", [GAMMA, NORMAL])
@pytest.mark.parametrize("dragger", ["persistent", "orthogonal", "isotropic"])
def test_trajectories_equal_the_oracle(noise, dragger, rule_name):
    """The exact reduction is algebra: fed with the same samples, both agree to 1e-12."""
    e = experiment(noise, dragger, rule_name)
    for b in e.algorithm.micro_batch_sizes:
        assert difference(e, b) < 1e-12
        assert difference(e, b, forget=True) > 1e-5  # a power twin


def test_gamma_draws_have_the_right_law():
    """Mean and variance of the sum given the number of draggers, |z| < 6 for 2 numbers."""
    model = experiment(GAMMA, "persistent").model
    draws = Source(model, 6, 4, 1, 0.1, range(2)).draw(20_000)
    shape = (6 - draws.draggers) * model.noise.shape
    rest = (draws.draw - shape).ravel()
    assert abs(rest.mean()) < 6 * rest.std() / math.sqrt(rest.size)
    excess = rest**2 - shape.ravel()
    assert abs(excess.mean()) < 6 * excess.std() / math.sqrt(rest.size)
    assert abs((rest**2 - 1.1 * shape.ravel()).mean()) > 6 * excess.std() / math.sqrt(rest.size)


def test_orthogonal_draggers_leave_the_gradient():
    """The iterates run off along v; the recorded gradient has no component there."""
    e = experiment(NORMAL, "orthogonal", iterations=400, replicates=4)
    means = engine.simulate(e, 3, 0.1, range(4))
    v = np.array(e.model.dragger.direction)
    assert np.abs(means @ v).max() < 1e-12
    assert np.abs(means).max() > 1e-3


def test_the_oracle_knows_opposing_draggers():
    model = experiment(NORMAL, "opposing").model
    sample = Sample(True, 0.0, [0.0] * 3)
    assert dragger_gradient(model, [3.0, 0.0, 4.0], sample) == pytest.approx([-2.4, 0.0, -3.2])
    assert dragger_gradient(model, [0.0, 0.0, 0.0], sample) == [0.0, 0.0, 0.0]


def test_what_is_not_simulated_is_refused_in_one_line(tmp_path):
    opposing = experiment(NORMAL, "opposing")
    noise = opposing.model.noise
    domains = tuple(Domain(0.5, (x, 0.0, 0.0), noise) for x in (0.0, 1.0))
    plain = experiment(NORMAL, "persistent")
    split = replace(plain, model=replace(plain.model, noise=None, domains=domains))
    for e, field in ((opposing, "model.dragger.law = 'opposing'"), (split, "model.domains = 2")):
        with pytest.raises(SpecificationError, match=f"{field}: must be") as caught:
            run(e, out=tmp_path / "results")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "results").exists()
        with pytest.raises(SpecificationError):
            engine.simulate(e, 3, 0.1, range(1))
        with pytest.raises(SpecificationError):
            Source(e.model, 3, 4, 1, 0.1, range(1)).draw(1)
