"""The rules as objects: names, numbers, scores; a rule at one micro-batch size."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from analysis.spec.algorithm import Algorithm
from analysis.spec.checking import SpecificationError
from analysis.spec.rule import Clipping, Rule
from sim.engines.cpu import rows
from sim.rules import rule as direction_of

NAMES = ("sgd", "adaptive", "normalized", "fixed", "global")


def test_a_rule_is_its_name():
    assert Rule.names() == NAMES
    assert [Rule(name).number for name in NAMES] == [0, 1, 2, 3, 4]
    algorithm = Algorithm("fixed", 8, (2,), threshold=1.0)
    assert algorithm.rule is Rule.FIXED
    assert type(algorithm.to_mapping()["rule"]) is str
    assert json.dumps(algorithm.to_mapping())


def test_the_engines_know_the_same_numbers():
    """The compiled kernel's constants, and those in the CUDA source."""
    for rule in Rule:
        assert getattr(rows, rule.name) == rule.number
    source = Path(rows.__file__).parents[1] / "cuda" / "micro_batch.cu"
    declared = re.search(r"enum \{ ([A-Z, ]+) \};", source.read_text(encoding="utf-8"))
    assert declared is not None
    assert declared[1].split(", ") == [rule.name for rule in Rule]


@pytest.mark.parametrize("name", ["Adaptive", "", None, "clip", 1])
def test_other_names_are_refused(name):
    with pytest.raises(
        SpecificationError, match=r"rule = .*: must be one of sgd, adaptive"
    ):
        Rule.check("rule", name)


@pytest.mark.parametrize("rule", Rule)
def test_properties_by_what_the_rule_does(rule):
    """Against the directions of sim/rules.py, on random micro-batch gradients."""
    g = np.random.default_rng(1).normal(size=(5, 4, 3))
    threshold = 0.7 if rule.needs_threshold else None
    clip = direction_of(rule, threshold=threshold)
    twice = direction_of(rule, threshold=None if threshold is None else 2 * threshold)
    direction, length = clip(g), np.linalg.norm(g, axis=-1)
    assert np.allclose(twice(2 * g), direction) == (rule is Rule.NORMALIZED)
    alone = np.array([clip(part[None, None])[0] for part in g.reshape(-1, 3)]).reshape(
        g.shape
    )
    in_parts = np.allclose(direction, alone.mean(1))
    assert in_parts == (not rule.depends_on_m and not rule.clips_mini_batch)
    assert rule.only_shortens == bool(
        (np.linalg.norm(direction, axis=-1) <= length.mean(1)).all()
        and (np.linalg.norm(clip(1e-3 * g), axis=-1) <= 1e-3 * length.mean(1)).all()
    )


@pytest.mark.parametrize("rule", [r for r in Rule if not r.depends_on_m])
def test_the_score_is_the_length_after_clipping(rule):
    """One gradient alone, so that the mini-batch is the micro-batch."""
    g = np.random.default_rng(2).normal(size=(9, 1, 3))
    threshold = 0.7 if rule.needs_threshold else None
    clipped = np.linalg.norm(direction_of(rule, threshold=threshold)(g), axis=-1)
    norm = np.linalg.norm(g, axis=-1)[:, 0]
    limit = math.inf if threshold is None else threshold
    assert rule.score(norm, limit) == pytest.approx(clipped)
    h = 1e-6
    slope = (rule.score(norm + h, limit) - rule.score(norm - h, limit)) / (2 * h)
    assert rule.score_derivative(norm, threshold=limit) == pytest.approx(
        slope, abs=1e-6
    )


def test_the_score_of_algorithm_1_needs_the_others():
    r = np.array([0.3, 1.0])
    assert Rule.ADAPTIVE.score_derivative(r, np.exp(-r)) == pytest.approx(np.exp(-r))
    with pytest.raises(ValueError, match="of a distribution"):
        Rule.ADAPTIVE.score(r)
    with pytest.raises(ValueError, match="norms of the others"):
        Rule.ADAPTIVE.score_derivative(r)


def test_constant_clipping_norms():
    assert math.isnan(Rule.SGD.constant_clipping_norm(None))
    assert Rule.ADAPTIVE.constant_clipping_norm(None) is None
    assert Rule.NORMALIZED.constant_clipping_norm(None) == 1
    assert (
        Rule.FIXED.constant_clipping_norm(0.4)
        == Rule.GLOBAL.constant_clipping_norm(0.4)
        == 0.4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fixed", 8, 2), "threshold: is required by rule = 'fixed'"),
        (("sgd", 8, 2, 1.0), "threshold = 1.0: must be absent with rule = 'sgd'"),
        (("sgd", 8, 9), "micro_batch_size = 9: must be from 1 to the batch size 8"),
        (("median", 8, 2), "rule = 'median': must be one of"),
    ],
)
def test_what_is_no_clipping(arguments, message):
    with pytest.raises(SpecificationError, match=re.escape(message)):
        Clipping(*arguments)


def test_clipping():
    clipping = Clipping("adaptive", 257, 29)
    assert clipping.rule is Rule.ADAPTIVE
    assert clipping.cut == ((29, 8), (25, 1))
    assert (clipping.micro_batches, clipping.limit) == (9, math.inf)
    assert Algorithm("adaptive", 257, (29,)).clipping(29) == clipping


def test_what_clips_nothing():
    nothing = [
        ("sgd", 8, 2),
        ("adaptive", 8, 8),
        ("fixed", 8, 2, math.inf),
        ("global", 8, 2, math.inf),
    ]
    assert all(Clipping(*arguments).is_mean for arguments in nothing)
    something = [("adaptive", 8, 4), ("normalized", 8, 8), ("fixed", 8, 8, 1e300)]
    assert not any(Clipping(*arguments).is_mean for arguments in something)
    assert Clipping("fixed", 8, 2, math.inf).effective_rule is Rule.SGD
