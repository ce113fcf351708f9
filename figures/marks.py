"""What the figures share: one colour for one thing, points with intervals, plain ticks.

The colours are those of Okabe and Ito (2008), told apart by colour-blind readers; lines differ in
dashes too, so that they can be told apart in grey. Theory is drawn as lines, simulation as points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator

BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE, GREY = (
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#E69F00",
    "#D55E00",
    "#CC79A7",
    "#444444",
)
ADAPTIVE, NORMALIZED, FIXED, SGD, BOUND, MINIMAX = BLUE, SKY, GREEN, GREY, VERMILION, PURPLE
DASHED, DOTTED = (0, (4, 2)), (0, (1, 1.5))
CONFIDENCE = 0.99


def simulated(axes: Any, points: Sequence[Mapping[str, Any]], x: str, **style: Any) -> Any:
    """Points with a "value" and an "interval" [2] against their entry `x`, drawn with error bars.

    Hollow black circles unless `style` says otherwise.
    """
    value = np.array([p["value"] for p in points], np.float64)
    ends = np.array([p["interval"] for p in points], np.float64).reshape(-1, 2)
    look = {"fmt": "o", "color": "black", "mfc": "white", "zorder": 5} | style
    return axes.errorbar([p[x] for p in points], value, yerr=np.abs(ends.T - value), **look)


def plain_ticks(axis: Any, ticks: Sequence[float]) -> None:
    """Exactly these ticks, labelled as plain numbers; for logarithmic axes."""
    axis.set_major_locator(NullLocator())
    axis.set_ticks(list(ticks))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(NullLocator())


def direct_label(axes: Any, x: float, y: float, text: str, color: str, **options: Any) -> Any:
    """A line's name beside the line, in its colour, with a light halo where it crosses others."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    return axes.text(x, y, text, color=color, path_effects=halo, zorder=7, **options)
