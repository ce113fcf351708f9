"""How fast the rules descend, by micro-batch size: one step, and training runs."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.spec.experiment import Experiment
from analysis.spec.rule import Clipping, Rule
from analysis.speed.best_size import best_size
from analysis.speed.efficiency import Efficiency
from analysis.speed.least_squares import (
    LeastSquares,
    least_squares_efficiency,
)
from analysis.speed.norms import GammaNorms
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.results import Trajectories

BATCH = 64
FRACTION = 0.02
KURTOSIS = 3.0  # of the norms of benign gradients: Gaussian residuals
LONGER = 100.0  # a dragger's norm over that of a typical benign sample at the start
RULES = (Rule.NORMALIZED, Rule.ADAPTIVE)
SIZES = (1, 2, 4, 8, 16)
SMALL = 1
BEST = 4
LARGE = 16
LINE = (1, 2, 4, 8, 16, 32)
STEP_DIMENSION = 400  # of the single steps
RUN_DIMENSION = 100  # of the training runs
ITERATIONS = 40
# Steps that are tried in training. Algorithm 1's and SGD's are parts of the best first
# step. One length of the normalized rule's has to cover the whole distance: parts of
# the distance over the number of steps and the mean alignment.
TRIED = {
    Rule.NORMALIZED: (1.0, 1.2, 1.45),
    Rule.ADAPTIVE: (0.75, 1.0, 1.3),
    Rule.SGD: (0.35, 0.6, 1.0),
}
# Where all micro-batches may be contaminated few steps decide Algorithm 1's moments.
RARE = (Rule.ADAPTIVE, LARGE)
SINGLE = (Rule.ADAPTIVE, SMALL)
LOOK: dict[Rule, dict[str, Any]] = {
    Rule.NORMALIZED: {"color": palette.NORMALIZED, "ls": palette.DASHED},
    Rule.ADAPTIVE: {"color": palette.ADAPTIVE},
    Rule.SGD: {"color": palette.SGD, "ls": palette.DOTTED},
}
MARKERS = {Rule.NORMALIZED: "s", Rule.ADAPTIVE: "o"}


class Speed(Figure):
    """Least squares without noise in the responses, draggers in every direction."""

    name = "speed"
    title = "Micro-batches of four descend fastest"
    claims = ("efficiency", "rho_fluctuation")
    place = 17

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One best step, and training with three step sizes, of each rule and size."""
        runs = []
        replicates = profile.pick(quick=256, full=4096)
        for rule in RULES:
            for b in SIZES:
                if (rule, b) == RARE:
                    continue
                step = _efficiency(rule, b, STEP_DIMENSION).best_step
                run = {"iterations": 1, "replicates": replicates, "steps": [step]}
                runs.append(_one(profile, rule, b, run))
        for rule, b in _trained():
            run = {
                "iterations": ITERATIONS,
                "replicates": profile.pick(quick=32, full=512),
                "steps": _tried(rule, b),
            }
            runs.append(_one(profile, rule, b, run))
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Exact efficiencies, those of simulated steps, and where training arrives."""
        experiments = {e.name: e for e in self.experiments(profile)}
        first: list[dict[str, Any]] = []
        trained: list[dict[str, Any]] = []
        for name, results in simulated.items():
            run, rule = experiments[name].run, experiments[name].algorithm.rule
            ((b, result),) = results.items()
            place = {"rule": rule.value, "micro_batch_size": b}
            if run.iterations == 1:
                exact = _efficiency(rule, b, STEP_DIMENSION).efficiency
                first.append(place | _step_point(result, run.replicates, exact))
            else:
                trained.append(place | _run_point(result, run.replicates, run.steps))
        lines = {
            rule.value: [_efficiency(rule, b, STEP_DIMENSION).efficiency for b in LINE]
            for rule in RULES
        }
        sgd = _efficiency(Rule.SGD, BATCH, STEP_DIMENSION).efficiency
        return {
            "sizes": list(LINE),
            "efficiency": lines | {"sgd": sgd},
            "best_size": best_size(GammaNorms(KURTOSIS), FRACTION),
            "steps": first,
            "training": trained,
            "replicates": [first[0]["degrees"] + 1, trained[0]["degrees"] + 1],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, where the best size is, what Algorithm 1 pays, and training."""
        lines = data["efficiency"]
        best = [LINE[int(np.argmax(lines[rule]))] for rule in RULES]
        ratio = dict(zip(LINE, _ratios(data), strict=True))
        sgd = _at(data, Rule.SGD, BATCH)["value"]
        clipped = [_at(data, rule, b)["value"] for rule in RULES for b in SIZES]
        return [
            Check.of(
                "agreement",
                "the simulated step falls by the exact efficiency",
                checks.agree(data["steps"]),
            ),
            Check.of(
                "best",
                "both rules are most efficient at the size next to b°",
                checks.equal("most efficient sizes", best, [BEST, BEST]),
                checks.within("b°", data["best_size"], BEST, 1.5),
            ),
            Check.of(
                "fluctuation",
                "Algorithm 1 has half of the normalized rule's efficiency at b = 1, "
                "and most of it at the best size",
                checks.within("ratio at b = 1", ratio[SMALL], 0.5, 0.05),
                checks.between("ratio at the best size", ratio[BEST], 0.9, 1),
            ),
            Check.of(
                "contaminated",
                "once all micro-batches may hold a dragger Algorithm 1 falls behind",
                checks.below("ratio at b = 32", ratio[LINE[-1]], 0.05),
            ),
            Check.of(
                "training",
                "training gets further with micro-batches of four than with single "
                "samples, under both rules, and than with micro-batches of sixteen",
                checks.significant(_gains(data), _at(data, *RARE)["degrees"]),
                checks.above(
                    "Algorithm 1's gradient norm at b = 16 over that at b = 4",
                    _at(data, *RARE)["value"] / _at(data, Rule.ADAPTIVE, BEST)["value"],
                    10,
                ),
            ),
            Check.of(
                "sgd",
                "and further than SGD with any of the sizes",
                checks.below(
                    "gradient norm over that of SGD", np.divide(clipped, sgd), 0.6
                ),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """What the caption quotes of the lines, the runs and the setting."""
        ratio = _ratios(data)
        reached = {
            rule.value: [_at(data, rule, b)["value"] for b in (SMALL, BEST, LARGE)]
            for rule in RULES
        }
        return {
            "batch": BATCH,
            "fraction": FRACTION,
            "longer": LONGER,
            "best": BEST,
            "step_dimension": STEP_DIMENSION,
            "run_dimension": RUN_DIMENSION,
            "iterations": ITERATIONS,
            "peak": data["efficiency"]["normalized"][LINE.index(BEST)],
            "single": data["efficiency"]["normalized"][0],
            "shares": [ratio[LINE.index(b)] for b in (SMALL, 2, BEST)],
            "reached": reached,
            "sgd_reached": _at(data, Rule.SGD, BATCH)["value"],
            "sgd": data["efficiency"]["sgd"],
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Efficiency of one step on the left, training on the right."""
        canvas, (left, right) = panels.subplots(1, 2, figsize=(6.4, 3.4))
        _draw_steps(left, data)
        _draw_runs(right, data)
        for axes in (left, right):
            axes.set_xscale("log")
            panels.plain_ticks(axes.xaxis, data["sizes"])
            axes.set(xlim=(0.85, 38), xlabel="micro-batch size b (samples)")
            panels.rulers(axes)
            axes.axvline(data["best_size"], color=palette.GREY, lw=0.8, ls=":")
        return canvas


def _problem(dimension: int) -> LeastSquares:
    """The point at distance 1 from the optimum: R = G = 1."""
    norm = LONGER * dimension**0.5
    return LeastSquares.without_noise(dimension, FRACTION, norm)


@lru_cache(maxsize=64)
def _efficiency(rule: Rule, b: int, dimension: int) -> Efficiency:
    return least_squares_efficiency(_problem(dimension), Clipping(rule, BATCH, b))


def _trained() -> list[tuple[Rule, int]]:
    """The rules and sizes of the training runs."""
    return [(rule, b) for rule in RULES for b in SIZES] + [(Rule.SGD, BATCH)]


def _tried(rule: Rule, b: int) -> list[float]:
    """The step sizes that training is tuned over."""
    best = _efficiency(rule, b, RUN_DIMENSION)
    unit = best.best_step
    if rule is Rule.NORMALIZED:
        unit = best.best_step / best.efficiency / ITERATIONS
    return [part * unit for part in TRIED[rule]]


def _one(profile: Profile, rule: Rule, b: int, run: dict[str, Any]) -> Experiment:
    """Steps of one rule and size; from e₁, at distance 1."""
    kind = "step"
    d = STEP_DIMENSION
    if run["iterations"] > 1:
        kind = "run"
        d = RUN_DIMENSION
    model = {
        "problem": "linear_regression",
        "dragger_fraction": FRACTION,
        "dragger": {"law": "isotropic", "norm": LONGER * d**0.5},
        "linear_regression": {"dimension": d, "noise": 0.0, "optimum": 0.0},
    }
    run = run | {"measure": "trajectory", "points": 1, "start": 1.0, "seed": 1}
    name = f"speed_{kind}_{rule}_{b}_{profile}"
    return worlds.experiment(
        name, model, run, rule=rule.value, batch_size=BATCH, sizes=[b]
    )


def _step_point(result: Trajectories, replicates: int, exact: float) -> dict[str, Any]:
    """The relative fall of ‖w‖² in one step; at the start the loss is 1/2."""
    (loss,), (error,) = result.recorded("loss")
    fall = 1 - 2 * loss
    point = Point.of_mean(fall, 2 * error, _degrees(replicates), exact=exact)
    return point.entry()


def _run_point(
    result: Trajectories, replicates: int, steps: Sequence[float]
) -> dict[str, Any]:
    """The gradient norm after training with the best of the step sizes."""
    ends = [table[-1][0] for table in result.mean]
    errors = [table[-1][0] for table in result.standard_error]
    i = int(np.argmin(ends))
    point = Point.of_mean(ends[i], errors[i], _degrees(replicates))
    return point.entry(step=steps[i], tried=i)


def _degrees(replicates: int) -> int:
    return replicates - 1


def _ratios(data: dict[str, Any]) -> Any:
    """Algorithm 1's efficiency over the normalized rule's, by size."""
    adaptive, normalized = (data["efficiency"][x] for x in ("adaptive", "normalized"))
    return np.divide(adaptive, normalized)


def _at(data: dict[str, Any], rule: Rule, b: int) -> dict[str, Any]:
    """The training point of that rule and size."""
    (point,) = [
        p
        for p in data["training"]
        if (p["rule"], p["micro_batch_size"]) == (rule.value, b)
    ]
    return dict(point)


def _gains(data: dict[str, Any]) -> list[float]:
    """How much further training gets at the best size than at others: scores."""
    scores = []
    for rule, b in ((Rule.NORMALIZED, SMALL), (Rule.NORMALIZED, LARGE), SINGLE):
        best, other = _at(data, rule, BEST), _at(data, rule, b)
        error = np.hypot(best["standard_error"], other["standard_error"])
        scores.append((other["value"] - best["value"]) / error)
    return scores


def _draw_steps(axes: Any, data: dict[str, Any]) -> None:
    for rule in RULES:
        axes.plot(data["sizes"], data["efficiency"][rule.value], **LOOK[rule])
        points = [p for p in data["steps"] if p["rule"] == rule.value]
        panels.simulated(axes, points, "micro_batch_size", fmt=MARKERS[rule])
    axes.axhline(data["efficiency"]["sgd"], **LOOK[Rule.SGD])
    axes.set(ylim=(-0.004, 0.125), ylabel="efficiency (dimensionless)")
    rows = (
        (5.2, 0.113, "normalized", palette.NORMALIZED_TEXT),
        (1.05, 0.03, "Algorithm 1", palette.ADAPTIVE),
        (1.05, 0.005, "SGD", palette.SGD),
    )
    panels.labels(axes, *rows)
    axes.text(data["best_size"] * 0.95, 0.005, "b°", ha="right")
    axes.set_title(f"(a) One step (n = {data['replicates'][0]})")


def _draw_runs(axes: Any, data: dict[str, Any]) -> None:
    for rule in RULES:
        points = [p for p in data["training"] if p["rule"] == rule.value]
        style = {"color": LOOK[rule]["color"], "fmt": MARKERS[rule]}
        panels.simulated(axes, points, "micro_batch_size", **style)
    sgd = _at(data, Rule.SGD, BATCH)["value"]
    axes.axhline(sgd, **LOOK[Rule.SGD])
    axes.set(yscale="log", ylim=(3e-4, 1.2), ylabel="‖∇f‖ reached (at the start 1)")
    rows = (
        (1.05, 0.75 * sgd, "SGD", palette.SGD),
        (2.2, 0.12, "normalized", palette.NORMALIZED_TEXT),
        (4.5, 0.0005, "Algorithm 1", palette.ADAPTIVE),
    )
    panels.labels(axes, *rows, va="top")
    axes.set_title(f"(b) Training (n = {data['replicates'][1]})")


figure = Speed()
