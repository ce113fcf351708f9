"""The bias map in the quick profile.

False alarms: agreement of nine cells, one in a million.
"""

import pytest

from analysis.rest.line import normalized_bias
from analysis.rest.stable import exact_bias
from figures.bias_map import RULE, model_with


def spoil_agreement(data):
    """Exact values 5 % lower; 2.75 standard errors are half an interval."""
    for p in data["simulated"]:
        low, high = p["interval"]
        p["z"] += 0.05 * p["exact"] * 2 * 2.75 / (high - low)


def spoil_bound(data):
    for row in data["rows"]:
        row["bias_radius"] = [
            None if r is None else 0.5 * r for r in row["bias_radius"]
        ]


def spoil_ridge(data):
    data["refined"][0]["on_map"] += 1


def spoil_jump(data):
    for row in data["rows"]:
        row["breakdown"] += 1


def spoil_order(data):
    for row in data["rows"]:
        row["sgd"] *= 0.7


def spoil_common(data):
    """No fraction with a breakdown at a small size."""
    for row in data["rows"]:
        row["breakdown"] = 100.0


SPOILERS = {
    "cells": [spoil_agreement],
    "bound": [spoil_bound],
    "best_size": [spoil_ridge],
    "breakdown": [spoil_jump, spoil_common],
    "sgd": [spoil_order],
}


def test_a_spoilt_number_is_seen_by_its_own_check_alone(refused):
    for check, several in SPOILERS.items():
        for spoil in several:
            assert refused(spoil) == {check}


def test_caption_quotes_the_data(document):
    most = max(row["regret"] for row in document["data"]["rows"])
    assert f"has up to {most:.1f} times the smallest bias." in document["caption"]


@pytest.mark.parametrize(
    ("fraction", "b"), [(0.005, 1), (0.005, 8), (0.02, 24), (0.08, 9)]
)
def test_fast_root_is_the_only_one(fraction, b):
    """The bracket from 0 finds what the general search finds, and that no other."""
    model = model_with(fraction)
    exact = exact_bias(model, RULE, b, b)
    assert len(exact.roots) == 1
    assert normalized_bias(model, b) == pytest.approx(exact.bias, rel=1e-5)
