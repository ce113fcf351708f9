"""The exact efficiency: closed forms, other routes to its moments, and refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from analysis.rest.fluctuation import covariance
from analysis.rest.update import Update
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping
from analysis.speed.efficiency import Point, efficiency, efficiency_table
from analysis.speed.moments import moments

RULES = ("sgd", "adaptive", "normalized", "fixed", "global")
GAUSSIAN = {"law": "gaussian", "scale": 1.0}
RARE = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.4}
BACK = {"law": "persistent", "norm": 8.0, "direction": -1.0}


def model(noise=GAUSSIAN, dragger=BACK, fraction=0.02, dimension=1, **more):
    return GradientModel.read(
        {
            "dimension": dimension,
            "dragger_fraction": fraction,
            "noise": noise,
            "dragger": dragger,
            **more,
        }
    )


def clipping(rule, B=32, b=4):
    threshold = 0.7 if rule in ("fixed", "global") else None
    return Clipping(rule, B, b, threshold)


def at(model, clipping, norm=0.8, direction=None):
    return efficiency(Point.along(model, norm, direction), clipping)


@pytest.mark.parametrize("fraction", [0.0, 0.03])
@pytest.mark.parametrize("dimension", [1, 3, 10**6])
def test_sgd_by_the_gradient_noise_scale(fraction, dimension):
    """1/(1 + tr Σ/(B M²)): mean M and variance tr Σ of a sample, draggers included."""
    G = 0.8
    D = 8.0
    B = 48
    direction = -1.0 if dimension == 1 else None
    law = {"law": "persistent", "norm": D, "direction": direction}
    if dimension > 1:
        law = {"law": "isotropic", "norm": D}
    result = at(model(RARE, law, fraction, dimension), Clipping("sgd", B, B), G)
    total = 0.1 * 3**2 + 0.9 * (0.3 / 0.9) ** 2 + 0.4**2
    mean = (1 - fraction) * G - (fraction * D if dimension == 1 else 0.0)
    square = (1 - fraction) * (G**2 + total) + fraction * D**2
    noise_scale = (square - mean**2) / mean**2
    assert result.efficiency == pytest.approx(1 / (1 + noise_scale / B), rel=1e-12)
    assert result.best_step == pytest.approx(result.efficiency * G / mean, rel=1e-12)


def test_the_normalized_rule_on_a_line():
    """E u by the normal distribution, and ‖u‖ = 1."""
    G = 0.8
    B = 24
    b = 3
    D = 8.0
    epsilon = 0.02
    k = np.arange(b + 1)
    weight = stats.binom.pmf(k, b, epsilon)
    mean, scale = ((b - k) * G - k * D) / b, np.sqrt(b - k) / b
    sign = weight @ (2 * stats.norm.cdf(mean / np.where(scale > 0, scale, 1e-9)) - 1)
    m = B // b
    expected = sign**2 / (1 / m + (1 - 1 / m) * sign**2)
    result = at(model(), Clipping("normalized", B, b), G)
    assert result.efficiency == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rule", ["adaptive", "fixed"])
@pytest.mark.parametrize("m", [2, 3])
def test_second_moments_on_a_line_without_draggers(rule, m):
    """Direct integrals over g ~ N(G, s²): the layer-cake formula plays no part."""
    G = 0.8
    b = 4
    g = stats.norm(G, 1 / math.sqrt(b))
    c = 0.7

    def longer(t):
        return g.sf(t) + g.cdf(-t)

    def mean_of(function):
        return sum(
            integrate.quad(lambda x: function(x) * g.pdf(x), *ends, epsabs=1e-12)[0]
            for ends in ((-9, -c), (-c, 0), (0, c), (c, 9))
        )

    if rule == "fixed":
        along = mean_of(lambda x: math.copysign(min(abs(x), c), x))
        square = mean_of(lambda x: min(abs(x), c) ** 2)
        total = square / m + (1 - 1 / m) * along**2
    else:
        # the smallest norm is g_1's, and the signs of the others are those beyond it

        def beyond(x):
            return g.sf(abs(x)) - g.cdf(-abs(x))

        def first_is_least(x):
            return longer(abs(x)) ** (m - 1)

        along = mean_of(
            lambda x: (
                x * first_is_least(x)
                + (m - 1) * abs(x) * beyond(x) * longer(abs(x)) ** (m - 2)
            )
        )
        total = m * mean_of(lambda x: x**2 * first_is_least(x)) / m
        total += (
            2
            * (m - 1)
            * mean_of(lambda x: x * abs(x) * beyond(x) * longer(abs(x)) ** (m - 2))
        )
        if m > 2:
            total += (
                (m - 1)
                * (m - 2)
                * mean_of(lambda x: x**2 * beyond(x) ** 2 * longer(abs(x)) ** (m - 3))
            )
        total += (m - 1) * mean_of(lambda x: x**2 * first_is_least(x))
        total /= m
    result = at(
        model(fraction=0.0), Clipping(rule, m * b, b, c if rule == "fixed" else None), G
    )
    assert result.efficiency == pytest.approx(along**2 / total, rel=1e-8)
    assert result.best_step == pytest.approx(G * along / total, rel=1e-8)


@pytest.mark.parametrize("rule", ["adaptive", "normalized", "fixed", "global"])
@pytest.mark.parametrize("b", [4, 5])
def test_the_square_is_mean_and_covariance(rule, b):
    """In the plane, by the second moments that the finite step needs; b = 5 is uneven.

    Those are accurate to 1e-3.
    """
    plane = model(RARE, BACK | {"direction": [-1.0, 0.5]}, fraction=0.05, dimension=2)
    update = Update(plane, clipping(rule, 32, b))
    a = np.array([0.5, -0.3])
    result = moments(update.gradients, a, update.clipping)
    spread = np.trace(covariance(update.gradients, a, update.clipping))
    assert result.square == pytest.approx(result.mean @ result.mean + spread, rel=2e-3)
    assert result.mean == pytest.approx(update.expected(a), rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_it_lies_between_0_and_1(rule):
    rng = np.random.default_rng(3)
    for _ in range(4):
        fraction = float(rng.uniform(0, 0.3))
        plane = model(RARE, {"law": "opposing", "norm": 5.0}, fraction, 2)
        result = at(plane, clipping(rule), float(rng.lognormal(0, 1)))
        assert 0 <= result.efficiency <= 1


@pytest.mark.parametrize("rule", RULES)
def test_without_noise_every_step_is_perfect(rule):
    """Then u = e and all norms are G: the step is that of gradient descent."""
    still = model({"law": "gaussian", "scale": 0.0}, fraction=0.0)
    result = at(still, clipping(rule), 0.5)
    assert result.efficiency == pytest.approx(1.0, abs=1e-12)
    step = 0.5 if rule == "normalized" else 1.0
    assert result.best_step == pytest.approx(step, abs=1e-12)


def test_where_the_draggers_win_no_step_is_good():
    lost = model(fraction=0.6)
    for rule in RULES:
        result = at(lost, clipping(rule))
        assert (result.efficiency, result.best_step) == (0, 0)


@pytest.mark.parametrize("rule", RULES)
def test_the_unit_of_length_cancels(rule):
    """All lengths times 7: the same efficiency, and step times L unless normalized."""
    one = at(model(), clipping(rule))
    longer = model({"law": "gaussian", "scale": 7.0}, BACK | {"norm": 56.0})
    cut = clipping(rule)
    if cut.threshold:
        cut = replace(cut, threshold=7 * cut.threshold)
    seven = at(longer, cut, 7 * 0.8)
    assert seven.efficiency == pytest.approx(one.efficiency, rel=1e-9)
    factor = 7 if rule == "normalized" else 1
    assert seven.best_step == pytest.approx(factor * one.best_step, rel=1e-9)


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_only_the_angle_to_the_draggers_matters(rule):
    """Noise without an axis: the same model turned, in the span and beside it."""
    cut = clipping(rule)
    v = np.array([0.6, -0.8, 0.0])
    plane = model(dragger=BACK | {"direction": v.tolist()}, dimension=3)
    expected = at(plane, cut, 0.8, (1.0, 0.0, 0.0)).efficiency
    turned = model(dragger=BACK | {"direction": [0.0, 0.6, 0.8]}, dimension=3)
    assert at(turned, cut, 0.8, (0, 1, 0)).efficiency == pytest.approx(expected)
    assert at(turned, cut, 0.8, (0, -1, 0)).efficiency < 0.99 * expected
    # e₁ by name and by coordinates; a number is the same in every coordinate
    assert at(plane, cut).efficiency == pytest.approx(expected, rel=1e-12)
    every = at(plane, cut, 0.8, 1.0).efficiency
    assert every == pytest.approx(at(plane, cut, 0.8, (2.0, 2.0, 2.0)).efficiency)


def test_a_number_as_a_direction_in_many_dimensions():
    """The draggers' own direction, in two coordinates and in all."""
    cut = clipping("normalized")
    number = at(model(dimension=1000), cut, 0.8, -1.0)
    listed = at(model(dimension=1000), cut, 0.8, (-1.0,) * 1000)
    assert number.efficiency == pytest.approx(listed.efficiency, rel=1e-9)
    assert at(model(dimension=10**9), cut, 0.8, -1.0).efficiency > 0


def test_domains_count_by_their_shifts():
    """Pure micro-batches of two far domains are less efficient than mixed ones."""
    table = {
        "dimension": 2,
        "dragger_fraction": 0.0,
        "dragger": {"law": "isotropic", "norm": 0.0},
        "domains": [
            {"weight": 0.7, "optimum": [0.0, 1.0], "noise": GAUSSIAN},
            {"weight": 0.3, "optimum": [0.0, -1.0], "noise": GAUSSIAN},
        ],
    }
    two = GradientModel.read(table)
    point = Point.along(two, 0.8)
    found = [
        efficiency(point, Clipping("normalized", 32, 8, pure=pure)).efficiency
        for pure in (False, True)
    ]
    assert found[1] < 0.95 * found[0]


def test_the_loss_matters_by_its_gradient_only():
    wave = {"problem": "nonconvex", "nonconvex": {"amplitude": 0.3, "frequency": 1.5}}
    cut = clipping("adaptive")
    assert at(model(**wave), cut) == at(model(), cut)


@pytest.mark.parametrize(
    ("norm", "direction", "said"),
    [
        (0.0, None, "gradient_norm"),
        (math.nan, None, "gradient_norm"),
        (1.0, (0.0, 0.0), "non-zero"),
        (1.0, (1.0, 0.0, 0.0), "model.dimension = 2"),
        (1.0, (1.0, math.inf), "direction"),
    ],
)
def test_other_points_are_refused(norm, direction, said):
    with pytest.raises(SpecificationError, match=said):
        Point.along(model(dimension=2), norm, direction)


def test_a_flat_direction_has_no_gradient():
    flat = model(
        dragger={"law": "orthogonal", "norm": 2.0, "direction": [0, 1]}, dimension=2
    )
    assert at(flat, clipping("normalized")).efficiency > 0
    with pytest.raises(SpecificationError, match="right angles"):
        Point.along(flat, 1.0, (1.0, 1.0))


def test_gamma_noise_alone_needs_a_line():
    noise = {"law": "gamma", "shape": 2.0, "scale": 1.0, "sign": 1, "gaussian": 0.0}
    assert at(model(noise), clipping("adaptive")).efficiency > 0
    with pytest.raises(SpecificationError, match="no single line"):
        at(model(noise, dimension=2), clipping("adaptive"), 0.8, (0.0, 1.0))


def test_gamma_noise_alone_by_its_quantiles():
    """Fixed threshold, b = 2: integrals over the gamma distribution itself."""
    shape = 2.0
    G = 0.8
    c = 0.7
    b = 2
    B = 16
    noise = {"law": "gamma", "shape": shape, "scale": 1.0, "sign": 1, "gaussian": 0.0}
    x = stats.gamma(shape * b)
    unit = 1 / math.sqrt(shape)  # of a sample: total variance 1
    q = (np.arange(200_000) + 0.5) / 200_000
    g = G + unit * (x.ppf(q) / b - shape)
    psi = np.clip(g, -c, c)
    m = B // b
    square = (psi**2).mean() / m + (1 - 1 / m) * psi.mean() ** 2
    result = at(model(noise, fraction=0.0), Clipping("fixed", B, b, c), G)
    assert result.efficiency == pytest.approx(psi.mean() ** 2 / square, rel=1e-4)
    mean = at(model(noise, fraction=0.0), Clipping("sgd", B, b), G)
    assert mean.efficiency == pytest.approx(1 / (1 + 1 / (B * G**2)), rel=1e-12)


def test_a_schedule_has_no_single_efficiency():
    experiment = Experiment.load("sim/presets/sweet_spot.toml").to_mapping()
    del experiment["algorithm"]["micro_batch_sizes"]
    experiment["algorithm"]["schedule"] = {"iterations": [[0, 1], [9, 8]]}
    made = Experiment.from_mapping(experiment)
    with pytest.raises(SpecificationError, match="schedule"):
        efficiency_table(made, Point.along(made.gradient_model, 1.0))
