"""The exact bias, each value by a second route: closed forms, direct quadrature, Monte-Carlo."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, optimize, special

from analysis.exact import exact_bias, expected_update
from analysis.laws import Dragger, Gaussian, Rare
from analysis.mixture import mixture
from analysis.model import Experiment, GradientModel
from analysis.tails import tails

MODEL = Experiment.load(Path(__file__).parents[2] / "sim" / "presets" / "sweet_spot.toml").model
SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256]
WORKED = [0.29949, 0.28269, 0.24983, 0.06103, 0.09204, 0.10382, 0.16107, 0.18896, 0.20202]
# One false alarm in 5e8 per comparison of two normal numbers; about 60 are made here.
LIMIT = 6.0


def gaussian_model(d, eps=0.05, scale=1.0, norm=10.0, law="persistent"):
    dragger = Dragger(law, norm, tuple([-1.0] + [0.0] * (d - 1)))
    return GradientModel(d, eps, Gaussian("gaussian", scale), dragger)


@pytest.mark.parametrize(("b", "value"), list(zip(SIZES, WORKED, strict=True)))
def test_worked_law(b, value):
    """The values of an independent derivation, to the digits given."""
    assert exact_bias(MODEL, "adaptive", 256, b).bias == pytest.approx(value, abs=5.1e-6)


@pytest.mark.parametrize(
    ("norm", "batch", "b", "value", "digit"),
    [(200.0, 256, 64, 1.178, 5e-4), (2000.0, 16, 8, 1.94, 5e-3)],
)
def test_few_micro_batches_are_unbounded_in_the_draggers(norm, batch, b, value, digit):
    """Likewise; both exceed the normalized rule's radius (0.577 and 0.401)."""
    model = replace(MODEL, dragger=replace(MODEL.dragger, norm=norm))
    assert exact_bias(model, "adaptive", batch, b).bias == pytest.approx(
        value, abs=6e-4 * norm**0.3
    )


@pytest.mark.parametrize("law", ["persistent", "additive"])
def test_sgd_closed_form(law):
    eps, norm = 0.05, 10.0
    expected = eps * norm / (1 - eps if law == "persistent" else 1)
    model = gaussian_model(3, eps, norm=norm, law=law)
    assert exact_bias(model, "sgd", 64, 8).bias == pytest.approx(expected, rel=1e-10)
    assert exact_bias(model, "adaptive", 64, 64).bias == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("b", [1, 8, 64])
@pytest.mark.parametrize("direction", [(-1.0, 0.0), (0.6, 0.8)])
def test_quadrature_reproduces_the_mean_at_m_1(b, direction):
    """∫ C(t) dt = E g: the whole machinery against a sum."""
    model = replace(MODEL, dragger=replace(MODEL.dragger, direction=direction))
    law = mixture(model, b)
    a = np.full(law.axes, 0.17)
    found = expected_update(law, a, "adaptive", 1, None)
    assert found == pytest.approx(law.weight @ law.means(a), abs=1e-9)


@pytest.mark.parametrize("b", [1, 8, 64])
def test_quadrature_at_zero_is_the_mean_cosine(b):
    """C(0+) = E u, which the normalized rule gets from another integral."""
    law = mixture(MODEL, b)
    a = np.array([0.11])
    first = tails(law, a)
    assert first.direction[0, 0] == pytest.approx(
        expected_update(law, a, "normalized", 1, None), abs=1e-7
    )
    assert first.survival[0, 0] == pytest.approx(1, abs=1e-7)


def bias_on_a_line(eps, sigma, norm, b, m):
    """D = 1, Gaussian noise: ∫ S^(m-1)[P(g > t) - P(g < -t)] dt = 0 by adaptive quadrature."""
    k = np.arange(b)
    weight = special.binom(b, k) * eps**k * (1 - eps) ** (b - k)
    scale = sigma * np.sqrt(b - k) / b

    def above(t, a):
        mean = ((b - k) * a - k * norm) / b
        return weight @ special.ndtr((mean - t) / scale), weight @ special.ndtr((-t - mean) / scale)

    def integrand(t, a):
        up, down = above(t, a)
        down = down + eps**b * (t < norm)  # all draggers
        return (up + down) ** (m - 1) * (up - down)

    def drift(a):
        cuts = sorted({0.02, 0.1, 0.3, 1.0, 3.0, norm / b, norm})
        pieces = [0.0, *cuts, norm + a + 10 * sigma]
        return sum(
            integrate.quad(integrand, lo, hi, args=(a,), epsabs=1e-13, epsrel=1e-11, limit=200)[0]
            for lo, hi in pairwise(pieces)
        )

    return optimize.brentq(drift, 0, 5 * sigma, xtol=1e-12)


@pytest.mark.parametrize(("b", "m"), [(1, 64), (4, 16), (16, 4), (32, 2)])
def test_one_dimension_by_direct_quadrature(b, m):
    expected = bias_on_a_line(0.02, 1.0, 5.0, b, m)
    found = exact_bias(gaussian_model(1, 0.02, norm=5.0), "adaptive", b * m, b).bias
    assert found == pytest.approx(expected, rel=1e-7)


def monte_carlo(model, b, m, rule, a, steps, seed, threshold=None):
    """Mean and standard error [d] of the update at a fixed gradient a, sample by sample."""
    rng = np.random.default_rng(seed)
    d = model.dimension
    dragger = rng.random((steps, m, b, 1)) < model.dragger_fraction
    noise = rng.normal(size=(steps, m, b, d)) * model.noise.gaussian / math.sqrt(d)
    if model.noise.probability:
        rare = rng.random((steps, m, b)) < model.noise.probability
        noise[..., 0] += np.where(rare, model.noise.hit, model.noise.miss)
    push = model.dragger.norm * np.array(model.dragger.direction)
    g = np.where(dragger, push, a + noise).mean(2)
    size = np.linalg.norm(g, axis=-1, keepdims=True)
    length = {
        "adaptive": size.min(1, keepdims=True),
        "normalized": 1.0,
        "fixed": None if threshold is None else np.minimum(size, threshold),
    }[rule]
    update = (g / size * length).mean(1)
    return update.mean(0), update.std(0, ddof=1) / math.sqrt(steps)


CASES = [
    ("adaptive", 1, 16, None),
    ("adaptive", 4, 4, None),
    ("adaptive", 8, 2, None),
    ("normalized", 4, 4, None),
    ("fixed", 4, 4, 0.3),
]


@pytest.mark.parametrize(("rule", "b", "m", "threshold"), CASES)
@pytest.mark.parametrize("direction", [(-1.0, 0.0), (0.6, 0.8)])
def test_identity_by_simulation(rule, b, m, threshold, direction):
    """E[mean of the clipped gradients] = E ψ(g), sample by sample; 20 numbers, |z| < 6."""
    dragger = Dragger("persistent", 4.0, direction)
    model = GradientModel(2, 0.1, Rare("rare", 0.2, 1.5, 0.4), dragger)
    law = mixture(model, b)
    a = np.array([0.3, 0.2 if law.axes == 2 else 0.0])
    mean, error = monte_carlo(model, b, m, rule, a, 40_000, 11, threshold)
    exact = np.zeros(2)
    exact[: law.axes] = expected_update(law, a[: law.axes], rule, m, threshold)
    assert np.abs((mean - exact) / error).max() < LIMIT


def test_identity_has_power():
    """The score of m + 1 micro-batches instead of m is rejected by the same test."""
    model = GradientModel(
        2, 0.1, Rare("rare", 0.2, 1.5, 0.4), Dragger("persistent", 4.0, (-1.0, 0))
    )
    mean, error = monte_carlo(model, 8, 2, "adaptive", np.array([0.3, 0.0]), 40_000, 11)
    wrong = expected_update(mixture(model, 8), np.array([0.3]), "adaptive", 3, None)
    assert abs(mean[0] - wrong[0]) / error[0] > 2 * LIMIT


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_scale_is_the_total_standard_deviation(rule):
    """Gaussian noise at d = 7: at the exact root the simulated update vanishes, |z| < 6."""
    model = gaussian_model(7, 0.1, 1.0, 5.0)
    bias = exact_bias(model, rule, 16, 4).bias
    a = np.array([bias] + [0.0] * 6)
    mean, error = monte_carlo(model, 4, 4, rule, a, 60_000, 5)
    assert np.abs(mean / error).max() < LIMIT
    misread = replace(model, noise=Gaussian("gaussian", math.sqrt(7)))  # per coordinate
    wrong = np.array([exact_bias(misread, rule, 16, 4).bias] + [0.0] * 6)
    mean, error = monte_carlo(model, 4, 4, rule, wrong, 60_000, 5)
    assert abs(mean[0] / error[0]) > 2 * LIMIT


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_gaussian_bias_does_not_depend_on_the_draggers_direction(rule):
    straight = gaussian_model(3)
    turned = replace(straight, dragger=Dragger("persistent", 10.0, (1.0, -2.0, 0.5)))
    expected = exact_bias(straight, rule, 32, 4).bias
    assert exact_bias(turned, rule, 32, 4).bias == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_the_plane_continues_the_line(rule):
    """Draggers a little off the first axis: two axes are searched, the root moves a little."""
    on_line = exact_bias(MODEL, rule, 64, 8).bias
    tilted = replace(MODEL, dragger=replace(MODEL.dragger, direction=(-1.0, 1e-6)))
    assert mixture(tilted, 8).axes == 2
    assert exact_bias(tilted, rule, 64, 8).bias == pytest.approx(on_line, rel=1e-5)


def test_curvature_does_not_matter():
    bent = replace(MODEL, curvature=(1.0, 100.0))
    assert exact_bias(bent, "adaptive", 64, 8) == exact_bias(MODEL, "adaptive", 64, 8)


def test_normalized_in_one_million_dimensions():
    """E cos → a/√(1 + a²) as d grows: the root of p a/√(1 + a²) = 1 - p at b = 1."""
    model = gaussian_model(10**6, 0.2, 1.0, 10.0)
    p = 0.8
    expected = 1 / math.sqrt((p / (1 - p)) ** 2 - 1)
    assert exact_bias(model, "normalized", 64, 1).bias == pytest.approx(expected, rel=2e-6)
    assert exact_bias(model, "adaptive", 64, 1).bias == pytest.approx(expected, rel=1e-2)


def test_symmetric_noise_without_draggers_has_no_bias():
    model = gaussian_model(4, eps=0.0)
    for rule in ("sgd", "adaptive", "normalized"):
        assert exact_bias(model, rule, 16, 4).bias == pytest.approx(0, abs=1e-12)


def test_no_noise_at_all():
    """Draggers in the minority of micro-batches cannot move a median; SGD they can."""
    model = gaussian_model(1, 0.1, scale=0.0, norm=2.0)
    assert exact_bias(model, "normalized", 16, 1).bias == pytest.approx(0, abs=1e-9)
    assert exact_bias(model, "sgd", 16, 1).bias == pytest.approx(0.2 / 0.9)
    assert exact_bias(replace(model, dragger_fraction=0.0), "adaptive", 16, 4).bias == 0


def test_fixed_ends_at_sgd_and_at_normalized():
    """C → ∞ is the mean, c → 0 the direction."""
    sgd, normalized = (exact_bias(MODEL, rule, 64, 8).bias for rule in ("sgd", "normalized"))
    assert exact_bias(MODEL, "fixed", 64, 8, 1e3).bias == pytest.approx(sgd, rel=1e-7)
    assert exact_bias(MODEL, "fixed", 64, 8, 1e-4).bias == pytest.approx(normalized, rel=1e-3)


def test_global_does_not_depend_on_the_micro_batch_size():
    values = {exact_bias(MODEL, "global", 16, b, 0.3).bias for b in (1, 4, 16)}
    assert len(values) == 1
    assert values.pop() == pytest.approx(exact_bias(MODEL, "fixed", 16, 16, 0.3).bias)


def test_results_are_plain_numbers():
    json.dumps(exact_bias(MODEL, "adaptive", 16, 8).bias)
