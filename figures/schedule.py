"""A micro-batch size for every phase: the one with the strongest guaranteed pull.

Times are those of small steps on the quadratic f = w²/2: analysis/advice/descent.py.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.descent import (
    Descent,
    exact_pull,
    guaranteed_pull,
    path_length,
    planned,
)
from analysis.claims import CLAIMS
from analysis.spec.algorithm import Run, divisors
from analysis.spec.experiment import Experiment
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels
from figures.kit.checks import ALARM, Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.estimate import extrapolation_weights, quantile
from sim.results import HittingTimes

BATCH_SIZE = 120
FRACTION = 0.02
START = 10.0
BEYOND = 1.1  # the target in units of the smallest bias radius
SIZES = (1, 2, 3, 4, 6, 10, 15, 24)  # simulated
MODEL = {"dragger_fraction": FRACTION, "noise_scale": 1.0}
NOISE = {
    "Gaussian": {"law": "gaussian", "scale": 1.0},
    "skewed": {"law": "rare", "probability": 0.25, "value": 2.97**0.5, "gaussian": 0.1},
}
# A run is given up after this time, in units of 1/γ: five times the schedule's.
LONGEST = 55.0
SIZE = "micro_batch_size"


class Look(NamedTuple):
    """How a noise is drawn; `aside` moves its points apart from the other's."""

    color: str
    dashes: Any
    marker: str
    aside: float


LOOKS = {
    "Gaussian": Look(palette.NORMALIZED, palette.SOLID, "o", 0.97),
    "skewed": Look(palette.NAVY, palette.DASHED, "s", 1.03),
}


class Schedule(Figure):
    """Draggers straight back; noise that is Gaussian, skewed, or as bad as can be."""

    name = "schedule"
    title = "A schedule beats any fixed size"
    claims = ("drift", "hitting_time", "phase_schedule")
    place = 8

    def experiments(self, profile: Profile) -> list[Experiment]:
        """For each noise all fixed sizes and the schedule, at two step sizes."""
        way = plan(profile)
        steps = [way.step, way.step / 2]
        run = {
            "measure": "hitting",
            "steps": steps,
            "radius": way.target,
            "start": START,
            "iterations": int(LONGEST / steps[1]),
            "replicates": profile.pick(quick=48, full=600),
            "seed": 8,
        }
        rule = {"rule": "normalized", "batch_size": BATCH_SIZE}
        algorithms = {
            "fixed": rule | {"micro_batch_sizes": list(SIZES)},
            "schedule": rule | {"schedule": {"gradient_norm": way.pairs}},
        }
        return [
            Experiment.from_mapping(
                {"model": _model(noise), "algorithm": algorithm, "run": run},
                name=f"schedule_{kind}_{law.lower()}_{profile}",
            )
            for law, noise in NOISE.items()
            for kind, algorithm in algorithms.items()
        ]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Sizes by gradient norm; times by size, guaranteed, exact and simulated."""
        way, experiments = plan(profile), self.experiments(profile)
        claim = CLAIMS["phase_schedule"]
        ideal = claim.evaluate(gradient_norm=way.norms, **MODEL)
        fixed, scheduled = experiments[::2], experiments[1::2]
        return {
            "plan": way._asdict() | {"ideal": ideal[SIZE]},
            "worst": _worst_case(way, ideal["drift_bound"]),
            "replicates": experiments[0].run.replicates,
            "laws": {
                law: _of_noise(
                    one, way, simulated[one.name], simulated[several.name][None]
                )
                for law, one, several in zip(NOISE, fixed, scheduled, strict=True)
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the schedule's lead, sizes that never arrive, bound and order."""
        laws, worst, best = data["laws"], data["worst"], data["plan"]["best"]
        lead = _leads(laws)
        limit = quantile(ALARM / len(lead), data["replicates"] - 1)
        shares = [
            p["share"] for x in laws.values() for p in _arrived(x) if p[SIZE] == best
        ]
        lost = [
            (p[SIZE], p["exact"], max(p["reached"]))
            for x in laws.values()
            for p in x["fixed"]
            if "value" not in p
        ]
        order = {
            "real sizes": worst["ideal"],
            "schedule of divisors": worst["schedule"],
            "best fixed divisor": min(worst["admissible"].values()),
            f"b* = {best}": worst["admissible"][str(best)],
        }
        return [
            *(
                Check.of(
                    law.lower(),
                    f"{law} noise: simulated times are the exact ones",
                    checks.agree([*_arrived(x), x["schedule"]]),
                )
                for law, x in laws.items()
            ),
            Check.of(
                "lead",
                "the schedule arrives before every fixed size simulated, at the same "
                "step (false alarms: 1 in a million)",
                checks.below("z of the difference in time", lead, limit),
            ),
            Check.of(
                "never",
                "1 and 2 with skewed noise, whose exact pull fails on the way, never "
                "arrive; all runs of all others do",
                checks.equal(
                    "size, exact time and arrivals where runs are lost:",
                    lost,
                    [(1, None, 0), (2, None, 0)],
                ),
            ),
            Check.of(
                "bound",
                f"b = {best} takes less than a hundredth of the bound of hitting_time",
                checks.below("mean time / bound", shares or np.nan, 0.01),
            ),
            Check.of(
                "worst_case",
                "in the worst case the schedule beats every fixed size, and the best "
                "one beats b*",
                checks.ordered(order),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """How much faster the schedule is, guaranteed and simulated; the settings."""
        way, worst, laws = data["plan"], data["worst"], data["laws"]
        fixed, best = worst["admissible"], way["best"]
        gaussian, skewed = laws["Gaussian"]["slower"], laws["skewed"]["slower"]
        return {
            "fraction": FRACTION,
            "batch_size": BATCH_SIZE,
            "beyond": BEYOND,
            "start": START,
            "sizes": ", ".join(map(str, SIZES)),
            "halved_step": way["step"] / 2,
            "guaranteed": min(fixed.values()) / worst["schedule"],
            "guaranteed_best": fixed[str(best)] / worst["schedule"],
            "gaussian_best": gaussian[str(best)],
            "gaussian_two": gaussian["2"],
            "skewed_four": skewed["4"],
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The schedule on the left, times on the right."""
        canvas, (left, right) = panels.subplots(
            1, 2, width_ratios=(1, 1.3), figsize=(6.4, 3.7)
        )
        _draw_sizes(left, data)
        _draw_times(right, data)
        left.set_title(self.title)
        return canvas


@cache
def plan(profile: Profile) -> Descent:
    """The way from the start to BEYOND times the smallest bias radius."""
    return planned(
        BATCH_SIZE,
        dragger_fraction=FRACTION,
        start=START,
        beyond=BEYOND,
        points=profile.pick(quick=200, full=400),
    )


def _model(noise: dict[str, Any]) -> dict[str, Any]:
    return {
        "dimension": 1,
        "dragger_fraction": FRACTION,
        "noise": noise,
        "dragger": {"law": "opposing", "norm": 1e4},
    }


def _worst_case(way: Descent, ideal_pull: np.ndarray) -> dict[str, Any]:
    """Guaranteed times: with one size, with the schedule, and with real sizes."""
    norms = way.norms
    real = np.geomspace(6, 32, 160)
    admissible = {str(b): _guaranteed(norms, b) for b in divisors(BATCH_SIZE)}
    return {
        "real": {SIZE: real, "length": [_guaranteed(norms, b) for b in real]},
        "admissible": {b: x for b, x in admissible.items() if x is not None},
        "schedule": _guaranteed(norms, way.sizes),
        "ideal": path_length(norms, ideal_pull),
        "bound": way.step * way.bound,
    }


def _guaranteed(norms: np.ndarray, sizes: Any) -> float | None:
    """γ times the guaranteed time with one size, or with sizes [n] for the norms."""
    return path_length(norms, guaranteed_pull(norms, sizes, **MODEL))


def _of_noise(
    first: Experiment,
    way: Descent,
    times: dict[int, HittingTimes],
    scheduled: HittingTimes,
) -> dict[str, Any]:
    """Exact and simulated times with one noise, of fixed sizes and of the schedule."""
    model, run = first.gradient_model, first.run
    norms, sizes = way.norms, way.sizes.tolist()
    pull = {b: exact_pull(model, b, norms) for b in sorted({*SIZES, *sizes})}
    exact = {b: path_length(norms, x) for b, x in pull.items()}
    along = path_length(norms, np.array([pull[b][i] for i, b in enumerate(sizes)]))
    ours = _timed(scheduled, run, along, way.bound)
    fixed = {b: _timed(x, run, exact[b], way.bound) for b, x in times.items()}
    return {
        "exact": {SIZE: list(exact), "length": list(exact.values())},
        "schedule": ours,
        "fixed": [{SIZE: b} | x for b, x in fixed.items()],
        "slower": {
            str(b): x["value"] / ours["value"] for b, x in fixed.items() if "value" in x
        },
    }


def _timed(
    times: HittingTimes, run: Run, exact: float | None, bound: float
) -> dict[str, Any]:
    """γ times the mean hitting time at the smaller step, beside the exact one.

    z is the distance of the value extrapolated to zero step from the exact one, in
    standard errors, `share` the hitting time at the larger step over its bound. There
    is no value unless all runs arrive.
    """
    known: dict[str, Any] = {"exact": exact, "reached": list(times.reached)}
    if min(times.reached) < run.replicates:
        return known
    step, weights = np.array(run.steps), extrapolation_weights(run.steps)
    value, error = step * times.mean, step * times.standard_error
    point = Point.of_mean(value[1], error[1], run.replicates - 1)
    distance = weights @ value - (exact or 0.0)
    return known | {
        **point.entry(without=("standard_error",)),
        "error": error[1],
        "z": distance / np.linalg.norm(weights * error),
        "share": times.mean[0] / bound,
    }


def _arrived(law: dict[str, Any]) -> list[dict[str, Any]]:
    """The fixed sizes with which all runs arrive."""
    return [p for p in law["fixed"] if "value" in p]


def _leads(laws: dict[str, Any]) -> list[float]:
    """The schedule's time less that of each fixed size, in standard errors."""
    return [
        (ours["value"] - p["value"]) / np.hypot(ours["error"], p["error"])
        for law in laws.values()
        for ours in [law["schedule"]]
        for p in _arrived(law)
    ]


def _draw_sizes(axes: Any, data: dict[str, Any]) -> None:
    way, bound = data["plan"], palette.BOUND
    panels.log_log(axes, xlim=(12, 0.32), ylim=(0.85, 26))
    axes.plot(way["norms"], way["ideal"], color=bound)
    axes.step(way["norms"], way["sizes"], color="black", lw=1, where="mid")
    axes.axvline(way["radius"], color=bound, lw=1, ls=palette.DOTTED)
    axes.text(way["radius"] * 1.05, 0.95, "bias\nradius", color=bound, ha="right")
    axes.text(3.8, 4.3, "strongest\nguaranteed\npull", color=bound, ha="center")
    axes.text(1.9, 1.75, f"schedule:\ndivisors of {BATCH_SIZE}")
    panels.plain_ticks(axes.xaxis, [10, 5, 2, 1, 0.5])
    panels.plain_ticks(axes.yaxis, [1, 2, 5, 10, 20])
    axes.set_xlabel("gradient norm G (gradient units)")
    axes.set_ylabel("micro-batch size b (samples)")


def _draw_times(axes: Any, data: dict[str, Any]) -> None:
    worst = data["worst"]
    end = 38
    top = 62
    color = palette.BOUND
    panels.log_log(axes, xlim=(0.85, 46), ylim=(9.7, top))
    axes.plot(*np.array([*worst["real"].values()], np.float64), color=color)
    axes.axhline(worst["schedule"], color=color, lw=1, ls=palette.DASHED)
    axes.text(1, worst["schedule"] * 1.03, "schedule, guaranteed", color=color)
    axes.text(8.3, 20, "guaranteed", color=color, ha="right")
    for law, x in data["laws"].items():
        _draw_noise(axes, law, x, end=end, top=top)
    axes.text(2.4, 0.94 * top, "never", color=LOOKS["skewed"].color, va="center")
    title = "noise: exact (lines)\nand simulated (points)"
    place = {"loc": "upper left", "bbox_to_anchor": (-0.02, 0.92)}
    axes.legend(title=title, alignment="left", **place)
    text = f"bound for b = {data['plan']['best']}:\n{worst['bound']:,.0f} ↑"
    axes.text(45, 0.97 * top, text, color=color, ha="right", va="top")
    axes.text(end * 1.12, 11, "schedule", ha="right", va="bottom")
    panels.plain_ticks(axes.xaxis, SIZES)
    panels.plain_ticks(axes.yaxis, [10, 12, 15, 20, 30, 40])
    axes.set_xlabel("one size b throughout (samples)")
    axes.set_ylabel("time γ E τ (gradient units)")
    axes.set_title(f"n = {data['replicates']} replicates, 99 % intervals")


def _draw_noise(
    axes: Any, law: str, times: dict[str, Any], *, end: float, top: float
) -> None:
    """Exact and simulated times, the schedule's at the right end."""
    color, dashes, marker, aside = LOOKS[law]
    line = np.array([*times["exact"].values()], float)
    axes.plot(*line, color=color, ls=dashes, lw=1.2)
    axes.axhline(times["schedule"]["exact"], color=color, lw=1, ls=dashes)
    shown = [p | {"b": p[SIZE] * aside} for p in _arrived(times)]
    shown.append(times["schedule"] | {"b": end * aside})
    panels.simulated(axes, shown, "b", fmt=marker, color=color, ms=4.5, label=law)
    for p in times["fixed"]:
        if "value" not in p:
            axes.plot(p[SIZE], 0.94 * top, "^", color=color, ms=6)


figure = Schedule()
