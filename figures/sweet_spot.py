"""Bias against micro-batch size: bounds, exact values and simulation of four rules."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import best_sizes, best_threshold, bias_radius
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, points, worlds
from figures.kit.checks import Check
from figures.kit.profiles import Profile
from sim.estimate import Estimate, confidence_set

NORMALIZED_SIZES = (2, 8, 32, 64)  # simulated
FIXED_SIZES = (1, 4, 16, 64)  # simulated
THRESHOLD_SIZES = (1, 2, 4, 8, 11, 16, 22, 32, 45, 64)  # exact, with the best threshold
FINE_SIZES = (*range(1, 25), *range(26, 41, 2), 48, 64, 90, 128, 180, 256)
SIZE = "micro_batch_size"


class SweetSpot(Figure):
    """The worked law: rare useful samples one way, persistent draggers the other."""

    name = "sweet_spot"
    title = "One micro-batch size has the smallest bias"
    claims = (
        *("alignment_lemma", "bias_radius", "sweet_spot"),
        *("optimal_threshold", "minimax"),
    )
    place = 1

    def experiments(self, profile: Profile) -> list[Experiment]:
        """The preset; the normalized rule; `fixed`, with the best threshold at each b.

        The full profile runs longer, with twice the replicates and a third step.
        """
        first = worlds.worked_law()
        if profile is Profile.FULL:
            run = {"replicates": 64, "iterations": 16_000, "steps": (0.2, 0.1, 0.05)}
            first = worlds.variant(first, "sweet_spot_full", run)
        run = {"steps": profile.pick(quick=(0.04, 0.02), full=(0.04, 0.02, 0.01))}
        name = f"sweet_spot_normalized_{profile}"
        rule = {"rule": "normalized", "micro_batch_sizes": NORMALIZED_SIZES}
        runs = [first, worlds.variant(first, name, run, **rule)]
        for b in FIXED_SIZES:
            c = _best_threshold(first, b)["threshold"]
            name = f"sweet_spot_fixed_{b}_{profile}"
            rule = {"rule": "fixed", "micro_batch_sizes": (b,), "threshold": c}
            runs.append(worlds.variant(first, name, {}, **rule))
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Bounds; exact bias of four rules, simulation of three; the best sizes."""
        experiment = self.experiments(profile)[0]
        estimates, normalized, *fixed = simulated.values()
        given = _given(experiment)
        worst = best_sizes(**given, alignment=1.0)
        exact = _exact(experiment, "adaptive", experiment.algorithm.sizes)
        batch_size = experiment.algorithm.batch_size
        return {
            "experiment": experiment.to_mapping(),
            "bound": _bounds(worst["breakdown"], given),
            "normalized": _normalized(experiment, normalized),
            "fixed": _fixed(experiment, fixed),
            "minimax": CLAIMS["minimax"].evaluate(**given)["minimax_bias"],
            "adaptive": {SIZE: list(exact), "bias": list(exact.values())},
            "sgd": _exact(experiment, "sgd", [batch_size])[batch_size],
            "simulation": points.biases(estimates, exact),
            "best": {
                "worst_case": worst["micro_batch_size"],
                "worst_case_radius": worst["bias_radius"],
                "exact": min(exact, key=exact.__getitem__),
                "simulated": min(estimates, key=lambda b: estimates[b].bias),
                "confidence_set": confidence_set(estimates),
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, bounds, the best size, and comparisons with SGD and minimax."""
        exact, best = _by_size(data["adaptive"]), data["best"]["exact"]
        order = {f"b = {best}": exact[best], "SGD": data["sgd"], "b = 1": exact[1]}
        normalized, fixed = data["normalized"], data["fixed"]
        radius = np.array(data["bound"]["fixed_radius"])
        return [
            Check.of(
                "adaptive",
                "simulated Algorithm 1 has its exact bias",
                checks.agree(data["simulation"]),
            ),
            Check.of(
                "normalized_radius",
                "the normalized rule stays below its radius up to the breakdown",
                checks.at_most("bias / radius", _ratios(normalized), 1),
            ),
            Check.of(
                "best_size",
                f"no simulated size has a smaller bias than the exact best one, {best}",
                checks.best_is(data["simulation"], best),
            ),
            Check.of(
                "order",
                "clipping single samples is worse than SGD, the best size is better",
                checks.ordered(order),
            ),
            Check.of(
                "normalized",
                "the simulated normalized rule has its exact bias",
                checks.agree(normalized["simulation"]),
            ),
            Check.of(
                "fixed",
                "the simulated rule with the best threshold has its exact bias",
                checks.agree(fixed["simulation"]),
            ),
            Check.of(
                "fixed_radius",
                "with the best threshold the bias stays below that rule's radius",
                checks.at_most("bias / radius", _ratios(fixed), 1),
            ),
            Check.of(
                "minimax",
                "the best threshold's radius is the minimax bound at b = 1, rises with "
                "b, and is below the normalized rule's",
                checks.within(
                    "first radius / bound", radius[0] / data["minimax"], 1, 1e-9
                ),
                checks.increasing("radius", radius),
                checks.below(
                    "ratio of radii", radius / data["bound"]["bias_radius"], 1
                ),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Counts, and biases at single sizes."""
        exact, best = _by_size(data["adaptive"]), data["best"]
        return {
            "divisors": len(exact),
            "gain": data["sgd"] / exact[best["exact"]],
            "single_samples": exact[1],
            "single_samples_fixed": _by_size(data["fixed"])[1],
            "steps": len(data["experiment"]["run"]["steps"]),
            "inside": points.inside(data["simulation"]),
            "confidence_set": ", ".join(map(str, best["confidence_set"])),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against b: Algorithm 1 above, other rules below."""
        canvas, (top, bottom) = panels.subplots(
            2, 1, figsize=(6.4, 7.6), sharex=True, sharey=True
        )
        panels.log_log(top, xlim=(0.85, 400), ylim=(0.032, 1.6))
        for axes in (top, bottom):
            _draw_frame(axes, data)
        _draw_algorithm(top, data)
        _draw_best_sizes(top, data)
        _draw_others(bottom, data)
        bottom.set_xlabel("micro-batch size b (samples)")
        replicates = data["experiment"]["run"]["replicates"]
        top.set_title(panels.counted(self.title, replicates))
        bottom.set_title("Other rules, exact (lines) and simulated (points)")
        return canvas


def _given(experiment: Experiment) -> dict[str, float]:
    """What every bound needs to know of the model."""
    model = experiment.gradient_model
    fraction, scale = model.dragger_fraction, model.noise_scale()
    return {"dragger_fraction": fraction, "noise_scale": scale}


def _best_threshold(experiment: Experiment, b: int) -> dict[str, Any]:
    return best_threshold(b, **_given(experiment))


def _exact(experiment: Experiment, rule: str, sizes: Any) -> dict[int, float]:
    """The exact bias by size; `fixed` with the best threshold at each."""
    model, batch_size = experiment.gradient_model, experiment.algorithm.batch_size
    bias = {}
    for b in sizes:
        c = _best_threshold(experiment, b)["threshold"] if rule == "fixed" else None
        bias[b] = exact_bias(model, rule, batch_size, b, threshold=c).roots[0]
    return bias


def _bounds(breakdown: float, given: Mapping[str, float]) -> dict[str, Any]:
    """Radii of the normalized rule and of the best threshold, up to the breakdown."""
    sizes = np.geomspace(1, 0.995 * breakdown, 200)
    at = {SIZE: sizes, "alignment": 1, **given}
    fixed = CLAIMS["optimal_threshold"].evaluate(**at)
    return {
        SIZE: sizes,
        "bias_radius": bias_radius(sizes, **given),
        "fixed_radius": fixed["bias_radius"],
        "breakdown": breakdown,
    }


def _normalized(
    experiment: Experiment, estimates: Mapping[int, Estimate]
) -> dict[str, Any]:
    """The normalized rule; from the breakdown on it has no radius."""
    exact = _exact(experiment, "normalized", FINE_SIZES)
    return {
        SIZE: list(exact),
        "bias": list(exact.values()),
        "bias_radius": bias_radius(np.array(FINE_SIZES), **_given(experiment)),
        "simulation": points.biases(estimates, exact),
    }


def _fixed(
    experiment: Experiment, runs: Sequence[Mapping[int, Estimate]]
) -> dict[str, Any]:
    """Clipping at the threshold with the smallest guaranteed bias."""
    best = [_best_threshold(experiment, b) for b in THRESHOLD_SIZES]
    exact = _exact(experiment, "fixed", THRESHOLD_SIZES)
    return {
        SIZE: list(exact),
        "threshold": [at["threshold"] for at in best],
        "bias": list(exact.values()),
        "bias_radius": [at["bias_radius"] for at in best],
        "simulation": [p for run in runs for p in points.biases(run, exact)],
    }


def _by_size(line: dict[str, Any]) -> dict[int, float]:
    return dict(zip(line[SIZE], line["bias"], strict=True))


def _ratios(line: dict[str, Any]) -> list[float]:
    """Exact bias over radius, where there is one."""
    pairs = zip(line["bias"], line["bias_radius"], strict=True)
    return [bias / radius for bias, radius in pairs if radius is not None]


def _draw_frame(axes: Any, data: dict[str, Any]) -> None:
    """What both panels show: the normalized rule's radius, and SGD."""
    bound = data["bound"]
    sgd = {"lw": 1.2, "ls": palette.DASHED}
    panels.rulers(axes)
    axes.plot(bound[SIZE], bound["bias_radius"], color=palette.BOUND)
    panels.ruled(axes, data["sgd"], "SGD", x=270, color=palette.SGD, **sgd)
    text = "guaranteed radius\n(normalized)"
    axes.text(1.1, 1.12, text, color=palette.BOUND, va="bottom")
    axes.set_ylabel("bias ‖∇f‖ (gradient units)")
    panels.plain_ticks(axes.xaxis, data["adaptive"][SIZE])
    panels.plain_ticks(axes.yaxis, [0.05, 0.1, 0.2, 0.5, 1])


def _draw_algorithm(axes: Any, data: dict[str, Any]) -> None:
    """Algorithm 1: exact at the divisors, and simulated."""
    sizes, bias, color = (
        data["adaptive"][SIZE],
        data["adaptive"]["bias"],
        palette.ADAPTIVE,
    )
    axes.plot(sizes, bias, color=color, ls=palette.DOTTED, lw=0.8)
    axes.plot(sizes, bias, "_", color=color, ms=17, mew=2.5)
    panels.simulated(axes, data["simulation"], SIZE)
    text = "Algorithm 1:\nexact (bars),\nsimulated (points)"
    axes.text(1.05, 0.185, text, color=color, va="top")


def _draw_best_sizes(axes: Any, data: dict[str, Any]) -> None:
    """The three best sizes, on the horizontal axis."""
    best, floor = data["best"], axes.get_ylim()[0]
    exact, simulated, worst = best["exact"], best["simulated"], best["worst_case"]
    above = {"clip_on": False, "zorder": 6}
    axes.plot([exact], [floor], "^", color=palette.ADAPTIVE, ms=9, **above)
    axes.plot([simulated], [floor], "^", color=palette.BLACK, ms=4, **above)
    axes.plot([worst], [floor], "^", color=palette.BOUND, ms=9, **above)
    kinds = "exact and simulated" if exact == simulated else "exact (simulated: black)"
    text = f"best divisor of {data['adaptive'][SIZE][-1]}:\n{kinds}"
    look = {"color": palette.ADAPTIVE, "ha": "right", "va": "bottom"}
    axes.text(exact / 1.1, floor * 1.04, text, **look)
    text = "b* of smallest\nguaranteed bias"
    axes.text(worst * 1.1, floor * 1.04, text, color=palette.BOUND, va="bottom")


def _draw_others(axes: Any, data: dict[str, Any]) -> None:
    """The normalized rule, and clipping at the best threshold with its radius."""
    minimax, fixed = palette.MINIMAX, palette.FIXED
    axes.axhline(data["minimax"], color=minimax, lw=1.2, ls=palette.LONG_DASH_DOTTED)
    radius = data["bound"]["fixed_radius"]
    axes.plot(data["bound"][SIZE], radius, color=fixed, lw=1.2, ls=palette.DOTTED)
    colors = {"normalized": palette.NORMALIZED, "fixed": fixed}
    for (rule, color), marker in zip(colors.items(), "sD", strict=True):
        axes.plot(data[rule][SIZE], data[rule]["bias"], color=color)
        panels.simulated(axes, data[rule]["simulation"], SIZE, fmt=marker, ms=4)
    axes.text(205, data["minimax"] * 1.04, "minimax", color=minimax, va="bottom")
    text = "guaranteed radius\n(fixed at c*)"
    dark = palette.NORMALIZED_TEXT
    panels.label(axes, 1.05, 0.33, "normalized", color=dark, va="bottom")
    panels.label(axes, 1.05, 0.048, "fixed at c*", color=fixed, va="top")
    panels.label(axes, 1.05, 0.117, text, color=fixed, va="bottom")


figure = SweetSpot()
