"""Which experiments can be simulated: in memory, in the iterates' precision, in time.

Theory takes more than simulation does; all of this is asked before any work starts.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from analysis.spec.algorithm import BATCH_MEANS
from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment
from analysis.spec.limits import LARGEST_STEP
from analysis.spec.model import GradientModel

# Numbers whose squares are far from overflow in the precision of the iterates.
LARGEST_SINGLE = 1e15
LARGEST_DOUBLE = 1e150
LARGEST_DOUBLE_STEP = 1e75  # whose fourth power is a number in float64
MOST_AVERAGES = 10**6  # of single runs in a result: 40 MB
SHORTEST_RUN = 0.1  # of the shortest relaxation time that there may be


def require_feasible(experiment: Experiment) -> None:
    """Raise SpecificationError for an experiment that cannot be simulated."""
    require_memory(experiment)
    require_precision(experiment)
    require_relaxation(experiment)


def require_memory(experiment: Experiment) -> None:
    """Raise SpecificationError if a simulation exceeds memory; theory never does."""
    d = experiment.model.dimension
    m = _most_micro_batches(experiment)
    if d * m > LARGEST_STEP:
        allowed = (
            f"at most {LARGEST_STEP // m} with {m} micro-batches (a step "
            "must fit in memory)"
        )
        refuse("model.dimension", d, allowed)
    if d * BATCH_MEANS > LARGEST_STEP:
        allowed = f"at most {LARGEST_STEP // BATCH_MEANS} (results must fit in memory)"
        refuse("model.dimension", d, allowed)
    run = experiment.run
    if run.measure == "average" and run.replicates > MOST_AVERAGES:
        allowed = f"at most {MOST_AVERAGES} with run.measure = 'average'"
        refuse("run.replicates", run.replicates, f"{allowed} (every one is kept)")
    if d * experiment.run.replicates > LARGEST_STEP:
        allowed = (
            f"at most {LARGEST_STEP // d} in dimension {d} (results must fit in memory)"
        )
        refuse("run.replicates", experiment.run.replicates, allowed)


def _most_micro_batches(experiment: Experiment) -> int:
    """The number of micro-batches at the smallest size."""
    return -(-experiment.algorithm.batch_size // min(experiment.algorithm.sizes))


def require_precision(experiment: Experiment) -> None:
    """Raise SpecificationError if squares of its numbers overflow or lose digits.

    A threshold too large for that clips nothing, in float64 as in theory.
    """
    run = experiment.run
    single = run.precision == "float32"
    limit = LARGEST_SINGLE if single else LARGEST_DOUBLE
    other = "float64" if single else "other numbers"
    if not single:
        _require_steps(run.steps)
    largest = max(_sizes(_large_numbers(experiment)))
    if not largest <= limit:
        allowed = f"{other} for numbers above {limit:g} (here {largest:g})"
        refuse("run.precision", run.precision, allowed)
    if _smallest_number(experiment) < 1 / limit or max(run.steps) > limit:
        allowed = (
            f"{other} for a threshold or a micro-batch's noise below {1 / limit:g} "
        )
        allowed += f"or steps beyond {1 / limit:g} to {limit:g}"
        refuse("run.precision", run.precision, allowed)


def _require_steps(steps: tuple[float, ...]) -> None:
    """Refuse step sizes whose powers leave the range of float64."""
    low, high = 1 / LARGEST_DOUBLE_STEP, LARGEST_DOUBLE_STEP
    for i, step in enumerate(steps):
        if not low <= step <= high:
            allowed = f"from {low:g} to {high:g} in a simulation (its powers count)"
            refuse(f"run.steps[{i}]", step, allowed)


def _large_numbers(experiment: Experiment) -> list[Any]:
    """The numbers of the model and the run, nested, and those that follow from them."""
    model = experiment.model.to_mapping()
    model["dragger"] = {k: v for k, v in model["dragger"].items() if k != "active"}
    numbers: list[Any] = [model, experiment.run.start]
    threshold = experiment.algorithm.threshold
    if threshold not in (None, math.inf) and experiment.run.precision == "float32":
        numbers.append(threshold)
    if isinstance(experiment.model, GradientModel):
        start = np.zeros(experiment.model.dimension)
        start[slice(None) if isinstance(experiment.run.start, tuple) else 0] = (
            experiment.run.start
        )
        numbers += [
            experiment.model.noise_scale(),
            experiment.model.gradient(start).tolist(),
        ]
    return numbers


def _smallest_number(experiment: Experiment) -> float:
    """The smallest of step, threshold and a micro-batch's noise."""
    smallest = min(experiment.run.steps)
    threshold = experiment.algorithm.threshold
    if threshold is not None:
        smallest = min(smallest, threshold)
    if isinstance(experiment.model, GradientModel):
        noise = experiment.model.noise_scale()
        largest_size = max(experiment.algorithm.sizes)
        smallest = min(smallest, noise / math.sqrt(largest_size) or math.inf)
    return smallest


def _sizes(value: Any) -> Iterator[float]:
    """The absolute values of all numbers in nested mappings and lists, and 0."""
    yield 0.0
    if isinstance(value, (int, float)):
        yield abs(value)
    elif isinstance(value, Mapping):
        yield from _sizes(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _sizes(entry)


def require_relaxation(experiment: Experiment) -> None:
    """Raise SpecificationError if a bias is asked of runs that cannot forget w_0.

    One step takes at most its size times the largest curvature of the way to a
    stationary point, under every rule that only shortens gradients: all but
    `normalized`; so does a step with momentum, but not one of Adam.
    """
    model, run = experiment.model, experiment.run
    optimizer = experiment.algorithm.optimizer
    adam = optimizer is not None and optimizer.kind == "adam"
    if (
        not isinstance(model, GradientModel)
        or not experiment.algorithm.rule.only_shortens
    ):
        return
    if adam or run.measure != "bias":
        return
    curvature = float(np.max(model.curvature))
    if experiment.algorithm.aggregate == "sum":
        curvature *= _most_micro_batches(experiment)
    least = SHORTEST_RUN / (run.iterations * curvature)
    for i, step in enumerate(run.steps):
        if step < least:
            allowed = f"at least {least:.3g} with run.iterations = {run.iterations}"
            refuse(
                f"run.steps[{i}]",
                step,
                f"{allowed} (a shorter run does not come to rest)",
            )
