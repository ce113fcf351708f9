"""Exact runs: the lattice against every path, laws with the moments they claim."""

import numpy as np
import pytest

from analysis.claims.attacks.distributions import Distribution, mean_of
from analysis.claims.attacks.exact_runs import (
    SHAPES,
    Batch,
    Loss,
    Run,
    Samples,
    every_path,
    hitting_time,
    mean_square,
    normalized_outcomes,
    normalized_run,
    quadratic_run,
    random_batch,
    random_loss,
    random_noise,
    sgd_outcomes,
)


@pytest.mark.parametrize("shape", SHAPES)
def test_losses_have_their_slope_smoothness_and_lowest_value(shape):
    loss, w = Loss(shape, 3.0, 0.7), np.linspace(-4, 4, 4001)
    value, slope, h = loss.value(w), loss.slope(w), w[1] - w[0]
    assert value.min() == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(np.gradient(value, w)[1:-1], slope[1:-1], atol=1e-4)
    steepest = np.abs(np.diff(slope) / h).max()
    assert 2.99 < steepest < 3 + 1e-9


def test_noise_has_its_moments_and_means_average():
    rng = np.random.default_rng(3)
    for _ in range(20):
        law = random_noise(rng, 1.5)
        for count, (atoms, chances) in ((1, law), (3, mean_of(law, 3))):
            assert chances.sum() == pytest.approx(1)
            assert chances @ atoms == pytest.approx(0, abs=1e-12)
            assert chances @ atoms**2 == pytest.approx(1.5**2 / count)


def test_the_worst_noise_has_the_smallest_mean_direction():
    """(G² - s²)/(G² + s²) at s² = σ²/b, contaminated micro-batches -α."""
    batch = Batch(0.2, 0.5, 4, 1, 2.0)
    chances = batch.directions(np.array([3.0, -3.0]))
    mean = chances @ np.array([-1.0, 0.0, 1.0])
    p = 0.8**4
    np.testing.assert_allclose(mean, np.array([1, -1]) * (p * 0.8 - 0.5 * (1 - p)))


def test_a_short_lattice_loses_what_leaves_it():
    loss, batch = Loss("quadratic", 1.0), Batch(0.01, 1.0, 1, 2, 1.0)
    run = Run(loss, 1.0, 0.1, 200)
    norms, values = normalized_run(run, batch)
    wide, _ = normalized_run(run, batch, 60)
    np.testing.assert_allclose(wide, norms, rtol=1e-9)
    short = normalized_run(run, batch, 3)
    assert (short[0] <= norms * (1 + 1e-12)).all()
    assert (short[1] <= values * (1 + 1e-12)).all()
    assert short[0][-1] < 0.9 * norms[-1]


def test_the_lattice_agrees_with_every_path():
    rng = np.random.default_rng(5)
    for _ in range(10):
        loss, batch = random_loss(rng), random_batch(rng)
        run = Run(loss, 1.3, rng.uniform(0.1, 1), 4)
        norms, values = normalized_run(run, batch)
        chance, along = every_path(run, normalized_outcomes(run, batch))
        assert chance.sum() == pytest.approx(1)
        np.testing.assert_allclose(chance @ along, norms, atol=1e-12)
        assert values[0] == pytest.approx(loss.value(np.array(1.3)))
        target = 0.5 * norms[0]
        arrived = np.minimum.accumulate(along, 1) <= target
        expected = chance @ (~arrived).sum(1)
        assert hitting_time(run, batch, target) == pytest.approx(expected)


def test_sgd_without_noise_contracts():
    """A quadratic and a dragger of zero: mean w shrinks by 1 - η(1-ε)L a step."""
    nothing = Distribution(np.zeros(1), np.ones(1))
    run = Run(Loss("quadratic", 2.0), 1.0, 0.1, 3)
    outcomes = sgd_outcomes(run, Samples(nothing, nothing, 0.25), 2)
    probability, norms = every_path(run, outcomes)
    expected = 2 * (1 - 0.1 * 0.75 * 2) ** np.arange(3)
    np.testing.assert_allclose(probability @ norms, expected)


def test_moments_on_a_quadratic_agree_with_every_path():
    rng = np.random.default_rng(2)
    run = Run(Loss("quadratic", 2.0), 0.7, 0.2, 4)
    draggers = Distribution(np.array([-3.0, 1.0]), np.array([0.7, 0.3]))
    for count in (1, 2):
        samples = Samples(random_noise(rng, 1.0), draggers, 0.3)
        probability, norms = every_path(run, sgd_outcomes(run, samples, count))
        squares = quadratic_run(run, samples, count)
        np.testing.assert_allclose(probability @ norms**2, squares, rtol=1e-12)
        for by_moments in (True, False):
            average = mean_square(run, samples, count, by_moments=by_moments)
            assert average == pytest.approx(squares.mean(), rel=1e-12)
