"""The schedule of sizes: proved, attacked, a second route, beginning and end."""

import numpy as np
import pytest
from scipy import optimize

from analysis.claims import CLAIMS
from analysis.claims.phase_schedule import claim

FRACTION = 0.005
SIGMA = 2.0


def evaluate(gradient, fraction=FRACTION):
    return claim.evaluate(
        gradient_norm=gradient, dragger_fraction=fraction, noise_scale=SIGMA
    )


def drift_bound(b, gradient):
    values = CLAIMS["drift"].evaluate(
        micro_batch_size=b,
        gradient_norm=gradient,
        dragger_fraction=FRACTION,
        noise_scale=SIGMA,
        alignment=1.0,
    )
    return values["drift_bound"]


@pytest.mark.parametrize("gradient", [0.3, 1.0, 5.0])
def test_maximiser_by_a_second_route(gradient):
    found = optimize.minimize_scalar(
        lambda b: -float(drift_bound(b, gradient)),
        bounds=(1, 400),
        method="bounded",
        options={"xatol": 1e-9},
    )
    values = evaluate(gradient)
    assert values["micro_batch_size"] == pytest.approx(found.x, rel=1e-5)
    assert values["drift_bound"] == pytest.approx(-found.fun, rel=1e-10)


def test_value_by_hand():
    """4G²/(λσ²) = 8 at λ = 1/2, σ = 1, G = 1: 2/(0.5·(1 + 3)) = 1."""
    values = claim.evaluate(
        gradient_norm=1.0, dragger_fraction=1 - np.exp(-0.5), noise_scale=1.0 + 1e-12
    )
    assert values["micro_batch_size"] == pytest.approx(1)


def test_it_rises_to_the_sweet_spot_at_the_bias_radius():
    spot = CLAIMS["sweet_spot"].evaluate(
        dragger_fraction=FRACTION, noise_scale=SIGMA, alignment=1.0
    )
    values = evaluate(spot["bias_radius"] * np.array([1, 2, 4, 8]))
    assert values["micro_batch_size"][0] == pytest.approx(spot["micro_batch_size"])
    assert values["drift_bound"][0] == pytest.approx(0, abs=1e-12)
    assert (np.diff(values["micro_batch_size"]) < 0).all()


def test_one_sample_far_away():
    values = evaluate(1e4)
    assert values["micro_batch_size"] == 1
    assert (drift_bound(np.arange(1, 20), 1e4) <= values["drift_bound"]).all()


def test_no_best_size_without_draggers():
    values = evaluate(1.0, fraction=0.0)
    assert values["micro_batch_size"] == np.inf
    assert np.isnan(values["drift_bound"])
