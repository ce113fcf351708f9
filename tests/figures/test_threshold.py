"""The threshold figure: every sentence can fail, and the worst case has a second route.

Exact values and simulations are compared at a false-alarm rate of 1 in a million a family.
"""

import pytest

import figures.threshold
from analysis.rest.stable import ExactBias
from figures.checks import CheckError
from figures.threshold import BATCH, SIZES, THRESHOLDS, figure
from sim.estimate import quantile


def shift(points, fraction, key="z"):
    """The scores as they would be if what is compared with were smaller by that fraction."""
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
    data["panels"][0]["exact"]["bias"] = [1.2 * x for x in data["panels"][0]["exact"]["bias"]]


def spoil_minimum(data):
    data["panels"][1]["worst"]["radius"][100] = data["panels"][1]["best"]["bias_radius"] * 0.999


def spoil_minimax(data):
    data["minimax"] *= 1.001


def spoil_limit(data):
    data["panels"][0]["worst"]["radius"][0] *= 1.001


def spoil_cost(data):
    data["panels"][1]["best"]["bias_radius"] *= 1.02


SPOILERS = (
    *(spoil_single, spoil_several, spoil_worst, spoil_exact),
    *(spoil_minimum, spoil_minimax, spoil_limit, spoil_cost),
)


@pytest.mark.parametrize(("i", "spoil"), list(enumerate(SPOILERS)))
def test_every_check_can_fail(refused, i, spoil):
    """Exact values 10 to 20 % off, a worst case 30 % lower, closed forms 0.1 % or 2 % off."""
    assert i in refused(spoil)


def test_as_many_spoilers_as_checks(document):
    assert len(document["checks"]) == len(SPOILERS)


def test_files_are_the_same_bytes_every_time(written_twice):
    a, b = written_twice
    assert a == b


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_what_is_simulated(profile):
    """Every threshold of both sizes, in mini-batches that both sizes divide."""
    experiments = figure.experiments(profile)
    assert len({e.name for e in experiments}) == len(experiments)
    for size in SIZES:
        chosen = [e.algorithm.threshold for e in experiments if e.algorithm.sizes == (size,)]
        assert chosen == list(THRESHOLDS[size])
        assert BATCH % size == 0


def test_a_threshold_without_rest_is_refused(monkeypatch):
    """Where the search finds no root there is no bias, least of all one of 0."""
    lost = ExactBias(10, None, ())
    monkeypatch.setattr(figures.threshold, "exact_bias", lambda *_, **__: lost)
    with pytest.raises(CheckError, match="no exact point of rest at thresholds"):
        figure._panel(10, figure.experiments("quick"), {}, 2)
