"""Limits of the exact bias, by hand, by many dimensions and by recursion."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.rest.limits import bias_in_many_dimensions, sgd_mean_square
from analysis.rest.stable import exact_bias
from analysis.spec.checking import SpecificationError
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian, Rare
from analysis.spec.rule import Clipping

EPSILON = 0.01
BATCH = 256


def model(dimension):
    return GradientModel(
        dimension, EPSILON, Gaussian("gaussian", 1.0), Dragger("persistent", 20.0, -1.0)
    )


@pytest.mark.parametrize(
    ("rule", "tolerance"), [("normalized", 4e-6), ("adaptive", 3e-3)]
)
@pytest.mark.parametrize("b", [8, 32])
def test_limit_by_the_exact_bias_in_many_dimensions(rule, tolerance, b):
    """The excess falls like 1/d, under Algorithm 1 like 1/√d."""
    limit = bias_in_many_dimensions(model(3), Clipping(rule, BATCH, b))
    far = exact_bias(model(10**5), rule, BATCH, b).bias
    assert limit == pytest.approx(far, rel=tolerance)
    assert limit < far


def test_limit_by_hand_without_contaminated_pairs():
    """Clean single samples have the cosine G/√(G²+σ²), draggers point straight back."""
    lean = EPSILON / (1 - EPSILON)
    limit = bias_in_many_dimensions(model(1), Clipping("normalized", BATCH, 1))
    assert limit == pytest.approx(lean / np.sqrt(1 - lean**2), 1e-12)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"noise": Rare("rare", 0.1, 3.0, 0.3)}, "normalized"),
        ({"dragger": Dragger("isotropic", 3.0)}, "normalized"),
        ({}, "sgd"),
    ],
)
def test_other_models_have_no_limit_here(change, rule):
    with pytest.raises(SpecificationError, match="must be"):
        bias_in_many_dimensions(replace(model(2), **change), Clipping(rule, BATCH, 8))


@pytest.mark.parametrize("step", [0.01, 0.3, 1.0])
def test_mean_square_of_sgd_by_the_recursion(step):
    """The mean over 500 steps, the second moment step by step, by samples."""
    fraction = 0.01
    norm = 500.0
    batch = 96
    start = 10.0
    line = GradientModel(
        1, fraction, Gaussian("gaussian", 1.5), Dragger("isotropic", norm)
    )
    square = start**2
    squares = []
    for _ in range(500):
        squares.append(square)
        # E g² of one sample
        sample = (1 - fraction) * (square + 1.5**2) + fraction * norm**2
        mean = (1 - fraction) ** 2 * square  # E g g' of two
        of_batch = sample / batch + (1 - 1 / batch) * mean
        square += -2 * step * (1 - fraction) * square + step**2 * of_batch
    found = sgd_mean_square(line, batch, step=step, iterations=500, start=start)
    assert found == pytest.approx(np.mean(squares), rel=1e-12)
    with pytest.raises(SpecificationError, match="isotropic draggers"):
        sgd_mean_square(model(1), batch, step=step, iterations=500, start=start)
