"""Averages over a run, of which only some iterations are recorded."""

import numpy as np
import pytest

from analysis.spec.algorithm import Run
from sim.averages import recorded, run_average, time_average
from sim.measures import QUANTITIES, points
from sim.results import Trajectories


def run_of(iterations, recorded):
    return Run("trajectory", (0.1,), iterations=iterations, points=recorded)


def table(run, quantity, values):
    """As `Trajectories` have it, at one step size: the values, and 0 elsewhere."""
    column = np.zeros((1, len(points(run)), len(QUANTITIES)))
    column[0, :, QUANTITIES.index(quantity)] = values
    return tuple(tuple(map(tuple, rows)) for rows in column.tolist())


def test_average_of_a_line_is_exact():
    """Values linear in t are interpolated exactly, though few are recorded."""
    run = run_of(5000, 30)
    t = np.array(points(run))
    assert t.size < run.iterations
    expected = 3 + 2 * (run.iterations - 1) / 2
    assert time_average(run, 3.0, 3.0 + 2 * t) == pytest.approx(expected, rel=1e-12)


def test_every_iteration_but_the_last_counts():
    """After T iterations w_T is recorded, too, but the mean is over t < T."""
    run = run_of(4, 4)
    assert points(run) == [1, 2, 3, 4]
    assert time_average(run, 1.0, [2.0, 4.0, 8.0, 1e9]) == pytest.approx(15 / 4)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_quantity_is_found_by_its_name(quantity):
    run = run_of(4, 4)
    mean = table(run, quantity, [2.0, 4.0, 8.0, 9.0])
    error = table(run, quantity, [0.1, 0.2, 0.3, 0.4])
    result = Trajectories(mean, error)
    columns = recorded(result, quantity)
    assert columns[0].tolist() == [2.0, 4.0, 8.0, 9.0]
    assert columns[1].tolist() == [0.1, 0.2, 0.3, 0.4]
    average = run_average(run, result, quantity, start=1.0)
    assert average == pytest.approx((15 / 4, 0.6 / 4))


def test_the_error_is_an_upper_bound():
    """Against the standard deviation of averages of correlated values."""
    run = run_of(40, 40)
    t = np.array([0, *points(run)])
    covariance = np.exp(-np.abs(t[:, None] - t) / 7) * np.outer(t, t) / 40**2
    errors = np.sqrt(np.diag(covariance))
    rng = np.random.default_rng(3)
    draws = rng.multivariate_normal(np.zeros(t.size), covariance, 4000)
    averages = [time_average(run, x[0], x[1:]) for x in draws]
    bound = time_average(run, errors[0], errors[1:])
    assert 0.5 * bound < np.std(averages) < bound
