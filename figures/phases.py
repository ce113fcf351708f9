"""Draggers in one phase of training: a span of time, or a band of gradient norms."""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy import optimize

from analysis.claims import CLAIMS
from analysis.rest.mean_norm import AtRest, at_rest
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim import measures
from sim.results import Trajectories

BATCH_SIZE = 64
FRACTION = 0.01
NORM = 300.0
NOISE = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.3}
SPAN = (600, 1100)  # iterations
BAND = (0.5, 6.0)  # gradient norms
ACTIVE = {"span": {"iterations": SPAN}, "band": {"gradient_norm": BAND}}
RUNS = {
    "span": {"iterations": 1700, "start": 0.0},
    "band": {"iterations": 6000, "start": 8.0},
}
REACH = 150  # iterations after the span in which SGD's return is followed
BEYOND = (1e3, 1e4, 1e5, 1e6)  # dragger norms, far beyond the simulated one


class Line(NamedTuple):
    """A rule in a panel: how much a step shrinks small deviations; its name's place."""

    rule: str
    size: int
    shrinkage: float
    x: float
    y: float


class Look(NamedTuple):
    """How a rule is drawn, and the colour of its name."""

    color: str
    marker: str
    name: str
    text: str


# SGD is Algorithm 1 with a single micro-batch.
LINES = {
    "span": (
        Line("adaptive", BATCH_SIZE, 0.02, 830, 1.7),
        Line("adaptive", 1, 0.02, 700, 0.34),
        Line("adaptive", 8, 0.02, 700, 0.05),
    ),
    "band": (
        Line("adaptive", BATCH_SIZE, 0.003, 4300, 3.5),
        Line("adaptive", 32, 0.003, 3700, 1.55),
        Line("normalized", 32, 0.02, 3350, 0.1),
        Line("adaptive", 8, 0.003, 700, 0.2),
    ),
}
SINGLE, LARGE = (palette.ORANGE, "^"), (palette.ORANGE, "v")
LOOKS = {
    ("adaptive", BATCH_SIZE): Look(palette.SGD, "s", "SGD", palette.SGD),
    ("adaptive", 1): Look(*SINGLE, "Algorithm 1, b = 1", palette.OCHRE),
    ("adaptive", 32): Look(*LARGE, "Algorithm 1, b = 32", palette.OCHRE),
    ("normalized", 32): Look(
        palette.NORMALIZED, "D", "normalized, b = 32", palette.NORMALIZED_TEXT
    ),
    ("adaptive", 8): Look(
        palette.ADAPTIVE, "o", "Algorithm 1, b = 8", palette.ADAPTIVE
    ),
}


class Phases(Figure):
    """The noise of the worked law, in one dimension."""

    name = "phases"
    title = "Small micro-batches withstand a phase of draggers"
    claims = ("drift", "sgd_persistent_bias")
    place = 14

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One for each panel, rule and size, with its own step."""
        return [
            _experiment(panel, line, profile)
            for panel, lines in LINES.items()
            for line in lines
        ]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Mean gradient norms, their levels in theory, and what draggers are passed."""
        shown: dict[str, list[dict[str, Any]]] = {panel: [] for panel in LINES}
        for e in self.experiments(profile):
            panel, (b,) = e.name.split("_")[1], e.algorithm.sizes
            shown[panel].append(_line(panel, e, simulated[e.name][b]))
        sgd = shown["span"][0]
        sigma = e.gradient_model.noise_scale()
        return {
            "replicates": e.run.replicates,
            "panels": shown,
            "recovery": _recovery(sgd),
            "smallest_drift": _smallest_drift(32, sigma),
            "passed": {
                "sgd": NORM * BAND[0] / _sgd_bias(sgd["step"], sigma),
                "32": optimize.brentq(
                    lambda norm: _bias(32, norm) - BAND[0], 10, NORM, rtol=1e-3
                ),
                "8": [_bias(8, norm) for norm in BEYOND],
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Levels in both panels, recovery, and who passes the band in theory."""
        span, band = data["panels"]["span"], data["panels"]["band"]
        before, during = (_values(span, i) for i in (0, 1))
        passed = data["passed"]
        held = {
            "exact bias": [line["levels"]["with"]["bias"] for line in band],
            "mean norm in the end": _values(band, 0),
        }
        return [
            Check.of(
                "span",
                "before, in and after the span each simulated rule is at the level "
                "that theory gives it",
                checks.agree([p for line in span for p in line["compared"]]),
            ),
            Check.of(
                "recovery",
                "after the span the simulated mean gradient of SGD shrinks by the "
                "factor 1 - η a step",
                checks.agree(data["recovery"]),
            ),
            Check.of(
                "order",
                "with draggers SGD is worst and b = 8 best, without them SGD is best",
                checks.ordered(
                    {"b = 8": during[2], "b = 1": during[1], "SGD": during[0]}
                ),
                checks.ordered(
                    {"SGD": before[0], "b = 8": before[2], "b = 1": before[1]}
                ),
            ),
            Check.of(
                "end",
                "in the end each simulated rule is at its level with draggers, or at "
                "that without if its exact bias with draggers is below the band",
                checks.agree([line["compared"][0] for line in band]),
            ),
            Check.of(
                "held",
                "SGD and Algorithm 1 at b = 32 are held in the band, the others pass",
                *(
                    condition
                    for name, (sgd, large, *others) in held.items()
                    for condition in (
                        checks.above(f"{name} of the first two", [sgd, large], BAND[0]),
                        checks.at_most(f"{name} of the others", others, BAND[0]),
                    )
                ),
            ),
            Check.of(
                "drift",
                "the worst-case drift of the normalized rule is positive in the band",
                checks.above("smallest drift", data["smallest_drift"], 0),
            ),
            Check.of(
                "passed",
                f"Algorithm 1 passes draggers of norm up to at least {BEYOND[-1]:g} at "
                "b = 8, at b = 32 little stronger ones than SGD",
                checks.below("bias at b = 8", passed["8"], BAND[0]),
                checks.ordered(
                    {
                        "norm passed by SGD": passed["sgd"],
                        "at b = 32": passed["32"],
                        "here": NORM,
                    }
                ),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Levels before, in and after the span; what holds and passes; the settings."""
        span, band = data["panels"]["span"], data["panels"]["band"]
        sgd, single, eight = ([p["value"] for p in line["compared"]] for line in span)
        passed = data["passed"]
        return {
            "batch_size": BATCH_SIZE,
            "fraction": FRACTION,
            "norm": NORM,
            "noise": NOISE,
            "active": [*SPAN, *BAND],
            "sgd": sgd,
            "single": single,
            "eight": eight,
            "held": _values(band, 0),
            "norms": [passed["sgd"], passed["32"]],
            "far": BEYOND[-1],
            "far_bias": passed["8"][-1],
            "steps": ", ".join(f"{line['step']:.2g}" for line in (*span, *band)),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The span above, the band below; norms logarithmic."""
        canvas, (top, bottom) = panels.subplots(2, 1, figsize=(6.4, 6.8))
        top.axvspan(*SPAN, color=palette.REGION, lw=0)
        bottom.axhspan(*BAND, color=palette.REGION, lw=0)
        _draw_panel(top, "span", data)
        _draw_panel(bottom, "band", data)
        back = data["recovery"]
        line = [[p[key] for p in back] for key in ("iteration", "exact")]
        top.plot(*line, "k-", lw=1.2)
        look = {"color": palette.REGION_TEXT}
        top.text(SPAN[0] + 25, 0.0075, "draggers", **look)
        place = {"ha": "right", "transform": bottom.get_yaxis_transform()}
        bottom.text(0.985, 4.5, "draggers", **look, **place)
        panels.plain_ticks(top.yaxis, [0.01, 0.03, 0.1, 0.3, 1, 3])
        panels.plain_ticks(bottom.yaxis, [0.01, 0.03, 0.1, 0.3, 1, 3, 10])
        bottom.set_xlabel("iteration")
        bottom.set_title("Draggers while the gradient's norm is in a band")
        title = panels.counted(self.title, data["replicates"], intervals=False)
        top.set_title(title)
        return canvas


def model_with(fraction: float, norm: float) -> GradientModel:
    """The noise of the worked law, with draggers of that norm."""
    return GradientModel.read(_model(fraction, norm))


def _model(fraction: float, norm: float) -> dict[str, Any]:
    return worlds.line_model(dragger_fraction=fraction, noise=NOISE, dragger_norm=norm)


def _experiment(panel: str, line: Line, profile: Profile) -> Experiment:
    """One rule, with the step at which small deviations shrink as the line says."""
    near = _at_rest(line.rule, line.size, 0.0).fluctuation
    run = RUNS[panel] | {
        "measure": "trajectory",
        "points": 300,
        "seed": 14,
        "steps": [float(f"{line.shrinkage / near.contraction:.4g}")],
        "replicates": profile.pick(quick=256, full=2048),
    }
    model = _model(FRACTION, NORM)
    model["dragger"]["active"] = ACTIVE[panel]
    return worlds.experiment(
        f"phases_{panel}_{line.rule}_{line.size}_{profile}",
        model,
        run,
        rule=line.rule,
        batch_size=BATCH_SIZE,
        sizes=[line.size],
    )


@cache
def _at_rest(rule: str, b: int, fraction: float) -> AtRest:
    clipping = Clipping(Rule(rule), BATCH_SIZE, b)
    return at_rest(model_with(fraction, NORM), clipping)


def _bias(b: int, norm: float) -> float:
    """Exact bias of Algorithm 1 with draggers of another norm; infinite if they win."""
    bias = exact_bias(model_with(FRACTION, norm), "adaptive", BATCH_SIZE, b).bias
    return math.inf if bias is None else bias


def _line(panel: str, experiment: Experiment, found: Trajectories) -> dict[str, Any]:
    """One rule's simulated points, and those that are compared with its levels."""
    run, rule, (b,) = (
        experiment.run,
        experiment.algorithm.rule,
        experiment.algorithm.sizes,
    )
    shown = []
    for t, (mean, *_), (error, *_) in zip(
        measures.points(run), found.mean[0], found.standard_error[0], strict=True
    ):
        point = Point.of_mean(mean, error, run.replicates - 1)
        entry = point.entry(iteration=t, without=("standard_error",))
        shown.append(entry | {"error": error})
    levels = {}
    for name, fraction in {"with": FRACTION, "without": 0.0}.items():
        rest = _at_rest(rule, b, fraction)
        levels[name] = {"bias": rest.bias, "norm": rest.mean_norm(run.steps[0])}
    held = "with" if levels["with"]["bias"] > BAND[0] else "without"
    ends = {run.iterations: held}
    if panel == "span":
        ends = {SPAN[0]: "without", SPAN[1]: "with", run.iterations: "without"}
    compared = []
    for end, name in ends.items():
        last = [p for p in shown if p["iteration"] <= end][-1]
        compared.append(_against(last, levels[name]["norm"]))
    return {
        "step": run.steps[0],
        "points": shown,
        "levels": levels,
        "compared": compared,
    }


def _against(point: dict[str, Any], exact: float) -> dict[str, Any]:
    """The point with an exact value, and its distance from that in standard errors."""
    return point | {"exact": exact, "z": (point["value"] - exact) / point["error"]}


def _recovery(sgd: dict[str, Any]) -> list[dict[str, Any]]:
    """SGD's points after the span beside its exact mean gradient, bias (1-η)^t."""
    bias, shrink = sgd["levels"]["with"]["bias"], 1 - sgd["step"]
    after = [p for p in sgd["points"] if 0 < p["iteration"] - SPAN[1] <= REACH]
    return [_against(p, bias * shrink ** (p["iteration"] - SPAN[1])) for p in after]


def _sgd_bias(step: float, noise_scale: float) -> Any:
    values = CLAIMS["sgd_persistent_bias"].evaluate(
        batch_size=float(BATCH_SIZE),
        dragger_fraction=FRACTION,
        noise_scale=noise_scale,
        dragger_norm=NORM,
        dragger_mean=NORM,
        learning_rate=step,
        **dict.fromkeys(("smoothness", "initial_gap", "horizon", "alignment"), 1.0),
    )
    return values["small_step_bias"]


def _smallest_drift(b: int, noise_scale: float) -> Any:
    """The smallest worst-case drift of the normalized rule in the band."""
    values = CLAIMS["drift"].evaluate(
        gradient_norm=np.geomspace(*BAND, 50),
        micro_batch_size=b,
        dragger_fraction=FRACTION,
        noise_scale=noise_scale,
        alignment=1.0,
    )
    return min(values["drift_bound"])


def _values(lines: list[dict[str, Any]], i: int) -> list[float]:
    """The i-th simulated value of each line that is compared with theory."""
    return [line["compared"][i]["value"] for line in lines]


def _evenly(line: list[dict[str, Any]], end: float) -> list[dict[str, Any]]:
    """Of these points about 40 that are evenly spread."""
    wanted = np.arange(1, 41) * end / 40
    at = np.array([p["iteration"] for p in line])
    return [line[i] for i in sorted({int(np.abs(at - t).argmin()) for t in wanted})]


def _draw_panel(axes: Any, panel: str, data: dict[str, Any]) -> None:
    """Points, names and levels of every rule in a panel."""
    end = RUNS[panel]["iterations"]
    axes.set(yscale="log", xlim=(0, 1.02 * end), ylabel="mean ‖∇f‖ (gradient units)")
    style = {"ms": 3.5, "lw": 0.8, "capsize": 1.5}
    for line, found in zip(LINES[panel], data["panels"][panel], strict=True):
        look, shown = LOOKS[line.rule, line.size], _evenly(found["points"], end)
        marks = {"fmt": look.marker, "color": look.color}
        panels.simulated(axes, shown, "iteration", **marks, **style)
        panels.label(axes, line.x, line.y, look.name, color=look.text)
        for p in found["compared"]:
            begin = p["iteration"] - 0.13 * end
            axes.plot([begin, p["iteration"]], [p["exact"]] * 2, "k-", lw=1.2)


figure = Phases()
