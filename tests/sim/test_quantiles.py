"""Intervals of quantiles."""

import numpy as np
import pytest
from scipy import stats

from sim.quantiles import quantile_interval


@pytest.mark.parametrize("probability", [0.9, 0.99, 0.5])
def test_order_statistics_enclose_quantiles(probability):
    """The j-th of n uniform numbers has a beta law: 0.5 % at most miss on each side."""
    n = 1000
    value, (low, high) = quantile_interval(np.arange(1.0, n + 1), probability)

    def too_low(j):
        return stats.beta.cdf(probability, j, n + 1 - j)

    assert value == pytest.approx(probability * n)
    assert 1 - too_low(low) <= 0.005 < 1 - too_low(low + 1)
    assert too_low(high) <= 0.005 < too_low(high - 1)


def test_an_interval_of_few_values_ends_at_their_ends():
    assert quantile_interval(np.array([3.0, 1.0, 2.0]), 0.5) == (2.0, (1.0, 3.0))
