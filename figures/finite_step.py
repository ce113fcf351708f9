"""What a finite step adds to the bias: two rules on one model, and extrapolation to zero step."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from analysis.claims import CLAIMS
from analysis.rest.fluctuation import fluctuation
from analysis.rest.stable import stationary_points
from analysis.rest.stationary import largest_stable_step, on_grid, on_lattice
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment
from figures.checks import Check, agreement
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from figures.marks import ADAPTIVE, DASHED, NORMALIZED, ORANGE, SGD, direct_label, simulated
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.estimate import CONFIDENCE, estimate, extrapolation_weights, quantile
from sim.measures import Bias
from sim.sweep.measure import available_cores

Array = NDArray[np.float64]
b, m, FRACTION = 8, 4, 0.05
STEPS = {"normalized": (0.4, 0.2, 0.1, 0.05, 0.025), "adaptive": (1.2, 0.6, 0.3, 0.15, 0.075)}
LOOK = {
    "normalized": ("Normalized rule", NORMALIZED, "step γ (gradient units)"),
    "adaptive": ("Algorithm 1", ADAPTIVE, "step η (dimensionless)"),
}
SKY, BROWN = "#2A7FB0", "#A86F00"  # colours of lines and points, darker, for text
MODEL: dict[str, Any] = {
    "dimension": 1,
    "dragger_fraction": FRACTION,
    "noise": {"law": "gaussian", "scale": 1.0},
    "dragger": {"law": "persistent", "norm": 20.0, "direction": [-1.0]},
}


class FiniteStep(Figure):
    """One dimension. Stored results are extrapolated: each step is simulated with the data."""

    name = "finite_step"
    title = "A finite step adds to the bias, or takes from it"
    claims = ("finite_step",)
    place = 15

    def experiments(self, profile: str) -> list[Experiment]:
        """None with stored results."""
        return []

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Shift at each step, its theory, what two steps extrapolate to; where it diverges."""
        replicates, iterations = (1024, 16_000) if profile == "full" else (128, 4000)
        run = {"replicates": replicates, "iterations": iterations, "burn_in": 0.25, "seed": 15}
        model = experiment_of("adaptive", {}).gradient_model
        limit = largest_stable_step(model, b, m)
        large = [("adaptive", 0.85 * limit), ("adaptive", 1.15 * limit), ("normalized", 50.0)]
        far = [batch_means(rule, {"replicates": 16}, h) for rule, h in large]
        finite = [bool(np.isfinite(means).all()) for means in far]
        sizes = {"limit": limit, "large_steps": [h for _, h in large], "finite": finite}
        return sizes | {"run": run, "rules": {rule: _rule(rule, run) for rule in STEPS}}

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Shifts, slopes and signs, what extrapolation leaves, and the step limit."""
        normalized, adaptive = (data["rules"][rule] for rule in STEPS)
        rules, finite = (normalized, adaptive), data["finite"]
        ratios = [_slope(rule["exact"]) / rule["slope"] for rule in rules]
        low, high = normalized["points"][2]["interval"][0], adaptive["points"][2]["interval"][1]
        left = [[p["exact"] for p in rule["extrapolated"]] for rule in rules]
        falls = [small / large for large, small in (exact[-2:] for exact in left)]
        return [
            agreement(
                "the shift is that of the exact stationary law, of both rules at every step",
                [p for rule in rules for p in rule["points"]],
            ),
            Check(
                "those laws' shifts begin with the slope of the claim",
                "ratio within 0.01 of 1",
                ", ".join(f"{x:.4f}" for x in ratios),
                all(abs(x - 1) < 0.01 for x in ratios),
            ),
            Check(
                "at the middle steps the shifts have opposite signs",
                "one 99 % interval above 0, one below",
                f"lower end {low:.4f}, upper end {high:.4f}",
                low > 0 > high,
            ),
            agreement(
                "the bias extrapolated from two steps is that of the exact laws",
                [p for rule in rules for p in rule["extrapolated"]],
            ),
            Check(
                "what extrapolation of the exact laws leaves is negative and of second order",
                "below 0, and at the smallest steps a quarter, within 0.05, for half the steps",
                f"{left[0][0]:.4f} and {left[1][0]:.4f} at the largest steps, falls to "
                + ", ".join(f"{x:.3f}" for x in falls),
                max(map(max, left)) < 0 and all(abs(x - 0.25) < 0.05 for x in falls),
            ),
            Check(
                "Algorithm 1 has a step limit, the normalized rule has none",
                "finite below the limit, not above it, finite at step 50",
                ", ".join(
                    f"{h:.2f}: {f}" for h, f in zip(data["large_steps"], finite, strict=True)
                ),
                finite == [True, False, True],
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """What the two panels show."""
        normalized, adaptive = data["rules"]["normalized"], data["rules"]["adaptive"]
        run, rules = data["run"], (normalized, adaptive)
        ratios = [_slope(r["exact"]) / r["slope"] for r in rules]
        last, first = adaptive["extrapolated"][0], normalized["extrapolated"][0]
        off = [r["points"][0]["exact"] / (r["slope"] * r["points"][0]["step"]) for r in rules]
        near = [r["extrapolated"][-1]["exact"] for r in rules]
        silent = "warned of" if last["warned"] else "not warned of"
        return (
            "How far the stationary mean gradient lies from the exact bias at a finite step, in "
            f"gradient units, for the normalized rule (left, bias {normalized['bias']:.4f}) and "
            f"Algorithm 1 (right, bias {adaptive['bias']:.4f}); Gaussian noise of standard "
            f"deviation {MODEL['noise']['scale']:g} in dimension 1, {FRACTION:.0%} draggers of "
            f"norm {MODEL['dragger']['norm']:g}, {m} micro-batches of {b}. Lines: the claim's "
            "shift -γF''C/(4F'²), F the expected update as a function of the gradient, C its "
            "variance in one step, at the point of rest (η in place of γ for Algorithm 1): "
            f"{normalized['slope']:+.4f} and {adaptive['slope']:+.4f} per unit step, of opposite "
            "signs for the same draggers. Dashed: the exact stationary laws, whose slopes at zero "
            f"step are {ratios[0]:.3f} and {ratios[1]:.3f} times the claim's; at the largest step "
            f"their shift is {off[0]:.2f} and {off[1]:.2f} times its first order. Circles: "
            f"simulated ({run['replicates']} replicates, {run['iterations']} iterations, 99 % "
            "intervals). Diamonds: bias extrapolated from this step and half of it, minus the "
            f"exact one. What is left is of second order, by the exact laws {first['exact']:.4f} "
            f"and {last['exact']:.4f} from the two largest steps (the second {silent} by the "
            f"simulator), {near[0]:.5f} and {near[1]:.5f} from the two smallest. Algorithm 1 "
            f"diverges beyond step {data['limit']:.2f}, the normalized rule never."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The panels in words."""
        return (
            "Two plots of what the step size adds to the bias. Left, the points of the normalized "
            "rule rise along a line and curve upwards from it. Right, those of Algorithm 1 fall "
            "along a line, then level off above it. Extrapolated values are near zero at small "
            "steps and below it at large ones."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Shift against step, a panel for each rule."""
        canvas, panels = subplots(1, 2, figsize=(6.4, 3.9))
        for axes, (rule, found) in zip(panels, data["rules"].items(), strict=True):
            (name, color, label), end = LOOK[rule], 1.12 * STEPS[rule][0]
            axes.axhline(0, color=SGD, lw=0.8)
            axes.plot([0, end], [0, found["slope"] * end], color=color)
            axes.plot(*np.transpose(found["exact"]), color="black", lw=1.0, ls=DASHED)
            simulated(axes, found["points"], "step")
            simulated(axes, found["extrapolated"], "step", fmt="D", color=ORANGE, ms=4, zorder=4)
            axes.set(xlim=(0, end), xlabel=label)
            axes.set_title(f"{name} (bias {found['bias']:.3f})")
        left, right = panels
        left.set_ylabel("added to the bias (gradient units)")
        direct_label(left, 0.43, 0.027, "first order", SKY, ha="right")
        direct_label(left, 0.25, 0.041, "exact", "black", ha="right")
        left.set_ylim(bottom=-0.024)
        direct_label(left, 0.01, -0.0215, "extrapolated from\nthis step and its half", BROWN)
        direct_label(right, 0.55, -0.048, "first order", ADAPTIVE, ha="right")
        note = f"diverges beyond η = {data['limit']:.2f}"
        direct_label(right, 1.3, 0.007, note, ADAPTIVE, ha="right")
        counted = f"{self.title}   (n = {data['run']['replicates']} replicates, 99 % intervals)"
        canvas.suptitle(counted, x=0.01, ha="left", fontsize=10)
        return canvas


def _slope(exact: list[Any]) -> float:
    """At zero step, of the polynomial through zero and the three smallest of [step, shift]."""
    step, shift = np.array(sorted(exact)[:3]).T
    return float(np.linalg.solve(step[:, None] ** np.arange(1, 4), shift)[0])


def experiment_of(rule: str, run: dict[str, Any]) -> Experiment:
    """That rule on the model, with the entries `run` of an experiment's table of that name."""
    algorithm = {"rule": rule, "batch_size": b * m, "micro_batch_sizes": [b]}
    return Experiment.from_mapping({"model": MODEL, "algorithm": algorithm, "run": run})


def batch_means(rule: str, run: dict[str, Any], step: float) -> Array:
    """Batch means of ∇f and ‖∇f‖² [replicates, batches, 2] at one step: the measure `bias`."""
    experiment = experiment_of(rule, run)
    gatherer, state, at = Bias(experiment), start(experiment), 0
    with Workers(available_cores()) as workers:
        machine = engine(experiment, b, step, workers)
        for pause in gatherer.pauses():
            machine.advance(state, at, pause, gatherer.records(at))
            gatherer.collect(state, pause)
            at = pause
    return gatherer.found


def _rule(rule: str, run: dict[str, Any]) -> dict[str, Any]:
    """Theory and simulation of one rule. `root` and the drift are along the draggers' direction."""
    experiment, steps = experiment_of(rule, run), STEPS[rule]
    update = Update(experiment.gradient_model, experiment.algorithm.clipping(b))
    (point,) = stationary_points(update)
    root, bias, h = point.gradient, point.norm, 0.02 / math.sqrt(b)
    low, middle, high = (update.expected(root + x)[0] for x in (-h, 0.0, h))
    near = fluctuation(update, root)
    assert near is not None  # the noise is Gaussian
    derivatives = {
        "drift_slope": (high - low) / (2 * h),
        "drift_bend": (high - 2 * middle + low) / h**2,
        "update_variance": near.noise,
    }
    shift = CLAIMS["finite_step"].evaluate(step_size=1.0, **derivatives)["shift"]
    slope = float(shift * np.sign(root[0]))  # of the gradient's norm
    found = [batch_means(rule, run | {"start": bias}, step) for step in steps]
    fine = sorted({*(steps[0] * np.linspace(0.05, 1.1, 12)).tolist(), *steps})
    reach = math.sqrt(near.noise / (2 * derivatives["drift_slope"]))  # times √step: the spread
    reach *= 8 if rule == "normalized" else 14  # Algorithm 1's law has a long tail
    stationary = on_lattice if rule == "normalized" else on_grid
    exact = {
        g: abs(stationary(update, float(root[0]), g, reach * math.sqrt(g)).mean) - bias
        for g in fine
    }
    law_of = [exact[step] for step in steps]
    points = map(_point, steps, found, [bias] * len(steps), law_of)
    two = [slice(i, i + 2) for i in range(len(steps) - 1)]
    pairs = [_extrapolated(steps[i], found[i], law_of[i], bias) for i in two]
    shifts = {"slope": slope, "exact": list(exact.items())}
    return {"bias": bias, **derivatives, **shifts, "points": list(points), "extrapolated": pairs}


def _point(step: float, found: Array, bias: float, exact: float) -> dict[str, Any]:
    """Norm of the mean gradient less the exact bias, from independent replicates."""
    means = found[..., 0].mean(1)
    n, value = len(means), abs(float(means.mean())) - bias
    error = float(means.std(ddof=1) / math.sqrt(n))
    reach = quantile((1 + CONFIDENCE) / 2, n - 1) * error
    what = {"value": value, "error": error, "interval": [value - reach, value + reach]}
    return what | {"step": step, "exact": exact, "z": (value - exact) / error, "degrees": n - 1}


def _extrapolated(steps: Any, found: Any, exact: Any, bias: float) -> dict[str, Any]:
    """The bias from two steps less the exact one, under the larger, beside the exact laws'."""
    e, left = estimate(np.stack(found), steps), float(extrapolation_weights(steps) @ exact)
    interval = [end - bias for end in e.interval]
    scores = {"z": e.score(bias + left), "degrees": e.degrees, "warned": e.warning is not None}
    return {"step": steps[0], "value": e.bias - bias, "exact": left, "interval": interval} | scores


figure = FiniteStep()
