"""The time of a descent by small steps, and the schedule with the strongest pull."""

import numpy as np
import pytest
from scipy import special
from scipy.integrate import solve_ivp

from analysis.advice.descent import (
    exact_pull,
    guaranteed_pull,
    path_length,
    planned,
    strongest,
)
from analysis.spec.model import GradientModel

WORST = {"dragger_fraction": 0.02, "noise_scale": 1.0}
NORMS = np.geomspace(0.41, 10.0, 200)


@pytest.mark.parametrize("b", [10, 15, 20])
def test_length_against_the_differential_equation(b):
    """γt solves dG/d(γt) = -h/G from start to target: an integrator of its own."""

    def falls(_, g):
        return -guaranteed_pull(g, b, **WORST) / g

    def arrived(_, g):
        return g[0] - NORMS[0]

    arrived.terminal = True
    tight = {"rtol": 1e-9, "atol": 1e-9}
    way = solve_ivp(falls, (0, 100), [NORMS[-1]], events=arrived, **tight)
    length = path_length(NORMS, guaranteed_pull(NORMS, b, **WORST))
    assert length == pytest.approx(way.t_events[0][0], rel=1e-3)


def test_without_a_positive_pull_there_is_no_arrival():
    pull = guaranteed_pull(NORMS, 6, **WORST)
    assert pull.min() < 0 < pull.max()
    assert path_length(NORMS, pull) is None


@pytest.mark.parametrize("b", [1, 4])
def test_exact_pull_by_counting_draggers(b):
    """Gaussian noise: G E sign of a micro-batch mean, summed over its draggers."""
    model = GradientModel.read(
        {
            "dimension": 1,
            "dragger_fraction": 0.02,
            "noise": {"law": "gaussian", "scale": 1.0},
            "dragger": {"law": "opposing", "norm": 1e4},
        }
    )
    norms = np.array([0.3, 1.0, 5.0])
    expected = 0.0
    for k in range(b + 1):
        weight = special.comb(b, k) * 0.02**k * 0.98 ** (b - k)
        mean, spread = (b - k) * norms - 1e4 * k, np.sqrt(2 * max(b - k, 1e-9))
        expected = expected + weight * special.erf(mean / spread)
    assert exact_pull(model, b, norms) == pytest.approx(norms * expected, rel=1e-6)


def test_the_strongest_sizes_and_their_schedule():
    norms, sizes = np.array([1.0, 4.0, 9.0, 16.0]), np.array([2, 8])
    pulls = np.array([[1.0, 3.0], [1.0, 2.0], [5.0, 4.0], [7.0, 4.0]])
    best, pairs = strongest(norms, sizes, pulls)
    assert best.tolist() == [8, 8, 2, 2]
    assert pairs == [[6.0, 2], [0.0, 8]]


def test_a_planned_descent():
    """Its radius by the formula, its schedule by a search, its bound is not passed."""
    way = planned(120, dragger_fraction=0.02, start=10.0, beyond=1.1, points=50)
    clean = 0.98**way.best
    scale, threat = way.best**-0.5, (1 - clean) / clean
    assert way.radius == pytest.approx(scale * np.sqrt((1 + threat) / (1 - threat)))
    assert way.target == pytest.approx(1.1 * way.radius)
    assert (way.norms[0], way.norms[-1]) == pytest.approx((way.target, 10.0))
    for g, b in zip(way.norms, way.sizes, strict=True):
        pulls = {a: float(guaranteed_pull(g, a, **WORST)) for a in range(1, 121)}
        divisors = [a for a in pulls if 120 % a == 0]
        assert max(divisors, key=pulls.__getitem__) == b
    assert way.step * way.bound > path_length(
        way.norms, guaranteed_pull(way.norms, way.best, **WORST)
    )
