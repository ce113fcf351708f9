"""Gradient norm against the horizon: SGD's slow rate, clipping's fast one down to a floor.

The quadratic f = w²/2 in one dimension, skewed noise and draggers of mean zero: the problem
meets the assumptions of both guarantees. For every horizon T each rule is run with the step that
its guarantee prescribes for that T.
"""

from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from analysis.advice.sizes import divisors
from analysis.claims import CLAIMS
from analysis.rest.limits import sgd_mean_square
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment, Run
from figures import marks
from figures.checks import Check, agreement, not_above
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from sim.estimate import quantile
from sim.measures import QUANTITIES, points

BATCH, SIZES, START = 96, (1, 24, 48), 10.0
FRACTION, NORM, PROBABILITY, GAUSSIAN = 0.01, 500.0, 0.3, 0.1  # σ = L = 1
DRAGGERS = {"dragger_fraction": FRACTION, "noise_scale": 1.0}
LOSS = {"smoothness": 1.0, "initial_gap": START**2 / 2}
SGD = {"batch_size": float(BATCH), "dragger_norm": NORM}
VALUE = ((1 - GAUSSIAN**2) * (1 - PROBABILITY) / PROBABILITY) ** 0.5
NOISE = {"law": "rare", "probability": PROBABILITY, "value": VALUE, "gaussian": GAUSSIAN}
MODEL = {"dimension": 1, "dragger_fraction": FRACTION, "noise": NOISE}
MODEL["dragger"] = {"law": "isotropic", "norm": NORM}
LAST = {"quick": 9, "full": 11}  # half decades of the longest simulated horizon
SINGLES = {"quick": 10**4, "full": 10**4.5}  # beyond this no b = 1: that is 96 micro-batches a step
STEPS = {"quick": (6e5, 1e5), "full": (4e6, 1e6)}  # in all replicates together: SGD, normalized
REPLICATES = {"quick": (32, 2048), "full": (64, 4096)}  # at least, at most
PER_DECADE, FAR = 40, 7.5  # of the lines: points, and decades
LOOK: dict[str, Any] = {  # colour, dashes, marker, how far points are set aside
    "1": (marks.NORMALIZED, (0, (6, 1.5, 1, 1.5)), "^", 0.88),
    "24": ("#1F7FBF", "-", "o", 1.0),
    "48": ("#12456B", marks.DOTTED, "s", 1.14),
}


def guarantees(horizon: Any, b: Any = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of sgd_rate and of averaged_guarantee for draggers of any kind (α = 1)."""
    of_sgd = CLAIMS["sgd_rate"].evaluate(horizon=horizon, **LOSS, **DRAGGERS, **SGD)
    return of_sgd, CLAIMS["averaged_guarantee"].evaluate(
        horizon=horizon, micro_batch_size=b, alignment=1.0, **LOSS, **DRAGGERS
    )


def over_run(run: Run, start: float, values: Any) -> float:
    """Mean over t = 0, …, T-1 of the start and of values after the recorded iterations.

    In between, linear interpolation. Of standard errors it is an upper bound on that of the mean,
    however these are correlated in time: the triangle inequality.
    """
    t = np.arange(run.iterations)
    return float(np.interp(t, [0, *points(run)], [start, *values]).mean())


def point(experiment: Experiment, b: int, found: Any) -> dict[str, Any]:
    """One run: its mean of G, for SGD the root of that of G², beside the guarantee.

    The interval's level is at least 99 %, see `over_run`. z is the distance from the guarantee,
    z_exact that from the exact value, in standard errors; low the lower end of SGD's mean of G.
    """
    run = experiment.run
    mean, error = np.array(found.mean[0]).T, np.array(found.standard_error[0]).T
    g, loss = QUANTITIES.index("gradient_norm"), QUANTITIES.index("loss")
    t = quantile((1 + marks.CONFIDENCE) / 2, run.replicates - 1)
    value, spread = over_run(run, START, mean[g]), over_run(run, 0.0, error[g])
    bound, more = guarantees(run.iterations, b)[1]["averaged_bound"], dict[str, Any]()
    if experiment.algorithm.rule == "sgd":
        more["low"] = value - t * spread
        value = over_run(run, START**2, 2 * mean[loss]) ** 0.5  # f = G²/2
        spread = over_run(run, 0.0, 2 * error[loss]) / (2 * value)
        square = sgd_mean_square(
            experiment.gradient_model,
            BATCH,
            step=run.steps[0],
            iterations=run.iterations,
            start=START,
        )
        more["exact"] = square**0.5
        more["z_exact"] = (value - more["exact"]) / spread
        bound = guarantees(run.iterations)[0]["gradient_bound"]
    more |= {"value": value, "interval": [value - t * spread, value + t * spread]}
    more |= {"bound": float(bound), "z": (value - float(bound)) / spread}
    return more | {"horizon": run.iterations, "degrees": run.replicates - 1}


def careful(check: Check) -> Check:
    """The check with what it means that the errors of `over_run` are upper bounds."""
    return replace(check, expected=check.expected.replace(": 1", ": much less than 1"))


class Rates(Figure):
    """Two guarantees on one problem, and what runs do."""

    name = "rates"
    title = "Clipping's guarantee is faster, down to a floor"
    claims = ("averaged_guarantee", "crossover", "sgd_rate")
    place = 2

    def experiments(self, profile: str) -> list[Experiment]:
        """SGD and the normalized rule at horizons half a decade apart, from 10 on."""
        found = []
        for horizon in (round(10 ** (k / 2)) for k in range(2, LAST[profile] + 1)):
            few = [b for b in SIZES if b > 1 or horizon <= SINGLES[profile]]
            of_sgd, of_clipping = guarantees(horizon)
            for rule, sizes, step, steps in (
                ("sgd", [BATCH], of_sgd["learning_rate"], STEPS[profile][0]),
                ("normalized", few, of_clipping["step_size"], STEPS[profile][1]),
            ):
                replicates = int(np.clip(steps / horizon, *REPLICATES[profile]))
                algorithm = {"rule": rule, "batch_size": BATCH, "micro_batch_sizes": sizes}
                run = {"measure": "trajectory", "steps": [float(step)], "points": 200, "seed": 2}
                run |= {"iterations": horizon, "replicates": replicates, "start": START}
                table = {"model": MODEL, "algorithm": algorithm, "run": run}
                name = f"rates_{rule}_{horizon}_{profile}"
                found.append(Experiment.from_mapping(table, name=name))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Both guarantees as lines, their crossings, the floors, and the runs."""
        experiments = self.experiments(profile)
        model = experiments[0].gradient_model
        horizon = 10 ** np.linspace(0, FAR, round(PER_DECADE * FAR) + 1)
        of_sgd, of_clipping = guarantees(horizon, np.array(SIZES)[:, None])
        every = guarantees(1.0, divisors(BATCH))[1]["averaged_bias"]
        sizes = {"micro_batch_size": np.array(SIZES), "alignment": 1.0}
        ends = CLAIMS["crossover"].evaluate(**sizes, **LOSS, **DRAGGERS, **SGD)
        crossings = zip(ends["crossover_low"], ends["crossover_high"], strict=True)
        runs: dict[int, list[dict[str, Any]]] = {b: [] for b in (*SIZES, BATCH)}
        for experiment in experiments:
            for b, found in simulated[experiment.name].items():
                runs[b].append(point(experiment, b, found))
        return {
            "horizon": horizon,
            "replicates": sorted({p["degrees"] + 1 for points in runs.values() for p in points}),
            "floors": dict(zip(map(str, divisors(BATCH)), every, strict=True)),
            "sgd": {"bound": of_sgd["gradient_bound"], "points": runs[BATCH]},
            "clipping": {
                str(b): {
                    "bound": of_clipping["averaged_bound"][i],
                    "floor": of_clipping["averaged_bias"][i, 0],
                    "exact_floor": exact_bias(model, "normalized", BATCH, b).bias,
                    "crossover": [T for T in crossing if 1 < T < 10**FAR],
                    "points": runs[b],
                }
                for i, (b, crossing) in enumerate(zip(SIZES, crossings, strict=True))
            },
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Runs below both guarantees, SGD's on the exact values, rates, floors, crossings."""
        sgd, clipping = data["sgd"], data["clipping"]
        slow = self._slope(data, sgd["bound"], 0.0)
        fast = [self._slope(data, c["bound"], c["floor"]) for c in clipping.values()]
        floors = {b: x for b, x in data["floors"].items() if x is not None}
        lowest = min(floors, key=lambda b: floors[b])
        normalized = [p for c in clipping.values() for p in c["points"]]
        exact = [p | {"z": p["z_exact"]} for p in sgd["points"]]
        pairs = self._crossings(data)
        off = max(max(drawn / claimed, claimed / drawn) for drawn, claimed in pairs)
        both = [*zip(clipping["24"]["points"], sgd["points"], strict=True)][2:]
        gaps = [p["interval"][1] / q["low"] for p, q in both]
        return [
            careful(not_above("no run of SGD is above its guarantee", sgd["points"])),
            careful(not_above("no run of the normalized rule is above its guarantee", normalized)),
            careful(agreement("SGD's runs have the exact mean of G²", exact)),
            Check(
                "SGD's guarantee falls like T^(-1/4), clipping's towards its floor like T^(-1/2)",
                "slopes -0.25 and -0.5 within 0.01, over the decade from T = 100 000",
                f"{slow:.4f} and {min(fast):.4f} to {max(fast):.4f}",
                abs(slow + 0.25) < 0.01 and all(abs(x + 0.5) < 0.01 for x in fast),
            ),
            Check(
                "of all divisors of the batch size 24 has the lowest floor",
                f"lowest at 24, {clipping['24']['floor']:.4f}",
                f"lowest at {lowest}, {floors[lowest]:.4f}",
                lowest == "24" and floors["24"] == clipping["24"]["floor"],
            ),
            Check(
                "the guarantees cross where the claim says, and nowhere else",
                f"drawn and claimed within a factor {10 ** (1 / PER_DECADE):.3f}, one grid step",
                f"{len(pairs)} crossings, largest factor {off:.4f}",
                off <= 10 ** (1 / PER_DECADE),
            ),
            Check(
                "from T = 100 on the runs with b = 24 have a smaller mean of G than SGD's",
                "99 % intervals apart: ratio of their near ends below 1",
                f"at most {max(gaps):.2f} for {len(gaps)} horizons",
                max(gaps) < 1,
            ),
        ]

    @staticmethod
    def _slope(data: dict[str, Any], bound: list[float], floor: float) -> float:
        """Slope of log(bound - floor) against log T, over the decade from T = 100 000."""
        part = slice(5 * PER_DECADE, 6 * PER_DECADE + 1)
        T, excess = data["horizon"][part], np.array(bound[part]) - floor
        return float(np.polyfit(np.log(T), np.log(excess), 1)[0])

    @staticmethod
    def _crossings(data: dict[str, Any]) -> list[tuple[float, float]]:
        """Where the drawn lines cross and where the claim says so; infinity for a missing one."""
        horizon, sgd = np.array(data["horizon"]), np.array(data["sgd"]["bound"])
        pairs: list[tuple[float, float]] = []
        for c in data["clipping"].values():
            change = np.flatnonzero(np.diff(np.sign(np.array(c["bound"]) - sgd)))
            drawn = np.sqrt(horizon[change] * horizon[change + 1])
            pairs += zip_longest(drawn.tolist(), c["crossover"], fillvalue=np.inf)
        return pairs

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        clipping, sgd, n = data["clipping"], data["sgd"]["points"], data["replicates"]
        of_sgd = [p["value"] / p["bound"] for p in sgd]
        last = {b: c["points"][-1] for b, c in clipping.items()}
        tight = {b: f"{p['value'] / p['bound']:.2f}" for b, p in last.items()}
        floors = ", ".join(f"{c['floor']:.2f} for b = {b}" for b, c in clipping.items())
        ends = [f"{float(f'{x:.2g}'):,.10g}" for c in clipping.values() for x in c["crossover"]]
        return (
            "Gradient norm against a run's length T: for the normalized rule the mean of G = ‖∇f‖ "
            "over the run, for SGD the root of the mean of G². Quadratic with L = 1 and f(w₀) - f* "
            f"= {LOSS['initial_gap']:g}, mini-batches of {BATCH}, skewed noise with σ = 1, and "
            f"{FRACTION:.0%} draggers of mean zero and root mean square {NORM:g}. Lines: the "
            "guarantees, with the step that each prescribes for T. SGD's falls like T^(-1/4), "
            f"clipping's like T^(-1/2) to a floor, {floors}; of all divisors of {BATCH}, 24 has "
            f"the lowest. Crosses: clipping's guarantee is the better one up to T = {ends[0]} for "
            f"b = 1, from {ends[1]} to {ends[2]} for b = 24, from {ends[3]} to {ends[4]} for b = "
            f"48. Points: runs with these steps ({n[-1]} replicates for short horizons, down to "
            f"{n[0]} for long ones; interpolated between at most 200 iterations; errors are upper "
            "bounds, so that intervals cover more than 99 %). No run is above its guarantee. SGD's "
            f"agree with the exact value (thin line), {min(of_sgd):.2f} to {max(of_sgd):.2f} of "
            "the guarantee. Runs with b = 1 level off towards their exact bias "
            f"{clipping['1']['exact_floor']:.2f} (thin line), {tight['1']} of the guarantee at T = "
            f"{last['1']['horizon']:,}. With b = 24 they fall further, to {tight['24']} of theirs "
            f"at T = {last['24']['horizon']:,} (exact bias {clipping['24']['exact_floor']:.2g}): "
            "it covers draggers that all pull straight back, and these do not."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Log-log plot of gradient norm against horizon. SGD's guarantee is nearly a line of "
            "slope -1/4; clipping's fall twice as steeply and level off, lowest for micro-batches "
            "of 24, where SGD's crosses them again. The simulated runs lie below their lines."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Gradient norm against horizon, both axes logarithmic."""
        canvas, axes = subplots()
        axes.set(xscale="log", yscale="log", xlim=(0.9, 10**FAR), ylim=(0.02, 60))
        axes.grid(True, axis="y", which="major")
        horizon, sgd = data["horizon"], data["sgd"]
        axes.plot(horizon, sgd["bound"], color=marks.SGD, ls=marks.DASHED)
        exact = np.array([(p["horizon"], p["exact"]) for p in sgd["points"]])
        axes.plot(*exact.T, color=marks.SGD, lw=0.8)
        marks.simulated(axes, sgd["points"], "horizon", fmt="D", color=marks.SGD, ms=4)
        beside = axes.get_yaxis_transform()
        align = {"1": "center", "24": "center", "48": "bottom"}
        for b, c in data["clipping"].items():
            color, dashes, marker, aside = LOOK[b]
            axes.plot(horizon, c["bound"], color=color, ls=dashes)
            apart = [p | {"T": p["horizon"] * aside} for p in c["points"]]
            marks.simulated(axes, apart, "T", fmt=marker, color=color, ms=5)
            text, end = f"b = {b}:\nfloor {c['floor']:.2f}", c["bound"][-1]
            axes.text(1.01, end, text, color=color, va=align[b], transform=beside)
            for T in c["crossover"]:
                height = float(guarantees(T)[0]["gradient_bound"])
                axes.plot(T, height, "X", color=marks.BOUND, mec="white", ms=8, zorder=6)
        look: dict[str, Any] = {"color": marks.SGD, "va": "top", "transform": beside}
        axes.text(1.01, sgd["bound"][-1], "SGD:\nno floor", **look)
        single, color = data["clipping"]["1"]["exact_floor"], LOOK["1"][0]
        axes.plot([260, 4e4], [single] * 2, color=color, lw=0.8)
        axes.text(230, single, "b = 1 at rest", color=color, va="center", ha="right")
        axes.text(1.2, 0.025, "lines: guarantees\npoints: runs\ncrosses: guarantees cross")
        marks.plain_ticks(axes.yaxis, [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("horizon T (iterations)")
        axes.set_ylabel("gradient norm over the run (gradient units)")
        n = data["replicates"]
        axes.set_title(f"{self.title}   (n = {n[0]} to {n[-1]}, 99 % intervals)")
        return canvas


figure = Rates()
