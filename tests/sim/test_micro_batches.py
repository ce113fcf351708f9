"""Micro-batch gradients at a point and their clipped norms, by moments and by loops.

The moments are within 5 standard errors: for the fixed seed, once and for all.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.spec.experiment import Experiment
from sim import reference
from sim.micro_batches import binned, clipped_norms, micro_batch_gradients

PRESET = Experiment.load(Path(__file__).parents[2] / "sim/presets/sweet_spot.toml")
SIZE = 4
COUNT = 3


def experiment(fraction=0.05, seed=1):
    algorithm = replace(
        PRESET.algorithm, batch_size=SIZE * COUNT, micro_batch_sizes=(SIZE,)
    )
    return replace(
        PRESET,
        model=replace(PRESET.model, dragger_fraction=fraction),
        algorithm=algorithm,
        run=replace(PRESET.run, seed=seed),
    )


def test_gradients_have_the_mean_and_the_noise_of_the_model():
    """E g = (1-ε)∇f + εDv, here with ∇f = w; without draggers the variance is σ²/b."""
    w = np.array([0.7, -0.3])
    for fraction in (0.05, 0.0):
        e = experiment(fraction)
        g = micro_batch_gradients(e, w, 20_000)
        assert g.shape == (20_000, COUNT, 2)
        dragger = e.model.dragger
        mean = (1 - fraction) * w + fraction * dragger.norm * np.array([-1.0, 0.0])
        flat = g.reshape(-1, 2)
        error = flat.std(axis=0) / np.sqrt(len(flat))
        assert np.abs(flat.mean(axis=0) - mean).max() < 5 * error.max()
    square = ((flat - w) ** 2).sum(axis=1)
    error = square.std() / np.sqrt(len(square))
    assert abs(square.mean() - e.model.noise_scale() ** 2 / SIZE) < 5 * error


def test_every_seed_draws_other_gradients_and_a_seed_the_same():
    first, again, other = (
        micro_batch_gradients(experiment(seed=seed), np.zeros(2), 5)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=-1).all()


def test_several_sizes_are_refused():
    e = replace(
        PRESET,
        algorithm=replace(PRESET.algorithm, batch_size=8, micro_batch_sizes=(2, 4)),
    )
    with pytest.raises(ValueError, match="too many values"):
        micro_batch_gradients(e, np.zeros(2), 1)


def test_the_clipped_norm_is_that_of_the_plain_loops():
    gradients = np.random.default_rng(1).normal(size=(5, 4, 2))
    norms, clip = clipped_norms(gradients)
    for i, batch in enumerate(gradients):
        loops = [reference.norm(g) for g in reference.adaptive(batch.tolist(), None)]
        assert loops == pytest.approx([clip[i, 0]] * 4)
        assert norms[i] == pytest.approx([reference.norm(g) for g in batch.tolist()])


def test_a_bin_by_loops():
    rng = np.random.default_rng(2)
    norms = rng.exponential(size=(40, 3))
    clip = norms.min(axis=1, keepdims=True)
    expected = 0.5 * norms
    inside = norms > 0.8
    rows = [
        [(norms[i, j], clip[i, 0], expected[i, j]) for j in range(3) if inside[i, j]]
        for i in range(40)
    ]
    flat = [row for mini_batch in rows for row in mini_batch]
    error = sum(sum(c - x for _, c, x in row) ** 2 for row in rows) ** 0.5 / len(flat)
    result = binned(inside, norms, clip, expected)
    means = [sum(column) / len(flat) for column in zip(*flat, strict=True)]
    assert result[:3] == pytest.approx(means)
    assert result.standard_error == pytest.approx(error)
    assert result.number == len(flat)


def test_the_error_of_a_bin_is_that_of_repeated_draws():
    """Micro-batches of one mini-batch are clipped alike: they are not independent."""
    rng = np.random.default_rng(3)
    norms = rng.exponential(size=(4000, 60, 8))
    differences = []
    errors = []
    for batch in norms:
        clip = batch.min(axis=1, keepdims=True)
        expected = np.full_like(batch, 1 / 8)
        result = binned(np.ones_like(batch, bool), batch, clip, expected)
        differences.append(result.clipped - result.expected)
        errors.append(result.standard_error)
    assert np.mean(np.square(errors)) ** 0.5 == pytest.approx(
        np.std(differences), rel=0.1
    )


def test_an_empty_bin_has_no_means():
    with pytest.raises(ZeroDivisionError):
        binned(
            np.zeros((2, 3), bool), np.ones((2, 3)), np.ones((2, 1)), np.ones((2, 3))
        )
