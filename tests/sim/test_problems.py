"""Every problem's gradient and constants, by independent routes."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from sim.problems import build
from sim.problems.special import erf
from tests.sim.numerics import places, slopes

NAMES = (
    *(
        "quadratic",
        "rare",
        "gamma",
        "student-t",
        "nonconvex",
        "domains",
        "linear_regression",
    ),
    *("constant", "data", "logistic_regression", "two_layer"),
)
EXACT = set(NAMES) - {"two_layer"}  # L is the Lipschitz constant itself
CONVEX = set(NAMES) - {"two_layer", "nonconvex"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_the_gradient_is_that_of_the_loss(name, spread, problem):
    p = problem(name)
    w = places(p, spread=spread)
    expected = p.gradient(w)
    assert slopes(p.loss, w) == pytest.approx(
        expected, abs=1e-8 * (1 + np.abs(expected).max())
    )
    assert p.gradient(w[0]) == pytest.approx(expected[0], rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ["quadratic", "gamma", "nonconvex", "domains"])
def test_the_description_says_the_same(name, experiment):
    """GradientModel.gradient and loss, for theory, against the problem's own."""
    e = experiment(name)
    p, w = build(e), places(build(e))
    assert p.gradient(w) == pytest.approx(e.model.gradient(w), rel=1e-13)
    assert p.loss(w) == pytest.approx(e.model.loss(w), rel=1e-13)


def lipschitz(p, w, rounds=60):
    """The largest |eigenvalue| of the Hessian at w [d], by power iteration."""
    v = np.random.default_rng(4).normal(size=p.dimension)
    size = 0.0
    for _ in range(rounds):
        v /= np.linalg.norm(v)
        v = (p.gradient(w + 1e-4 * v) - p.gradient(w - 1e-4 * v)) / 2e-4
        size = float(np.linalg.norm(v))
    return size


@pytest.mark.parametrize("name", NAMES)
def test_smoothness_is_never_exceeded_and_reached_where_it_is_exact(name, problem):
    p = problem(name)
    for spread in (0.1, 1.0, 5.0):
        assert all(
            lipschitz(p, w, 20) <= p.smoothness * (1 + 1e-5)
            for w in places(p, 4, spread)
        )
    if name in EXACT and name != "gamma":  # f of orthogonal draggers is flat along them
        assert lipschitz(p, np.zeros(p.dimension)) > p.smoothness * (1 - 1e-3)
    assert not lipschitz(p, np.zeros(p.dimension)) > 1.001 * p.smoothness


@pytest.mark.parametrize("name", NAMES)
def test_the_minimum_is_not_undercut_and_reached(name, problem):
    p = problem(name)
    for spread in (0.1, 1.0, 5.0):
        assert (p.loss(places(p, 50, spread)) >= p.minimum - 1e-12).all()
    w = places(p, 8, 0.5)
    for _ in range(3000):
        w = w - p.gradient(w) / p.smoothness
    assert (p.loss(w) >= p.minimum - 1e-12).all()
    if name in CONVEX:
        assert p.loss(w) == pytest.approx(p.minimum, abs=1e-9)
    assert p.loss(w).min() < p.minimum + (
        1e-9 if name in CONVEX | {"two_layer"} else math.inf
    )


@pytest.mark.parametrize(
    "name", ["linear_regression", "logistic_regression", "two_layer"]
)
def test_the_optimum_is_a_minimum(name, problem):
    p = problem(name)
    assert np.abs(p.gradient(p.optimum)).max() < 1e-12
    assert p.loss(p.optimum) == pytest.approx(p.minimum, rel=1e-12)


def test_assumptions_are_answered(problem):
    for name in NAMES:
        assert list(problem(name).assumptions) == ["A1", "A2", "A3", "A4"]


def test_the_best_classifier_is_the_true_log_odds(problem):
    """Where features tell nothing, f* is the entropy of the label."""
    p = problem("logistic_regression")
    q = 0.3
    assert np.abs(p.gradient(p.optimum)).max() < 1e-12
    table = {"mean": [0.0, 0.0], "positive_fraction": q}
    p = problem("logistic_regression", logistic_regression=table)
    assert p.minimum == pytest.approx(
        -q * math.log(q) - (1 - q) * math.log(1 - q), rel=1e-12
    )


def test_the_error_function_of_other_libraries():
    strict = pytest.importorskip("array_api_strict")
    x = np.concatenate([np.linspace(-9, 9, 2001), [1e-300, 60.0, -60.0]])
    found = np.asarray(erf(strict.asarray(x), strict))
    normal = NormalDist()
    assert found == pytest.approx(erf(x), abs=1e-14)
    assert found[:2001] == pytest.approx(
        [2 * normal.cdf(v * math.sqrt(2)) - 1 for v in x[:2001]], abs=1e-14
    )


@pytest.mark.parametrize(
    ("dtype", "norm"), [(np.float32, 1e5), (np.float32, 1e8), (np.float64, 1e9)]
)
def test_two_layers_far_from_the_teacher_have_a_gradient(experiment, dtype, norm):
    """There s_i² and Q_ii² are one number; the gradient of a unit falls like 1/‖J‖."""
    p = build(experiment("two_layer"), np, dtype)
    w = np.zeros((1, p.dimension), dtype)
    w[0, 0] = norm
    w[0, 5] = 1.0
    found = p.gradient(w)
    assert np.isfinite(found).all()
    near = w.astype(np.float64)
    near[0, 0] = 1e4
    expected = build(experiment("two_layer")).gradient(near)
    # the other units see of the far one its direction alone
    for k in range(1, p.about.hidden):
        rows = slice(k * p.about.inputs, (k + 1) * p.about.inputs)
        assert found[0, rows] == pytest.approx(expected[0, rows], abs=1e-3)
