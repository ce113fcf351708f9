"""The sweet-spot figure in the quick profile: a true caption, reproducible files."""

import copy
from pathlib import Path

import pytest

from figures.checks import CheckError
from figures.sweet_spot import figure

ROOT = Path(__file__).parents[2]


def test_caption_is_checked(document):
    assert len(document["checks"]) == 4
    assert all(check["passed"] for check in document["checks"])
    assert "3.3 times better" in document["caption"]
    assert document["alt"]


def spoil_agreement(data):
    for point in data["simulation"]:
        point["exact"] *= 1.05


def spoil_bound(data):
    data["normalized"]["bias_radius"] = [
        None if r is None else 0.4 * r for r in data["normalized"]["bias_radius"]
    ]


def spoil_argmin(data):
    data["best"]["exact"] = 16


def spoil_order(data):
    data["sgd"] = 0.5


@pytest.mark.parametrize(
    ("spoil", "which"),
    [(spoil_agreement, 0), (spoil_bound, 1), (spoil_argmin, 2), (spoil_order, 3)],
)
def test_every_check_can_fail(document, spoil, which):
    """Exact values 5 % off, a radius 60 % smaller, another argmin, another SGD: each is seen."""
    data = copy.deepcopy(document["data"])
    spoil(data)
    assert not figure.check(data)[which].passed


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
