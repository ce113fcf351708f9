"""The update rules: definitions, edge cases, array libraries other than NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from analysis.spec.rule import Rule
from sim import reference
from sim.rules import fixed, rule

THRESHOLD = {"fixed": 0.7, "global": 0.7}
G = np.random.default_rng(3).normal(size=(5, 4, 3)) * [
    [[0.1]],
    [[1]],
    [[10]],
    [[1e6]],
    [[1e-6]],
]


def apply(name, g, aggregate="mean", xp=np):
    return rule(name, aggregate, THRESHOLD.get(name), xp)(g)


def by_definition(name, g):
    """One step [m, d] by the textbook formula of each rule."""
    norms = np.linalg.norm(g, axis=1)
    if name == "sgd":
        return g.mean(0)
    if name == "adaptive":
        return np.mean(
            [norms.min() * v / n for v, n in zip(g, norms, strict=True)], axis=0
        )
    if name == "normalized":
        return np.mean([v / n for v, n in zip(g, norms, strict=True)], axis=0)
    c = THRESHOLD[name]
    if name == "fixed":
        return np.mean(
            [v * min(1, c / n) for v, n in zip(g, norms, strict=True)], axis=0
        )
    mean = g.mean(0)
    return mean * min(1, c / np.linalg.norm(mean))


@pytest.mark.parametrize("name", Rule.names())
def test_definition(name):
    expected = np.array([by_definition(name, g) for g in G])
    assert apply(name, G) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("name", Rule.names())
def test_sum_is_m_times_the_mean(name):
    assert apply(name, G, "sum") == pytest.approx(4 * apply(name, G), rel=1e-14)


@pytest.mark.parametrize("name", ["fixed", "global"])
@pytest.mark.parametrize(
    "threshold", [None, 0, 0.0, -1, np.nan, -np.inf, "1", True, [1.0]]
)
def test_a_threshold_is_a_positive_number(name, threshold):
    with pytest.raises(
        ValueError, match=r"threshold = .*: must be a number > 0, or inf"
    ) as caught:
        rule(name, threshold=threshold)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("threshold", [1, 0.5, np.float32(2), np.inf])
def test_a_threshold_may_be_any_positive_number(threshold):
    norm = np.linalg.norm(rule("fixed", threshold=threshold)(np.array([[3.0, 4.0]])))
    assert norm == pytest.approx(min(threshold, 5.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sgd", "mean", 0.7), "threshold = 0.7: must be absent with rule 'sgd'"),
        (("adaptive", "mean", np.inf), "threshold = inf: must be absent"),
        (("median",), "rule = 'median': must be one of sgd, adaptive"),
        (("sgd", "average"), "aggregate = 'average': must be one of mean, sum"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        rule(*arguments)


@pytest.mark.parametrize("name", Rule.names())
@pytest.mark.parametrize("shape", [(0, 3), (5, 0, 3), (4, 0), (3,)])
def test_no_gradients_are_refused(name, shape):
    with pytest.raises(ValueError, match=r"g.shape = .* at least one micro-batch"):
        apply(name, np.zeros(shape))


@pytest.mark.parametrize("name", Rule.names())
def test_no_steps_have_no_directions(name):
    assert apply(name, np.zeros((0, 4, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    "kind",
    [
        np.int64,
        np.bool_,
        np.complex128,
        object,
        "U3",
        "S3",
        "datetime64[D]",
        "timedelta64[D]",
    ],
)
def test_other_numbers_are_refused(kind):
    with pytest.raises(
        ValueError, match=r"g.dtype = .*: must be a real floating-point type"
    ):
        apply("normalized", np.ones((2, 3), kind))


@pytest.mark.parametrize("name", Rule.names())
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_the_order_of_the_bytes_does_not_matter(name, kind):
    g = (G / 1e6).astype(f"<{kind}")
    found = apply(name, g.astype(f">{kind}"))
    assert found.dtype == f">{kind}"
    assert np.array_equal(found, apply(name, g))


@pytest.mark.parametrize("name", ["fixed", "global"])
@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_an_infinite_threshold_is_sgd(name, aggregate):
    expected = rule("sgd", aggregate)(G)
    assert np.array_equal(rule(name, aggregate, np.inf)(G), expected)


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


@pytest.mark.parametrize("name", Rule.names())
def test_a_single_micro_batch(name):
    g = np.array([[3.0, 4.0]])
    expected = {"sgd": 1.0, "adaptive": 1.0, "normalized": 1 / 5, "fixed": 0.7 / 5}
    assert apply(name, g) == pytest.approx(
        g[0] * expected.get(name, 0.7 / 5), rel=1e-15
    )


@pytest.mark.parametrize("name", Rule.names())
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_passed_on(name, bad):
    g = np.array([[1.0, 2.0], [bad, 1.0], [3.0, -1.0]])
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(apply(name, g)).all()


@pytest.mark.parametrize("name", Rule.names())
@pytest.mark.parametrize("scale", [1e-140, 1e140])
def test_tiny_and_huge_gradients(name, scale):
    direction = apply(name, G[1] * scale)
    assert np.isfinite(direction).all()
    assert direction.any()


# close to the ends of the range, one subnormal
BIG, SMALL = np.float32(3e38), np.float32(1e-45)
SIZES = [
    ("fixed", np.float16, [[300]], [1]),
    ("fixed", np.float32, [[1e20]], [1]),
    ("fixed", np.float64, [[1e200]], [1]),
    ("fixed", np.float16, [[1e-4]], [1e-4]),
    ("fixed", np.float32, [[1e-25]], [1e-25]),
    ("fixed", np.float32, [[1e20], [0.5]], [0.75]),
    ("fixed", np.float64, [[3e200, -4e200], [0, 0]], [0.3, -0.4]),
    ("global", np.float16, [[300], [200]], [1]),
    ("global", np.float32, [[BIG], [BIG]], [1]),
    ("adaptive", np.float32, [[1e20], [1]], [1]),
    ("adaptive", np.float16, [[300], [400]], [300]),
    ("adaptive", np.float32, [[1e20], [1e-25]], [1e-25]),
    ("adaptive", np.float32, [[BIG], [1e-38]], [1e-38]),
    ("adaptive", np.float32, [[BIG, -BIG]], [BIG, -BIG]),
    ("adaptive", np.float32, [[BIG, 0], [0, BIG]], [BIG / 2, BIG / 2]),
    ("adaptive", np.float32, [[SMALL], [SMALL]], [SMALL]),
    ("normalized", np.float32, [[SMALL], [BIG]], [1]),
    ("normalized", np.float32, [[3e-30, 4e-30]], [0.6, 0.8]),
    ("normalized", np.float64, [[1e-300, 0], [0, 1e300]], [0.5, 0.5]),
    ("normalized", np.float32, [[1e-30, 0, 0], [0, 0, 0]], [0.5, 0, 0]),
    ("sgd", np.float32, [[BIG], [BIG]], [BIG]),
    ("sgd", np.float16, [[60000], [60000]], [60000]),
]


@pytest.mark.parametrize(("name", "kind", "g", "expected"), SIZES)
def test_the_right_direction_whatever_the_size(name, kind, g, expected):
    """Squares, sums and norms leave the range of the type; the values are by hand."""
    threshold = 1.0 if name in THRESHOLD else None
    found = rule(name, threshold=threshold)(np.array(g, kind))
    assert found.dtype == kind
    accuracy = 4 * float(np.finfo(kind).eps)
    assert found.astype(float) == pytest.approx(
        np.array(expected, float), rel=accuracy, abs=0
    )


@pytest.mark.parametrize("size", [1.0, 1e200])
def test_every_step_may_have_a_threshold_of_its_own(size):
    thresholds = np.array([0.1, 1.0, 3.0, 1e9, 1e-9]) * size
    together = fixed(G * size, thresholds[:, None, None])
    alone = [
        rule("fixed", threshold=c)(g * size) for c, g in zip(thresholds, G, strict=True)
    ]
    assert np.array_equal(together, np.array(alone))


def test_a_threshold_far_below_the_gradient():
    """1e-30 of 1e15: the quotient is subnormal in float32, the result is not."""
    found = rule("fixed", threshold=1e-30)(np.array([[1e15], [1e15]], np.float32))
    assert found == pytest.approx([1e-30], rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("threshold", "kind", "size"),
    [
        (1e-300, np.float64, 1e150),
        (1e-320, np.float64, 1e20),
        (1e-38, np.float32, 1e19),
    ],
)
def test_the_quotient_of_threshold_and_norm_may_vanish(threshold, kind, size):
    """Beside a huge neighbour, too, and where the other norm sets the threshold."""
    small = float(kind(threshold))
    found = rule("fixed", threshold=threshold)(
        np.array([[size], [np.finfo(kind).max]], kind)
    )
    assert found == pytest.approx([small], rel=1e-2, abs=0)
    found = rule("adaptive")(np.array([[size], [small]], kind))
    assert found == pytest.approx([small], rel=1e-2, abs=0)


@pytest.mark.parametrize("name", ["fixed", "global"])
@pytest.mark.parametrize("threshold", [1e160, 1e300, np.finfo(float).max, 10**400])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_threshold_whose_square_overflows_clips_nothing(name, threshold, kind):
    g = G.astype(kind)
    found = rule(name, threshold=threshold)(g)
    assert found == pytest.approx(rule("sgd")(g), rel=1e-5)


@pytest.mark.parametrize("name", Rule.names())
@pytest.mark.parametrize("size", [1e-200, 1e-140, 1.0, 1e140, 1e200, 1e307])
def test_the_oracle_is_right_whatever_the_size(name, size):
    """Plain loops of `sim.reference`, and rules, against the definition at size 1."""
    g = np.random.default_rng(3).normal(size=(4, 3))
    threshold = THRESHOLD.get(name)
    expected = rule(name, threshold=threshold)(g) * (
        1 if name == "normalized" else size
    )
    limit = None if threshold is None else threshold * size
    plain = reference.mean(reference.clipped(Rule(name), (g * size).tolist(), limit))
    assert plain == pytest.approx(expected.tolist(), rel=1e-12, abs=0)
    found = rule(name, threshold=limit)(g * size)
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", Rule.names())
def test_many_coordinates_of_any_size(name):
    """A stack of mini-batches, each of another size, in 65 536 coordinates."""
    g = np.random.default_rng(4).normal(size=(2, 2**16)).astype(np.float32)
    sizes = np.array([2.0**-120, 1, 2.0**100, 2.0**120])
    stack = (g * sizes[:, None, None]).astype(np.float32)
    with np.errstate(over="raise"):
        found = apply(name, stack)
    for size, direction in zip(sizes, found, strict=True):
        threshold = None if name not in THRESHOLD else THRESHOLD[name] / size
        expected = rule(name, threshold=threshold)(g.astype(np.float64))
        expected = expected * (1 if name == "normalized" else size)
        assert np.allclose(
            direction, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max()
        )


@pytest.mark.parametrize("name", Rule.names())
def test_a_step_does_not_depend_on_its_neighbours(name):
    """Bit for bit: which mini-batches stand beside it decides nothing."""
    odd = G * np.array([1e-200, 1, 1, 1e200, 1])[:, None, None]
    together = apply(name, odd)
    alone = np.array([apply(name, g) for g in odd])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("name", Rule.names())
def test_strict_arrays_on_another_device(name):
    """Only what the array API promises is used, nothing leaves the array's device."""
    strict = pytest.importorskip("array_api_strict")
    g = strict.asarray(G, device=strict.Device("device1"))
    direction = apply(name, g, xp=strict)
    assert direction.device == strict.Device("device1")
    back = np.asarray(strict.asarray(direction, device=strict.Device("CPU_DEVICE")))
    assert back == pytest.approx(apply(name, G), rel=1e-14)


finite = st.floats(-1e6, 1e6).map(lambda v: v if abs(v) > 1e-6 else 0.0)
steps = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=finite
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_clipping_never_lengthens(g):
    """Every rule's direction is at most its clipping norm and the mean norm long."""
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
