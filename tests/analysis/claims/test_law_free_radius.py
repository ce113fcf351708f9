"""Algorithm 1's pull at a clipping norm: by hand, by sampling, and its radius."""

import numpy as np
import pytest

from analysis.advice.law_free import adaptive_radius
from analysis.advice.worst_case import WorstCase, cut_radius
from analysis.claims import CLAIMS
from analysis.claims.law_free_radius import claim


def evaluate(**changes):
    usual = {"alignment": 1.0, "dragger_fraction": 0.05, "noise_scale": 2.0}
    usual |= {"micro_batch_size": 4, "dragger_norm": 30.0, "gradient_norm": 3.0}
    return claim.evaluate(**(usual | {"threshold": 1.0} | changes))


def test_value_by_hand():
    """P = 0.95⁴, s = 1; below r the pushed length is c, beyond it is r."""
    p = 0.95**4
    draggers = 0.05 * 4 / (1 - p)
    kept = 4 - draggers
    r = (draggers * 30 + np.sqrt(9 * kept**2 + 4 * kept)) / 4
    lemma = CLAIMS["huber_lemma"]
    for c in (1.0, 0.99 * r, 1.5 * r):
        pull = lemma.evaluate(G=3.0, s=1.0, c=c)["mean_pull_bound"]
        expected = p * pull - (1 - p) * min(c, r)
        assert evaluate(threshold=c)["pull_bound"] == pytest.approx(expected)
    assert evaluate()["least_tail"] == pytest.approx(p * 4 / 5)
    assert np.isnan(evaluate(threshold=3.0)["least_tail"])


def test_the_tails_of_sampled_norms_lie_between_the_limits():
    """Gaussian noise and draggers straight back; 10⁵ micro-batches, 5 s.e."""
    rng = np.random.default_rng(2)
    n = 100_000
    G = 3.0
    wrong = rng.random((n, 4)) < 0.05
    g = np.where(wrong, -30.0, G + rng.normal(0, 2, (n, 4))).mean(1)
    p = 0.95**4
    for t in (0.5, 1.5, 2.5, 4.0, 6.0, 9.0):
        found = (np.abs(g) > t).mean()
        error = 5 * np.sqrt(found * (1 - found) / n)
        high = 1 - p + p * min(1, (G**2 + 1) / t**2)
        assert found - error <= high
        if t < G:
            assert found + error >= evaluate(threshold=t)["least_tail"]


def integral(G, m, case, b):
    """∫ min{K(c): c between its two quantiles} dv, everything on grids."""
    at = {"gradient_norm": G, "micro_batch_size": b, "noise_scale": 1.0}
    at |= {"dragger_fraction": case.dragger_fraction, "alignment": 1.0}
    c = np.append(np.linspace(1e-6, 3 * G, 3000), np.geomspace(3 * G, 1e4, 3000)[1:])
    values = claim.evaluate(threshold=c, dragger_norm=case.dragger_norm, **at)
    p, s2 = (1 - case.dragger_fraction) ** b, 1 / b
    low = np.where(c < G, values["least_tail"], 0.0)
    tail = np.minimum(1, (G**2 + s2) / c**2)
    far = c >= G + s2 / G
    tail = np.where(far, np.minimum(tail, s2 / (s2 + (c - G) ** 2)), tail)
    v = np.linspace(0, 1, 2001)[1:]
    S = v ** (1 / (m - 1))
    starts = np.maximum(np.searchsorted(-low, -S, side="right") - 1, 0)
    stops = np.minimum(np.searchsorted(-(1 - p + p * tail), -S), c.size - 1) + 1
    pull = values["pull_bound"]
    least = [pull[i:j].min() for i, j in zip(starts, stops, strict=True)]
    return np.trapezoid(least, v)


def test_the_radius_is_where_the_integral_of_the_claim_vanishes():
    """ε = 0.01, four micro-batches of 50, draggers of norm 20."""
    b = 50
    m = 4
    case = WorstCase(0.01, dragger_norm=20.0)
    radius = adaptive_radius(case, b * m, b)
    assert radius > 1.1 * cut_radius(case, b * m, np.array([b]))[0]
    assert integral(0.98 * radius, m, case, b) < 0 < integral(1.02 * radius, m, case, b)


def test_a_stronger_pull_is_not_certain():
    """The twin: draggers straight back of one length reach the push itself."""
    values = evaluate(micro_batch_size=1, noise_scale=1e-6, threshold=10.0)
    exact = 0.95 * 3.0 - 0.05 * 10.0
    assert values["pull_bound"] == pytest.approx(exact, abs=1e-4)
