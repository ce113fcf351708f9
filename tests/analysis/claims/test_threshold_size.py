"""Single samples are best with the best threshold: proved, attacked, evaluated."""

import numpy as np
import pytest

from analysis.claims.minimax import claim as minimax
from analysis.claims.optimal_threshold import claim as threshold
from analysis.claims.threshold_size import claim


def test_the_radius_rises_with_the_size_and_starts_at_the_minimax_bound():
    at = {"epsilon": 0.01, "sigma": 2.0, "alpha": 1.0}
    radii = threshold.evaluate(b=np.arange(1, 69), **at)["bias_radius"]
    assert (np.diff(radii) > 0).all()
    assert radii[0] == pytest.approx(
        minimax.evaluate(epsilon=0.01, sigma=2.0)["minimax_bias"]
    )
    values = claim.evaluate(b=np.arange(1, 69), **at)
    assert values["bias_radius"] * values["cost_of_size"] == pytest.approx(radii)


def test_a_tenth_of_a_dragger_per_micro_batch_costs_eight_per_cent():
    cost = claim.evaluate(b=1000, epsilon=-np.expm1(-1e-4), alpha=1.0, sigma=1)[
        "cost_of_size"
    ]
    assert cost == pytest.approx(1.084, abs=1e-3)


def test_nothing_beyond_the_breakdown():
    values = claim.evaluate(b=[68, 69], epsilon=0.01, alpha=1.0, sigma=1)
    assert np.isfinite(values["cost_of_size"]).tolist() == [True, False]
    beyond = claim.evaluate(b=[1, 4], epsilon=0.6, alpha=0.8, sigma=1)
    assert np.isnan(list(beyond.values())).all()
