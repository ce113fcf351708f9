"""The score that Algorithm 1 follows: between mean and median, exact and simulated."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.rest.mixture import mixture
from analysis.rest.score import pull_and_bound, score
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment, GradientModel, Run
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.measures import GROUPS
from sim.micro_batches import binned, clipped_norms, micro_batch_gradients
from sim.rules import adaptive

SIZE = 8
# Of the lines on the left, by number m of micro-batches.
SHADES = {
    1: palette.GREY,
    2: palette.VIOLET,
    4: palette.BLUE,
    16: palette.GREEN,
    64: palette.AMBER,
    256: palette.VERMILION,
}
COUNTS = tuple(SHADES)
# Where bins of ‖g‖/s begin and end.
EDGES = (0.035, 0.07, 0.14, 0.25, 0.42, 0.7, 1.0, 1.5, 2.2, 5.0, 9.0)
# Lower end of the first bin: below it so few are clipped that their mean is not nearly
# normal.
FIRST = {1: 0.035, 2: 0.14, 4: 0.14, 16: 0.07, 64: 0.035, 256: 0.035}
PULLED = {1: (1.1, 1.85), 4: (2.05, 1.9), 64: (1.47, 0.81)}  # right: m, name's place
AT = (0.5, 1.0, 1.5, 2.5)  # gradients G/s at which the pull is simulated

Array = np.ndarray[Any, np.dtype[np.float64]]


class ScoreFunction(Figure):
    """ψ(v) = H(‖v‖) v/‖v‖ for one to 256 micro-batches, and the pull that it gives."""

    name = "score_function"
    title = "The mean turns into a median"
    claims = ("m_estimator_identity", "convexity_lemma")
    place = 7

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One step from w = 0 for each m, whose clipping norm is recorded."""
        replicates = profile.pick(quick=8192, full=131_072)
        runs = []
        for seed, count in enumerate(COUNTS, start=1):
            run = Run(
                "trajectory",
                (0.1,),
                iterations=1,
                points=1,
                replicates=replicates,
                seed=seed,
            )
            name = f"{self.name}_{count}_{profile}"
            runs.append(replace(_worked_law(count), name=name, run=run))
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """H and drawn micro-batches, E ρ, and the pull of clean ones, for every m."""
        model, noise = _model()
        length = np.geomspace(0.03, 12, profile.pick(quick=121, full=241))
        experiments = dict(zip(COUNTS, self.experiments(profile), strict=True))
        points = [p for e in experiments.values() for p in _bins(e, profile)]
        norms = [
            _norm_point(count, *simulated[e.name].values())
            for count, e in experiments.items()
        ]
        return {
            "noise": noise,
            "dragger": model.dragger.norm / SIZE / noise,
            "length": length,
            "lines": [_line(count, length) for count in COUNTS],
            "points": points,
            "clipping_norms": norms,
            "pull": [_pull(count, profile) for count in PULLED],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Simulated score, clipping norm and pull; the score's shape; the bound."""
        mean, r = data["lines"][0], np.array(data["length"])
        single = [p for p in data["points"] if p["micro_batches"] == 1]
        identity = [
            *(np.array(mean["score"]) / r),
            *(p["value"] / p["length"] for p in single),
        ]
        slopes = np.diff([line["score"] for line in data["lines"]]) / np.diff(r)
        bends = np.diff(slopes) / slopes[:, :1]
        slack = [np.subtract(line["pull"], line["bound"]) for line in data["pull"]]
        return [
            Check.of(
                "score",
                "clipped micro-batches have the length H(‖g‖) on average",
                checks.agree(_several(data)),
            ),
            Check.of(
                "identity",
                "sanity, by construction: with one micro-batch H(r) = r, the mean, "
                "computed and measured",
                checks.within("H(r)/r", identity, 1, 1e-6),
            ),
            Check.of(
                "concave",
                "sanity, by construction: H rises and is concave for every m",
                checks.at_least("slope", slopes, -1e-9),
                checks.at_most("change of slope / first slope", bends, 1e-6),
            ),
            Check.of(
                "norm",
                "the simulated clipping norm is ∫S^m",
                checks.agree(data["clipping_norms"]),
            ),
            Check.of(
                "pull",
                "the mean update of clean micro-batches is E ψ(g)",
                checks.agree(_pulls(data)),
            ),
            Check.of(
                "bound",
                "the pull is nowhere below the bound of the convexity lemma",
                checks.at_least("pull - bound", slack, 0),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Largest scores, and how many mini-batches are behind the points."""
        largest = {line["micro_batches"]: line["largest"] for line in data["lines"]}
        several = _several(data)
        model, _ = _model()
        return {
            "size": SIZE,
            "fraction": model.dragger_fraction,
            "largest_of_two": largest[2],
            "largest_of_four": largest[4],
            "mini_batches": _mini_batches(data["points"]),
            "pulled": _mini_batches(_pulls(data)),
            "bins": len(several),
            "farthest": max(abs(p["z"]) for p in several),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The score on the left, the pull on the right."""
        widths = {"width_ratios": [1.45, 1]}
        canvas, (left, right) = panels.subplots(
            1, 2, figsize=(6.4, 4.0), gridspec_kw=widths
        )
        _draw_score(left, data)
        few, many = _mini_batches(data["points"])
        count = f"n = {few} to {many} mini-batches, 99 % intervals"
        left.set_title(f"{self.title}   ({count})")
        _draw_pull(right, data)
        return canvas


def _worked_law(count: int) -> Experiment:
    """The worked law with `count` micro-batches."""
    sizes = {"batch_size": SIZE * count, "micro_batch_sizes": (SIZE,)}
    return worlds.variant(worlds.worked_law(), "score_function", {}, **sizes)


def _model() -> tuple[GradientModel, float]:
    """The worked law, and the noise s of its clean micro-batches."""
    model = _worked_law(1).gradient_model
    return model, model.noise_scale() / np.sqrt(SIZE)


def _update(experiment: Experiment) -> Update:
    clipping = experiment.algorithm.clipping(SIZE)
    return Update(experiment.gradient_model, clipping)


def _score(model: GradientModel, gradient: float, count: int) -> Callable[[Any], Array]:
    """H as a function of r, at ∇f = gradient·e₁."""
    return score(mixture(model, SIZE), np.array([gradient]), count)


def _line(count: int, length: Array) -> dict[str, Any]:
    """H at w = 0 and its largest value, in units of H(s)."""
    model, noise = _model()
    H = _score(model, 0.0, count)
    unit = float(H(noise))
    return {
        "micro_batches": count,
        "score": H(length * noise) / unit,
        "largest": float(H(1e3 * noise)) / unit,
    }


def _bins(experiment: Experiment, profile: Profile) -> list[dict[str, Any]]:
    """Mean clipped lengths of drawn micro-batches in bins of their length, at w = 0.

    They are compared with the mean of H over the same micro-batches.
    """
    model, noise = _model()
    count = experiment.algorithm.batch_size // SIZE
    H = _score(model, 0.0, count)
    unit = float(H(noise))
    number = _number(profile, samples=SIZE * count)
    w = np.zeros(model.dimension)
    norms, clip = clipped_norms(micro_batch_gradients(experiment, w, number))
    expected = H(norms)
    which = np.digitize(norms / noise, EDGES) - 1
    entries = []
    for k in range(EDGES.index(FIRST[count]), len(EDGES) - 1):
        group = binned(which == k, norms, clip, expected)
        point = Point.of_mean(
            group.clipped / unit,
            group.standard_error / unit,
            number - 1,
            exact=group.expected / unit,
        )
        place = {"micro_batches": count, "length": group.norm / noise}
        entries.append(place | point.entry(number=group.number))
    return entries


def _number(profile: Profile, *, samples: int) -> int:
    """Of mini-batches to draw, so many samples each."""
    most = profile.pick(quick=20_000, full=100_000)
    return min(profile.pick(quick=1_200_000, full=6_000_000) // samples, most)


def _norm_point(count: int, result: Any) -> dict[str, Any]:
    """The mean clipping norm of a first step from w = 0."""
    (mean,), (error,) = result.recorded("clipping_norm")
    exact = _update(_worked_law(count)).clipping_norm(np.zeros(1))
    point = Point.of_mean(mean, error, GROUPS - 1, exact=exact)
    return point.entry(micro_batches=count)


def _pull(count: int, profile: Profile) -> dict[str, Any]:
    """E⟨ψ(g), e₁⟩ of clean micro-batches over G, bound and simulation, over H(s)."""
    whole, noise = _model()
    clean = replace(whole, dragger_fraction=0.0)
    experiment = replace(_worked_law(count), model=clean)
    update = _update(experiment)
    gradients = np.linspace(0.02, 3, profile.pick(quick=25, full=75))
    pulls, bounds = np.transpose([pull_and_bound(update, G * noise) for G in gradients])
    number = _number(profile, samples=8 * SIZE * count)
    points = []
    for seed, G in enumerate(AT, start=100):
        seeded = replace(experiment, run=replace(experiment.run, seed=seed))
        point = _simulated_pull(seeded, G * noise, number)
        points.append(point.entry(gradient=G))
    return {
        "micro_batches": count,
        "gradient": gradients,
        "pull": pulls,
        "bound": bounds,
        "points": points,
    }


def _simulated_pull(experiment: Experiment, gradient: float, number: int) -> Point:
    """The mean of that many updates at ∇f = gradient·e₁, beside the exact one."""
    model = experiment.gradient_model
    update = _update(experiment)
    _, noise = _model()
    w = gradient * np.eye(model.dimension)[0]
    drawn = micro_batch_gradients(experiment, w, number)
    unit = float(_score(model, gradient, update.clipping.micro_batches)(noise))
    along = adaptive(drawn)[:, 0] / unit
    error = along.std(ddof=1) / np.sqrt(number)
    exact, _ = pull_and_bound(update, gradient)
    return Point.of_mean(along.mean(), error, number - 1, exact=exact)


def _several(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The points of more than one micro-batch, which are clipped."""
    return [p for p in data["points"] if p["micro_batches"] > 1]


def _pulls(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The points on the right."""
    return [p for line in data["pull"] for p in line["points"]]


def _mini_batches(points: list[dict[str, Any]]) -> tuple[int, int]:
    """The smallest and the largest number of mini-batches behind a point."""
    degrees = [p["degrees"] for p in points]
    return min(degrees) + 1, max(degrees) + 1


def _draw_score(axes: Any, data: dict[str, Any]) -> None:
    panels.log_log(axes, xlim=(0.0085, 12), ylim=(0.024, 12))
    axes.axvline(data["dragger"], color=palette.GREY, ls=palette.DOTTED, lw=1)
    place = (data["dragger"] / 1.06, 0.03)
    axes.text(*place, "with a dragger", rotation=90, ha="right")
    look = {"fontsize": 8, "ha": "right", "va": "center"}
    for line, shade in zip(data["lines"], SHADES.values(), strict=True):
        axes.plot(data["length"], line["score"], color=shade, lw=1.5)
        text = f"m = {line['micro_batches']}"
        axes.text(0.027, line["score"][0], text, color=shade, **look)
    panels.simulated(axes, data["points"], "length", ms=3.5, capsize=1.5, lw=0.9)
    for axis in (axes.xaxis, axes.yaxis):
        panels.plain_ticks(axis, [0.1, 1, 10])
    axes.set_xlabel("length r of a micro-batch gradient (units of s)")
    axes.set_ylabel("score H(r) (units of H(s))")


def _draw_pull(axes: Any, data: dict[str, Any]) -> None:
    axes.axhline(0, color="black", lw=0.6)
    for line, place in zip(data["pull"], PULLED.values(), strict=True):
        m, G = line["micro_batches"], line["gradient"]
        axes.plot(G, line["pull"], color=SHADES[m])
        axes.plot(G, line["bound"], color=SHADES[m], ls=palette.DASHED, lw=1.2)
        panels.simulated(axes, line["points"], "gradient", ms=3.5, capsize=1.5, lw=0.9)
        axes.text(*place, f"m = {m}", color=SHADES[m], fontsize=8)
    axes.text(1.08, -0.35, "bounds for\nm = 1, 4, 64", va="top")
    axes.set(xlim=(0, 3), ylim=(-1.2, 2.3))
    axes.set_xlabel("gradient G (units of s)")
    axes.set_ylabel("pull (units of H(s))")


figure = ScoreFunction()
