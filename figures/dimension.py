"""Bias and clipping norm against the dimension, at one total size of the noise."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import bias_radius
from analysis.rest.limits import bias_in_many_dimensions
from analysis.rest.stable import exact_bias
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment, GradientModel
from analysis.spec.rule import Clipping, Rule
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.estimate import Estimate
from sim.results import Trajectories

BATCH = 256
FRACTION = 0.01
SIGMA = 1.0
NORM = 20.0  # of the draggers
SMALL = 8
LARGE = 32
SIZES = (SMALL, LARGE)  # whose bias is shown
NORM_SIZES = (1, *SIZES)  # whose clipping norm is shown
NORMS = 1024  # replicates of a first step
ITERATIONS = {1: 12_000, 4: 6000, 16: 2400, 64: 800, 256: 300}  # by dimension
GRID = (1, 2, 3, 4, 8, 16, 64, 256, 1024, 10**4, 10**5)  # dimensions
FAR = 10**4  # where the normalized rule's excess over its limit is read
FARTHEST = 10**5
LOOK: dict[str, dict[str, Any]] = {
    "adaptive": {"color": palette.ADAPTIVE},
    "normalized": {"color": palette.NORMALIZED, "lw": 1.3, "ls": palette.DASHED},
}
# Of clipping norms, by micro-batch size: marker and dashes.
NORM_LOOK = {
    LARGE: ("^", palette.DOTTED),
    SMALL: ("s", palette.DASHED),
    1: ("o", palette.SOLID),
}
RULER = {"color": "black", "lw": 0.9, "ls": palette.DOTTED}  # of what is approached


class Dimension(Figure):
    """Gaussian noise of the same total size in ever more dimensions."""

    name = "dimension"
    title = "The bias falls little with dimension"
    claims = ("bias_radius", "m_estimator_identity")
    place = 12

    def experiments(self, profile: Profile) -> list[Experiment]:
        """Algorithm 1 at rest, and its clipping norm in a first step from the minimum.

        The full profile runs six times as long, and in more dimensions.
        """
        iterations = ITERATIONS
        if profile is Profile.FULL:
            iterations = {d: 6 * T for d, T in ITERATIONS.items()} | {1024: 600}
        runs = []
        for d, T in iterations.items():
            rest = {"steps": [0.6, 0.3], "iterations": T, "seed": 1}
            runs.append(_experiment(profile, "rest", d, sizes=SIZES, run=rest))
            first = {"measure": "trajectory", "iterations": 1, "seed": 2}
            first |= {"replicates": NORMS}
            runs.append(_experiment(profile, "norm", d, sizes=NORM_SIZES, run=first))
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Exact values on a grid of dimensions, their limits, and the simulations."""
        runs = self.experiments(profile)
        rest, first = runs[0].run, runs[1].run
        grid = _grid(profile)
        bias = {str(b): _biases(b, grid) for b in SIZES}
        norm = {str(b): [_clipping_norm(b, d) for d in grid] for b in NORM_SIZES}
        measured: dict[str, list[dict[str, Any]]] = {"rest": [], "norm": []}
        for e in runs:
            d, i = e.model.dimension, grid.index(e.model.dimension)
            for b, result in simulated[e.name].items():
                place = {"dimension": d, "micro_batch_size": b}
                if e.run.measure == "bias":
                    exact = bias[str(b)]["adaptive"]["bias"][i]
                    measured["rest"].append(place | _bias_point(result, exact))
                else:
                    point = _norm_point(result, b, norm[str(b)][i])
                    measured["norm"].append(place | point)
        return {
            "dimensions": grid,
            "bias": bias,
            "norm": norm,
            "runs": {
                "replicates": rest.replicates,
                "steps": rest.steps,
                "norms": first.replicates,
                "iterations": sorted({e.run.iterations for e in runs} - {1}),
            },
            "simulation": measured["rest"],
            "norms": measured["norm"],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the radius, the fall, the limits and how they are approached."""
        entries = [data["bias"][str(b)] for b in SIZES]
        curves = [entry[rule]["bias"] for entry in entries for rule in LOOK]
        ratios = [np.array(e["adaptive"]["bias"]) / e["bias_radius"] for e in entries]
        excess, part = np.transpose([_slopes(data["dimensions"], e) for e in entries])
        small, large = (entry["prefactor"] for entry in entries)
        shares = [entry["normalized"]["limit"] / entry["share"] for entry in entries]
        return [
            Check.of(
                "bias",
                "simulated and exact bias of Algorithm 1 agree",
                checks.agree(data["simulation"]),
            ),
            Check.of(
                "norm",
                "simulated and exact clipping norm agree",
                checks.agree(data["norms"]),
            ),
            Check.of(
                "radius",
                "Algorithm 1's bias is below half the worst-case radius in every "
                "dimension",
                checks.below("bias / radius", ratios, 0.5),
            ),
            Check.of(
                "fall",
                "the bias falls as the dimension grows, for both rules and both sizes",
                checks.below("change along the grid", np.diff(curves), 0),
            ),
            Check.of(
                "rates",
                "the excess over the limit falls like 1/d (normalized), and what "
                "Algorithm 1 has beyond that like 1/√d",
                checks.within("log-log slope (normalized)", excess, -1, 0.05),
                checks.within("log-log slope of the rest", part, -1 / 2, 0.05),
            ),
            Check.of(
                "prefactor",
                "the normalized rule's excess is about 1/(4d), the value for ∇f far "
                f"below σ/√b, for b = {SMALL}, and less for b = {LARGE}",
                checks.within(f"excess times d (b = {SMALL})", small, 0.25, 0.01),
                checks.ordered({f"b = {LARGE}": large, f"b = {SMALL}": small}),
            ),
            Check.of(
                "limit",
                "the normalized rule's limit is at most the share 1-p of the radius, "
                "and near it",
                checks.at_least("limit / share", shares, 0.9),
                checks.at_most("limit / share", shares, 1),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Factors between the first and the last dimension, limits, the model."""
        entries = [data["bias"][str(b)] for b in SIZES]
        biases = [entry["adaptive"]["bias"] for entry in entries]
        norms = [data["norm"][str(b)] for b in NORM_SIZES]
        smallest, *others = norms
        return {
            "batch": BATCH,
            "fraction": FRACTION,
            "noise_scale": SIGMA,
            "dragger_norm": NORM,
            "small": SMALL,
            "large": LARGE,
            "last": data["dimensions"][-1],
            "falls": [bias[0] / bias[-1] for bias in biases],
            "limits": [entry["normalized"]["limit"] for entry in entries],
            "prefactors": [entry["prefactor"] for entry in entries],
            "lowest": smallest[0],
            "highest": smallest[-1],
            "rises": [norm[-1] / norm[0] for norm in others],
            "step_sizes": " and ".join(f"{step:g}" for step in data["runs"]["steps"]),
            "fewest": data["runs"]["iterations"][0],
            "most": data["runs"]["iterations"][-1],
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias above; its excess and the clipping norm below."""
        canvas = Canvas(figsize=(6.4, 5.8))
        axes = canvas.subplot_mosaic("aa;bc", height_ratios=[1.25, 1])
        _draw_bias(axes["a"], data)
        replicates = data["runs"]["replicates"]
        title = f"(a) {self.title} (n = {replicates} replicates, 99 % intervals)"
        axes["a"].set_title(title)
        _draw_excess(axes["b"], data)
        _draw_norm(axes["c"], data)
        last = data["dimensions"][-1]
        for panel in axes.values():
            panel.set(xscale="log", yscale="log", xlabel="dimension d (parameters)")
            panel.set_xticks(np.geomspace(1, last, 1 + round(np.log10(last))))
            panel.set_xlim(0.75, 1.35 * last)
            panel.minorticks_off()
            panels.rulers(panel)
        panels.plain_ticks(axes["a"].yaxis, [0.03, 0.05, 0.1, 0.2, 0.3, 0.5])
        panels.plain_ticks(axes["c"].yaxis, [0.003, 0.01, 0.03, 0.1, 0.3, 1])
        return canvas


def model_in(dimension: int) -> GradientModel:
    """The model: Gaussian noise of one total size, draggers along the diagonal."""
    return GradientModel.read(_table(dimension))


def _table(dimension: int) -> worlds.Table:
    return worlds.isotropic(
        dimension, dragger_fraction=FRACTION, noise_scale=SIGMA, dragger_norm=NORM
    )


def _experiment(
    profile: Profile,
    part: str,
    dimension: int,
    *,
    sizes: Sequence[int],
    run: dict[str, Any],
) -> Experiment:
    name = f"dimension_{part}_{dimension}_{profile}"
    return worlds.experiment(
        name, _table(dimension), run, rule="adaptive", batch_size=BATCH, sizes=sizes
    )


def _grid(profile: Profile) -> list[int]:
    """The dimensions of the lines."""
    finer = [round(d) for d in np.geomspace(1, FARTHEST, 31)]
    return sorted({*GRID, *profile.pick(quick=[], full=[*finer, 10**6])})


def _biases(b: int, grid: Sequence[int]) -> dict[str, Any]:
    """Exact biases, their limits, and the worst-case radius.

    The share is 1-p times the radius, p = (1-ε)^b.
    """
    radius = bias_radius(np.array(SIZES), FRACTION, SIGMA)[SIZES.index(b)]
    curves: dict[str, dict[str, Any]] = {
        rule.value: {
            "bias": [exact_bias(model_in(d), rule, BATCH, b).bias for d in grid],
            "limit": bias_in_many_dimensions(model_in(1), Clipping(rule, BATCH, b)),
        }
        for rule in (Rule.NORMALIZED, Rule.ADAPTIVE)
    }
    normalized = curves["normalized"]
    excess = normalized["bias"][grid.index(FAR)] / normalized["limit"] - 1
    return {
        "bias_radius": radius,
        "share": (1 - (1 - FRACTION) ** b) * radius,
        **curves,
        "prefactor": FAR * excess,
    }


def _noise(b: int) -> float:
    """The noise of a micro-batch, σ/√b."""
    return float(SIGMA / np.sqrt(b))


def _clipping_norm(b: int, dimension: int) -> float:
    """E ρ of Algorithm 1 at ∇f = 0, in units of a micro-batch's noise."""
    update = Update(model_in(dimension), Clipping(Rule.ADAPTIVE, BATCH, b))
    return update.clipping_norm(np.zeros(1)) / _noise(b)


def _bias_point(estimate: Estimate, exact: float) -> dict[str, Any]:
    return Point.of_bias(estimate, exact).entry(without=("standard_error",))


def _norm_point(result: Trajectories, b: int, exact: float) -> dict[str, Any]:
    """The mean of ρ over first steps, in units of a micro-batch's noise."""
    (mean,), (error,) = (x / _noise(b) for x in result.recorded("clipping_norm"))
    point = Point.of_mean(mean, error, NORMS - 1, exact=exact)
    return point.entry(without=("standard_error",))


def _slopes(grid: Sequence[int], entry: dict[str, Any]) -> tuple[float, float]:
    """Of the normalized rule's relative excess, and of what Algorithm 1 has beyond."""
    both, own = (_excess(entry[rule]) for rule in LOOK)
    return (
        _log_slope(grid, own, 64, FAR),
        _log_slope(grid, both - own, FAR, FARTHEST),
    )


def _excess(curve: dict[str, Any]) -> Any:
    """By how much the bias exceeds its limit, as a part of it."""
    return np.array(curve["bias"]) / curve["limit"] - 1


def _log_slope(grid: Sequence[int], values: Any, first: int, last: int) -> float:
    """Log-log slope of the values on the grid between two dimensions."""
    ratio = values[grid.index(last)] / values[grid.index(first)]
    return float(np.log(ratio) / np.log(last / first))


def _draw_bias(axes: Any, data: dict[str, Any]) -> None:
    grid, end = data["dimensions"], data["dimensions"][-1]
    align = {"ha": "right", "va": "bottom"}
    axes.set(ylim=(0.023, 0.55), ylabel="bias ‖∇f‖ (gradient units)")
    for b in SIZES:
        entry = data["bias"][str(b)]
        radius, limit = entry["bias_radius"], entry["normalized"]["limit"]
        axes.axhline(radius, color=palette.BOUND)
        for rule, look in LOOK.items():
            axes.plot(grid, entry[rule]["bias"], **look)
        axes.axhline(limit, **RULER, zorder=1)
        rows = (
            (end, 1.05 * radius, f"worst-case radius, b = {b}", palette.BOUND),
            (end, 1.05 * limit, f"Algorithm 1, b = {b}", palette.ADAPTIVE),
        )
        panels.labels(axes, *rows, **align)
    below = 0.95 * data["bias"][str(SMALL)]["normalized"]["limit"]
    axes.text(end, below, "limits for d → ∞ (dotted)", ha="right", va="top")
    dark = palette.NORMALIZED_TEXT
    panels.label(axes, 1.6, 0.0605, "normalized (dashed)", color=dark, va="center")
    panels.simulated(axes, data["simulation"], "dimension")


def _draw_excess(axes: Any, data: dict[str, Any]) -> None:
    grid, entry = np.array(data["dimensions"]), data["bias"][str(SMALL)]
    axes.set(ylim=(1e-5, 0.6), ylabel="bias / limit - 1 (dimensionless)")
    for rule, look in LOOK.items():
        excess = _excess(entry[rule])
        shown = excess > 1e-5
        axes.plot(grid[shown], excess[shown], **look)
    axes.plot([1, 2e4], [0.25, 0.25 / 2e4], **RULER)
    panels.label(axes, 1.2e3, 1.2e-3, "Algorithm 1", color=palette.ADAPTIVE)
    dark = palette.NORMALIZED_TEXT
    panels.label(axes, 5e2, 1e-4, "normalized", color=dark, ha="right")
    axes.text(5e2, 3.5e-5, "1/(4d) (dotted)", ha="right")
    axes.set_title(f"(b) How far from the limit (b = {SMALL})")


def _draw_norm(axes: Any, data: dict[str, Any]) -> None:
    axes.set(ylim=(0.003, 1.6), ylabel="mean ρ / (σ/√b) (dimensionless)")
    axes.axhline(1, **RULER, zorder=1)
    for b, (marker, dashes) in NORM_LOOK.items():
        look: dict[str, Any] = {"color": palette.ADAPTIVE, "ls": dashes}
        axes.plot(data["dimensions"], data["norm"][str(b)], **look)
        points = [p for p in data["norms"] if p["micro_batch_size"] == b]
        panels.simulated(axes, points, "dimension", fmt=marker)
        text = f"m = {BATCH // b}, b = {b}"
        axes.plot([], [], marker=marker, mfc="white", mec="k", label=text, **look)
    axes.legend(loc="lower right")
    axes.set_title(f"(c) Clipping norm (n = {NORMS} steps)")


figure = Dimension()
