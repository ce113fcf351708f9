"""The score that Algorithm 1 follows: between mean and median, measured and computed."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.rest.mixture import mixture
from analysis.rest.score import pull_and_bound, score
from analysis.rest.update import Update, clipping_norm
from analysis.spec.experiment import Experiment, GradientModel, Run
from analysis.spec.rule import Clipping, Rule
from figures import marks
from figures.checks import Check, agreement
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from sim.estimate import quantile
from sim.measures import GROUPS, QUANTITIES
from sim.presets import presets
from sim.problems import build
from sim.random import philox
from sim.random.addresses import Draws
from sim.rules import adaptive

CLIPPING = QUANTITIES.index("clipping_norm")
SIZE = 8
COUNTS = (1, 2, 4, 16, 64, 256)
EDGES = (0.035, 0.07, 0.14, 0.25, 0.42, 0.7, 1.0, 1.5, 2.2, 5.0, 9.0)  # of the bins of ‖g‖/s
PULLED = (1, 4, 64)  # micro-batches on the right
AT = (0.5, 1.0, 1.5, 2.5)  # gradients G/s at which the pull is measured
SAMPLES = {"quick": 1_200_000, "full": 6_000_000}  # drawn for each line on the left, at most
MOST = {"quick": 20_000, "full": 100_000}  # mini-batches
COLOURS = ("#444444", "#5B3A8C", "#0072B2", "#009E73", "#C78500", "#D55E00")
SHADES = dict(zip(COUNTS, COLOURS, strict=True))
# Lower end of the first bin: below it so few are clipped that their mean is not nearly normal.
FIRST = {1: 0.035, 2: 0.14, 4: 0.14, 16: 0.07, 64: 0.035, 256: 0.035}


def _preset(count: int) -> Experiment:
    """The worked law with `count` micro-batches."""
    experiment = Experiment.load(presets()["sweet_spot"])
    algorithm = replace(experiment.algorithm, batch_size=SIZE * count, micro_batch_sizes=(SIZE,))
    return replace(experiment, algorithm=algorithm)


def _model() -> tuple[GradientModel, float]:
    """The worked law, and the noise s of its clean micro-batches."""
    model = _preset(1).gradient_model
    return model, model.noise_scale() / np.sqrt(SIZE)


def drawn(model: GradientModel, gradient: float, count: int, many: int, seed: int) -> Any:
    """Micro-batch gradients [many, count, d] as the simulation draws them at ∇f = gradient·e₁."""
    problem = build(replace(_preset(count), model=model))
    w = np.zeros((many, model.dimension))
    w[:, 0] = gradient
    draws = Draws(philox.key(seed, SIZE, 1.0), range(many), 0)
    active = np.ones(many, bool)
    return problem.micro_batch_gradients(w, SIZE, SIZE * count, draws, active)[0]


def clipped(gradients: Any) -> tuple[Any, Any]:
    """Lengths [many, count] of micro-batch gradients, and what the rule clips them to [many, 1].

    On positive numbers the rule's mean is the number that it clips all of them to.
    """
    length = np.linalg.norm(gradients, axis=-1)
    return length, adaptive(length[..., None])


class ScoreFunction(Figure):
    """ψ(v) = H(‖v‖) v/‖v‖ for one to 256 micro-batches, and the pull that it gives."""

    name = "score_function"
    title = "From mean to median"
    claims = ("m_estimator_identity", "convexity_lemma")
    place = 7

    def experiments(self, profile: str) -> list[Experiment]:
        """One step from w = 0 for each m, whose clipping norm is recorded."""
        found, many = [], 131_072 if profile == "full" else 8192
        for seed, count in enumerate(COUNTS):
            run = Run("trajectory", (0.1,), iterations=1, points=1, replicates=many, seed=1 + seed)
            name = f"{self.name}_{count}_{profile}"
            found.append(replace(_preset(count), name=name, run=run))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """H for every m with drawn micro-batches, E ρ, and pull and bound of clean ones."""
        model, s = _model()
        r = np.geomspace(0.03, 12, 241 if profile == "full" else 121)
        lines, points, norms, experiments = [], [], [], self.experiments(profile)
        for count, experiment in zip(COUNTS, experiments, strict=True):
            H = score(mixture(model, SIZE), np.zeros(1), count)
            unit = float(H(s))
            curve = {"score": H(r * s) / unit, "largest": float(H(1e3 * s)) / unit}
            lines.append({"micro_batches": count} | curve)
            many = min(SAMPLES[profile] // (SIZE * count), MOST[profile])
            gradients = drawn(model, 0.0, count, many, experiment.run.seed)
            points += _binned(count, H, s, *clipped(gradients))
            (found,) = simulated[experiment.name].values()
            rho, error = (x[0][0][CLIPPING] for x in (found.mean, found.standard_error))
            exact = clipping_norm(mixture(model, SIZE), np.zeros(1), count)
            norms.append(_point(rho, exact, error, GROUPS, micro_batches=count))
        return {
            "noise": s,
            "dragger": model.dragger.norm / SIZE / s,
            "length": r,
            "lines": lines,
            "points": points,
            "clipping_norms": norms,
            "pull": [_pull(count, profile) for count in PULLED],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """The measured score, clipping norm and pull; the score's shape; the lemma's bound."""
        first = [p for p in data["points"] if p["micro_batches"] == 1]
        several = [p for p in data["points"] if p["micro_batches"] > 1]
        mean, r = data["lines"][0], np.array(data["length"])
        ratios = [*(np.array(mean["score"]) / r), *(p["value"] / p["length"] for p in first)]
        off = max(abs(ratio - 1) for ratio in ratios)
        curves = np.array([line["score"] for line in data["lines"]])
        slopes = np.diff(curves, axis=1) / np.diff(r)
        bend = (np.diff(slopes, axis=1) / slopes[:, :1]).max()
        pairs = [zip(line["pull"], line["bound"], strict=True) for line in data["pull"]]
        slack = [pull - bound for line in pairs for pull, bound in line]
        measured = [p for line in data["pull"] for p in line["points"]]
        return [
            agreement("clipped micro-batches have the length H(‖g‖) on average", several),
            Check(
                "sanity, by construction: with one micro-batch H(r) = r, the mean",
                "computed and measured, to 1 part in a million",
                f"relative distance {off:.0e}",
                off < 1e-6,
            ),
            Check(
                "sanity, by construction: H rises and is concave for every m",
                "slopes ≥ 0 that never grow (by 1 part in a million)",
                f"smallest {slopes.min():.1e}, largest change {bend:.1e}",
                slopes.min() >= -1e-9 and bend <= 1e-6,
            ),
            agreement("the simulated clipping norm is ∫S^m", data["clipping_norms"]),
            agreement("the mean update of clean micro-batches is E ψ(g)", measured),
            Check(
                "the pull is nowhere below the bound of the convexity lemma",
                "smallest slack ≥ 0",
                f"{min(slack):.3f} H(s) at {len(slack)} gradients and m",
                min(slack) >= 0,
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        largest = {line["micro_batches"]: line["largest"] for line in data["lines"]}
        z = [p["z"] for p in data["points"] if p["micro_batches"] > 1]
        few, many = self._numbers(data["points"])
        fewer, more = self._numbers([p for line in data["pull"] for p in line["points"]])
        return (
            "Left: the score H(r) = ∫_0^r P(‖g‖ > t)^(m-1) dt of Algorithm 1 with m micro-batches, "
            "to which it shortens a micro-batch gradient of length r on average (law of "
            f"sim/presets/sweet_spot.toml at w = 0, b = {SIZE}; s is the noise of a clean one). "
            "With m = 1 it is the identity and the update a mean; with more micro-batches it is "
            "constant down to ever shorter gradients, as for the geometric median. A micro-batch "
            f"with a dragger, {data['dragger']:.1f} s long (dotted), counts as much as "
            f"{data['dragger']:.1f} of length s with m = 1, at most {largest[2]:.2f} with m = 2 "
            f"and {largest[4]:.2f} with m = 4. Points: mean clipped lengths in bins, with 99 % "
            f"intervals, of n = {few} to {many} simulated mini-batches for each m ({len(z)} points "
            f"with m > 1, within {max(map(abs, z)):.1f} standard errors of H). Right: pull "
            "E⟨ψ(g), e⟩ of clean micro-batches at ∇f = Ge, e the direction of the rare samples, "
            f"exact (lines) and simulated (points, n = {fewer} to {more}), above the bound "
            "[Π(G) - Π(s)]/G of the convexity lemma, Π(r) = ∫_0^r H (dashed). That is positive "
            "beyond s for every m: without draggers no bias is larger than s."
        )

    @staticmethod
    def _numbers(points: list[dict[str, Any]]) -> tuple[int, int]:
        """The smallest and the largest number of mini-batches behind a point."""
        degrees = [p["degrees"] for p in points]
        return min(degrees) + 1, max(degrees) + 1

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Left, log-log: curves through one common point, a diagonal for one micro-batch, for "
            "more of them curves that bend over to the horizontal earlier. Right: rising curves of "
            "the pull, each above its dashed bound; the bounds cross zero at the same place."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """The score on the left, the pull on the right."""
        canvas, (axes, beside) = subplots(
            1, 2, figsize=(6.4, 4.0), gridspec_kw={"width_ratios": [1.45, 1]}
        )
        axes.set(xscale="log", yscale="log", xlim=(0.0085, 12), ylim=(0.024, 12))
        axes.axvline(data["dragger"], color=marks.GREY, ls=marks.DOTTED, lw=1)
        axes.text(data["dragger"] / 1.06, 0.03, "with a dragger", rotation=90, ha="right")
        for line, shade in zip(data["lines"], SHADES.values(), strict=True):
            axes.plot(data["length"], line["score"], color=shade, lw=1.5)
            text, height = f"m = {line['micro_batches']}", line["score"][0]
            axes.text(0.027, height, text, color=shade, fontsize=8, ha="right", va="center")
        marks.simulated(axes, data["points"], "length", ms=3.5, capsize=1.5, lw=0.9)
        for axis in (axes.xaxis, axes.yaxis):
            marks.plain_ticks(axis, [0.1, 1, 10])
        axes.set_xlabel("length r of a micro-batch gradient (units of s)")
        axes.set_ylabel("score H(r) (units of H(s))")
        few, many = self._numbers(data["points"])
        axes.set_title(f"{self.title}   (n = {few} to {many} mini-batches, 99 % intervals)")
        beside.axhline(0, color="black", lw=0.6)
        for line, place in zip(data["pull"], ((1.1, 1.85), (2.05, 1.9), (1.47, 0.81)), strict=True):
            m, G = line["micro_batches"], line["gradient"]
            beside.plot(G, line["pull"], color=SHADES[m])
            beside.plot(G, line["bound"], color=SHADES[m], ls=marks.DASHED, lw=1.2)
            marks.simulated(beside, line["points"], "gradient", ms=3.5, capsize=1.5, lw=0.9)
            beside.text(*place, f"m = {m}", color=SHADES[m], fontsize=8)
        beside.text(1.08, -0.35, "bounds for\nm = 1, 4, 64", va="top")
        beside.set(xlim=(0, 3), ylim=(-1.2, 2.3))
        beside.set_xlabel("gradient G (units of s)")
        beside.set_ylabel("pull (units of H(s))")
        return canvas


def _point(value: float, exact: float, error: float, count: int, **where: Any) -> dict[str, Any]:
    """A mean over `count` independent mini-batches against its exact value."""
    reach = quantile((1 + marks.CONFIDENCE) / 2, count - 1) * error
    return where | {
        "value": float(value),
        "exact": float(exact),
        "interval": [float(value - reach), float(value + reach)],
        "standard_error": float(error),
        "z": float((value - exact) / error) if error > 0 else 0.0,
        "degrees": count - 1,
    }


def _binned(count: int, H: Any, s: float, length: Any, clip: Any) -> list[dict[str, Any]]:
    """Mean clipped length of the micro-batches in each bin of `length` [many, count].

    It is compared with the mean of H over the same micro-batches. Those of one mini-batch share
    their clipping norm `clip` [many, 1], so that mini-batches are the independent units.
    """
    found, unit = [], float(H(s))
    score, which = H(length), np.digitize(length / s, EDGES) - 1
    for k in range(EDGES.index(FIRST[count]), len(EDGES) - 1):
        inside = which == k
        r, value, exact = (float((inside * x).sum() / inside.sum()) for x in (length, clip, score))
        error = float(np.sqrt(((inside * (clip - score)).sum(axis=1) ** 2).sum()) / inside.sum())
        where = {"micro_batches": count, "length": r / s, "number": int(inside.sum())}
        found.append(_point(value / unit, exact / unit, error / unit, len(length), **where))
    return found


def _pull(count: int, profile: str) -> dict[str, Any]:
    """E⟨ψ(g), e₁⟩ of clean micro-batches over G, its bound and measurements, in units of H(s)."""
    whole, s = _model()
    model = replace(whole, dragger_fraction=0.0)
    gradients = np.linspace(0.02, 3, 75 if profile == "full" else 25)
    update = Update(model, Clipping(Rule.ADAPTIVE, SIZE * count, SIZE))
    law = mixture(model, SIZE)
    pulls, bounds = np.array([pull_and_bound(update, G * s) for G in gradients]).T
    points = []
    for seed, G in enumerate(AT):
        many = min(SAMPLES[profile] // (8 * SIZE * count), MOST[profile])
        updates = adaptive(drawn(model, G * s, count, many, 100 + seed))[:, 0]
        updates = updates / float(score(law, np.array([G * s]), count)(s))
        exact, error = pull_and_bound(update, G * s)[0], updates.std(ddof=1) / np.sqrt(many)
        points.append(_point(updates.mean(), exact, error, many, gradient=G))
    curves = {"gradient": gradients, "pull": pulls, "bound": bounds, "points": points}
    return {"micro_batches": count} | curves


figure = ScoreFunction()
