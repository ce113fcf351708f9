"""A fixed clipping threshold: its worst case, its best value, micro-batches' price."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import best_sizes, fixed_radii
from analysis.advice.worst_case import WorstCase
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check, CheckError
from figures.kit.points import Point
from figures.kit.profiles import Profile

EPSILON = 0.01
SIGMA = 1.0
BATCH = 40
SIZES = (1, 10)  # single samples, and 0.1/ε
THRESHOLDS = {  # simulated
    1: (0.2, 1.0, 2.5, 3.5, 5.0, 10.0, 30.0),
    10: (0.1, 0.25, 0.5, 1.0, 2.5),
}
RANGE = (0.05, 40.0)
# The law that is simulated: a rare useful sample, some Gaussian noise; σ in all.
PROBABILITY = 0.1
GAUSSIAN = 0.3
RARE = float(np.sqrt((SIGMA**2 - GAUSSIAN**2) * (1 - PROBABILITY) / PROBABILITY))
DRAGGER = 20.0


class Threshold(Figure):
    """Rare useful samples one way, draggers the other, clipped at a constant."""

    name = "threshold"
    title = "One threshold has the smallest worst case"
    claims = ("huber_lemma", "optimal_threshold", "threshold_size", "minimax")
    place = 9

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One for each size and threshold; full: longer, with three step sizes."""
        noise = {
            "law": "rare",
            "probability": PROBABILITY,
            "value": RARE,
            "gaussian": GAUSSIAN,
        }
        model = worlds.line_model(
            dragger_fraction=EPSILON, noise=noise, dragger_norm=DRAGGER
        )
        run = {
            "steps": profile.pick(quick=[0.2, 0.1], full=[0.2, 0.1, 0.05]),
            "iterations": profile.pick(quick=4000, full=16_000),
            "replicates": profile.pick(quick=32, full=64),
        }
        rule: dict[str, Any] = {"rule": "fixed", "batch_size": BATCH}
        return [
            worlds.experiment(name, model, run, sizes=[b], threshold=c, **rule)
            for b in SIZES
            for name, c in _named(profile, b)
        ]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Worst case, exact bias and simulation by threshold; best ones by size."""
        first = self.experiments(profile)[0]
        model = first.gradient_model
        bound = CLAIMS["minimax"].evaluate(dragger_fraction=EPSILON, noise_scale=SIGMA)
        minimax, normalized = bound["minimax_bias"], best_sizes(EPSILON, SIGMA, 1.0)
        sizes = np.geomspace(1, 0.97 * normalized["breakdown"], 200)
        radii = _best(sizes)
        many = profile.pick(quick=9, full=60)
        runs = {
            b: {c: simulated[name][b] for name, c in _named(profile, b)} for b in SIZES
        }
        return {
            "run": first.to_mapping()["run"],
            "panels": [_panel(model, b, runs[b], many=many) for b in SIZES],
            "minimax": minimax,
            "sgd": exact_bias(model, "sgd", BATCH, 1).bias,
            "sizes": {
                "micro_batch_size": sizes,
                "threshold": radii["bias_radius"] / minimax,
                "normalized": radii["normalized_radius"] / minimax,
            },
            "normalized_best": {
                "micro_batch_size": normalized["micro_batch_size"],
                "ratio": normalized["bias_radius"] / minimax,
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the worst case, its minimum and limits, micro-batches' price."""
        lines = data["panels"]
        points = [point for line in lines for point in line["simulation"]]
        smallest = lines[0]["best"]["bias_radius"]
        return [
            *(
                Check.of(
                    f"exact_{b}",
                    f"b = {b}: simulated and exact bias agree",
                    checks.agree(line["simulation"]),
                )
                for b, line in zip(SIZES, lines, strict=True)
            ),
            Check.of(
                "simulated_below",
                "no simulated bias is above the worst case",
                checks.not_above([point | {"z": point["above"]} for point in points]),
            ),
            Check.of(
                "exact_below",
                "the exact bias is below the worst case at every threshold",
                checks.below("bias / worst case", _ratios(lines), 1),
            ),
            Check.of(
                "minimum",
                (
                    "the worst case is smallest at c*, where it is as large as "
                    "the closed form says"
                ),
                checks.within("drawn / closed form", _minima(lines), 1, 1e-9),
            ),
            Check.of(
                "minimax",
                "at b = 1 that is the bias that no rule can avoid",
                checks.within("ratio", smallest / data["minimax"], 1, 1e-9),
            ),
            Check.of(
                "small_thresholds",
                "small thresholds leave the normalized rule's radius less c",
                checks.within("ratio", _starts(lines), 1, 1e-9),
            ),
            Check.of(
                "price",
                (
                    f"micro-batches of {SIZES[1]} cost 8 %, the normalized "
                    "rule more than 100 %"
                ),
                checks.within("added cost in %", 100 * _price(data), 8, 0.5),
                checks.above(
                    "normalized / minimax", data["normalized_best"]["ratio"], 2
                ),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """The setting, best thresholds and worst cases, and the nearest point."""
        best = {f"b{b}": x["best"] for b, x in zip(SIZES, data["panels"], strict=True)}
        points = [point for line in data["panels"] for point in line["simulation"]]
        return {
            "fraction": EPSILON,
            "scale": SIGMA,
            "small": SIZES[0],
            "large": SIZES[1],
            "best": best,
            "price": _price(data),
            "batch_size": BATCH,
            "one_in": 1 / PROBABILITY,
            "norm": DRAGGER,
            "nearest": max(point["value"] / point["radius"] for point in points),
            "steps": ", ".join(f"{step:g}" for step in data["run"]["steps"]),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Against the threshold on the left, against the size on the right."""
        canvas, (left, right) = panels.subplots(
            1, 2, figsize=(6.4, 3.9), width_ratios=(1.75, 1)
        )
        panels.log_log(left, xlim=RANGE, ylim=(0.019, 1.25))
        dashes = (palette.SOLID, palette.DASHED)
        markers = "os"
        for line, style, marker in zip(data["panels"], dashes, markers, strict=True):
            _draw_size(left, line, style=style, marker=marker)
        left.axhline(data["minimax"], color=palette.MINIMAX, ls=palette.DOTTED)
        left.axhline(data["sgd"], color=palette.SGD, ls=palette.DASH_DOTTED, lw=0.9)
        left.set_xlabel("threshold c (gradient units)")
        left.set_ylabel("bias ‖∇f‖ (gradient units)")
        panels.plain_ticks(left.xaxis, (0.1, 0.3, 1, 3, 10, 30))
        panels.plain_ticks(left.yaxis, (0.02, 0.05, 0.1, 0.2, 0.5, 1))
        replicates = data["run"]["replicates"]
        left.set_title(panels.counted(self.title, replicates, intervals=False))
        _label_thresholds(left)
        _draw_sizes(right, data)
        return canvas


def _named(profile: Profile, b: int) -> list[tuple[str, float]]:
    """The thresholds simulated at size b, each after its experiment's name."""
    thresholds = enumerate(THRESHOLDS[b])
    return [(f"threshold_{profile}_b{b}_{i}", c) for i, c in thresholds]


def _best(sizes: Any) -> dict[str, Any]:
    """The best threshold for each size, the radius there and the normalized rule's."""
    given = {"dragger_fraction": EPSILON, "noise_scale": SIGMA, "alignment": 1.0}
    return CLAIMS["optimal_threshold"].evaluate(micro_batch_size=sizes, **given)


def exact_biases(
    model: GradientModel, b: int, thresholds: Iterable[float]
) -> dict[float, float]:
    """The exact bias by threshold. Raises CheckError where there is none."""
    exact = {}
    for c in thresholds:
        bias = exact_bias(model, "fixed", BATCH, b, threshold=c).bias
        if bias is None:
            raise CheckError(f"threshold: b = {b}: no stationary point at c = {c:g}")
        exact[c] = bias
    return exact


def _panel(
    model: GradientModel, b: int, runs: dict[float, Any], *, many: int
) -> dict[str, Any]:
    """Everything at one size; `many` exact values where the lines bend."""
    best, bend = _best(b), np.geomspace(0.4, DRAGGER, many) / b**0.5
    grid = np.unique([*RANGE, *bend, *THRESHOLDS[b], best["threshold"]])
    fine = np.unique([*grid, *np.geomspace(*RANGE, 400)])
    radii = fixed_radii(WorstCase(EPSILON, SIGMA), b, fine)
    radius = dict(zip(fine.tolist(), radii.tolist(), strict=True))
    exact = exact_biases(model, b, grid.tolist())
    simulation = [
        Point.of_bias(estimate, exact[c]).entry(
            threshold=c,
            radius=radius[c],
            above=estimate.score(radius[c]),
            without=("exact", "standard_error"),
        )
        for c, estimate in runs.items()
    ]
    return {
        "best": best,
        "worst": {"threshold": fine, "radius": list(radius.values())},
        "exact": {
            "threshold": grid,
            "bias": list(exact.values()),
            "radius": [radius[c] for c in exact],
        },
        "simulation": simulation,
    }


def _ratios(lines: list[dict[str, Any]]) -> list[float]:
    """Exact bias over worst case, at every threshold and size."""
    pairs = [
        pair
        for line in lines
        for pair in zip(line["exact"]["bias"], line["exact"]["radius"], strict=True)
    ]
    return [bias / radius for bias, radius in pairs]


def _minima(lines: list[dict[str, Any]]) -> list[float]:
    """Where the drawn lines are smallest, and how large: over the closed form's."""
    ratios = []
    for line in lines:
        worst, best = line["worst"], line["best"]
        i = int(np.argmin(worst["radius"]))
        ratios.append(worst["threshold"][i] / best["threshold"])
        ratios.append(worst["radius"][i] / best["bias_radius"])
    return ratios


def _starts(lines: list[dict[str, Any]]) -> list[float]:
    """Worst case plus threshold at the smallest one, over the normalized radius."""
    return [
        (line["worst"]["radius"][0] + line["worst"]["threshold"][0])
        / line["best"]["normalized_radius"]
        for line in lines
    ]


def _price(data: dict[str, Any]) -> float:
    """What clipping micro-batches, not samples, adds to the smallest worst case."""
    single, several = (line["best"]["bias_radius"] for line in data["panels"])
    return float(several / single - 1)


def _draw_size(axes: Any, line: dict[str, Any], *, style: Any, marker: str) -> None:
    """Worst case, exact bias, simulation and the best threshold at one size."""
    worst, exact, best = line["worst"], line["exact"], line["best"]
    look = {"color": palette.BOUND, "ls": style, "lw": 2.2}
    axes.plot(worst["threshold"], worst["radius"], **look)
    look = {"color": palette.FIXED, "ls": style, "lw": 1.1}
    axes.plot(exact["threshold"], exact["bias"], **look)
    panels.simulated(axes, line["simulation"], "threshold", fmt=marker, ms=4)
    look = {"color": palette.BOUND, "ms": 7, "zorder": 6}
    axes.plot(best["threshold"], best["bias_radius"], "v", **look)


def _label_thresholds(axes: Any) -> None:
    """Names beside the lines on the left."""
    bound, fixed = palette.BOUND, palette.FIXED
    panels.label(axes, 0.058, 1.02, "worst case, b = 1", color=bound, ha="left")
    panels.label(axes, 4.4, 0.86, "worst case,\nb = 10", color=bound, ha="right")
    panels.label(axes, 4.3, 0.033, "exact, b = 1", color=fixed, ha="left")
    panels.label(axes, 0.058, 0.051, "exact, b = 10", color=fixed, ha="left")
    panels.label(axes, 11, 0.215, "SGD", color=palette.SGD, ha="right")
    panels.label(axes, 0.055, 0.105, "minimax", color=palette.MINIMAX, ha="left")


def _draw_sizes(axes: Any, data: dict[str, Any]) -> None:
    """The smallest worst case at every size, relative to the minimax bound."""
    sizes, best, price = data["sizes"], data["normalized_best"], _price(data)
    b, normalized = sizes["micro_batch_size"], palette.NORMALIZED
    panels.log_log(axes, xlim=(0.9, 80), ylim=(0.8, 14))
    axes.plot(b, sizes["normalized"], color=normalized, ls=palette.DASH_DOTTED)
    axes.plot(b, sizes["threshold"], color=palette.BOUND, lw=2.2)
    axes.axhline(1, color=palette.MINIMAX, ls=palette.DOTTED)
    axes.plot(best["micro_batch_size"], best["ratio"], "v", color=normalized, ms=7)
    axes.plot(SIZES[1], 1 + price, "s", color=palette.BOUND, ms=6)
    axes.set_xlabel("micro-batch size b (samples)")
    axes.set_ylabel("worst case / minimax bound (dimensionless)")
    panels.plain_ticks(axes.xaxis, (1, 3, 10, 30))
    panels.plain_ticks(axes.yaxis, (1, 2, 5, 10))
    text = f"best threshold:\n+{100 * price:.0f} % at b = {SIZES[1]}"
    panels.labels(
        axes,
        (3.2, 6.6, "normalized", palette.NORMALIZED_TEXT),
        (1, 1.3, text, palette.BOUND),
        (1, 0.87, "minimax", palette.MINIMAX),
    )


figure = Threshold()
