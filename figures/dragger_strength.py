"""Bias against the draggers' norm: what clipping is for, and the price of a small m."""

from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.few_micro_batches import few_micro_batches_radius
from analysis.advice.law_free import adaptive_radius
from analysis.advice.sizes import bias_radius
from analysis.advice.worst_case import WorstCase
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias, stationary_points
from analysis.rest.strength import norm_at_bias
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, points, worlds
from figures.kit.checks import Check
from figures.kit.profiles import Profile

SIZE = 32
FRACTION = 0.01
SIGMA = 1.0
NOISE = {"law": "gaussian", "scale": SIGMA}
REACH = (3.0, 1e6)  # norms drawn
ENOUGH = 1e4  # up to this norm eight micro-batches are enough here, and four are not
# Norms at which Algorithm 1 with m micro-batches is solved: dense where its line bends.
BENDS = {
    2: (3.0, 10.0, 17.0, 30.0, 55.0, 100.0, 300.0, 1e3, 1e4, 1e6),
    4: (3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e6),
    8: (3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4, 3e4, 1e5, 3e5, 1e6),
    16: (3.0, 10.0, 30.0, 1e4, 1e6),
}
FLAT = (*np.geomspace(3, 300, 9).tolist(), 1e3, 1e5, 1e6)  # for the normalized rule
# Rule, micro-batches, larger step size, iterations: dragger norms. The steps are so
# small that one step with draggers in all micro-batches does not lead far from rest.
RUNS = {
    ("sgd", 8, 0.1, 2000): (10.0, 1e3, 1e5),
    ("normalized", 8, 0.04, 4000): (30.0, 1e5),
    ("adaptive", 2, 0.05, 6000): (30.0,),
    ("adaptive", 2, 0.02, 8000): (100.0, 1e3, 1e4),
    ("adaptive", 4, 0.05, 6000): (30.0,),
    ("adaptive", 4, 0.02, 8000): (100.0,),
    ("adaptive", 4, 0.002, 32_000): (1e3, 1e4),
    ("adaptive", 8, 0.05, 8000): (300.0,),
    ("adaptive", 16, 0.1, 4000): (10.0, 1e4),
}
MARKERS = {"sgd": "s", "normalized": "D", "adaptive": "o"}


class DraggerStrength(Figure):
    """Ever longer draggers: SGD follows, Algorithm 1 only with few micro-batches."""

    name = "dragger_strength"
    title = "Eight micro-batches tolerate draggers up to 10⁴ σ"
    claims = (
        *("sgd_persistent_bias", "bias_radius"),
        *("finite_micro_batches", "law_free_radius"),
    )
    place = 5

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One for each run; full: more replicates, iterations and a third step."""
        halvings = profile.pick(quick=2, full=3)
        longer = profile.pick(quick=1, full=4)
        runs: list[Experiment] = []
        for (rule, count, step, iterations), norms in RUNS.items():
            for norm in norms:
                run = {
                    "replicates": profile.pick(quick=32, full=64),
                    "seed": 1 + len(runs),
                    "iterations": longer * iterations,
                    "steps": [step / 2**i for i in range(halvings)],
                    "precision": "float64",
                }
                name = f"{self.name}_{rule}_{count}_{norm:.0f}_{profile}"
                runs.append(_experiment(name, rule, count, norm, run=run))
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Exact biases over the norms, bounds, where the radius is left; simulation."""
        experiments = self.experiments(profile)
        radius = float(bias_radius(np.array([float(SIZE)]), FRACTION, SIGMA)[0])
        finer = np.geomspace(*REACH, profile.pick(quick=0, full=45)).tolist()
        return {
            "replicates": experiments[0].run.replicates,
            "step_sizes": len(experiments[0].run.steps),
            "iterations": [e.run.iterations for e in experiments],
            "radius": radius,
            "sgd": [(norm, _exact("sgd", 1, norm)) for norm in REACH],
            "normalized": [(norm, _exact("normalized", 1, norm)) for norm in FLAT],
            "adaptive": [
                _line(m, sorted({*bends, *finer}), radius) for m, bends in BENDS.items()
            ],
            "simulation": [
                p for e in experiments for p in _points(e, simulated[e.name])
            ],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Each rule's curve against simulation, its shape, and the bounds."""
        radius, lines = data["radius"], data["adaptive"]
        flat = [bias for norm, bias in data["normalized"] if norm >= 100]
        leaving = [line["leaves_radius_at"] or np.inf for line in lines]
        two, four, eight, sixteen = leaving
        norms = {"m = 2": two, "m = 4": four, f"{ENOUGH:g}": ENOUGH, "m = 8": eight}
        return [
            Check.of(
                "sgd",
                "simulated SGD rests at εD/(1-ε)",
                checks.agree(_simulated(data, "sgd")),
            ),
            Check.of(
                "sgd_slope",
                "SGD's bias is proportional to D (log-log slope 1)",
                checks.agree([_slope(_simulated(data, "sgd"))]),
            ),
            Check.of(
                "normalized",
                "the simulated normalized rule rests at its exact bias",
                checks.agree(_simulated(data, "normalized")),
            ),
            Check.of(
                "flat",
                "from D = 100 on the normalized bias is constant, below its radius",
                checks.below("bias / smallest bias", np.array(flat) / min(flat), 1.01),
                checks.below("bias", flat, radius),
            ),
            Check.of(
                "adaptive",
                "simulated Algorithm 1 rests at its exact bias",
                checks.agree(_simulated(data, "adaptive")),
            ),
            Check.of(
                "bound",
                "the bound for m micro-batches holds wherever it is finite",
                checks.at_most("bias / bound", _ratios(lines, "bound"), 1),
            ),
            Check.of(
                "guarantee",
                "so does the guarantee that does not know the noise",
                checks.at_most("bias / guarantee", _ratios(lines, "guarantee"), 1),
            ),
            Check.of(
                "order",
                "the more micro-batches, the longer the draggers that take the bias "
                f"beyond the radius; D = {ENOUGH:g} is enough for four, not for eight",
                checks.ordered(norms),
                checks.at_least("m = 16", sixteen, eight),
            ),
            Check.of(
                "push",
                "it leaves the radius where m(1-p)^m D/b is of the order s",
                checks.between("m(1-p)^m D/(bs)", _pushes(lines), 0.5, 2),
                checks.equal("numbers m with such a norm:", len(_pushes(lines)), 3),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Norms at which the bias leaves the radius, slope, pushes, counts."""
        lines = data["adaptive"]
        two, four, eight, _ = (line["leaves_radius_at"] for line in lines)
        pushes = _pushes(lines)
        return {
            "size": SIZE,
            "fraction": FRACTION,
            "enough": _spaced(ENOUGH),
            "longest": _spaced(REACH[1]),
            "two": _spaced(two),
            "four": _spaced(four),
            "eight": _spaced(eight),
            "slope": _slope(_simulated(data, "sgd"))["value"],
            "flat": data["normalized"][-1][1],
            "guaranteed": dict(
                zip(lines[2]["dragger_norm"], lines[2]["guarantee"], strict=True)
            )[ENOUGH],
            "least_push": min(pushes),
            "largest_push": max(pushes),
            "fewest": min(data["iterations"]),
            "most": max(data["iterations"]),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against D, both axes logarithmic."""
        canvas, axes = panels.subplots(figsize=(6.4, 4.8))
        panels.log_log(axes, xlim=(REACH[0], 2.2e6), ylim=(0.02, 6e3))
        panels.rulers(axes)
        _draw_rules(axes, data)
        for line in data["adaptive"]:
            _draw_line(axes, line, data["radius"])
        for rule, marker in MARKERS.items():
            shown = _simulated(data, rule)
            panels.simulated(axes, shown, "dragger_norm", fmt=marker, ms=4.5)
        eight = data["adaptive"][2]
        certain = np.array(eight["guarantee"], np.float64)
        look = {"color": palette.BOUND, "ls": palette.DASH_DOTTED, "lw": 1.2}
        axes.plot(eight["dragger_norm"], certain, **look)
        _draw_labels(axes, data["radius"])
        panels.plain_ticks(axes.yaxis, [0.1, 1, 10, 100, 1000])
        axes.set_xlabel("draggers' norm D (units of the noise scale σ)")
        axes.set_ylabel("bias ‖∇f‖ (units of σ)")
        title = panels.counted(self.title, data["replicates"], intervals=False)
        axes.set_title(title)
        return canvas


def _experiment(
    name: str, rule: str, count: int, norm: float, *, run: dict[str, Any]
) -> Experiment:
    """A rule with `count` micro-batches; SGD takes their samples as one."""
    model = worlds.line_model(dragger_fraction=FRACTION, noise=NOISE, dragger_norm=norm)
    size = SIZE * count if rule == "sgd" else SIZE
    return worlds.experiment(
        name, model, run, rule=rule, batch_size=SIZE * count, sizes=[size]
    )


def model_with(norm: float) -> GradientModel:
    """The model with draggers of that norm: Gaussian noise on a line."""
    return GradientModel.read(
        worlds.line_model(dragger_fraction=FRACTION, noise=NOISE, dragger_norm=norm)
    )


def _update(count: int, norm: float) -> Update:
    """Algorithm 1 with `count` micro-batches."""
    return Update(model_with(norm), Clipping(Rule.ADAPTIVE, SIZE * count, SIZE))


@cache
def _root(count: int, norm: float) -> float:
    """Where Algorithm 1 comes to rest: ∇f along the draggers, < 0."""
    (point,) = stationary_points(_update(count, norm))
    return float(point.gradient[0])


def _exact(rule: str, count: int, norm: float) -> float:
    """The exact bias; SGD's as its claim has it, all draggers straight back."""
    if rule == "adaptive":
        return abs(_root(count, norm))
    if rule == "normalized":
        return exact_bias(model_with(norm), rule, SIZE * count, SIZE).roots[0]
    values = CLAIMS["sgd_persistent_bias"].evaluate(
        dragger_fraction=FRACTION,
        noise_scale=SIGMA,
        batch_size=SIZE * count,
        alignment=1.0,
        dragger_norm=norm,
        dragger_mean=norm,
        **dict.fromkeys(("smoothness", "initial_gap", "horizon", "learning_rate"), 1.0),
    )
    return float(values["small_step_bias"])


def _line(count: int, norms: list[float], radius: float) -> dict[str, Any]:
    """Algorithm 1 with `count` micro-batches: bias, bound, where the radius is left."""
    return {
        "micro_batches": count,
        "dragger_norm": norms,
        "bias": [_exact("adaptive", count, norm) for norm in norms],
        "bound": [
            few_micro_batches_radius(
                _update(count, norm), np.array([_root(count, norm)])
            )
            for norm in norms
        ],
        "guarantee": [_guarantee(count, norm) for norm in norms],
        "leaves_radius_at": norm_at_bias(_update(count, 1.0), bias=radius, norms=REACH),
    }


def _guarantee(count: int, norm: float) -> float | None:
    """Algorithm 1's radius for every law, None where there is none."""
    case = WorstCase(FRACTION, SIGMA, dragger_norm=norm)
    radius = adaptive_radius(case, SIZE * count, SIZE)
    return radius if np.isfinite(radius) else None


def _points(experiment: Experiment, estimates: dict[Any, Any]) -> list[dict[str, Any]]:
    """The simulated bias of one run beside the exact one."""
    rule = experiment.algorithm.rule
    norm = experiment.gradient_model.dragger.norm
    exact = _exact(rule, experiment.algorithm.batch_size // SIZE, norm)
    (b,) = experiment.algorithm.sizes
    place = {"rule": rule, "dragger_norm": norm}
    return [p | place for p in points.biases(estimates, {b: exact})]


def _simulated(data: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    return [p for p in data["simulation"] if p["rule"] == rule]


def _slope(entries: list[dict[str, Any]]) -> dict[str, float]:
    """Log-log slope through the first and the last point, as a distance from 1."""
    first, last = entries[0], entries[-1]
    run = np.log(last["dragger_norm"] / first["dragger_norm"])
    error = np.hypot(*(p["standard_error"] / p["value"] for p in (first, last))) / run
    slope = np.log(last["value"] / first["value"]) / run
    degrees = min(first["degrees"], last["degrees"])
    return {"value": float(slope), "z": float((slope - 1) / error), "degrees": degrees}


def _ratios(lines: list[dict[str, Any]], name: str) -> list[float]:
    """Exact bias over that bound, where there is one."""
    pairs = [pair for x in lines for pair in zip(x["bias"], x[name], strict=True)]
    return [bias / bound for bias, bound in pairs if bound is not None]


def _pushes(lines: list[dict[str, Any]]) -> list[float]:
    """Where the bias leaves the radius, m (1-p)^m D/(bs): dragger push over usual pull.

    With probability (1-p)^m, p = (1-ε)^b, every micro-batch holds a dragger and the
    clipping norm is about D/b; otherwise it is the smallest of m norms, of the order
    s/m with s = σ/√b.
    """
    tainted, scale = 1 - (1 - FRACTION) ** SIZE, SIGMA * SIZE**0.5
    pairs = [(line["micro_batches"], line["leaves_radius_at"]) for line in lines]
    return [m * tainted**m * norm / scale for m, norm in pairs if norm is not None]


def _spaced(norm: float) -> str:
    """Two digits, thousands set apart by spaces."""
    return f"{float(f'{norm:.2g}'):,.10g}".replace(",", " ")


def _draw_rules(axes: Any, data: dict[str, Any]) -> None:
    """The radius, SGD and the normalized rule."""
    sgd, normalized = (np.transpose(data[rule]) for rule in ("sgd", "normalized"))
    axes.axhline(data["radius"], color=palette.BOUND, ls=palette.DASHED, lw=1.4)
    axes.plot(*sgd, color=palette.SGD, ls=palette.DASHED, lw=1.3)
    axes.plot(*normalized, color=palette.NORMALIZED, lw=3.4)


def _draw_line(axes: Any, line: dict[str, Any], radius: float) -> None:
    """Algorithm 1 with one number of micro-batches."""
    norms, bound = line["dragger_norm"], np.array(line["bound"], np.float64)
    axes.plot(norms, line["bias"], color=palette.ADAPTIVE, lw=1.3)
    axes.plot(norms, bound, color=palette.BOUND, ls=palette.DOTTED, lw=1.1)
    text = f"m = {line['micro_batches']}"
    axes.text(1.12e6, line["bias"][-1], text, va="center", color=palette.ADAPTIVE)
    norm = line["leaves_radius_at"]
    if norm is not None:
        axes.plot([norm], [radius], "v", color=palette.ADAPTIVE, ms=6, zorder=6)


def _draw_labels(axes: Any, radius: float) -> None:
    """Names beside the lines."""
    panels.label(axes, 1.1e4, 220, "SGD, εD/(1-ε)", color=palette.SGD, ha="right")
    text = "Algorithm 1,\nm micro-\nbatches"
    panels.label(axes, 3.4e4, 3.5, text, color=palette.ADAPTIVE)
    panels.label(axes, 60, 0.055, "normalized", color=palette.NORMALIZED_TEXT, va="top")
    look = {"va": "top", "ha": "right"}
    panels.label(
        axes, 1e6, radius * 0.88, "radius (normalized)", color=palette.BOUND, **look
    )
    panels.label(axes, 1.08e6, 26, "any noise,\nm = 8", color=palette.BOUND)
    text = "bounds for\nm = 2, 4, 8, 16"
    panels.label(axes, 3.2, 1.5, text, color=palette.BOUND, va="bottom")


figure = DraggerStrength()
