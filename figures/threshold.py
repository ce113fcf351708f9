"""A fixed clipping threshold: its worst case, its best value, and what micro-batches cost then."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import best_sizes, fixed_radii
from analysis.advice.worst_case import WorstCase
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from figures import marks
from figures.checks import Check, CheckError, agreement, not_above
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots

EPSILON, SIGMA, BATCH = 0.01, 1.0, 40
SIZES = (1, 10)  # single samples, and 0.1/ε
THRESHOLDS = {1: (0.2, 1.0, 2.5, 3.5, 5.0, 10.0, 30.0), 10: (0.1, 0.25, 0.5, 1.0, 2.5)}  # simulated
RANGE = (0.05, 40.0)
PROBABILITY, GAUSSIAN, DRAGGER = 0.1, 0.3, 20.0  # of the law that is simulated
RARE = float(np.sqrt((SIGMA**2 - GAUSSIAN**2) * (1 - PROBABILITY) / PROBABILITY))  # σ in all


class Threshold(Figure):
    """Rare useful samples one way, persistent draggers the other, clipped at a constant."""

    name = "threshold"
    title = "One threshold has the smallest worst case"
    claims = ("huber_lemma", "optimal_threshold", "threshold_size", "minimax")
    place = 9

    def experiments(self, profile: str) -> list[Experiment]:
        """One for each size and threshold; the full profile runs longer, with three step sizes."""
        full = profile == "full"
        noise = {"law": "rare", "probability": PROBABILITY, "value": RARE, "gaussian": GAUSSIAN}
        dragger = {"law": "persistent", "norm": DRAGGER, "direction": [-1.0]}
        model = {"dimension": 1, "dragger_fraction": EPSILON, "noise": noise, "dragger": dragger}
        rule = {"rule": "fixed", "batch_size": BATCH}
        run = {
            "steps": [0.2, 0.1, 0.05] if full else [0.2, 0.1],
            "iterations": 16_000 if full else 4000,
            "replicates": 64 if full else 32,
        }
        return [
            Experiment.from_mapping(
                {
                    "model": model,
                    "algorithm": {**rule, "threshold": c, "micro_batch_sizes": [b]},
                    "run": run,
                },
                name=f"threshold_{profile}_b{b}_{i}",
            )
            for b in SIZES
            for i, c in enumerate(THRESHOLDS[b])
        ]

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Worst case, exact bias and simulation against the threshold; the best ones by size."""
        experiments = self.experiments(profile)
        unit = CLAIMS["minimax"].evaluate(dragger_fraction=EPSILON, noise_scale=SIGMA)
        unit, normalized = unit["minimax_bias"], best_sizes(EPSILON, SIGMA, 1.0)
        sizes = np.geomspace(1, 0.97 * normalized["breakdown"], 200)
        radii = self._best(sizes)
        many = 60 if profile == "full" else 9
        return {
            "run": experiments[0].to_mapping()["run"],
            "panels": [self._panel(b, experiments, simulated, many) for b in SIZES],
            "minimax": unit,
            "sgd": exact_bias(experiments[0].gradient_model, "sgd", BATCH, 1).bias,
            "sizes": {
                "micro_batch_size": sizes,
                "threshold": radii["bias_radius"] / unit,
                "normalized": radii["normalized_radius"] / unit,
            },
            "normalized_best": {
                "micro_batch_size": normalized["micro_batch_size"],
                "ratio": normalized["bias_radius"] / unit,
            },
        }

    @staticmethod
    def _best(sizes: Any) -> dict[str, Any]:
        """The best threshold for each size, the radius there and the normalized rule's."""
        given = {"dragger_fraction": EPSILON, "noise_scale": SIGMA, "alignment": 1.0}
        return CLAIMS["optimal_threshold"].evaluate(micro_batch_size=sizes, **given)

    def _panel(
        self, b: int, experiments: list[Experiment], simulated: Simulated, many: int
    ) -> dict[str, Any]:
        """Everything against the threshold for one size; `many` exact values where they bend."""
        best, bend = self._best(b), np.geomspace(0.4, DRAGGER, many) / b**0.5
        grid = np.unique([*RANGE, *bend, *THRESHOLDS[b], best["threshold"]])
        fine = np.unique([*grid, *np.geomspace(*RANGE, 400)])
        radius = dict(
            zip(
                fine.tolist(), fixed_radii(WorstCase(EPSILON, SIGMA), b, fine).tolist(), strict=True
            )
        )
        model = experiments[0].gradient_model
        exact = {c: exact_bias(model, "fixed", BATCH, b, threshold=c).bias for c in grid.tolist()}
        if lost := [c for c, bias in exact.items() if bias is None]:
            raise CheckError(f"{self.name}: b = {b}: no exact point of rest at thresholds {lost}")
        simulation = []
        for c, e in ((e.algorithm.threshold or 0.0, e) for e in experiments):
            if e.algorithm.sizes == (b,):
                found = simulated[e.name][b]
                point = {"threshold": c, "value": found.bias, "interval": found.interval}
                scores = {"z": found.score(exact[c]), "above": found.score(radius[c])}
                simulation.append(point | scores | {"radius": radius[c], "degrees": found.degrees})
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

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the worst case, its minimum and limits, and the price of micro-batches."""
        points = [p | {"z": p["above"]} for panel in data["panels"] for p in panel["simulation"]]
        ratios = np.concatenate(
            [np.divide(p["exact"]["bias"], p["exact"]["radius"]) for p in data["panels"]]
        )
        off = max(self._off(panel) for panel in data["panels"])
        least = data["panels"][0]["best"]["bias_radius"] / data["minimax"] - 1
        start = max(self._start(panel) for panel in data["panels"])
        cost, normalized = self._cost(data), data["normalized_best"]["ratio"] - 1
        return [
            *(
                agreement(f"b = {b}: simulated and exact bias agree", panel["simulation"])
                for b, panel in zip(SIZES, data["panels"], strict=True)
            ),
            not_above("no simulated bias is above the worst case", points),
            Check(
                "the exact bias is below the worst case at every threshold",
                "ratios below 1",
                f"{len(ratios)} thresholds, largest ratio {ratios.max():.3f}",
                bool((ratios < 1).all()),
            ),
            Check(
                "the worst case is smallest at c*, where it is as large as the closed form says",
                "relative difference below 1e-9",
                f"{off:.1e}",
                off < 1e-9,
            ),
            Check(
                "at b = 1 that is the bias that no rule can avoid",
                "relative difference below 1e-9",
                f"{least:.1e}",
                abs(least) < 1e-9,
            ),
            Check(
                "small thresholds leave the normalized rule's radius less the threshold",
                "relative difference below 1e-9",
                f"{start:.1e}",
                start < 1e-9,
            ),
            Check(
                f"micro-batches of {SIZES[1]} cost 8 %, the normalized rule more than 100 %",
                "8 %, more than 100 %",
                f"{100 * cost:.1f} %, {100 * normalized:.0f} %",
                round(100 * cost) == 8 and normalized > 1,
            ),
        ]

    @staticmethod
    def _off(panel: dict[str, Any]) -> float:
        """How far the drawn minimum is from the best threshold and its radius, relatively."""
        worst, best = panel["worst"], panel["best"]
        i = int(np.argmin(worst["radius"]))
        found = np.array([worst["threshold"][i], worst["radius"][i]])
        return float(np.abs(found / [best["threshold"], best["bias_radius"]] - 1).max())

    @staticmethod
    def _start(panel: dict[str, Any]) -> float:
        """How far the worst case at the smallest threshold is from its limit, relatively."""
        threshold, radius = panel["worst"]["threshold"][0], panel["worst"]["radius"][0]
        return float(abs((radius + threshold) / panel["best"]["normalized_radius"] - 1))

    @staticmethod
    def _cost(data: dict[str, Any]) -> float:
        """What clipping micro-batches instead of samples adds to the smallest worst case."""
        single, several = (panel["best"]["bias_radius"] for panel in data["panels"])
        return float(several / single - 1)

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        (first, c1), (second, c10) = (
            (p["best"]["bias_radius"], p["best"]["threshold"]) for p in data["panels"]
        )
        run, best = data["run"], data["normalized_best"]
        points = [p for panel in data["panels"] for p in panel["simulation"]]
        nearest = max(p["value"] / p["radius"] for p in points)
        return (
            "Clipping every micro-batch gradient at a fixed threshold c; a fraction ε = "
            f"{EPSILON:g} of the samples are draggers, noise scale σ = {SIGMA:g}, micro-batches of "
            f"b = {SIZES[0]} and {SIZES[1]} samples. Left: bias ‖∇f‖ against c. Thick lines: the "
            "largest bias that any noise and any draggers can cause. It is smallest at c* = "
            f"{c1:.2f} and {c10:.2f}, with {first:.4f} and {second:.4f}; at b = 1 that is what no "
            f"rule can avoid ({data['minimax']:.4f}, dotted). For c → 0 the rule becomes the "
            "normalized one, for c → ∞ SGD, whose worst case has no limit. Thin lines: the exact "
            f"bias for one law in one dimension, a rare useful sample in {1 / PROBABILITY:.0f} and "
            f"draggers of norm {DRAGGER:g} that pull the other way (SGD: {data['sgd']:.3f}, "
            "dash-dotted). Points: simulation, extrapolated to zero step, with 99 % intervals (n = "
            f"{run['replicates']} replicates, {run['iterations']} iterations, steps "
            f"{', '.join(f'{x:g}' for x in run['steps'])}, mini-batches of {BATCH}). They lie on "
            f"the exact lines and reach at most {nearest:.2f} of the worst case. Right: the worst "
            "case at the best threshold for each b, in units of what no rule can avoid. "
            f"Micro-batches of {SIZES[1]} samples, 0.1/ε, cost {100 * self._cost(data):.0f} % more "
            "than single samples; the normalized rule at its best size "
            f"{best['micro_batch_size']:.0f} is at {best['ratio']:.2f}."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Left, log-log: two bowl-shaped worst-case curves over the threshold, for single "
            "samples and for micro-batches of ten, with minima at different thresholds but nearly "
            "the same height, just at the minimax line; exact curves with simulated points lie "
            "below. Right: the worst case at the best threshold rises slowly from 1 with the size, "
            f"that of the normalized rule falls from 10 to {data['normalized_best']['ratio']:.1f} "
            "and rises again."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Against the threshold on the left, against the size on the right."""
        canvas, (left, right) = subplots(1, 2, figsize=(6.4, 3.9), width_ratios=(1.75, 1))
        left.set(xscale="log", yscale="log", xlim=RANGE, ylim=(0.019, 1.25))
        looks = ("-", "o"), (marks.DASHED, "s")
        for panel, (dashes, marker) in zip(data["panels"], looks, strict=True):
            worst, exact, best = panel["worst"], panel["exact"], panel["best"]
            low = best["threshold"], best["bias_radius"]
            left.plot(worst["threshold"], worst["radius"], color=marks.BOUND, ls=dashes, lw=2.2)
            left.plot(exact["threshold"], exact["bias"], color=marks.FIXED, ls=dashes, lw=1.1)
            marks.simulated(left, panel["simulation"], "threshold", fmt=marker, ms=4)
            left.plot(*low, "v", color=marks.BOUND, ms=7, zorder=6)
        left.axhline(data["minimax"], color=marks.MINIMAX, ls=marks.DOTTED)
        left.axhline(data["sgd"], color=marks.SGD, ls="-.", lw=0.9)
        left.set_xlabel("threshold c (gradient units)")
        left.set_ylabel("bias ‖∇f‖ (gradient units)")
        marks.plain_ticks(left.xaxis, (0.1, 0.3, 1, 3, 10, 30))
        marks.plain_ticks(left.yaxis, (0.02, 0.05, 0.1, 0.2, 0.5, 1))
        left.set_title(f"{self.title}   (n = {data['run']['replicates']} replicates)")
        for x, y, text, color in (
            (0.058, 1.02, "worst case, b = 1", marks.BOUND),
            (4.4, 0.86, "worst case,\nb = 10", marks.BOUND),
            (4.3, 0.033, "exact, b = 1", marks.FIXED),
            (0.058, 0.051, "exact, b = 10", marks.FIXED),
            (11, 0.215, "SGD", marks.SGD),
            (0.055, 0.105, "minimax", marks.MINIMAX),
        ):
            side = "right" if x in (4.4, 11) else "left"
            marks.direct_label(left, x, y, text, color, ha=side)
        self._draw_sizes(right, data)
        return canvas

    def _draw_sizes(self, axes: Any, data: dict[str, Any]) -> None:
        """The smallest worst case at every size, relative to the minimax bound."""
        sizes, best, cost = data["sizes"], data["normalized_best"], self._cost(data)
        b = sizes["micro_batch_size"]
        axes.set(xscale="log", yscale="log", xlim=(0.9, 80), ylim=(0.8, 14))
        axes.plot(b, sizes["normalized"], color=marks.NORMALIZED, ls="-.")
        axes.plot(b, sizes["threshold"], color=marks.BOUND, lw=2.2)
        axes.axhline(1, color=marks.MINIMAX, ls=marks.DOTTED)
        axes.plot(best["micro_batch_size"], best["ratio"], "v", color=marks.NORMALIZED, ms=7)
        axes.plot(SIZES[1], 1 + cost, "s", color=marks.BOUND, ms=6)
        axes.set_xlabel("micro-batch size b (samples)")
        axes.set_ylabel("worst case / minimax bound (dimensionless)")
        marks.plain_ticks(axes.xaxis, (1, 3, 10, 30))
        marks.plain_ticks(axes.yaxis, (1, 2, 5, 10))
        text = f"best threshold:\n+{100 * cost:.0f} % at b = {SIZES[1]}"
        marks.direct_label(axes, 3.2, 6.6, "normalized", "#2A7FB0")
        marks.direct_label(axes, 1, 1.3, text, marks.BOUND)
        marks.direct_label(axes, 1, 0.87, "minimax", marks.MINIMAX)


figure = Threshold()
