"""What the length of a run changes: the size with the best guarantee, and how sure one run is.

Draggers pull straight back; the noise of the runs is close to the worst.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy import stats

from analysis.advice.sizes import divisors
from analysis.claims import CLAIMS
from analysis.claims.averaged_guarantee import closed_form
from analysis.claims.finite_horizon import best
from analysis.proof.symbols import alpha
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from figures import marks
from figures.checks import ALARM, Check, not_above
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.estimate import quantile
from sim.sweep.measure import available_cores

BATCH, b, START, GAUSSIAN = 32, 8, 10.0, 0.03  # a bit of Gaussian noise: no lattice
FRACTION, FEWER = 0.01, 0.001  # the first is that of the runs
LOSS = {"smoothness": 1.0, "initial_gap": START**2 / 2}  # f = w²/2
WORST = {"noise_scale": 1.0, "alignment": 1.0}
FAILURES, LATE = (0.1, 0.01), 1e16  # LATE: iterations, far beyond the axis
DECADES, PER_DECADE, SIZES = 8, {"quick": 10, "full": 40}, {"quick": 400, "full": 2000}
LAST, REPLICATES = {"quick": 6, "full": 8}, {"quick": 4096, "full": 8192}  # LAST: half decades
LINES = {"0.001": (marks.VERMILION, marks.DASHED), "0.01": ("#8C3A00", "-")}
RUNS: dict[str, Any] = {  # colour, dashes, marker, points, where the line's name is
    "0.01": ("#12456B", "-", "D", "99 % quantile", "bottom"),
    "0.1": ("#2A7FB0", marks.DASHED, "s", "90 % quantile", "center"),
    "mean": (marks.BOUND, (0, (6, 1.5, 1, 1.5)), "o", "mean", "center"),
}


def averaged(horizon: Any, size: Any, fraction: float) -> Any:
    """The values of averaged_guarantee for draggers of any kind."""
    of = {"horizon": horizon, "micro_batch_size": size, "dragger_fraction": fraction}
    return CLAIMS["averaged_guarantee"].evaluate(**of, **LOSS, **WORST)


def probable(horizon: Any, q: float, batch_size: float = BATCH) -> Any:
    """The bound of high_probability at the split ζ that makes it smallest."""
    of = {"horizon": horizon, "micro_batch_size": b, "dragger_fraction": FRACTION}
    of |= {"failure_probability": q, "batch_size": batch_size} | LOSS | WORST
    claim = CLAIMS["high_probability"]
    of["split"] = claim.evaluate(split=0.5, **of)["best_split"]
    return claim.evaluate(**of)["probable_bound"]


def growth(size: np.ndarray, scaled: np.ndarray) -> list[float]:
    """Slope of log b_T over a decade of T, between its limits, from b_T and x* [2] at its ends.

    x* is (S/(2(1+α)r))^(2/3) with S between 'growth from below' and 1 ('growth from above').
    """
    witness = CLAIMS["finite_horizon"].witness
    least = next(step.relation.rhs for step in witness if step.name == "growth from below")
    lowest = [2 / 3 * np.log10(float(least.subs({alpha: 1, best: at}))) for at in scaled]
    return [1 / 3 + lowest[1], np.log10(size[1] / size[0]), 1 / 3 - lowest[0]]


def experiment(horizon: int, replicates: int) -> Experiment:
    """Runs of the normalized rule with the step that both guarantees prescribe.

    Noise as in rare_signal for half as many draggers: these push outwards inside its point of rest.
    """
    of = {"micro_batch_size": b, "dragger_fraction": FRACTION / 2, "noise_scale": 1.0}
    usual = float(
        CLAIMS["rare_signal"].evaluate(**of)["limiting_bias"]
    )  # of samples without signal
    value, probability = -usual * (1 - GAUSSIAN**2) ** 0.5, 1 / (1 + usual**2)
    noise = {"law": "rare", "value": value, "probability": probability, "gaussian": GAUSSIAN}
    dragger = {"law": "persistent", "norm": 1e4, "direction": [-1.0]}  # away from the optimum
    model = {"dimension": 1, "dragger_fraction": FRACTION, "noise": noise, "dragger": dragger}
    algorithm = {"rule": "normalized", "batch_size": BATCH, "micro_batch_sizes": [b]}
    step = float(averaged(horizon, b, FRACTION)["step_size"])
    run = {"steps": [step], "iterations": horizon, "start": START, "replicates": replicates}
    run |= {"measure": "trajectory", "seed": 16}
    return Experiment.from_mapping({"model": model, "algorithm": algorithm, "run": run})


def run_averages(made: Experiment) -> np.ndarray:
    """The mean of G_t over t = 0, …, T-1 in each replicate [replicates]; here G = |w|."""
    run, state = made.run, start(made)
    total = np.zeros(run.replicates)
    with Workers(available_cores()) as workers:
        machine = engine(made, b, run.steps[0], workers)
        for t in range(run.iterations):
            total += np.abs(state.w[:, 0])
            machine.advance(state, t, t + 1, False)
    return total / run.iterations


def of_runs(horizon: int, values: np.ndarray) -> dict[str, dict[str, Any]]:
    """Mean and quantiles 1 - q of the runs' averages [replicates], beside their bounds.

    The number of runs up to a quantile is binomial, so that order statistics enclose it; at most
    0.5 % are cut off at each side. `above`: how many runs exceed the bound.
    """
    n, ordered, tail = len(values), np.sort(values), (1 - marks.CONFIDENCE) / 2
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(n)
    bound, reach = averaged(horizon, b, FRACTION)["averaged_bound"], quantile(1 - tail, n - 1)
    found = {"mean": {"value": mean, "bound": bound, "z": (mean - bound) / error, "degrees": n - 1}}
    found["mean"]["interval"] = [mean - reach * error, mean + reach * error]
    for q in FAILURES:
        low, high = stats.binom.ppf([tail, 1 - tail], n, 1 - q).astype(int)
        value = np.quantile(values, 1 - q, method="inverted_cdf")
        interval = [ordered[low - 1], ordered[high]]
        found[str(q)] = {"value": value, "interval": interval, "bound": probable(horizon, q)}
    above = {name: int((values > p["bound"]).sum()) for name, p in found.items()}
    return {name: p | {"horizon": horizon, "above": above[name]} for name, p in found.items()}


def exceeded(points: list[dict[str, Any]], q: float, n: int) -> Check:
    """Of n runs no more are above the bound than chance q allows, at every horizon."""
    most = max(p["above"] for p in points)
    chance = stats.binom.sf(most - 1, n, q)
    loose = [p["bound"] / p["value"] for p in points]
    return Check(
        f"a share q = {q:g} of single runs at most is above their bound",
        f"P(so many or more) > {ALARM / len(points):.1g} (false alarms: 1 in a million)",
        f"{most} of {n} at most; bound {min(loose):.1f} to {max(loose):.1f} times the quantile",
        bool(chance > ALARM / len(points)),
    )


class Horizon(Figure):
    """Sizes against the horizon; averages of single runs against their guarantees."""

    name = "horizon"
    title = "Guarantees of short runs want small b"
    claims = ("finite_horizon", "high_probability")
    place = 16

    def experiments(self, profile: str) -> list[Experiment]:
        """None with stored results: the averages of single runs are simulated with the data."""
        return []

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Best size by horizon, its limits; averages of runs and their guarantees."""
        n, last = REPLICATES[profile], LAST[profile]
        made = [experiment(round(10 ** (k / 2)), n) for k in range(2, last + 1)]
        found = [of_runs(e.run.iterations, run_averages(e)) for e in made]
        T, mean = np.geomspace(6, 1.5 * made[-1].run.iterations, 60), found[0]["mean"]
        first, guaranteed = mean["horizon"], averaged(T, b, FRACTION)
        return {
            "replicates": n,
            "sizes": {str(eps): self._sizes(profile, eps) for eps in (FEWER, FRACTION)},
            "exact_bias": exact_bias(made[0].gradient_model, "normalized", BATCH, b).bias,
            "floor": guaranteed["averaged_bias"][0],
            "runs": {name: [points[name] for points in found] for name in RUNS},
            "horizon": T,
            "bounds": {str(q): probable(T, q) for q in FAILURES},
            "guarantee": guaranteed["averaged_bound"],
            "price": {m: probable(first, FAILURES[1], m * b) / mean["bound"] for m in (1, 4, 32)},
        }

    @staticmethod
    def _sizes(profile: str, fraction: float) -> dict[str, Any]:
        """b_T, what a search over sizes finds, and how b_T should grow and saturate."""
        steps, rate = PER_DECADE[profile], -np.log1p(-fraction)
        T = np.append(10 ** (np.arange(DECADES * steps + 1) / steps), LATE)
        given = {"horizon": T, "dragger_fraction": fraction} | LOSS | WORST
        found = CLAIMS["finite_horizon"].evaluate(**given)
        size, ends = found["micro_batch_size"], [steps, 2 * steps]
        grid = np.geomspace(1, 0.99 * np.log(2) / rate, SIZES[profile])  # to the breakdown
        searched = averaged(T[:, None], grid, fraction)["averaged_bound"]
        allowed = averaged(T[:, None], divisors(BATCH), fraction)["averaged_bound"]
        return {
            "horizon": T,
            "micro_batch_size": size,
            "excess": searched.min(1) / found["averaged_bound"] - 1,
            "grid_steps": np.abs(np.log(size) / np.log(grid[1]) - searched.argmin(1)),
            "admissible": divisors(BATCH)[allowed.argmin(1)],
            "growth": growth(size[ends], found["scaled_size"][ends]),  # from T = 10 to 100
            "limit": float(closed_form) / rate,
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Growth, saturation and optimality of b_T; runs against the guarantees."""
        sizes, n, runs = data["sizes"].values(), data["replicates"], data["runs"]
        lag = [1 - of["micro_batch_size"][-1] / of["limit"] for of in sizes]
        excess = min(min(of["excess"]) for of in sizes)
        apart = max(max(of["grid_steps"]) for of in sizes)
        short = stats.binom.sf(runs["mean"][0]["above"] - 1, n, FAILURES[1])
        return [
            Check(
                "b_T grows like T^(1/3) while it is small",
                "slope over T = 10 to 100 in the window of the claim's two-sided statement",
                ", ".join("{1:.3f} in {0:.3f} to {2:.3f}".format(*of["growth"]) for of in sizes),
                all(of["growth"] == sorted(of["growth"]) for of in sizes),
            ),
            Check(
                "it saturates at the averaged sweet spot, known in closed form",
                f"share missing at T = {LATE:.0e} between 0 and 1e-5",
                ", ".join(f"{x:.1e}" for x in lag),
                min(lag) > 0 and max(lag) < 1e-5,
            ),
            Check(
                "no size of a fine grid has a smaller guarantee, and the best one is next to b_T",
                "guarantee smaller by rounding (1e-12) at most, less than one grid step away",
                f"larger by {excess:.1e} at least, {apart:.2f} grid steps away at most",
                excess > -1e-12 and apart < 1,
            ),
            not_above("the mean over all runs is below its guarantee", runs["mean"]),
            *(exceeded(runs[str(q)], q, n) for q in FAILURES),
            Check(
                f"more than {FAILURES[1]:.0%} of the shortest runs are above that guarantee",
                f"P(so many or more at {FAILURES[1]:.0%}) < {ALARM:g}",
                f"{runs['mean'][0]['above']} of {n}, P {short:.1g}",
                bool(short < ALARM),
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """What the two panels show."""
        n, runs, sizes = data["replicates"], data["runs"], data["sizes"]
        first, last = runs["mean"][0], runs["mean"][-1]
        limits = " and ".join(f"{of['limit']:.1f} for ε = {eps}" for eps, of in sizes.items())
        slopes = " and ".join(f"{of['growth'][1]:.3f}" for of in sizes.values())
        near, far = (p["value"] / p["bound"] for p in (first, last))
        ratios = [[p["bound"] / p["value"] for p in runs[str(q)]] for q in FAILURES]
        loose = [f"{min(x):.1f} to {max(x):.1f}" for x in ratios]
        price = ", ".join(f"{x:.1f} (m = {m})" for m, x in data["price"].items())
        return (
            "Left: the micro-batch size b_T with the smallest averaged guarantee for a run of T "
            f"steps, at dragger fraction ε; σ = L = 1, Δ = f(w₀) - f* = {LOSS['initial_gap']:g}. "
            "It grows like T^(1/3) (thin lines; slopes between T = 10 and 100: "
            f"{slopes}) until it saturates at the averaged sweet spot, {limits} (dotted). Steps: "
            f"the best divisor of {BATCH} at ε = {FRACTION}. Right: the average of G = ‖∇f‖ over a "
            f"run of T steps √(2Δ/(LT)). Normalized rule, f = w²/2, {BATCH // b} micro-batches of "
            f"{b}, ε = {FRACTION}, draggers straight back, skewed noise close to the worst (bias "
            f"{data['exact_bias']:.2f} at zero step, floor of the guarantee {data['floor']:.2f}). "
            f"Points: mean and quantiles over {n} runs, 99 % intervals, those of quantiles from "
            "order statistics. Lines: the guarantee of the mean, and the bounds that one run "
            "exceeds with chance q at most (split ζ chosen to make them smallest). The mean is "
            f"{near:.2f} of its guarantee at T = {first['horizon']}, {far:.2f} at T = "
            f"{last['horizon']:,}. It promises nothing for one run: at T = {first['horizon']}, "
            f"{first['above'] / n:.1%} of the runs are above it. The bounds for one run hold but "
            f"are loose: {loose[0]} times the 90 % quantile for q = 0.1, {loose[1]} times the 99 % "
            f"quantile for q = 0.01. More micro-batches help: at T = {first['horizon']} the bound "
            f"for q = 0.01 is {price} times the guarantee of the mean."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The panels in words."""
        return (
            "Left, log-log: the best size rises with slope one third, then bends to a horizontal "
            "line. Right: mean and quantiles of the runs' averages fall with the horizon. In short "
            "runs the mean is just below its guarantee; both bounds for one run lie far above."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Sizes on the left, runs on the right."""
        scales = {"xscale": "log", "yscale": "log", "xlabel": "horizon T (iterations)"}
        canvas, (left, right) = subplots(1, 2, figsize=(6.4, 3.9), subplot_kw=scales)
        self._draw_sizes(left, data)
        self._draw_runs(right, data)
        left.set_title(self.title)
        right.set_title(f"n = {data['replicates']} runs, 99 % intervals")
        return canvas

    @staticmethod
    def _draw_sizes(axes: Any, data: dict[str, Any]) -> None:
        axes.set(xlim=(1, 10**DECADES), ylim=(1, 500), ylabel="micro-batch size b (samples)")
        for (eps, of), above in zip(data["sizes"].items(), (1.06, 1.36), strict=True):
            (color, dashes), limit, first = LINES[eps], of["limit"], of["micro_batch_size"][0]
            axes.plot([1, (limit / first) ** 3], [first, limit], color=color, lw=0.7)
            axes.axhline(limit, color=color, lw=1, ls=marks.DOTTED)
            axes.plot(of["horizon"], of["micro_batch_size"], color=color, ls=dashes)
            text, look = f"averaged\nsweet spot {limit:.3g}", {"color": color, "ha": "right"}
            axes.text(7e7, above * limit, text, **look)
            axes.text(7e7, 0.8 * limit, f"ε = {eps}", va="top", **look)
        axes.step(of["horizon"], of["admissible"], color="black", lw=0.9, where="mid")
        axes.text(5e5, 12, f"divisors of {BATCH}", ha="center", va="top")
        axes.text(25, 46, "slope 1/3", color=LINES["0.001"][0], ha="center", rotation=51)
        marks.plain_ticks(axes.yaxis, [1, 2, 5, 10, 20, 50, 100, 200, 500])

    @staticmethod
    def _draw_runs(axes: Any, data: dict[str, Any]) -> None:
        T, measured = data["horizon"], "average of G over a run (gradient units)"
        axes.set(xlim=(T[0], T[-1]), ylim=(0.1, 35), ylabel=measured)
        for name, (color, dashes, marker, label, place) in RUNS.items():
            bound, points = data["bounds"].get(name, data["guarantee"]), data["runs"][name]
            axes.plot(T, bound, color=color, ls=dashes)
            marks.simulated(axes, points, "horizon", fmt=marker, color=color, label=label, ms=4)
            end = name if name == "mean" else f"q = {name}"
            axes.text(1.07 * T[-1], bound[-1], end, color=color, va=place)
        axes.legend(loc="lower left", title="averages of runs", alignment="left")
        axes.text(T[-1], 9, "lines: bounds for one run\nand for the mean", ha="right")
        marks.plain_ticks(axes.yaxis, [0.2, 0.5, 1, 2, 5, 10, 20])


figure = Horizon()
