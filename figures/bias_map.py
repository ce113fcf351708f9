"""The exact bias over micro-batch size and dragger fraction, with both best sizes as ridges."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import withStroke
from scipy import optimize

from analysis.advice.sizes import best_sizes, bias_radius
from analysis.rest.mixture import mixture
from analysis.rest.stable import exact_bias
from analysis.rest.update import expected_update
from analysis.spec.experiment import Algorithm, Experiment, Run
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule
from figures.checks import Check, agreement
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from figures.marks import BOUND, DASHED, direct_label, plain_ticks
from sim.presets import presets

RULE = Rule.NORMALIZED
MICRO_BATCHES = 16  # in the simulations; the normalized rule's bias does not depend on it
CELLS = {0.005: (1, 8, 32), 0.02: (2, 10, 32), 0.08: (1, 4, 16)}  # sizes simulated, by fraction


def normalized_bias(model: GradientModel, b: int) -> float:
    """The normalized rule's exact bias where all means lie on one line and it is pushed up it.

    The expected update is the gradient of the convex E‖g‖, so it has one root on the line: a
    bracket that begins at 0 finds it, many times faster than `exact_bias`, which also searches for
    others. Relative error about 1e-6. Raises ValueError where the root is not positive.
    """
    law, clipping = mixture(model, b).thinned(1e-8), Clipping(RULE, b, b)

    def drift(x: float) -> float:
        return float(expected_update(law, np.array([x]), clipping)[0])

    high = model.noise_scale() / np.sqrt(b)
    while drift(high) < 0:
        high *= 2
    return float(optimize.brentq(drift, 0.0, high, xtol=1e-8, rtol=1e-6))


class BiasMap(Figure):
    """The worked law at every size and dragger fraction: exact and guaranteed best size."""

    name = "bias_map"
    title = "Rare draggers: the size with the best guarantee is not the best"
    claims = ("bias_radius", "sweet_spot")
    place = 3

    def experiments(self, profile: str) -> list[Experiment]:
        """One run for each marked cell, its steps in proportion to a micro-batch's noise."""
        full = profile == "full"
        every = []
        for fraction, sizes in CELLS.items():
            for b in sizes:
                step = round(0.2 / b**0.5, 4)
                run = Run(
                    steps=(step, step / 2, step / 4) if full else (step, step / 2),
                    iterations=40_000 if full else 5000,
                    replicates=64 if full else 32,
                )
                algorithm = Algorithm(RULE, MICRO_BATCHES * b, (b,))
                name = f"bias_map_{profile}_{fraction:g}_{b}"
                every.append(Experiment(self._model(fraction), algorithm, run, name))
        return every

    @staticmethod
    def _model(fraction: float) -> GradientModel:
        """The worked law with another dragger fraction."""
        model = Experiment.load(presets()["sweet_spot"]).gradient_model
        return replace(model, dragger_fraction=fraction)

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """The map, row by row from the lowest fraction, and the simulated cells."""
        full = profile == "full"
        sizes = [*range(1, 13), 14, 16, 20, 24, 32, 48, 64, 96]
        if full:
            sizes = [*range(1, 33), 36, 40, 44, 48, 56, 64, 72, 80, 88, 96]
        # halving and doubling from 0.01, so that the simulated fractions are among them
        powers = np.arange(-9, 25) / 6 if full else np.arange(-3, 9) / 2
        rows = {float(f): self._row(float(f), sizes) for f in 0.01 * 2**powers}
        experiments = self.experiments(profile)
        run = experiments[0].run
        return {
            "dragger_norm": experiments[0].gradient_model.dragger.norm,
            "rare_fraction": experiments[0].to_mapping()["model"]["noise"]["probability"],
            "replicates": run.replicates,
            "iterations": run.iterations,
            "steps": len(run.steps),
            "micro_batch_size": sizes,
            "rows": list(rows.values()),
            "refined": [self._refined(rows[f], sizes) for f in CELLS],
            "simulated": [self._cell(e, simulated[e.name]) for e in experiments],
        }

    def _row(self, fraction: float, sizes: list[int]) -> dict[str, Any]:
        """All of the map at one dragger fraction. `guaranteed` is a whole size."""
        model = self._model(fraction)
        sigma = model.noise_scale()
        worst = best_sizes(fraction, sigma, 1.0)
        near = np.floor(worst["micro_batch_size"]) + np.arange(2)
        guaranteed = int(near[np.nanargmin(bias_radius(near, fraction, sigma))])
        bias = {b: normalized_bias(model, b) for b in sizes}
        at_guaranteed = bias.get(guaranteed) or normalized_bias(model, guaranteed)
        return {
            "dragger_fraction": fraction,
            "bias": list(bias.values()),
            "bias_radius": bias_radius(np.array(sizes), fraction, sigma),
            "sgd": exact_bias(model, "sgd", 1, 1).bias,
            "best": min(sizes, key=bias.__getitem__),
            "worst_case": worst["micro_batch_size"],
            "breakdown": worst["breakdown"],
            "guaranteed": guaranteed,
            "bias_at_guaranteed": at_guaranteed,
            "regret": at_guaranteed / min(*bias.values(), at_guaranteed),
        }

    def _refined(self, row: dict[str, Any], sizes: list[int]) -> dict[str, Any]:
        """The best size of a row beside the best among all whole sizes up to 32."""
        model = self._model(row["dragger_fraction"])
        bias = dict(zip(sizes, row["bias"], strict=True))
        every = {b: bias.get(b) or normalized_bias(model, b) for b in range(1, 33)}
        return {
            "dragger_fraction": row["dragger_fraction"],
            "on_map": row["best"],
            "of_all": min(every, key=every.__getitem__),
        }

    @staticmethod
    def _cell(experiment: Experiment, simulated: dict[Any, Any]) -> dict[str, Any]:
        ((b, found),) = simulated.items()
        exact = normalized_bias(experiment.gradient_model, b)
        return {
            "dragger_fraction": experiment.gradient_model.dragger_fraction,
            "micro_batch_size": b,
            "value": found.bias,
            "interval": found.interval,
            "exact": exact,
            "z": found.score(exact),
            "degrees": found.degrees,
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the bound, the ridge, the jump at the breakdown, and SGD."""
        rows, refined = data["rows"], data["refined"]
        pairs = [p for row in rows for p in zip(row["bias"], row["bias_radius"], strict=True)]
        ratios = [bias / radius for bias, radius in pairs if radius is not None]
        # from size 12 on the map may leave sizes out, so that a jump cannot be placed
        common = [row for row in rows if row["breakdown"] < 12]
        jumps = [self._jump(row, data["micro_batch_size"]) for row in common]
        at_breakdown = [int(row["breakdown"]) for row in common]
        ahead = [row["sgd"] / max(row["bias_at_guaranteed"], min(row["bias"])) for row in rows]
        return [
            agreement("the simulated bias agrees with the exact one", data["simulated"]),
            Check(
                "the exact bias stays below the guaranteed radius wherever that is finite",
                "largest ratio at most 1",
                f"{max(ratios):.3f} over {len(ratios)} cells",
                max(ratios) <= 1,
            ),
            Check(
                "the best size on the map is the best of all whole sizes up to 32",
                str([r["of_all"] for r in refined]),
                f"{[r['on_map'] for r in refined]} at ε = "
                + ", ".join(f"{r['dragger_fraction']:g}" for r in refined),
                all(r["on_map"] == r["of_all"] for r in refined),
            ),
            Check(
                "where draggers are common the bias jumps at the breakdown",
                f"largest jump just beyond {at_breakdown}",
                f"just beyond {jumps}",
                jumps == at_breakdown and len(jumps) > 0,
            ),
            Check(
                "the best size and that with the best guarantee both beat SGD at every fraction",
                "SGD's bias over the larger of theirs above 1",
                f"at least {min(ahead):.2f}",
                min(ahead) > 1,
            ),
        ]

    @staticmethod
    def _jump(row: dict[str, Any], sizes: list[int]) -> int:
        """The size from which to the next one the bias grows by the largest factor."""
        bias = np.array(row["bias"])
        return sizes[int(np.argmax(bias[1:] / bias[:-1]))]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        rows, points = data["rows"], data["simulated"]
        inside = sum(p["interval"][0] <= p["exact"] <= p["interval"][1] for p in points)
        dearest = max(rows, key=lambda row: row["regret"])
        dear = [i for i, row in enumerate(rows) if row["regret"] >= 1.25]
        cheap = rows[dear[-1] + 1]["dragger_fraction"]
        first, last = rows[0], rows[-1]
        return (
            "Exact asymptotic bias of the normalized rule (colour, logarithmic; dimension 2) "
            "against the micro-batch size b and the dragger fraction ε. A fraction "
            f"{data['rare_fraction']:g} of the benign samples is rare and useful; draggers have "
            f"norm {data['dragger_norm']:g} and point the other way. Diamonds: the best size at "
            f"each of {len(rows)} fractions: {first['best']} at ε = "
            f"{first['dragger_fraction']:.2g}, never above {max(row['best'] for row in rows)}, "
            f"{last['best']} at ε = {last['dragger_fraction']:.2g}. "
            "Dashed: the size with the smallest guaranteed bias, from "
            f"{first['worst_case']:.0f} to {last['worst_case']:.1f}. Solid: the breakdown, beyond "
            "which there is no guarantee; where draggers are common the bias jumps there. Hatched: "
            "SGD has the smaller bias; at both marked sizes clipping has the smaller one at every "
            "fraction. Right: bias at the size with the best "
            "guarantee divided by the smallest bias. That size costs a factor of up to "
            f"{dearest['regret']:.1f} (at ε = {dearest['dragger_fraction']:.2g}), and less than "
            f"1.25 from ε = {cheap:.2g} on. Discs: "
            f"{len(points)} simulated cells in the colour of the simulated bias, extrapolated to "
            f"zero step ({data['replicates']} replicates, {data['iterations']} iterations, "
            f"{data['steps']} step sizes); the exact value is in the 99 % interval for {inside} of "
            f"{len(points)}."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture in words."""
        first, last = data["rows"][0], data["rows"][-1]
        return (
            "Heat map of the bias over micro-batch size and dragger fraction, both logarithmic. A "
            f"dark valley of small bias lies near b = {first['best']} while draggers are rare and "
            f"turns to b = {last['best']} when they are common; that with the best guarantee is "
            f"a straight line from b = {first['worst_case']:.0f} down to {last['worst_case']:.1f} "
            "that crosses it. A side panel shows that its cost shrinks as draggers become common."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The map on the left, the cost of the worst-case size beside it."""
        canvas, (axes, side) = subplots(
            1, 2, sharey=True, figsize=(6.4, 4.8), width_ratios=(4.2, 1)
        )
        rows, sizes = data["rows"], np.array(data["micro_batch_size"])
        fraction = np.array([row["dragger_fraction"] for row in rows])
        bias = np.array([row["bias"] for row in rows])
        x, y = _edges(sizes), _edges(fraction)
        norm = LogNorm(bias.min(), bias.max())
        mesh = axes.pcolormesh(x, y, bias, norm=norm, cmap="viridis", rasterized=True)
        behind = np.ma.masked_less(bias, np.array([row["sgd"] for row in rows])[:, None])
        clear = ListedColormap([(0, 0, 0, 0)])
        axes.pcolor(x, y, behind, cmap=clear, hatch="////", edgecolor="white", lw=0)
        axes.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        self._ridges(axes, rows, fraction)
        for p in data["simulated"]:
            place = (p["micro_batch_size"], p["dragger_fraction"])
            color = mesh.to_rgba(p["value"])
            axes.plot(*place, "o", mfc=color, mec="black", ms=9, mew=1.2, zorder=6)
        plain_ticks(axes.xaxis, [1, 2, 4, 8, 16, 32, 64])
        plain_ticks(axes.yaxis, [0.005, 0.01, 0.02, 0.05, 0.1])
        axes.set(xlabel="micro-batch size b (samples)", ylabel="dragger fraction ε (dimensionless)")
        side.plot([row["regret"] for row in rows], fraction, color=BOUND, ls=DASHED)
        side.grid(True, axis="x")
        side.set(xlim=(0.9, None), xlabel="bias at b* over\nsmallest bias")
        bar = canvas.colorbar(mesh, ax=axes, location="bottom", aspect=40, pad=0.02)
        bar.set_label("exact bias ‖∇f‖ (gradient units)")
        plain_ticks(bar.ax.xaxis, [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
        title = f"{self.title}   (discs: n = {data['replicates']})"
        canvas.suptitle(title, x=0.01, ha="left", size=10)
        return canvas

    @staticmethod
    def _ridges(axes: Any, rows: list[dict[str, Any]], fraction: Any) -> None:
        """Both best sizes and the breakdown, with their names along the lines."""
        halo = [withStroke(linewidth=3.5, foreground="white")]
        along: dict[str, Any] = {"rotation": -43, "rotation_mode": "anchor", "ha": "center"}
        for name, style in (("worst_case", DASHED), ("breakdown", "-")):
            line = [row[name] for row in rows]
            axes.plot(line, fraction, color=BOUND, ls=style, lw=2, path_effects=halo)
        axes.plot([row["best"] for row in rows], fraction, "D-", color="white", mec="black", ms=5)
        at = min(rows, key=lambda row: abs(row["dragger_fraction"] - 0.007))
        place = (at["worst_case"] * 0.93, at["dragger_fraction"] * 0.93)
        direct_label(axes, *place, "best guarantee b*", BOUND, va="top", **along)
        place = (at["breakdown"] * 0.55, at["dragger_fraction"] * 2.05)
        direct_label(axes, *place, "no guarantee", BOUND, va="bottom", **along)
        direct_label(axes, 6.2, rows[0]["dragger_fraction"], "smallest\nbias", "black", ha="right")
        direct_label(axes, 1, 0.0085, "hatched: SGD has\nthe smaller bias", "black", va="center")


def _edges(centres: Any) -> Any:
    """Cell borders [n + 1] half-way between centres [n], on a logarithmic axis."""
    middle = np.sqrt(centres[1:] * centres[:-1])
    first, last = centres[0] ** 2 / middle[0], centres[-1] ** 2 / middle[-1]
    return np.concatenate([[first], middle, [last]])


figure = BiasMap()
