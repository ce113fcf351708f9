"""What a finite step adds to the bias, and what extrapolation to zero step leaves."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.claims import CLAIMS
from analysis.rest.drift import Drift, drift
from analysis.rest.stable import StationaryPoint, stationary_points
from analysis.rest.stationary import largest_stable_step, on_grid, on_lattice
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check, CheckError
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.estimate import Estimate, SquaredBias, extrapolation_weights
from sim.results import Averages

SIZE = 8
MICRO_BATCHES = 4
FRACTION = 0.05
SIGMA = 1.0
NORM = 20.0
STEPS = {
    "normalized": (0.4, 0.2, 0.1, 0.05, 0.025),
    "adaptive": (1.2, 0.6, 0.3, 0.15, 0.075),
}
MIDDLE = 2  # of the steps
PAIRS = 4  # of neighbouring steps
HUGE = 50.0  # step of the normalized rule, where Algorithm 1 has long diverged
LARGE = (
    "below",
    "beyond",
    "huge",
)  # runs about Algorithm 1's step limit, and with HUGE
# The stationary distribution is computed so far from its root, in standard deviations:
# that of Algorithm 1 has a long tail.
REACH = {"normalized": 8, "adaptive": 14}
STATIONARY = {"normalized": on_lattice, "adaptive": on_grid}
LOOK = {
    "normalized": ("Normalized rule", palette.NORMALIZED, "step γ (gradient units)"),
    "adaptive": ("Algorithm 1", palette.ADAPTIVE, "step η (dimensionless)"),
}


class FiniteStep(Figure):
    """Two rules on a line, at steps each of which is half of the one before."""

    name = "finite_step"
    title = "A finite step can raise the bias or lower it"
    claims = ("finite_step",)
    place = 15
    # What extrapolation leaves is what is shown; some of the far runs diverge.
    restless = tuple(
        f"finite_step_{run}_{profile}"
        for run in (*(f"{rule}_{i}" for rule in STEPS for i in range(PAIRS)), *LARGE)
        for profile in Profile
    )

    def experiments(self, profile: Profile) -> list[Experiment]:
        """Both rules at each pair of neighbouring steps, and far out."""
        return [*_pairs(profile).values(), *_far(profile).values()]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """The shift at each step, in theory and simulated; where iterates diverge."""
        pairs, far = _pairs(profile), _far(profile)
        estimates = {key: simulated[e.name][SIZE] for key, e in pairs.items()}
        ends: list[Averages] = [simulated[e.name][SIZE] for e in far.values()]
        return {
            "limit": _limit(),
            "large_steps": [e.run.steps[0] for e in far.values()],
            "finite": [result.problem is None for result in ends],
            "run": _settings(profile),
            "rules": {
                rule: _rule(rule, [estimates[rule, i] for i in range(PAIRS)])
                for rule in STEPS
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Shifts, slopes and signs, what extrapolation leaves, and the step limit."""
        normalized, adaptive = rules = [data["rules"][rule] for rule in STEPS]
        low = normalized["points"][MIDDLE]["interval"][0]
        high = adaptive["points"][MIDDLE]["interval"][1]
        left = [[p["exact"] for p in rule["extrapolated"]] for rule in rules]
        falls = [small / large for large, small in (exact[-2:] for exact in left)]
        steps = ", ".join(f"{step:.2f}" for step in data["large_steps"])
        return [
            Check.of(
                "shift",
                "the shift is that of the exact stationary distribution, for both "
                "rules at every step",
                checks.agree([p for rule in rules for p in rule["points"]]),
            ),
            Check.of(
                "slope",
                "the shifts of these distributions begin with the slope of the claim",
                checks.within("ratio", _slope_ratios(data), 1, 0.01),
            ),
            Check.of(
                "signs",
                "at the middle steps the shifts have opposite signs",
                checks.above("lower end of the normalized rule's interval", low, 0),
                checks.below("upper end of Algorithm 1's", high, 0),
            ),
            Check.of(
                "extrapolated",
                "the bias extrapolated from two steps is that of the exact "
                "distributions",
                checks.agree([p for rule in rules for p in rule["extrapolated"]]),
            ),
            Check.of(
                "second_order",
                "what extrapolation of the exact distributions leaves is negative and "
                "of second order: a quarter for half the steps",
                checks.below("left", np.concatenate(left), 0),
                checks.within("ratio at the smallest steps", falls, 0.25, 0.05),
            ),
            Check.of(
                "limit",
                "Algorithm 1 has a step limit, the normalized rule has none",
                checks.equal(
                    f"finite at steps {steps}:", data["finite"], [True, False, True]
                ),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """The model, exact against first order, the simulator's warnings."""
        rules = [data["rules"][rule] for rule in STEPS]
        largest = [(rule["points"][0], rule["slope"]) for rule in rules]
        warned = [rule["extrapolated"][0]["warned"] for rule in rules]
        return {
            "size": SIZE,
            "micro_batches": MICRO_BATCHES,
            "fraction": FRACTION,
            "noise_scale": SIGMA,
            "dragger_norm": NORM,
            "slope_ratios": _slope_ratios(data),
            "of_first_order": [p["exact"] / (k * p["step"]) for p, k in largest],
            "warnings": ["a warning" if w else "no warning" for w in warned],
            "huge": HUGE,
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Shift against step, a panel for each rule."""
        canvas, axes = panels.subplots(1, 2, figsize=(6.4, 3.9))
        for panel, (rule, entry) in zip(axes, data["rules"].items(), strict=True):
            _draw_rule(panel, rule, entry)
        left, right = axes
        _draw_left_labels(left)
        rows = (
            (0.55, -0.048, "first order", palette.ADAPTIVE),
            (1.3, 0.007, f"diverges beyond η = {data['limit']:.2f}", palette.ADAPTIVE),
        )
        panels.labels(right, *rows, ha="right")
        title = panels.counted(self.title, data["run"]["replicates"])
        canvas.suptitle(title, x=0.01, ha="left", fontsize=10)
        return canvas


def experiment_of(
    rule: str, run: Mapping[str, Any], name: str = "finite_step"
) -> Experiment:
    """That rule on the model; `run` as in an experiment file."""
    noise = {"law": "gaussian", "scale": SIGMA}
    return worlds.experiment(
        name,
        worlds.line_model(dragger_fraction=FRACTION, noise=noise, dragger_norm=NORM),
        run,
        rule=rule,
        batch_size=SIZE * MICRO_BATCHES,
        sizes=[SIZE],
    )


def _settings(profile: Profile) -> dict[str, Any]:
    """What all runs of the points share, as in an experiment file."""
    return {
        "replicates": profile.pick(quick=128, full=1024),
        "iterations": profile.pick(quick=4000, full=16_000),
        "burn_in": 0.25,
        "seed": 15,
    }


def _pairs(profile: Profile) -> dict[tuple[str, int], Experiment]:
    """The runs from rest at steps i and i + 1 of each rule."""
    runs = {}
    for rule, steps in STEPS.items():
        start = _rest(rule)[1].norm
        for i in range(PAIRS):
            run = {**_settings(profile), "start": start, "steps": steps[i : i + 2]}
            name = f"finite_step_{rule}_{i}_{profile}"
            runs[rule, i] = experiment_of(rule, run, name)
    return runs


def _far(profile: Profile) -> dict[str, Experiment]:
    """Short runs with steps on both sides of Algorithm 1's limit, and with HUGE."""
    rules = {
        "below": ("adaptive", 0.85 * _limit()),
        "beyond": ("adaptive", 1.15 * _limit()),
        "huge": ("normalized", HUGE),
    }
    run = {"measure": "average", "replicates": 16}
    return {
        name: experiment_of(
            rule, {**run, "steps": [step]}, f"finite_step_{name}_{profile}"
        )
        for name, (rule, step) in rules.items()
    }


@cache
def _limit() -> float:
    """The largest step with which Algorithm 1 does not diverge."""
    model = experiment_of("adaptive", {}).gradient_model
    return largest_stable_step(model, SIZE, MICRO_BATCHES)


@cache
def _rest(rule: str) -> tuple[Update, StationaryPoint]:
    """The expected update of a rule, and its only stationary point."""
    experiment = experiment_of(rule, {})
    update = Update(experiment.gradient_model, experiment.algorithm.clipping(SIZE))
    (point,) = stationary_points(update)
    return update, point


def _rule(rule: str, estimates: Sequence[Estimate]) -> dict[str, Any]:
    """Theory and simulation of one rule; the estimates are those of pairs of steps.

    Raises CheckError where a run is not at rest.
    """
    for estimate in estimates:
        if estimate.problem:
            raise CheckError(f"finite_step: {rule}: {estimate.problem}")
    update, point = _rest(rule)
    near = drift(update, point.gradient)
    steps: Sequence[float] = STEPS[rule]
    exact = _exact_shifts(update, point, near)
    single = [estimates[0].at_steps[0], *(pair.at_steps[1] for pair in estimates)]
    return {
        "bias": point.norm,
        **near._asdict(),
        "slope": _first_order(near, point),
        "exact": list(exact.items()),
        "points": [
            _point(step, bias, point.norm, exact[step])
            for step, bias in zip(steps, single, strict=True)
        ],
        "extrapolated": [
            _extrapolated(steps[i : i + 2], pair, point.norm, exact)
            for i, pair in enumerate(estimates)
        ],
    }


def _first_order(near: Drift, point: StationaryPoint) -> float:
    """The claim's shift of the gradient's norm per unit step."""
    shift = CLAIMS["finite_step"].evaluate(step_size=1.0, **near._asdict())["shift"]
    return float(shift * np.sign(point.gradient[0]))


def _exact_shifts(
    update: Update, point: StationaryPoint, near: Drift
) -> dict[float, float]:
    """The stationary distribution's shift at the steps simulated and between them."""
    rule = update.clipping.rule.value
    steps = STEPS[rule]
    finer = (steps[0] * np.linspace(0.05, 1.1, 12)).tolist()
    deviation = math.sqrt(near.update_variance / (2 * near.drift_slope))  # over √step
    width = deviation * REACH[rule]
    root = float(point.gradient[0])
    shifts = {}
    for step in sorted({*finer, *steps}):
        there = STATIONARY[rule](update, root, step, width * math.sqrt(step))
        shifts[step] = abs(there.mean) - point.norm
    return shifts


def _point(
    step: float, single: SquaredBias, bias: float, exact: float
) -> dict[str, Any]:
    """Norm of the mean gradient less the exact bias, from independent replicates."""
    value, error = single.bias - bias, single.standard_error
    point = Point.of_mean(value, error, single.degrees, exact=exact)
    return point.entry(without=("standard_error",), error=error, step=step)


def _extrapolated(
    steps: Sequence[float],
    result: Estimate,
    bias: float,
    exact: Mapping[float, float],
) -> dict[str, Any]:
    """The bias from two steps less the exact one, beside the exact distributions'."""
    left = float(extrapolation_weights(steps) @ [exact[step] for step in steps])
    low, high = result.interval
    point = Point(
        value=result.bias - bias,
        interval=(low - bias, high - bias),
        exact=left,
        z=result.score(bias + left),
        degrees=result.degrees,
    )
    return point.entry(step=steps[0], warned=result.warning is not None)


def _slope_ratios(data: dict[str, Any]) -> list[float]:
    """The exact shifts' slope at zero step over that of the claim, for both rules."""
    return [
        _slope(rule["exact"]) / rule["slope"]
        for rule in (data["rules"][rule] for rule in STEPS)
    ]


def _slope(exact: list[Any]) -> float:
    """At zero, of the cubic through zero and the three smallest of [step, shift]."""
    step, shift = np.array(sorted(exact)[:3]).T
    return float(np.linalg.solve(step[:, None] ** np.arange(1, 4), shift)[0])


def _draw_rule(axes: Any, rule: str, entry: dict[str, Any]) -> None:
    """First order, exact, simulated and extrapolated shifts of one rule."""
    name, color, label = LOOK[rule]
    end = 1.12 * STEPS[rule][0]
    axes.axhline(0, color=palette.SGD, lw=0.8)
    axes.plot([0, end], [0, entry["slope"] * end], color=color)
    exact = np.transpose(entry["exact"])
    axes.plot(*exact, color="black", lw=1.0, ls=palette.DASHED)
    panels.simulated(axes, entry["points"], "step")
    diamonds = {"fmt": "D", "color": palette.ORANGE, "ms": 4, "zorder": 4}
    panels.simulated(axes, entry["extrapolated"], "step", **diamonds)
    axes.set(xlim=(0, end), xlabel=label)
    axes.set_title(f"{name} (bias {entry['bias']:.3f})")


def _draw_left_labels(axes: Any) -> None:
    """The axis that both panels share, and what their lines are."""
    color = palette.NORMALIZED_TEXT
    axes.set_ylabel("added to the bias (gradient units)")
    panels.label(axes, 0.43, 0.027, "first order", color=color, ha="right")
    panels.label(axes, 0.25, 0.041, "exact", color="black", ha="right")
    axes.set_ylim(bottom=-0.024)
    text = "extrapolated from\nthis step and its half"
    panels.label(axes, 0.01, -0.0215, text, color=palette.OCHRE)


figure = FiniteStep()
