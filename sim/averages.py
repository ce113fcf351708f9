"""The average over a run of what a trajectory records at some of its iterations."""

import numpy as np
from numpy.typing import ArrayLike

from analysis.spec.algorithm import Run
from sim.measures import points


def average(run: Run, start: float, recorded: ArrayLike) -> float:
    """The mean over t = 0, …, T-1 of a quantity, in its own unit.

    `start` is its value at t = 0, `recorded` [points] are those after the iterations
    that `sim.measures.points` names; in between, they are interpolated linearly. For
    the standard errors of a quantity, with start 0, it is an upper bound on the
    standard error of the mean, however they are correlated in time: the triangle
    inequality.
    """
    t = np.arange(run.iterations)
    values = [start, *np.asarray(recorded, np.float64)]
    return float(np.interp(t, [0, *points(run)], values).mean())
