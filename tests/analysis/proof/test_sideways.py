"""Sideways draggers, α = 0: p cancels from the radius, also where it underflows."""

import numpy as np
import pytest

from analysis.claims import CLAIMS

SIZE = 65_536  # with ε = 0.2, p = 0.8^65536 = 10^-6351
AT = {"dragger_fraction": 0.2, "micro_batch_size": SIZE, "alignment": 0.0}
RUN = {"smoothness": 1.0, "initial_gap": 0.5, "horizon": 1000.0}


@pytest.mark.parametrize(
    ("claim", "value", "inputs"),
    [
        ("bias_radius", "bias_radius", {"noise_scale": 1.0}),
        ("averaged_guarantee", "averaged_bias", {"noise_scale": 1.0, **RUN}),
        ("several_domains", "pure_radius", {"noise_within": 1.0, "domain_spread": 0.0}),
        (
            "several_domains",
            "mixed_radius",
            {"noise_within": 1.0, "domain_spread": 0.0},
        ),
        (
            "finite_micro_batches",
            "bias_radius",
            {"noise_scale": 1.0, "score_ratio": 1.5},
        ),
    ],
)
def test_the_radius_is_the_noise_of_a_micro_batch(claim, value, inputs):
    assert CLAIMS[claim].evaluate(**AT, **inputs)[value] == pytest.approx(SIZE**-0.5)
    beyond = CLAIMS[claim].evaluate(**(AT | {"alignment": 1e-3}), **inputs)[value]
    assert np.isnan(beyond)  # past the breakdown there is none


def test_targets_and_bounds_are_numbers_or_infinite():
    """The target of a hitting time is reached.

    Times and bounds with 1/κ = e^14624 are infinite.
    """
    found = CLAIMS["hitting_time"].evaluate(
        **AT, noise_scale=1.0, excess=0.5, smoothness=1.0, initial_gap=0.5
    )
    assert found["target"] == pytest.approx(SIZE**-0.5 + 0.5)
    assert np.isposinf(found["hitting_time"])
    run = CLAIMS["high_probability"].evaluate(
        **AT,
        **RUN,
        noise_scale=1.0,
        batch_size=SIZE,
        failure_probability=0.1,
        split=0.5,
    )
    assert np.isposinf(run["probable_bound"])
    averaged = CLAIMS["averaged_guarantee"].evaluate(**AT, **RUN, noise_scale=1.0)
    assert np.isposinf(averaged["averaged_bound"])
