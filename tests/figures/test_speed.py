"""The figure of speed in the quick profile: its numbers by other routes.

False alarms: five in a million, from the simulations.
"""

import math

import numpy as np
import pytest
from scipy import special

from figures.speed import BATCH, FRACTION, LONGER, RUN_DIMENSION, STEP_DIMENSION


def exact_off(data):
    """An efficiency without the draggers' share (1-ε)^(2b)."""
    for point in data["steps"]:
        error = point["standard_error"]
        point["exact"] /= (1 - FRACTION) ** (2 * point["micro_batch_size"])
        point["z"] = (point["value"] - point["exact"]) / error


def another_best(data):
    data["efficiency"]["adaptive"][3] = 0.2


def another_formula(data):
    data["best_size"] = 0.5 / FRACTION


def no_fluctuation(data):
    data["efficiency"]["adaptive"][0] = data["efficiency"]["normalized"][0]


def slower(data):
    data["efficiency"]["adaptive"][2] *= 0.9


def no_contamination(data):
    data["efficiency"]["adaptive"][-1] = 0.9 * data["efficiency"]["normalized"][-1]


def trained(rule, b, value):
    def spoil(data):
        for point in data["training"]:
            if (point["rule"], point["micro_batch_size"]) == (rule, b):
                point["value"] = value

    return spoil


SPOILERS = {
    "agreement": [exact_off],
    "best": [another_best, another_formula],
    "fluctuation": [no_fluctuation, slower],
    "contaminated": [no_contamination],
    "training": [
        trained("normalized", 4, 0.06),
        trained("adaptive", 1, 0.0),
        trained("adaptive", 16, 0.005),
    ],
    "sgd": [trained("normalized", 16, 0.9)],
}


def test_the_normalized_rule_by_its_closed_form(document):
    """Draggers without end: (1-ε)^(2b)(E χ_b)²B/(bd), over one plus itself or so.

    Those of finite length leave a little of the samples beside them, and the signal
    has its own share of a length, about b/d of its square.
    """
    lines = document["data"]["efficiency"]["normalized"]
    for b, efficiency in zip(document["data"]["sizes"], lines, strict=True):
        mean = math.sqrt(2) * special.poch(b / 2, 0.5)
        pull = (1 - FRACTION) ** b * mean / math.sqrt(STEP_DIMENSION)
        m = BATCH // b
        long = m * pull**2 / (1 + (m - 1) * pull**2)
        low, high = 1 - 1.2 * b / STEP_DIMENSION, 1 + 0.6 * b / LONGER
        assert low * long < efficiency < high * long


def test_training_with_the_best_steps(document):
    """Algorithm 1 falls by (1 - Eff)^(T/2) where its efficiency stays what it was.

    It falls as draggers become relatively longer, so that training is no faster.
    """
    share = STEP_DIMENSION / RUN_DIMENSION
    data = document["data"]
    for point in data["training"]:
        if point["rule"] == "adaptive" and point["micro_batch_size"] == 4:
            small = data["efficiency"]["adaptive"][2]
            efficiency = share * small / (1 + (share - 1) * small)
            assert 0.8 < point["value"] / (1 - efficiency) ** 20 < 6


def test_the_tuned_step_is_inside_the_range_that_was_tried(document):
    """At the best size, for both rules."""
    tuned = {
        point["rule"]: point["tried"]
        for point in document["data"]["training"]
        if point["micro_batch_size"] == 4
    }
    assert tuned == {"normalized": 1, "adaptive": 1}


@pytest.mark.parametrize("rule", ["normalized", "adaptive"])
def test_the_best_size_is_between_its_neighbours(document, rule):
    values = np.array(document["data"]["efficiency"][rule])
    assert np.all(np.diff(values[:3]) > 0)
    assert np.all(np.diff(values[2:]) < 0)
