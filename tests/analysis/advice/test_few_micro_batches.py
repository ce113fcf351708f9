"""The bound for few micro-batches beside the exact bias."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.advice.few_micro_batches import few_micro_batches_radius
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian
from analysis.spec.rule import Clipping

SIZE = 8


def algorithm_1(model, count):
    return Update(model, Clipping("adaptive", SIZE * count, SIZE))


def test_the_radius_of_few_micro_batches_bounds_the_bias():
    """It may say nothing; for many micro-batches it is the linear p s/(2p - 1)."""
    dragger = Dragger("persistent", 30.0, (-1.0,))
    model = GradientModel(1, 0.01, Gaussian("gaussian", 1.0), dragger)
    radii = []
    for count in (4, 64):
        update = algorithm_1(model, count)
        (point,) = stationary_points(update)
        radii.append(few_micro_batches_radius(update, point.gradient))
        assert point.norm < radii[-1]
    p = 0.99**SIZE
    assert (
        radii[0] > radii[1] == pytest.approx(p / np.sqrt(SIZE) / (2 * p - 1), rel=0.01)
    )
    strong = replace(model, dragger=Dragger("persistent", 1e6, (-1.0,)))
    update = algorithm_1(strong, 2)
    (point,) = stationary_points(update)
    assert few_micro_batches_radius(update, point.gradient) is None
