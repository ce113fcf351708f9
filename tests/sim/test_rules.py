"""The update rules: definitions, the table of edge cases, and array libraries other than NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from analysis.model import RULES
from sim.rules import rule

THRESHOLD = {"fixed": 0.7, "global": 0.7}
G = np.random.default_rng(3).normal(size=(5, 4, 3)) * [[[0.1]], [[1]], [[10]], [[1e6]], [[1e-6]]]


def apply(name, g, aggregate="mean", xp=np):
    return rule(name, aggregate, THRESHOLD.get(name), xp)(g)


def by_definition(name, g):
    """One step [m, d] by the textbook formula of each rule."""
    norms = np.linalg.norm(g, axis=1)
    if name == "sgd":
        return g.mean(0)
    if name == "adaptive":
        return np.mean([norms.min() * v / n for v, n in zip(g, norms, strict=True)], axis=0)
    if name == "normalized":
        return np.mean([v / n for v, n in zip(g, norms, strict=True)], axis=0)
    c = THRESHOLD[name]
    if name == "fixed":
        return np.mean([v * min(1, c / n) for v, n in zip(g, norms, strict=True)], axis=0)
    mean = g.mean(0)
    return mean * min(1, c / np.linalg.norm(mean))


@pytest.mark.parametrize("name", RULES)
def test_definition(name):
    expected = np.array([by_definition(name, g) for g in G])
    assert apply(name, G) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("name", RULES)
def test_sum_is_m_times_the_mean(name):
    assert apply(name, G, "sum") == pytest.approx(4 * apply(name, G), rel=1e-14)


def test_a_missing_threshold_is_an_error():
    with pytest.raises(ValueError, match="needs a threshold"):
        rule("fixed")


ZERO = np.array([[0.0, 0.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", [1.5, 2.0]),
        ("global", [0.42, 0.56]),
        ("adaptive", [0.0, 0.0]),
        ("normalized", [0.3, 0.4]),
        ("fixed", [0.21, 0.28]),
    ],
)
def test_a_micro_batch_of_norm_zero(name, expected):
    assert apply(name, ZERO) == pytest.approx(np.array(expected), rel=1e-15)
    assert not apply(name, np.zeros((3, 2))).any()


@pytest.mark.parametrize("name", RULES)
def test_a_single_micro_batch(name):
    g = np.array([[3.0, 4.0]])
    expected = {"sgd": 1.0, "adaptive": 1.0, "normalized": 1 / 5, "fixed": 0.7 / 5}
    assert apply(name, g) == pytest.approx(g[0] * expected.get(name, 0.7 / 5), rel=1e-15)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_passed_on(name, bad):
    g = np.array([[1.0, 2.0], [bad, 1.0], [3.0, -1.0]])
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(apply(name, g)).all()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("scale", [1e-140, 1e140])
def test_tiny_and_huge_gradients(name, scale):
    direction = apply(name, G[1] * scale)
    assert np.isfinite(direction).all()
    assert direction.any()


@pytest.mark.parametrize("name", RULES)
def test_strict_arrays_on_another_device(name):
    """Only what the array API promises is used, and nothing leaves the array's device."""
    strict = pytest.importorskip("array_api_strict")
    g = strict.asarray(G, device=strict.Device("device1"))
    direction = apply(name, g, xp=strict)
    assert direction.device == strict.Device("device1")
    back = np.asarray(strict.asarray(direction, device=strict.Device("CPU_DEVICE")))
    assert back == pytest.approx(apply(name, G), rel=1e-14)


finite = st.floats(-1e6, 1e6).map(lambda v: v if abs(v) > 1e-6 else 0.0)
steps = arrays.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=finite)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_clipping_never_lengthens(g):
    """Every rule's direction is at most its clipping norm long, and at most the mean norm."""
    norms = np.linalg.norm(g, axis=1)
    limits = {
        "sgd": norms.mean(),
        "adaptive": norms.min(),
        "normalized": 1.0,
        "fixed": min(norms.mean(), 0.7),
        "global": min(norms.mean(), 0.7),
    }
    for name, limit in limits.items():
        assert np.linalg.norm(apply(name, g)) <= limit * (1 + 1e-12)
