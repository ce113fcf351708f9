"""Checks: words and comparison have the same numbers, and every condition can fail."""

import numpy as np
import pytest
from scipy import stats

from figures.kit import checks
from figures.kit.checks import Check, Condition

NAN = float("nan")


@pytest.mark.parametrize(
    ("condition", "expected", "found", "passed"),
    [
        (checks.below("x", 0.5, 1), "x below 1", "0.5", True),
        (checks.below("x", [0.5, 1], 1), "x below 1", "0.5, 1", False),
        (checks.at_most("x", 1, 1), "x at most 1", "1", True),
        (checks.at_most("x", 1 + 1e-9, 1), "x at most 1", "1.0000000010000001", False),
        (checks.above("x", [2, 3], 1), "x above 1", "2, 3", True),
        (checks.above("x", 1, 1), "x above 1", "1", False),
        (checks.at_least("x", 1, 1), "x at least 1", "1", True),
        (checks.at_least("x", [1, 0], 1), "x at least 1", "1, 0", False),
        (checks.between("x", 1.5, 1, 2), "x between 1 and 2", "1.5", True),
        (checks.between("x", [1, 2], 1, 2), "x between 1 and 2", "1, 2", False),
        (
            checks.below("x", np.arange(5), 5),
            "x below 5",
            "0 to 4 over 5 values",
            True,
        ),
        (
            checks.within("x", [0.99, 1.02], 1, 0.1),
            "x within 0.1 of 1",
            "0.99, 1.02, 0.02 away at most",
            True,
        ),
        (
            checks.within("x", 0.75, 1, 0.25),
            "x within 0.25 of 1",
            "0.75, 0.2 away at most",
            False,
        ),
        (
            checks.increasing("x", [1, 2, 4]),
            "x increasing",
            "smallest of 2 steps 1",
            True,
        ),
        (
            checks.increasing("x", [1, 1]),
            "x increasing",
            "smallest of 1 steps 0",
            False,
        ),
        (
            checks.decreasing("x", [3, 2, 0]),
            "x decreasing",
            "largest of 2 steps -1",
            True,
        ),
        (
            checks.decreasing("x", [1, 1]),
            "x decreasing",
            "largest of 1 steps 0",
            False,
        ),
        (checks.ordered({"a": 1, "b": 2}), "a < b", "a: 1, b: 2", True),
        (checks.ordered({"a": 2, "b": 2}), "a < b", "a: 2, b: 2", False),
        (checks.equal("sizes", [1, 2], [1, 2]), "sizes [1, 2]", "[1, 2]", True),
        (checks.equal("sizes", [2], [1, 2]), "sizes [1, 2]", "[2]", False),
    ],
)
def test_conditions(condition, expected, found, passed):
    assert condition == Condition(expected, found, passed)


@pytest.mark.parametrize(
    "condition",
    [
        checks.below("x", [0, NAN], 1),
        checks.at_most("x", NAN, 1),
        checks.above("x", NAN, 1),
        checks.at_least("x", NAN, 1),
        checks.between("x", NAN, 0, 1),
        checks.within("x", NAN, 1, 1),
        checks.increasing("x", [1, NAN, 3]),
        checks.decreasing("x", [3, NAN, 1]),
        checks.ordered({"a": 1, "b": NAN}),
        checks.agree([{"z": NAN, "degrees": 31}]),
        checks.not_above([{"z": NAN, "degrees": 31}]),
        checks.significant([9, NAN], 31),
    ],
)
def test_no_condition_holds_without_a_number(condition):
    assert not condition.passed


@pytest.mark.parametrize(
    "condition",
    [
        lambda: checks.below("x", [], 1),
        lambda: checks.within("x", [], 1, 1),
        lambda: checks.increasing("x", []),
        lambda: checks.increasing("x", [1]),
        lambda: checks.ordered({"a": 1}),
        lambda: checks.agree([]),
        lambda: checks.not_above([]),
        lambda: checks.significant([], 31),
        lambda: Check.of("id", "nothing"),
    ],
)
def test_nothing_to_check_is_an_error(condition):
    with pytest.raises(ValueError, match="check"):
        condition()


def test_a_check_needs_all_its_conditions():
    good, bad = checks.below("x", 0, 1), checks.above("y", 0, 1)
    check = Check.of("both", "x and y", good, bad)
    assert check == Check("x and y", "x below 1; y above 1", "0; 0", False, "both")
    assert Check.of("one", "x", good).passed


def scores(z, degrees):
    return [{"z": x, "degrees": degrees} for x in z]


@pytest.mark.parametrize(
    ("condition", "sides"), [(checks.agree, 2), (checks.not_above, 1)]
)
@pytest.mark.parametrize("n", [1, 20])
def test_the_family_is_refused_once_in_a_million(condition, sides, n):
    """Second route: the tail probability of the limit from scipy.stats."""
    degrees = 31
    limit = stats.t.isf(1e-6 / sides / n, degrees)
    others = [0.0] * (n - 1)
    assert condition(scores([0.9999 * limit, *others], degrees)).passed
    assert not condition(scores([1.0001 * limit, *others], degrees)).passed
    below = condition(scores([-1.0001 * limit, *others], degrees))
    assert below.passed == (sides == 1)


def test_few_degrees_have_a_wider_limit():
    """The point nearest to its own limit is the one that is quoted."""
    points = scores([5.0], 63) + scores([6.5], 7)
    condition = checks.agree(points)
    assert condition.found.startswith("largest |z| 5.00")
    assert condition.passed


def size(b, value, error=0.01):
    """A point of that bias and standard error; the squared bias is without noise."""
    return {
        "micro_batch_size": b,
        "value": value,
        "interval": [value - error, value + error],
        "degrees": 31,
        "squared": value**2,
        "along": 4 * error**2,
        "across": 0.0,
    }


def test_the_best_size():
    """By hand: (q - q')/√(4e²(v² + max(v, v')²)) against Student's quantile."""
    points = [size(1, 0.30), size(8, 0.06), size(64, 0.20)]
    assert checks.best_is(points, 8).passed
    worse = checks.best_is(points, 64)
    score = (0.2**2 - 0.06**2) / (2 * 0.01 * np.hypot(0.2, 0.2))
    assert worse.found == f"largest z {score:.2f}"
    assert not checks.best_is(points, 1).passed
    with pytest.raises(ValueError, match="unpack"):
        checks.best_is(points, 2)


@pytest.mark.parametrize(("alarm", "text"), [(1e-6, "1,000,000"), (1e-3, "1,000")])
def test_a_difference_is_significant_beyond_the_quantile(alarm, text):
    """Each of them, whatever their number."""
    limit = stats.t.isf(alarm, 31)
    condition = checks.significant([1.0001 * limit, 50], 31, alarm=alarm)
    assert condition.passed
    assert condition.expected.endswith(f"for 2 differences (if equal: 1 in {text})")
    assert not checks.significant([0.9999 * limit, 50], 31, alarm=alarm).passed
    assert not checks.significant([-50], 31, alarm=alarm).passed
