"""The rate of SGD: proved, attacked by exact runs, evaluated.

One test shows where its assumption is needed.
"""

import numpy as np
import pytest

from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.exact_runs import Loss, Run, Samples, quadratic_run
from analysis.claims.sgd_rate import claim

AT = {
    "smoothness": 2.0,
    "initial_gap": 4.0,
    "horizon": 100,
    "batch_size": 10,
    "noise_scale": 2.0,
    "dragger_norm": 6.0,
    "dragger_fraction": 0.5,
}


def test_value_by_hand():
    """V = (2 + 18)/10 = 2: (2·2·4/100 + 2√(2·2·4·2/100))/0.5, η = √(8/(2·2·100))."""
    values = claim.evaluate(**AT)
    assert values["squared_bound"] == pytest.approx((0.16 + 2 * np.sqrt(0.32)) / 0.5)
    assert values["gradient_bound"] == pytest.approx(np.sqrt(values["squared_bound"]))
    assert values["learning_rate"] == pytest.approx(np.sqrt(0.02))


def test_a_short_run_takes_the_longest_stable_step():
    assert (
        claim.evaluate(**(AT | {"horizon": 1, "noise_scale": 0.1}))["learning_rate"]
        <= 0.5
    )
    at = AT | {"dragger_fraction": 0.0, "noise_scale": 1e-6}
    assert claim.evaluate(**at)["learning_rate"] == 0.5


def test_the_bound_falls_like_the_fourth_root_and_grows_with_the_draggers():
    bounds = [
        claim.evaluate(**(AT | {"horizon": T}))["gradient_bound"] for T in (1e10, 16e10)
    ]
    assert bounds[0] / bounds[1] == pytest.approx(2, rel=1e-3)
    large = claim.evaluate(**(AT | {"dragger_norm": 1e6}))["gradient_bound"]
    assert large > 100 * claim.evaluate(**AT)["gradient_bound"]


def test_draggers_with_a_mean_break_it():
    """Draggers of the same norm that all point back: the run rests above the bound."""
    at = AT | {"horizon": 100_000, "dragger_norm": 50.0}
    values = claim.evaluate(**at)
    noise = Distribution(np.array([-2.0, 2.0]), np.full(2, 0.5))
    run = Run(Loss("quadratic", 2.0), 2.0, float(values["learning_rate"]), 100_000)
    for probabilities, below in (([0.5, 0.5], True), ([1.0, 0.0], False)):
        draggers = Distribution(np.array([-50.0, 50.0]), np.array(probabilities))
        squares = quadratic_run(run, Samples(noise, draggers, 0.5), 10)
        assert (squares.mean() <= values["squared_bound"]) == below
