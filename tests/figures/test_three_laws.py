"""Three laws in the quick profile.

False alarms: the two agreements, and the best sizes against all others, one in a
million each.
"""

import numpy as np
import pytest


def test_caption_quotes_the_data(document):
    rarest = document["data"]["sets"][-1]
    factor = rarest["worst_case"] / rarest["exact"]
    assert any(f"differ by a factor of {factor:.1f}" in n for n in document["notes"])


def shift(points):
    """Exact values 7 % lower; 2.75 standard errors are half an interval."""
    for p in points:
        low, high = p["interval"]
        p["z"] += 0.07 * p["exact"] * 2 * 2.75 / (high - low)


def spoil_agreement(data):
    shift(data["sets"][0]["points"])


def spoil_turned(data):
    shift(data["example"]["turned_points"])


def spoil_set(data):
    data["sets"][0]["best"] = data["sets"][0]["points"][-1]["micro_batch_size"]


def tilt(data, name):
    """The slope changed by 0.05."""
    for row in data["curve"]:
        row[name] *= row["dragger_fraction"] ** -0.05


def spoil_slope(data):
    tilt(data, "exact")


def spoil_worst_case(data):
    tilt(data, "worst_case")


def spoil_fastest(data):
    tilt(data, "fastest")


def spoil_bounds(data):
    """A tenth more: the slope is the same."""
    for row in data["curve"]:
        row["fastest"] *= 1.1


def spoil_lower_bound(data):
    for row in data["curve"]:
        row["fastest"] *= 0.9


def spoil_concavity(data):
    """One size is 5 % better than it is; not the best one."""
    data["speed"][0]["relative_efficiency"][40] *= 1.05


def spoil_peak(data):
    data["speed"][2]["fastest"] *= 1.1


def spoil_cancellation(data):
    data["example"]["turned_size"] = [b + 4 for b in data["example"]["turned_size"]]


def spoil_signs(data):
    data["example"]["turned"] = [abs(x) for x in data["example"]["turned"]]


SPOILERS = {
    "bias": [spoil_agreement],
    "turned": [spoil_turned],
    "best_size": [spoil_set],
    "slope": [spoil_slope],
    "worst_case_slope": [spoil_worst_case],
    "fastest": [spoil_fastest, spoil_bounds, spoil_lower_bound],
    "one_maximum": [spoil_concavity, spoil_peak],
    "cancellation": [spoil_cancellation, spoil_signs],
}


@pytest.mark.parametrize("check", SPOILERS)
def test_nothing_else_is_refused(refused, check):
    for spoil in SPOILERS[check]:
        assert refused(spoil) == {check}


def test_formula_is_approached(document):
    """Exact over formula: 1 - 1/(2√b) or so, closer to 1 as draggers become rarer."""
    rows = [row for row in document["data"]["curve"] if row["dragger_fraction"] < 0.05]
    error = np.array([1 - row["exact"] / row["formula"] for row in rows])
    root = np.array([row["formula"] for row in rows]) ** 0.5
    assert (np.diff(error) > 0).all()
    assert (error * root > 0.4).all()
    assert (error * root < 0.6).all()
