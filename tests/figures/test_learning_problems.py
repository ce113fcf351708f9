"""The figure of the learning problems, quick profile.

False alarms: one in a million for the agreement at rest and for the comparison of sizes there; what
is said of training rests on separate 99 % intervals.
"""

import numpy as np
import pytest

from analysis.model import Experiment
from figures.learning_problems import PROBLEMS, figure, optimum
from sim.presets import presets
from sim.problems import build


def another_prediction(data):
    for name in ("linear_regression", "two_layer"):
        predicted = data[name]["predicted"]
        predicted["value"] = [1.5 * x for x in predicted["value"]]
        predicted["standard_error"] = [x / 2 for x in predicted["standard_error"]]


def another_best_at_rest(data):
    data["two_layer"]["rest"][0]["value"] *= 3


def at_rest_after_all(data):
    data["logistic_regression"]["moving"][0]["unrest"] = 3.0


def another_best_after_training(data):
    reached = data["two_layer"]["reached"]
    reached[0]["value"] = 0.5 * reached[2]["value"]


def sgd_nearer(data):
    reached = data["linear_regression"]["reached"]
    reached[-1]["interval"] = [0.5 * x for x in reached[-1]["interval"]]


SPOILED = [
    (another_prediction, 0),
    (another_best_at_rest, 1),
    (at_rest_after_all, 2),
    (another_best_after_training, 3),
    (sgd_nearer, 4),
]


@pytest.mark.parametrize(("spoil", "which"), SPOILED)
def test_every_check_can_fail(refused, spoil, which):
    """Predictions 50 % off, one bias tripled, unrest of 3, one norm halved, SGD's halved."""
    assert which in refused(spoil)


def test_as_many_spoilers_as_checks(document):
    assert len(document["checks"]) == len(SPOILED)
    assert document["title"] == figure.title


@pytest.mark.parametrize("name", PROBLEMS)
def test_optimum_is_stationary(name):
    problem = build(Experiment.load(presets()[name]))
    assert np.linalg.norm(problem.gradient(optimum(problem))) < 1e-12


def test_prediction_of_sgd_by_hand(document):
    """Opposed responses: (1-ε)Σ(w - w*) + εΣ(w + M w*) = 0 gives ∇f = -ε(1 + M)Σw*."""
    experiment = Experiment.load(presets()["linear_regression"])
    about, eps = experiment.model.parameters, experiment.model.dragger_fraction
    exact = eps * (1 + about.magnitude) * np.linalg.norm(about.spectrum)
    found = document["data"]["linear_regression"]["predicted"]
    assert abs(found["value"][-1] - exact) < 5 * found["standard_error"][-1]
    assert found["noise_scale"] == pytest.approx(np.sqrt(sum(about.spectrum)), rel=0.02)


def test_same_bytes(written_twice):
    first, second = written_twice
    assert first == second
