"""The figure of dimensions, quick profile. False alarms: two in a million, from the simulations."""

import numpy as np
import pytest
from scipy import integrate, special

from analysis.rest.mixture import mixture
from analysis.spec.experiment import GradientModel
from figures.dimension import DRAGGER, EPSILON, SIZES, B, figure, table


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
    for entry in data["bias"].values():
        curve = entry["adaptive"]
        curve["bias"][-1] = curve["bias"][-2]


def another_prefactor(data):
    data["bias"]["8"]["prefactor"] *= 1.05


def another_limit(data):
    for entry in data["bias"].values():
        entry["share"] *= 0.95


SPOILED = [
    (exact_off("simulation", 1.1), 0),
    (exact_off("norms", 1.05), 1),
    (radius_off, 2),
    (one_step_up, 3),
    (another_rate, 4),
    (another_prefactor, 5),
    (another_limit, 6),
]


@pytest.mark.parametrize(("spoil", "which"), SPOILED)
def test_every_check_can_fail(refused, spoil, which):
    """Biases 10 % off, norms 5 % off, a radius 40 % smaller, a step up, another rate or share."""
    assert which in refused(spoil)


def test_as_many_spoilers_as_checks(document):
    assert len(document["checks"]) == len(SPOILED)
    assert document["title"] == figure.title


@pytest.mark.parametrize("b", SIZES)
def test_prefactor_by_expansion(document, b):
    """To first order in 1/d a composition's cosine mean/L, L = hypot(mean, r), gains κ/d of itself.

    The first coordinate is mean + rz/√d and the square of the length L² + δ, where E δ = 0,
    E δ² = (4 mean² r² + 2r⁴)/d and E zδ = 2 mean r/√d.
    """
    law = mixture(GradientModel.read(table(1)), b)
    limit = document["data"]["bias"][str(b)]["normalized"]["limit"]
    a = -np.sign(law.offset.sum()) * limit
    mean, r = law.means(np.array([a]))[:, 0], law.scale
    L = np.hypot(mean, r)
    kappa = 3 * r**2 * (2 * mean**2 + r**2) / (4 * L**4) - r**2 / L**2
    slope = law.weight @ (law.benign * r**2 / L**3)
    expected = -(law.weight @ (mean / L * kappa)) / slope / a
    assert document["data"]["bias"][str(b)]["prefactor"] == pytest.approx(expected, rel=2e-3)


def test_smallest_norm_in_one_dimension(document):
    """ρ of 256 samples: clean ones are above t with chance erfc(t/√2), draggers always here."""

    def survival(t):
        return ((1 - EPSILON) * special.erfc(t / np.sqrt(2)) + EPSILON) ** B

    mean = (
        integrate.quad(survival, 0, 0.2, epsabs=1e-12)[0]
        + integrate.quad(survival, 0.2, DRAGGER)[0]
    )
    assert document["data"]["norm"]["1"][0] == pytest.approx(mean, 1e-8)


def test_same_bytes(written_twice):
    first, second = written_twice
    assert first == second
