"""Assertions behind a caption, each built from the numbers that it is about.

A check is a sentence with one or more conditions. A condition writes what is expected
and what was found from the very numbers that it compares, so that words and comparison
cannot disagree:

>>> check = Check.of("bound", "the bias is below its bound", below("ratio", [0.4], 1))
>>> check.expected, check.found, check.passed
('ratio below 1', '0.4', True)

Simulated points are mappings with "z", the distance of the simulated value from the
theoretical one in standard errors (positive: the simulation is above), and "degrees",
the degrees of freedom of that error. A family of n comparisons raises a false alarm
with probability at most ALARM, as far as the means are normal and, for a bias, the
extrapolation to zero step is exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from figures.kit.points import rivals

ALARM = 1e-6  # probability that a true family of comparisons is refused

Array = NDArray[np.float64]
Points = Sequence[Mapping[str, Any]]


class CheckError(Exception):
    """A sentence of the caption is not true: what was expected and what was found."""


@dataclass(frozen=True)
class Condition:
    """What is expected, what was found, and whether that is the same."""

    expected: str
    found: str
    passed: bool


@dataclass(frozen=True)
class Check:
    """One assertion behind the caption.

    `id` is its name within the figure; older documents have none.
    """

    statement: str
    expected: str
    found: str
    passed: bool
    id: str = ""

    @classmethod
    def of(cls, id: str, statement: str, *conditions: Condition) -> Self:
        """The statement, true if all its conditions are.

        Raises ValueError without a condition: nothing would be checked.
        """
        if not conditions:
            raise ValueError(f"nothing to check: {statement}")
        return cls(
            statement,
            "; ".join(condition.expected for condition in conditions),
            "; ".join(condition.found for condition in conditions),
            all(condition.passed for condition in conditions),
            id,
        )


def agree(points: Points) -> Condition:
    """Every simulated point agrees with its exact value: |z| below a Student-t limit.

    Raises ValueError without points.
    """
    z, limit = _scores(points, 2)
    largest = int(np.argmax(np.abs(z) / limit))
    return Condition(
        f"|z| < {limit[largest]:.1f} for {_counted(z)} (false alarms: 1 in a million)",
        f"largest |z| {abs(z[largest]):.2f}, χ²/n {np.mean(z**2):.2f}",
        bool((np.abs(z) < limit).all()),
    )


def not_above(points: Points) -> Condition:
    """No simulated point is above its bound by more than its error.

    z is below a Student-t limit. Raises ValueError without points.
    """
    z, limit = _scores(points, 1)
    largest = int(np.argmax(z / limit))
    return Condition(
        f"z < {limit[largest]:.1f} for {_counted(z)} (false alarms: 1 in a million)",
        f"largest z {z[largest]:.2f}",
        bool((z < limit).all()),
    )


def significant(scores: ArrayLike, degrees: int, *, alarm: float = ALARM) -> Condition:
    """Every difference is above 0 by more than its error.

    `scores` are differences in standard errors, which have `degrees` degrees of
    freedom. Each is above a Student-t limit that equal values exceed with probability
    `alarm`.
    """
    z, limit = _array(scores), float(-special.stdtrit(degrees, alarm))
    count = "1 difference" if z.size == 1 else f"{z.size} differences"
    return Condition(
        f"z > {limit:.1f} for {count} (if equal: 1 in {1 / alarm:,.0f})",
        f"smallest z {z.min():.2f}",
        bool((z > limit).all()),
    )


def best_is(points: Points, best: int) -> Condition:
    """No simulated size has a smaller bias than the size `best`.

    The points are entries of `BiasPoint`, compared as by `sim.estimate.confidence_set`.
    Raises ValueError where that size, or any other, has no point.
    """
    return not_above(rivals(points, best))


def below(name: str, values: ArrayLike, limit: float) -> Condition:
    """Every value is below the limit."""
    x = _array(values)
    return _bounded(f"{name} below {_shown(limit)}", x, x < limit, limit)


def at_most(name: str, values: ArrayLike, limit: float) -> Condition:
    """No value is above the limit."""
    x = _array(values)
    return _bounded(f"{name} at most {_shown(limit)}", x, x <= limit, limit)


def above(name: str, values: ArrayLike, limit: float) -> Condition:
    """Every value is above the limit."""
    x = _array(values)
    return _bounded(f"{name} above {_shown(limit)}", x, x > limit, limit)


def at_least(name: str, values: ArrayLike, limit: float) -> Condition:
    """No value is below the limit."""
    x = _array(values)
    return _bounded(f"{name} at least {_shown(limit)}", x, x >= limit, limit)


def between(name: str, values: ArrayLike, low: float, high: float) -> Condition:
    """Every value is strictly between the ends."""
    x = _array(values)
    expected = f"{name} between {_shown(low)} and {_shown(high)}"
    return _bounded(expected, x, (low < x) & (x < high), low, high)


def within(name: str, values: ArrayLike, target: float, tolerance: float) -> Condition:
    """Every value is less than the tolerance away from the target."""
    x = _array(values)
    distance = np.abs(x - target)
    return Condition(
        f"{name} within {tolerance:g} of {_shown(target)}",
        f"{_listed(x)}, {distance.max():.1g} away at most",
        bool((distance < tolerance).all()),
    )


def increasing(name: str, values: ArrayLike) -> Condition:
    """Every value is larger than the one before."""
    steps = _steps(values)
    found = f"smallest of {steps.size} steps {_shown(steps.min())}"
    return Condition(f"{name} increasing", found, bool((steps > 0).all()))


def decreasing(name: str, values: ArrayLike) -> Condition:
    """Every value is smaller than the one before."""
    steps = _steps(values)
    found = f"largest of {steps.size} steps {_shown(steps.max())}"
    return Condition(f"{name} decreasing", found, bool((steps < 0).all()))


def ordered(values: Mapping[str, float]) -> Condition:
    """The named values are in increasing order."""
    steps = _steps(list(values.values()))
    return Condition(
        " < ".join(values),
        ", ".join(f"{name}: {_shown(x)}" for name, x in values.items()),
        bool((steps > 0).all()),
    )


def equal(name: str, found: Any, expected: Any) -> Condition:
    """What was found is what is expected: whole numbers, words, or lists of them."""
    return Condition(f"{name} {expected}", str(found), bool(found == expected))


def _bounded(expected: str, x: Array, holds: Any, *limits: float) -> Condition:
    """Whether all of the values hold, which are listed."""
    return Condition(expected, _listed(x, *limits), bool(np.all(holds)))


def _listed(x: Array, *limits: float) -> str:
    """One, two or three values, or the ends of more."""
    if x.size <= 3:
        return ", ".join(_shown(value, *limits) for value in x)
    ends = " to ".join(_shown(value, *limits) for value in (x.min(), x.max()))
    return f"{ends} over {x.size} values"


def _array(values: ArrayLike) -> Array:
    """The values [n]. Raises ValueError without any: nothing would be checked."""
    x = np.atleast_1d(np.asarray(values, np.float64)).ravel()
    if not x.size:
        raise ValueError("no values to check")
    return x


def _steps(values: ArrayLike) -> Array:
    """The differences [n - 1] of successive values [n]. Raises ValueError for n < 2."""
    x = _array(values)
    if x.size < 2:
        raise ValueError("one value alone cannot be checked for its order")
    return np.diff(x)


def _shown(value: float, *limits: float) -> str:
    """Four digits, or as many as tell the value from the limits."""
    text = f"{value:.4g}"
    alike = any(text == f"{limit:.4g}" and value != limit for limit in limits)
    return f"{value:.17g}" if alike else text


def _counted(z: Array) -> str:
    return "1 point" if len(z) == 1 else f"{len(z)} points"


def _scores(points: Points, sides: int) -> tuple[Array, Array]:
    """Scores [n] and their limits [n]."""
    if not points:
        raise ValueError("no points to check")
    z = np.array([p["z"] for p in points], np.float64)
    degrees = np.array([p["degrees"] for p in points], np.float64)
    return z, -special.stdtrit(degrees, ALARM / sides / len(z))
