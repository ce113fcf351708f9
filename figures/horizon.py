"""What the length of a run changes: the best size, and what a single run may do.

Draggers push straight back; the noise of the simulated runs is close to the worst case.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy import special

from analysis.advice.run_length import growth_window, probable_bound
from analysis.claims import CLAIMS
from analysis.claims.averaged_guarantee import closed_form
from analysis.rest.stable import exact_bias
from analysis.spec.algorithm import divisors
from analysis.spec.experiment import Experiment
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import ALARM, Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.quantiles import quantile_interval
from sim.results import Averages

BATCH_SIZE = 32
SIZE = 8
START = 10.0
FRACTION = 0.01  # of draggers in the runs
RARER = 0.001
GAUSSIAN = 0.03  # part of the noise, so that gradients lie on no lattice
LOSS = {"smoothness": 1.0, "initial_gap": START**2 / 2}  # f = w²/2
WORST = {"noise_scale": 1.0, "alignment": 1.0}
FAILURES = (0.1, 0.01)  # probabilities with which one run may exceed its bound
MICRO_BATCHES = (1, 4, 32)  # for which the price of a bound for one run is given
DECADES = 8  # of horizons drawn
LATE = 1e16  # a horizon far beyond those


class Look(NamedTuple):
    """How one line and its points are drawn; `aligned` is where its name stands."""

    color: str
    dashes: Any
    marker: str = ""
    label: str = ""
    aligned: str = "center"


LINES = {
    str(RARER): Look(palette.VERMILION, palette.DASHED),
    str(FRACTION): Look(palette.RUST, palette.SOLID),
}
RUNS = {
    "0.01": Look(palette.NAVY, palette.SOLID, "D", "99 % quantile", "bottom"),
    "0.1": Look(palette.NORMALIZED_TEXT, palette.DASHED, "s", "90 % quantile"),
    "mean": Look(palette.BOUND, palette.CLOSE_DASH_DOTTED, "o", "mean"),
}


class Horizon(Figure):
    """Sizes against the horizon; averages of single runs against their guarantees."""

    name = "horizon"
    title = "Short runs favour small micro-batches"
    claims = ("finite_horizon", "high_probability")
    place = 16

    def experiments(self, profile: Profile) -> list[Experiment]:
        """The normalized rule at horizons half a decade apart, with their steps."""
        replicates = profile.pick(quick=4096, full=8192)
        last = profile.pick(quick=6, full=8)  # half decades
        horizons = [round(10 ** (k / 2)) for k in range(2, last + 1)]
        return [run_of(horizon, replicates, str(profile)) for horizon in horizons]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Best size by horizon, its limits; averages of runs and their guarantees."""
        experiments = self.experiments(profile)
        runs = [_averages(e, simulated[e.name][SIZE]) for e in experiments]
        horizon = np.geomspace(6, 1.5 * experiments[-1].run.iterations, 60)
        first = runs[0]["mean"]
        guaranteed = _averaged(horizon, SIZE, FRACTION)
        model = experiments[0].gradient_model
        return {
            "replicates": experiments[0].run.replicates,
            "sizes": {str(eps): _sizes(profile, eps) for eps in (RARER, FRACTION)},
            "exact_bias": exact_bias(model, "normalized", BATCH_SIZE, SIZE).bias,
            "floor": guaranteed["averaged_bias"][0],
            "runs": {name: [run[name] for run in runs] for name in RUNS},
            "horizon": horizon,
            "bounds": {str(q): _probable(horizon, q) for q in FAILURES},
            "guarantee": guaranteed["averaged_bound"],
            "price": {
                m: _probable(first["horizon"], FAILURES[1], m * SIZE) / first["bound"]
                for m in MICRO_BATCHES
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Growth, saturation and optimality of b_T; runs against the guarantees."""
        sizes, runs, n = data["sizes"], data["runs"], data["replicates"]
        missing = [
            1 - of["micro_batch_size"][-1] / of["limit"] for of in sizes.values()
        ]
        above = runs["mean"][0]["above"]
        return [
            Check.of(
                "growth",
                "b_T grows like T^(1/3) while it is small: its slope is in the window "
                "of the claim's two-sided statement",
                *(
                    checks.between(
                        f"slope over T = 10 to 100 (ε = {eps})", slope, low, high
                    )
                    for eps, of in sizes.items()
                    for low, slope, high in [of["growth"]]
                ),
            ),
            Check.of(
                "saturation",
                "b_T saturates at the averaged sweet spot, known in closed form",
                checks.between(f"share missing at T = {LATE:.0e}", missing, 0, 1e-5),
            ),
            Check.of(
                "optimum",
                "no size of a fine grid has a smaller guarantee (but for rounding), "
                "and the best of them is next to b_T",
                checks.above(
                    "relative excess of the grid's best guarantee",
                    [x for of in sizes.values() for x in of["excess"]],
                    -1e-12,
                ),
                checks.below(
                    "distance in grid steps",
                    [x for of in sizes.values() for x in of["grid_steps"]],
                    1,
                ),
            ),
            Check.of(
                "mean",
                "the mean over all runs is below its guarantee",
                checks.not_above(runs["mean"]),
            ),
            *(_rarely_above(runs[str(q)], q, n) for q in FAILURES),
            Check.of(
                "single_runs",
                f"more than {FAILURES[1]:.0%} of the shortest runs are above the "
                "guarantee of the mean",
                checks.below(
                    f"P(at least {above} of {n} at {FAILURES[1]:.0%})",
                    special.bdtrc(above - 1, n, FAILURES[1]),
                    ALARM,
                ),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Slopes and limits by dragger fraction; how close the bounds are."""
        sizes, mean = data["sizes"], data["runs"]["mean"]
        rarer, frequent = sizes[str(RARER)], sizes[str(FRACTION)]
        tenth, hundredth = (_looseness(data["runs"][str(q)]) for q in FAILURES)
        first, last = mean[0], mean[-1]
        return {
            "gap": LOSS["initial_gap"],
            "fraction": FRACTION,
            "rarer": RARER,
            "batch_size": BATCH_SIZE,
            "size": SIZE,
            "micro_batches": BATCH_SIZE // SIZE,
            "rarer_limit": rarer["limit"],
            "limit": frequent["limit"],
            "rarer_slope": rarer["growth"][1],
            "slope": frequent["growth"][1],
            "first": first,
            "last": last,
            "first_share": first["value"] / first["bound"],
            "last_share": last["value"] / last["bound"],
            "above": first["above"] / data["replicates"],
            "tenth": tenth,
            "hundredth": hundredth,
            "prices": [data["price"][str(m)] for m in MICRO_BATCHES],
            "counts": MICRO_BATCHES,
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Sizes on the left, runs on the right."""
        scales = {"xscale": "log", "yscale": "log", "xlabel": "horizon T (iterations)"}
        canvas, (left, right) = panels.subplots(
            1, 2, figsize=(6.4, 3.9), subplot_kw=scales
        )
        _draw_sizes(left, data)
        _draw_runs(right, data)
        left.set_title(self.title)
        right.set_title(f"n = {data['replicates']} runs, 99 % intervals")
        return canvas


def run_of(horizon: int, replicates: int, name: str = "alone") -> Experiment:
    """Runs of the normalized rule with the step that both guarantees prescribe.

    The noise is that of the claim rare_signal for half as many draggers: these push
    outwards inside its stationary point.
    """
    usual = CLAIMS["rare_signal"].evaluate(  # of samples without signal
        micro_batch_size=SIZE, dragger_fraction=FRACTION / 2, noise_scale=1.0
    )["limiting_bias"]
    noise = {
        "law": "rare",
        "value": -float(usual) * (1 - GAUSSIAN**2) ** 0.5,
        "probability": 1 / (1 + float(usual) ** 2),
        "gaussian": GAUSSIAN,
    }
    run = {
        "steps": [float(_averaged(horizon, SIZE, FRACTION)["step_size"])],
        "iterations": horizon,
        "start": START,
        "replicates": replicates,
        "measure": "average",
        "seed": 16,
    }
    return worlds.experiment(
        f"horizon_{horizon}_{name}",
        worlds.line_model(dragger_fraction=FRACTION, noise=noise, dragger_norm=1e4),
        run,
        rule="normalized",
        batch_size=BATCH_SIZE,
        sizes=[SIZE],
    )


def _averaged(horizon: Any, size: Any, fraction: float) -> Any:
    """The values of averaged_guarantee for draggers of any kind."""
    return CLAIMS["averaged_guarantee"].evaluate(
        horizon=horizon,
        micro_batch_size=size,
        dragger_fraction=fraction,
        **LOSS,
        **WORST,
    )


def _probable(horizon: Any, failure: float, batch_size: int = BATCH_SIZE) -> Any:
    """The bound that one run exceeds with at most the probability `failure`."""
    return probable_bound(
        horizon=horizon,
        failure_probability=failure,
        micro_batch_size=SIZE,
        batch_size=batch_size,
        dragger_fraction=FRACTION,
        **LOSS,
        **WORST,
    )


def _averages(experiment: Experiment, result: Averages) -> dict[str, dict[str, Any]]:
    """Mean and quantiles 1 - q of the runs' averages beside their bounds.

    `above` is how many runs exceed the bound.
    """
    averages = np.array(result.gradient_norm[0])
    value, error = result.of("gradient_norm")
    horizon, n = experiment.run.iterations, experiment.run.replicates
    guarantee = float(_averaged(horizon, SIZE, FRACTION)["averaged_bound"])
    mean = Point.of_mean(value, error, n - 1, bound=guarantee)
    entries = {"mean": mean.entry(without=("standard_error",))}
    for q in FAILURES:
        value, interval = quantile_interval(averages, 1 - q)
        bound = float(_probable(horizon, q))
        entries[str(q)] = Point(value=value, interval=interval, bound=bound).entry()
    for entry in entries.values():
        entry["horizon"] = horizon
        entry["above"] = int((averages > entry["bound"]).sum())
    return entries


def _sizes(profile: Profile, fraction: float) -> dict[str, Any]:
    """b_T, what a search over sizes finds, and how b_T should grow and saturate."""
    steps = profile.pick(quick=10, full=40)  # a decade
    rate = -np.log1p(-fraction)
    horizon = np.append(10 ** (np.arange(DECADES * steps + 1) / steps), LATE)
    values = CLAIMS["finite_horizon"].evaluate(
        horizon=horizon, dragger_fraction=fraction, **LOSS, **WORST
    )
    size = values["micro_batch_size"]
    many = profile.pick(quick=400, full=2000)
    grid = np.geomspace(1, 0.99 * np.log(2) / rate, many)  # to the breakdown
    admissible = divisors(BATCH_SIZE)
    searched, allowed = (
        _averaged(horizon[:, None], sizes, fraction)["averaged_bound"]
        for sizes in (grid, admissible)
    )
    ends = [steps, 2 * steps]  # T = 10 and 100
    low, high = growth_window(values["scaled_size"][ends], 10)
    return {
        "horizon": horizon,
        "micro_batch_size": size,
        "excess": searched.min(1) / values["averaged_bound"] - 1,
        "grid_steps": np.abs(np.log(size) / np.log(grid[1]) - searched.argmin(1)),
        "admissible": admissible[allowed.argmin(1)],
        "growth": [low, np.log10(size[ends[1]] / size[ends[0]]), high],
        "limit": float(closed_form) / rate,
    }


def _rarely_above(entries: Sequence[dict[str, Any]], q: float, n: int) -> Check:
    """Of n runs no more are above the bound than probability q allows, everywhere."""
    most = max(p["above"] for p in entries)
    return Check.of(
        {0.1: "one_in_ten", 0.01: "one_in_hundred"}[q],
        f"a share q = {q:g} of single runs at most is above their bound",
        checks.above(
            f"P(at least {most} of {n} at {q:.0%})",
            special.bdtrc(most - 1, n, q),
            ALARM / len(entries),
        ),
    )


def _looseness(entries: Sequence[dict[str, Any]]) -> list[float]:
    """The smallest and the largest ratio of a bound to the quantile that it bounds."""
    ratios = [p["bound"] / p["value"] for p in entries]
    return [min(ratios), max(ratios)]


def _draw_sizes(axes: Any, data: dict[str, Any]) -> None:
    label = "micro-batch size b (samples)"
    axes.set(xlim=(1, 10**DECADES), ylim=(1, 500), ylabel=label)
    for (eps, of), above in zip(data["sizes"].items(), (1.06, 1.36), strict=True):
        look, limit, first = LINES[eps], of["limit"], of["micro_batch_size"][0]
        color = look.color
        axes.plot([1, (limit / first) ** 3], [first, limit], color=color, lw=0.7)
        axes.axhline(limit, color=color, lw=1, ls=palette.DOTTED)
        axes.plot(of["horizon"], of["micro_batch_size"], color=color, ls=look.dashes)
        text = f"averaged\nsweet spot {limit:.3g}"
        axes.text(7e7, above * limit, text, color=color, ha="right")
        axes.text(7e7, 0.8 * limit, f"ε = {eps}", va="top", color=color, ha="right")
    axes.step(of["horizon"], of["admissible"], color="black", lw=0.9, where="mid")
    axes.text(5e5, 12, f"divisors of {BATCH_SIZE}", ha="center", va="top")
    color = LINES[str(RARER)].color
    axes.text(25, 46, "slope 1/3", color=color, ha="center", rotation=51)
    panels.plain_ticks(axes.yaxis, [1, 2, 5, 10, 20, 50, 100, 200, 500])


def _draw_runs(axes: Any, data: dict[str, Any]) -> None:
    horizon = data["horizon"]
    label = "average of G over a run (gradient units)"
    axes.set(xlim=(horizon[0], horizon[-1]), ylim=(0.1, 35), ylabel=label)
    for name, look in RUNS.items():
        bound = data["bounds"].get(name, data["guarantee"])
        axes.plot(horizon, bound, color=look.color, ls=look.dashes)
        style = {"color": look.color, "label": look.label, "ms": 4}
        shown = data["runs"][name]
        panels.simulated(axes, shown, "horizon", fmt=look.marker, **style)
        end = name if name == "mean" else f"q = {name}"
        axes.text(1.07 * horizon[-1], bound[-1], end, color=look.color, va=look.aligned)
    axes.legend(loc="lower left", title="averages of runs", alignment="left")
    text = "lines: bounds for one run\nand for the mean"
    axes.text(horizon[-1], 9, text, ha="right")
    panels.plain_ticks(axes.yaxis, [0.2, 0.5, 1, 2, 5, 10, 20])


figure = Horizon()
