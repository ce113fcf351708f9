"""A smaller last micro-batch: exact values by quadrature and by drawing samples.

Monte-Carlo comparisons: about 40 numbers of |z| < 6, a false alarm in 10⁷.
"""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, optimize, special

from analysis.rest.fluctuation import covariance, fluctuation
from analysis.rest.mixture import average, mixture
from analysis.rest.stable import exact_bias, stationary_points
from analysis.rest.update import Update, mean_update, smallest_norm
from analysis.spec.checking import SpecificationError
from analysis.spec.domains import Domain
from analysis.spec.draggers import Dragger
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Gaussian, Rare
from analysis.spec.rule import Clipping, micro_batches

PRESET = Experiment.load(
    Path(__file__).parents[3] / "sim" / "presets" / "sweet_spot.toml"
).model
LINE = GradientModel(
    1, 0.05, Gaussian("gaussian", 1.0), Dragger("persistent", 6.0, (-1.0,))
)
SKEWED = replace(LINE, noise=Rare("rare", 0.2, 1.5, 0.4))
# micro-batches of 4, 4, 4 and 1
BATCH = 13
SIZE = 4
LIMIT = 6.0
RULES = [
    ("sgd", None),
    ("adaptive", None),
    ("normalized", None),
    ("fixed", 0.4),
    ("global", 0.3),
]


def drift_on_a_line(a, cut, model=LINE):
    """Σ_j ∫ Π_{i≠j} S_i [P(g_j > t) - P(g_j < -t)] dt by quadrature, Gaussian noise."""
    eps, norm, sigma = model.dragger_fraction, model.dragger.norm, model.noise.scale
    sizes = [b for b, count in cut for _ in range(count)]

    def sides(t, b):
        k = np.arange(b)
        weight = special.binom(b, k) * eps**k * (1 - eps) ** (b - k)
        scale, mean = sigma * np.sqrt(b - k) / b, ((b - k) * a - k * norm) / b
        up, down = special.ndtr((mean - t) / scale), special.ndtr((-t - mean) / scale)
        return weight @ up, weight @ down + eps**b * (t < norm)

    def integrand(t):
        each = [sides(t, b) for b in sizes]
        survival = [up + down for up, down in each]
        return sum(
            np.prod(survival[:j] + survival[j + 1 :]) * (up - down)
            for j, (up, down) in enumerate(each)
        )

    cuts = [0.0, 0.02, 0.1, 0.3, 1.0, 3.0, norm / 2, norm, norm + a + 10 * sigma]
    return sum(
        integrate.quad(integrand, *ends, epsabs=1e-12, epsrel=1e-10, limit=100)[0]
        for ends in pairwise(cuts)
    )


@pytest.mark.parametrize(("batch", "b"), [(14, 4), (7, 3), (5, 4)])
def test_adaptive_by_direct_quadrature(batch, b):
    """The identity with a law for each micro-batch; the even formula differs."""
    cut = micro_batches(batch, b)
    expected = optimize.brentq(drift_on_a_line, 0, 5, args=(cut,), xtol=1e-11)
    assert exact_bias(LINE, "adaptive", batch, b).bias == pytest.approx(
        expected, rel=1e-7
    )
    even = exact_bias(LINE, "adaptive", b * len(drawn_sizes(batch, b)), b).bias
    assert abs(even / expected - 1) > 1e-3


def test_normalized_by_the_average_of_two_rules():
    """Here n E u(b) + E u(rest) = 0, each its own law: a bias between both sizes'."""
    found = exact_bias(PRESET, "normalized", 257, 29).bias
    a = np.array([found])
    clipping = Clipping("normalized", 257, 29)
    whole, rest = (
        mean_update(((mixture(PRESET, b), 1),), a, clipping).vector for b in (29, 25)
    )
    assert 8 * whole + rest == pytest.approx(0, abs=1e-9)
    apart = [exact_bias(PRESET, "normalized", b, b).bias for b in (29, 25)]
    assert min(apart) < found < max(apart)


def test_a_dropped_sample_and_a_smaller_micro_batch():
    """257 samples as 8·29 + 25, as 8·32 + 1, 256 of them as 8·32: three biases."""
    cut, lonely, dropped = (
        exact_bias(LINE, "adaptive", batch, b).bias
        for batch, b in ((257, 29), (257, 32), (256, 32))
    )
    assert len({round(x, 6) for x in (cut, lonely, dropped)}) == 3
    assert (
        exact_bias(LINE, "sgd", 257, 29).bias == exact_bias(LINE, "sgd", 256, 32).bias
    )


def nearest(model, clipping):
    """∇f [axes] at the stationary point nearest to 0."""
    return stationary_points(Update(model, clipping))[0].gradient


def drawn_sizes(batch, b):
    return [size for size, count in micro_batches(batch, b) for _ in range(count)]


def drawn(model, batch, b, rule, a, threshold, steps=60_000, seed=3, pure=False):
    """Updates [steps] at ∇f = a (line) from samples, and smallest norms [steps]."""
    rng = np.random.default_rng(seed)
    means = []
    for size in drawn_sizes(batch, b):
        wrong = rng.random((steps, size)) < model.dragger_fraction
        weights = np.cumsum([weight for weight, _ in model.parts])
        kind = np.searchsorted(weights, rng.random((steps, 1 if pure else size)))
        kind = np.broadcast_to(kind, (steps, size))
        shifts = model.domain_shifts()
        noise = np.zeros((steps, size))
        for k, (_, law) in enumerate(model.parts):
            part = law.gaussian * rng.normal(size=(steps, size))
            if isinstance(law, Rare):
                part += np.where(
                    rng.random((steps, size)) < law.probability, law.hit, law.miss
                )
            noise += np.where(
                kind == k, part + (shifts[k][0] if model.domains else 0.0), 0.0
            )
        push = model.dragger.norm * model.dragger.direction[0]
        means.append(np.where(wrong, push, a + noise).mean(1))
    g = np.stack(means, axis=1)
    rho = np.abs(g).min(1)
    if rule == "global":
        return np.clip(g.mean(1), -threshold, threshold), rho
    clipped = {
        "sgd": lambda: g,
        "adaptive": lambda: np.sign(g) * rho[:, None],
        "normalized": lambda: np.sign(g),
        "fixed": lambda: np.clip(g, -threshold, threshold),
    }[rule]()
    return clipped.mean(1), rho


def score(values, expected):
    return abs(values.mean() - expected) / (values.std() / math.sqrt(values.size))


@pytest.mark.parametrize(("rule", "threshold"), RULES)
def test_updates_vanish_at_the_root(rule, threshold):
    """Updates vanish at the exact bias, not at the root of equal micro-batches."""
    root = -exact_bias(SKEWED, rule, BATCH, SIZE, threshold=threshold).bias
    point = nearest(SKEWED, Clipping(rule, BATCH, SIZE, threshold))
    assert abs(point[0]) == -root
    update, rho = drawn(SKEWED, BATCH, SIZE, rule, point[0], threshold)
    assert score(update, 0.0) < LIMIT
    if rule == "adaptive":
        exact = exact_bias(SKEWED, rule, BATCH, SIZE).clipping_norm
        assert score(rho, exact) < LIMIT
        without = smallest_norm(((mixture(SKEWED, SIZE), 3),), point)
        assert score(rho, without) > 2 * LIMIT


@pytest.mark.parametrize(("rule", "threshold"), RULES[1:4])
def test_the_root_of_equal_micro_batches_is_another(rule, threshold):
    """The same test at the even formula's root, four micro-batches of 4: rejected."""
    point = nearest(SKEWED, Clipping(rule, 16, SIZE, threshold))
    update, _ = drawn(SKEWED, BATCH, SIZE, rule, point[0], threshold, steps=400_000)
    assert score(update, 0.0) > 2 * LIMIT


@pytest.mark.parametrize(("rule", "threshold"), RULES)
@pytest.mark.parametrize("pure", [True, False])
def test_domains_of_unequal_micro_batches(rule, threshold, pure):
    model = replace(
        LINE,
        noise=None,
        domains=(
            Domain(0.7, -0.5, Gaussian("gaussian", 0.5)),
            Domain(0.3, 1.0, Rare("rare", 0.3, 1.0, 0.4)),
        ),
    )
    point = nearest(model, Clipping(rule, BATCH, SIZE, threshold, pure))
    update, _ = drawn(model, BATCH, SIZE, rule, point[0], threshold, pure=pure)
    assert score(update, 0.0) < LIMIT


@pytest.mark.parametrize(("rule", "threshold"), RULES[:4])
def test_covariance_of_unequal_micro_batches(rule, threshold):
    """Away from rest, where products of two micro-batches count; the last matters."""
    a, clipping = np.array([0.7]), Clipping(rule, BATCH, SIZE, threshold)
    laws = Update(SKEWED, clipping).gradients
    exact = covariance(laws, a, clipping)[0, 0]
    update, _ = drawn(SKEWED, BATCH, SIZE, rule, a[0], threshold, steps=200_000)
    assert score((update - update.mean()) ** 2, exact) < LIMIT
    without = covariance(laws[:1], a, clipping)[0, 0]
    assert score((update - update.mean()) ** 2, without) > 2 * LIMIT


@pytest.mark.parametrize(("rule", "threshold"), RULES)
def test_fluctuation(rule, threshold):
    """Contraction: the slope of the exact drift; noise: drawn updates' variance."""
    update = Update(SKEWED, Clipping(rule, BATCH, SIZE, threshold))
    point = stationary_points(update)[0].gradient
    near = fluctuation(update, point)
    h = 1e-3
    ends = [update.expected(point + x)[0] for x in (-h, h)]
    assert near.contraction == pytest.approx((ends[1] - ends[0]) / (2 * h), rel=2e-3)
    update, _ = drawn(SKEWED, BATCH, SIZE, rule, point[0], threshold)
    assert score((update - update.mean()) ** 2, near.noise) < LIMIT


@pytest.mark.parametrize("factor", [1e-50, 1e10])
@pytest.mark.parametrize(
    ("rule", "threshold", "power"), [("normalized", None, -1), ("fixed", 1e-9, 0)]
)
def test_a_contraction_has_a_unit(rule, threshold, power, factor):
    """Per unit of the gradient for `normalized`; a small threshold flattens nothing."""

    def near(size):
        limit = None if threshold is None else threshold * size
        dragger = Dragger("persistent", 6.0 * size, (-1.0,))
        model = replace(LINE, noise=Gaussian("gaussian", size), dragger=dragger)
        update = Update(model, Clipping(rule, 16, SIZE, limit))
        return fluctuation(update, stationary_points(update)[0].gradient)

    expected = near(1.0).contraction * factor**power
    assert near(factor).contraction == pytest.approx(expected, rel=1e-6)


def test_the_law_of_a_weighted_mean():
    """Mean and variance of the whole; of equal pieces the law of one micro-batch."""
    a = np.array([0.3])
    parts = [mixture(SKEWED, 12), mixture(SKEWED, 2)]
    law = average(parts, [0.75, 0.25])
    means = [part.weight @ part.means(a)[:, 0] for part in (law, *parts)]
    assert means[0] == pytest.approx(0.75 * means[1] + 0.25 * means[2])
    variance = [
        part.weight @ (part.scale**2 + part.means(a)[:, 0] ** 2) - mean**2
        for part, mean in zip((law, *parts), means, strict=True)
    ]
    assert variance[0] == pytest.approx(0.75**2 * variance[1] + 0.25**2 * variance[2])
    half = average([mixture(SKEWED, 4)] * 2, [0.5, 0.5])
    units = [((one, 1.0),) for one in (half, mixture(SKEWED, 8))]
    first, second = (
        mean_update(unit, a, Clipping("fixed", 8, 8, 0.3)).vector for unit in units
    )
    assert first == pytest.approx(second, rel=1e-9)


def test_gamma_noise_alone_has_no_law_of_unequal_pieces():
    model = replace(LINE, noise=Gamma("gamma", 2.0, 1.0, 1, 0.0))
    with pytest.raises(SpecificationError, match=r"model.noise.gaussian = 0.0"):
        exact_bias(model, "global", BATCH, SIZE, threshold=0.5)
    assert exact_bias(model, "adaptive", BATCH, SIZE).bias > 0


def test_the_last_micro_batch_may_be_of_one_sample():
    assert (
        exact_bias(SKEWED, "adaptive", 9, 4).bias
        != exact_bias(SKEWED, "adaptive", 8, 4).bias
    )


@pytest.mark.parametrize("b", [0, 15])
def test_sizes_outside_the_mini_batch_are_refused(b):
    with pytest.raises(
        SpecificationError, match=f"micro_batch_size = {b}: must be from 1 to"
    ):
        exact_bias(LINE, "adaptive", BATCH, b)
