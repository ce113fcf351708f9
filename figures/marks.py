"""Colours and labels of figures that do not yet take them from the kit."""

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
from figures.kit.panels import label as direct_label
from figures.kit.panels import plain_ticks, simulated

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
