"""Which micro-batch size has the smallest loss at each horizon."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.algorithm import Run
from analysis.spec.experiment import Experiment
from analysis.speed.learning_curve import (
    Curve,
    Setting,
    Table,
    learning_curve,
    points,
    supported,
)

Array = NDArray[np.float64]
DEFAULT_POINTS = 20
# Multiples of the file's steps that are tried where the step is tuned.
TRIED = tuple(2.0**k for k in range(-4, 5))


@dataclass(frozen=True)
class SizeCurve:
    """One size: at each horizon [n] the loss with the best of the steps, and that step.

    A loss is infinite where the rule diverges with every step. gradient_norm is that of
    the same step. allowance: what the finite dimension may change of the loss above its
    minimum, relative; from about 1 on the curve says nothing.
    """

    micro_batch_size: int
    iterations: NDArray[np.int64]
    loss: Array
    gradient_norm: Array
    step: Array
    allowance: float


@dataclass(frozen=True)
class BestSize:
    """The size with the smallest loss after that many steps; None where all diverge."""

    iterations: int
    micro_batch_size: int | None
    step: float | None
    loss: float | None


def size_curves(experiment: Experiment, steps: Sequence[float]) -> list[SizeCurve]:
    """The learning curve of each size, in the file's order.

    At each horizon a size has the best of the steps, constant over the run. Raises
    SpecificationError where no curve is known: see `supported`.
    """
    setting, algorithm = Setting.of(experiment), experiment.algorithm
    horizons = horizons_of(experiment.run)
    found = []
    for b in algorithm.sizes:
        clipping = algorithm.clipping(b)
        times = clipping.micro_batches if algorithm.aggregate == "sum" else 1
        table = Table(setting, clipping)
        curves = [
            learning_curve(setting, clipping, times * step, horizons, table=table)
            for step in steps
        ]
        allowance = setting.allowance(table.clipping.micro_batch_size)
        found.append(_best_of(b, curves, np.asarray(steps), allowance))
    return found


def _best_of(b: int, curves: list[Curve], steps: Array, allowance: float) -> SizeCurve:
    """The curve of size b that has at each horizon the best of the steps [curves]."""
    losses = np.array([curve.loss for curve in curves])
    norms = np.array([curve.gradient_norm for curve in curves])
    best = np.argmin(losses, axis=0)
    n = np.arange(len(best))
    horizons = curves[0].iterations
    loss, norm = losses[best, n], norms[best, n]
    return SizeCurve(b, horizons, loss, norm, steps[best], allowance)


def horizons_of(run: Run) -> NDArray[np.int64]:
    """The iterations of a run that are looked at [n]."""
    return points(run.iterations, run.points or DEFAULT_POINTS)


def best_sizes(curves: Sequence[SizeCurve]) -> list[BestSize]:
    """The best size at each horizon; of equal ones the first."""
    losses = np.array([curve.loss for curve in curves])
    found = []
    for i, horizon in enumerate(curves[0].iterations):
        k = int(np.argmin(losses[:, i]))
        if not np.isfinite(losses[k, i]):
            found.append(BestSize(int(horizon), None, None, None))
            continue
        curve = curves[k]
        loss, step = float(curve.loss[i]), float(curve.step[i])
        found.append(BestSize(int(horizon), curve.micro_batch_size, step, loss))
    return found


def curve_table(experiment: Experiment, tune: bool = False) -> dict[str, Any]:
    """What `python -m analysis learning-curve` prints, as plain data and dataclasses.

    tune: try TRIED multiples of the file's steps too.
    """
    model = supported(experiment)
    steps = experiment.run.steps
    if tune:
        steps = tuple(sorted({k * step for step in steps for k in TRIED}))
    curves = size_curves(experiment, steps)
    return {
        "rule": experiment.algorithm.rule.value,
        "batch_size": experiment.algorithm.batch_size,
        "minimum": model.parameters.noise**2 / 2,
        "results": curves,
        "best": best_sizes(curves),
    }
