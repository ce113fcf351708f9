"""Single precision does not bias the results: the same random numbers in both.

Trajectories that are driven by the same numbers stay together, so the difference of the
two estimates is nearly free of statistical error. It is not a random quantity: there is
no false alarm.
"""

from dataclasses import replace

import numpy as np
import pytest

from analysis.spec.experiment import Experiment
from sim.presets import presets
from sim.sweep.measure import simulate

PRESET = Experiment.load(presets()["sweet_spot"])


@pytest.mark.parametrize("rule", ["adaptive", "normalized", "sgd"])
def test_both_precisions_find_the_same_bias(rule):
    """To a hundredth of a standard error; another seed is 100 times farther."""
    algorithm = replace(PRESET.algorithm, rule=rule, micro_batch_sizes=(8, 64))
    single = replace(
        PRESET, algorithm=algorithm, run=replace(PRESET.run, iterations=2000)
    )
    double = replace(single, run=replace(single.run, precision="float64"))
    other = replace(single, run=replace(single.run, seed=2))
    found = [simulate(e, None, 2, False) for e in (single, double, other)]
    for b in algorithm.micro_batch_sizes:
        first, same, different = (np.array(estimates[b].mean) for estimates in found)
        error = np.sqrt(found[0][b].along) / 2
        assert np.abs(first - same).max() < 0.01 * error
        assert np.abs(first - different).max() > 0.1 * error
