"""The threshold figure: what is simulated, and what each check sees.

Exact values and simulations are compared at a false-alarm rate of 1 in a million a
family.
"""

import pytest

import figures.threshold
from analysis.rest.stable import ExactBias
from figures.kit.checks import CheckError
from figures.kit.profiles import Profile
from figures.threshold import BATCH, SIZES, THRESHOLDS, exact_biases, figure
from sim.estimate import quantile


def shift(points, fraction, key="z"):
    """The scores if what is compared with were smaller by that fraction."""
    for point in points:
        low, high = point["interval"]
        error = (high - low) / 2 / quantile(0.995, point["degrees"])
        point[key] += fraction * point["value"] / error


def spoil_single(data):
    shift(data["panels"][0]["simulation"], 0.1)


def spoil_several(data):
    shift(data["panels"][1]["simulation"], 0.15)


def spoil_worst(data):
    """A worst case 30 % lower, where the law comes closest to it."""
    for panel in data["panels"]:
        for point in panel["simulation"]:
            shift([point], (0.3 * point["radius"]) / point["value"], "above")


def spoil_exact(data):
    data["panels"][0]["exact"]["bias"] = [
        1.2 * x for x in data["panels"][0]["exact"]["bias"]
    ]


def spoil_minimum(data):
    data["panels"][1]["worst"]["radius"][100] = (
        data["panels"][1]["best"]["bias_radius"] * 0.999
    )


def spoil_place(data):
    data["panels"][0]["best"]["threshold"] *= 1.001


def spoil_minimax(data):
    data["minimax"] *= 1.001


def spoil_limit(data):
    data["panels"][0]["worst"]["radius"][0] *= 1.001


def spoil_cost(data):
    data["panels"][1]["best"]["bias_radius"] *= 1.02


def spoil_normalized(data):
    data["normalized_best"]["ratio"] = 1.9


SPOILERS = {
    "exact_1": [spoil_single],
    "exact_10": [spoil_several],
    "simulated_below": [spoil_worst],
    "exact_below": [spoil_exact],
    "minimum": [spoil_minimum, spoil_place],
    "minimax": [spoil_minimax],
    "small_thresholds": [spoil_limit],
    "price": [spoil_cost, spoil_normalized],
}


@pytest.mark.parametrize("profile", Profile)
def test_what_is_simulated(profile):
    """Every threshold of both sizes, in mini-batches that both sizes divide."""
    experiments = figure.experiments(profile)
    assert len({e.name for e in experiments}) == len(experiments)
    for size in SIZES:
        chosen = [
            e.algorithm.threshold for e in experiments if e.algorithm.sizes == (size,)
        ]
        assert chosen == list(THRESHOLDS[size])
        assert BATCH % size == 0


def test_a_threshold_without_rest_is_refused(monkeypatch):
    """Where the search finds no root there is no bias, least of all one of 0."""
    lost = ExactBias(10, None, ())
    monkeypatch.setattr(figures.threshold, "exact_bias", lambda *_, **__: lost)
    model = figure.experiments(Profile.QUICK)[0].gradient_model
    with pytest.raises(CheckError, match=r"b = 10: no stationary point at c = 0\.5"):
        exact_biases(model, 10, [0.5])
