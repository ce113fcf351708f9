"""Orthogonal, opposing and isotropic draggers: closed forms, and sample by sample."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize

from analysis.rest.axes import span
from analysis.rest.mixture import mixture
from analysis.rest.stable import exact_bias, stationary_points
from analysis.rest.update import Update, clipping_norm, expected_update
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Gaussian, Rare
from analysis.spec.rule import Clipping

RARE = Rare("rare", 0.2, 1.5, 0.4)
NORMAL = Gaussian("gaussian", 1.0)
OPPOSING, ISOTROPIC = Dragger("opposing", 4.0), Dragger("isotropic", 4.0)
SLANTED = Dragger("orthogonal", 4.0, (0.6, 0.8, 0.0))
# One false alarm in 5e8 per comparison of two normal numbers; about 30 are made here.
LIMIT = 6.0


@pytest.mark.parametrize("noise", [NORMAL, RARE])
@pytest.mark.parametrize("d", [1, 3, 10**6])
def test_opposing_sgd_closed_form(noise, d):
    model = GradientModel(d, 0.05, noise, OPPOSING)
    for rule, b in (("sgd", 4), ("adaptive", 64)):
        assert exact_bias(model, rule, 64, b).bias == pytest.approx(0.05 * 4 / 0.95)


@pytest.mark.parametrize("rule", ["adaptive", "normalized", "sgd"])
@pytest.mark.parametrize("d", [2, 3, 10**6])
def test_symmetric_laws_have_no_bias(rule, d):
    """Isotropic draggers, and orthogonal ones with Gaussian noise."""
    across = Dragger("orthogonal", 4.0, tuple([1.0] + [0.0] * (d - 1)))
    for dragger in (ISOTROPIC, across):
        found = exact_bias(GradientModel(d, 0.1, NORMAL, dragger), rule, 64, 4)
        assert found.roots == (0.0,)


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_opposing_in_one_dimension_by_direct_quadrature(rule):
    """Micro-batches of 2, m = 8, Gaussian noise: three compositions, quadrature."""
    eps = 0.1
    norm = 3.0
    m = 8 if rule == "adaptive" else None

    def density(x, a):
        parts = [
            ((1 - eps) ** 2, a, math.sqrt(0.5)),
            (2 * eps * (1 - eps), (a - norm) / 2, 0.5),
        ]
        return sum(
            w * math.exp(-(((x - mu) / s) ** 2) / 2) / s for w, mu, s in parts
        ) / math.sqrt(2 * math.pi)

    def survival(t, a):
        inside = integrate.quad(density, -t, t, args=(a,), epsabs=1e-12)[0]
        return 1 - inside - eps**2 * (norm <= t)

    def drift(a):
        def side(t):
            above = integrate.quad(density, t, 12, args=(a,), epsabs=1e-12)[0]
            below = integrate.quad(density, -12, -t, args=(a,), epsabs=1e-12)[0]
            return above - below - eps**2 * (norm > t)

        if m is None:
            return side(0.0)
        return integrate.quad(
            lambda t: survival(t, a) ** (m - 1) * side(t),
            0,
            3,
            points=[0.1, 0.3],
            epsabs=1e-11,
        )[0]

    expected = optimize.brentq(drift, 0.01, 2, xtol=1e-9)
    found = exact_bias(
        GradientModel(1, eps, NORMAL, Dragger("opposing", norm)), rule, 16, 2
    )
    assert found.bias == pytest.approx(expected, rel=1e-7)


def test_opposing_and_persistent_draggers_agree_on_the_line():
    """Gaussian noise: persistent draggers point straight back at the root."""
    for rule in ("adaptive", "normalized"):
        straight = GradientModel(
            3, 0.05, NORMAL, Dragger("persistent", 4.0, (0.0, 1.0, 0.0))
        )
        opposing = GradientModel(3, 0.05, NORMAL, OPPOSING)
        expected = exact_bias(straight, rule, 64, 4).bias
        assert exact_bias(opposing, rule, 64, 4).bias == pytest.approx(
            expected, rel=1e-9
        )


def test_without_draggers_the_origin_is_stable():
    for dragger in (OPPOSING, Dragger("opposing", 0.0)):
        eps = 0.0 if dragger.norm else 0.3
        assert (
            exact_bias(GradientModel(3, eps, NORMAL, dragger), "adaptive", 16, 4).bias
            == 0
        )


@pytest.mark.parametrize("rule", ["adaptive", "normalized", "fixed"])
def test_orthogonal_draggers_add_noise_across(rule):
    """Norm 0 and a rare axis: orthogonal draggers only dilute the benign samples."""
    none = Dragger("orthogonal", 0.0, (0.0, 1.0, 0.0))
    still = Dragger("persistent", 0.0, (0.0, 1.0, 0.0))
    c = 0.3 if rule == "fixed" else None
    biases = [
        exact_bias(GradientModel(3, 0.1, RARE, dragger), rule, 16, 4, threshold=c).bias
        for dragger in (none, still)
    ]
    assert biases[0] == pytest.approx(biases[1], rel=1e-9)


def sampled(model, b, m, rule, a, steps, seed, threshold=None):
    """Means and standard errors of the update [d] and ρ, by samples at ∇f = a."""
    rng = np.random.default_rng(seed)
    d, law = model.dimension, model.dragger.law
    normal = rng.normal(size=(steps, m, b, d)) / math.sqrt(d)
    benign = a + normal * model.noise.gaussian
    if model.noise.probability:
        rare = rng.random((steps, m, b)) < model.noise.probability
        benign[..., 0] += np.where(rare, model.noise.hit, model.noise.miss)
    pushed = {
        "opposing": lambda: -model.dragger.norm * a / np.linalg.norm(a),
        "isotropic": lambda: model.dragger.norm * normal,
        "orthogonal": lambda: model.dragger.norm * np.array(model.dragger.direction),
    }[law]()
    dragger = rng.random((steps, m, b, 1)) < model.dragger_fraction
    g = np.where(dragger, pushed, benign).mean(2)
    size = np.linalg.norm(g, axis=-1, keepdims=True)
    length = {
        "adaptive": size.min(1, keepdims=True),
        "normalized": np.ones_like(size),
        "fixed": None if threshold is None else np.minimum(size, threshold),
    }[rule]
    values = np.concatenate([(g / size * length).mean(1), size.min(1)], axis=1)
    return values.mean(0), values.std(0, ddof=1) / math.sqrt(steps)


CASES = [
    ("adaptive", 4, 4, None),
    ("adaptive", 1, 8, None),
    ("normalized", 4, 4, None),
    ("fixed", 4, 4, 0.3),
]


@pytest.mark.parametrize(("rule", "b", "m", "threshold"), CASES)
@pytest.mark.parametrize("dragger", [OPPOSING, ISOTROPIC, SLANTED])
def test_update_by_simulation(rule, b, m, threshold, dragger):
    """E of the update and ρ at a point with ∇f off all axes; three or four numbers."""
    model = GradientModel(3, 0.1, RARE, dragger)
    law = mixture(model, b)
    if dragger is SLANTED:  # the span is that of v and e₁; ∇f ⊥ v
        basis = np.array([[0.6, 0.8, 0.0], [0.8, -0.6, 0.0]])
        inner = np.array([0.0, 0.3])
    else:
        basis = np.eye(3)[: law.axes]
        inner = np.array([0.3, -0.4])[: law.axes]
    mean, error = sampled(model, b, m, rule, inner @ basis, 30_000, 7, threshold)
    exact = expected_update(law, inner, Clipping(rule, b * m, b, threshold))
    score = (basis @ mean[:3] - exact) / np.sqrt(basis**2 @ error[:3] ** 2)
    assert np.abs(score[:2]).max() < LIMIT * math.sqrt(2)  # components are correlated
    assert abs(mean[3] - clipping_norm(law, inner, m)) / error[3] < LIMIT
    if rule == "adaptive":  # twins that must fail: another score, one micro-batch more
        wrong = expected_update(law, inner, Clipping("sgd", b, b))
        assert np.abs(basis @ mean[:3] - wrong).max() / error[:3].max() > 2 * LIMIT
        assert abs(mean[3] - clipping_norm(law, inner, m + 1)) / error[3] > 2 * LIMIT


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
@pytest.mark.parametrize("dragger", [OPPOSING, SLANTED])
def test_the_simulated_update_vanishes_at_the_root(rule, dragger):
    """Only its component along v is left of orthogonal draggers; 6 numbers, |z| < 6."""
    model = GradientModel(3, 0.1, RARE, dragger)
    (root,) = roots(model, Clipping(rule, 8, 2))
    basis = np.eye(3)
    if dragger is SLANTED:
        basis = np.array([[0.6, 0.8, 0.0], [0.8, -0.6, 0.0]])
    a = root @ basis[: root.size]
    mean, error = sampled(model, 2, 4, rule, a, 40_000, 3)
    along = mean[:3] @ np.array(dragger.direction or (0.0, 0.0, 0.0))
    rest = mean[:3] - along * np.array(dragger.direction or (0.0, 0.0, 0.0))
    assert np.abs(rest / error[:3]).max() < LIMIT
    assert (dragger is SLANTED) == (abs(along) / error[:3].max() > 2 * LIMIT)
    mean, error = sampled(model, 2, 4, rule, 1.3 * a, 40_000, 3)
    assert np.abs(mean[:3] / error[:3]).max() > 2 * LIMIT


def test_the_curvature_leaves_the_bias_alone():
    for dragger in (OPPOSING, ISOTROPIC, SLANTED):
        flat, bent = (
            GradientModel(3, 0.1, RARE, dragger, curvature)
            for curvature in (1.0, (1.0, 5.0, 0.2))
        )
        assert exact_bias(flat, "normalized", 8, 2) == exact_bias(
            bent, "normalized", 8, 2
        )


def roots(model, clipping):
    """∇f [axes] at the stable stationary points."""
    return [point.gradient for point in stationary_points(Update(model, clipping))]


def test_opposing_draggers_are_searched_around_the_first_axis():
    place = span(GradientModel(5, 0.1, RARE, OPPOSING))
    assert (place.axes, place.free.shape, place.ray) == (2, (2, 2), True)
    place = span(GradientModel(5, 0.1, NORMAL, OPPOSING))
    assert (place.axes, place.free.shape, place.ray) == (1, (1, 1), True)


def test_two_points_of_rest_around_the_first_axis():
    """Skewed noise and opposing draggers: one on the axis, and a ring off it."""
    noise = Gamma("gamma", 2.0, 1.0, 1, 0.3)
    model = GradientModel(3, 0.02, noise, Dragger("opposing", 5.0))
    clipping = Clipping("normalized", 256, 16)
    ring, point = roots(model, clipping)
    assert np.linalg.norm(ring) < np.linalg.norm(point)
    assert ring[0] < 0 < ring[1]
    assert point == pytest.approx([np.linalg.norm(point), 0.0], abs=1e-9)
    for root in (ring, point):
        assert np.abs(expected_update(mixture(model, 16), root, clipping)).max() < 1e-9
