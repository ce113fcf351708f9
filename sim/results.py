"""Results of a finished measure (bias, trajectory, hitting), and their JSON form."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from analysis.spec.algorithm import Run
from analysis.spec.experiment import Experiment
from sim.engines.state import recorded
from sim.estimate import Array, Estimate, confidence_set, estimate
from sim.measures import QUANTITIES, mean_and_error, points
from sim.variants import Variant

Table = tuple[tuple[tuple[float, ...], ...], ...]
DIVERGED = "some replicates diverged: try smaller run.steps"


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


Measured = Estimate | Trajectories | HittingTimes


def from_document(experiment: Experiment, table: Mapping[str, Any]) -> Measured:
    """The result in a table of a JSON document: the fields of its class, null for NaN.

    Raises ValueError or TypeError when a field is missing, unknown, of another type or
    shape than the experiment's results have, or out of range.
    """
    run = experiment.run
    steps = len(run.steps)
    kind: type[Any] = Estimate
    shapes: dict[str, tuple[int, ...]] = {field.name: () for field in fields(Estimate)}
    opposing = experiment.model.dragger.law == "opposing"
    shapes["mean"] = (1 if opposing else recorded(experiment.centred()),)
    if run.measure == "trajectory":
        shape = (steps, len(points(run)), len(QUANTITIES))
        kind = Trajectories
        shapes = {"mean": shape, "standard_error": shape}
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
    if value is None and name not in COUNTS:
        return math.nan
    kind = int if name in COUNTS else float
    low = -math.inf if name in SIGNED else (1 if name == "degrees" else 0)
    if type(value) is not kind or not low <= value < math.inf or value == -math.inf:
        raise ValueError(f"{name} is not a number in its range")
    return value


def measured(experiment: Experiment, records: Sequence[Array]) -> Measured:
    """The result at one micro-batch size, from the records at each of run.steps."""
    run = experiment.run
    if run.measure == "bias":
        opposing = experiment.model.dragger.law == "opposing"
        return estimate(np.stack(records), run.steps, squared=opposing)
    if run.measure == "trajectory":
        pairs = [mean_and_error(values) for values in records]
        return Trajectories(*(_tuples([pair[k] for pair in pairs]) for k in (0, 1)))
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
class SizeResult:
    """The simulated bias at one size; None where it diverged or is not stationary."""

    micro_batch_size: Variant
    bias: float | None
    standard_error: float | None
    interval: tuple[float | None, float | None]


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


def _bias(experiment: Experiment, estimates: dict[Variant, Estimate]) -> Result:
    known = {b: e for b, e in estimates.items() if e.problem is None}
    results = [
        SizeResult(b, e.bias, e.standard_error, e.interval)
        if b in known
        else SizeResult(b, None, None, (None, None))
        for b, e in estimates.items()
    ]
    best = min(known, key=lambda b: known[b].bias) if known else None
    sized = {b: e for b, e in estimates.items() if isinstance(b, int)}
    algorithm = experiment.algorithm
    smallest = Best(best, confidence_set(sized))
    return Result(algorithm.rule, algorithm.batch_size, results, smallest)
