"""The figure of the learning problems, quick profile.

Predictions are held to a tolerance of 20 % (one Newton step, and a derivative whose error is not
counted, are not exact); biases within it are refused once in a million. So often, too, equal sizes
are told apart in the checks; the caption's sets of best sizes hold at 99 %. With differences as
large as those found, other seeds would fail less than once in 1000.
"""

import numpy as np
import pytest

from analysis.spec.experiment import Experiment
from figures.learning_problems import PROBLEMS, figure, optimum
from sim.presets import presets
from sim.problems import build


def another_prediction(data):
    for name in ("linear_regression", "two_layer"):
        predicted = data[name]["predicted"]
        predicted["value"] = [x / 2 for x in predicted["value"]]
        predicted["square_error"] = [x / 4 for x in predicted["square_error"]]


def attracted_after_all(data):
    data["two_layer"]["predicted"]["contraction"][-1] = 0.01


def slower_at_rest(data):
    data["two_layer"]["rest"][0]["value"] *= 10


def at_rest_after_all(data):
    data["logistic_regression"]["moving"][0]["unrest"] = 3.0


def single_samples_nearer(data):
    data["two_layer"]["reached"][0]["value"] /= 3.8


def sgd_nearer(data):
    data["linear_regression"]["reached"][-1]["value"] /= 4


SPOILED = [
    (another_prediction, 0),
    (attracted_after_all, 1),
    (slower_at_rest, 2),
    (at_rest_after_all, 3),
    (single_samples_nearer, 4),
    (sgd_nearer, 4),
]


@pytest.mark.parametrize(("spoil", "which"), SPOILED)
def test_every_check_can_fail(refused, spoil, which):
    """Predictions halved, one bias tenfold, unrest of 3, one norm a quarter, SGD's a quarter."""
    assert which in refused(spoil)


def test_as_many_spoilers_as_checks(document):
    assert len(document["checks"]) == len({which for _, which in SPOILED})
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
