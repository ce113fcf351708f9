"""Algorithm 1 as an M-estimator: proved, enumerated, and against plain loops."""

import numpy as np

from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.m_estimator_identity import both_sides
from sim.reference import adaptive, mean


def test_two_micro_batches_by_hand():
    """Norms 1 and 2 in opposite directions, even chances: H(1) = 1, H(2) = 3/2."""
    points, chances = np.array([[1.0], [-2.0]]), np.array([0.5, 0.5])
    direct, score = both_sides(Distribution(points, chances), 2)
    assert direct == -0.25
    assert score == -0.25


def test_the_enumeration_is_algorithm_1():
    """One outcome at a time, the reference's Algorithm 1 gives the same mean."""
    rng = np.random.default_rng(3)
    points, chances = rng.normal(size=(3, 2)), np.array([0.5, 0.3, 0.2])
    total = np.zeros(2)
    for first in range(3):
        for second in range(3):
            clipped = adaptive([list(points[first]), list(points[second])], None)
            total += chances[first] * chances[second] * np.array(mean(clipped))
    np.testing.assert_allclose(
        both_sides(Distribution(points, chances), 2)[1], total, rtol=1e-12
    )


def test_the_score_of_another_number_of_micro_batches_is_off():
    points, chances = np.array([[1.0], [-2.0]]), np.array([0.5, 0.5])
    direct, _ = both_sides(Distribution(points, chances), 2)
    _, wrong = both_sides(Distribution(points, chances), 3)
    assert abs(direct - wrong) > 0.1
