"""The finite-step figure: every sentence can fail; slopes and laws by second routes.

Each agreement raises a false alarm once in a million true cases.
"""

import pytest

from analysis.rest.fluctuation import fluctuation
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.rule import Clipping
from figures.finite_step import b, experiment_of, figure, m


def spoil_exact(data):
    for p in data["rules"]["normalized"]["points"]:
        p["z"] -= 0.15 * p["exact"] / p["error"]


def spoil_slope(rule):
    def spoil(data):
        data["rules"][rule]["slope"] *= 1.02

    return spoil


def spoil_sign(data):
    point = data["rules"]["adaptive"]["points"][2]
    point["interval"] = [-x for x in reversed(point["interval"])]


def spoil_extrapolated(data):
    """As if the largest steps extrapolated to the exact bias."""
    for rule in data["rules"].values():
        point = rule["extrapolated"][0]
        point["z"] *= point["value"] / (point["value"] - point["exact"])


def spoil_order(data):
    """As if what is left were of third order."""
    for p in data["rules"]["normalized"]["extrapolated"]:
        p["exact"] *= p["step"]


def spoil_limit(data):
    data["finite"][0] = False


@pytest.mark.parametrize(
    ("spoil", "which"),
    [
        (spoil_exact, 0),
        (spoil_slope("normalized"), 1),
        (spoil_slope("adaptive"), 1),
        (spoil_sign, 2),
        (spoil_extrapolated, 3),
        (spoil_order, 4),
        (spoil_limit, 5),
    ],
)
def test_every_check_can_fail(refused, spoil, which):
    """An exact shift 15 % off, a slope 2 % off, a sign changed, a third order."""
    assert which in refused(spoil)


def test_nothing_is_stored():
    assert [figure.experiments(profile) for profile in ("quick", "full")] == [[], []]


def test_files_are_the_same_bytes_every_time(written_twice):
    a, b = written_twice
    assert a == b


def test_the_claim_in_one_dimension_is_the_general_expansion(document):
    for rule, found in document["data"]["rules"].items():
        update = Update(experiment_of(rule, {}).gradient_model, Clipping(rule, b * m, b))
        (point,) = stationary_points(update)
        near = fluctuation(update, point.gradient)
        assert found["slope"] == pytest.approx(near.slope, rel=2e-3)
        assert found["drift_slope"] == pytest.approx(near.contraction, rel=1e-3)
