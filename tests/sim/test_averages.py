"""Averages over a run, of which only some iterations are recorded."""

import numpy as np
import pytest

from analysis.spec.algorithm import Run
from sim.averages import average
from sim.measures import points


def run_of(iterations, recorded):
    return Run("trajectory", (0.1,), iterations=iterations, points=recorded)


def test_average_of_a_line_is_exact():
    """Values linear in t are interpolated exactly, though few are recorded."""
    run = run_of(5000, 30)
    t = np.array(points(run))
    assert t.size < run.iterations
    expected = 3 + 2 * (run.iterations - 1) / 2
    assert average(run, 3.0, 3.0 + 2 * t) == pytest.approx(expected, rel=1e-12)


def test_every_iteration_but_the_last_counts():
    """After T iterations w_T is recorded, too, but the mean is over t < T."""
    run = run_of(4, 4)
    assert points(run) == [1, 2, 3, 4]
    assert average(run, 1.0, [2.0, 4.0, 8.0, 1e9]) == pytest.approx(15 / 4)


def test_errors_average_to_an_upper_bound():
    """Against the true standard error of an average of correlated values."""
    run = run_of(50, 50)
    assert len(points(run)) < 50 or points(run) == list(range(1, 51))
    t = np.array([0, *points(run)])
    covariance = np.exp(-np.abs(t[:, None] - t) / 7) * np.outer(t, t) / 50**2
    errors = np.sqrt(np.diag(covariance))
    draws = np.random.default_rng(3).multivariate_normal(0 * t, covariance, 20_000)
    averages = [average(run, x[0], x[1:]) for x in draws[:4000]]
    assert np.std(averages) < average(run, errors[0], errors[1:])
