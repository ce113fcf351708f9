"""The finite-step figure: slopes have a second route.

Each agreement raises a false alarm once in a million true cases. The exact stationary
distributions have theirs in tests/analysis/rest/test_stationary.py.
"""

import pytest

from analysis.rest.fluctuation import fluctuation
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from figures.finite_step import SIZE, experiment_of


def spoil_shift(data):
    """Exact shifts 15 % larger."""
    for p in data["rules"]["normalized"]["points"]:
        p["z"] -= 0.15 * p["exact"] / p["error"]


def spoil_slope(rule):
    """A slope 2 % off."""

    def spoil(data):
        data["rules"][rule]["slope"] *= 1.02

    return spoil


def spoil_sign(rule):
    def spoil(data):
        point = data["rules"][rule]["points"][2]
        point["interval"] = [-x for x in reversed(point["interval"])]

    return spoil


def spoil_extrapolated(data):
    """As if the largest steps extrapolated to the exact bias."""
    for rule in data["rules"].values():
        point = rule["extrapolated"][0]
        point["z"] *= point["value"] / (point["value"] - point["exact"])


def spoil_order(data):
    """As if what is left were of third order."""
    for p in data["rules"]["normalized"]["extrapolated"]:
        p["exact"] *= p["step"]


def spoil_left(data):
    data["rules"]["adaptive"]["extrapolated"][0]["exact"] *= -1


def spoil_limit(i):
    def spoil(data):
        data["finite"][i] = not data["finite"][i]

    return spoil


SPOILERS = {
    "shift": [spoil_shift],
    "slope": [spoil_slope("normalized"), spoil_slope("adaptive")],
    "signs": [spoil_sign("normalized"), spoil_sign("adaptive")],
    "extrapolated": [spoil_extrapolated],
    "second_order": [spoil_order, spoil_left],
    "limit": [spoil_limit(0), spoil_limit(1), spoil_limit(2)],
}


def test_the_claim_in_one_dimension_is_the_general_expansion(document):
    for rule, entry in document["data"]["rules"].items():
        experiment = experiment_of(rule, {})
        update = Update(experiment.gradient_model, experiment.algorithm.clipping(SIZE))
        (point,) = stationary_points(update)
        near = fluctuation(update, point.gradient)
        assert entry["slope"] == pytest.approx(near.slope, rel=2e-3)
        assert entry["drift_slope"] == pytest.approx(near.contraction, rel=1e-3)
