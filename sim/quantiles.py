"""Quantiles of independent values, such as the averages of single runs."""

import numpy as np
from numpy.typing import NDArray

from sim.estimate import CONFIDENCE

Array = NDArray[np.float64]


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
