"""The sizes that are fastest, of smallest bias and of smallest guaranteed bias."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import best_sizes, bias_radius
from analysis.advice.skewed import best_size
from analysis.claims import CLAIMS
from analysis.rest.gamma import median_bias
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule
from analysis.speed import best_size as speed
from analysis.speed.norms import GammaNorms
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, points, worlds
from figures.kit.checks import Check
from figures.kit.profiles import Profile
from sim.estimate import confidence_set

SHAPE = 1.0  # of the gamma noise: exponential
SKEWNESS = 2 / SHAPE**0.5
NORM = 1000.0  # of the draggers: every micro-batch that holds one points back
MICRO_BATCHES = 16
REPLICATES = 32
FRACTIONS = (0.03, 0.01, 0.003, 0.001)  # simulated
EXAMPLE = 0.01  # the fraction on the left
TURNED = (4, 9, 16, 32)  # sizes simulated there with turned skewness
TURNED_SIZES = (*range(2, 15), 16, 18, 21, 24, 28, 32, 38, 44, 50, 55, 59, 62, 65, 67)
KURTOSES = (3.0, 12.0, 60.0)  # of the gradient norms; 3: Gaussian residuals
GAUSSIAN = KURTOSES[0]
ROOT = 1e-8  # relative: a maximum is found to about 1e-9
RAREST = 1e-5
FITTED = 1e-3  # slopes are fitted from RAREST to here
COMMONEST = 0.2
SPEED_DASHES = (palette.DASH_DOTTED, palette.DASHED, palette.SOLID)
SIZE = "micro_batch_size"
FRACTION = "dragger_fraction"


class ThreeLaws(Figure):
    """Sizes that are best in three senses, and their three powers of ε.

    Exponential noise: the size of smallest bias, and that with the best guarantee.
    Gaussian residuals in many dimensions: the size that trains fastest.
    """

    name = "three_laws"
    title = "Three best sizes, three powers of the dragger fraction"
    claims = ("skewness_expansion", "sweet_spot", "speed_sweet_spot", "kurtosis_size")
    place = 4

    def experiments(self, profile: Profile) -> list[Experiment]:
        """Sizes from 1/3 to 3 times the best one; and noise turned the other way."""
        powers = profile.pick(quick=np.arange(-2, 3) / 2, full=np.arange(-3, 4) / 3)
        runs = []
        for fraction in _fractions(profile):
            sizes = np.round(round(best_size(fraction, SHAPE)) * 3**powers).astype(int)
            for b in np.unique(sizes).tolist():
                runs.append(_experiment(profile, fraction, b, 1.0))
        return runs + [_experiment(profile, EXAMPLE, b, -1.0) for b in TURNED]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """The best sizes by dragger fraction, simulated sets, and one example."""
        grid = np.geomspace(RAREST, COMMONEST, profile.pick(quick=30, full=120))
        runs = self.experiments(profile)
        upright, turned = runs[: -len(TURNED)], runs[-len(TURNED) :]
        return {
            "skewness": SKEWNESS,
            "replicates": REPLICATES,
            "iterations": sorted({e.run.iterations for e in runs}),
            "curve": [_best_sizes(float(fraction)) for fraction in grid],
            "sets": [
                _set(
                    fraction,
                    [e for e in upright if _fraction(e) == fraction],
                    simulated,
                )
                for fraction in _fractions(profile)
            ],
            "example": _example(turned, simulated),
            "speed": [_speed(kurtosis) for kurtosis in KURTOSES],
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the best sizes, three slopes, the sign change, the one maximum."""
        sets, example = data["sets"], data["example"]
        # corrections to the formula are of relative order 1/√b
        # (claims/skewness_expansion.py); as b goes like ε^(-2/3), one of 1/√b changes
        # the slope by 1/(3√b)
        reach = 1 / (3 * best_size(FITTED, SHAPE) ** 0.5)
        cancels = example["cancels"]
        before = [example["turned_size"][i] + 0.5 for i in _sign_changes(example)]
        ends = (cancels - cancels**0.5, cancels + cancels**0.5)
        rivals = [p for row in sets for p in points.rivals(row["points"], row["best"])]
        return [
            Check.of(
                "bias",
                "simulated and exact bias agree",
                checks.agree([p for row in sets for p in row["points"]]),
            ),
            Check.of(
                "turned",
                "so they do with the skewness turned round",
                checks.agree(example["turned_points"]),
            ),
            Check.of(
                "best_size",
                "no simulated size has a smaller bias than the exact best of them",
                checks.not_above(rivals),
            ),
            Check.of(
                "slope",
                "the best size for this law goes like ε^(-2/3)",
                checks.within("slope", _slope(data, "exact"), -2 / 3, reach),
            ),
            Check.of(
                "worst_case_slope",
                "the size with the smallest guaranteed bias goes like 1/ε",
                checks.within("slope", _slope(data, "worst_case"), -1, 1e-3),
            ),
            Check.of(
                "fastest",
                "the fastest size goes like ε^(-1/2), between its two bounds",
                # b² is known to within 1/2, by which 1/(4λ) changes by 2λ
                checks.within("slope", _slope(data, "fastest"), -1 / 2, 2 * FITTED),
                checks.at_most("over the upper bound", _over(data, "most"), 1 + ROOT),
                checks.at_least("over the lower bound", _over(data, "least"), 1 - ROOT),
            ),
            Check.of(
                "one_maximum",
                "the relative efficiency is log-concave, largest at the fastest size",
                checks.below("largest second difference", _bends(data), 0.0),
                checks.within("argmax over fastest size", _peaks(data), 1.0, 0.05),
            ),
            Check.of(
                "cancellation",
                "turned round, skewness and draggers cancel at one size",
                checks.equal("changes of sign:", len(before), 1),
                checks.between("half a sample beyond it", before or np.nan, *ends),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Slopes, the ratio of the sizes, counts."""
        sets, example = data["sets"], data["example"]
        rarest = min(sets, key=lambda row: row[FRACTION])
        simulated = sum(len(row["points"]) for row in sets)
        (before,) = _sign_changes(example)
        return {
            "exact_slope": _slope(data, "exact"),
            "worst_case_slope": _slope(data, "worst_case"),
            "fastest_slope": _slope(data, "fastest"),
            "fastest": ", ".join(f"{row['fastest']:.1f}" for row in data["speed"]),
            "kurtoses": ", ".join(f"{row['kurtosis']:g}" for row in data["speed"]),
            "lost": 1 - data["speed"][0]["relative_efficiency"][0],
            "rarest": rarest,
            "factor": rarest["worst_case"] / rarest["exact"],
            "at_example": _at_example(data),
            "confidence_sets": [row["confidence_set"] for row in sets],
            "certain": sum(len(row["confidence_set"]) == 1 for row in sets),
            "fractions": len(sets),
            "points": simulated + len(example["turned_points"]),
            "largest_error": max(row["formula"] / row["exact"] - 1 for row in sets),
            "negative": example["turned_size"][before],
            "positive": example["turned_size"][before + 1],
            "fewest": data["iterations"][0],
            "most": data["iterations"][-1],
            "fitted_from": RAREST,
            "fitted_to": FITTED,
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """One dragger fraction on the left, all of them on the right."""
        layout = [["bias", "sizes"], ["speed", "sizes"]]
        canvas, axes = panels.mosaic(layout, figsize=(6.4, 5.4))
        _draw_example(axes["bias"], data)
        _draw_speed(axes["speed"], data["speed"])
        _draw_sizes(axes["sizes"], data)
        _draw_sets(axes["sizes"], data["sets"])
        title = f"{self.title}   (points: n = {data['replicates']} replicates)"
        canvas.suptitle(title, x=0.01, ha="left", size=10)
        return canvas


def _fractions(profile: Profile) -> tuple[float, ...]:
    return profile.pick(quick=FRACTIONS, full=(*FRACTIONS, 0.0003))


def _experiment(profile: Profile, fraction: float, b: int, sign: float) -> Experiment:
    """One size; draggers point down, and for sign 1 the long tail of the noise up.

    The run grows with the best size, so that all biases have equal relative errors.
    """
    noise = {
        "law": "gamma",
        "shape": SHAPE,
        "scale": 1.0,
        "sign": sign,
        "gaussian": 0.0,
    }
    step = round(0.4 / b**0.5, 4)
    longer = profile.pick(quick=1, full=4)
    run = {
        "steps": [step, step / 4],
        "iterations": round(1500 * longer * (0.01 / fraction) ** 0.67),
        "burn_in": 0.1,
        "replicates": REPLICATES,
    }
    side = "" if sign > 0 else "_turned"
    return worlds.experiment(
        f"three_laws_{profile}{side}_{fraction:g}_{b}",
        worlds.line_model(dragger_fraction=fraction, noise=noise, dragger_norm=NORM),
        run,
        rule="normalized",
        batch_size=MICRO_BATCHES * b,
        sizes=[b],
    )


def _fraction(experiment: Experiment) -> float:
    return experiment.gradient_model.dragger_fraction


def _formula(fraction: float, size: Any) -> dict[str, Any]:
    """The values of the claim skewness_expansion."""
    return CLAIMS["skewness_expansion"].evaluate(
        skewness=SKEWNESS,
        noise_scale=1.0,
        dragger_fraction=fraction,
        micro_batch_size=size,
    )


def _best_sizes(fraction: float) -> dict[str, Any]:
    """The best sizes; a formula's is None where it says nothing."""
    bounds = CLAIMS["kurtosis_size"].evaluate(
        kurtosis=GAUSSIAN, dragger_fraction=fraction
    )
    return {
        FRACTION: fraction,
        "exact": best_size(fraction, SHAPE),
        "formula": _formula(fraction, 1.0)["best_micro_batch_size"],
        "worst_case": best_sizes(fraction, 1.0, 1.0)[SIZE],
        "fastest": speed.best_size(GammaNorms(GAUSSIAN), fraction),
        "most": bounds["largest_best_size"],
        "least": bounds["smallest_best_size"],
    }


def _speed(kurtosis: float) -> dict[str, Any]:
    """Relative efficiency by size at one fraction, for norms of this kurtosis."""
    norms = GammaNorms(kurtosis)
    size = np.arange(1, 101)
    return {
        "kurtosis": kurtosis,
        SIZE: size,
        "relative_efficiency": np.exp(
            speed.log_relative_efficiency(norms, EXAMPLE, size)
        ),
        "fastest": speed.best_size(norms, EXAMPLE),
    }


def _over(data: dict[str, Any], bound: str) -> list[float]:
    """The fastest size over this bound of it, where it is more than one sample."""
    rows = [row for row in data["curve"] if row["fastest"] > 1]
    return [row["fastest"] / row[bound] for row in rows]


def _bends(data: dict[str, Any]) -> list[float]:
    """Second differences of ln F, the largest at each kurtosis."""
    logs = [np.log(row["relative_efficiency"]) for row in data["speed"]]
    return [float(np.diff(log, 2).max()) for log in logs]


def _peaks(data: dict[str, Any]) -> list[float]:
    """The best whole size over the best real one, at each kurtosis."""
    return [
        row[SIZE][int(np.argmax(row["relative_efficiency"]))] / row["fastest"]
        for row in data["speed"]
    ]


def _roots(model: GradientModel, b: int) -> list[Any]:
    """∇f [axes] where the normalized rule comes to rest, the nearest to 0 first."""
    update = Update(model, Clipping(Rule.NORMALIZED, b, b))
    return [point.gradient for point in stationary_points(update)]


def _points(runs: Sequence[Experiment], simulated: Simulated) -> list[dict[str, Any]]:
    """Simulated biases beside the exact ones. Raises ValueError for several roots."""
    entries = []
    for e in runs:
        (b,) = e.algorithm.sizes
        (root,) = _roots(e.gradient_model, b)
        entries += points.biases(simulated[e.name], {b: float(np.linalg.norm(root))})
    return entries


def _set(
    fraction: float, runs: Sequence[Experiment], simulated: Simulated
) -> dict[str, Any]:
    """Simulated sizes at one dragger fraction, and those that may be the best."""
    entries = _points(runs, simulated)
    estimates = {b: x for e in runs for b, x in simulated[e.name].items()}
    return _best_sizes(fraction) | {
        "points": entries,
        "best": min(entries, key=lambda p: p["exact"])[SIZE],
        "confidence_set": confidence_set(estimates),
    }


def _example(turned: Sequence[Experiment], simulated: Simulated) -> dict[str, Any]:
    """Bias against size at one fraction; signed for the skewness turned round."""
    breakdown = best_sizes(EXAMPLE, 1.0, 1.0)["breakdown"]
    size = np.geomspace(2.8, 0.99 * breakdown, 150)
    model, rate = turned[0].gradient_model, -np.log1p(-EXAMPLE)
    formula = _formula(EXAMPLE, size)
    roots = [_roots(model, b)[0][0] for b in TURNED_SIZES]
    return {
        FRACTION: EXAMPLE,
        SIZE: size,
        "exact": [median_bias(np.array(SHAPE), b, rate) for b in size],
        "formula": formula["bias"],
        "radius": bias_radius(size, EXAMPLE, 1.0),
        "cancels": formula["best_micro_batch_size"][0] / 2 ** (2 / 3),
        "turned_size": TURNED_SIZES,
        "turned": roots,
        "turned_points": _points(turned, simulated),
    }


def _at_example(data: dict[str, Any]) -> dict[str, Any]:
    """The simulated sizes at the fraction on the left."""
    (row,) = [row for row in data["sets"] if row[FRACTION] == EXAMPLE]
    return row


def _sign_changes(example: dict[str, Any]) -> list[int]:
    """Where the root with turned skewness changes its sign: the index before."""
    return np.flatnonzero(np.diff(np.sign(example["turned"]))).tolist()


def _slope(data: dict[str, Any], name: str) -> float:
    """Log-log slope of a best size against the dragger fraction, by least squares."""
    rare = [row for row in data["curve"] if row[FRACTION] <= FITTED]
    x = np.log([row[FRACTION] for row in rare])
    return float(np.polyfit(x, np.log([row[name] for row in rare]), 1)[0])


def _draw_example(axes: Any, data: dict[str, Any]) -> None:
    example, color = data["example"], palette.NORMALIZED
    size, dark = example[SIZE], palette.NORMALIZED_TEXT
    axes.plot(size, example["radius"], color=palette.BOUND, ls=palette.DASHED)
    axes.plot(size, example["formula"], color="black", ls=palette.DOTTED, lw=1.2)
    turned = np.interp(size, example["turned_size"], example["turned"])
    axes.plot(size, np.abs(turned), color=color, lw=0.8)
    axes.plot(size, example["exact"], color=color)
    panels.simulated(axes, _at_example(data)["points"], SIZE)
    panels.simulated(axes, example["turned_points"], SIZE, fmt="s", ms=4)
    axes.set(xscale="log", xlim=(2.8, 70), ylim=(0, 0.4))
    panels.plain_ticks(axes.xaxis, [4, 8, 16, 32, 64])
    axes.set(xlabel="micro-batch size b (samples)", ylabel="bias ‖∇f‖ (gradient units)")
    panels.label(axes, 3, 0.29, "guaranteed radius", color=palette.BOUND)
    panels.label(axes, 5.5, 0.112, "exact (points: simulated)", color=dark)
    panels.label(axes, 3, 0.15, "expansion (dotted)", color="black")
    panels.label(axes, 66, 0.015, "skewness\nturned round", color=dark, ha="right")


def _draw_speed(axes: Any, speed: list[dict[str, Any]]) -> None:
    """Relative efficiency against size; a dot where it is largest."""
    for row, dashes in zip(speed, SPEED_DASHES, strict=True):
        values = row["relative_efficiency"]
        axes.plot(row[SIZE], values, color=palette.VIOLET, ls=dashes)
        top = np.interp(row["fastest"], row[SIZE], values)
        axes.plot(row["fastest"], top, "D", color=palette.VIOLET, ms=4)
        text = f"κ = {row['kurtosis']:g}"
        panels.label(
            axes, row["fastest"], top + 0.03, text, color=palette.VIOLET, ha="right"
        )
    axes.set(xscale="log", xlim=(1, 70), ylim=(0, 1))
    panels.plain_ticks(axes.xaxis, [1, 2, 4, 8, 16, 32, 64])
    axes.set(xlabel="micro-batch size b (samples)", ylabel="relative efficiency")


def _draw_sizes(axes: Any, data: dict[str, Any]) -> None:
    curve = data["curve"]
    fraction = [row[FRACTION] for row in curve]
    names = ("worst_case", "formula", "exact", "fastest", "most")
    worst, formula, exact, fastest, most = (
        [row[name] for row in curve] for name in names
    )
    axes.plot(fraction, worst, color=palette.BOUND, ls=palette.DASHED)
    axes.plot(fraction, formula, color="black", ls=palette.DOTTED, lw=1.2)
    axes.plot(fraction, exact, color=palette.NORMALIZED)
    axes.plot(fraction, fastest, color=palette.VIOLET, ls=palette.DASH_DOTTED)
    axes.plot(fraction, most, color="black", ls=palette.DOTTED, lw=1.2)
    labels = {
        "best guarantee": ("worst_case", palette.BOUND),
        "smallest bias": ("exact", palette.NORMALIZED_TEXT),
        "fastest": ("fastest", palette.VIOLET),
    }
    for i, (text, (name, color)) in enumerate(labels.items()):
        slope = f"{text}: slope {_slope(data, name):.2f}".replace("-", "−")
        panels.label(axes, 2e-4, 1.8e4 / 1.9**i, slope, color=color)
    panels.label(axes, 2e-4, 1.8e4 / 1.9**3, "formulae: dotted", color="black")
    axes.set(xscale="log", yscale="log", xlim=(1e-5, 0.2), ylim=(1, 4e4))
    axes.set(xlabel="dragger fraction ε (dimensionless)", ylabel="size b (samples)")


def _draw_sets(axes: Any, sets: list[dict[str, Any]]) -> None:
    """The sizes simulated: those that may be best, and those that are excluded."""
    inside = {"ms": 5, "mfc": "black"}
    outside = {"ms": 3, "mfc": "white"}
    axes.plot([], [], "o", mec="black", label="in the 99 % set", **inside)
    axes.plot([], [], "o", mec="black", label="excluded", **outside)
    axes.legend(loc="lower left", handletextpad=0.2, borderaxespad=0.2)
    for row in sets:
        for p in row["points"]:
            look = inside if p[SIZE] in row["confidence_set"] else outside
            axes.plot(row[FRACTION], p[SIZE], "o", mec="black", zorder=5, **look)


figure = ThreeLaws()
