"""Several domains: known values, two routes to one law, and sample by sample."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special

from analysis.rest.axes import span
from analysis.rest.mixture import mixture
from analysis.rest.stable import exact_bias, stationary_points
from analysis.rest.update import Update, clipping_norm, expected_update
from analysis.spec.checking import SpecificationError
from analysis.spec.domains import Domain
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Gaussian, Rare
from analysis.spec.rule import Clipping

# One false alarm in 5e8 per comparison of two normal numbers; about 40 are made here.
LIMIT = 6.0
SIZES = [1, 16, 256]


def two(noise=None, eps=0.0, weights=(0.7, 0.3)):
    """Two domains at distance 1 in one dimension."""
    noise = noise or Gaussian("gaussian", 0.5)
    domains = tuple(
        Domain(w, o, noise) for w, o in zip(weights, (0.0, 1.0), strict=True)
    )
    return GradientModel(
        1, eps, None, Dragger("persistent", 5.0, (-1.0,)), 1.0, domains
    )


@pytest.mark.parametrize(
    ("pure", "values"),
    [(True, [0.0571, 0.2293, 0.2823]), (False, [0.0571, 0.0019, 0.0001])],
)
def test_known_values(pure, values):
    """Those of an independent derivation, for the normalized rule."""
    found = [exact_bias(two(), "normalized", 256, b, pure=pure).bias for b in SIZES]
    assert found == pytest.approx(values, abs=5.1e-5)


@pytest.mark.parametrize("b", SIZES)
def test_pure_domains_by_the_normal_distribution(b):
    """The median of a mixture of two normal laws, directly."""
    s = 0.5 / math.sqrt(b)

    def sign(a):
        return 0.7 * special.erf((a + 0.3) / s / math.sqrt(2)) + 0.3 * special.erf(
            (a - 0.7) / s / math.sqrt(2)
        )

    expected = abs(optimize.brentq(sign, -0.5, 0.5, xtol=1e-14))
    assert exact_bias(two(), "normalized", 256, b, pure=True).bias == pytest.approx(
        expected, rel=1e-9
    )


def test_two_pure_domains_without_noise_settle_at_the_majority():
    """G = π₂·δ: the median; any number of micro-batches for Algorithm 1 tends there."""
    still = two(Gaussian("gaussian", 0.0))
    for b in (1, 4, 16):
        assert exact_bias(still, "normalized", 16, b, pure=True).bias == pytest.approx(
            0.3
        )
    assert exact_bias(still, "adaptive", 1024, 4, pure=True).bias == pytest.approx(
        0.3, abs=1e-6
    )
    assert exact_bias(still, "sgd", 1024, 4, pure=True).bias == 0


@pytest.mark.parametrize("rule", ["normalized", "adaptive"])
def test_mixed_domains_are_rare_noise(rule):
    """Two domains on the first axis are rare samples π₁·δ of chance π₂, sign turned."""
    dragger = Dragger("persistent", 5.0, (-1.0, 0.5))
    noise = Gaussian("gaussian", 0.4)
    domains = (Domain(0.8, (2.0, 0.0), noise), Domain(0.2, (0.0, 0.0), noise))
    split = GradientModel(2, 0.05, None, dragger, 1.5, domains)
    joined = GradientModel(2, 0.05, Rare("rare", 0.2, 0.8 * 2 * 1.5, 0.4), dragger)
    assert split.noise_scale() == pytest.approx(joined.noise_scale())
    expected = exact_bias(joined, rule, 32, 4)
    found = exact_bias(split, rule, 32, 4)
    assert found.bias == pytest.approx(expected.bias, rel=1e-9)
    if rule == "adaptive":
        assert found.clipping_norm == pytest.approx(expected.clipping_norm, rel=1e-8)


@pytest.mark.parametrize(
    "noise", [Rare("rare", 0.2, 1.0, 0.3), Gamma("gamma", 2.0, 1.0, 1, 0.3)]
)
@pytest.mark.parametrize("pure", [True, False])
def test_equal_domains_are_one(noise, pure):
    dragger = Dragger("persistent", 5.0, (-1.0,))
    one = GradientModel(1, 0.05, noise, dragger)
    same = tuple(Domain(w, 3.0, noise) for w in (0.25, 0.75))
    several = GradientModel(1, 0.05, None, dragger, 1.0, same)
    for rule in ("adaptive", "global"):
        c = 0.5 if rule == "global" else None
        expected = exact_bias(one, rule, 16, 4, threshold=c).bias
        assert exact_bias(
            several, rule, 16, 4, threshold=c, pure=pure
        ).bias == pytest.approx(expected, rel=1e-8)


def sampled(model, b, m, group, rule, a, steps, seed, threshold=None):
    """Means and standard errors of the update [d] and ρ, by samples at ∇f = a."""
    rng = np.random.default_rng(seed)
    d, domains = model.dimension, model.domains
    weights = np.array([k.weight for k in domains])
    which = np.repeat(
        rng.choice(len(weights), p=weights, size=(steps, m, b // group)), group, -1
    )
    g = a + model.domain_shifts()[which]
    for k, domain in enumerate(domains):
        here, law = which == k, domain.noise
        noise = rng.normal(size=(here.sum(), d)) * law.gaussian / math.sqrt(d)
        if isinstance(law, Rare):
            noise[:, 0] += np.where(
                rng.random(len(noise)) < law.probability, law.hit, law.miss
            )
        if isinstance(law, Gamma):
            noise[:, 0] += law.unit * (
                rng.gamma(law.shape, size=len(noise)) - law.shape
            )
        g[here] += noise
    push = model.dragger.norm * np.array(model.dragger.direction)
    g = np.where(rng.random((steps, m, b, 1)) < model.dragger_fraction, push, g).mean(2)
    if rule == "global":
        g = g.mean(1, keepdims=True)
    size = np.linalg.norm(g, axis=-1, keepdims=True)
    length = (
        size.min(1, keepdims=True)
        if rule == "adaptive"
        else np.minimum(size, threshold)
    )
    values = np.concatenate([(g / size * length).mean(1), size.min(1)], axis=1)
    return values.mean(0), values.std(0, ddof=1) / math.sqrt(steps)


NOISES = (
    Rare("rare", 0.2, 1.0, 0.3),
    Gamma("gamma", 1.0, 0.5, -1, 0.3),
    Gaussian("gaussian", 0.7),
)


@pytest.mark.parametrize(
    ("rule", "group"), [("adaptive", 1), ("adaptive", 4), ("global", 4)]
)
def test_update_by_simulation(rule, group):  # noqa: PLR0914 one comparison, in one piece
    """Three domains with three noise laws, anisotropic curvature, three axes."""
    optima = ((0.0, 0.0, 0.0), (1.0, 0.0, -1.0), (0.0, 2.0, 0.0))
    domains = tuple(map(Domain, (0.5, 0.3, 0.2), optima, NOISES))
    model = GradientModel(
        3,
        0.1,
        None,
        Dragger("persistent", 4.0, (-1.0, 0.0, 0.0)),
        (1.0, 0.5, 2.0),
        domains,
    )
    b = 4
    m = 2 if rule == "global" else 4
    threshold = 0.5
    place = span(model)
    assert place.axes == 3
    a = np.array([0.3, -0.2, 0.4])
    mean, error = sampled(model, b, m, group, rule, a, 30_000, 5, threshold)
    sizes, c = ((b * m, 1), threshold) if rule == "global" else ((b, m), None)
    clipping = Clipping(rule, b * m, b, c)
    basis = _basis(model)
    law = mixture(model, sizes[0], group)
    inner = basis @ a
    exact = basis.T @ expected_update(law, inner, clipping)
    assert np.abs((mean[:3] - exact) / error[:3]).max() < LIMIT
    assert abs(mean[3] - clipping_norm(law, inner, sizes[1])) / error[3] < LIMIT
    # mixed taken for pure must fail
    other = mixture(model, sizes[0], 1 if group > 1 else b)
    wrong = basis.T @ expected_update(other, inner, clipping)
    assert np.abs((mean[:3] - wrong) / error[:3]).max() > 2 * LIMIT


def _basis(model):
    """The span's basis from e₁ and the shifts, which have one dimension less."""
    place = span(model)
    known = np.vstack([place.first, place.shifts])
    return np.linalg.lstsq(
        known, np.vstack([np.eye(3)[0], model.domain_shifts()]), rcond=None
    )[0]


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_three_axes_are_searched(rule):
    """Domains and draggers in three directions: no update at the root, |z| < 6."""
    noise = Gaussian("gaussian", 0.5)
    optima = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 2.0, 0.0))
    domains = tuple(
        Domain(w, o, noise) for w, o in zip((0.5, 0.3, 0.2), optima, strict=True)
    )
    dragger = Dragger("persistent", 4.0, (0.0, 0.0, 1.0))
    model = GradientModel(3, 0.1, None, dragger, 1.0, domains)
    update = Update(model, Clipping(rule, 16, 4, pure=True))
    (point,) = stationary_points(update)
    root = point.gradient
    law = mixture(model, 4, 4)
    assert np.abs(expected_update(law, root, update.clipping)).max() < 1e-9
    turned = replace(model, dragger=Dragger("persistent", 4.0, (0.0, 0.0, -1.0)))
    assert exact_bias(turned, rule, 16, 4, pure=True).bias == pytest.approx(
        np.linalg.norm(root), rel=1e-7
    )


def test_orthogonal_draggers_flatten_the_domains():
    """The domains' distance along v does not matter, the curvature does."""
    noise, dragger = Gaussian("gaussian", 0.5), Dragger("orthogonal", 5.0, (0.0, 1.0))

    def model(along, curvature):
        domains = (Domain(0.7, (0.0, 0.0), noise), Domain(0.3, (1.0, along), noise))
        return GradientModel(2, 0.05, None, dragger, curvature, domains)

    values = [
        exact_bias(model(x, (1.0, 3.0)), "normalized", 16, 16, pure=True)
        for x in (0.0, 7.0)
    ]
    assert values[0].bias == pytest.approx(values[1].bias, rel=1e-9)
    steeper = exact_bias(model(0.0, (2.0, 3.0)), "normalized", 16, 16, pure=True)
    assert steeper.bias > 1.5 * values[0].bias


def test_two_gamma_laws_without_a_gaussian_part_are_refused():
    laws = [Gamma("gamma", s, 1.0, 1, 0.0) for s in (1.0, 2.0)]
    domains = tuple(Domain(0.5, 0.0, law) for law in laws)
    model = GradientModel(
        1, 0.05, None, Dragger("persistent", 5.0, (-1.0,)), 1.0, domains
    )
    with pytest.raises(SpecificationError, match=r"one law or a Gaussian part > 0"):
        exact_bias(model, "adaptive", 16, 4)
    assert exact_bias(model, "adaptive", 16, 4, pure=True).bias > 0


def test_opposing_draggers_with_domains_have_several_axes():
    model = replace(two(eps=0.1), dragger=Dragger("opposing", 3.0))
    found = exact_bias(model, "normalized", 64, 4)
    assert found.bias == min(found.roots) > 0


def test_the_pure_radius_keeps_the_distance_of_the_domains():
    model = two()
    assert model.noise_scale() == pytest.approx(math.sqrt(0.25 + 0.21))
    assert model.noise_scale(16) == pytest.approx(math.sqrt(0.25 + 16 * 0.21))
