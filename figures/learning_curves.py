"""Learning curves of a regression, and the best size at each horizon."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.spec.experiment import Experiment
from analysis.speed.horizons import SizeCurve, best_sizes, size_curves
from analysis.speed.learning_curve import Setting
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.measures import QUANTITIES

DIMENSION = 100
NOISE = 0.5
FRACTION = 0.02
NORM = 20.0
BATCH_SIZE = 32
SIZES = (1, 2, 4, 8, BATCH_SIZE)
SIMULATED = (1, 4, BATCH_SIZE)
STEP = 0.1
TRIED = tuple(STEP * 2.0**k for k in range(-2, 4))
ITERATIONS = 400
POINTS = 25
SHOWN = 2  # every so many points are simulated ones
LOSS = QUANTITIES.index("loss")
EARLY = 10  # iterations, or the first ones after them
LOOKS = {
    1: (palette.ADAPTIVE, palette.SOLID, "o"),
    2: (palette.NORMALIZED, palette.DASHED, "v"),
    4: (palette.VERMILION, palette.DASH_DOTTED, "s"),
    8: (palette.PURPLE, palette.LONG_DASH_DOTTED, "D"),
    BATCH_SIZE: (palette.SGD, palette.DOTTED, "^"),
}


class LearningCurves(Figure):
    """Algorithm 1 on least squares, draggers away from the optimum."""

    name = "learning_curves"
    title = "The longer the run, the smaller the best size"
    claims = ("learning_curve",)
    place = 18

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One step for all sizes; the sizes of which points are shown."""
        return [experiment(profile, SIMULATED)]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Curves with the common step and with tuned ones, and simulated points."""
        every = experiment(profile, SIZES)
        setting, floor = Setting.of(every), NOISE**2 / 2
        curves = {c.micro_batch_size: c for c in size_curves(every, [STEP])}
        tuned = size_curves(every, TRIED)
        (runs,) = simulated.values()
        degrees = every.run.replicates - 1
        shown = {
            str(b): _points(runs[b], curves[b], setting.allowance(b), degrees)
            for b in SIMULATED
        }
        return {
            "replicates": every.run.replicates,
            "iterations": curves[1].iterations,
            "curves": {str(b): curve.loss - floor for b, curve in curves.items()},
            "tuned": {str(c.micro_batch_size): c.loss - floor for c in tuned},
            "best": [row.micro_batch_size for row in best_sizes(tuned)],
            "allowance": {str(b): setting.allowance(b) for b in SIMULATED},
            "simulation": shown,
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, plateaus, who is ahead early, and the best sizes."""
        curves, iterations = data["curves"], np.array(data["iterations"])
        early = int(np.searchsorted(iterations, EARLY))
        late = int(np.searchsorted(iterations, ITERATIONS / 2))
        flat = [curves[str(b)][-1] / curves[str(b)][late] for b in SIZES[2:]]
        points = [p for shown in data["simulation"].values() for p in shown]
        tuned = data["tuned"]
        wins = [tuned[str(BATCH_SIZE)][0] / tuned["1"][0]]
        wins.append(tuned["1"][-1] / tuned[str(BATCH_SIZE)][-1])
        return [
            Check.of(
                "agreement",
                "simulated losses lie on the curves, up to what the dimension explains",
                checks.agree(points),
            ),
            Check.of(
                "plateau",
                f"from b = {SIZES[2]} on the loss no longer falls: a constant bias",
                checks.within("loss at the end, over that half-way", flat, 1, 0.05),
            ),
            Check.of(
                "bias",
                "the plateau rises with the size",
                checks.increasing(
                    "final loss", [curves[str(b)][-1] for b in SIZES[1:]]
                ),
            ),
            Check.of(
                "early",
                "with the common step larger sizes are ahead in the beginning",
                checks.decreasing("loss", [curves[str(b)][early] for b in SIZES]),
            ),
            Check.of(
                "best",
                "the best size, steps tuned, never grows with the horizon",
                checks.equal(
                    "first and last", [data["best"][0], data["best"][-1]], [32, 1]
                ),
                checks.at_most("change", np.diff(data["best"]), 0),
                checks.below("loss of the first and last best over another's", wins, 1),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """The model, the last losses and where the best size changes."""
        best, iterations = data["best"], data["iterations"]
        last = {b: tuned[-1] for b, tuned in data["tuned"].items()}
        changes = [
            f"{size} from {iterations[best.index(size)]} iterations"
            for size in dict.fromkeys(best)
        ]
        return {
            "dimension": DIMENSION,
            "batch_size": BATCH_SIZE,
            "fraction": FRACTION,
            "norm": NORM,
            "noise": NOISE,
            "step": STEP,
            "tried": f"{TRIED[0]:g} to {TRIED[-1]:g}",
            "changes": ", ".join(changes),
            "ratio": last[str(BATCH_SIZE)] / last["1"],
            "last": ITERATIONS,
            "plateaus": {
                f"of_{b}": data["curves"][str(b)][-1] for b in (*SIZES[1:3], BATCH_SIZE)
            },
            "most": max(data["allowance"].values()),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Losses on the left, the best size on the right."""
        canvas, (left, right) = panels.subplots(1, 2, figsize=(6.4, 3.6))
        _draw_losses(left, data)
        _draw_best(right, data)
        title = panels.counted(self.title, data["replicates"])
        canvas.suptitle(title, x=0.02, ha="left", fontsize=10)
        return canvas


def experiment(profile: Profile, sizes: Sequence[int]) -> Experiment:
    """Those sizes with the common step; w* has length 1, and draggers oppose it."""
    about = {"dimension": DIMENSION, "noise": NOISE, "optimum": DIMENSION**-0.5}
    model = {
        "problem": "linear_regression",
        "dragger_fraction": FRACTION,
        "linear_regression": about,
        "dragger": {"law": "persistent", "norm": NORM, "direction": 1.0},
    }
    run = {
        "measure": "trajectory",
        "steps": (STEP,),
        "iterations": ITERATIONS,
        "points": POINTS,
        "replicates": profile.pick(quick=16, full=128),
        "seed": 17,
    }
    name = f"learning_curves_{profile}"
    return worlds.experiment(
        name, model, run, rule="adaptive", batch_size=BATCH_SIZE, sizes=sizes
    )


def _points(
    run: Any, curve: SizeCurve, allowance: float, degrees: int
) -> list[dict[str, Any]]:
    """Simulated excess losses; z counts what is beyond the allowance."""
    floor = NOISE**2 / 2
    shown = []
    for i in range(SHOWN, len(curve.iterations), SHOWN):
        value, error = run.mean[0][i][LOSS] - floor, run.standard_error[0][i][LOSS]
        exact = curve.loss[i] - floor
        reach = allowance * exact
        beyond = value - np.clip(value, exact - reach, exact + reach)
        point = Point.of_mean(value, error, degrees, exact=exact)
        entry = point.entry(iterations=int(curve.iterations[i]))
        shown.append(entry | {"z": beyond / error})
    return shown


def _named(size: int) -> str:
    return "SGD" if size == BATCH_SIZE else f"b = {size}"


def _draw_losses(axes: Any, data: dict[str, Any]) -> None:
    panels.log_log(
        axes,
        xlim=(1, ITERATIONS),
        ylim=(0.015, 0.7),
        xlabel="iterations",
        ylabel="loss above its minimum (loss units)",
    )
    for size, loss in data["curves"].items():
        color, dashes, marker = LOOKS[int(size)]
        label = _named(int(size))
        axes.plot(data["iterations"], loss, color=color, ls=dashes, label=label)
        points = data["simulation"].get(size, [])
        style = {"color": color, "fmt": marker, "ms": 4}
        panels.simulated(axes, points, "iterations", **style)
    axes.legend(loc="lower left")
    panels.plain_ticks(axes.xaxis, [1, 10, 100])
    panels.plain_ticks(axes.yaxis, [0.02, 0.05, 0.1, 0.2, 0.5])
    panels.rulers(axes)


def _draw_best(axes: Any, data: dict[str, Any]) -> None:
    panels.log_log(
        axes,
        xlim=(1, ITERATIONS),
        ylim=(0.8, 40),
        xlabel="length of the run (iterations)",
        ylabel="best size b (samples), step tuned",
    )
    axes.step(
        data["iterations"], data["best"], where="mid", color=palette.ADAPTIVE, lw=2
    )
    axes.text(1.2, 0.86 * BATCH_SIZE, "SGD", va="top", color=palette.SGD)
    panels.plain_ticks(axes.xaxis, [1, 10, 100])
    panels.plain_ticks(axes.yaxis, SIZES)


figure = LearningCurves()
