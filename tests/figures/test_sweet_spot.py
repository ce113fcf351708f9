"""The sweet-spot figure in the quick profile: a true caption, reproducible files.

False alarms: each agreement, and the best size against all others, one in a million.
"""

import copy
from pathlib import Path

import numpy as np
import pytest

from figures.checks import CheckError
from figures.sweet_spot import figure

ROOT = Path(__file__).parents[2]


def test_caption_is_checked(document):
    assert len(document["checks"]) == 8
    assert all(check["passed"] for check in document["checks"])
    assert "3.3 times better" in document["caption"]
    assert document["alt"]


def spoil_bound(data):
    data["normalized"]["bias_radius"] = [
        None if r is None else 0.4 * r for r in data["normalized"]["bias_radius"]
    ]


def spoil_argmin(data):
    data["best"]["exact"] = 16


def spoil_order(data):
    data["sgd"] = 0.5


def spoil_points(percent, rule=None):
    """The exact biases that many percent larger."""

    def spoil(data):
        for point in (data[rule] if rule else data)["simulation"]:
            point["z"] -= percent / 100 * point["exact"] / point["standard_error"]

    return spoil


def spoil_fixed_bound(data):
    data["fixed"]["bias_radius"] = [0.7 * r for r in data["fixed"]["bias_radius"]]


def spoil_minimax(data):
    data["minimax"] *= 1.000001


@pytest.mark.parametrize(
    ("spoil", "which"),
    [
        (spoil_points(5), 0),
        (spoil_bound, 1),
        (spoil_argmin, 2),
        (spoil_order, 3),
        (spoil_points(10, "normalized"), 4),
        (spoil_points(10, "fixed"), 5),
        (spoil_fixed_bound, 6),
        (spoil_minimax, 7),
    ],
)
def test_every_check_can_fail(document, spoil, which):
    """Exact values 5 or 10 % off, radii 60 and 30 % smaller, other argmin, SGD, minimax bound."""
    data = copy.deepcopy(document["data"])
    spoil(data)
    assert not figure.check(data)[which].passed


def test_best_threshold_is_the_best_of_the_worst_cases(document):
    """In plain numbers: it minimises s²/(4c(1-θ)) + θc, and twice it costs a quarter."""
    fixed, fraction = document["data"]["fixed"], 0.01
    noise = np.sqrt(3.0**2 * 0.1 / 0.9 + 0.3**2)
    columns = (fixed[key] for key in ("micro_batch_size", "threshold", "bias_radius"))
    for b, c, radius in zip(*columns, strict=True):
        clean = (1 - fraction) ** b
        theta, s = (1 - clean) / clean, noise / np.sqrt(b)
        at = {f: s**2 / (4 * f * c * (1 - theta)) + theta * f * c for f in (1, 2, 0.99, 1.01)}
        assert radius == pytest.approx(at[1], rel=1e-12)
        assert at[2] == pytest.approx(1.25 * radius, rel=1e-12)
        assert min(at[0.99], at[1.01]) > radius


def test_a_failed_check_stops_the_figure(monkeypatch, document):
    checks = [*figure.check(document["data"])]
    failed = checks[0].__class__("the sky is green", "green", "blue", False)
    monkeypatch.setattr(type(figure), "data", lambda *arguments: document["data"])
    monkeypatch.setattr(type(figure), "check", lambda self, data: [*checks, failed])
    with pytest.raises(CheckError, match="the sky is green: expected green, found blue"):
        figure.prepare("quick", ROOT / "results")


def test_files_are_the_same_bytes_every_time(written_twice):
    first, second = written_twice
    assert first == second


def test_the_document_is_the_same_every_time(document):
    assert figure.prepare("quick", ROOT / "results") == document
