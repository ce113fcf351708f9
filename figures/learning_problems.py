"""Three learning problems: what training reaches, where it rests, what theory says."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from analysis.advice.sizes import best_sizes, bias_radius
from analysis.rest.prediction import Recording, predict_from_gradients
from analysis.spec.experiment import Experiment
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels
from figures.kit.checks import ALARM, Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.estimate import Estimate, quantile
from sim.presets import presets
from sim.problems import build
from sim.random.addresses import Draws
from sim.rules import rule

SIZE = "micro_batch_size"
COLUMNS = (SIZE, "value", "standard_error", "square_error", "contraction")
SIZES = np.geomspace(1, 64, 120)  # of the guarantee's line
TOLERANCE = 0.2  # of predictions: one Newton step, and an estimated J, are not exact
BAND = 2.6  # standard errors: 99 % of a normal distribution


@dataclass(frozen=True)
class Settings:
    """How a problem is brought to rest, and over what distance it is differentiated."""

    step: float  # at the full batch
    displacement: float
    quick: tuple[int, ...]  # micro-batch sizes simulated in the quick profile


PROBLEMS = {
    "linear_regression": Settings(0.15, 0.1, (1, 4, 16, 64)),
    "logistic_regression": Settings(2.0, 0.2, (2, 8, 16)),
    "two_layer": Settings(0.4, 0.1, (1, 4, 16, 64)),
}
REGRESSION, CLASSIFIER, NETWORK = PROBLEMS
# Small sizes clip hard: larger steps bring them to rest in about the same time.
FASTER = {1: 14.0, 2: 4.2, 4: 2.4, 8: 1.8, 16: 1.6, 32: 1.4, 64: 1.0}


class LearningProblems(Figure):
    """The presets with data instead of noise."""

    name = "learning_problems"
    title = "Neither single samples nor the whole mini-batch trains best"
    claims = ("sweet_spot", "bias_radius", "m_estimator_identity")
    place = 13
    restless = tuple(
        f"learning_problems_{CLASSIFIER}_rest{b}_{profile}"
        for b in (1, 2, 4)
        for profile in Profile
    )

    def experiments(self, profile: Profile) -> list[Experiment]:
        """For each problem its preset, and a run to rest for each size."""
        runs = []
        for name, settings in PROBLEMS.items():
            preset = _preset(name)
            sizes = profile.pick(quick=settings.quick, full=preset.algorithm.sizes)
            runs.append(_training(preset, f"{self.name}_{name}", profile))
            for b in sizes:
                label = f"{self.name}_{name}_rest{b}_{profile}"
                runs.append(_resting(preset, name, label, b=b, profile=profile))
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Predictions, the guarantee, points at rest and after training."""
        training, resting = (e.run for e in self.experiments(profile)[:2])
        runs = {
            "training": training.iterations,
            "trained": training.replicates,
            "iterations": resting.iterations,
            "replicates": resting.replicates,
            "batches": profile.pick(quick=800, full=3000),
        }
        shown: dict[str, Any] = {"runs": runs}
        for name in PROBLEMS:
            theory = _theory(name, runs["batches"])
            shown[name] = {**theory, "rest": [], "moving": [], "reached": []}
        for experiment in self.experiments(profile):
            run = experiment.name
            name = next(x for x in PROBLEMS if run.startswith(f"{self.name}_{x}"))
            kind = "moving" if run in self.restless else "rest"
            if "_reached_" in run:
                shown[name]["reached"] = _reached(simulated[run], training.replicates)
            else:
                shown[name][kind] += _at_rest(simulated[run], shown[name]["predicted"])
        return shown

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Predictions and where they end, b = 1 at rest, and which sizes train best."""
        linear, network = data[REGRESSION], data[NETWORK]
        compared = [*_compared(linear), *_compared(network)]
        pairs = [(x["reached"][0], x["rest"][0]) for x in (linear, network)]
        unrest = [point["unrest"] for point in data[CLASSIFIER]["moving"]]
        reached = [data[name]["reached"] for name in PROBLEMS]
        best = [b for points in reached for b in _may_be_best(points, ALARM)]
        stable = list(_contraction(linear).values())
        formula = network["predicted"]["value"][-1] / network["rest"][-1]["value"]
        return [
            Check.of(
                "prediction",
                "recorded gradients predict the bias of regression and network within "
                f"{TOLERANCE:.0%}, where J is stable",
                checks.agree(compared),
            ),
            Check.of(
                "unstable",
                "the prediction fails for the network's whole mini-batch, where J is "
                "unstable; in the regression J is stable",
                checks.at_most("contraction, network", _contraction(network)[64], 0),
                checks.above("formula / simulated bias", formula, 5),
                checks.above("contraction, regression", stable, 0),
            ),
            Check.of(
                "single_samples",
                "the bias at rest with b = 1 is below the gradient norm after "
                "training: regression and network",
                checks.significant(
                    [_distance(*pair) for pair in pairs],
                    linear["rest"][0]["degrees"],
                    alarm=ALARM / 2,
                ),
            ),
            Check.of(
                "moving",
                "the classifier with few samples in a micro-batch is not at rest",
                checks.above("z between halves of the run", unrest or np.nan, 20),
            ),
            Check.of(
                "best_size",
                "after training neither b = 1 nor the whole mini-batch may be the best "
                "size, but for an error of 1 in a million",
                checks.between("sizes that may be best", best or np.nan, 1, 64),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Best sizes, gradient norms as multiples of the smallest, predictions."""
        ratios = {name: _ratios(data[name]["reached"]) for name in PROBLEMS}
        single, sgd = ([x[end] for x in ratios.values()] for end in (0, -1))
        best = {name: _may_be_best(data[name]["reached"], 0.01) for name in PROBLEMS}
        every = [b for sizes in best.values() for b in sizes]
        network, batch_size = data[NETWORK], _preset(NETWORK).algorithm.batch_size
        unstable = [b for b, x in _contraction(network).items() if x <= 0]
        sets = {name: " or ".join(map(str, sizes)) for name, sizes in best.items()}
        classifier = [f"{p['ratio']:.2f}" for p in _compared(data[CLASSIFIER])]
        fractions = {name: _preset(name).model.dragger_fraction for name in PROBLEMS}
        return {
            "batch_size": batch_size,
            "fraction": fractions,
            "tolerance": TOLERANCE,
            "best": sets,
            "smallest_best": min(every),
            "largest_best": max(every),
            "ratio": {
                name: {"single": norms[0], "sgd": norms[-1]}
                for name, norms in ratios.items()
            },
            "single": {"least": min(single), "most": max(single)},
            "sgd": {"least": min(sgd), "most": max(sgd)},
            "gradients": data["runs"]["batches"] * batch_size,
            "unstable_from": unstable[0],
            "formula": network["predicted"]["value"][-1],
            "simulated": network["rest"][-1]["value"],
            "classifier": " and ".join(classifier),
            "moving": ", ".join(str(p[SIZE]) for p in data[CLASSIFIER]["moving"]),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Three panels, one legend below."""
        canvas, row = panels.subplots(1, 3, figsize=(6.4, 3.9))
        for axes, name in zip(row, PROBLEMS, strict=True):
            _draw_problem(axes, data[name])
            axes.set(title=_words(name), xlabel="size b (samples)")
        row[0].set_ylabel("gradient norm ‖∇f‖ (gradient units)")
        entries = row[0].get_legend_handles_labels()
        canvas.legend(*entries, loc="outside lower center", ncols=2)
        trained, rested = data["runs"]["trained"], data["runs"]["replicates"]
        counts = f"n = {trained} (training) and {rested} (at rest) replicates"
        title = f"{self.title}\n{counts}"
        canvas.suptitle(title, x=0.02, ha="left", fontsize=10)
        return canvas


def _preset(name: str) -> Experiment:
    return Experiment.load(presets()[name])


def _words(name: str) -> str:
    """The problem's name in words."""
    return name.replace("two_layer", "two-layer network").replace("_", " ")


def _training(preset: Experiment, label: str, profile: Profile) -> Experiment:
    """The preset's own training."""
    replicates = profile.pick(quick=32, full=64)
    run = replace(preset.run, replicates=replicates, points=4)
    return replace(preset, run=run, name=f"{label}_reached_{profile}")


def _resting(
    preset: Experiment, name: str, label: str, *, b: int, profile: Profile
) -> Experiment:
    """The bias at one size, from the optimum on."""
    problem: Any = build(preset)
    step = PROBLEMS[name].step * FASTER[b]
    longer = 300 if name == CLASSIFIER else 0
    run = {
        "measure": "bias",
        "burn_in": 0.5,
        "iterations": profile.pick(quick=400, full=3000) + longer,
        "replicates": 32,
        "steps": [step, step / 2],
        "start": tuple(map(float, problem.optimum)),
    }
    tables = preset.to_mapping() | {"run": run}
    tables["algorithm"] |= {"micro_batch_sizes": [b]}
    return Experiment.from_mapping(tables, label)


def _theory(name: str, batches: int) -> dict[str, Any]:
    """Predictions, and the normalized rule's guarantee with the recorded σ."""
    preset = _preset(name)
    recording = _recording(preset, batches)
    given = preset.model.dragger_fraction, recording.noise_scale
    radius = bias_radius(SIZES, *given)
    finite = np.isfinite(radius)
    predicted = _predicted(preset, recording, PROBLEMS[name].displacement)
    return {
        "predicted": predicted | {"noise_scale": recording.noise_scale},
        "bound": {SIZE: SIZES[finite], "bias_radius": radius[finite]},
        "guaranteed": best_sizes(*given, 1.0),
    }


def _recording(preset: Experiment, batches: int) -> Recording:
    """Gradients of that many mini-batches around the optimum, always the same ones."""
    problem: Any = build(preset)
    always = np.ones(batches, bool)

    def samples(w: NDArray[np.float64]) -> Any:
        places = np.tile(w, (batches, 1))
        draws = Draws((1, 0), range(batches), 0)
        batch_size = preset.algorithm.batch_size
        return problem.micro_batch_gradients(
            places, 1, batch_size, draws, active=always
        )

    optimum = np.asarray(problem.optimum)
    clean = samples(optimum)[1]
    return Recording(optimum, lambda w: samples(w)[0], clean, problem.gradient)


def _predicted(
    preset: Experiment, recording: Recording, displacement: float
) -> dict[str, Any]:
    """The predicted biases of Algorithm 1 by size: a list for each of COLUMNS."""
    sizes = preset.algorithm.sizes
    predictions = predict_from_gradients(
        recording, rule("adaptive"), sizes, displacement
    )
    rows = [
        (p.micro_batch_size, p.bias, p.standard_error, p.square_error, p.contraction)
        for p in predictions
    ]
    return dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))


def _reached(runs: dict[Any, Any], replicates: int) -> list[dict[str, Any]]:
    """The gradient norm after training; intervals stay positive, for the log axis."""
    points = []
    for b, run in runs.items():
        value, error = run.mean[0][-1][0], run.standard_error[0][-1][0]
        point = Point.of_mean(value, error, replicates - 1).entry(micro_batch_size=b)
        low, high = point["interval"]
        points.append(point | {"interval": (max(low, 1e-9), high)})
    return points


def _at_rest(
    estimates: dict[Any, Estimate], predicted: dict[str, Any]
) -> list[dict[str, Any]]:
    """Biases, with the error that their square has if the prediction is right."""
    value = dict(zip(predicted[SIZE], predicted["value"], strict=True))
    return [
        Point.of_bias(estimate).entry(micro_batch_size=b)
        | {
            "square": estimate.squared,
            "square_error": estimate.error_at(value[b]),
            "unrest": estimate.unrest if estimate.problem else 0.0,
        }
        for b, estimate in estimates.items()
    ]


def _trusted(problem: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Predictions where J is stable and two standard errors are less than the bias."""
    columns = {name: np.array(problem["predicted"][name]) for name in COLUMNS}
    known = 2 * columns["standard_error"] < columns["value"]
    kept = known & (columns["contraction"] > 0)
    return {name: column[kept] for name, column in columns.items()}


def _compared(problem: dict[str, Any]) -> list[dict[str, Any]]:
    """Predicted over simulated bias, and how far it is beyond TOLERANCE.

    z is the distance of the squares in standard errors, and 0 within the tolerance.
    """
    at_rest = {point[SIZE]: point for point in problem["rest"]}
    columns = _trusted(problem)
    rows = zip(columns[SIZE], columns["value"], columns["square_error"], strict=True)
    compared = []
    for b, value, error in rows:
        if b in at_rest:
            point = at_rest[b]
            ends = ((1 + x) ** 2 * value**2 for x in (-TOLERANCE, TOLERANCE))
            beyond = point["square"] - np.clip(point["square"], *ends)
            z = beyond / np.hypot(point["square_error"], error)
            ratio = value / point["value"]
            compared.append({"ratio": ratio, "z": z, "degrees": point["degrees"]})
    return compared


def _contraction(problem: dict[str, Any]) -> dict[int, float]:
    """The smallest real part of J's eigenvalues by size: J is stable where positive."""
    predicted = problem["predicted"]
    return dict(zip(predicted[SIZE], predicted["contraction"], strict=True))


def _distance(point: dict[str, Any], other: dict[str, Any]) -> float:
    """By how many standard errors one point is above another."""
    error = np.hypot(point["standard_error"], other["standard_error"])
    return float((point["value"] - other["value"]) / error)


def _may_be_best(points: list[dict[str, Any]], alarm: float) -> list[int]:
    """Sizes that may be best; the best is left out with probability `alarm` at most."""
    limit = quantile(1 - alarm / (len(points) - 1), points[0]["degrees"])
    return [
        point[SIZE]
        for point in points
        if max(_distance(point, other) for other in points) <= limit
    ]


def _ratios(points: list[dict[str, Any]]) -> list[float]:
    """The values over the smallest of them."""
    smallest = min(point["value"] for point in points)
    return [point["value"] / smallest for point in points]


def _draw_problem(axes: Any, problem: dict[str, Any]) -> None:
    """One panel: lines, then the points, those after training a little to the right."""
    _draw_lines(axes, problem)
    panels.simulated(axes, problem["rest"], SIZE, label="simulated, at rest")
    beside = [point | {"b": 1.14 * point[SIZE]} for point in problem["reached"]]
    look = {
        "fmt": "X",
        "color": palette.ORANGE,
        "mec": "black",
        "mfc": palette.ORANGE,
        "ecolor": palette.BROWN,
    }
    panels.simulated(axes, beside, "b", label="simulated, after training", **look)
    values = [point["value"] for point in problem["rest"] + problem["reached"]]
    highest = max(problem["bound"]["bias_radius"][0], *values)
    panels.log_log(axes, xlim=(0.8, 90), ylim=(0.45 * min(values), 2.2 * highest))
    panels.plain_ticks(axes.xaxis, [1, 4, 16, 64])
    panels.rulers(axes)


def _draw_lines(axes: Any, problem: dict[str, Any]) -> None:
    """The guarantee and where it is smallest, the prediction with its band, SGD."""
    bound, best = problem["bound"], problem["guaranteed"]
    axes.plot(bound[SIZE], bound["bias_radius"], color=palette.BOUND)
    look = {"color": palette.BOUND, "ms": 8, "label": "guaranteed bias, its smallest"}
    axes.plot(best[SIZE], best["bias_radius"], "v-", **look)
    trusted = _trusted(problem)
    b, value = trusted[SIZE], trusted["value"]
    reach = BAND * trusted["standard_error"]
    text = "predicted from recorded gradients"
    axes.plot(b, value, color=palette.ADAPTIVE, label=text)
    band = np.maximum(value - reach, 1e-9), value + reach
    axes.fill_between(b, *band, color=palette.ADAPTIVE, alpha=0.2, lw=0)
    sgd = problem["reached"][-1]["value"]
    axes.axhline(sgd, color=palette.SGD, ls=palette.DASHED, lw=1.2, zorder=1)
    axes.text(0.95, sgd / 1.08, "SGD", color=palette.SGD, va="top")


figure = LearningProblems()
