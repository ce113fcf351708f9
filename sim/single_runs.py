"""What single runs average, and quantiles over many of them."""

import numpy as np
from numpy.typing import NDArray

from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.estimate import CONFIDENCE
from sim.problems import landscape

Array = NDArray[np.float64]


def run_averages(experiment: Experiment, micro_batch_size: int, workers: int) -> Array:
    """The mean of ‖∇f‖ over the iterations 0 … T-1 in each replicate [replicates].

    The run has the first of the experiment's step sizes; `workers` is the number of
    threads, on which the result does not depend. Nothing is stored.
    """
    run = experiment.run
    loss = landscape(experiment)
    state = start(experiment)
    total = np.zeros(run.replicates)
    with Workers(workers) as threads:
        machine = engine(experiment, micro_batch_size, run.steps[0], workers=threads)
        for t in range(run.iterations):
            gradient = loss.gradient(np.asarray(state.w, np.float64))
            total += np.linalg.norm(gradient, axis=1)
            machine.advance(state, t, t + 1, record=False)
    return total / run.iterations


def quantile_interval(
    values: Array, probability: float
) -> tuple[float, tuple[float, float]]:
    """The quantile of independent values [n] at a probability, and its 99 % interval.

    The number of values below the true quantile is binomial, so that two order
    statistics enclose it; the probability of a miss is at most 0.5 % on each side,
    whatever the distribution. Few values reach no such order statistic: the interval
    then ends at the smallest or the largest, and misses more often.
    """
    from scipy import stats

    n = len(values)
    tail = (1 - CONFIDENCE) / 2
    ordered = np.sort(values)
    low, high = stats.binom.ppf([tail, 1 - tail], n, probability).astype(int)
    value = np.quantile(values, probability, method="inverted_cdf")
    ends = ordered[max(low - 1, 0)], ordered[min(high, n - 1)]
    return float(value), (float(ends[0]), float(ends[1]))
