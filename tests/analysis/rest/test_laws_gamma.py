"""Gamma noise: direct quadrature on the line, its Gaussian limit, by samples."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, optimize, special

from analysis.rest.gamma_quadrature import gamma_rule
from analysis.rest.mixture import mixture
from analysis.rest.stable import exact_bias
from analysis.rest.update import clipping_norm, expected_update
from analysis.spec.checking import SpecificationError
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Gaussian
from analysis.spec.rule import Clipping

# One false alarm in 5e8 per comparison of two normal numbers; about 20 are made here.
LIMIT = 6.0


def line_model(noise, eps=0.02, d=1):
    return GradientModel(
        d, eps, noise, Dragger("persistent", 5.0, (-1.0,) + (0.0,) * (d - 1))
    )


@pytest.mark.parametrize("shape", [1e-2, 0.3, 1.0, 2.7, 8.0, 40.0, 5000.0])
@pytest.mark.parametrize("width", [0.3, 1.0, 3.0])
def test_rule_integrates_what_a_gaussian_smooths(shape, width):
    """A rule five times finer agrees to 1e-11, and the mean is exact."""
    width *= math.sqrt(shape)
    x, weight = gamma_rule(shape, width)
    y, finer = gamma_rule(shape, width / 5)
    for centre in special.gammaincinv(shape, [0.01, 0.5, 0.99]):
        expected = finer @ np.exp(-(((y - centre) / width) ** 2) / 2)
        assert weight @ np.exp(-(((x - centre) / width) ** 2) / 2) == pytest.approx(
            expected, abs=2e-11
        )
    assert weight @ x == pytest.approx(shape, rel=2e-11)


def sides(noise, b, eps, norm):
    """P(g > t) and P(g < -t) at ∇f = a, scalar t: a term by number of draggers."""

    def tail(n, y):  # P(sum of n noises > y)
        x = n * noise.shape + y / noise.unit
        if noise.sign > 0:
            return special.gammaincc(n * noise.shape, max(x, 0.0))
        return special.gammainc(n * noise.shape, max(x, 0.0))

    def probabilities(t, a):
        up = 0.0
        down = eps**b * (t < norm)
        for k in range(b):
            weight, n = math.comb(b, k) * eps**k * (1 - eps) ** (b - k), b - k
            centre = n * a - k * norm
            up += weight * tail(n, b * t - centre)
            down += weight * (1 - tail(n, -b * t - centre))
        return up, down

    edges = [lambda a, n=n: abs(n * (a - noise.unit * noise.shape) - (b - n) * norm) / b
             for n in range(b, 0, -1)]  # fmt: skip
    return probabilities, edges


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("shape", "b", "m"), [(2.0, 1, 16), (1.0, 2, 8), (0.4, 2, 4), (0.4, 4, 1e9)]
)
def test_one_dimension_by_direct_quadrature(shape, b, m, sign):
    """E ψ = ∫ S^(m-1) [P(g > t) - P(g < -t)] dt by scipy; m = 1e9: normalized."""
    noise = Gamma("gamma", shape, 1.0, sign, 0.0)
    eps = 0.05
    norm = 5.0
    probabilities, edges = sides(noise, b, eps, norm)

    def integrand(t, a):
        up, down = probabilities(t, a)
        return (up + down) ** (m - 1) * (up - down)

    def drift(a):
        if m == 1e9:
            up, down = probabilities(0.0, a)
            return up - down
        singular = sorted({0.0, *(e(a) for e in edges), norm, 0.01, 0.1, 0.5, 40.0})
        cuts = sorted(
            {s + x for s in singular for x in (-1e-2, -1e-4, 0.0, 1e-4, 1e-2)}
        )
        cuts = [c for c in cuts if 0 <= c <= 40]
        return sum(
            integrate.quad(integrand, lo, hi, args=(a,), epsabs=1e-13, epsrel=1e-10)[0]
            for lo, hi in pairwise(cuts)
        )

    rule, batch = ("normalized", b) if m == 1e9 else ("adaptive", int(b * m))
    model = GradientModel(1, eps, noise, Dragger("persistent", norm, (-1.0,)))
    found = exact_bias(model, rule, batch, b)
    with np.errstate(all="ignore"):
        for root in found.roots[:1]:
            near = [abs(drift(s * root)) for s in (1, -1)]
            side = (1, -1)[int(np.argmin(near))]
            expected = optimize.brentq(
                drift, *sorted((side * root * 0.98, side * root * 1.02)), xtol=1e-11
            )
    assert found.bias == pytest.approx(abs(expected), rel=1e-7)


def test_a_singular_density_at_the_edge():
    """One sample, shape ½, no draggers, normalized: rest is where the median is 0."""
    noise = Gamma("gamma", 0.5, 1.0, 1, 0.0)
    model = GradientModel(1, 0.0, noise, Dragger("persistent", 5.0, (-1.0,)))
    median = noise.unit * (special.gammaincinv(0.5, 0.5) - 0.5)
    assert exact_bias(model, "normalized", 16, 1).bias == pytest.approx(
        abs(median), rel=1e-9
    )
    (root,) = exact_bias(model, "adaptive", 4096, 1).roots
    assert root == pytest.approx(abs(median), rel=0.01)


@pytest.mark.parametrize("d", [1, 3])
def test_a_small_gaussian_part_changes_little(d):
    """The incomplete gamma function against outer quadrature: two routes, one law."""
    bare, blurred = (
        exact_bias(
            line_model(Gamma("gamma", 2.0, 1.0, 1, g), d=d), "adaptive", 64, 8
        ).bias
        for g in (0.0, 0.03)
    )
    assert blurred == pytest.approx(bare, rel=1e-2)
    assert blurred != bare


@pytest.mark.parametrize("gaussian", [0.0, 0.3])
@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_large_shapes_are_gaussian(rule, gaussian):
    """Skewness 2/√shape: the bias tends to the Gaussian of the same variance."""
    expected = exact_bias(
        line_model(Gaussian("gaussian", math.hypot(1, gaussian))), rule, 64, 4
    )
    found = exact_bias(line_model(Gamma("gamma", 1e6, 1.0, 1, gaussian)), rule, 64, 4)
    assert found.bias == pytest.approx(expected.bias, rel=2e-2)
    near, far = (
        abs(exact_bias(line_model(Gamma((
            "gamma"
        ), s, 1.0, 1, gaussian)), rule, 64, 4).bias
            - expected.bias) for s in (1e4, 100.0)
    )  # fmt: skip
    # the first correction is the skewness
    assert far / near == pytest.approx(10, rel=0.05)


def test_skewness_sets_the_slope_of_the_bias():
    """Small b draggers apart, E u ≈ skewness/6b: the noise's sign is the root's."""
    values = []
    for sign in (1, -1):
        law = mixture(line_model(Gamma("gamma", 4.0, 1.0, sign, 0.1), eps=0.0), 64)
        values.append(
            expected_update(law, np.zeros(1), Clipping("normalized", 1, 1))[0]
        )
    assert values[0] == pytest.approx(-values[1], rel=1e-9)
    # E sign of a sum of 64, by Edgeworth: -skewness/(6√64) · 2/√(2π), up to terms of
    # third order
    assert values[0] == pytest.approx(
        -1 / (3 * math.sqrt(2 * math.pi) * 8) / 1.015, rel=0.02
    )


def monte_carlo(model, b, m, a, steps, seed):
    """Mean and standard error of the adaptive update [d] and of ρ, sample by sample."""
    rng = np.random.default_rng(seed)
    d, law = model.dimension, model.noise
    g = a + rng.normal(size=(steps, m, b, d)) * law.gaussian / math.sqrt(d)
    x = rng.gamma(law.shape, size=(steps, m, b))
    g[..., 0] += law.scale * law.sign * (x - law.shape) / math.sqrt(law.shape)
    dragger = rng.random((steps, m, b, 1)) < model.dragger_fraction
    g = np.where(
        dragger, model.dragger.norm * np.array(model.dragger.direction), g
    ).mean(2)
    size = np.linalg.norm(g, axis=-1, keepdims=True)
    rho = size.min(1, keepdims=True)
    values = np.concatenate([(g / size * rho).mean(1), rho[:, 0]], axis=1)
    return values.mean(0), values.std(0, ddof=1) / math.sqrt(steps)


@pytest.mark.parametrize("direction", [(-1.0, 0.0), (0.6, 0.8)])
@pytest.mark.parametrize(("shape", "gaussian"), [(0.3, 0.4), (3.0, 0.2), (0.3, 0.0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_update_by_simulation(shape, gaussian, sign, direction):
    noise = Gamma("gamma", shape, 1.0, sign, gaussian)
    b = 4
    m = 4
    model = GradientModel(2, 0.1, noise, Dragger("persistent", 4.0, direction))
    law = mixture(model, b)
    if gaussian == 0 and law.axes == 2:
        with pytest.raises(
            SpecificationError, match=r"model\.noise\.gaussian = 0\.0: must be > 0"
        ):
            exact_bias(model, "adaptive", b * m, b)
        return
    a = np.array([0.3, 0.2 if law.axes == 2 else 0.0])
    mean, error = monte_carlo(model, b, m, a, 40_000, 2)
    exact = expected_update(law, a[: law.axes], Clipping("adaptive", b * m, b))
    assert np.abs((mean[: law.axes] - exact) / error[: law.axes]).max() < LIMIT
    assert abs(mean[2] - clipping_norm(law, a[: law.axes], m)) / error[2] < LIMIT
    assert (
        abs(mean[2] - clipping_norm(law, a[: law.axes], m + 1)) / error[2] > 2 * LIMIT
    )
    mirrored = replace(model, noise=replace(noise, sign=-sign))
    wrong = expected_update(
        mixture(mirrored, b), a[: law.axes], Clipping("adaptive", b * m, b)
    )
    assert np.abs((mean[: law.axes] - wrong) / error[: law.axes]).max() > LIMIT


def test_too_fine_a_law_is_refused():
    model = line_model(Gamma("gamma", 1e-3, 1.0, 1, 1e-6), d=2)
    with pytest.raises(
        SpecificationError, match=r"larger Gaussian part.*too many nodes"
    ):
        exact_bias(model, "adaptive", 64, 8)
