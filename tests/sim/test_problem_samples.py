"""Every problem's samples: their means, their sizes, and one by one."""

import math

import numpy as np
import pytest

from sim.problems import build
from sim.random import philox
from sim.random.addresses import Draws
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


@pytest.mark.parametrize("name", NAMES)
def test_benign_samples_have_the_gradient_as_their_mean(name, problem, draws):
    """|z| < 6 for at most 12 coordinates: 2e-8 a problem; 12 errors are seen."""
    p = problem(name)
    w = places(p, 1)
    n = 20_000
    g, clean = p.micro_batch_gradients(w, 1, n, draws(), active=np.array([True]))
    benign = g[0][clean[0]]
    error = benign.std(0, ddof=1) / math.sqrt(len(benign))
    error = np.where(error > 0, error, 1e-12)  # orthogonal draggers: no noise is lost
    away = benign.mean(0) - p.gradient(w)[0]
    assert np.abs(away / error).max() < 6
    assert np.abs((away + 12 * error) / error).min() > 6
    share = clean.mean()
    assert abs(share - 0.8) < 6 * math.sqrt(0.16 / n)


@pytest.mark.parametrize("name", ["quadratic", "rare", "gamma", "student-t", "domains"])
def test_the_noise_has_the_size_that_theory_says(name, experiment, draws):
    """The mean of ‖ξ‖² is σ², |z| < 6; 10 % more is seen."""
    e = experiment(name, dragger_fraction=0.0)
    p = build(e)
    w = places(p, 1)
    g, _ = p.micro_batch_gradients(w, 1, 40_000, draws(), active=np.array([True]))
    square = ((g[0] - p.gradient(w)[0]) ** 2).sum(-1)
    error = square.std() / math.sqrt(square.size)
    assert abs(square.mean() - e.model.noise_scale() ** 2) < 6 * error
    assert abs(square.mean() - 1.1 * e.model.noise_scale() ** 2) > 6 * error / 1.5


def test_pure_micro_batches_keep_the_spread_of_the_domains(experiment, draws):
    """Total variance σ² + bτ² for pure, σ² + τ² for mixed domains, |z| < 6 each."""
    b = 8
    for pure in (True, False):
        e = experiment("domains", pure=pure, dragger_fraction=0.0)
        p = build(e)
        w = places(p, 1)
        g, _ = p.micro_batch_gradients(w, b, 40_000, draws(), active=np.array([True]))
        square = b * ((g[0] - p.gradient(w)[0]) ** 2).sum(-1)
        error = square.std() / math.sqrt(square.size)
        right, other = (
            e.model.noise_scale(b if pure else 1),
            e.model.noise_scale(1 if pure else b),
        )
        assert abs(square.mean() - right**2) < 6 * error
        assert abs(square.mean() - other**2) > 6 * error


def responses(model, d, B):
    """Features and response of a replicate's samples, from draws d, in scalar code."""
    name, a = model.problem, model.parameters
    wrong = d.uniforms(philox.SAMPLE, B)[0] < model.dragger_fraction
    if name == "logistic_regression":
        x = d.normals(philox.FEATURES, B * 2).reshape(B, 2)
        for s, u in enumerate(d.uniforms(philox.LABEL, B)[0]):
            y = 1 if u < a.positive_fraction else 0
            features = [
                c + (1 if y else -1) * m for c, m in zip(x[s], a.mean, strict=True)
            ]
            if wrong[s]:
                features = [a.leverage * c for c in features]
                y = 1 - y
            yield [*features, 1.0], y
        return
    n = d.normals(philox.LABEL, B)[0]
    N = a.inputs if name == "two_layer" else a.dimension
    x = d.normals(philox.FEATURES, B * N).reshape(B, N)
    for s in range(B):
        if name == "two_layer":
            y = sum(
                math.erf(a.teacher_norm * c / math.sqrt(2)) for c in x[s][: a.teacher]
            )
            yield list(x[s]), (-a.magnitude * y if wrong[s] else y) + a.noise * n[s]
            continue
        features = [math.sqrt(v) * c for v, c in zip(a.spectrum, x[s], strict=True)]
        y = sum(c * o for c, o in zip(features, a.optimum, strict=True))
        if wrong[s] and a.corruption == "constant":
            yield features, a.magnitude
        else:
            yield features, (-a.magnitude * y if wrong[s] else y) + a.noise * n[s]


def sample_loss(model, w, x, y):
    if model.problem == "two_layer":
        units = np.reshape(w, (model.parameters.hidden, -1))
        out = sum(
            math.erf(sum(c * v for c, v in zip(x, J, strict=True)) / 2**0.5)
            for J in units
        )
        return (out - y) ** 2 / 2
    z = sum(c * v for c, v in zip(x, w, strict=True))
    if model.problem == "logistic_regression":
        return math.log1p(math.exp(z)) - y * z
    return (z - y) ** 2 / 2


@pytest.mark.parametrize(
    "name", ["linear_regression", "constant", "logistic_regression", "two_layer"]
)
def test_samples_one_by_one(name, experiment, problem, draws):
    """Micro-batch gradients against differences of sample losses, in plain loops."""
    model = experiment(name).model
    p = problem(name)
    b = 3
    B = 12
    w = places(p, 2)
    g, _ = p.micro_batch_gradients(
        w, b, B, draws(range(4, 6)), active=np.array([True, True])
    )
    for r in range(2):
        found = list(responses(model, draws(range(4 + r, 5 + r)), B))
        for j in range(B // b):

            def f(v, part=found[j * b : (j + 1) * b]):
                return np.array(sum(sample_loss(model, v, x, y) for x, y in part) / b)

            assert slopes(f, w[r]) == pytest.approx(
                g[r, j], abs=1e-7 * (1 + np.abs(g[r, j]).max())
            )


def test_a_data_set_is_the_same_at_every_size_and_drawn_from_evenly(experiment, draws):
    """Each point's share, |z| < 6 for 40 points; the corrupted fifth drags."""
    e = experiment("data")
    p, other = build(e), build(e)
    assert np.array_equal(p.x, other.x)
    assert p.dragger_fraction == 8 / 40
    n = 40_000
    wrong = draws().uniforms(philox.SAMPLE, n) < p.dragger_fraction
    x, y, response = p.samples(wrong, draws())
    place = (x[0, :, :1] == p.x[None, :, 0]).argmax(-1)
    assert ((place < 8) == wrong[0]).all()
    assert np.array_equal(y[0], p.y[place])
    assert np.array_equal(response[0], p.response[place])
    share = np.bincount(place, minlength=40) / n
    assert np.abs(share - 1 / 40).max() < 6 * math.sqrt(1 / 40 / n)
    clean, corrupt = p.y - p.x @ p.optimum, p.response + 2 * p.x @ p.optimum
    assert clean == pytest.approx(corrupt, abs=1e-12)


@pytest.mark.parametrize("name", ["quadratic", "linear_regression", "two_layer"])
@pytest.mark.parametrize("law", ["persistent", "additive", "opposing", "isotropic"])
def test_replaced_gradients(name, law, problem, draws):
    """Draggers alone: their gradients and, for isotropic ones, moments with |z| < 6."""
    d = problem(name).dimension
    direction = {"direction": [1.0] * d} if law in ("persistent", "additive") else {}
    p = problem(name, dragger={"law": law, "norm": 3.0, **direction})
    w = places(p, 1)
    n = 4000
    g, clean = p.micro_batch_gradients(w, 1, n, draws(), active=np.array([True]))
    found, a = g[0][~clean[0]], p.gradient(w)[0]
    push = np.full(d, 3 / math.sqrt(d))
    expected = {
        "persistent": push,
        "additive": a + push,
        "opposing": -3 * a / np.linalg.norm(a),
    }
    if law in expected:
        assert found == pytest.approx(
            np.tile(expected[law], (len(found), 1)), rel=1e-12
        )
        return
    assert np.abs(found.mean(0)).max() < 6 * 3 / math.sqrt(d * len(found))
    square = (found**2).mean() * d
    assert abs(square - 9) < 6 * 9 * math.sqrt(2 / found.size)


def test_clean_micro_batches_have_their_share(problem, draws):
    """(1 - ε)^b of them, |z| < 6; none has a dragger where draggers are not active."""
    p = problem("quadratic")
    b = 4
    m = 10_000
    on = np.array([True, False])
    _, clean = p.micro_batch_gradients(
        places(p, 2), b, b * m, draws(range(2)), active=on
    )
    chance = 0.8**b
    assert abs(clean[0].mean() - chance) < 6 * math.sqrt(chance * (1 - chance) / m)
    assert clean[1].all()


def test_when_draggers_are_active(problem):
    G = np.array([0.0, 0.5, 1.0, 2.0, math.nan])
    for active, t, expected in (
        (None, 0, [1, 1, 1, 1, 1]),
        ({"gradient_norm": [0.5, 2.0]}, 0, [0, 1, 1, 0, 0]),
        ({"gradient_norm": [0.5, math.inf]}, 0, [0, 1, 1, 1, 0]),
        ({"iterations": [3, 5]}, 2, [0] * 5),
        ({"iterations": [3, 5]}, 3, [1] * 5),
        ({"iterations": [3, 5]}, 5, [0] * 5),
    ):
        dragger = {
            "law": "opposing",
            "norm": 4.0,
            **({} if active is None else {"active": active}),
        }
        found = problem("quadratic", dragger=dragger).active(t, G)
        assert found.tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize("name", NAMES)
def test_single_precision(name, experiment, problem):
    """The same samples, the same kinds, nearly the same numbers."""
    double, single = problem(name), build(experiment(name), dtype=np.float32)
    w = places(double, 2)
    found = []
    for p, dtype in ((double, np.float64), (single, np.float32)):
        at = Draws(philox.key(5, 3, 0.1), range(2), 7, dtype=dtype)
        assert p.gradient(w.astype(dtype)).dtype == dtype
        found.append(
            p.micro_batch_gradients(
                w.astype(dtype), 3, 12, at, active=np.array([True, True])
            )
        )
    assert found[1][0].dtype == np.float32
    assert np.array_equal(found[0][1], found[1][1])
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-4, abs=1e-4)
