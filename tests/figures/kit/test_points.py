"""Points: the entries that figures keep, and the comparison of two sizes."""

import numpy as np
import pytest
from scipy import stats

from figures.kit.points import BiasPoint, Point, biases, inside, rivals
from sim.estimate import confidence_set, estimate


def measured(bias, seed=0, replicates=64):
    """An estimate from batch means of a gradient of that size, in two dimensions."""
    rng = np.random.default_rng(seed)
    mean = np.array([bias, 0.0, bias**2])
    noise = np.array([0.02, 0.02, 0.0])
    shape = (2, replicates, 4, 3)
    return estimate(mean + noise * rng.normal(size=shape), (0.2, 0.1))


def test_what_a_point_lacks_is_left_out():
    assert Point(value=1.0, interval=(0.0, 2.0)).entry(step=0.1) == {
        "step": 0.1,
        "value": 1.0,
        "interval": (0.0, 2.0),
    }
    full = Point.of_mean(1.0, 0.1, 31, exact=1.2)
    keys = ["value", "standard_error", "interval", "exact", "z", "degrees"]
    assert list(full.entry()) == keys
    assert list(full.entry(without=("z", "exact"))) == [*keys[:3], "degrees"]


def test_a_mean_and_its_interval():
    """Second route: Student's interval from scipy.stats."""
    point = Point.of_mean(2.0, 0.5, 31, bound=3.0)
    assert point.interval == pytest.approx(stats.t.interval(0.99, 31, 2.0, 0.5))
    assert (point.z, point.bound, point.exact) == (-2.0, 3.0, None)
    assert Point.of_mean(2.0, 0.0, 31, exact=2.0).z == 0.0
    assert Point.of_mean(2.0, 0.0, 31, exact=2.1).z == -np.inf
    assert Point.of_mean(2.0, 0.0, 31, bound=1.9).z == np.inf
    assert Point.of_mean(2.0, 0.5, 31).z is None


def test_another_unit():
    point = Point.of_mean(2.0, 0.5, 31, exact=3.0)
    scaled = point.in_units_of(4.0)
    assert (scaled.value, scaled.standard_error, scaled.exact) == (0.5, 0.125, 0.75)
    assert scaled.interval == tuple(end / 4 for end in point.interval)
    assert (scaled.z, scaled.degrees, scaled.bound) == (point.z, 31, None)


def test_a_bias_in_another_unit_is_compared_alike():
    one, other = (BiasPoint.of_bias(measured(x, seed=3)) for x in (0.1, 0.2))
    difference, error, degrees = one.square.excess(other.square)
    squares = [point.in_units_of(4.0).square for point in (one, other)]
    assert squares[0].excess(squares[1]) == (
        pytest.approx(difference / 16),
        pytest.approx(error / 16),
        degrees,
    )


def test_a_bias_is_that_of_the_estimate():
    found = measured(0.5)
    point = Point.of_bias(found, 0.4)
    assert (point.value, point.interval) == (found.bias, found.interval)
    assert (point.z, point.degrees) == (found.score(0.4), 63)
    assert Point.of_bias(found).z is None


def test_an_entry_can_be_read_again():
    found = measured(0.5)
    point = BiasPoint.of_bias(found, 0.4)
    assert BiasPoint.read(point.entry(micro_batch_size=8)) == point
    assert point.square == found.square


def test_rivals_are_those_of_the_confidence_set():
    """A size is in the set if no rival's score is above the one-sided quantile."""
    estimates = {b: measured(0.05 + 0.002 * b, seed=b) for b in range(1, 9)}
    entries = biases(estimates, dict.fromkeys(estimates, 0.1))
    limit = stats.t.isf(0.01 / 7, 63)
    kept = [b for b in estimates if max(p["z"] for p in rivals(entries, b)) <= limit]
    assert kept == confidence_set(estimates)
    assert 1 < len(kept) < 8


def test_intervals_with_the_exact_value_are_counted():
    ends = [(0.0, 1.0), (0.0, 0.4), (0.6, 1.0)]
    assert inside([{"interval": x, "exact": 0.5} for x in ends]) == 1
