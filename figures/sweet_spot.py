"""Bias against micro-batch size: the bound, the exact value and the simulation in one picture."""

from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.advice import best_sizes, bias_radius
from analysis.exact import exact_bias
from analysis.model import Experiment
from figures.checks import Check
from figures.figure import Figure, Simulated
from sim.estimate import confidence_set
from sim.presets import presets

BOUND, ADAPTIVE, NORMALIZED, SGD = "#D55E00", "#0072B2", "#56B4E9", "#444444"


class SweetSpot(Figure):
    """The worked law: rare useful samples one way, persistent draggers the other."""

    name = "sweet_spot"
    title = "One micro-batch size has the smallest bias"
    claims = ("alignment_lemma", "bias_radius", "sweet_spot")
    place = 1

    def experiments(self, profile: str) -> list[Experiment]:
        """The preset; the full profile runs longer, with twice the replicates and a third step."""
        experiment = Experiment.load(presets()["sweet_spot"])
        if profile == "full":
            run = replace(experiment.run, replicates=64, iterations=16_000, steps=(0.2, 0.1, 0.05))
            experiment = replace(experiment, run=run, name="sweet_spot_full")
        return [experiment]

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Bound, exact bias of three rules, simulation, and the three best sizes."""
        (experiment,) = self.experiments(profile)
        (estimates,) = simulated.values()
        model, algorithm = experiment.gradient_model, experiment.algorithm
        B, sigma = algorithm.batch_size, model.noise_scale()

        def exact(rule: str, b: int) -> float | None:
            return exact_bias(model, rule, B, b).bias

        adaptive = {b: exact("adaptive", b) for b in algorithm.micro_batch_sizes}
        worst = best_sizes(model.dragger_fraction, sigma, 1.0)
        grid = np.geomspace(1, 0.995 * worst["breakdown"], 200)
        fine = sorted({*range(1, 33), *np.geomspace(33, B, 24).astype(int).tolist()})
        covered = [b for b in fine if b < worst["breakdown"]]
        radius = bias_radius(np.array(covered), model.dragger_fraction, sigma)
        return {
            "experiment": experiment.to_mapping(),
            "bound": {
                "micro_batch_size": grid,
                "bias_radius": bias_radius(grid, model.dragger_fraction, sigma),
                "breakdown": worst["breakdown"],
            },
            "normalized": {
                "micro_batch_size": fine,
                "bias": [exact("normalized", b) for b in fine],
                "bias_radius": [*radius, *([None] * (len(fine) - len(covered)))],
            },
            "adaptive": {"micro_batch_size": list(adaptive), "bias": list(adaptive.values())},
            "sgd": exact("sgd", B),
            "simulation": [
                {
                    "micro_batch_size": b,
                    "bias": e.bias,
                    "standard_error": e.standard_error,
                    "interval": e.interval,
                    "exact": adaptive[b],
                    "z": e.score(adaptive[b] or 0.0),
                    "degrees": e.degrees,
                }
                for b, e in estimates.items()
            ],
            "best": {
                "worst_case": worst["micro_batch_size"],
                "worst_case_radius": worst["bias_radius"],
                "exact": min(adaptive, key=lambda b: adaptive[b] or np.inf),
                "simulated": min(estimates, key=lambda b: estimates[b].bias),
                "confidence_set": confidence_set(estimates),
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the bound, the argmin, and the comparison with SGD."""
        points, best = data["simulation"], data["best"]
        inside = sum(p["interval"][0] <= p["exact"] <= p["interval"][1] for p in points)
        normalized = data["normalized"]
        ratios = [
            bias / radius
            for bias, radius in zip(normalized["bias"], normalized["bias_radius"], strict=True)
            if radius is not None
        ]
        exact = dict(
            zip(data["adaptive"]["micro_batch_size"], data["adaptive"]["bias"], strict=True)
        )
        at_best = exact[best["exact"]]
        return [
            Check(
                "the exact bias lies in the simulation's 99 % interval",
                f"at least {len(points) - 2} of {len(points)} (false alarms: 8 in 100 000)",
                f"{inside} of {len(points)}, largest |z| {max(abs(p['z']) for p in points):.2f}",
                inside >= len(points) - 2,
            ),
            Check(
                "the normalized rule stays below the worst-case radius up to the breakdown",
                "largest ratio at most 1",
                f"{max(ratios):.3f} over {len(ratios)} sizes",
                max(ratios) <= 1,
            ),
            Check(
                "the exact best size is in the simulation's 99 % confidence set",
                f"{best['exact']} in the set",
                f"set {best['confidence_set']}",
                best["exact"] in best["confidence_set"],
            ),
            Check(
                "clipping single samples is worse than SGD, the best size is better",
                f"{at_best:.4f} < {data['sgd']:.4f} < {exact[1]:.4f}",
                f"best, SGD, b = 1: {at_best:.4f}, {data['sgd']:.4f}, {exact[1]:.4f}",
                at_best < data["sgd"] < exact[1],
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        run, best, model = data["experiment"]["run"], data["best"], data["experiment"]["model"]
        exact = dict(
            zip(data["adaptive"]["micro_batch_size"], data["adaptive"]["bias"], strict=True)
        )
        inside = self.check(data)[0].found
        kept = ", ".join(str(b) for b in best["confidence_set"])
        return (
            "Asymptotic bias ‖Λw̄‖ against the micro-batch size b for mini-batches of "
            f"{data['experiment']['algorithm']['batch_size']} samples; a fraction "
            f"{model['dragger_fraction']:g} of all samples are draggers and "
            f"{model['noise']['probability']:g} of the others are rare and useful. Lines: the "
            "worst-case radius of the normalized rule (smallest at b = "
            f"{best['worst_case']:.1f}, infinite from b = "
            f"{data['bound']['breakdown']:.1f}), the exact bias of the normalized rule and of "
            "Algorithm 1 (adaptive), and SGD's. Points: simulated Algorithm 1, extrapolated to "
            f"zero step, with 99 % intervals ({run['replicates']} replicates, {run['iterations']} "
            f"iterations, {len(run['steps'])} step sizes; exact value inside for {inside}). "
            f"Clipping single samples (bias {exact[1]:.3f}) is worse than SGD ({data['sgd']:.3f}); "
            f"micro-batches of {best['exact']} are {data['sgd'] / exact[best['exact']]:.1f} times "
            f"better. The simulated best size is {best['simulated']}, its 99 % confidence set "
            f"{{{kept}}}."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        best = data["best"]
        return (
            "Log-log plot of bias against micro-batch size. The exact curve of Algorithm 1 falls "
            f"slowly from b = 1, drops at b = {best['exact']} and rises again to SGD's level at "
            "the full batch; simulated points lie on it. The worst-case radius lies above, with "
            f"its minimum near b = {best['worst_case']:.0f}."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against b, both axes logarithmic."""
        canvas, axes = plt.subplots()
        axes.set(xscale="log", yscale="log", xlim=(0.85, 400), ylim=(0.032, 1.6))
        axes.grid(True, axis="y", which="major")
        bound, normalized, adaptive = data["bound"], data["normalized"], data["adaptive"]
        axes.plot(bound["micro_batch_size"], bound["bias_radius"], color=BOUND)
        axes.axhline(data["sgd"], color=SGD, lw=1.2, ls=(0, (4, 2)))
        axes.plot(normalized["micro_batch_size"], normalized["bias"], color=NORMALIZED, lw=1.2)
        axes.plot(adaptive["micro_batch_size"], adaptive["bias"], color=ADAPTIVE)
        points = data["simulation"]
        bias = np.array([p["bias"] for p in points])
        ends = np.array([p["interval"] for p in points])
        axes.errorbar(
            [p["micro_batch_size"] for p in points],
            bias,
            yerr=np.abs(ends.T - bias),
            fmt="o",
            color="black",
            mfc="white",
            zorder=5,
        )
        axes.text(1.1, 1.12, "worst-case radius\n(normalized)", color=BOUND, va="bottom")
        axes.text(270, data["sgd"] * 1.04, "SGD", color=SGD, va="bottom")
        label = "Algorithm 1:\nexact (line),\nsimulated (points)"
        axes.text(1.05, 0.185, label, color=ADAPTIVE, va="top")
        axes.annotate(
            "normalized,\nexact",
            (11, normalized["bias"][normalized["micro_batch_size"].index(11)]),
            (14.5, 0.047),
            color="#2A7FB0",
            va="center",
            arrowprops={"arrowstyle": "-", "color": NORMALIZED, "lw": 0.8},
        )
        self._mark_best(axes, data["best"])
        axes.set_xticks(adaptive["micro_batch_size"])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("micro-batch size b (samples)")
        axes.set_ylabel("bias ‖∇f‖ (gradient units)")
        run = data["experiment"]["run"]
        axes.set_title(f"{self.title}   (n = {run['replicates']} replicates, 99 % intervals)")
        return canvas

    @staticmethod
    def _mark_best(axes: Any, best: dict[str, Any]) -> None:
        """The three best sizes, on the horizontal axis."""
        floor = axes.get_ylim()[0]
        axes.plot([best["exact"]], [floor], "^", color=ADAPTIVE, ms=9, clip_on=False, zorder=6)
        axes.plot([best["simulated"]], [floor], "^", color="black", ms=4, clip_on=False, zorder=7)
        axes.plot([best["worst_case"]], [floor], "^", color=BOUND, ms=9, clip_on=False, zorder=6)
        left, right = "best b:\nexact and\nsimulated", "best b:\nworst case"
        if best["exact"] != best["simulated"]:
            left = "best b:\nexact\n(simulated: black)"
        axes.text(best["exact"] / 1.1, floor * 1.04, left, color=ADAPTIVE, ha="right", va="bottom")
        axes.text(best["worst_case"] * 1.1, floor * 1.04, right, color=BOUND, va="bottom")


figure = SweetSpot()
