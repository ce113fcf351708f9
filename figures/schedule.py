"""A micro-batch size for every phase: the size with the strongest guaranteed pull, and its speed.

On the quadratic f = w²/2 the normalized rule with a small step γ moves by dG/dt = -γ E⟨∇f, u⟩/G, so
γ times the time from one G to another is ∫ G dG / E⟨∇f, u⟩, a length in units of the gradient.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import bias_radius, divisors
from analysis.claims.drift import claim as drift
from analysis.claims.hitting_time import claim as hitting_time
from analysis.claims.phase_schedule import claim as phase_schedule
from analysis.rest.mixture import mixture
from analysis.rest.update import expected_update
from analysis.spec.experiment import Experiment, GradientModel, Run
from analysis.spec.rule import Clipping, Rule
from figures import marks
from figures.checks import ALARM, Check, agreement
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from sim.estimate import extrapolation_weights, quantile
from sim.results import HittingTimes

BATCH, FRACTION, START, BEYOND = 120, 0.02, 10.0, 1.1  # the target is BEYOND times the radius
SIZES = (1, 2, 3, 4, 6, 10, 15, 24)
MODEL = {"dragger_fraction": FRACTION, "noise_scale": 1.0}  # as in phase_schedule, α = 1
LOSS = {"initial_gap": START**2 / 2, "smoothness": 1.0}
NOISE = {
    "Gaussian": {"law": "gaussian", "scale": 1.0},
    "skewed": {"law": "rare", "probability": 0.25, "value": 2.97**0.5, "gaussian": 0.1},
}
GRID = {"quick": 200, "full": 400}  # gradient norms
REPLICATES = {"quick": 48, "full": 600}
LONGEST = 55.0  # where a run is given up, in units of 1/γ: about five times what the schedule takes
LOOK = {
    "Gaussian": (marks.NORMALIZED, "-", "o", 0.97),
    "skewed": ("#12456B", marks.DASHED, "s", 1.03),
}


def plan(profile: str) -> dict[str, Any]:
    """Target, gradient norms [n] from there to the start, admissible schedule, hitting_time."""
    admissible = divisors(BATCH)
    radii = bias_radius(admissible, FRACTION, 1.0)
    best, radius = int(admissible[np.nanargmin(radii)]), float(np.nanmin(radii))
    norms = np.geomspace(BEYOND * radius, START, GRID[profile])
    excess = (BEYOND - 1) * radius
    sizes = admissible[guaranteed(norms[:, None], admissible).argmax(1)]
    changes = np.flatnonzero(np.diff(sizes))[::-1]
    pairs = [[round(np.sqrt(norms[i] * norms[i + 1]), 4), int(sizes[i + 1])] for i in changes]
    arrival = hitting_time.evaluate(
        micro_batch_size=best, excess=excess, alignment=1.0, **MODEL, **LOSS
    )
    found = {"best": best, "radius": radius, "norms": norms, "sizes": sizes}
    return found | {
        "target": float(arrival["target"]),
        "pairs": [*pairs, [0.0, int(sizes[0])]],
        "step": round(float(arrival["step_size"]), 6),
        "bound": float(arrival["hitting_time"]),
    }


def length(norms: np.ndarray, pull: np.ndarray) -> float | None:
    """∫ G dG / pull over the norms [n], trapezoidal; None where some pull [n] is not positive."""
    return float(np.trapezoid(norms / pull, norms)) if (pull > 0).all() else None


def guaranteed(norms: np.ndarray, b: Any) -> np.ndarray:
    """The pull that is certain, of size b at the gradient norms: the drift bound at α = 1."""
    values = drift.evaluate(gradient_norm=norms, micro_batch_size=b, alignment=1.0, **MODEL)
    return np.asarray(values["drift_bound"])


def exact_pull(model: GradientModel, b: int, norms: np.ndarray) -> np.ndarray:
    """E⟨∇f, u⟩ [n] at gradient norms [n], exactly, in one dimension (analysis/rest/update.py)."""
    law, clipping = mixture(model, b), Clipping(Rule.NORMALIZED, b, b)
    updates = [expected_update(law, np.array([g]), clipping)[0] for g in norms]
    return norms * np.array(updates)


def timed(found: HittingTimes, run: Run, exact: float | None, bound: float) -> dict[str, Any]:
    """γ times the mean hitting time at the smaller step, with what it is compared to.

    z is the distance of the value extrapolated to zero step from the exact one, in standard errors,
    share the hitting time at the larger step over its bound. No value without arrival.
    """
    known: dict[str, Any] = {"exact": exact, "reached": list(found.reached)}
    if min(found.reached) < run.replicates:
        return known
    gamma, weights = np.array(run.steps), extrapolation_weights(run.steps)
    value, error = gamma * found.mean, gamma * found.standard_error
    reach = quantile((1 + marks.CONFIDENCE) / 2, run.replicates - 1) * error[1]
    known |= {"value": value[1], "error": error[1], "degrees": run.replicates - 1}
    return known | {
        "interval": [value[1] - reach, value[1] + reach],
        "z": (weights @ value - (exact or 0.0)) / np.linalg.norm(weights * error),
        "share": found.mean[0] / bound,
    }


class Schedule(Figure):
    """Draggers straight back; noise that is Gaussian, skewed, or as bad as it can be."""

    name = "schedule"
    title = "A size for every phase"
    claims = ("drift", "hitting_time", "phase_schedule")
    place = 8

    def experiments(self, profile: str) -> list[Experiment]:
        """For each noise all fixed sizes and the schedule, at the step of hitting_time and half."""
        found = plan(profile)
        steps = [found["step"], found["step"] / 2]
        run = {"measure": "hitting", "steps": steps, "radius": found["target"], "start": START}
        run |= {"iterations": int(LONGEST / steps[1]), "replicates": REPLICATES[profile], "seed": 8}
        rule = {"rule": "normalized", "batch_size": BATCH}
        schedule = rule | {"schedule": {"gradient_norm": found["pairs"]}}
        sizes = {"fixed": rule | {"micro_batch_sizes": list(SIZES)}, "schedule": schedule}
        model: dict[str, Any] = {"dimension": 1, "dragger_fraction": FRACTION}
        model["dragger"] = {"law": "opposing", "norm": 1e4}
        return [
            Experiment.from_mapping(
                {"model": model | {"noise": noise}, "algorithm": algorithm, "run": run},
                name=f"schedule_{kind}_{law.lower()}_{profile}",
            )
            for law, noise in NOISE.items()
            for kind, algorithm in sizes.items()
        ]

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Sizes by gradient norm; path lengths by size, guaranteed, exact and simulated."""
        found, experiments = plan(profile), self.experiments(profile)
        norms, real = found["norms"], np.geomspace(6, 32, 160)
        ideal = phase_schedule.evaluate(gradient_norm=norms, **MODEL)
        sure = {b: length(norms, guaranteed(norms, b)) for b in (*real, *divisors(BATCH).tolist())}
        return {
            "plan": found | {"ideal": ideal["micro_batch_size"]},
            "worst": {
                "real": {"micro_batch_size": real, "length": [sure[b] for b in real]},
                "admissible": {str(b): x for b, x in sure.items() if x and b not in real},
                "schedule": length(norms, guaranteed(norms, found["sizes"])),
                "ideal": length(norms, ideal["drift_bound"]),
                "bound": found["step"] * found["bound"],
            },
            "replicates": experiments[0].run.replicates,
            "laws": {
                law: self._of_law(one, found, [simulated[one.name], simulated[two.name]])
                for law, one, two in zip(NOISE, experiments[::2], experiments[1::2], strict=True)
            },
        }

    @staticmethod
    def _of_law(first: Experiment, found: dict[str, Any], times: list[Any]) -> dict[str, Any]:
        """Exact and simulated path lengths with one noise, of fixed sizes and of the schedule."""
        norms, sizes, bound = found["norms"], found["sizes"].tolist(), found["bound"]
        model, run = first.gradient_model, first.run
        pull = {b: exact_pull(model, b, norms) for b in sorted({*SIZES, *sizes})}
        exact = {b: length(norms, x) for b, x in pull.items()}
        along = length(norms, np.array([pull[b][i] for i, b in enumerate(sizes)]))
        fixed = {str(b): timed(x, run, exact[b], bound) for b, x in times[0].items()}
        ours = timed(times[1][None], run, along, bound)
        return {
            "exact": {"micro_batch_size": list(exact), "length": list(exact.values())},
            "schedule": ours,
            "fixed": [{"micro_batch_size": int(b)} | x for b, x in fixed.items()],
            "slower": {b: x["value"] / ours["value"] for b, x in fixed.items() if "value" in x},
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement for both noises, the schedule's lead, what never arrives, bound and order."""
        laws, worst, best = data["laws"], data["worst"], data["plan"]["best"]
        arrived = {law: [p for p in x["fixed"] if "value" in p] for law, x in laws.items()}
        lost = [p for x in laws.values() for p in x["fixed"] if "value" not in p]
        lost = [(p["micro_batch_size"], p["exact"], max(p["reached"])) for p in lost]
        lead = [  # the schedule's time less that of a fixed size
            (x["schedule"]["value"] - p["value"]) / np.hypot(x["schedule"]["error"], p["error"])
            for law, x in laws.items()
            for p in arrived[law]
        ]
        limit = quantile(ALARM / len(lead), data["replicates"] - 1)
        shares = [p["share"] for x in arrived.values() for p in x if p["micro_batch_size"] == best]
        fixed = worst["admissible"]
        order = worst["ideal"], worst["schedule"], min(fixed.values()), fixed[str(best)]
        return [
            *(
                agreement(f"{law} noise: simulation is exact", [*x, laws[law]["schedule"]])
                for law, x in arrived.items()
            ),
            Check(
                "the schedule arrives before every fixed size simulated, at the same step",
                f"z < {limit:.1f} for {len(lead)} sizes (false alarms: 1 in a million)",
                f"largest z {max(lead):.1f}",
                max(lead) < limit,
            ),
            Check(
                "1 and 2 with skewed noise, whose exact pull fails on the way, never arrive",
                "no run of these arrives, all runs of all others do",
                f"size, exact time and arrivals of those that fail: {lost}",
                lost == [(1, None, 0), (2, None, 0)],
            ),
            Check(
                f"b = {best} takes less than a hundredth of the bound of hitting_time",
                "mean time over the bound below 0.01, with both noises",
                ", ".join(f"{x:.4f}" for x in shares),
                max(shares) < 0.01,
            ),
            Check(
                "in the worst case the schedule beats every fixed size, and the best one b*",
                "increasing: real sizes, schedule of divisors, best fixed divisor, b*",
                ", ".join(f"{x:.2f}" for x in order),
                all(x < y for x, y in pairwise(order)),
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        plan, worst, laws = data["plan"], data["worst"], data["laws"]
        best, step, fixed = plan["best"], plan["step"], data["worst"]["admissible"]
        sure = min(fixed.values()) / worst["schedule"], fixed[str(best)] / worst["schedule"]
        slower = {law: {b: f"{r:.2f}" for b, r in x["slower"].items()} for law, x in laws.items()}
        return (
            f"{FRACTION:.0%} of all samples are draggers that pull straight back; σ = 1. Left: the "
            "size b with the strongest guaranteed pull at gradient norm G (line), and that of the "
            f"divisors of {BATCH} (steps: the schedule), down to {BEYOND:g} times the smallest "
            f"bias radius, {plan['radius']:.2f} at b = {best}. Right: step size γ times the mean "
            f"time from G = {START:g} to {plan['target']:.2f}, with one size and with the "
            "schedule; f = w²/2, normalized rule. Lines: the limit of small steps, from dG/dt = -γ "
            "E⟨∇f, u⟩/G, with the guaranteed pull and with the exact one for Gaussian and for "
            f"skewed noise. Points: simulation, γ = {step / 2:.3f} ({data['replicates']} "
            f"replicates, 99 % intervals; with γ = {step:.3f} extrapolated to compare with the "
            f"limit); triangles: no run arrives. By the guarantee the schedule is {sure[0]:.2f} "
            f"times as fast as the best fixed size and {sure[1]:.2f} times as b = {best}. It reads "
            "the true gradient norm, which is unknown in practice. Simulated, it is faster than "
            f"each size run, {', '.join(map(str, SIZES))}, too: with Gaussian noise "
            f"{slower['Gaussian'][str(best)]} times as fast as b = {best} but only "
            f"{slower['Gaussian']['2']} times as b = 2, with skewed noise {slower['skewed']['4']} "
            f"times as b = 4. The bound of hitting_time for b = {best}, in these units "
            f"{worst['bound']:,.0f}, counts the whole way at the weak pull of its end."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Left: the best size is 1 far away and rises in steps towards the bias radius. Right: "
            "the time with one size is above the schedule's, most so for large sizes; sizes "
            "around 15 alone have a guaranteed time; with skewed noise 1 and 2 never arrive."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The schedule on the left, times on the right."""
        canvas, (left, right) = subplots(1, 2, width_ratios=(1, 1.3), figsize=(6.4, 3.7))
        self._draw_sizes(left, data)
        self._draw_times(right, data)
        left.set_title(self.title)
        return canvas

    @staticmethod
    def _draw_sizes(axes: Any, data: dict[str, Any]) -> None:
        plan = data["plan"]
        axes.set(xscale="log", yscale="log", xlim=(12, 0.32), ylim=(0.85, 26))
        axes.plot(plan["norms"], plan["ideal"], color=marks.BOUND)
        axes.step(plan["norms"], plan["sizes"], color="black", lw=1, where="mid")
        axes.axvline(plan["radius"], color=marks.BOUND, lw=1, ls=marks.DOTTED)
        axes.text(plan["radius"] * 1.05, 0.95, "bias\nradius", color=marks.BOUND, ha="right")
        axes.text(3.8, 4.3, "strongest\nguaranteed\npull", color=marks.BOUND, ha="center")
        axes.text(1.9, 1.75, f"schedule:\ndivisors of {BATCH}")
        marks.plain_ticks(axes.xaxis, [10, 5, 2, 1, 0.5])
        marks.plain_ticks(axes.yaxis, [1, 2, 5, 10, 20])
        axes.set(xlabel="gradient norm G (gradient units)", ylabel="micro-batch size b (samples)")

    @staticmethod
    def _draw_times(axes: Any, data: dict[str, Any]) -> None:
        worst, end, top = data["worst"], 38, 62
        axes.set(xscale="log", yscale="log", xlim=(0.85, 46), ylim=(9.7, top))
        axes.plot(*np.array([*worst["real"].values()], np.float64), color=marks.BOUND)
        axes.axhline(worst["schedule"], color=marks.BOUND, lw=1, ls=marks.DASHED)
        axes.text(1, worst["schedule"] * 1.03, "schedule, guaranteed", color=marks.BOUND)
        axes.text(8.3, 20, "guaranteed", color=marks.BOUND, ha="right")
        for law, x in data["laws"].items():
            color, dashes, marker, aside = LOOK[law]
            axes.plot(*np.array([*x["exact"].values()], float), color=color, ls=dashes, lw=1.2)
            axes.axhline(x["schedule"]["exact"], color=color, lw=1, ls=dashes)
            apart = [p | {"b": p["micro_batch_size"] * aside} for p in x["fixed"] if "value" in p]
            points = [*apart, x["schedule"] | {"b": end * aside}]
            marks.simulated(axes, points, "b", fmt=marker, color=color, ms=4.5, label=law)
            for b in (p["micro_batch_size"] for p in x["fixed"] if "value" not in p):
                axes.plot(b, 0.94 * top, "^", color=color, ms=6)
        axes.text(2.4, 0.94 * top, "never", color=LOOK["skewed"][0], va="center")
        title = {"title": "noise: exact (lines)\nand simulated (points)", "alignment": "left"}
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, 0.92), **title)
        bound = f"bound for b = {data['plan']['best']}:\n{worst['bound']:,.0f} ↑"
        axes.text(45, 0.97 * top, bound, color=marks.BOUND, ha="right", va="top")
        axes.text(end * 1.12, 11, "schedule", ha="right", va="bottom")
        marks.plain_ticks(axes.xaxis, SIZES)
        marks.plain_ticks(axes.yaxis, [10, 12, 15, 20, 30, 40])
        axes.set(xlabel="one size b throughout (samples)", ylabel="time γ E τ (gradient units)")
        axes.set_title(f"n = {data['replicates']} replicates, 99 % intervals")


figure = Schedule()
