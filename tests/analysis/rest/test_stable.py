"""The exact bias by second routes: closed forms, direct quadrature, Monte-Carlo."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, optimize, special

from analysis.rest.mixture import mixture
from analysis.rest.stable import exact_bias
from analysis.rest.tails import tails
from analysis.rest.update import expected_update
from analysis.spec.checking import SpecificationError
from analysis.spec.draggers import Dragger
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian, Rare
from analysis.spec.rule import Clipping
from tests.analysis.rest.sampling import sampled_updates

MODEL = Experiment.load(
    Path(__file__).parents[3] / "sim" / "presets" / "sweet_spot.toml"
).model
SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256]
WORKED = [
    0.29949,
    0.28269,
    0.24983,
    0.06103,
    0.09204,
    0.10382,
    0.16107,
    0.18896,
    0.20202,
]
# One false alarm in 5e8 per comparison of two normal numbers; about 60 are made here.
LIMIT = 6.0


def gaussian_model(d, eps=0.05, scale=1.0, norm=10.0, law="persistent"):
    dragger = Dragger(law, norm, tuple([-1.0] + [0.0] * (d - 1)))
    return GradientModel(d, eps, Gaussian("gaussian", scale), dragger)


@pytest.mark.parametrize(("b", "value"), list(zip(SIZES, WORKED, strict=True)))
def test_worked_law(b, value):
    """The values of an independent derivation, to the digits given."""
    assert exact_bias(MODEL, "adaptive", 256, b).bias == pytest.approx(
        value, abs=5.1e-6
    )


@pytest.mark.parametrize(
    ("norm", "batch", "b", "value", "half_a_digit"),
    [(200.0, 256, 64, 1.178, 5e-4), (2000.0, 16, 8, 1.94, 5e-3)],
)
def test_few_micro_batches_are_unbounded_in_the_draggers(
    norm, batch, b, value, half_a_digit
):
    """Likewise; both exceed the normalized rule's radius (0.577 and 0.401)."""
    model = replace(MODEL, dragger=replace(MODEL.dragger, norm=norm))
    bias = exact_bias(model, "adaptive", batch, b).bias
    assert bias == pytest.approx(value, abs=half_a_digit)


@pytest.mark.parametrize("law", ["persistent", "additive"])
def test_sgd_closed_form(law):
    eps = 0.05
    norm = 10.0
    expected = eps * norm / (1 - eps if law == "persistent" else 1)
    model = gaussian_model(3, eps, norm=norm, law=law)
    assert exact_bias(model, "sgd", 64, 8).bias == pytest.approx(expected, rel=1e-10)
    assert exact_bias(model, "adaptive", 64, 64).bias == pytest.approx(
        expected, rel=1e-10
    )


@pytest.mark.parametrize("b", [1, 8, 64])
@pytest.mark.parametrize("direction", [(-1.0, 0.0), (0.6, 0.8)])
def test_quadrature_reproduces_the_mean_at_m_1(b, direction):
    """∫ C(t) dt = E g: the whole machinery against a sum."""
    model = replace(MODEL, dragger=replace(MODEL.dragger, direction=direction))
    law = mixture(model, b)
    a = np.full(law.axes, 0.17)
    found = expected_update(law, a, Clipping("adaptive", b, b))
    assert found == pytest.approx(law.weight @ law.means(a), abs=1e-9)


@pytest.mark.parametrize("b", [1, 8, 64])
def test_quadrature_at_zero_is_the_mean_cosine(b):
    """C(0+) = E u, which the normalized rule gets from another integral."""
    law = mixture(MODEL, b)
    a = np.array([0.11])
    first = tails(law, a)
    assert first.direction[0, 0] == pytest.approx(
        expected_update(law, a, Clipping("normalized", b, b)), abs=1e-7
    )
    assert first.survival[0, 0] == pytest.approx(1, abs=1e-7)


def bias_on_a_line(eps, sigma, norm, b, m):
    """D = 1, Gaussian noise: ∫ S^(m-1)[P(g > t) - P(g < -t)] dt = 0 by quadrature."""
    k = np.arange(b)
    weight = special.binom(b, k) * eps**k * (1 - eps) ** (b - k)
    scale = sigma * np.sqrt(b - k) / b

    def above(t, a):
        mean = ((b - k) * a - k * norm) / b
        return weight @ special.ndtr((mean - t) / scale), weight @ special.ndtr(
            (-t - mean) / scale
        )

    def integrand(t, a):
        up, down = above(t, a)
        down = down + eps**b * (t < norm)  # all draggers
        return (up + down) ** (m - 1) * (up - down)

    def drift(a):
        cuts = sorted({0.02, 0.1, 0.3, 1.0, 3.0, norm / b, norm})
        pieces = [0.0, *cuts, norm + a + 10 * sigma]
        return sum(
            integrate.quad(
                integrand, lo, hi, args=(a,), epsabs=1e-13, epsrel=1e-11, limit=200
            )[0]
            for lo, hi in pairwise(pieces)
        )

    return optimize.brentq(drift, 0, 5 * sigma, xtol=1e-12)


@pytest.mark.parametrize(("b", "m"), [(1, 64), (4, 16), (16, 4), (32, 2)])
def test_one_dimension_by_direct_quadrature(b, m):
    expected = bias_on_a_line(0.02, 1.0, 5.0, b, m)
    found = exact_bias(gaussian_model(1, 0.02, norm=5.0), "adaptive", b * m, b).bias
    assert found == pytest.approx(expected, rel=1e-7)


def monte_carlo(model, clipping, a, steps, seed):
    """Mean and standard error [d] of the update at a gradient a, by samples."""
    update = sampled_updates(model, clipping, a, steps, seed)
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
    """E[mean of the clipped gradients] = E ψ(g), by samples; 20 numbers, |z| < 6."""
    dragger = Dragger("persistent", 4.0, direction)
    model = GradientModel(2, 0.1, Rare("rare", 0.2, 1.5, 0.4), dragger)
    law = mixture(model, b)
    a = np.array([0.3, 0.2 if law.axes == 2 else 0.0])
    clipping = Clipping(rule, b * m, b, threshold)
    mean, error = monte_carlo(model, clipping, a, 40_000, 11)
    exact = np.zeros(2)
    exact[: law.axes] = expected_update(law, a[: law.axes], clipping)
    assert np.abs((mean - exact) / error).max() < LIMIT


def test_identity_has_power():
    """The score of m + 1 micro-batches instead of m is rejected by the same test."""
    model = GradientModel(
        2, 0.1, Rare("rare", 0.2, 1.5, 0.4), Dragger("persistent", 4.0, (-1.0, 0))
    )
    mean, error = monte_carlo(
        model, Clipping("adaptive", 16, 8), np.array([0.3, 0.0]), 40_000, 11
    )
    wrong = expected_update(
        mixture(model, 8), np.array([0.3]), Clipping("adaptive", 24, 8)
    )
    assert abs(mean[0] - wrong[0]) / error[0] > 2 * LIMIT


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_scale_is_the_total_standard_deviation(rule):
    """Gaussian noise at d = 7: the simulated update vanishes at the root, |z| < 6."""
    model = gaussian_model(7, 0.1, 1.0, 5.0)
    bias = exact_bias(model, rule, 16, 4).bias
    a = np.array([bias] + [0.0] * 6)
    mean, error = monte_carlo(model, Clipping(rule, 16, 4), a, 60_000, 5)
    assert np.abs(mean / error).max() < LIMIT
    misread = replace(model, noise=Gaussian("gaussian", math.sqrt(7)))  # per coordinate
    wrong = np.array([exact_bias(misread, rule, 16, 4).bias] + [0.0] * 6)
    mean, error = monte_carlo(model, Clipping(rule, 16, 4), wrong, 60_000, 5)
    assert abs(mean[0] / error[0]) > 2 * LIMIT


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_gaussian_bias_does_not_depend_on_the_draggers_direction(rule):
    straight = gaussian_model(3)
    turned = replace(straight, dragger=Dragger("persistent", 10.0, (1.0, -2.0, 0.5)))
    expected = exact_bias(straight, rule, 32, 4).bias
    assert exact_bias(turned, rule, 32, 4).bias == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_the_plane_continues_the_line(rule):
    """Draggers a little off the first axis: two axes searched, the root moves some."""
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
    assert exact_bias(model, "normalized", 64, 1).bias == pytest.approx(
        expected, rel=2e-6
    )
    assert exact_bias(model, "adaptive", 64, 1).bias == pytest.approx(
        expected, rel=1e-2
    )


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
    sgd, normalized = (
        exact_bias(MODEL, rule, 64, 8).bias for rule in ("sgd", "normalized")
    )
    assert exact_bias(MODEL, "fixed", 64, 8, threshold=1e3).bias == pytest.approx(
        sgd, rel=1e-7
    )
    assert exact_bias(MODEL, "fixed", 64, 8, threshold=1e-4).bias == pytest.approx(
        normalized, rel=1e-3
    )


def test_global_does_not_depend_on_the_micro_batch_size():
    values = {
        exact_bias(MODEL, "global", 16, b, threshold=0.3).bias for b in (1, 4, 16)
    }
    assert len(values) == 1
    assert values.pop() == pytest.approx(
        exact_bias(MODEL, "fixed", 16, 16, threshold=0.3).bias
    )


def test_results_are_plain_numbers():
    """Not NumPy's, which print differently and which JSON does not know."""
    found = exact_bias(MODEL, "adaptive", 16, 8)
    numbers = [found.bias, found.clipping_norm, *found.roots, *found.interval]
    assert {type(x) for x in numbers} == {float}
    assert type(found.unique) is bool


LINE = GradientModel(
    1, 0.01, Gaussian("gaussian", 1.0), Dragger("persistent", 100.0, (1.0,))
)


@pytest.mark.parametrize("rule", ["fixed", "global"])
@pytest.mark.parametrize("threshold", [1e5, 1e7, 1e9, 1e12, 1e300, math.inf])
def test_a_large_threshold_is_no_clipping(rule, threshold):
    """The bias of the mean, εD/(1-ε), however large the threshold is."""
    found = exact_bias(LINE, rule, 64, 8, threshold=threshold)
    assert found.bias == pytest.approx(1 / 0.99, rel=1e-9)
    assert found.unique


@pytest.mark.parametrize("threshold", [1e-8, 1e-300])
def test_a_small_threshold_is_the_direction(threshold):
    """Both on a line and with two axes to be searched."""
    for model in (
        LINE,
        replace(MODEL, dragger=Dragger("persistent", 20.0, (-1.0, 0.5))),
    ):
        expected = exact_bias(model, "normalized", 64, 8).bias
        assert exact_bias(
            model, "fixed", 64, 8, threshold=threshold
        ).bias == pytest.approx(expected, rel=1e-6)


def test_no_threshold_is_sgd_exactly():
    for rule in ("fixed", "global"):
        plain = exact_bias(MODEL, "sgd", 64, 8)
        assert exact_bias(MODEL, rule, 64, 8, threshold=math.inf) == plain
    law, a = mixture(MODEL, 8), np.array([0.2])
    plain = expected_update(law, a, Clipping("sgd", 64, 8))
    assert np.array_equal(
        expected_update(law, a, Clipping("fixed", 64, 8, math.inf)), plain
    )


RULES_AND_THRESHOLDS = [
    ("adaptive", None),
    ("normalized", None),
    ("sgd", None),
    ("fixed", 0.5),
    ("fixed", 1e9),
    ("global", 0.5),
]
NOISES = [
    lambda s: Gaussian("gaussian", s),
    lambda s: Rare("rare", 0.1, 3 * s, 0.3 * s),
    lambda s: Rare("rare", 0.1, 3 * s, 0.0),
]


@pytest.mark.parametrize(("rule", "threshold"), RULES_AND_THRESHOLDS)
@pytest.mark.parametrize("noise", NOISES)
def test_the_bias_has_the_unit_of_the_gradient(rule, threshold, noise):
    """Noise, draggers and threshold times 10^k multiply it, and its range, by 10^k."""

    def found(factor):
        model = replace(
            LINE, noise=noise(factor), dragger=Dragger("persistent", 50 * factor, (1,))
        )
        exact = exact_bias(
            model,
            rule,
            64,
            8,
            threshold=None if threshold is None else threshold * factor,
        )
        return (
            np.array([exact.bias, *exact.interval, (exact.clipping_norm or 0)]) / factor
        )

    for k in (-100, 98):
        assert found(10.0**k) == pytest.approx(found(1.0), rel=1e-9)


@pytest.mark.parametrize(
    ("noise", "field"),
    [
        (Gaussian("gaussian", 1e-150), "scale"),
        (Rare("rare", 0.1, -1e-200, 1.0), "value"),
        (Rare("rare", 0.1, 1.0, 1e-300), "gaussian"),
    ],
)
def test_noise_whose_square_vanishes_is_refused(noise, field):
    with pytest.raises(
        SpecificationError, match=f"model.noise.{field} = .*: must be 0, or 1e-140"
    ):
        exact_bias(replace(LINE, noise=noise), "adaptive", 64, 8)


def test_two_axes_have_the_unit_of_the_gradient_too():
    def found(factor):
        noise = Rare("rare", 0.1, 3 * factor, 0.3 * factor)
        dragger = Dragger("persistent", 20 * factor, (-1.0, 0.5))
        model = GradientModel(2, 0.02, noise, dragger)
        return exact_bias(model, "fixed", 64, 8, threshold=0.4 * factor).bias / factor

    assert found(1e-90) == pytest.approx(found(1.0), rel=1e-9)


@pytest.mark.parametrize("norm", [1e6, 1e12, 1e16, 1e100])
def test_draggers_may_be_of_any_length(norm):
    """Clipped they count by their direction alone; sgd's bias they determine."""
    far, near = (
        replace(LINE, dragger=Dragger("persistent", size, (1.0,)))
        for size in (norm, 1e4)
    )
    for rule, threshold in (("normalized", None), ("fixed", 1.0)):
        expected = exact_bias(near, rule, 64, 4, threshold=threshold).bias
        assert exact_bias(far, rule, 64, 4, threshold=threshold).bias == pytest.approx(
            expected, rel=1e-5
        )
    assert exact_bias(far, "fixed", 64, 4, threshold=1e300).bias == pytest.approx(
        norm / 99, rel=1e-9
    )


@pytest.mark.parametrize("norm", [1e6, 1e12, 1e16, 1e100])
def test_two_micro_batches_follow_draggers_of_any_length(norm):
    """Both of one sample: ρ = D if both are draggers, G else; (1-2ε)G + ε²G = ε²D."""
    model = replace(LINE, dragger=Dragger("persistent", norm, (1.0,)))
    exact = 0.01**2 * norm / (0.98 + 0.01**2)
    assert exact_bias(model, "adaptive", 2, 1).bias == pytest.approx(
        exact, rel=max(1e-9, 2 / exact)
    )


def balanced(sign, b, change=1.0):
    """The laws of rare_signal (1) and rare_outlier (-1) for ε = 0.01, σ = 1."""
    clean = 0.99**b
    usual = (1 - 1 / (2 * clean) if sign > 0 else 1 / (2 * clean)) ** (1 / b)
    rare = (1 - usual) * change
    value = sign * math.sqrt((1 - rare) / rare)
    return GradientModel(
        1, 0.01, Rare("rare", rare, value, 0.0), Dragger("persistent", 1e4, (-1.0,))
    )


# The claims' value is the upper end of the range where a > 0; the lower one is where
# the next kind of micro-batch changes sides, at one rare sample more or less.
@pytest.mark.parametrize("change", [1.0, 1 + 1e-6, 1 - 1e-6])
@pytest.mark.parametrize(
    ("sign", "b", "low", "high"),
    [
        (1, 8, -0.110324, 0.320143),
        (1, 31, 0.021912, 0.194246),
        (-1, 8, -0.282139, 0.196171),
        (-1, 31, -0.111289, 0.182158),
    ],
)
def test_discrete_noise_may_leave_a_range_of_rest(sign, b, low, high, change):
    """Where half of all micro-batches point either way, and where nearly half do."""
    found = exact_bias(balanced(sign, b, change), "normalized", 8 * b, b)
    expected = max(0.0, low), max(-low, high)
    assert not found.unique
    assert found.interval == pytest.approx(expected, abs=2e-6)
    assert expected[0] - 2e-6 <= found.bias <= expected[1] + 2e-6


def test_every_point_of_the_range_is_at_rest():
    """Second route, b = 8: signs of all kinds of micro-batches, inside and beyond."""
    model = balanced(1, 8)
    k = np.arange(9)
    q, clean = model.noise.probability, 0.99**8
    chance = special.binom(8, k) * q**k * (1 - q) ** (8 - k)
    shift = (k * model.noise.hit + (8 - k) * model.noise.miss) / 8

    def pull(a):
        return clean * chance @ np.sign(a + shift) - (1 - clean)

    ends = np.array([-0.1103240, 0.3201436])
    assert max(abs(pull(a)) for a in np.linspace(*ends, 41)[1:-1]) < 1e-14
    assert pull(ends[0] - 1e-6) < -0.1
    assert pull(ends[1] + 1e-6) > 0.1


@pytest.mark.parametrize("change", [0.9, 1.1])
def test_a_tenth_more_or_fewer_rare_samples_leave_one_point(change):
    assert exact_bias(balanced(1, 8, change), "normalized", 64, 8).unique


def test_a_slowly_rising_drift_has_one_point_of_rest():
    """Draggers of a million σ: within 1e-4 of a length over many σ, evenly rising."""
    model = replace(LINE, dragger=Dragger("persistent", 1e6, (1.0,)))
    found = exact_bias(model, "fixed", 64, 1, threshold=1e9)
    assert found.unique
    assert found.bias == pytest.approx(1e4 / 0.99, rel=1e-9)
