"""The two profiles in which a figure is made."""

from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Profile(StrEnum):
    """How much is computed: `quick` in seconds, `full` with more runs and sizes."""

    QUICK = "quick"
    FULL = "full"

    def pick(self, *, quick: T, full: T) -> T:
        """The value for this profile.

        >>> Profile.QUICK.pick(quick=32, full=64)
        32
        """
        return full if self is Profile.FULL else quick
