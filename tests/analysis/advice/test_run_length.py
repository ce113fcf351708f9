"""Guarantees for single runs at the best split, and the window of b_T's growth."""

import numpy as np
import pytest

from analysis.advice.run_length import growth_window, probable_bound
from analysis.claims import CLAIMS

PROBLEM = {
    "dragger_fraction": 0.01,
    "noise_scale": 1.0,
    "alignment": 1.0,
    "smoothness": 1.0,
    "initial_gap": 50.0,
}


@pytest.mark.parametrize("failure", [0.1, 0.01])
def test_the_split_is_the_best_of_a_grid(failure):
    run = {"horizon": 100, "failure_probability": failure}
    sizes = {"micro_batch_size": 8, "batch_size": 32}
    claim = CLAIMS["high_probability"]
    grid = np.linspace(0.001, 0.999, 2000)
    bounds = claim.evaluate(split=grid, **run, **sizes, **PROBLEM)["probable_bound"]
    best = probable_bound(**run, **sizes, **PROBLEM)
    assert best == pytest.approx(bounds.min(), rel=1e-5)
    assert best <= bounds.min()


def test_the_window_closes_where_sizes_are_small():
    """x* → 0: exactly 1/3. At x* = 0.02 and 0.04, from 1 - 4x* < S < 1."""
    assert growth_window([0.0, 0.0], 10) == pytest.approx((1 / 3, 1 / 3))
    low, high = growth_window([0.02, 0.04], 10)
    assert low == pytest.approx(1 / 3 + 2 / 3 * np.log10(0.84))
    assert high == pytest.approx(1 / 3 - 2 / 3 * np.log10(0.92))


@pytest.mark.parametrize("horizon", [30.0, 1e3])
def test_the_slope_is_in_the_window(horizon):
    """b_T itself, at two horizons a factor of 3 apart."""
    values = CLAIMS["finite_horizon"].evaluate(
        horizon=np.array([horizon, 3 * horizon]), **PROBLEM
    )
    first, last = values["micro_batch_size"]
    low, high = growth_window(values["scaled_size"], 3)
    assert low < np.log(last / first) / np.log(3) < high
