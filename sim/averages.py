"""What trajectories record, and its average over a run."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.spec.algorithm import Run
from sim.measures import QUANTITIES, points
from sim.results import Trajectories

Array = NDArray[np.float64]


def recorded(result: Trajectories, quantity: str) -> tuple[Array, Array]:
    """Means of a quantity and their standard errors [points] each, at the first step.

    `quantity` is one of `sim.measures.QUANTITIES`; raises ValueError for another one.
    """
    column = QUANTITIES.index(quantity)
    tables = (np.array(table[0]) for table in (result.mean, result.standard_error))
    mean, error = (table[:, column] for table in tables)
    return mean, error


def run_average(
    run: Run, result: Trajectories, quantity: str, *, start: float
) -> tuple[float, float]:
    """The mean of a quantity over t = 0, …, T-1, and a bound on its standard error.

    In the unit of the quantity, which is `start` at t = 0. The bound is the average of
    the standard errors, an upper one however these are correlated in time: the triangle
    inequality. Raises ValueError as `recorded`.
    """
    mean, error = recorded(result, quantity)
    return time_average(run, start, mean), time_average(run, 0.0, error)


def time_average(run: Run, start: float, values: ArrayLike) -> float:
    """The mean over t = 0, …, T-1 of the start and of values after recorded iterations.

    The iterations [points] are those that `sim.measures.points` names; in between,
    values [points] are interpolated linearly.
    """
    t = np.arange(run.iterations)
    after = np.asarray(values, np.float64)
    return float(np.interp(t, [0, *points(run)], [start, *after]).mean())
