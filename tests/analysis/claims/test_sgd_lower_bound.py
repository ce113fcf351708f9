"""What no constant step of SGD goes below: by hand, by recursion, and who is faster."""

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.exact_runs import Loss, Run, Samples, quadratic_run
from analysis.claims.attacks.sgd_lower_bound import mean_squares
from analysis.claims.sgd_lower_bound import claim

AT = {
    "smoothness": 1.0,
    "initial_gap": 1.0,
    "batch_size": 256.0,
    "noise_scale": 1.0,
    "dragger_norm": 1e3,
    "dragger_fraction": 0.01,
}
STEPS = np.geomspace(1e-8, 1, 4000)


def test_value_by_hand():
    """V = (2 + 18)/10 = 2, R = √(2·2·4·2/T)/0.5 = 1 at T = 128; ρ = 16, ζ from both."""
    at = {"smoothness": 2.0, "initial_gap": 4.0, "batch_size": 10, "noise_scale": 2.0}
    at |= {"dragger_norm": 6.0, "dragger_fraction": 0.5, "horizon": 128}
    values = claim.evaluate(**at)
    split = (-17 + np.sqrt(17**2 + 8)) / 2
    assert values["squared_bound"] == pytest.approx(1 - split)
    assert (1 - split) * (2 + split) == pytest.approx(16 * split)
    assert values["gradient_bound"] == pytest.approx(np.sqrt(1 - split))


def test_the_closed_form_of_a_run_is_the_recursion():
    """Noise ±σ and draggers ±D, the recursion of exact_runs."""
    at = AT | {"horizon": 50, "batch_size": 4.0, "dragger_norm": 3.0}
    at |= {"dragger_fraction": 0.3, "smoothness": 2.0}
    even = np.full(2, 0.5)
    noise = Distribution(np.array([-1.0, 1.0]), even)
    samples = Samples(noise, Distribution(np.array([-3.0, 3.0]), even), 0.3)
    for step in (0.01, 0.2, 0.5):
        run = Run(Loss("quadratic", 2.0), 1.0, step, 50)
        by_steps = quadratic_run(run, samples, 4).mean()
        assert mean_squares(at, np.array([step]))[0] == pytest.approx(by_steps)


@pytest.mark.parametrize(
    ("horizon", "best"),
    [(1e3, 0.5228), (1e4, 0.2973), (1e5, 0.1678), (1e6, 0.0944), (1e7, 0.0531)],
)
def test_the_best_step_lies_between_the_bounds(horizon, best):
    """√(mean G²) of the best constant step: in the end it is the lower bound."""
    at = AT | {"horizon": horizon}
    found = float(np.sqrt(mean_squares(at, STEPS).min()))
    assert found == pytest.approx(best, abs=1e-4)
    lower = float(claim.evaluate(**at)["gradient_bound"])
    upper = float(CLAIMS["sgd_rate"].evaluate(**at)["gradient_bound"])
    assert lower < found < upper
    assert found / lower - 1 < 5 / np.sqrt(horizon)


def test_the_two_bounds_are_a_factor_two_apart_in_the_square():
    at = AT | {"horizon": 1e14}
    upper = CLAIMS["sgd_rate"].evaluate(**at)["squared_bound"]
    assert upper / claim.evaluate(**at)["squared_bound"] == pytest.approx(2, rel=1e-4)


def test_clipping_is_faster_than_every_constant_step():
    """B = 16 at D = 10³: not a comparison of bounds only. At D = 10 it is not."""
    at = {"horizon": 1e3, "smoothness": 1.0, "initial_gap": 1.0, "noise_scale": 1.0}
    clipping = CLAIMS["averaged_guarantee"].evaluate(
        **at, dragger_fraction=0.01, micro_batch_size=16, alignment=1.0
    )["averaged_bound"]
    assert clipping == pytest.approx(0.3664, abs=1e-3)
    below = {
        norm: claim.evaluate(**(AT | at | {"dragger_norm": norm}))["gradient_bound"]
        for norm in (10.0, 1e3)
    }
    assert below[10.0] < clipping < below[1e3]


def test_a_step_that_falls_is_not_covered():
    """The twin: η_t = 2/(L(t+10)) has a smaller mean square of the last half alone."""
    at = AT | {"horizon": 1e5, "dragger_norm": 10.0, "dragger_fraction": 1e-9}
    variance = (1 + 1e-9 * 100) / 256
    x = 2.0
    squares = np.empty(100_000)
    for t in range(squares.size):
        squares[t] = x
        step = 2 / (t + 10)
        x = (1 - step) ** 2 * x + step**2 * variance
    bound = claim.evaluate(**at)["squared_bound"]
    assert squares[squares.size // 2 :].mean() < 0.1 * bound
