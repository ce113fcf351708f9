"""The bias map in the quick profile. False alarms: agreement of nine cells, one in a million."""

import pytest

from analysis.rest.stable import exact_bias
from figures.bias_map import RULE, figure, normalized_bias


def test_caption_quotes_the_data(document):
    dearest = max(row["regret"] for row in document["data"]["rows"])
    assert f"a factor of up to {dearest:.1f}" in document["caption"]
    assert all(check["passed"] for check in document["checks"])


def spoil_agreement(data):
    """Exact values 5 % lower; 2.75 standard errors are half an interval."""
    for p in data["simulated"]:
        low, high = p["interval"]
        p["z"] += 0.05 * p["exact"] * 2 * 2.75 / (high - low)


def spoil_bound(data):
    for row in data["rows"]:
        row["bias_radius"] = [None if r is None else 0.5 * r for r in row["bias_radius"]]


def spoil_ridge(data):
    data["refined"][0]["on_map"] += 1


def spoil_jump(data):
    for row in data["rows"]:
        row["breakdown"] += 1


def spoil_order(data):
    for row in data["rows"]:
        row["sgd"] *= 0.7


@pytest.mark.parametrize(
    ("i", "spoil"),
    [*enumerate([spoil_agreement, spoil_bound, spoil_ridge, spoil_jump, spoil_order])],
)
def test_every_check_can_fail(refused, i, spoil):
    """Each spoiled sentence is refused, and no other."""
    assert refused(spoil) == {i}


@pytest.mark.parametrize(("fraction", "b"), [(0.005, 1), (0.005, 8), (0.02, 24), (0.08, 9)])
def test_fast_root_is_the_only_one(fraction, b):
    """The bracket from 0 finds what the general search finds, and that finds no other."""
    model = figure._model(fraction)
    found = exact_bias(model, RULE, b, b)
    assert len(found.roots) == 1
    assert normalized_bias(model, b) == pytest.approx(found.bias, rel=1e-5)


def test_files_are_the_same_bytes_every_time(written_twice):
    a, b = written_twice
    assert a == b
