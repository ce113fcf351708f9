"""The two checks of figures that are not yet built from conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

from figures.kit import checks
from figures.kit.checks import ALARM, Check, CheckError

__all__ = ["ALARM", "Check", "CheckError", "agreement", "not_above"]


def agreement(statement: str, points: Sequence[Mapping[str, Any]]) -> Check:
    """Every simulated point agrees with its exact value."""
    return Check.of("", statement, checks.agree(points))


def not_above(statement: str, points: Sequence[Mapping[str, Any]]) -> Check:
    """No simulated point is above its bound by more than its error."""
    return Check.of("", statement, checks.not_above(points))
