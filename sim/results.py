"""Results of a finished measure, and their JSON form."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from analysis.spec.algorithm import Run
from analysis.spec.experiment import Experiment
from sim.estimate import Array, Estimate, SquaredBias, confidence_set, estimate
from sim.measures import AVERAGES, QUANTITIES, mean_and_error, points
from sim.quantiles import quantile_interval
from sim.variants import Variant

Table = tuple[tuple[tuple[float, ...], ...], ...]
DIVERGED = "some replicates diverged: try smaller run.steps"
QUANTILES = (0.5, 0.9, 0.99)  # of single runs, reported by their probabilities


@dataclass(frozen=True)
class Trajectories:
    """Replicate means and standard errors [steps, points, sim.measures.QUANTITIES]."""

    mean: Table
    standard_error: Table

    warning: ClassVar[None] = None

    @property
    def problem(self) -> str | None:
        """Why numbers are missing, or None."""
        finite = all(
            math.isfinite(point[0]) for points in self.mean for point in points
        )
        return None if finite else DIVERGED

    def recorded(self, quantity: str) -> tuple[Array, Array]:
        """Means of a quantity and their standard errors [points], at the first step.

        `quantity` is one of `sim.measures.QUANTITIES`; raises ValueError for another.
        """
        column = QUANTITIES.index(quantity)
        mean, error = (np.array(x[0]) for x in (self.mean, self.standard_error))
        return mean[:, column], error[:, column]


@dataclass(frozen=True)
class Averages:
    """Means over the iterations 0 … T - 1 of each replicate [steps, replicates].

    Replicates are independent: `of` gives their mean, other statistics are of the rows.
    """

    gradient_norm: tuple[tuple[float, ...], ...]
    squared_gradient_norm: tuple[tuple[float, ...], ...]

    warning: ClassVar[None] = None

    @property
    def problem(self) -> str | None:
        """Why numbers are missing, or None."""
        return None if np.isfinite(self.squared_gradient_norm).all() else DIVERGED

    def of(self, quantity: str, step: int = 0) -> tuple[float, float]:
        """The mean of a quantity over runs at one of run.steps, and its standard error.

        `quantity` is one of `sim.measures.AVERAGES`; `step` is the step's place.
        """
        mean, error = mean_and_error(np.array(getattr(self, quantity)[step]))
        return float(mean), float(error)


@dataclass(frozen=True)
class HittingTimes:
    """Mean of min(τ, iterations), its error, and the number of hits, by step size."""

    mean: tuple[float, ...]
    standard_error: tuple[float, ...]
    reached: tuple[int, ...]

    warning: ClassVar[None] = None

    @property
    def problem(self) -> str | None:
        """Why numbers are missing, or None."""
        return None if all(map(math.isfinite, self.mean)) else DIVERGED


Measured = Estimate | Trajectories | Averages | HittingTimes


def from_document(experiment: Experiment, table: Mapping[str, Any]) -> Measured:
    """The result in a table of a JSON document: the fields of its class, null for NaN.

    Raises ValueError or TypeError when a field is missing, unknown, of another type or
    shape than the experiment's results have, or out of range.
    """
    model = experiment.model
    run = experiment.run
    steps = len(run.steps)
    kind: type[Any] = Estimate
    shapes: dict[str, tuple[int, ...]] = {field.name: () for field in fields(Estimate)}
    shapes["mean"] = (1 if model.dragger.law == "opposing" else model.dimension,)
    shapes["at_steps"] = (steps,)
    if run.measure == "trajectory":
        shape = (steps, len(points(run)), len(QUANTITIES))
        kind = Trajectories
        shapes = {"mean": shape, "standard_error": shape}
    elif run.measure == "average":
        kind = Averages
        shapes = dict.fromkeys(AVERAGES, (steps, run.replicates))
    elif run.measure == "hitting":
        names = ("mean", "standard_error", "reached")
        kind = HittingTimes
        shapes = dict.fromkeys(names, (steps,))
    if set(table) != set(shapes):
        raise ValueError(f"its fields are not {', '.join(shapes)}")
    result: Measured = kind(
        **{name: _entry(name, table[name], shape) for name, shape in shapes.items()}
    )
    return result


COUNTS = ("degrees", "reached")
SIGNED = ("mean", "squared", "memory")


def _entry(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """A number, or nested tuples of numbers of that shape."""
    if shape:
        if not isinstance(value, list) or len(value) != shape[0]:
            raise ValueError(f"{name} is not of shape {shape}")
        return tuple(_entry(name, entry, shape[1:]) for entry in value)
    if name == "at_steps":
        return _square(value)
    if value is None and name not in COUNTS:
        return math.nan
    kind = int if name in COUNTS else float
    low = -math.inf if name in SIGNED else (1 if name == "degrees" else 0)
    if type(value) is not kind or not low <= value < math.inf or value == -math.inf:
        raise ValueError(f"{name} is not a number in its range")
    return value


def _square(value: Any) -> SquaredBias:
    """The norm of the mean gradient at one step."""
    names = [field.name for field in fields(SquaredBias)]
    if not isinstance(value, dict) or set(value) != set(names):
        raise ValueError(f"at_steps has no fields {', '.join(names)}")
    return SquaredBias(**{name: _entry(name, value[name], ()) for name in names})


def measured(experiment: Experiment, records: Sequence[Array]) -> Measured:
    """The result at one micro-batch size, from the records at each of run.steps."""
    run = experiment.run
    if run.measure == "bias":
        opposing = experiment.model.dragger.law == "opposing"
        return estimate(np.stack(records), run.steps, squared=opposing)
    if run.measure == "trajectory":
        pairs = [mean_and_error(values) for values in records]
        return Trajectories(*(_tuples([pair[k] for pair in pairs]) for k in (0, 1)))
    if run.measure == "average":
        columns = (_tuples([x[:, k] for x in records]) for k in range(len(AVERAGES)))
        return Averages(*columns)
    times = [np.where(values < 0, run.iterations, values) for values in records]
    pairs = [mean_and_error(values) for values in times]
    return HittingTimes(
        mean=tuple(float(mean) for mean, _ in pairs),
        standard_error=tuple(float(error) for _, error in pairs),
        reached=tuple(int((values >= 0).sum()) for values in records),
    )


def _tuples(values: Any) -> Any:
    array = np.asarray(values)
    return tuple(map(_tuples, array)) if array.ndim else float(array)


@dataclass(frozen=True)
class StepResult:
    """The norm of the mean gradient at one step; None where the run diverged."""

    step: float
    bias: float | None
    standard_error: float | None
    interval: tuple[float | None, float | None]


@dataclass(frozen=True)
class SizeResult:
    """The simulated bias at one size; None where it diverged or is not stationary.

    It is extrapolated to zero step from the biases `at_steps`.
    """

    micro_batch_size: Variant
    bias: float | None
    standard_error: float | None
    interval: tuple[float | None, float | None]
    at_steps: list[StepResult]


@dataclass(frozen=True)
class Best:
    """The size with the smallest simulated bias, and all that may be the best."""

    micro_batch_size: int | None
    confidence_set: list[int]


@dataclass(frozen=True)
class Result:
    """What `sim run` prints with measure = "bias"."""

    rule: str
    batch_size: int
    results: list[SizeResult]
    best: Best


@dataclass(frozen=True)
class MeasuredResult:
    """What `sim run` prints with another measure: a row for each size and step."""

    rule: str
    batch_size: int
    measure: str
    results: list[dict[str, Any]]


def summary(
    experiment: Experiment, done: dict[Variant, Measured]
) -> Result | MeasuredResult:
    """The documented result."""
    algorithm = experiment.algorithm
    run = experiment.run
    if run.measure == "bias":
        return _bias(
            experiment, {b: e for b, e in done.items() if isinstance(e, Estimate)}
        )
    rows = []
    for b, result in done.items():
        for i, step in enumerate(run.steps):
            row = {"micro_batch_size": b, "step": step}
            if isinstance(result, Trajectories):
                row |= _trajectory_row(run, result, i)
            elif isinstance(result, Averages):
                row |= _average_row(run, result, i)
            elif isinstance(result, HittingTimes):
                row |= {
                    "mean": result.mean[i],
                    "standard_error": result.standard_error[i],
                    "reached": result.reached[i],
                    "replicates": run.replicates,
                }
            rows.append(row)
    return MeasuredResult(algorithm.rule, algorithm.batch_size, run.measure, rows)


def _trajectory_row(run: Run, result: Trajectories, i: int) -> dict[str, Any]:
    row: dict[str, Any] = {"iterations": points(run)}
    for k, name in enumerate(QUANTITIES):
        row[name] = [point[k] for point in result.mean[i]]
        row[f"{name}_error"] = [point[k] for point in result.standard_error[i]]
    return row


def _average_row(run: Run, result: Averages, i: int) -> dict[str, Any]:
    """Means over runs, and quantiles of single runs."""
    row: dict[str, Any] = {"iterations": run.iterations, "replicates": run.replicates}
    for name in AVERAGES:
        row[name], row[f"{name}_error"] = result.of(name, i)
    runs = np.array(result.gradient_norm[i])
    row["quantiles"] = []
    for probability in QUANTILES:
        value, interval = quantile_interval(runs, probability)
        entry = {"probability": probability, "value": value, "interval": interval}
        row["quantiles"].append(entry)
    return row


def _bias(experiment: Experiment, estimates: dict[Variant, Estimate]) -> Result:
    run = experiment.run
    known = {b: e for b, e in estimates.items() if e.problem is None}
    results = [
        SizeResult(b, *_numbers(e.square if b in known else None), _at_steps(run, e))
        for b, e in estimates.items()
    ]
    best = min(known, key=lambda b: known[b].bias) if known else None
    sized = {b: e for b, e in estimates.items() if isinstance(b, int)}
    algorithm = experiment.algorithm
    smallest = Best(best, confidence_set(sized))
    return Result(algorithm.rule, algorithm.batch_size, results, smallest)


def _at_steps(run: Run, estimate: Estimate) -> list[StepResult]:
    """The biases at the run's steps."""
    pairs = zip(run.steps, estimate.at_steps, strict=True)
    return [
        StepResult(step, *_numbers(x if math.isfinite(x.bias) else None))
        for step, x in pairs
    ]


def _numbers(
    square: SquaredBias | None,
) -> tuple[float | None, float | None, tuple[float | None, float | None]]:
    """Bias, standard error and interval, None where there are none."""
    if square is None:
        return None, None, (None, None)
    return square.bias, square.standard_error, square.interval
