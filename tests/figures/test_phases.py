"""Draggers in one phase of training: the levels by a second route.

Each agreement raises a false alarm once in a million true cases.
"""

import numpy as np
import pytest
from scipy import optimize, special

from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from figures.kit.profiles import Profile
from figures.phases import BAND, BATCH_SIZE, FRACTION, NOISE, NORM, figure, model_with


def shift(points, fraction):
    for p in points:
        p["z"] -= fraction * p["exact"] / p["error"]


def spoil_levels(data):
    """5 % off."""
    shift([line["compared"][1] for line in data["panels"]["span"]], 0.05)


def spoil_recovery(data):
    """10 % off."""
    shift(data["recovery"], 0.1)


def spoil_order(data):
    """Two rules exchanged."""
    single, best = (line["compared"][1] for line in data["panels"]["span"][1:])
    single["value"], best["value"] = best["value"], single["value"]


def spoil_order_before(data):
    sgd, _, best = (line["compared"][0] for line in data["panels"]["span"])
    sgd["value"], best["value"] = best["value"], sgd["value"]


def spoil_ends(data):
    shift([line["compared"][0] for line in data["panels"]["band"]], 0.05)


def spoil_holding(data):
    """A bias below the band."""
    data["panels"]["band"][1]["levels"]["with"]["bias"] = 0.4


def spoil_passing(data):
    data["panels"]["band"][2]["levels"]["with"]["bias"] = 0.6


def spoil_held_end(data):
    data["panels"]["band"][0]["compared"][0]["value"] = 0.4


def spoil_passed_end(data):
    data["panels"]["band"][3]["compared"][0]["value"] = 0.6


def spoil_drift(data):
    data["smallest_drift"] -= 0.14


def spoil_norms(data):
    data["passed"]["32"] /= 2.2


def spoil_reach(data):
    """The bias at norm 1e9, where the same draggers hold the rule."""
    model = model_with(FRACTION, 1e9)
    data["passed"]["8"][-1] = exact_bias(model, "adaptive", BATCH_SIZE, 8).bias


SPOILERS = {
    "span": [spoil_levels],
    "recovery": [spoil_recovery],
    "order": [spoil_order, spoil_order_before],
    "end": [spoil_ends],
    "held": [spoil_holding, spoil_passing, spoil_held_end, spoil_passed_end],
    "drift": [spoil_drift],
    "passed": [spoil_norms, spoil_reach],
}


def test_levels_of_sgd_in_closed_form(document):
    """Its gradient is an autoregression: the stationary variance is known exactly."""
    line, q = document["data"]["panels"]["span"][0], NOISE["probability"]
    variance = NOISE["value"] ** 2 * q / (1 - q) + NOISE["gaussian"] ** 2
    eta = line["step"]
    spread = np.sqrt(eta * variance / BATCH_SIZE / (2 - eta))
    assert line["levels"]["without"]["norm"] == pytest.approx(
        spread * np.sqrt(2 / np.pi), rel=6e-3
    )
    assert line["levels"]["with"]["bias"] == pytest.approx(
        FRACTION * NORM / (1 - FRACTION)
    )


def test_biases_of_the_normalized_rule_by_the_distribution_function(document):
    """P(g > 0) = 1/2, summed over draggers and rare samples, not by analysis.rest."""
    line = document["data"]["panels"]["band"][2]
    b = 32
    q = NOISE["probability"]
    miss = -NOISE["value"] * q / (1 - q)

    def positive(gradient, fraction):
        total = 0.0
        for k in range(b + 1):
            clean = b - k
            rare = np.arange(clean + 1)
            chance = special.comb(b, k) * fraction**k * (1 - fraction) ** clean
            weight = special.comb(clean, rare) * q**rare * (1 - q) ** (clean - rare)
            sums = (
                clean * gradient
                - k * NORM
                + rare * NOISE["value"]
                + (clean - rare) * miss
            )
            spread = NOISE["gaussian"] * np.sqrt(max(clean, 1e-12))
            total += chance * (weight @ special.ndtr(sums / spread))
        return total

    for kind, fraction in (("with", FRACTION), ("without", 0.0)):
        root = optimize.brentq(lambda g, f=fraction: positive(g, f) - 0.5, -0.3, 0.5)
        assert line["levels"][kind]["bias"] == pytest.approx(abs(root), rel=1e-6)


def test_the_worst_case_radius_is_below_the_band():
    radius = CLAIMS["bias_radius"].evaluate(
        micro_batch_size=32,
        dragger_fraction=FRACTION,
        noise_scale=1.044031,
        alignment=1.0,
    )["bias_radius"]
    assert radius < BAND[0]


def test_profiles_differ_in_name():
    names = [[e.name for e in figure.experiments(p)] for p in Profile]
    assert not set(names[0]) & set(names[1])
