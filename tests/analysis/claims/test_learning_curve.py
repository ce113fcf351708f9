"""Learning curves: the one step of the claim against features drawn one by one.

False-alarm probability of the test with random numbers: below 1e-8.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chi

from analysis.claims.attacks.learning_curve import (
    change,
    chi_mean,
    exact_direction,
    step_errors,
)
from analysis.claims.learning_curve import claim

DIMENSION = 20
SIZE = 3
AWAY = 0.7
NOISE = 0.5
DRAWS = 40_000
FAR = 6.5  # standard errors
SETTING = {"ell": 1.0, "R": math.hypot(AWAY, NOISE), "c_b": chi_mean(SIZE), "p": 0.8}
SETTING |= {"b": SIZE, "m": 4, "w": AWAY}


def directions(size):
    """Directions of clean micro-batches of that size [draws, d]; δ is along axis 0."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(DRAWS, size, DIMENSION))
    residual = AWAY * x[..., 0] - NOISE * rng.normal(size=(DRAWS, size))
    g = (residual[..., None] * x).mean(1)
    return g / np.linalg.norm(g, axis=1, keepdims=True)


def deviation(size):
    """Largest deviation of drawn moments of u from the exact ones, standard errors."""
    u = directions(size)
    mean, squares = exact_direction(SIZE, DIMENSION, AWAY, NOISE)
    pairs = [(u[:, 0], mean), (u[:, 0] ** 2, squares[0]), (u[:, 1] ** 2, squares[1])]
    return max(
        abs(values.mean() - exact) / (values.std() / math.sqrt(DRAWS))
        for values, exact in pairs
    )


def test_the_exact_direction_is_that_of_drawn_features():
    assert deviation(SIZE) < FAR


def test_another_size_would_be_seen():
    """The power twin."""
    assert deviation(SIZE + 1) > FAR


@pytest.mark.parametrize("b", [1, 2, 8, 50])
def test_the_mean_of_the_chi_distribution(b):
    assert chi_mean(b) == pytest.approx(chi.mean(b))


def test_the_error_falls_like_one_over_the_dimension():
    """In one setting, over a factor of 64: the remainder is of first order in 1/d."""
    errors = [
        step_errors(claim, 0.0, (d, NOISE, 0.5), **SETTING) for d in (100, 800, 6400)
    ]
    for larger, smaller in pairwise(errors):
        assert larger / smaller == pytest.approx(8, rel=0.1)


def test_a_step_of_length_zero_changes_nothing():
    at = SETTING | {"tr": 50.0, "v": 0.02, "gamma": 0.0}
    assert change(claim, 0.0, **at) == pytest.approx(0, abs=1e-15)


def test_a_short_step_goes_at_the_rate_of_the_claim():
    """Without variance, m → ∞: E δ shrinks by γpℓc_b/(R√tr)."""
    at = SETTING | {"tr": 50.0, "v": 0.02, "gamma": 1e-6, "m": 1e12}
    rate = 0.8 * chi_mean(SIZE) / (SETTING["R"] * math.sqrt(50))
    assert change(claim, 0.0, **at) == pytest.approx(-2e-6 * rate * AWAY**2, rel=1e-5)
