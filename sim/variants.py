"""What an experiment is run at, in turn: a micro-batch size, or its schedule."""

from typing import TypeAlias

Variant: TypeAlias = int | None
SCHEDULE: Variant = None  # of an experiment whose size follows a schedule


def name(variant: Variant) -> str:
    """The size in digits, or "schedule"."""
    return "schedule" if variant is SCHEDULE else str(variant)


def word(variant: Variant) -> int:
    """What stands for it in the key of random numbers: the size, 0 for a schedule."""
    return variant or 0
