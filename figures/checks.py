"""A caption's sentences as assertions, and the two that most figures need.

Simulated points are mappings with "z", the distance of the simulated value from the theoretical one
in standard errors (positive: the simulation is above), and "degrees", the degrees of freedom of
that error. A family of n comparisons raises a false alarm with chance at most ALARM, as far as the
means are normal and, for a bias, the extrapolation to zero step is exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

ALARM = 1e-6  # chance that a true family of comparisons is refused


class CheckError(Exception):
    """A sentence of the caption is not true. The message says what was expected and found."""


@dataclass(frozen=True)
class Check:
    """One assertion behind the caption."""

    statement: str
    expected: str
    found: str
    passed: bool


def agreement(statement: str, points: Sequence[Mapping[str, Any]]) -> Check:
    """Every simulated point agrees with its exact value: |z| below a Student-t limit.

    Raises ValueError without points: nothing would be checked.
    """
    z, limit = _scores(points, 2)
    largest = int(np.argmax(np.abs(z) / limit))
    return Check(
        statement,
        f"|z| < {limit[largest]:.1f} for {_points(len(z))} (false alarms: 1 in a million)",
        f"largest |z| {abs(z[largest]):.2f}, χ²/n {np.mean(z**2):.2f}",
        bool((np.abs(z) < limit).all()),
    )


def not_above(statement: str, points: Sequence[Mapping[str, Any]]) -> Check:
    """No simulated point is above its bound by more than its error: z below a Student-t limit.

    Raises ValueError without points: nothing would be checked.
    """
    z, limit = _scores(points, 1)
    largest = int(np.argmax(z / limit))
    return Check(
        statement,
        f"z < {limit[largest]:.1f} for {_points(len(z))} (false alarms: 1 in a million)",
        f"largest z {z[largest]:.2f}",
        bool((z < limit).all()),
    )


def _points(count: int) -> str:
    return "1 point" if count == 1 else f"{count} points"


def _scores(points: Sequence[Mapping[str, Any]], sides: int) -> tuple[Any, Any]:
    """Scores [n] and their limits [n]."""
    if not points:
        raise ValueError("no points to check")
    z = np.array([p["z"] for p in points], np.float64)
    degrees = np.array([p["degrees"] for p in points], np.float64)
    return z, -special.stdtrit(degrees, ALARM / sides / len(z))
