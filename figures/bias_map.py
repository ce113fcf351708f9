"""The exact bias over size and dragger fraction, with both best sizes as ridges."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import withStroke

from analysis.advice.sizes import best_sizes, bias_radius
from analysis.rest.line import normalized_bias
from analysis.rest.stable import exact_bias
from analysis.spec.algorithm import Algorithm, Run
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.rule import Rule
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point, inside
from figures.kit.profiles import Profile
from sim.estimate import Estimate

RULE = Rule.NORMALIZED
MICRO_BATCHES = 16  # simulated; the normalized rule's bias does not depend on it
CELLS = {0.005: (1, 8, 32), 0.02: (2, 10, 32), 0.08: (1, 4, 16)}  # simulated sizes
COARSE_SIZES = (*range(1, 13), 14, 16, 20, 24, 32, 48, 64, 96)
FINE_SIZES = (*range(1, 33), 36, 40, 44, 48, 56, 64, 72, 80, 88, 96)
REFINED = range(1, 33)  # sizes of a row that are all searched
GAPLESS = 12  # up to this size no map leaves a size out
CHEAP = 1.25  # a small price, as a factor
FRACTION = "dragger_fraction"
SIZE = "micro_batch_size"


class BiasMap(Figure):
    """The worked law at every size and dragger fraction, and its two best sizes."""

    name = "bias_map"
    title = "Rare draggers: the size with the best guarantee is not the best"
    claims = ("bias_radius", "sweet_spot")
    place = 3

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One for each marked cell, steps in proportion to a micro-batch's noise."""
        return [
            _experiment(profile, fraction, b)
            for fraction, sizes in CELLS.items()
            for b in sizes
        ]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """The map, row by row from the lowest fraction, and the simulated cells."""
        sizes = profile.pick(quick=COARSE_SIZES, full=FINE_SIZES)
        # halving and doubling from 0.01: the simulated fractions are among them
        powers = profile.pick(quick=np.arange(-3, 9) / 2, full=np.arange(-9, 25) / 6)
        rows = {float(f): _row(float(f), sizes) for f in 0.01 * 2**powers}
        experiments = self.experiments(profile)
        run = experiments[0].run
        noise = experiments[0].to_mapping()["model"]["noise"]
        return {
            "dragger_norm": experiments[0].gradient_model.dragger.norm,
            "rare_fraction": noise["probability"],
            "replicates": run.replicates,
            "iterations": run.iterations,
            "steps": len(run.steps),
            SIZE: sizes,
            "rows": list(rows.values()),
            "refined": [_refined(rows[f], sizes) for f in CELLS],
            "simulated": [_cell(e, simulated[e.name]) for e in experiments],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the bound, the ridge, the jump at the breakdown, and SGD."""
        rows, refined = data["rows"], data["refined"]
        common = [row for row in rows if row["breakdown"] < GAPLESS]
        fractions = ", ".join(f"{r[FRACTION]:g}" for r in refined)
        return [
            Check.of(
                "cells",
                "the simulated bias agrees with the exact one",
                checks.agree(data["simulated"]),
            ),
            Check.of(
                "bound",
                "the exact bias stays below the guaranteed radius where that is finite",
                checks.at_most("bias / radius", _ratios(rows), 1),
            ),
            Check.of(
                "best_size",
                "the best size on the map is the best of all whole sizes up to 32",
                checks.equal(
                    f"best sizes at ε = {fractions}:",
                    [r["on_map"] for r in refined],
                    [r["of_all"] for r in refined],
                ),
            ),
            Check.of(
                "breakdown",
                "where draggers are common the bias jumps at the breakdown",
                checks.equal(
                    "largest jump just beyond",
                    [_jump(row, data[SIZE]) for row in common],
                    [int(row["breakdown"]) for row in common],
                ),
                checks.at_least("fractions", len(common), 1),
            ),
            Check.of(
                "sgd",
                "at every fraction SGD has a larger bias than the best size and than "
                "the size with the best guarantee",
                checks.above("SGD's bias / the larger of theirs", _gains(rows), 1),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """The ends of both ridges, and what the best guarantee costs."""
        rows, cells = data["rows"], data["simulated"]
        expensive = [i for i, row in enumerate(rows) if row["regret"] >= CHEAP]
        return {
            "first": rows[0],
            "last": rows[-1],
            "most_expensive": max(rows, key=lambda row: row["regret"]),
            "cheap": CHEAP,
            "cheap_from": rows[expensive[-1] + 1][FRACTION],
            "largest": max(row["best"] for row in rows),
            "fractions": len(rows),
            "cells": len(cells),
            "inside": inside(cells),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The map on the left, the cost of the worst-case size beside it."""
        canvas, (left, right) = panels.subplots(
            1, 2, sharey=True, figsize=(6.4, 4.8), width_ratios=(4.2, 1)
        )
        rows = data["rows"]
        fraction = np.array([row[FRACTION] for row in rows])
        mesh = _draw_map(left, data, fraction)
        _draw_ridges(left, rows, fraction)
        for p in data["simulated"]:
            style = {"mfc": mesh.to_rgba(p["value"]), "mec": "black", "mew": 1.2}
            left.plot(p[SIZE], p[FRACTION], "o", ms=9, zorder=6, **style)
        panels.plain_ticks(left.xaxis, [1, 2, 4, 8, 16, 32, 64])
        panels.plain_ticks(left.yaxis, [0.005, 0.01, 0.02, 0.05, 0.1])
        left.set_xlabel("micro-batch size b (samples)")
        left.set_ylabel("dragger fraction ε (dimensionless)")
        regret = [row["regret"] for row in rows]
        right.plot(regret, fraction, color=palette.BOUND, ls=palette.DASHED)
        right.grid(True, axis="x")
        right.set(xlim=(0.9, None), xlabel="bias at b* over\nsmallest bias")
        bar = canvas.colorbar(mesh, ax=left, location="bottom", aspect=40, pad=0.02)
        bar.set_label("exact bias ‖∇f‖ (gradient units)")
        panels.plain_ticks(bar.ax.xaxis, [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
        title = f"{self.title}   (discs: n = {data['replicates']})"
        canvas.suptitle(title, x=0.01, ha="left", size=10)
        return canvas


def model_with(fraction: float) -> GradientModel:
    """The worked law with another dragger fraction."""
    return replace(worlds.worked_law().gradient_model, dragger_fraction=fraction)


def _experiment(profile: Profile, fraction: float, b: int) -> Experiment:
    step = round(0.2 / b**0.5, 4)
    run = Run(
        steps=profile.pick(quick=(step, step / 2), full=(step, step / 2, step / 4)),
        iterations=profile.pick(quick=5000, full=40_000),
        replicates=profile.pick(quick=32, full=64),
    )
    algorithm = Algorithm(RULE, MICRO_BATCHES * b, (b,))
    name = f"bias_map_{profile}_{fraction:g}_{b}"
    return Experiment(model_with(fraction), algorithm, run, name)


def _row(fraction: float, sizes: tuple[int, ...]) -> dict[str, Any]:
    """All of the map at one dragger fraction. `guaranteed` is a whole size."""
    model = model_with(fraction)
    sigma = model.noise_scale()
    worst = best_sizes(fraction, sigma, 1.0)
    near = np.floor(worst[SIZE]) + np.arange(2)
    guaranteed = int(near[np.nanargmin(bias_radius(near, fraction, sigma))])
    bias = {b: normalized_bias(model, b) for b in sizes}
    at_guaranteed = bias.get(guaranteed) or normalized_bias(model, guaranteed)
    return {
        FRACTION: fraction,
        "bias": list(bias.values()),
        "bias_radius": bias_radius(np.array(sizes), fraction, sigma),
        "sgd": exact_bias(model, Rule.SGD, 1, 1).bias,
        "best": min(sizes, key=bias.__getitem__),
        "worst_case": worst[SIZE],
        "breakdown": worst["breakdown"],
        "guaranteed": guaranteed,
        "bias_at_guaranteed": at_guaranteed,
        "regret": at_guaranteed / min(*bias.values(), at_guaranteed),
    }


def _refined(row: dict[str, Any], sizes: tuple[int, ...]) -> dict[str, Any]:
    """The best size of a row beside the best among all whole sizes up to 32."""
    model = model_with(row[FRACTION])
    known = dict(zip(sizes, row["bias"], strict=True))
    bias = {b: known.get(b) or normalized_bias(model, b) for b in REFINED}
    return {
        FRACTION: row[FRACTION],
        "on_map": row["best"],
        "of_all": min(bias, key=bias.__getitem__),
    }


def _cell(experiment: Experiment, simulated: dict[int, Estimate]) -> dict[str, Any]:
    """A simulated bias beside the exact one."""
    ((b, estimate),) = simulated.items()
    model = experiment.gradient_model
    point = Point.of_bias(estimate, normalized_bias(model, b))
    place = {SIZE: b, FRACTION: model.dragger_fraction}
    return point.entry(without=("standard_error",), **place)


def _ratios(rows: list[dict[str, Any]]) -> list[float]:
    """Exact bias over radius, where there is one."""
    pairs = [
        pair
        for row in rows
        for pair in zip(row["bias"], row["bias_radius"], strict=True)
    ]
    return [bias / radius for bias, radius in pairs if radius is not None]


def _jump(row: dict[str, Any], sizes: list[int]) -> int:
    """The size from which to the next one the bias grows by the largest factor."""
    bias = np.array(row["bias"])
    return sizes[int(np.argmax(bias[1:] / bias[:-1]))]


def _gains(rows: list[dict[str, Any]]) -> list[float]:
    """SGD's bias over the larger one of both best sizes."""
    return [
        row["sgd"] / max(row["bias_at_guaranteed"], min(row["bias"])) for row in rows
    ]


def _edges(centres: Any) -> Any:
    """Cell borders [n + 1] half-way between centres [n], on a logarithmic axis."""
    middle = np.sqrt(centres[1:] * centres[:-1])
    first, last = centres[0] ** 2 / middle[0], centres[-1] ** 2 / middle[-1]
    return np.concatenate([[first], middle, [last]])


def _draw_map(axes: Any, data: dict[str, Any], fraction: Any) -> Any:
    """The bias as colour, hatched where SGD's is smaller; returns the coloured mesh."""
    bias = np.array([row["bias"] for row in data["rows"]])
    sgd = np.array([row["sgd"] for row in data["rows"]])
    x, y = _edges(np.array(data[SIZE])), _edges(fraction)
    norm = LogNorm(bias.min(), bias.max())
    mesh = axes.pcolormesh(x, y, bias, norm=norm, cmap="viridis", rasterized=True)
    behind = np.ma.masked_less(bias, sgd[:, None])
    clear = ListedColormap([(0, 0, 0, 0)])
    axes.pcolor(x, y, behind, cmap=clear, hatch="////", edgecolor="white", lw=0)
    panels.log_log(axes, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return mesh


def _draw_ridges(axes: Any, rows: list[dict[str, Any]], fraction: Any) -> None:
    """Both best sizes and the breakdown, with their names along the lines."""
    bound = palette.BOUND
    halo = [withStroke(linewidth=3.5, foreground="white")]
    styles = {"worst_case": palette.DASHED, "breakdown": palette.SOLID}
    for name, dashes in styles.items():
        line = [row[name] for row in rows]
        axes.plot(line, fraction, color=bound, ls=dashes, lw=2, path_effects=halo)
    best = [row["best"] for row in rows]
    axes.plot(best, fraction, "D-", color="white", mec="black", ms=5)
    at = min(rows, key=lambda row: abs(row[FRACTION] - 0.007))
    size, limit, eps = at["worst_case"], at["breakdown"], at[FRACTION]
    along = {"rotation": -43, "rotation_mode": "anchor", "ha": "center"}
    look: dict[str, Any] = {"color": bound, **along}
    panels.label(axes, size * 0.93, eps * 0.93, "best guarantee b*", va="top", **look)
    panels.label(axes, limit * 0.55, eps * 2.05, "no guarantee", va="bottom", **look)
    look = {"color": palette.BLACK}
    panels.label(axes, 6.2, rows[0][FRACTION], "smallest\nbias", ha="right", **look)
    text = "hatched: SGD has\nthe smaller bias"
    panels.label(axes, 1, 0.0085, text, va="center", **look)


figure = BiasMap()
