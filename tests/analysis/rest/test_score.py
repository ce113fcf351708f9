"""Algorithm 1's score and the convexity lemma's bound, by quadrature and by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.rest.mixture import mixture
from analysis.rest.score import pull_and_bound, score, score_ratio
from analysis.rest.tails import tails
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment
from analysis.spec.rule import Clipping

MODEL = Experiment.load(
    Path(__file__).parents[3] / "sim" / "presets" / "sweet_spot.toml"
).model
SIZE = 8
NOISE = MODEL.noise_scale() / np.sqrt(SIZE)


def algorithm_1(model, count):
    return Update(model, Clipping("adaptive", SIZE * count, SIZE))


@pytest.mark.parametrize("count", [1, 2, 16, 256])
def test_the_score_by_quadrature_up_to_r(count):
    law = mixture(MODEL, SIZE)
    H = score(law, np.zeros(1), count)
    for r in (0.03 * NOISE, 0.2 * NOISE, NOISE, 7 * NOISE):
        below = tails(law, np.zeros(1), r)
        exact = (below.measure * below.survival ** (count - 1)).sum()
        assert float(H(r)) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("count", [1, 4, 64])
def test_the_bound_by_integrating_the_score(count):
    """Π(G) - Π(s) by Simpson's rule over H."""
    G = 1.7 * NOISE
    H = score(mixture(MODEL, SIZE), np.array([G]), count)
    r, weight = np.linspace(NOISE, G, 2001), np.ones(2001)
    weight[1:-1:2] = 4
    weight[2:-1:2] = 2
    rise = float((weight * H(r)).sum() * (r[1] - r[0]) / 3)
    _, bound = pull_and_bound(algorithm_1(MODEL, count), G)
    assert bound == pytest.approx(rise / G / float(H(NOISE)), rel=1e-4)


def test_the_pull_of_the_mean_is_the_gradient():
    clean = replace(MODEL, dragger_fraction=0.0)
    for G in (0.3, 1.0, 2.5):
        pull, _ = pull_and_bound(algorithm_1(clean, 1), G * NOISE)
        assert pull == pytest.approx(G, rel=1e-6)


@pytest.mark.parametrize("count", [2, 16])
def test_the_score_ratio_by_the_score(count):
    law, a = mixture(MODEL, SIZE), np.array([0.1])
    H = score(law, a, count)
    ratio = score_ratio(law, a, count, NOISE)
    assert ratio == pytest.approx(float(H(1e3)) / float(H(NOISE)), rel=1e-3)
