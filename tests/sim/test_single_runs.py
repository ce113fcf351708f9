"""Averages of single runs, and intervals of quantiles, as the figure horizon has."""

import numpy as np
import pytest
from scipy import stats

from analysis.spec.experiment import Experiment
from sim.single_runs import quantile_interval, run_averages


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


def test_the_average_of_a_run_without_noise():
    """SGD on a bowl: ∇f_t = λ(1-γλ)^t w_0 in each direction, whatever the threads."""
    experiment = Experiment.from_mapping(
        {
            "model": {
                "dimension": 2,
                "curvature": [1.0, 3.0],
                "dragger_fraction": 0.0,
                "noise": {"law": "gaussian", "scale": 1e-12},
                "dragger": {"law": "opposing", "norm": 1.0},
            },
            "algorithm": {"rule": "sgd", "batch_size": 8, "micro_batch_sizes": [8]},
            "run": {
                "steps": [0.2],
                "iterations": 20,
                "start": [4.0, 1.0],
                "replicates": 3,
                "precision": "float64",
                "measure": "trajectory",
            },
        }
    )
    t = np.arange(20)
    expected = np.hypot(4.0 * 0.8**t, 3.0 * 0.4**t).mean()
    averages = run_averages(experiment, 8, workers=1)
    assert averages == pytest.approx([expected] * 3, rel=1e-9)
    assert (run_averages(experiment, 8, workers=2) == averages).all()
