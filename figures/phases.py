"""Draggers in one phase of training only: in a span of time, or in a band of gradient norms."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy import optimize

from analysis.claims import CLAIMS
from analysis.rest.fluctuation import fluctuation
from analysis.rest.stable import exact_bias, stationary_points
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment
from figures.checks import Check, agreement
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from figures.marks import ADAPTIVE, NORMALIZED, ORANGE, SGD, direct_label, plain_ticks, simulated
from sim.estimate import CONFIDENCE, quantile
from sim.measures import points
from sim.results import Trajectories

BATCH, FRACTION, NORM = 64, 0.01, 300.0
NOISE = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.3}
SPAN, BAND = (600, 1100), (0.5, 6.0)  # iterations, gradient norms
RUNS = {"span": {"iterations": 1700, "start": 0.0}, "band": {"iterations": 6000, "start": 8.0}}
SGD_RULE = ("adaptive", BATCH)  # of a single micro-batch
LINES = {  # rule and size: by how much a step shrinks a small deviation; where the label stands
    "span": {
        SGD_RULE: (0.02, 830, 1.7),
        ("adaptive", 1): (0.02, 700, 0.34),
        ("adaptive", 8): (0.02, 700, 0.05),
    },
    "band": {
        SGD_RULE: (0.003, 4300, 3.5),
        ("adaptive", 32): (0.003, 3700, 1.55),
        ("normalized", 32): (0.02, 3350, 0.1),
        ("adaptive", 8): (0.003, 700, 0.2),
    },
}
LOOK = {
    SGD_RULE: (SGD, "s", "SGD"),
    ("adaptive", 1): (ORANGE, "^", "Algorithm 1, b = 1"),
    ("adaptive", 32): (ORANGE, "v", "Algorithm 1, b = 32"),
    ("normalized", 32): (NORMALIZED, "D", "normalized, b = 32"),
    ("adaptive", 8): (ADAPTIVE, "o", "Algorithm 1, b = 8"),
}
DARK = {NORMALIZED: "#2A7FB0", ORANGE: "#A86F00"}  # of text
BEYOND = (1e3, 1e4, 1e5, 1e6)  # dragger norms, far beyond the simulated one


class Phases(Figure):
    """The noise of the worked law, in one dimension."""

    name = "phases"
    title = "Draggers for a while only"
    claims = ("drift", "sgd_persistent_bias")
    place = 14

    def experiments(self, profile: str) -> list[Experiment]:
        """One for each panel, rule and size, with its own step."""
        replicates = 2048 if profile == "full" else 256
        found = []
        for panel, lines in LINES.items():
            active = {"iterations": SPAN} if panel == "span" else {"gradient_norm": BAND}
            for (rule, b), (rate, *_) in lines.items():
                step = float(f"{rate / _near(rule, b, 0.0)['contraction']:.4g}")
                run = RUNS[panel] | {"measure": "trajectory", "points": 300, "seed": 14}
                run |= {"steps": [step], "replicates": replicates}
                mapping = _mapping(rule, b, FRACTION, NORM) | {"run": run}
                mapping["model"]["dragger"]["active"] = active
                name = f"phases_{panel}_{rule}_{b}_{profile}"
                found.append(Experiment.from_mapping(mapping, name=name))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Mean gradient norms, the levels that theory gives them, and which draggers are passed."""
        experiments = self.experiments(profile)
        panels: dict[str, list[dict[str, Any]]] = {panel: [] for panel in LINES}
        for e in experiments:
            panel, (b,) = e.name.split("_")[1], e.algorithm.sizes
            panels[panel].append(_line(panel, e, simulated[e.name][b]))
        sgd = panels["span"][0]
        bias, shrink = sgd["levels"]["with"]["bias"], 1 - sgd["step"]
        sigma = e.gradient_model.noise_scale()
        limit = CLAIMS["sgd_persistent_bias"].evaluate(
            **{"smoothness": 1.0, "initial_gap": 1.0, "horizon": 1.0, "alignment": 1.0},
            **{"batch_size": float(BATCH), "dragger_fraction": FRACTION, "noise_scale": sigma},
            **{"dragger_norm": NORM, "dragger_mean": NORM, "learning_rate": sgd["step"]},
        )["small_step_bias"]
        pull = CLAIMS["drift"].evaluate(
            gradient_norm=np.geomspace(*BAND, 50),
            **{"micro_batch_size": 32, "dragger_fraction": FRACTION, "noise_scale": sigma},
            alignment=1.0,
        )["drift_bound"]
        return {
            "replicates": e.run.replicates,
            "panels": panels,
            "recovery": [
                p | {"exact": exact, "z": (p["value"] - exact) / p["error"]}
                for p in sgd["points"]
                if 0 < (t := p["iteration"] - SPAN[1]) <= 150
                for exact in [bias * shrink**t]
            ],
            "smallest_drift": min(pull),
            "passed": {
                "sgd": NORM * BAND[0] / limit,
                "32": optimize.brentq(lambda norm: _bias(32, norm) - BAND[0], 10, NORM, rtol=1e-3),
                "8": [_bias(8, norm) for norm in BEYOND],
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Levels in both panels, recovery, and who passes the band in theory."""
        span, band = data["panels"]["span"], data["panels"]["band"]
        before, within = ([line["compared"][i]["value"] for line in span] for i in (0, 1))
        ends = [line["compared"][0]["value"] for line in band]
        biases = [line["levels"]["with"]["bias"] for line in band]
        passed = data["passed"]
        return [
            agreement(
                "before, in and after the span each rule is at the level that theory gives it",
                [p for line in span for p in line["compared"]],
            ),
            agreement(
                "after the span SGD's mean gradient shrinks by the factor 1 - η a step",
                data["recovery"],
            ),
            Check(
                "with draggers SGD is worst and b = 8 best, without them SGD is best",
                "two orders (SGD, b = 1, b = 8)",
                f"{_listed(within)}; {_listed(before)}",
                within[0] > within[1] > within[2] and before[0] < before[2] < before[1],
            ),
            agreement(
                "in the end each rule is at its level with draggers, or at that without if its "
                "exact bias with draggers is below the band",
                [line["compared"][0] for line in band],
            ),
            Check(
                "SGD and Algorithm 1 at b = 32 are held in the band, the others pass it",
                "held, held, passed, passed by exact bias and by simulation",
                f"bias {_listed(biases)}; in the end {_listed(ends)}",
                all(
                    [x > BAND[0] for x in found] == [True, True, False, False]
                    for found in (biases, ends)
                ),
            ),
            Check(
                "the worst-case drift of the normalized rule is positive throughout the band",
                "smallest above 0",
                f"{data['smallest_drift']:.4f}",
                data["smallest_drift"] > 0,
            ),
            Check(
                f"Algorithm 1 passes draggers of norm up to at least {BEYOND[-1]:g} at b = 8, at "
                "b = 32 little stronger ones than SGD",
                f"biases up to that norm below {BAND[0]:g}; norms in the order SGD, b = 32, here",
                f"{max(passed['8']):.4f}; {passed['sgd']:.0f}, {passed['32']:.0f}, {NORM:g}",
                max(passed["8"]) < BAND[0] and passed["sgd"] < passed["32"] < NORM,
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """What happens in both panels."""
        span, band = data["panels"]["span"], data["panels"]["band"]
        sgd, one, eight = ([p["value"] for p in line["compared"]] for line in span)
        held, passed = [line["compared"][0]["value"] for line in band], data["passed"]
        steps = ", ".join(f"{line['step']:.2g}" for line in (*span, *band))
        return (
            "Mean norm of the gradient against the iteration for mini-batches of "
            f"{BATCH} samples in dimension 1, with rare and useful samples (a fraction "
            f"{NOISE['probability']:g}, value {NOISE['value']:g}). Draggers of norm {NORM:g}, a "
            f"fraction {FRACTION:g} of all samples, exist in the shaded region only. "
            f"Above: from iteration {SPAN[0]} to {SPAN[1]}. SGD goes from {sgd[0]:.3f} to "
            f"{sgd[1]:.2f} and back to {sgd[2]:.3f}, its mean shrinking by 1 - η a step; clipping "
            f"single samples stays at {one[0]:.2f}, draggers or not; micro-batches of 8 go from "
            f"{eight[0]:.3f} to {eight[1]:.3f}. Below: "
            f"while the gradient's norm is from {BAND[0]:g} to {BAND[1]:g}, started above. A rule "
            "is held in the band if its exact bias with draggers lies there: SGD at "
            f"{held[0]:.2f}, Algorithm 1 with two micro-batches of 32 at {held[1]:.2f}. The "
            "normalized rule at b = 32, whose worst-case drift is positive throughout the band, "
            "and Algorithm 1 at b = 8 pass. The strongest draggers that SGD passes have norm "
            f"{passed['sgd']:.0f}, for Algorithm 1 at b = 32 {passed['32']:.0f}; at b = 8 it "
            f"passes those of norm up to at least {BEYOND[-1]:g} (bias "
            f"{passed['8'][-1]:.3f}). Lines: mean norm at rest by theory (exact bias, mean "
            "shift and variance of first order in the step) and SGD's "
            f"exact return. Points: simulated, {data['replicates']} replicates, 99 % intervals; "
            f"steps {steps} in the order of the labels."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """Both panels in words."""
        return (
            "Two plots of the gradient norm against time, with the region in which there are "
            "draggers shaded. Above, SGD rises in it by a factor of hundreds and returns, two "
            "clipping rules hardly move. Below, SGD and one clipping rule stay in the shaded band "
            "while two clipping rules fall through it."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The span above, the band below; norms logarithmic."""
        canvas, (top, bottom) = subplots(2, 1, figsize=(6.4, 6.8))
        top.axvspan(*SPAN, color="0.92", lw=0)
        bottom.axhspan(*BAND, color="0.92", lw=0)
        for axes, panel in ((top, "span"), (bottom, "band")):
            end = RUNS[panel]["iterations"]
            axes.set(yscale="log", xlim=(0, 1.02 * end), ylabel="mean ‖∇f‖ (gradient units)")
            for key, line in zip(LINES[panel], data["panels"][panel], strict=True):
                (color, marker, name), shown = LOOK[key], _spread(line["points"], end)
                look = {"fmt": marker, "ms": 3.5, "color": color, "lw": 0.8, "capsize": 1.5}
                simulated(axes, shown, "iteration", **look)
                direct_label(axes, *LINES[panel][key][1:], name, DARK.get(color, color))
                for p in line["compared"]:
                    begin = p["iteration"] - 0.13 * end
                    axes.plot([begin, p["iteration"]], [p["exact"]] * 2, "k-", lw=1.2)
        back = data["recovery"]
        top.plot([p["iteration"] for p in back], [p["exact"] for p in back], "k-", lw=1.2)
        top.text(SPAN[0] + 25, 0.0075, "draggers", color="0.35")
        bottom.text(
            0.985, 4.5, "draggers", color="0.35", ha="right", transform=bottom.get_yaxis_transform()
        )
        plain_ticks(top.yaxis, [0.01, 0.03, 0.1, 0.3, 1, 3])
        plain_ticks(bottom.yaxis, [0.01, 0.03, 0.1, 0.3, 1, 3, 10])
        bottom.set(xlabel="iteration", title="Draggers while the gradient's norm is in a band")
        top.set_title(f"{self.title}   (n = {data['replicates']} replicates, 99 % intervals)")
        return canvas


def _mapping(rule: str, b: int, fraction: float, norm: float) -> dict[str, Any]:
    dragger = {"law": "persistent", "norm": norm, "direction": [-1.0]}
    model = {"dimension": 1, "dragger_fraction": fraction, "noise": NOISE, "dragger": dragger}
    algorithm = {"rule": rule, "batch_size": BATCH, "micro_batch_sizes": [b]}
    return {"model": model, "algorithm": algorithm}


def _near(rule: str, b: int, fraction: float) -> dict[str, float]:
    """Exact bias, and contraction, noise and shift per unit step at the point of rest."""
    experiment = Experiment.from_mapping(_mapping(rule, b, fraction, NORM))
    update = Update(experiment.gradient_model, experiment.algorithm.clipping(b))
    (point,) = stationary_points(update)
    close = fluctuation(update, point.gradient)
    assert close is not None  # the noise has a Gaussian part
    return {"bias": point.norm, **vars(close)}


def _bias(b: int, norm: float) -> float:
    """Exact bias of Algorithm 1 with draggers of another norm."""
    model = Experiment.from_mapping(_mapping("adaptive", b, FRACTION, norm)).gradient_model
    bias = exact_bias(model, "adaptive", BATCH, b).bias
    return math.inf if bias is None else bias


def folded(mean: float, spread: float) -> float:
    """E|x| of a normal x."""
    z = mean / spread
    flat = math.sqrt(2 / math.pi) * math.exp(-(z**2) / 2)
    return spread * (z * math.erf(z / math.sqrt(2)) + flat)


def _level(rule: str, b: int, fraction: float, step: float) -> dict[str, float]:
    """E‖∇f‖ at rest, for ∇f normal with the mean and variance of first order in the step."""
    near = _near(rule, b, fraction)
    spread = math.sqrt(step * near["noise"] / (2 * near["contraction"]))
    return {"bias": near["bias"], "norm": folded(near["bias"] + step * near["slope"], spread)}


def _line(panel: str, experiment: Experiment, found: Trajectories) -> dict[str, Any]:
    """One rule's simulated points, and those that are compared with its levels."""
    run, (b,) = experiment.run, experiment.algorithm.sizes
    rule, degrees, step = experiment.algorithm.rule, run.replicates - 1, run.steps[0]
    shown: list[dict[str, Any]] = []
    for t, mean, error in zip(points(run), found.mean[0], found.standard_error[0], strict=True):
        reach = quantile((1 + CONFIDENCE) / 2, degrees) * error[0]
        interval = [mean[0] - reach, mean[0] + reach]
        point = {"iteration": t, "value": mean[0], "error": error[0], "interval": interval}
        shown.append(point | {"degrees": degrees})
    levels = {"with": _level(rule, b, FRACTION, step), "without": _level(rule, b, 0.0, step)}
    held = "with" if levels["with"]["bias"] > BAND[0] else "without"
    wanted = [(run.iterations, held)]
    if panel == "span":
        wanted = [(SPAN[0], "without"), (SPAN[1], "with"), (run.iterations, "without")]
    compared = []
    for t, kind in wanted:
        last, exact = [p for p in shown if p["iteration"] <= t][-1], levels[kind]["norm"]
        compared.append(last | {"exact": exact, "z": (last["value"] - exact) / last["error"]})
    return {"step": step, "points": shown, "levels": levels, "compared": compared}


def _spread(line: list[dict[str, Any]], end: float) -> list[dict[str, Any]]:
    """Of these points about 40 that are evenly spread."""
    wanted = np.arange(1, 41) * end / 40
    at = np.array([p["iteration"] for p in line])
    return [line[i] for i in sorted({int(np.abs(at - t).argmin()) for t in wanted})]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{x:.3f}" for x in values)


figure = Phases()
