"""Learning curves: moments against drawn residuals, the recursion in closed form.

Family-wise false-alarm probability of the test with random numbers: below 1e-6.
"""

import math

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.claims.attacks.learning_curve import chi_mean
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from analysis.spec.rule import Rule
from analysis.speed.clipped_moments import Moments, Population, moments
from analysis.speed.learning_curve import Setting, Table, learning_curve, points
from analysis.speed.residuals import opposed, rigid, shifted

TRACE = 50.0
VARIANCE = 0.7
OTHER = 9.0
NORM = 8.0
CONSTANT = 2.0
SLOPE = -0.1  # for each persistent dragger
DRAWS = 20_000
FAR = 6.5  # standard errors
COARSE = 1e-3  # of quadratures, relative


def experiment(rule="normalized", **changes):
    """A regression in 40 dimensions, micro-batches of 4; keys by their tables."""
    table = {
        "model": {
            "problem": "linear_regression",
            "dragger_fraction": 0.05,
            "linear_regression": {"dimension": 40, "noise": 0.5, "optimum": 0.2},
        },
        "algorithm": {"rule": rule, "batch_size": 32, "micro_batch_sizes": [4]},
        "run": {"measure": "trajectory", "steps": [0.05], "iterations": 100},
    }
    if rule in ("fixed", "global"):
        table["algorithm"]["threshold"] = 2.0
    for place, value in changes.items():
        *path, key = place.split("__")
        at = table
        for name in path:
            at = at.setdefault(name, {})
        at[key] = value
    return Experiment.from_mapping(table)


def curve(of, iterations=(100,)):
    """The learning curve of an experiment with one size and step."""
    clipping = of.algorithm.clipping(of.algorithm.sizes[0])
    return learning_curve(Setting.of(of), clipping, of.run.steps[0], iterations)


def residuals(kind, b, fraction):
    """The distribution of a kind of draggers, and what is fixed beside it."""
    if kind == "opposed":
        law = opposed(b, fraction, VARIANCE, OTHER)
        return law, Population(TRACE, (VARIANCE, OTHER))
    if kind == "constant":
        law = shifted(b, fraction, VARIANCE, spread=OTHER, mean=CONSTANT)
        return law, Population(TRACE, (VARIANCE, OTHER))
    k = np.arange(b + 1.0)
    alone = kind == "isotropic"
    squares = NORM**2 * (k if alone else k**2) / TRACE
    population = Population(
        TRACE, (VARIANCE, 1.0), NORM, alone, kind == "additive", dimension=40
    )
    slopes = SLOPE * k * (kind == "persistent")
    return rigid(b, fraction, VARIANCE, squares=squares, slopes=slopes), population


def drawn(kind, b, m, fraction, rng):
    """Gradients, literally: norms [n, m], components [3, n, m], and what else."""
    wrong = rng.random((DRAWS, m, b)) < fraction
    k = wrong.sum(-1)
    clean = np.where(wrong, 0, rng.normal(0, math.sqrt(VARIANCE), wrong.shape))
    benign = (clean**2).sum(-1)
    z = rng.normal(0, math.sqrt(OTHER), wrong.shape)
    r = z - CONSTANT * (kind == "constant")
    corrupted, pull = ((wrong * r * part).sum(-1) for part in (r, z))
    q = benign + corrupted
    own, isotropic = np.zeros_like(q), np.zeros_like(q)
    extra = k * (kind == "additive")
    if kind not in ("opposed", "constant"):
        corrupted = pull = 0 * q
        q = benign * (1 + SLOPE * k * (kind == "persistent"))
        q = q + NORM**2 * (k if kind == "isotropic" else k**2) / TRACE
        own = NORM * k * (kind != "isotropic")
        isotropic = NORM**2 * k * (kind == "isotropic") / 40
    along = np.array([benign / VARIANCE + extra, pull / OTHER, own]) / b
    taken = np.array([benign / VARIANCE, corrupted / OTHER, 0 * q]) / b**2
    norm = np.sqrt(q * TRACE) / b
    return norm, along, taken, (benign + corrupted) / b**2, isotropic / b**2


def estimates(rule, kind, b, m, fraction):
    """Every moment of each draw, as in `Moments.vector` [draws, 23]."""
    rng = np.random.default_rng([b, m])
    norm, along, taken, spread, isotropic = drawn(kind, b, m, fraction, rng)
    if rule is Rule.ADAPTIVE:
        factor = norm.min(-1, keepdims=True) / norm
    else:
        factor = rule.score(norm, 1.5 if rule is Rule.FIXED else math.inf) / norm
    g = factor * along
    weight = factor**2
    square = np.einsum("anm,bnm->abn", g, g) / m
    for a in range(3):
        square[a, a] -= (weight * taken[a]).mean(-1)
    sums = g.sum(-1)
    each = np.einsum("anm,bnm->abn", g, g)
    pair = (sums[:, None] * sums[None] - each) / (m * (m - 1))
    alone = [(weight * part).mean(-1) for part in (spread, isotropic)]
    parts = [*g.mean(-1), *alone, *square.reshape(9, -1), *pair.reshape(9, -1)]
    return np.array(parts).T


KINDS = ("opposed", "constant", "persistent", "additive", "isotropic")
CASES = [
    *((rule, kind, 3, 6) for rule in ("normalized", "adaptive") for kind in KINDS),
    *(("adaptive", kind, 1, 12) for kind in ("opposed", "persistent")),
    ("fixed", "opposed", 5, 2),
    ("sgd", "constant", 5, 2),
]


def deviations(rule, kind, b, m, fraction=0.1):
    """Deviations of the drawn moments from the quadratures, in standard errors."""
    values = estimates(Rule(rule), kind, b, m, fraction)
    clipping = experiment(
        rule,
        algorithm__batch_size=b * m,
        algorithm__micro_batch_sizes=[b],
        **({"algorithm__threshold": 1.5} if rule == "fixed" else {}),
    ).algorithm.clipping(b)
    law, population = residuals(kind, b, 0.1)
    exact = moments(law, clipping, population).vector
    error = values.std(0) / math.sqrt(DRAWS)
    return (values.mean(0) - exact) / (error + COARSE * np.abs(exact) + 1e-12)


@pytest.mark.parametrize(("rule", "kind", "b", "m"), CASES)
def test_moments_are_those_of_residuals_drawn_one_by_one(rule, kind, b, m):
    assert np.abs(deviations(rule, kind, b, m)).max() < FAR


@pytest.mark.parametrize(("rule", "kind", "b", "m"), CASES[:7])
def test_five_per_cent_more_draggers_would_be_seen(rule, kind, b, m):
    """The power twin."""
    assert np.abs(deviations(rule, kind, b, m, fraction=0.11)).max() > FAR


def test_the_moments_of_the_normalized_rule_are_those_of_the_claim():
    """Without draggers, in closed form: the recursion of the claim, coordinatewise."""
    of = experiment(model__dragger_fraction=0.0)
    table = Table(Setting.of(of), of.algorithm.clipping(4))
    exact = table.exact(VARIANCE)
    assert exact.mean[0] == pytest.approx(
        chi_mean(4) / math.sqrt(VARIANCE * 40), rel=1e-4
    )
    assert exact.residual == pytest.approx(1 / 40)
    claim = CLAIMS["learning_curve"].statement.rhs
    at = {"ell": 1, "tr": 40, "R": math.sqrt(VARIANCE), "c_b": chi_mean(4), "p": 1}
    at |= {"v": 0, "b": 4, "m": 8, "gamma": 0.05, "w": 0.3}
    said = float(claim.subs({s: at[s.name] for s in claim.free_symbols}))
    weights = exact.square / 8 + (1 - 1 / 8) * exact.pair
    drift = 1 - 2 * 0.05 * exact.mean[0] + 0.05**2 * weights[0, 0]
    assert drift * 0.3**2 + 0.05**2 * exact.residual / 8 == pytest.approx(
        said, rel=1e-5
    )


@pytest.mark.parametrize("d", [1, 3, 40])
def test_sgd_is_exact_in_every_dimension(d):
    """E‖δ‖² of plain SGD has a linear recursion, here with K = I."""
    of = experiment(
        "sgd", model__dragger_fraction=0.0, model__linear_regression__dimension=d
    )
    square = 0.2**2 * d
    steps = 50
    for _ in range(steps):
        noise = (square + 0.5**2) * d + square
        square += -2 * 0.05 * square + 0.05**2 * (square + noise / 32)
    assert curve(of, [steps]).loss[0] == pytest.approx((square + 0.25) / 2, rel=1e-5)


def test_without_clipping_the_size_and_the_rule_do_not_matter():
    same = {"model__dragger": {"law": "isotropic", "norm": 5.0}}
    endless = {"algorithm__threshold": math.inf}
    expected = pytest.approx(curve(experiment("sgd", **same)).loss, rel=1e-5)
    assert curve(experiment("fixed", **same, **endless)).loss == expected
    assert curve(experiment("global", **same, **endless)).loss == expected
    whole = experiment("adaptive", **same, algorithm__micro_batch_sizes=[32])
    assert curve(whole).loss == expected


def test_global_clipping_is_a_single_micro_batch():
    same = {"model__dragger": {"law": "isotropic", "norm": 50.0}}
    whole = experiment("fixed", algorithm__micro_batch_sizes=[32], **same)
    expected = curve(whole).loss
    assert curve(experiment("global", **same)).loss == pytest.approx(expected)
    assert curve(experiment("sgd", **same)).loss > 1.05 * expected


def test_coordinates_that_are_alike_are_one():
    one = Setting.of(experiment(model__linear_regression__optimum=0.2))
    assert len(one.number) == 1
    same = {"model__dragger": {"law": "isotropic", "norm": 5.0}}
    numbers = [0.2] * 39 + [0.3]
    listed = experiment(**same, model__linear_regression__optimum=numbers)
    assert sorted(Setting.of(listed).number) == [1, 39]
    assert curve(listed).loss > curve(experiment(**same)).loss


class Exact(Table):
    """A table without one."""

    def between(self, *variances):
        return self.exact(*variances)


@pytest.mark.parametrize("corruption", ["opposed", "constant"])
def test_the_table_changes_a_curve_by_a_thousandth_at_most(corruption):
    of = experiment(
        "adaptive",
        model__linear_regression__corruption=corruption,
        model__linear_regression__magnitude=5.0,
    )
    setting, clipping = Setting.of(of), of.algorithm.clipping(4)
    tables = (Exact(setting, clipping), Table(setting, clipping))
    exact, interpolated = (
        learning_curve(setting, clipping, 1.0, [1, 6], table=table).loss - 0.125
        for table in tables
    )
    assert exact[1] < 0.5 * exact[0]
    assert interpolated == pytest.approx(exact, rel=1e-3)


def test_a_step_that_is_too_long_diverges():
    same = {"model__dragger": {"law": "isotropic", "norm": 5.0}}
    far = curve(experiment("sgd", **same, run__steps=[50.0]), [1, 400])
    assert np.isfinite(far.loss[0])
    assert far.loss[1] == far.gradient_norm[1] == math.inf


def test_points_are_log_spaced_and_end_with_the_last_iteration():
    assert points(1000, 4).tolist() == [1, 10, 100, 1000]
    assert points(3, 20).tolist() == [1, 2, 3]
    assert points(7, 1).tolist() == [1, 7]


def test_moments_are_listed_and_read_in_the_same_order():
    v = np.arange(23.0)
    assert Moments.from_vector(v).vector.tolist() == v.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__linear_regression__samples": 99}, "linear_regression.samples"),
        ({"run__iterations": 10**7}, "run.iterations"),
        ({"algorithm__micro_batch_sizes": [5]}, r"micro_batch_sizes\[0\]"),
        ({"model__dragger": {"law": "isotropic", "norm": 0.0}}, "dragger.norm"),
        (
            {"model__dragger": {"law": "corrupted", "active": {"iterations": [0, 9]}}},
            "dragger.active",
        ),
    ],
)
def test_what_has_no_learning_curve_is_refused(changes, message):
    with pytest.raises(SpecificationError, match=message):
        Setting.of(experiment(**changes))


def test_another_problem_is_refused():
    with pytest.raises(SpecificationError, match="linear_regression for a learning"):
        Setting.of(Experiment.load("sim/presets/sweet_spot.toml"))
