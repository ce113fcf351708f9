"""The size of smallest bias and that of smallest guaranteed bias: two powers of the fraction ε."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy import optimize

from analysis.advice.sizes import best_sizes, bias_radius
from analysis.claims import CLAIMS
from analysis.claims.skewness_expansion import median_bias
from analysis.rest.stable import stable_roots
from analysis.spec.experiment import Experiment
from figures.checks import Check, agreement, not_above
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from figures.kit.points import biases as compared
from figures.kit.points import rivals
from figures.marks import BOUND, DASHED, DOTTED, NORMALIZED, direct_label, plain_ticks, simulated
from sim.estimate import confidence_set

SHAPE = 1.0  # of the gamma noise: exponential
SKEWNESS = 2 / SHAPE**0.5
NORM = 1000.0  # of the draggers, so long that every contaminated micro-batch points back
MICRO_BATCHES, REPLICATES = 16, 32
FRACTIONS = {"quick": (0.03, 0.01, 0.003, 0.001), "full": (0.03, 0.01, 0.003, 0.001, 0.0003)}
EXAMPLE, TURNED = 0.01, (4, 9, 16, 32)  # its fraction, and sizes simulated with turned skewness
RAREST, FITTED, COMMONEST = 1e-5, 1e-3, 0.2  # slopes are fitted over the first two


def exact_best(fraction: float) -> float:
    """The real size with the smallest exact bias, at least 1, by search below the breakdown.

    From the quantiles of gamma noise, claims/skewness_expansion.py: draggers as long as they like.
    """
    rate = -np.log1p(-fraction)

    def bias(log_size: float) -> float:
        return float(median_bias(np.array(SHAPE), float(np.exp(log_size)), rate))

    ends = (0.0, float(np.log(0.999 * np.log(2) / rate)))
    found = optimize.minimize_scalar(bias, ends, bounds=ends, method="bounded")
    return float(np.exp(found.x))


class TwoSweetSpots(Figure):
    """Exponential noise and draggers: the best size for it, and that with the best guarantee."""

    name = "two_sweet_spots"
    title = "The best size for one law, and the best guarantee"
    claims = ("skewness_expansion", "sweet_spot")
    place = 4

    def experiments(self, profile: str) -> list[Experiment]:
        """Sizes around the best one, 1/3 to 3 times as large; and noise turned the other way.

        The run grows with the best size, so that the biases are known to equal relative errors.
        """
        factors = 3 ** (np.arange(-3, 4) / 3 if profile == "full" else np.arange(-2, 3) / 2)
        every = []
        for fraction in FRACTIONS[profile]:
            sizes = np.unique(np.round(round(exact_best(fraction)) * factors).astype(int)).tolist()
            every += [self._experiment(profile, fraction, b, 1.0) for b in sizes]
        return every + [self._experiment(profile, EXAMPLE, b, -1.0) for b in TURNED]

    @staticmethod
    def _experiment(profile: str, fraction: float, b: int, sign: float) -> Experiment:
        """One size; draggers point down, and for sign 1 the long tail of the noise up."""
        noise = {"law": "gamma", "shape": SHAPE, "scale": 1.0, "sign": sign, "gaussian": 0.0}
        dragger = {"law": "persistent", "norm": NORM, "direction": [-1.0]}
        model = {"dimension": 1, "dragger_fraction": fraction, "noise": noise, "dragger": dragger}
        rule = {"rule": "normalized", "batch_size": MICRO_BATCHES * b, "micro_batch_sizes": [b]}
        step = round(0.4 / b**0.5, 4)
        run = {
            "steps": [step, step / 4],
            "iterations": round(1500 * (4 if profile == "full" else 1) * (0.01 / fraction) ** 0.67),
            "burn_in": 0.1,
            "replicates": REPLICATES,
        }
        side = "" if sign > 0 else "_turned"
        table = {"model": model, "algorithm": rule, "run": run}
        return Experiment.from_mapping(table, f"two_sweet_spots_{profile}{side}_{fraction:g}_{b}")

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """The best sizes by dragger fraction, the sets of the simulation, and one example."""
        grid = np.geomspace(RAREST, COMMONEST, 120 if profile == "full" else 30)
        runs = self.experiments(profile)
        upright, turned = runs[: -len(TURNED)], runs[-len(TURNED) :]
        return {
            "skewness": SKEWNESS,
            "replicates": REPLICATES,
            "iterations": sorted({e.run.iterations for e in runs}),
            "curve": [self._sizes(float(fraction)) for fraction in grid],
            "sets": [
                self._set(f, [e for e in upright if _fraction(e) == f], simulated)
                for f in FRACTIONS[profile]
            ],
            "example": self._example([_point(e, simulated) for e in turned], turned[0]),
        }

    @staticmethod
    def _sizes(fraction: float) -> dict[str, Any]:
        """The three best sizes; the formula's is None where it says nothing."""
        at = {"skewness": SKEWNESS, "noise_scale": 1.0, "dragger_fraction": fraction}
        formula = CLAIMS["skewness_expansion"].evaluate(micro_batch_size=1.0, **at)
        return {
            "dragger_fraction": fraction,
            "exact": exact_best(fraction),
            "formula": formula["best_micro_batch_size"],
            "worst_case": best_sizes(fraction, 1.0, 1.0)["micro_batch_size"],
        }

    def _set(self, fraction: float, runs: list[Experiment], found: Simulated) -> dict[str, Any]:
        """Simulated sizes at one dragger fraction, and those that may be the best of them."""
        points = [_point(e, found) for e in runs]
        estimates = {b: estimate for e in runs for b, estimate in found[e.name].items()}
        return self._sizes(fraction) | {
            "points": points,
            "best": min(points, key=lambda p: p["exact"])["micro_batch_size"],
            "confidence_set": confidence_set(estimates),
        }

    @staticmethod
    def _example(turned: list[dict[str, Any]], run: Experiment) -> dict[str, Any]:
        """Bias against size at one dragger fraction; signed for the skewness turned round."""
        at = {"skewness": SKEWNESS, "noise_scale": 1.0, "dragger_fraction": EXAMPLE}
        size = np.geomspace(2.8, 0.99 * best_sizes(EXAMPLE, 1.0, 1.0)["breakdown"], 150)
        sizes = [*range(2, 15), 16, 18, 21, 24, 28, 32, 38, 44, 50, 55, 59, 62, 65, 67]
        model, rate = run.gradient_model, -np.log1p(-EXAMPLE)
        formula = CLAIMS["skewness_expansion"].evaluate(micro_batch_size=size, **at)
        return {
            "dragger_fraction": EXAMPLE,
            "micro_batch_size": size,
            "exact": [median_bias(np.array(SHAPE), b, rate) for b in size],
            "formula": formula["bias"],
            "radius": bias_radius(size, EXAMPLE, 1.0),
            "cancels": formula["best_micro_batch_size"][0] / 2 ** (2 / 3),
            "turned_size": sizes,
            "turned": [stable_roots(model, b, "normalized", 1)[0][0] for b in sizes],
            "turned_points": turned,
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the best sizes, two slopes, the sign change."""
        sets, example = data["sets"], data["example"]
        points = [p for row in sets for p in row["points"]]
        # corrections to the formula are of relative order 1/√b, claims/skewness_expansion.py; as b
        # goes like ε^(-2/3), one of 1/√b changes the slope by 1/(3√b)
        reach = 1 / (3 * exact_best(FITTED) ** 0.5)
        slope, worst = _slope(data, "exact"), _slope(data, "worst_case")
        changes = np.flatnonzero(np.diff(np.sign(example["turned"])))
        where = [example["turned_size"][i] for i in changes]
        low, high = (example["cancels"] * (1 + r / example["cancels"] ** 0.5) for r in (-1, 1))
        return [
            agreement("the simulated bias agrees with the exact one", points),
            agreement("so it does where the skewness is turned round", example["turned_points"]),
            not_above(
                "no simulated size has a smaller bias than the exact best of those simulated",
                [p for row in sets for p in rivals(row["points"], row["best"])],
            ),
            Check(
                "the best size for this law goes like ε^(-2/3)",
                f"slope within {reach:.3f} of -0.667",
                f"{slope:.3f}",
                abs(slope + 2 / 3) < reach,
            ),
            Check(
                "the size with the smallest guaranteed bias goes like 1/ε",
                "slope within 0.001 of -1",
                f"{worst:.4f}",
                abs(worst + 1) < 1e-3,
            ),
            Check(
                "turned round, skewness and draggers cancel at one size",
                f"one change of sign, between {low:.1f} and {high:.1f}",
                f"just beyond {where}",
                len(where) == 1 and low < where[0] + 0.5 < high,
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        example, sets = data["example"], data["sets"]
        row = next(row for row in sets if row["dragger_fraction"] == example["dragger_fraction"])
        rarest = min(sets, key=lambda r: r["dragger_fraction"])
        single = sum(len(r["confidence_set"]) == 1 for r in sets)
        points = sum(len(r["points"]) for r in sets) + len(example["turned_points"])
        gap = max(r["formula"] / r["exact"] - 1 for r in sets)
        after = int(np.searchsorted(example["turned"], 0.0))
        around = example["turned_size"][after - 1 : after + 1]
        return (
            "Normalized rule, exponential noise (dimension 1, skewness "
            f"{data['skewness']:g}, σ = 1) whose long tail points away from the draggers. Left: "
            f"bias against the micro-batch size b at ε = {example['dragger_fraction']:g}. Solid: "
            f"exact, smallest at b = {row['exact']:.1f}; dotted: expansion in 1/√b; dashed: "
            f"guaranteed radius, smallest at {row['worst_case']:.1f}. Thin: exact at whole sizes, "
            "the skewness turned round; skewness and draggers cancel between b = "
            f"{around[0]} and {around[1]}. Right: both sizes against the dragger fraction ε. The "
            f"best one for this law has the fitted slope {_slope(data, 'exact'):.3f} over ε from "
            f"{RAREST:g} to {FITTED:g}, that with the smallest guaranteed bias "
            f"{_slope(data, 'worst_case'):.3f}: at "
            f"ε = {rarest['dragger_fraction']:g} they differ by a factor of "
            f"{rarest['worst_case'] / rarest['exact']:.1f}. The formula (dotted) is up to "
            f"{gap:.0%} too large where there are points. Points: simulation, extrapolated to zero "
            f"step, at {points} pairs of ε and b ({data['replicates']} replicates, "
            f"{data['iterations'][0]} to {data['iterations'][-1]} iterations, 2 step sizes; 99 % "
            "intervals on the left). Filled points on the right: the 99 % confidence set of the "
            f"best size, a single one at {single} of {len(sets)} fractions; hollow: excluded."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture in words."""
        sets = [row["confidence_set"] for row in data["sets"]]
        return (
            "Left, bias against micro-batch size: a U-shaped exact curve with simulated points on "
            "it, the guaranteed radius above with its minimum further right, and a curve that "
            "touches zero. Right, log-log: two falling lines, the size with the best "
            "guarantee steeper, which meet where draggers are common; the sets of simulated best "
            f"sizes {sets} lie on the lower one."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """One dragger fraction on the left, all of them on the right."""
        canvas, panels = subplots(1, 2, figsize=(6.4, 3.8))
        self._draw_example(panels[0], data)
        self._draw_sizes(panels[1], data)
        n = data["replicates"]
        canvas.suptitle(f"{self.title}   (points: n = {n} replicates)", x=0.01, ha="left", size=10)
        return canvas

    @staticmethod
    def _draw_example(axes: Any, data: dict[str, Any]) -> None:
        example = data["example"]
        size = example["micro_batch_size"]
        axes.plot(size, example["radius"], color=BOUND, ls=DASHED)
        axes.plot(size, example["formula"], color="black", ls=DOTTED, lw=1.2)
        turned = np.interp(size, example["turned_size"], example["turned"])
        axes.plot(size, np.abs(turned), color=NORMALIZED, lw=0.8)
        axes.plot(size, example["exact"], color=NORMALIZED)
        (row,) = [r for r in data["sets"] if r["dragger_fraction"] == example["dragger_fraction"]]
        simulated(axes, row["points"], "micro_batch_size")
        simulated(axes, example["turned_points"], "micro_batch_size", fmt="s", ms=4)
        axes.set(xscale="log", xlim=(2.8, 70), ylim=(0, 0.4))
        plain_ticks(axes.xaxis, [4, 8, 16, 32, 64])
        axes.set(xlabel="micro-batch size b (samples)", ylabel="bias ‖∇f‖ (gradient units)")
        direct_label(axes, 3, 0.29, "guaranteed radius", BOUND)
        direct_label(axes, 5.5, 0.112, "exact (points: simulated)", "#2A7FB0")
        direct_label(axes, 3, 0.15, "expansion (dotted)", "black")
        direct_label(axes, 66, 0.015, "skewness\nturned round", "#2A7FB0", ha="right")

    @staticmethod
    def _draw_sizes(axes: Any, data: dict[str, Any]) -> None:
        curve = data["curve"]
        fraction = [row["dragger_fraction"] for row in curve]
        axes.plot(fraction, [r["worst_case"] for r in curve], color=BOUND, ls=DASHED)
        axes.plot(fraction, [r["formula"] for r in curve], color="black", ls=DOTTED, lw=1.2)
        axes.plot(fraction, [r["exact"] for r in curve], color=NORMALIZED)
        label = f"this law:\nslope {_slope(data, 'exact'):.2f}\n(dotted: formula)"
        direct_label(axes, 1.3e-5, 18, label.replace("-", "−"), "#2A7FB0")
        label = f"best guarantee: slope {_slope(data, 'worst_case'):.2f}"
        direct_label(axes, 1.5e-4, 3500, label.replace("-", "−"), BOUND)
        kept, excluded = {"ms": 5, "mfc": "black"}, {"ms": 3, "mfc": "white"}
        axes.plot([], [], "o", mec="black", label="in the 99 % set", **kept)
        axes.plot([], [], "o", mec="black", label="excluded", **excluded)
        axes.legend(loc="lower left", handletextpad=0.2, borderaxespad=0.2)
        for row in data["sets"]:
            for p in row["points"]:
                look = kept if p["micro_batch_size"] in row["confidence_set"] else excluded
                place = (row["dragger_fraction"], p["micro_batch_size"])
                axes.plot(*place, "o", mec="black", zorder=5, **look)
        axes.set(xscale="log", yscale="log", xlim=(1e-5, 0.2), ylim=(1, 4e4))
        axes.set(xlabel="dragger fraction ε (dimensionless)", ylabel="size b (samples)")


def _fraction(experiment: Experiment) -> float:
    return experiment.gradient_model.dragger_fraction


def _point(experiment: Experiment, found: Simulated) -> dict[str, Any]:
    """A simulated bias beside the exact one. Raises ValueError unless there is one root."""
    (b,) = experiment.algorithm.sizes
    (root,) = stable_roots(experiment.gradient_model, b, "normalized", 1)
    return compared(found[experiment.name], {b: float(np.linalg.norm(root))})[0]


def _slope(data: dict[str, Any], name: str) -> float:
    """The slope of a best size against the dragger fraction, both logarithmic, least squares."""
    rare = [row for row in data["curve"] if row["dragger_fraction"] <= FITTED]
    x = np.log([row["dragger_fraction"] for row in rare])
    return float(np.polyfit(x, np.log([row[name] for row in rare]), 1)[0])


figure = TwoSweetSpots()
