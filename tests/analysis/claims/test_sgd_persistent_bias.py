"""SGD when draggers agree: proved, attacked by exact runs, evaluated.

A quadratic attains the bound.
"""

import numpy as np
import pytest

from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.exact_runs import Loss, Run, Samples, quadratic_run
from analysis.claims.attacks.sgd_persistent_bias import straight_back
from analysis.claims.sgd_persistent_bias import claim

AT = {
    "smoothness": 2.0,
    "initial_gap": 3.0,
    "horizon": 1000,
    "batch_size": 10,
    "noise_scale": 2.0,
    "dragger_norm": 6.0,
    "dragger_mean": 4.0,
    "dragger_fraction": 0.2,
    "alignment": 0.5,
    "learning_rate": 0.1,
}


def test_value_by_a_second_route():
    """The quadratic c X² - aX = K, built from its parts, solved with numpy.roots."""
    values = claim.evaluate(**AT)
    lost = 2.0 * 0.1
    gain = 0.8 * (1 - lost * (0.8 + 0.02) / 2)
    push = 0.5 * 0.2 * 4 * (1 - lost * 0.8 * 0.9)
    noise = 0.9 * (0.2 * 4) ** 2 + (0.8 * 4 + 0.2 * 36) / 10
    k = 3 / 100 + lost * noise / 2
    assert values["gradient_bound"] == pytest.approx(np.roots([gain, -push, -k]).max())
    assert values["small_step_bias"] == pytest.approx(0.5 * 0.2 * 4 / 0.8)


def test_the_bias_grows_with_the_draggers_without_end():
    at = AT | {
        "learning_rate": 1e-6,
        "horizon": 1e12,
        "dragger_norm": 1e6,
        "dragger_mean": 1e6,
    }
    values = claim.evaluate(**at)
    assert values["gradient_bound"] == pytest.approx(
        values["small_step_bias"], rel=1e-2
    )
    assert values["small_step_bias"] == pytest.approx(0.5 * 0.25 * 1e6)


@pytest.mark.parametrize("step", [0.01, 0.5, 1.0])
def test_a_quadratic_attains_it_at_every_step_size(step):
    rest = 0.25 * 4
    noise = Distribution(np.zeros(1), np.ones(1))
    samples = Samples(noise, straight_back(4.0, 4.0), 0.2)
    run = Run(Loss("quadratic", 1.0), rest, step, 10**5)
    squares = quadratic_run(run, samples, 10**10)
    at = AT | {
        "smoothness": 1.0,
        "initial_gap": rest**2 / 2,
        "horizon": 1e5,
        "alignment": 1.0,
    }
    at |= {
        "learning_rate": step,
        "dragger_norm": 4.0,
        "noise_scale": 1e-6,
        "batch_size": 1e10,
    }
    bound = float(claim.evaluate(**at)["gradient_bound"])
    assert np.sqrt(squares.mean()) == pytest.approx(bound, rel=1e-3)
    assert np.sqrt(squares.mean()) <= bound * (1 + 1e-12)


def test_nothing_for_longer_steps_and_for_a_mean_above_the_norm():
    bounds = claim.evaluate(**(AT | {"learning_rate": [0.5, 0.51]}))["gradient_bound"]
    assert np.isfinite(bounds).tolist() == [True, False]
    values = claim.evaluate(**(AT | {"dragger_mean": [6.0, 6.1]}))
    assert np.isfinite(values["gradient_bound"]).tolist() == [True, False]
    assert np.isfinite(values["small_step_bias"]).tolist() == [True, False]


def test_no_push_from_the_side_only_noise():
    values = claim.evaluate(
        **(AT | {"alignment": 0.0, "learning_rate": 1e-7, "horizon": 1e12})
    )
    assert values["small_step_bias"] == 0
    assert values["gradient_bound"] < 0.01
