"""The sweet-spot figure in the quick profile.

False alarms: each agreement, and the best size against all others, one in a million.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from figures.kit.checks import Check, CheckError
from figures.kit.profiles import Profile
from figures.sweet_spot import figure

RESULTS = Path(__file__).parents[2] / "results"


def shifted(percent, rule=None):
    """The exact biases that many percent larger."""

    def spoil(data):
        for point in (data[rule] if rule else data)["simulation"]:
            point["z"] -= percent / 100 * point["exact"] / point["standard_error"]

    return spoil


def spoil_normalized_radius(data):
    line = data["normalized"]
    line["bias_radius"] = [None if r is None else 0.4 * r for r in line["bias_radius"]]


def spoil_best_size(data):
    data["best"]["exact"] = 16


def spoil_order(data):
    data["sgd"] = 0.5


def spoil_fixed_radius(data):
    data["fixed"]["bias_radius"] = [0.7 * r for r in data["fixed"]["bias_radius"]]


def spoil_minimax(data):
    data["minimax"] *= 1.000001


def spoil_rise(data):
    data["bound"]["fixed_radius"][100] = data["bound"]["fixed_radius"][99]


def spoil_ratio(data):
    data["bound"]["bias_radius"] = [0.7 * r for r in data["bound"]["bias_radius"]]


SPOILERS = {
    "adaptive": [shifted(5)],
    "normalized_radius": [spoil_normalized_radius],
    "best_size": [spoil_best_size],
    "order": [spoil_order],
    "normalized": [shifted(10, "normalized")],
    "fixed": [shifted(10, "fixed")],
    "fixed_radius": [spoil_fixed_radius],
    "minimax": [spoil_minimax, spoil_rise, spoil_ratio],
}


def test_the_caption_quotes_the_gain(document):
    assert "3.3 times smaller than SGD's." in document["caption"]


def test_best_threshold_is_the_best_of_the_worst_cases(document):
    """In plain numbers: it minimises s²/(4c(1-θ)) + θc; twice it costs a quarter."""
    fixed = document["data"]["fixed"]
    fraction = 0.01
    noise = np.sqrt(3.0**2 * 0.1 / 0.9 + 0.3**2)
    columns = (fixed[key] for key in ("micro_batch_size", "threshold", "bias_radius"))
    for b, c, radius in zip(*columns, strict=True):
        clean = (1 - fraction) ** b
        theta, s = (1 - clean) / clean, noise / np.sqrt(b)
        at = {
            f: s**2 / (4 * f * c * (1 - theta)) + theta * f * c
            for f in (1, 2, 0.99, 1.01)
        }
        assert radius == pytest.approx(at[1], rel=1e-12)
        assert at[2] == pytest.approx(1.25 * radius, rel=1e-12)
        assert min(at[0.99], at[1.01]) > radius


def test_a_failed_check_stops_the_figure(monkeypatch, document):
    checks = figure.check(document["data"])
    failed = Check("the sky is green", "green", "blue", False)
    monkeypatch.setattr(type(figure), "data", lambda *arguments: document["data"])
    monkeypatch.setattr(type(figure), "check", lambda self, data: [*checks, failed])
    with pytest.raises(
        CheckError, match="the sky is green: expected green, found blue"
    ):
        figure.prepare(Profile.QUICK, RESULTS)


def test_the_document_is_the_same_every_time(document):
    again = figure.prepare(Profile.QUICK, RESULTS)
    assert json.loads(json.dumps(again)) == document
