"""Bias against micro-batch size: bounds, exact values and simulation, Algorithm 1 and others."""

from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import best_sizes, best_threshold, bias_radius
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from figures import marks
from figures.checks import Check, agreement, not_above
from figures.figure import Figure, Simulated
from figures.marks import ADAPTIVE, BOUND, DASHED, DOTTED, FIXED, MINIMAX, NORMALIZED, SGD
from sim.estimate import Estimate, confidence_set
from sim.presets import presets

NORMALIZED_SIZES = (2, 8, 32, 64)
FIXED_SIZES = (1, 4, 16, 64)
SKY = "#2A7FB0"  # the normalized rule's colour, darker, for text


class SweetSpot(Figure):
    """The worked law: rare useful samples one way, persistent draggers the other."""

    name = "sweet_spot"
    title = "One micro-batch size has the smallest bias"
    claims = ("alignment_lemma", "bias_radius", "sweet_spot", "optimal_threshold", "minimax")
    place = 1

    def experiments(self, profile: str) -> list[Experiment]:
        """The preset, then the other rules on its model, `fixed` with the best threshold at each b.

        The full profile runs longer, with twice the replicates and a third step.
        """
        first = Experiment.load(presets()["sweet_spot"])
        steps: tuple[float, ...] = (0.04, 0.02)
        if profile == "full":
            run = replace(first.run, replicates=64, iterations=16_000, steps=(0.2, 0.1, 0.05))
            first, steps = replace(first, run=run, name="sweet_spot_full"), (*steps, 0.01)
        rule = replace(first.algorithm, rule="normalized", micro_batch_sizes=NORMALIZED_SIZES)
        run, name = replace(first.run, steps=steps), f"sweet_spot_normalized_{profile}"
        found = [first, replace(first, algorithm=rule, run=run, name=name)]
        for b in FIXED_SIZES:
            c = _best_threshold(first, b)["threshold"]
            rule = replace(rule, rule="fixed", micro_batch_sizes=(b,), threshold=c)
            found.append(replace(first, algorithm=rule, name=f"sweet_spot_fixed_{b}_{profile}"))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Bounds, exact bias of four rules, simulation of three, and the three best sizes."""
        experiment = self.experiments(profile)[0]
        estimates, normalized, *fixed = simulated.values()
        model, algorithm = experiment.gradient_model, experiment.algorithm
        B, sigma = algorithm.batch_size, model.noise_scale()

        def exact(rule: str, b: int, threshold: float | None = None) -> float:
            return exact_bias(model, rule, B, b, threshold).roots[0]

        adaptive = {b: exact("adaptive", b) for b in algorithm.micro_batch_sizes}
        worst = best_sizes(model.dragger_fraction, sigma, 1.0)
        grid = np.geomspace(1, 0.995 * worst["breakdown"], 200)
        fine = sorted({*range(1, 25), *range(26, 41, 2), 48, 64, 90, 128, 180, B})
        covered = [b for b in fine if b < worst["breakdown"]]
        radius = bias_radius(np.array(covered), model.dragger_fraction, sigma)
        at_normalized = {b: exact("normalized", b) for b in fine}
        inputs = {"dragger_fraction": model.dragger_fraction, "noise_scale": sigma}
        some = sorted({*FIXED_SIZES, 2, 8, 11, 22, 32, 45})
        best = {b: _best_threshold(experiment, b) for b in some}
        at_fixed = {b: exact("fixed", b, best[b]["threshold"]) for b in some}
        at = {"micro_batch_size": grid, "alignment": 1, **inputs}
        return {
            "experiment": experiment.to_mapping(),
            "bound": {
                "micro_batch_size": grid,
                "bias_radius": bias_radius(grid, model.dragger_fraction, sigma),
                "fixed_radius": CLAIMS["optimal_threshold"].evaluate(**at)["bias_radius"],
                "breakdown": worst["breakdown"],
            },
            "normalized": {
                "micro_batch_size": fine,
                "bias": list(at_normalized.values()),
                "bias_radius": [*radius, *([None] * (len(fine) - len(covered)))],
                "simulation": compared(normalized, at_normalized),
            },
            "fixed": {
                "micro_batch_size": some,
                "threshold": [best[b]["threshold"] for b in some],
                "bias": list(at_fixed.values()),
                "bias_radius": [best[b]["bias_radius"] for b in some],
                "simulation": [p for found in fixed for p in compared(found, at_fixed)],
            },
            "minimax": CLAIMS["minimax"].evaluate(**inputs)["minimax_bias"],
            "adaptive": {"micro_batch_size": list(adaptive), "bias": list(adaptive.values())},
            "sgd": exact("sgd", B),
            "simulation": compared(estimates, adaptive),
            "best": {
                "worst_case": worst["micro_batch_size"],
                "worst_case_radius": worst["bias_radius"],
                "exact": min(adaptive, key=lambda b: adaptive[b]),
                "simulated": min(estimates, key=lambda b: estimates[b].bias),
                "confidence_set": confidence_set(estimates),
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the bounds, the argmin, and the comparisons with SGD and the minimax bound."""
        points, best = data["simulation"], data["best"]
        normalized, fixed = _ratios(data["normalized"]), _ratios(data["fixed"])
        exact = _by_size(data["adaptive"])
        at_best = exact[best["exact"]]
        radius, minimax = data["bound"]["fixed_radius"], data["minimax"]
        smaller = [x / y for x, y in zip(radius, data["bound"]["bias_radius"], strict=True)]
        return [
            agreement("simulated Algorithm 1 has its exact bias", points),
            Check(
                "the normalized rule stays below its guaranteed radius up to the breakdown",
                "largest ratio at most 1",
                f"{max(normalized):.3f} over {len(normalized)} sizes",
                max(normalized) <= 1,
            ),
            not_above(
                f"no simulated size has a smaller bias than the exact best one, {best['exact']}",
                rivals(points, best["exact"]),
            ),
            Check(
                "clipping single samples is worse than SGD, the best size is better",
                f"{at_best:.4f} < {data['sgd']:.4f} < {exact[1]:.4f}",
                f"best, SGD, b = 1: {at_best:.4f}, {data['sgd']:.4f}, {exact[1]:.4f}",
                at_best < data["sgd"] < exact[1],
            ),
            agreement(
                "the simulated normalized rule has its exact bias", data["normalized"]["simulation"]
            ),
            agreement(
                "the rule with the best threshold has its exact bias", data["fixed"]["simulation"]
            ),
            Check(
                "with the best threshold the bias stays below that rule's guaranteed radius",
                "largest ratio at most 1",
                f"{max(fixed):.3f} over {len(fixed)} sizes",
                max(fixed) <= 1,
            ),
            Check(
                "the best threshold's radius is the minimax bound at b = 1, rises with b, and is "
                "below the normalized rule's",
                "first radius / minimax bound within 1e-9 of 1, rising, ratio of radii below 1",
                f"off by {abs(radius[0] / minimax - 1):.0e}, ratio at most {max(smaller):.3f}",
                abs(radius[0] / minimax - 1) < 1e-9
                and bool((np.diff(radius) > 0).all())
                and max(smaller) < 1,
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        run, best, model = data["experiment"]["run"], data["best"], data["experiment"]["model"]
        exact, fixed = _by_size(data["adaptive"]), _by_size(data["fixed"])
        kept, B = ", ".join(map(str, best["confidence_set"])), max(exact)
        inside = sum(p["interval"][0] <= p["exact"] <= p["interval"][1] for p in data["simulation"])
        return (
            f"Asymptotic bias ‖∇f‖ against the micro-batch size b for mini-batches of {B} samples; "
            "a fraction "
            f"{model['dragger_fraction']:g} of all samples are draggers and "
            f"{model['noise']['probability']:g} of the others are rare and useful. Above: the "
            f"exact bias of Algorithm 1 at the {len(exact)} divisors of {B} (bars, joined to guide "
            "the eye), simulated (points), SGD's, and the radius guaranteed for the normalized "
            f"rule, smallest at b = {best['worst_case']:.1f} and infinite from b = "
            f"{data['bound']['breakdown']:.1f}. Clipping single samples (bias {exact[1]:.3f}) is "
            f"worse than SGD ({data['sgd']:.3f}); micro-batches of {best['exact']}, the best of "
            f"these sizes, are {data['sgd'] / exact[best['exact']]:.1f} times better. The "
            f"simulated best size is {best['simulated']}, its 99 % confidence set {{{kept}}}. "
            "Below: the normalized rule and clipping at the threshold c* with the smallest "
            "guaranteed bias (rule fixed), exact (straight between the sizes computed) and "
            "simulated, with their guaranteed radii. That of c* begins at "
            f"{data['minimax']:.3f} for b = 1, the minimax bound: no rule's worst case is smaller. "
            f"On this law its bias is {fixed[1]:.3f} there. c* takes knowing the noise scale and "
            "the fraction of draggers. Points: bias extrapolated to zero step "
            f"with 99 % intervals ({run['replicates']} replicates, {run['iterations']} iterations, "
            f"{len(run['steps'])} step sizes; for Algorithm 1 the exact value is inside for "
            f"{inside} of {len(exact)})."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        best = data["best"]
        return (
            "Two log-log plots of bias against micro-batch size. Above, the exact bias of "
            f"Algorithm 1 falls slowly from b = 1, drops at b = {best['exact']} and rises again to "
            "SGD's level at the full batch; simulated points lie on it. The guaranteed radius lies "
            f"above, with its minimum near b = {best['worst_case']:.0f}. Below, the normalized "
            "rule's curve has the same shape, while that of the best fixed threshold rises slowly "
            "from its smallest value at b = 1, below a radius that starts at the minimax bound."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against b, both axes logarithmic: Algorithm 1 above, other rules below."""
        canvas, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 7.6), sharex=True, sharey=True)
        top.set(xscale="log", yscale="log", xlim=(0.85, 400), ylim=(0.032, 1.6))
        run, bound = data["experiment"]["run"], data["bound"]
        for axes in (top, bottom):
            axes.grid(True, axis="y", which="major")
            axes.plot(bound["micro_batch_size"], bound["bias_radius"], color=BOUND)
            axes.axhline(data["sgd"], color=SGD, lw=1.2, ls=DASHED)
            axes.text(270, data["sgd"] * 1.04, "SGD", color=SGD, va="bottom")
            axes.text(1.1, 1.12, "guaranteed radius\n(normalized)", color=BOUND, va="bottom")
            axes.set_ylabel("bias ‖∇f‖ (gradient units)")
            marks.plain_ticks(axes.xaxis, data["adaptive"]["micro_batch_size"])
            marks.plain_ticks(axes.yaxis, [0.05, 0.1, 0.2, 0.5, 1])
        bottom.set_xlabel("micro-batch size b (samples)")
        top.set_title(f"{self.title}   (n = {run['replicates']} replicates, 99 % intervals)")
        bottom.set_title("Other rules, exact (lines) and simulated (points)")
        self._draw_algorithm(top, data)
        self._draw_others(bottom, data)
        return canvas

    @staticmethod
    def _draw_algorithm(axes: Any, data: dict[str, Any]) -> None:
        """Algorithm 1, and on the horizontal axis the three best sizes."""
        sizes, bias = data["adaptive"]["micro_batch_size"], data["adaptive"]["bias"]
        axes.plot(sizes, bias, color=ADAPTIVE, ls=DOTTED, lw=0.8)
        axes.plot(sizes, bias, "_", color=ADAPTIVE, ms=17, mew=2.5)
        marks.simulated(axes, data["simulation"], "micro_batch_size")
        label = "Algorithm 1:\nexact (bars),\nsimulated (points)"
        axes.text(1.05, 0.185, label, color=ADAPTIVE, va="top")
        best, floor = data["best"], axes.get_ylim()[0]
        mark = {"clip_on": False, "zorder": 6}
        axes.plot([best["exact"]], [floor], "^", color=ADAPTIVE, ms=9, **mark)
        axes.plot([best["simulated"]], [floor], "^", color="black", ms=4, **mark)
        axes.plot([best["worst_case"]], [floor], "^", color=BOUND, ms=9, **mark)
        left, right = f"best divisor of {sizes[-1]}:\n", "b* of smallest\nguaranteed bias"
        same = best["exact"] == best["simulated"]
        left += "exact and simulated" if same else "exact (simulated: black)"
        axes.text(best["exact"] / 1.1, floor * 1.04, left, color=ADAPTIVE, ha="right", va="bottom")
        axes.text(best["worst_case"] * 1.1, floor * 1.04, right, color=BOUND, va="bottom")

    @staticmethod
    def _draw_others(axes: Any, data: dict[str, Any]) -> None:
        """The normalized rule, and clipping at the best threshold with its radius."""
        bound, size = data["bound"], "micro_batch_size"
        axes.axhline(data["minimax"], color=MINIMAX, lw=1.2, ls=(0, (6, 2, 1, 2)))
        axes.plot(bound[size], bound["fixed_radius"], color=FIXED, lw=1.2, ls=DOTTED)
        for rule, color, marker in (("normalized", NORMALIZED, "s"), ("fixed", FIXED, "D")):
            axes.plot(data[rule][size], data[rule]["bias"], color=color)
            marks.simulated(axes, data[rule]["simulation"], size, fmt=marker, ms=4)
        axes.text(205, data["minimax"] * 1.04, "minimax", color=MINIMAX, va="bottom")
        marks.direct_label(axes, 1.05, 0.33, "normalized", SKY, va="bottom")
        marks.direct_label(axes, 1.05, 0.048, "fixed at c*", FIXED, va="top")
        marks.direct_label(
            axes, 1.05, 0.117, "guaranteed radius\n(fixed at c*)", FIXED, va="bottom"
        )


def _best_threshold(experiment: Experiment, b: int) -> dict[str, Any]:
    model = experiment.gradient_model
    return best_threshold(b, model.dragger_fraction, model.noise_scale())


def _by_size(line: dict[str, Any]) -> dict[int, float]:
    return dict(zip(line["micro_batch_size"], line["bias"], strict=True))


def _ratios(line: dict[str, Any]) -> list[float]:
    """Exact bias over radius, where there is one."""
    pairs = zip(line["bias"], line["bias_radius"], strict=True)
    return [bias / radius for bias, radius in pairs if radius is not None]


def compared(estimates: dict[Any, Estimate], exact: dict[int, float]) -> list[dict[str, Any]]:
    """Simulated biases beside the exact ones, with what `rivals` takes."""
    return [
        {"micro_batch_size": b, "value": e.bias, "standard_error": e.standard_error}
        | {"interval": e.interval, "exact": exact[b], "z": e.score(exact[b])}
        | {"degrees": e.degrees, "squared": e.squared, "along": e.along, "across": e.across}
        for b, e in estimates.items()
    ]


def rivals(points: list[dict[str, Any]], best: int) -> list[dict[str, Any]]:
    """How much better than the one of size `best` the others look, as scores for `not_above`.

    The comparison of sim.estimate.confidence_set: if that size is best, no z is expected above 0.
    """
    (own,) = [p for p in points if p["micro_batch_size"] == best]
    found = []
    for p in points:
        if p is not own:
            largest = max(own["value"], p["value"])  # if `best` is best, so is its bias
            variance = own["along"] * own["value"] ** 2 + p["along"] * largest**2
            error = (variance + own["across"] + p["across"]) ** 0.5
            z, degrees = (own["squared"] - p["squared"]) / error, min(own["degrees"], p["degrees"])
            found.append({"micro_batch_size": p["micro_batch_size"], "z": z, "degrees": degrees})
    return found


figure = SweetSpot()
