"""The shift at a finite step: derived, against an exact chain's stationary law."""

import pytest

from analysis.claims.attacks.finite_step import stationary_mean
from analysis.claims.finite_step import claim


def test_the_chain_of_a_linear_drift_is_centred():
    assert stationary_mean(0.1, 1e-9, 1.0) == pytest.approx(0.0, abs=1e-8)


def test_extrapolation_removes_the_shift():
    """Two steps, extrapolated linearly, leave an error of second order."""
    coarse, fine = (stationary_mean(step, 0.5, 1.0) for step in (0.1, 0.05))
    assert abs(2 * fine - coarse) < 0.1 * abs(fine)
    shift = claim.evaluate(
        drift_slope=1.0, drift_bend=0.5, update_variance=1.0, step_size=0.05
    )
    assert fine == pytest.approx(shift["shift"], rel=0.03)  # the rest is of order γ
