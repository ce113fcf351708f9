"""The best size at a horizon: proved, attacked, a second route, two limits."""

import numpy as np
import pytest
from scipy import optimize, special

from analysis.claims import CLAIMS
from analysis.claims.finite_horizon import claim

AT = {
    "smoothness": 2.0,
    "initial_gap": 10.0,
    "horizon": 10_000,
    "noise_scale": 3.0,
    "dragger_fraction": 0.001,
    "alignment": 1.0,
}


def guarantee(b, **changes):
    values = CLAIMS["averaged_guarantee"].evaluate(**(AT | changes), micro_batch_size=b)
    return float(values["averaged_bound"])


@pytest.mark.parametrize(
    "changes", [{}, {"alignment": 0.2}, {"horizon": 300, "noise_scale": 30.0}]
)
def test_minimiser_by_a_second_route(changes):
    values = claim.evaluate(**(AT | changes))
    breakdown = np.log1p(1 / (AT | changes)["alignment"]) / -np.log1p(-0.001)
    found = optimize.minimize_scalar(
        lambda b: guarantee(b, **changes),
        bounds=(1, 0.99 * breakdown),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert values["micro_batch_size"] == pytest.approx(found.x, rel=1e-4)
    assert values["averaged_bound"] == pytest.approx(found.fun, rel=1e-10)


def test_long_runs_take_the_averaged_sweet_spot():
    values = claim.evaluate(**(AT | {"horizon": 1e20}))
    assert values["scaled_size"] == pytest.approx(
        special.lambertw(np.exp(0.5)).real - 0.5, rel=1e-6
    )


def test_short_runs_take_a_size_that_grows_like_the_cube_root():
    """At x* much below 1, and (2(1+α)r)^(-2/3) as a number."""
    at = AT | {"noise_scale": 1e-5}
    sizes = [
        float(claim.evaluate(**(at | {"horizon": T}))["scaled_size"])
        for T in (100, 800)
    ]
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=1e-2)
    r = np.sqrt(2 * 2 * 10 / 100) / (1e-5 * np.sqrt(-np.log1p(-0.001)))
    assert sizes[0] == pytest.approx((4 * r) ** (-2 / 3), rel=1e-2)


def test_a_size_below_one_becomes_one():
    at = AT | {"noise_scale": 1e-5, "horizon": 1}
    values = claim.evaluate(**at)
    assert values["micro_batch_size"] == 1
    assert values["averaged_bound"] == pytest.approx(guarantee(1, **at))
    assert guarantee(1, **at) < guarantee(2, **at)


def test_nothing_when_a_single_sample_is_beyond_the_breakdown():
    assert np.isnan(
        claim.evaluate(**(AT | {"dragger_fraction": 0.6}))["averaged_bound"]
    )
