"""Colours and labels of figures that do not yet take them from the kit."""

from typing import Any

from figures.kit.palette import (
    ADAPTIVE,
    BLUE,
    BOUND,
    DASHED,
    DOTTED,
    FIXED,
    GREEN,
    GREY,
    MINIMAX,
    NORMALIZED,
    ORANGE,
    PURPLE,
    SGD,
    SKY,
    VERMILION,
)
from figures.kit.panels import label, plain_ticks, simulated

__all__ = [
    "ADAPTIVE",
    "BLUE",
    "BOUND",
    "CONFIDENCE",
    "DASHED",
    "DOTTED",
    "FIXED",
    "GREEN",
    "GREY",
    "MINIMAX",
    "NORMALIZED",
    "ORANGE",
    "PURPLE",
    "SGD",
    "SKY",
    "VERMILION",
    "direct_label",
    "plain_ticks",
    "simulated",
]
CONFIDENCE = 0.99


def direct_label(axes: Any, x: float, y: float, text: str, color: str, **options: Any) -> Any:
    """A line's name beside it."""
    return label(axes, x, y, text, color=color, **options)
