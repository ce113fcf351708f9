"""Gradient norm against the horizon: SGD's slow rate, clipping's fast one to a floor.

The quadratic f = w²/2 in one dimension, skewed noise and draggers of mean zero: the
problem meets the assumptions of both guarantees. For every horizon T each rule is run
with the step that its guarantee prescribes for that T.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from analysis.claims import CLAIMS
from analysis.rest.limits import sgd_mean_square
from analysis.rest.stable import exact_bias
from analysis.spec.algorithm import divisors
from analysis.spec.experiment import Experiment
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.results import Averages

BATCH = 96
SIZES = (1, 24, 48)
BEST = "24"  # of all divisors of the batch size
START = 10.0
FRACTION = 0.01
NORM = 500.0  # root mean square of the draggers; σ = L = 1
DRAGGERS = {"dragger_fraction": FRACTION, "noise_scale": 1.0}
LOSS = {"smoothness": 1.0, "initial_gap": START**2 / 2}
SGD = {"batch_size": float(BATCH), "dragger_norm": NORM}
PROBABILITY = 0.3
GAUSSIAN = 0.1
VALUE = ((1 - GAUSSIAN**2) * (1 - PROBABILITY) / PROBABILITY) ** 0.5
NOISE = {
    "law": "rare",
    "probability": PROBABILITY,
    "value": VALUE,
    "gaussian": GAUSSIAN,
}
MODEL = {
    "dimension": 1,
    "dragger_fraction": FRACTION,
    "noise": NOISE,
    "dragger": {"law": "isotropic", "norm": NORM},
}
PER_DECADE = 40  # points of the lines
DECADES = 7.5  # that the lines span
FITTED = 5  # the decade in which slopes are read begins at T = 10^5
MOMENTUM = 0.9
LEAD = 100  # from this horizon on the runs with the best size are below SGD's
# By size: colour, dashes, marker, and the factor by which points are set aside.
LOOK: dict[str, tuple[str, Any, str, float]] = {
    "1": (palette.NORMALIZED, palette.CLOSE_DASH_DOTTED, "^", 0.88),
    "24": (palette.STEEL, palette.SOLID, "o", 1.0),
    "48": (palette.NAVY, palette.DOTTED, "s", 1.14),
}
ALIGNED = {"1": "center", "24": "center", "48": "bottom"}  # names of the lines
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


class Rates(Figure):
    """Two guarantees on one problem, and what runs do."""

    name = "rates"
    title = "Clipping's guarantee falls faster, to a floor"
    claims = (
        *("averaged_guarantee", "crossover", "sgd_rate"),
        *("sgd_lower_bound", "momentum"),
    )
    place = 2

    def experiments(self, profile: Profile) -> list[Experiment]:
        """SGD and the normalized rule at horizons half a decade apart, from 10 on.

        b = 1 is left out of the longest: that is 96 micro-batches a step.
        """
        last = profile.pick(quick=9, full=11)
        longest = profile.pick(quick=10**4, full=10**4.5)
        runs = []
        for horizon in (round(10 ** (k / 2)) for k in range(2, last + 1)):
            runs.append(_experiment(profile, "sgd", horizon, [BATCH]))
            sizes = [b for b in SIZES if b > 1 or horizon <= longest]
            runs.append(_experiment(profile, "normalized", horizon, sizes))
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Both guarantees as lines, their crossings, the floors, and the runs."""
        experiments = self.experiments(profile)
        horizon = 10 ** np.linspace(0, DECADES, round(PER_DECADE * DECADES) + 1)
        runs: dict[int, list[dict[str, Any]]] = {b: [] for b in (*SIZES, BATCH)}
        for e in experiments:
            for b, result in simulated[e.name].items():
                of_sgd = e.algorithm.rule == "sgd"
                runs[b].append(
                    _sgd_point(e, result) if of_sgd else _normalized_point(e, b, result)
                )
        floors = clipping_guarantee(1.0, divisors(BATCH))["averaged_bias"]
        sgd = {
            "bound": sgd_guarantee(horizon)["gradient_bound"],
            "lower": _least_of_sgd(horizon),
            "points": [p | {"lower": _least_of_sgd(p["horizon"])} for p in runs[BATCH]],
        }
        counts = {p["degrees"] + 1 for points in runs.values() for p in points}
        return {
            "horizon": horizon,
            "replicates": sorted(counts),
            "floors": dict(zip(map(str, divisors(BATCH)), floors, strict=True)),
            "sgd": sgd,
            "clipping": {str(b): _line(b, horizon, runs[b]) for b in SIZES},
            "momentum": CLAIMS["momentum"].evaluate(
                horizon=horizon,
                micro_batch_size=int(BEST),
                alignment=1.0,
                momentum=MOMENTUM,
                **LOSS,
                **DRAGGERS,
            )["averaged_bound"],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Runs below the guarantees, SGD's as computed, rates, floors, crossings."""
        sgd, clipping = data["sgd"], data["clipping"]
        best = clipping[BEST]
        floors = {b: x for b, x in data["floors"].items() if x is not None}
        lowest = min(floors, key=lambda b: floors[b])
        fast = [_slope(data, c["bound"], c["floor"]) for c in clipping.values()]
        normalized = [p for c in clipping.values() for p in c["points"]]
        exact = [p | {"z": p["z_exact"]} for p in sgd["points"]]
        return [
            Check.of(
                "sgd",
                "no run of SGD is above its guarantee",
                checks.not_above(sgd["points"]),
            ),
            Check.of(
                "normalized",
                "no run of the normalized rule is above its guarantee",
                checks.not_above(normalized),
            ),
            Check.of(
                "exact",
                "SGD's runs have the exact mean of G²",
                checks.agree(exact),
            ),
            Check.of(
                "rates",
                "over the decade from T = 100 000 SGD's guarantee falls like T^(-1/4), "
                "clipping's towards its floor like T^(-1/2)",
                checks.within("slope", _slope(data, sgd["bound"], 0.0), -0.25, 0.01),
                checks.within("slopes of clipping", fast, -0.5, 0.01),
            ),
            Check.of(
                "floor",
                f"of all divisors of the batch size {BEST} has the lowest floor",
                checks.equal("lowest at", lowest, BEST),
                checks.equal("floor there", floors[BEST], best["floor"]),
            ),
            Check.of(
                "crossings",
                "the guarantees cross where the claim says, and nowhere else, to one "
                "step of the grid",
                checks.at_most(
                    "factor between drawn and claimed",
                    _factors(data) or np.nan,
                    10 ** (1 / PER_DECADE),
                ),
            ),
            Check.of(
                "lower",
                "SGD with these steps is not below the bound for every constant step",
                checks.at_least(
                    "exact / bound", [p["exact"] / p["lower"] for p in sgd["points"]], 1
                ),
            ),
            Check.of(
                "separate",
                f"with b = {BEST} clipping's guarantee is below that bound for some T",
                checks.at_least("horizons of the grid", len(_separate(data)), 2),
                checks.above("from T =", _separate(data) or np.nan, 1),
            ),
            Check.of(
                "momentum",
                "momentum has the same floor, and √((1+μ)/(1-μ)) times the distance",
                checks.within(
                    "factor",
                    (np.array(data["momentum"]) - best["floor"])
                    / (np.array(best["bound"]) - best["floor"]),
                    ((1 + MOMENTUM) / (1 - MOMENTUM)) ** 0.5,
                    1e-6,
                ),
            ),
            Check.of(
                "lead",
                f"from T = {LEAD} on the runs with b = {BEST} have a smaller mean of "
                "G than SGD's: their 99 % intervals are apart",
                checks.below("ratio of the near ends", _gaps(data) or np.nan, 1),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """The problem, crossings, and how far the runs are below their guarantees."""
        clipping, sgd = data["clipping"], data["sgd"]["points"]
        single, best, large = (clipping[b] for b in LOOK)
        of_sgd = [p["value"] / p["bound"] for p in sgd]
        return {
            "batch": BATCH,
            "gap": LOSS["initial_gap"],
            "fraction": FRACTION,
            "dragger_norm": NORM,
            "fewest": data["replicates"][0],
            "most": data["replicates"][-1],
            "single": _last_run(single) | {"ends": _rounded(single["crossover"])},
            "best": _last_run(best) | {"ends": _rounded(best["crossover"])},
            "large": {"floor": large["floor"], "ends": _rounded(large["crossover"])},
            "least_of_sgd": min(of_sgd),
            "most_of_sgd": max(of_sgd),
            "lead": LEAD,
            "separate": _rounded([_separate(data)[0], _separate(data)[-1]]),
            "mu": MOMENTUM,
            "factor": ((1 + MOMENTUM) / (1 - MOMENTUM)) ** 0.5,
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Gradient norm against horizon, both axes logarithmic."""
        canvas, axes = panels.subplots()
        panels.log_log(axes, xlim=(0.9, 10**DECADES), ylim=(0.02, 60))
        panels.rulers(axes)
        _draw_sgd(axes, data)
        for b, line in data["clipping"].items():
            _draw_clipping(axes, b, line, data["horizon"])
        axes.plot(data["horizon"], data["momentum"], color=palette.STEEL, lw=0.8)
        _draw_labels(axes, data)
        panels.plain_ticks(axes.yaxis, TICKS)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("horizon T (iterations)")
        axes.set_ylabel("gradient norm over the run (gradient units)")
        n = data["replicates"]
        axes.set_title(f"{self.title}   (n = {n[0]} to {n[-1]}, 99 % intervals)")
        return canvas


def sgd_guarantee(horizon: Any) -> dict[str, Any]:
    """The values of the claim sgd_rate."""
    return CLAIMS["sgd_rate"].evaluate(horizon=horizon, **LOSS, **DRAGGERS, **SGD)


def clipping_guarantee(horizon: Any, b: Any) -> dict[str, Any]:
    """The values of averaged_guarantee for draggers of any kind (α = 1)."""
    return CLAIMS["averaged_guarantee"].evaluate(
        horizon=horizon, micro_batch_size=b, alignment=1.0, **LOSS, **DRAGGERS
    )


def _experiment(
    profile: Profile, rule: str, horizon: int, sizes: Sequence[int]
) -> Experiment:
    """The rule with the step that its guarantee prescribes.

    There are the more replicates, the shorter the run, within limits.
    """
    if rule == "sgd":
        step = sgd_guarantee(horizon)["learning_rate"]
        steps = profile.pick(quick=6e5, full=4e6)
    else:
        step = clipping_guarantee(horizon, 1)["step_size"]
        steps = profile.pick(quick=1e5, full=1e6)  # in all replicates together
    limits = profile.pick(quick=(32, 2048), full=(64, 4096))
    run = {
        "measure": "average",
        "steps": [float(step)],
        "seed": 2,
        "iterations": horizon,
        "replicates": int(np.clip(steps / horizon, *limits)),
        "start": START,
    }
    name = f"rates_{rule}_{horizon}_{profile}"
    return worlds.experiment(name, MODEL, run, rule=rule, batch_size=BATCH, sizes=sizes)


def _least_of_sgd(horizon: Any) -> Any:
    """What no constant step of SGD goes below on this quadratic: sgd_lower_bound."""
    values = CLAIMS["sgd_lower_bound"].evaluate(
        horizon=horizon, **LOSS, **DRAGGERS, **SGD
    )
    return values["gradient_bound"]


def _separate(data: dict[str, Any]) -> list[float]:
    """The horizons at which the best size's guarantee is below SGD's lower bound."""
    bounds = zip(
        data["horizon"],
        data["clipping"][BEST]["bound"],
        data["sgd"]["lower"],
        strict=True,
    )
    return [T for T, clipping, sgd in bounds if clipping < sgd]


def _line(b: int, horizon: Any, points: list[dict[str, Any]]) -> dict[str, Any]:
    """The normalized rule's guarantee and runs at one size."""
    guarantee = clipping_guarantee(horizon, b)
    ends = CLAIMS["crossover"].evaluate(
        micro_batch_size=b, alignment=1.0, **LOSS, **DRAGGERS, **SGD
    )
    crossings = (float(ends["crossover_low"]), float(ends["crossover_high"]))
    model = _experiment(Profile.QUICK, "normalized", 10, [b]).gradient_model
    return {
        "bound": guarantee["averaged_bound"],
        "floor": guarantee["averaged_bias"][0],
        "exact_floor": exact_bias(model, "normalized", BATCH, b).bias,
        "crossover": [T for T in crossings if 1 < T < 10**DECADES],
        "points": points,
    }


def _mean_gradient(
    experiment: Experiment, result: Averages, bound: float | None = None
) -> Point:
    """The mean of G over the iterations."""
    value, error = result.of("gradient_norm")
    return Point.of_mean(value, error, experiment.run.replicates - 1, bound=bound)


def _normalized_point(
    experiment: Experiment, b: int, result: Averages
) -> dict[str, Any]:
    """The mean of G of one run, beside the guarantee."""
    run = experiment.run
    bound = clipping_guarantee(run.iterations, b)["averaged_bound"]
    point = _mean_gradient(experiment, result, bound)
    return point.entry(without=("standard_error",), horizon=run.iterations)


def _sgd_point(experiment: Experiment, result: Averages) -> dict[str, Any]:
    """The root of SGD's mean of G², beside the guarantee and the exact value.

    z_exact is the distance from the latter in standard errors; low is the lower end of
    the interval of the mean of G.
    """
    run, degrees = experiment.run, experiment.run.replicates - 1
    square, square_error = result.of("squared_gradient_norm")
    value = square**0.5
    error = square_error / (2 * value)
    expected = sgd_mean_square(
        experiment.gradient_model,
        BATCH,
        step=run.steps[0],
        iterations=run.iterations,
        start=START,
    )
    bound = sgd_guarantee(run.iterations)["gradient_bound"]
    point = Point.of_mean(value, error, degrees, bound=bound)
    exact = Point.of_mean(value, error, degrees, exact=expected**0.5)
    low, _ = _mean_gradient(experiment, result).interval
    return point.entry(
        without=("standard_error",),
        horizon=run.iterations,
        exact=exact.exact,
        z_exact=exact.z,
        low=low,
    )


def _slope(data: dict[str, Any], bound: list[float], floor: float) -> float:
    """Slope of log(bound - floor) against log T, over one decade."""
    part = slice(FITTED * PER_DECADE, (FITTED + 1) * PER_DECADE + 1)
    T, excess = data["horizon"][part], np.array(bound[part]) - floor
    return float(np.polyfit(np.log(T), np.log(excess), 1)[0])


def _factors(data: dict[str, Any]) -> list[float]:
    """Between drawn and claimed crossings, at least 1; infinite for a missing one."""
    horizon, sgd = np.array(data["horizon"]), np.array(data["sgd"]["bound"])
    pairs: list[tuple[float, float]] = []
    for c in data["clipping"].values():
        change = np.flatnonzero(np.diff(np.sign(np.array(c["bound"]) - sgd)))
        drawn = np.sqrt(horizon[change] * horizon[change + 1])
        pairs += zip_longest(drawn.tolist(), c["crossover"], fillvalue=np.inf)
    return [max(drawn / claimed, claimed / drawn) for drawn, claimed in pairs]


def _gaps(data: dict[str, Any]) -> list[float]:
    """Upper ends of the best size's intervals over the lower ends of SGD's."""
    pairs = zip(data["clipping"][BEST]["points"], data["sgd"]["points"], strict=True)
    return [p["interval"][1] / q["low"] for p, q in pairs if p["horizon"] >= LEAD]


def _last_run(line: dict[str, Any]) -> dict[str, Any]:
    """The longest run of a size beside its guarantee, and the floors."""
    last = line["points"][-1]
    return {
        "floor": line["floor"],
        "exact": line["exact_floor"],
        "horizon": last["horizon"],
        "of_bound": last["value"] / last["bound"],
    }


def _rounded(horizons: Sequence[float]) -> list[str]:
    """Two digits, thousands set apart."""
    return [f"{float(f'{T:.2g}'):,.10g}" for T in horizons]


def _draw_sgd(axes: Any, data: dict[str, Any]) -> None:
    sgd, color = data["sgd"], palette.SGD
    axes.plot(data["horizon"], sgd["bound"], color=color, ls=palette.DASHED)
    axes.plot(data["horizon"], sgd["lower"], color=color, ls=palette.DOTTED, lw=1.2)
    exact = np.array([(p["horizon"], p["exact"]) for p in sgd["points"]])
    axes.plot(*exact.T, color=color, lw=0.8)
    panels.simulated(axes, sgd["points"], "horizon", fmt="D", color=color, ms=4)


def _draw_clipping(axes: Any, b: str, line: dict[str, Any], horizon: Any) -> None:
    """One size: guarantee, runs a little aside of those of other sizes, crossings."""
    color, dashes, marker, aside = LOOK[b]
    axes.plot(horizon, line["bound"], color=color, ls=dashes)
    apart = [p | {"T": p["horizon"] * aside} for p in line["points"]]
    panels.simulated(axes, apart, "T", fmt=marker, color=color, ms=5)
    text = f"b = {b}:\nfloor {line['floor']:.2f}"
    beside = {"va": ALIGNED[b], "transform": axes.get_yaxis_transform()}
    axes.text(1.01, line["bound"][-1], text, color=color, **beside)
    cross = {"color": palette.BOUND, "mec": "white", "ms": 8, "zorder": 6}
    for T in line["crossover"]:
        axes.plot(T, float(sgd_guarantee(T)["gradient_bound"]), "X", **cross)


def _draw_labels(axes: Any, data: dict[str, Any]) -> None:
    """SGD's name, the bias of single samples, and what lines and points are."""
    end = data["sgd"]["bound"][-1]
    beside = {"va": "top", "transform": axes.get_yaxis_transform()}
    axes.text(1.01, end, "SGD:\nno floor", color=palette.SGD, **beside)
    single, color = data["clipping"]["1"]["exact_floor"], palette.NORMALIZED
    axes.plot([260, 4e4], [single] * 2, color=color, lw=0.8)
    axes.text(230, single, "b = 1 at rest", color=color, va="center", ha="right")
    panels.label(axes, 9, 30, f"b = {BEST}, momentum {MOMENTUM:g}", color=palette.STEEL)
    axes.text(1.2, 0.025, "lines: guarantees\npoints: runs\ncrosses: guarantees cross")


figure = Rates()
