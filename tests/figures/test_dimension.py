"""The figure of dimensions in the quick profile: two of its numbers by hand.

False alarms: two in a million, from the simulations. The limits have their second
routes in tests/analysis/rest/test_limits.py.
"""

import numpy as np
import pytest
from scipy import integrate, special

from analysis.rest.mixture import mixture
from figures.dimension import BATCH, FRACTION, NORM, SIZES, model_in


def exact_off(part, factor):
    """Exact values that are wrong by a factor: the scores move with them."""

    def spoil(data):
        for point in data[part]:
            error = (point["interval"][1] - point["interval"][0]) / 5.2
            point["exact"] *= factor
            point["z"] = (point["value"] - point["exact"]) / error

    return spoil


def radius_off(data):
    for entry in data["bias"].values():
        entry["bias_radius"] *= 0.6


def one_step_up(data):
    bias = data["bias"]["8"]["normalized"]["bias"]
    bias[4] = 0.9999 * bias[5]


def another_rate(data):
    """An excess to the power 1.1."""
    for entry in data["bias"].values():
        curve, limit = entry["normalized"], entry["normalized"]["limit"]
        curve["bias"] = [limit * (1 + (x / limit - 1) ** 1.1) for x in curve["bias"]]


def another_rest(data):
    for entry in data["bias"].values():
        curve = entry["adaptive"]
        curve["bias"][-1] = curve["bias"][-2]


def another_prefactor(data):
    data["bias"]["8"]["prefactor"] *= 1.05


def a_larger_prefactor(data):
    data["bias"]["32"]["prefactor"] = 0.26


def another_share(factor):
    def spoil(data):
        for entry in data["bias"].values():
            entry["share"] *= factor

    return spoil


SPOILERS = {
    "bias": [exact_off("simulation", 1.1)],
    "norm": [exact_off("norms", 1.05)],
    "radius": [radius_off],
    "fall": [one_step_up],
    "rates": [another_rate, another_rest],
    "prefactor": [another_prefactor, a_larger_prefactor],
    "limit": [another_share(0.95), another_share(1.1)],
}


@pytest.mark.parametrize("b", SIZES)
def test_prefactor_by_expansion(document, b):
    """To first order in 1/d a composition's cosine mean/L gains κ/d of itself.

    L = hypot(mean, r). The first coordinate is mean + rz/√d and the square of the
    length L² + δ, where E δ = 0, E δ² = (4 mean² r² + 2r⁴)/d and E zδ = 2 mean r/√d.
    """
    law = mixture(model_in(1), b)
    entry = document["data"]["bias"][str(b)]
    a = -np.sign(law.offset.sum()) * entry["normalized"]["limit"]
    mean, r = law.means(np.array([a]))[:, 0], law.scale
    L = np.hypot(mean, r)
    kappa = 3 * r**2 * (2 * mean**2 + r**2) / (4 * L**4) - r**2 / L**2
    slope = law.weight @ (law.benign * r**2 / L**3)
    expected = -(law.weight @ (mean / L * kappa)) / slope / a
    assert entry["prefactor"] == pytest.approx(expected, rel=2e-3)


def test_smallest_norm_in_one_dimension(document):
    """ρ of 256 samples: a clean one is above t with probability erfc(t/√2).

    Draggers always are, up to their norm.
    """

    def survival(t):
        return ((1 - FRACTION) * special.erfc(t / np.sqrt(2)) + FRACTION) ** BATCH

    mean = (
        integrate.quad(survival, 0, 0.2, epsabs=1e-12)[0]
        + integrate.quad(survival, 0.2, NORM)[0]
    )
    assert document["data"]["norm"]["1"][0] == pytest.approx(mean, 1e-8)
