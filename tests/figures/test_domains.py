"""The domains figure: its stationary points have a second route.

Exact values and simulations are compared with false alarms of 1 in a million a family.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special

from analysis.rest.line import stationary_gradient
from analysis.spec.rule import Clipping, Rule
from figures.domains import (
    BATCH_SIZE,
    DISTANCE,
    DRAGGER,
    FRACTION,
    KINDS,
    MINORITY,
    SIZES,
    WITHIN,
    figure,
)
from figures.kit.profiles import Profile
from sim.estimate import quantile


def errors(points):
    """Standard errors of simulated points, from their intervals."""
    return [np.ptp(p["interval"]) / 2 / quantile(0.995, p["degrees"]) for p in points]


def shift(points, fraction, key="z"):
    """The scores if what is compared with were smaller by that fraction."""
    for point, error in zip(points, errors(points), strict=True):
        point[key] += fraction * point["value"] / error


def spoil_mixed(data):
    shift(data["mixed"]["simulation"], 0.15)


def spoil_pure(data):
    shift(data["pure"]["simulation"], 0.03)


def spoil_bound(data):
    """A bound for pure micro-batches half as large: below the exact bias at b = 64."""
    points = data["pure"]["simulation"]
    for point, error in zip(points, errors(points), strict=True):
        at = data["micro_batch_size"].index(point["micro_batch_size"])
        point["above"] = (point["value"] - data["pure"]["bound"][at] / 2) / error


def spoil_spread(data):
    data["spread"] *= 1.1


def spoil_rise(data):
    data["pure"]["bias"][-1] = 0.99 * data["pure"]["bias"][-2]


def spoil_best(data):
    data["mixed"]["bias"] = [3 * x for x in data["mixed"]["bias"]]


def spoil_ratio(data):
    data["pure"]["bias"][data["micro_batch_size"].index(16)] *= 0.6


def spoil_sgd(data):
    data["sgd"]["bias"] *= 1.1


def spoil_loss(data):
    data["centre"] *= 1.05


def spoil_mixed_floor(data):
    data["mixed"]["bound"] = [10 * x for x in data["mixed"]["bound"]]


def spoil_limit(data):
    data["limit"] *= 1.3


def spoil_ends(data):
    """The largest mixed micro-batches the best."""
    data["mixed"]["bias"][-1] = 0.9 * min(data["mixed"]["bias"])


def spoil_single(data):
    data["pure"]["bias"][0] *= 1.00001


SPOILERS = {
    "mixed": [spoil_mixed],
    "pure": [spoil_pure],
    "bound": [spoil_bound],
    "spread": [spoil_spread, spoil_mixed_floor],
    "pure_rises": [spoil_rise, spoil_limit],
    "mixed_best": [spoil_best, spoil_ends],
    "ratios": [spoil_ratio, spoil_single],
    "sgd": [spoil_sgd],
    "loss": [spoil_loss],
}


def drift(w, b, kind, fraction):
    """E sign of a micro-batch's gradient at w, summed over draggers and minority."""
    total = 0.0
    for k in range(b + 1):  # draggers
        chance = special.binom(b, k) * fraction**k * (1 - fraction) ** (b - k)
        if chance < 1e-14:
            continue
        n = b - k
        counts = np.array([0, n]) if kind == "pure" else np.arange(n + 1)
        weight = np.array([1 - MINORITY, MINORITY])
        if kind == "mixed":
            weight = (
                special.binom(n, counts)
                * MINORITY**counts
                * (1 - MINORITY) ** (n - counts)
            )
        if n == 0:
            total += chance
            continue
        mean = n * w - counts * DISTANCE + k * DRAGGER
        total += chance * weight @ special.erf(mean / (WITHIN * np.sqrt(2 * n)))
    return float(total)


def rest(b, kind, fraction):
    """Where the normalized rule rests, as a place on the line."""
    return optimize.brentq(drift, -2, 2, (b, kind, fraction), xtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 4, 16, 64])
def test_stationary_points_by_counting(document, kind, size):
    """Bias, and the minority's loss, from the place of rest itself."""
    data = document["data"]
    at, w = data["micro_batch_size"].index(size), rest(size, kind, FRACTION)
    assert data[kind]["bias"][at] == pytest.approx(
        abs(w - MINORITY * DISTANCE), rel=1e-6
    )
    assert data[kind]["minority_loss"][at] == pytest.approx(
        (w - DISTANCE) ** 2 / 2, rel=1e-6
    )


def test_sgd_and_the_centre(document):
    """SGD rests where (1-ε)(w - centre) + εD = 0."""
    data = document["data"]
    w = MINORITY * DISTANCE - FRACTION * DRAGGER / (1 - FRACTION)
    assert data["sgd"]["bias"] == pytest.approx(MINORITY * DISTANCE - w)
    assert data["sgd"]["minority_loss"] == pytest.approx((w - DISTANCE) ** 2 / 2)
    assert data["centre"] == pytest.approx(((1 - MINORITY) * DISTANCE) ** 2 / 2)


@pytest.mark.parametrize("profile", Profile)
def test_what_is_simulated(profile):
    """Both kinds at every size, each name once."""
    experiments = figure.experiments(profile)
    assert len({e.name for e in experiments}) == len(experiments)
    found = [(e.algorithm.domains, *e.algorithm.sizes) for e in experiments]
    assert found == [(kind, b) for kind in KINDS for b in SIZES]


@pytest.mark.parametrize(
    ("kind", "size", "bias"),
    [
        *(("pure", 1, 0.0571), ("pure", 16, 0.2293), ("pure", 256, 0.2823)),
        *(("mixed", 1, 0.0571), ("mixed", 16, 0.0019), ("mixed", 256, 0.0001)),
    ],
)
def test_without_draggers(kind, size, bias):
    """The known values for these domains, by both routes."""
    model = replace(
        figure.experiments(Profile.QUICK)[0].gradient_model, dragger_fraction=0.0
    )
    clipping = Clipping(Rule.NORMALIZED, BATCH_SIZE, size, pure=kind == "pure")
    found = abs(stationary_gradient(model, clipping))
    assert found == pytest.approx(bias, abs=6e-5)
    assert found == pytest.approx(
        abs(rest(size, kind, 0.0) - MINORITY * DISTANCE), abs=1e-7
    )
