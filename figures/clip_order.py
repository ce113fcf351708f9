"""Three places to clip: each micro-batch, the whole batch, or the running sum.

A loop that accumulates gradients and clips after each micro-batch, S ← clip(S + g_j/m),
does neither of the other two. That mistake is no rule of an experiment; here it sees
the same gradients.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check, CheckError
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.estimate import Estimate, estimate, quantile
from sim.paired import batch_means, line_gradients, log_variance
from sim.rules import average_then_clip, fixed, running_sum, running_sum_weights

Array = NDArray[np.float64]

BATCH = 64
SIZE = 4
COUNT = BATCH // SIZE  # m
THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # simulated
LOW = 0.05  # the best of them for the mistake
HIGH = 1.0  # and for single micro-batches
FAR = 10.0  # ‖∇f‖ at the beginning of a run
REACHED = 4  # far out the sum is as long as c before this micro-batch is added
FRESH = 64  # iterations after those of the runs, from which weights are measured
RULES = {"fixed": fixed, "running": running_sum, "global": average_then_clip}
COLORS = {"fixed": palette.FIXED, "running": palette.ORANGE, "global": palette.SGD}


class ClipOrder(Figure):
    """The worked law on a line, clipped in three orders with the same draws."""

    name = "clip_order"
    title = "A clipped running sum favours the last micro-batches"
    claims = ()
    place = 11

    def experiments(self, profile: Profile) -> list[Experiment]:
        """None that the engine runs: the mistake is not one of its rules."""
        return []

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Exact and simulated bias against the threshold, and the mistake's weights."""
        experiment = line_experiment(profile)
        model = experiment.gradient_model
        means = _batch_means(experiment)
        estimates = _estimates(experiment, means)
        exact = {
            "fixed": _exact(model, "fixed", profile.pick(quick=9, full=40)),
            "global": _exact(model, "global", profile.pick(quick=0, full=20)),
        }
        rest = estimates["running"][LOW].bias
        return {
            "simulation": {
                rule: _points(estimates[rule], exact.get(rule)) for rule in RULES
            },
            "apart": _differences(experiment, means),
            "price": _price(experiment, estimates),
            "experiment": experiment.to_mapping(),
            "exact": exact,
            "sgd": exact_bias(model, "sgd", BATCH, SIZE).bias,
            "weights": {
                "rest": _weights(experiment, rest, LOW),
                "far": _weights(experiment, FAR, HIGH),
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, order of the biases, weights and the price in iterations."""
        degrees = data["experiment"]["run"]["replicates"] - 1
        single, *others = (_at(data, rule, HIGH) for rule in RULES)
        running = [point["value"] for point in data["simulation"]["running"]]
        rest, far = _mean_weights(data)
        factors = np.divide(far[:-1], far[1:])[REACHED - 1 :]
        ends = [single["interval"][1] / point["interval"][0] for point in others]
        return [
            *(
                Check.of(
                    f"exact_{rule}",
                    f"{rule}: simulated as exact",
                    checks.agree(data["simulation"][rule]),
                )
                for rule in data["exact"]
            ),
            Check.of(
                "micro_batches",
                (
                    f"at c = {HIGH:g} clipping micro-batches helps, the others "
                    "hardly differ from SGD"
                ),
                checks.below("its bias over theirs, ends of intervals", ends, 0.5),
                checks.within(
                    "their bias over SGD's",
                    [point["value"] / data["sgd"] for point in others],
                    1,
                    0.05,
                ),
            ),
            Check.of(
                "order",
                f"micro-batches at c = {HIGH:g} beat the running sum at every "
                f"threshold simulated, the running sum at its best one, {LOW:g}, the "
                "whole batch",
                checks.significant(_paired(data), degrees, alarm=1e-3),
                checks.equal("best:", THRESHOLDS[int(np.argmin(running))], LOW),
            ),
            Check.of(
                "weights_at_rest",
                (
                    "close to rest the last micro-batch weighs at least twice "
                    "as much as the first"
                ),
                checks.above("ratio", rest[-1] / rest[0], 2),
            ),
            Check.of(
                "weights_far_out",
                "far out, once the sum has reached c, the weight falls by 1/(1 + G/mc) "
                f"for every micro-batch further back, down to the {REACHED}th",
                checks.within("factor (1 + G/mc)", factors / _factor(), 1, 0.03),
            ),
            Check.of(
                "price",
                (
                    f"the mistake at c = {LOW:g} needs more iterations than "
                    f"micro-batches at {HIGH:g}"
                ),
                checks.significant([data["price"]["z"]], degrees),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Biases at single thresholds, and weights."""
        rest, far = _mean_weights(data)
        single = _at(data, "fixed", HIGH)["value"]
        mistake = _at(data, "running", HIGH)["value"]
        return {
            "count": COUNT,
            "low": LOW,
            "high": HIGH,
            "ratio": mistake / single,
            "single": single,
            "mistake": mistake,
            "lowest": _at(data, "running", LOW)["value"],
            "first": rest[0],
            "last": rest[-1],
            "share": sum(far[-5:]) / sum(far),
            "steps": " and ".join(map(str, data["experiment"]["run"]["steps"])),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against the threshold on the left, weights by position on the right."""
        canvas, (left, right) = panels.subplots(
            1, 2, figsize=(6.4, 3.9), width_ratios=(1.35, 1)
        )
        _draw_biases(left, data)
        replicates = data["experiment"]["run"]["replicates"]
        left.set_title(panels.counted(self.title, replicates, intervals=False))
        _draw_weights(right, data)
        panels.labels(
            left,
            (0.01, 0.255, "each micro-batch", COLORS["fixed"]),
            (0.035, 0.175, "average of all", COLORS["global"]),
            (0.012, 0.035, "running sum\n(mistake)", palette.ORANGE_TEXT),
            (1.5, 0.21, "SGD", palette.SGD),
        )
        panels.labels(
            right,
            (1, 0.55, "at rest", palette.BLACK),
            (9.2, 4e-3, "far out", palette.BLACK),
        )
        return canvas


def line_experiment(profile: Profile) -> Experiment:
    """The preset's law along its first axis; the full profile runs longer."""
    tables = worlds.worked_law().to_mapping()
    dragger = tables["model"]["dragger"] | {"direction": [-1.0]}
    run = {
        "iterations": profile.pick(quick=1000, full=8000),
        "replicates": profile.pick(quick=64, full=128),
    }
    return worlds.experiment(
        f"clip_order_{profile}",
        tables["model"] | {"dimension": 1, "dragger": dragger},
        tables["run"] | run,
        rule="fixed",
        batch_size=BATCH,
        sizes=[SIZE],
        threshold=HIGH,
    )


def _batch_means(experiment: Experiment) -> Array:
    """Batch means [rules, thresholds, steps, R, batches, 2] on the same gradients.

    Steps are larger where the threshold is small, so that all come to rest equally
    fast.
    """
    run, drawn = experiment.run, line_gradients(experiment)
    thresholds = np.array(THRESHOLDS)
    steps = np.multiply.outer(np.maximum(1, 0.2 / thresholds), run.steps)[..., None]
    limit = thresholds[:, None, None, None, None]
    directions = [partial(rule, threshold=limit) for rule in RULES.values()]

    def gradients(iteration: int, w: Array) -> Array:
        slope, intercept = drawn(iteration)
        return (slope * w[..., None] + intercept)[..., None]

    return batch_means(gradients, directions, steps, run)


def _estimates(
    experiment: Experiment, means: Array
) -> dict[str, dict[float, Estimate]]:
    """The bias by rule and threshold. Raises CheckError where a run is not at rest."""
    estimates: dict[str, dict[float, Estimate]] = {}
    for rule, of_rule in zip(RULES, means, strict=True):
        estimates[rule] = {}
        for c, of_threshold in zip(THRESHOLDS, of_rule, strict=True):
            bias = estimate(of_threshold, experiment.run.steps)
            if problem := bias.problem or bias.warning:
                raise CheckError(f"clip_order: {rule}, threshold {c:g}: {problem}")
            estimates[rule][c] = bias
    return estimates


def _differences(experiment: Experiment, means: Array) -> dict[str, list[float]]:
    """How far apart the biases are by threshold, in errors of the paired difference.

    The running sum from single micro-batches at HIGH, the whole batch from the running
    sum at LOW.
    """
    single, running, whole = means
    low, high = (THRESHOLDS.index(c) for c in (LOW, HIGH))
    pairs = {"running": running - single[high], "global": whole - running[low]}
    scores = {}
    for rule, differences in pairs.items():
        found = [estimate(x, experiment.run.steps) for x in differences]
        scores[rule] = [x.mean[0] / x.standard_error for x in found]
    return scores


def _exact(model: GradientModel, rule: str, many: int) -> dict[str, list[float | None]]:
    """The exact bias at the thresholds simulated and at `many` around the best."""
    grid = np.unique([*THRESHOLDS, *np.geomspace(0.3, 2.5, many)])
    bias = [exact_bias(model, rule, BATCH, SIZE, threshold=c).bias for c in grid]
    return {"threshold": grid.tolist(), "bias": bias}


def _points(
    estimates: Mapping[float, Estimate], exact: Mapping[str, list[Any]] | None
) -> list[dict[str, Any]]:
    """The simulated biases of a rule, with their scores where it has an exact one."""
    bias = dict(zip(*exact.values(), strict=True)) if exact else {}
    return [
        Point.of_bias(x, bias.get(c)).entry(threshold=c, without=("exact",))
        for c, x in estimates.items()
    ]


def _fresh(experiment: Experiment, gradient: float) -> Array:
    """Micro-batch gradients [R, FRESH, m, 1] at ∇f = `gradient` that no run uses."""
    drawn, first = line_gradients(experiment), experiment.run.iterations
    pairs = [drawn(first + t) for t in range(FRESH)]
    slope, intercept = np.stack(pairs, axis=1)
    return np.asarray((slope * gradient + intercept)[..., None])


def _weights(experiment: Experiment, gradient: float, c: float) -> dict[str, Any]:
    """Mean weights W_j at ∇f = `gradient`."""
    weights = running_sum_weights(_fresh(experiment, gradient), c).reshape(-1, COUNT)
    n = len(weights)
    errors = weights.std(0, ddof=1) / n**0.5
    rows = enumerate(zip(weights.mean(0), errors, strict=True), 1)
    kept = ("standard_error", "degrees")
    points = [
        Point.of_mean(mean, error, n - 1).entry(position=j, without=kept)
        for j, (mean, error) in rows
    ]
    return {"gradient": gradient, "threshold": c, "replicates": n, "points": points}


def _price(
    experiment: Experiment, estimates: Mapping[str, Mapping[float, Estimate]]
) -> dict[str, Any]:
    """Iterations that the mistake at LOW needs for each one of `fixed` at HIGH.

    For equal variances of the mean iterate of a long run; the logarithm's error is the
    jackknife's.
    """
    gradients = partial(_fresh, experiment)
    running, single = (
        log_variance(
            partial(RULES[rule], threshold=c), gradients, estimates[rule][c].bias
        )
        for rule, c in (("running", LOW), ("fixed", HIGH))
    )
    logarithm, n = running - single, experiment.run.replicates
    value, error = float(logarithm.mean()), float(np.sqrt((n - 1) * logarithm.var()))
    ends = np.exp(value + quantile(0.995, n - 1) * error * np.array([-1, 1]))
    return {"value": float(np.exp(value)), "interval": ends, "z": value / error}


def _at(data: dict[str, Any], rule: str, c: float) -> dict[str, Any]:
    """The simulated point of a rule at a threshold."""
    point: dict[str, Any] = data["simulation"][rule][THRESHOLDS.index(c)]
    return point


def _paired(data: dict[str, Any]) -> list[float]:
    """All differences of biases, in standard errors."""
    return [z for scores in data["apart"].values() for z in scores]


def _mean_weights(data: dict[str, Any]) -> list[list[float]]:
    """The mean weights by position, at rest and far out."""
    kinds = (data["weights"][kind] for kind in ("rest", "far"))
    return [[point["value"] for point in kind["points"]] for kind in kinds]


def _factor() -> float:
    """By what a micro-batch further back weighs less far out, without noise."""
    return 1 / (1 + FAR / (COUNT * HIGH))


def _draw_biases(axes: Any, data: dict[str, Any]) -> None:
    """Exact lines, the mistake's points joined, and the simulated points on them."""
    for (rule, shown), marker in zip(data["simulation"].items(), "o^s", strict=True):
        color, exact = COLORS[rule], data["exact"].get(rule)
        if exact:
            axes.plot(exact["threshold"], exact["bias"], color=color)
        else:
            look = {"color": color, "lw": 0.8, "ls": palette.DASHED}
            axes.plot(THRESHOLDS, [point["value"] for point in shown], **look)
        panels.simulated(axes, shown, "threshold", fmt=marker, ms=4.5)
    axes.axhline(data["sgd"], color=palette.SGD, ls=palette.DASH_DOTTED, lw=0.9)
    axes.set(xscale="log", xlim=(0.008, 3), ylim=(0, 0.29))
    axes.set(xlabel="threshold c (gradient units)", ylabel="bias ‖∇f‖ (gradient units)")
    panels.plain_ticks(axes.xaxis, (0.01, 0.03, 0.1, 0.3, 1))


def _draw_weights(axes: Any, data: dict[str, Any]) -> None:
    """Mean weights by position, and those far out without noise and draggers."""
    for kind, marker in zip(data["weights"].values(), "^v", strict=True):
        panels.simulated(axes, kind["points"], "position", fmt=marker, ms=4.5)
    alone = running_sum_weights(np.full((COUNT, 1), FAR), HIGH)
    axes.plot(np.arange(1, COUNT + 1), alone, color=palette.BOUND, ls="--")
    axes.set(yscale="log", ylim=(3e-4, 1.8), xticks=(1, 4, 8, 12, 16))
    axes.set_xlabel("position j of the micro-batch")
    axes.set_ylabel("its mean weight (dimensionless)")


figure = ClipOrder()
