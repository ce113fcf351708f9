"""Finding where a rule rests: far away, in the plane, without noise, or nowhere."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

from analysis.advice.table import bias_table
from analysis.rest.stable import exact_bias, stationary_points
from analysis.rest.update import Update
from analysis.spec.checking import SpecificationError
from analysis.spec.draggers import Dragger
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian, Rare
from analysis.spec.rule import Clipping

MODEL = Experiment.load(
    Path(__file__).parents[3] / "sim" / "presets" / "sweet_spot.toml"
).model


def gaussian_model(d, eps, scale=1.0, norm=10.0):
    dragger = Dragger("persistent", norm, tuple([-1.0] + [0.0] * (d - 1)))
    return GradientModel(d, eps, Gaussian("gaussian", scale), dragger)


def test_draggers_that_win_leave_no_root():
    model = gaussian_model(2, 0.6)
    assert exact_bias(model, "normalized", 16, 1).bias is None
    assert exact_bias(model, "normalized", 16, 1).roots == ()


@pytest.mark.parametrize(("eps", "scale", "b"), [(0.6, 1.0, 1), (0.9, 0.1, 2)])
def test_no_root_is_invented_far_away(eps, scale, b):
    """A clipped rule cannot return from where only rounding would turn the drift."""
    model = gaussian_model(2, eps, scale, 200.0)
    assert exact_bias(model, "fixed", 64, b, threshold=0.5).bias is None


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01, 0.001])
def test_a_distant_root_does_not_depend_on_the_noise(scale):
    """ε = 0.9, d = 1, b = 2, m = 8: 1.46e7 without noise, by counting compositions."""
    eps = 0.9
    norm = 20.0
    m = 8
    both, one, none = eps**2, 2 * eps * (1 - eps), (1 - eps) ** 2

    def drift(a):
        lengths = [(norm, -1, both), ((a - norm) / 2, 1, one), (a, 1, none)]
        ends = sorted(r for r, *_ in lengths)
        total = 0.0
        for low, high in pairwise([0.0, *ends]):
            alive = [(side, w) for r, side, w in lengths if r >= high]
            tail = sum(w for _, w in alive)
            total += (high - low) * tail ** (m - 1) * sum(side * w for side, w in alive)
        return total

    expected = optimize.brentq(drift, 1e3, 1e9, xtol=1e-3)
    found = exact_bias(gaussian_model(1, eps, scale, norm), "adaptive", 16, 2).bias
    assert found == pytest.approx(expected, rel=1e-6)


PLANE = [
    (0.0, Rare("rare", 0.9, 3.0, 0.001), 0.5, "persistent", "normalized", 16, 16, None),
    (
        0.01,
        Rare("rare", 0.1, 3.0, 0.001),
        20.0,
        "persistent",
        "normalized",
        16,
        1,
        None,
    ),
    (0.2, Rare("rare", 1e-4, 3.0, 1.0), 1000.0, "additive", "global", 4, 4, 10.0),
    (0.01, Rare("rare", 0.1, 3.0, 0.3), 1e6, "persistent", "adaptive", 256, 8, None),
]


@pytest.mark.parametrize(
    ("eps", "noise", "norm", "law", "rule", "batch", "b", "c"), PLANE
)
def test_roots_in_the_plane_are_found(eps, noise, norm, law, rule, batch, b, c):
    """Far out, nearly discrete, without draggers: no expected update at the root."""
    model = GradientModel(2, eps, noise, Dragger(law, norm, (-1.0, 0.5)))
    found = exact_bias(model, rule, batch, b, threshold=c).bias
    on_axis = replace(model, dragger=Dragger(law, norm, (-1.0, 0.0)))
    nearby = exact_bias(on_axis, rule, batch, b, threshold=c).bias
    assert found == pytest.approx(nearby, rel=0.15)


def test_draggers_that_win_in_the_plane_leave_no_root():
    model = GradientModel(2, 0.6, MODEL.noise, Dragger("persistent", 20.0, (-1.0, 0.5)))
    assert exact_bias(model, "normalized", 16, 1).bias is None


def test_sgd_root_has_its_direction():
    turned = replace(MODEL, dragger=replace(MODEL.dragger, direction=(0.6, 0.8)))
    (point,) = stationary_points(Update(turned, Clipping("sgd", 16, 8)))
    assert point.gradient == pytest.approx(-0.01 / 0.99 * 20 * np.array([0.6, 0.8]))


def test_a_discrete_law_in_the_plane_is_refused():
    model = replace(
        MODEL,
        noise=replace(MODEL.noise, gaussian=0.0),
        dragger=replace(MODEL.dragger, direction=(0.0, 1.0)),
    )
    with pytest.raises(SpecificationError, match=r"model\.noise\.gaussian = 0\.0"):
        stationary_points(Update(model, Clipping("adaptive", 16, 4)))


def test_a_discrete_law_on_the_line():
    """No Gaussian noise: the normalized rule settles at the median's atom."""
    model = replace(MODEL, noise=Rare("rare", 0.1, 3.0, 0.0))
    expected = 3.0 * 0.1 / 0.9  # the usual sample has gradient 0 there
    assert exact_bias(model, "normalized", 16, 1).bias == pytest.approx(
        expected, rel=1e-6
    )


@pytest.mark.parametrize("scale", [0.0, 0.05, 0.2])
def test_a_flat_drift_has_one_point_of_rest(scale):
    """Half the samples pull to either side: all between is at rest, 0 is nearest."""
    model = replace(MODEL, dragger_fraction=0.0, noise=Rare("rare", 0.5, 3.0, scale))
    assert exact_bias(model, "normalized", 16, 1).roots == pytest.approx(
        (0.0,), abs=1e-9
    )


def test_few_draggers_decide_where_the_drift_is_nearly_flat():
    """E cos = -(1 - 1/(2κ²)) in the plane: rest is κ = √(p/(4ε)) deviations short."""
    model = replace(MODEL, dragger_fraction=0.0, noise=Rare("rare", 0.5, 3.0, 0.01))
    shifted = replace(model, dragger_fraction=1e-3)
    (bias,) = exact_bias(shifted, "normalized", 16, 1).roots
    assert bias == pytest.approx(
        3 - 0.01 / np.sqrt(2) * np.sqrt(0.999 / 4e-3), rel=1e-3
    )


def test_the_dimension_may_be_a_million():
    """On the way through the file's reader too, refusing nothing that theory can do."""
    table = {
        "model": {
            "dimension": 10**6,
            "dragger_fraction": 0.01,
            "noise": {"law": "gaussian", "scale": 1.0},
            "dragger": {"law": "isotropic", "norm": 3.0},
        },
        "algorithm": {"rule": "adaptive", "batch_size": 64, "micro_batch_sizes": [4]},
    }
    assert bias_table(Experiment.from_mapping(table))["best"]["bias"] == pytest.approx(
        0, abs=1e-9
    )
