"""Bias and clipping norm against the dimension: what is left when the noise has one length only."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import bias_radius
from analysis.rest.limits import bias_in_many_dimensions
from analysis.rest.mixture import mixture
from analysis.rest.stable import exact_bias
from analysis.rest.update import clipping_norm
from analysis.spec.experiment import Experiment, GradientModel
from analysis.spec.rule import Clipping, Rule
from figures import marks
from figures.checks import Check, agreement
from figures.figure import Figure, Simulated
from sim.estimate import quantile

B, EPSILON, SIGMA, DRAGGER = 256, 0.01, 1.0, 20.0
SIZES = (8, 32)  # whose bias is shown; those of the second panel begin with single samples
LIMIT = "limits for d → ∞ (dotted)"
LOOK: dict[str, dict[str, Any]] = {
    "adaptive": {"color": marks.ADAPTIVE},
    "normalized": {"color": marks.NORMALIZED, "lw": 1.3, "ls": marks.DASHED},
}
NORMS = 1024  # replicates of a first step
ITERATIONS = {1: 12_000, 4: 6000, 16: 2400, 64: 800, 256: 300}


def table(dimension: int) -> dict[str, Any]:
    """The model: Gaussian noise of one total size, draggers along the diagonal."""
    return {
        "dimension": dimension,
        "dragger_fraction": EPSILON,
        "noise": {"law": "gaussian", "scale": SIGMA},
        "dragger": {"law": "persistent", "norm": DRAGGER, "direction": -1.0},
    }


def scale(b: int) -> float:
    """The noise of a micro-batch, σ/√b."""
    return float(SIGMA / np.sqrt(b))


class Dimension(Figure):
    """Gaussian noise of the same total size in ever more dimensions."""

    name = "dimension"
    title = "More dimensions hardly change the bias"
    claims = ("bias_radius", "m_estimator_identity")
    place = 12

    def experiments(self, profile: str) -> list[Experiment]:
        """Algorithm 1 at rest, and the clipping norm of its first step, from the minimum of f."""
        iterations = dict(ITERATIONS)
        if profile == "full":
            iterations = {d: 6 * T for d, T in ITERATIONS.items()} | {1024: 600}
        found = []
        for d, T in iterations.items():
            rest = {"steps": [0.6, 0.3], "iterations": T, "seed": 1}
            first = {"measure": "trajectory", "iterations": 1, "replicates": NORMS, "seed": 2}
            for part, sizes, run in (("rest", SIZES, rest), ("norm", (1, *SIZES), first)):
                algorithm = {"rule": "adaptive", "batch_size": B, "micro_batch_sizes": sizes}
                what = {"model": table(d), "algorithm": algorithm, "run": run}
                found.append(Experiment.from_mapping(what, name=f"dimension_{part}_{d}_{profile}"))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Exact values on a grid of dimensions, their limits, and the simulations."""
        grid = [1, 2, 3, 4, 8, 16, 64, 256, 1024, 10**4, 10**5]
        if profile == "full":
            grid = sorted({*grid, 10**6, *(round(d) for d in np.geomspace(1, 10**5, 31))})
        models = {d: GradientModel.read(table(d)) for d in grid}
        bias: dict[str, Any] = {}
        for b, bound in zip(SIZES, bias_radius(np.array(SIZES), EPSILON, SIGMA), strict=True):
            share = (1 - (1 - EPSILON) ** b) * bound
            bias[str(b)] = {"bias_radius": bound, "share": share}
            for rule in (Rule.NORMALIZED, Rule.ADAPTIVE):
                exact = [exact_bias(models[d], rule, B, b).bias for d in grid]
                limit = bias_in_many_dimensions(models[1], Clipping(rule, B, b))
                bias[str(b)][rule.value] = {"bias": exact, "limit": limit}
            normalized = bias[str(b)]["normalized"]
            excess = normalized["bias"][grid.index(10**4)] / normalized["limit"] - 1
            bias[str(b)]["prefactor"] = 10**4 * excess
        norm = {}
        for b in (1, *SIZES):
            laws = [mixture(models[d], b) for d in grid]
            norm[str(b)] = [clipping_norm(law, np.zeros(1), B // b) / scale(b) for law in laws]
        runs = self.experiments(profile)
        rests, norms = [], []
        for e in runs:
            d = e.model.dimension
            for b, found in simulated[e.name].items():
                place = {"dimension": d, "micro_batch_size": b}
                if e.run.measure == "bias":
                    exact = bias[str(b)]["adaptive"]["bias"][grid.index(d)]
                    point = {"value": found.bias, "interval": found.interval, "exact": exact}
                    point |= {"z": found.score(exact), "degrees": found.degrees}
                    rests.append(place | point)
                else:
                    norms.append(place | self._norm(found, b, norm[str(b)][grid.index(d)]))
        rest, first = runs[0].run, runs[1].run
        about = {"replicates": rest.replicates, "steps": rest.steps, "norms": first.replicates}
        about["iterations"] = sorted({e.run.iterations for e in runs} - {1})
        shown = {"dimensions": grid, "bias": bias, "norm": norm, "runs": about}
        return shown | {"simulation": rests, "norms": norms}

    @staticmethod
    def _norm(found: Any, b: int, exact: float) -> dict[str, Any]:
        """The mean of ρ over first steps, in units of a micro-batch's noise, beside the exact."""
        value, error = (x[0][0][2] / scale(b) for x in (found.mean, found.standard_error))
        reach = quantile(0.995, NORMS - 1) * error
        found = {"value": value, "interval": [value - reach, value + reach], "exact": exact}
        return found | {"z": (value - exact) / error, "degrees": NORMS - 1}

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the radius, monotone fall, the limits and how fast they are approached."""
        entries = list(data["bias"].values())
        curves = [entry[rule] for entry in entries for rule in ("normalized", "adaptive")]
        steps = np.concatenate([np.diff(c["bias"]) for c in curves])
        ratio = max(max(e["adaptive"]["bias"]) / e["bias_radius"] for e in entries)
        slopes = [x for entry in entries for x in self._slopes(data["dimensions"], entry)]
        first, second = (entry["prefactor"] for entry in entries)
        shares = [entry["normalized"]["limit"] / entry["share"] for entry in entries]
        return [
            agreement("simulated and exact bias of Algorithm 1 agree", data["simulation"]),
            agreement("simulated and exact clipping norm agree", data["norms"]),
            Check(
                "Algorithm 1's bias is below half the worst-case radius in every dimension",
                "largest ratio below 0.5",
                f"{ratio:.3f}",
                ratio < 0.5,
            ),
            Check(
                "the bias falls as the dimension grows, of both rules and at both sizes",
                "every step along the grid negative",
                f"largest step {max(steps):.1e} of {steps.size}",
                bool((steps < 0).all()),
            ),
            Check(
                "excess over the limit: like 1/d (normalized), and 1/√d more for Algorithm 1",
                "log-log slopes within 0.05 of -1 and -1/2",
                ", ".join(f"{x:.3f}" for x in slopes),
                all(abs(x - y) < 0.05 for x, y in zip(slopes, [-1, -0.5] * 2, strict=True)),
            ),
            Check(
                f"the normalized one's is about 1/(4d) for b = {SIZES[0]}, less for b = {SIZES[1]}",
                "times d: 1/4, its value for ∇f far below σ/√b, within 0.01; less for the other",
                f"{first:.3f} and {second:.3f}",
                second < first and abs(first - 0.25) < 0.01,
            ),
            Check(
                "the normalized rule's limit is at most the share 1-p of the radius, and near it",
                "0.9 to 1 of it",
                ", ".join(f"{x:.3f}" for x in shares),
                all(0.9 <= x <= 1 for x in shares),
            ),
        ]

    @staticmethod
    def _slopes(grid: list[int], entry: dict[str, Any]) -> list[float]:
        """Of the normalized rule's relative excess, and of what Algorithm 1 has beyond it."""
        other, own = (np.array(entry[r]["bias"]) / entry[r]["limit"] - 1 for r in LOOK)
        found = []
        for excess, ends in ((own, (64, 10**4)), (other - own, (10**4, 10**5))):
            i, j = map(grid.index, ends)
            found.append(float(np.log(excess[j] / excess[i]) / np.log(grid[j] / grid[i])))
        return found

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        runs, norm, last = data["runs"], data["norm"]["1"], data["dimensions"][-1]
        small, large = (data["bias"][str(b)]["normalized"] for b in SIZES)
        factor = [data["bias"][str(b)]["prefactor"] for b in SIZES]
        drops = [x[0] / x[-1] for x in (data["bias"][str(b)]["adaptive"]["bias"] for b in SIZES)]
        rises = [data["norm"][str(b)][-1] / data["norm"][str(b)][0] for b in SIZES]
        return (
            "Gaussian noise of total standard deviation 1 in d dimensions, one sample in a hundred "
            f"a persistent dragger of norm {DRAGGER:g}, mini-batches of {B} samples. (a) Bias at "
            f"rest for micro-batches of {SIZES[0]} and {SIZES[1]} samples: exact for Algorithm 1 "
            "(solid) and the normalized rule (dashed), simulated Algorithm 1 with 99 % intervals "
            f"({runs['replicates']} replicates, {runs['iterations'][0]} to "
            f"{runs['iterations'][-1]} iterations, {len(runs['steps'])} step sizes, extrapolated "
            "to zero step). The worst-case radius does not depend on d. Algorithm 1's bias falls, "
            f"but only by a factor of {drops[0]:.2f} and {drops[1]:.2f} from d = 1 to {last:,}, "
            "near the limit (dotted). There all clean micro-batches have one length, hypot(‖∇f‖, "
            "σ/√b): clipping scales them all alike, and only cuts the draggers' leverage. The "
            f"limits of the normalized rule, {small['limit']:.4f} and {large['limit']:.4f}, are at "
            f"most 1-p times the radius, p the chance of a clean micro-batch. (b) b = {SIZES[0]}: "
            f"the normalized rule's excess over its limit is about 1/(4d) of it, {factor[0]:.3f}/d "
            f"({factor[1]:.3f}/d for b = {SIZES[1]}); Algorithm 1 has a part more that falls like "
            "1/√d, as do the relative differences of lengths. (c) Mean clipping norm ρ at ∇f = 0 "
            f"in units of a micro-batch's noise σ/√b, exact (lines) and in {runs['norms']} "
            f"simulated first steps, for m = B/b micro-batches. The smallest of {B} norms is "
            f"{norm[0]:.4f} for d = 1 and {norm[-1]:.3f} for d = {last:,}. At equal step size "
            f"speeds differ as ρ does, between these dimensions by a factor of {rises[0]:.0f} for "
            f"b = {SIZES[0]} and {rises[1]:.1f} for b = {SIZES[1]}; the biases only by "
            f"{drops[0]:.2f} and {drops[1]:.2f}."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            f"Above: bias against dimension from 1 to {data['dimensions'][-1]:,}; four nearly flat "
            "curves in two pairs fall a little and level off by d = 100, far below two constant "
            "radii; simulated points lie on them. Below: the excess over the limit falls along 1/d "
            "or later 1/√d, and the clipping norm rises towards 1, from 0.005 for 256 "
            "micro-batches."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias above; its excess and the clipping norm below."""
        canvas = Canvas(figsize=(6.4, 5.8))
        axes = canvas.subplot_mosaic([["a", "a"], ["b", "c"]], height_ratios=[1.25, 1])
        self._draw_bias(axes["a"], data)
        self._draw_excess(axes["b"], data)
        self._draw_norm(axes["c"], data)
        last = data["dimensions"][-1]
        for each in axes.values():
            each.set(xscale="log", yscale="log", xlabel="dimension d (parameters)")
            each.set_xticks(np.geomspace(1, last, 1 + round(np.log10(last))))
            each.set_xlim(0.75, 1.35 * last)
            each.minorticks_off()
            each.grid(True, axis="y", which="major")
        marks.plain_ticks(axes["a"].yaxis, [0.03, 0.05, 0.1, 0.2, 0.3, 0.5])
        marks.plain_ticks(axes["c"].yaxis, [0.003, 0.01, 0.03, 0.1, 0.3, 1])
        return canvas

    def _draw_bias(self, axes: Any, data: dict[str, Any]) -> None:
        grid, end = data["dimensions"], data["dimensions"][-1]
        axes.set(ylim=(0.023, 0.55), ylabel="bias ‖∇f‖ (gradient units)")
        for b in SIZES:
            entry = data["bias"][str(b)]
            axes.axhline(entry["bias_radius"], color=marks.BOUND)
            for rule, look in LOOK.items():
                axes.plot(grid, entry[rule]["bias"], **look)
            level = entry["normalized"]["limit"]
            axes.axhline(level, color="black", lw=0.9, ls=marks.DOTTED, zorder=1)
            for y, text, color in (
                (entry["bias_radius"], f"worst-case radius, b = {b}", marks.BOUND),
                (level, f"Algorithm 1, b = {b}", marks.ADAPTIVE),
            ):
                marks.direct_label(axes, end, 1.05 * y, text, color, ha="right", va="bottom")
        axes.text(end, 0.95 * data["bias"]["8"]["normalized"]["limit"], LIMIT, ha="right", va="top")
        marks.direct_label(axes, 1.6, 0.0605, "normalized (dashed)", "#2A7FB0", va="center")
        marks.simulated(axes, data["simulation"], "dimension")
        n = f"n = {data['runs']['replicates']} replicates"
        axes.set_title(f"(a) {self.title} ({n}, 99 % intervals)")

    @staticmethod
    def _draw_excess(axes: Any, data: dict[str, Any]) -> None:
        grid, entry = np.array(data["dimensions"]), data["bias"][str(SIZES[0])]
        axes.set(ylim=(1e-5, 0.6), ylabel="bias / limit - 1 (dimensionless)")
        for rule, look in LOOK.items():
            excess = np.array(entry[rule]["bias"]) / entry[rule]["limit"] - 1
            keep = excess > 1e-5
            axes.plot(grid[keep], excess[keep], **look)
        axes.plot([1, 2e4], [0.25, 0.25 / 2e4], color="black", lw=0.9, ls=marks.DOTTED)
        marks.direct_label(axes, 1.2e3, 1.2e-3, "Algorithm 1", marks.ADAPTIVE)
        marks.direct_label(axes, 5e2, 1e-4, "normalized", "#2A7FB0", ha="right")
        axes.text(5e2, 3.5e-5, "1/(4d) (dotted)", ha="right")
        axes.set_title(f"(b) How far from the limit (b = {SIZES[0]})")

    @staticmethod
    def _draw_norm(axes: Any, data: dict[str, Any]) -> None:
        axes.set(ylim=(0.003, 1.6), ylabel="mean ρ / (σ/√b) (dimensionless)")
        axes.axhline(1, color="black", lw=0.9, ls=marks.DOTTED, zorder=1)
        for b, mark, dash in ((32, "^", marks.DOTTED), (8, "s", marks.DASHED), (1, "o", "-")):
            look: dict[str, Any] = {"color": marks.ADAPTIVE, "ls": dash}
            axes.plot(data["dimensions"], data["norm"][str(b)], **look)
            points = [p for p in data["norms"] if p["micro_batch_size"] == b]
            marks.simulated(axes, points, "dimension", fmt=mark)
            label = f"m = {B // b}, b = {b}"
            axes.plot([], [], marker=mark, mfc="white", mec="k", label=label, **look)
        axes.legend(loc="lower right")
        axes.set_title(f"(c) Clipping norm (n = {NORMS} steps)")


figure = Dimension()
