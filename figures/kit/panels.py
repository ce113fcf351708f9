"""Axes, points with error bars, and labels: theory as lines, simulation as points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullLocator


def subplots(
    rows: int = 1,
    columns: int = 1,
    figsize: tuple[float, float] | None = None,
    **options: Any,
) -> tuple[Canvas, Any]:
    """A canvas of `figsize` inches and its axes, as `matplotlib.pyplot.subplots`.

    The canvas belongs to no window and no backend, so that nothing has to be closed and
    a reader's own plotting is left alone.
    """
    canvas = Canvas(figsize=figsize)
    return canvas, canvas.subplots(rows, columns, **options)


def mosaic(
    layout: Sequence[Sequence[str]], figsize: tuple[float, float]
) -> tuple[Canvas, dict[str, Any]]:
    """A canvas as `subplots` makes it, and its axes by name, laid out by these rows."""
    canvas = Canvas(figsize=figsize)
    axes: dict[str, Any] = canvas.subplot_mosaic([list(row) for row in layout])
    return canvas, axes


def log_log(
    axes: Any,
    *,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    xlabel: str | None = None,
    ylabel: str | None = None,
) -> None:
    """Make both axes logarithmic, with these limits and names and no rulers yet."""
    axes.set(xscale="log", yscale="log", xlim=xlim, ylim=ylim)
    if xlabel is not None:
        axes.set_xlabel(xlabel)
    if ylabel is not None:
        axes.set_ylabel(ylabel)


def rulers(axes: Any) -> None:
    """Light horizontal rulers at the major ticks."""
    axes.grid(True, axis="y", which="major")


def plain_ticks(axis: Any, ticks: Sequence[float]) -> None:
    """Exactly these ticks, labelled as plain numbers; for logarithmic axes."""
    axis.set_major_locator(NullLocator())
    axis.set_ticks(list(ticks))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(NullLocator())


def simulated(
    axes: Any, points: Sequence[Mapping[str, Any]], x: str, **style: Any
) -> Any:
    """Draw points with error bars against their entry `x`.

    Each point has a "value" and an "interval" [2]. Hollow black circles unless `style`,
    options of `Axes.errorbar`, says otherwise.
    """
    value = np.array([p["value"] for p in points], np.float64)
    ends = np.array([p["interval"] for p in points], np.float64).reshape(-1, 2)
    usual = {"fmt": "o", "color": "black", "mfc": "white", "zorder": 5}
    return axes.errorbar(
        [p[x] for p in points], value, yerr=np.abs(ends.T - value), **usual | style
    )


def ruled(
    axes: Any, level: float, text: str, *, x: float, color: str, **line: Any
) -> None:
    """A horizontal line at `level` across the axes, named just above itself at `x`.

    `line` has options of `Axes.axhline`. For logarithmic axes: the name stands 4 %
    above the line.
    """
    axes.axhline(level, color=color, **line)
    axes.text(x, level * 1.04, text, color=color, va="bottom")


def label(
    axes: Any, x: float, y: float, text: str, *, color: str, **options: Any
) -> Any:
    """A line's name beside it, in its colour, with a light halo where lines cross.

    `options` are those of `Axes.text`.
    """
    halo = [withStroke(linewidth=2.5, foreground="white")]
    return axes.text(x, y, text, color=color, path_effects=halo, zorder=7, **options)


def labels(axes: Any, *rows: tuple[float, float, str, str], **options: Any) -> None:
    """Several labels: x, y, text and colour of each."""
    for x, y, text, color in rows:
        label(axes, x, y, text, color=color, **options)


def counted(title: str, replicates: int, *, intervals: bool = True) -> str:
    """The title with the number of replicates, and the level of the intervals drawn."""
    level = ", 99 % intervals" if intervals else ""
    return f"{title}   (n = {replicates} replicates{level})"
