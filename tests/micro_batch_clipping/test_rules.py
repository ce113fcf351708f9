"""The rules for training code: each edge case of the file's table, on NumPy arrays.

The same cases run on PyTorch and JAX in the files beside this one.
"""

import collections
import copy
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micro_batch_clipping as mbc
import sim.rules
from tests.micro_batch_clipping import exact, ways

ONE_BY_ONE = [rule for rule in mbc.RULES if rule != "quantile"]
NEEDED = {"fixed": {"threshold": 1.5}, "quantile": {"quantile": 0.4}}


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def accumulated(gradients, rule, weights, **options):
    """By an accumulator; gradients is a list of trees."""
    accumulator = mbc.Accumulator(rule, **options)
    for gradient, weight in zip(gradients, weights, strict=True):
        accumulator.add(gradient, weight)
    return accumulator.result()


def test_the_file_of_vectors_is_the_exact_result():
    """Anybody can make it again: python -m tests.micro_batch_clipping.exact."""
    assert exact.text() == mbc.VECTORS.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:every micro-batch:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:a micro-batch has a zero:RuntimeWarning")
@pytest.mark.parametrize("way", ["numpy", "strict"])
def test_the_vectors(way):
    if way == "strict":
        pytest.importorskip("array_api_strict")
    short = {c["name"] for c in mbc.vectors()["cases"] if "16" in c["dtype"]}
    bfloat = {c["name"] for c in mbc.vectors()["cases"] if c["dtype"] == "bfloat16"}
    skipped = short if way == "strict" else bfloat  # NumPy alone has no bfloat16
    everything = mbc.failures(getattr(ways, f"{way}_clip"))
    assert everything.keys() <= skipped, everything
    added = mbc.failures(getattr(ways, f"{way}_accumulator"), ONE_BY_ONE)
    assert added.keys() <= skipped, added


WRONG = {
    "the running sum": lambda g, c: running_sum(g, c),
    "a divisor that counts what was skipped": lambda g, c: clipped(
        np.nan_to_num(g, posinf=0.0), c
    ).mean(0),
    "squares that overflow": lambda g, c: clipped(g, c).mean(0),
    "the clipped mean": lambda g, c: clipped(g.mean(0)[None], c)[0],
}


def clipped(g, c):
    with np.errstate(all="ignore"):
        norms = np.sqrt((g * g).sum(1, keepdims=True))
        return g * np.minimum(1, c / norms)


def running_sum(g, c):
    total = np.zeros_like(g[0])
    for row in g:
        total = clipped((total + row / len(g))[None], c)[0]
    return total


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mistake", WRONG)
def test_the_vectors_find_mistakes(mistake):
    def function(case):
        gradients = np.array(case["gradients"], case["dtype"])
        return WRONG[mistake](gradients, case["threshold"])

    found = mbc.failures(function, ["fixed"])
    assert found
    assert all(said.startswith(("update", "raises")) for said in found.values())


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
@pytest.mark.parametrize("rule", ["adaptive", "normalized", "fixed", "sgd"])
def test_the_simulator_has_the_same_rules(rule, aggregate):
    """Without weights and skipping, which simulations do not have."""
    threshold = 1.5 if rule == "fixed" else None
    needed = {} if threshold is None else {"threshold": threshold}
    simulated = sim.rules.rule(rule, aggregate, threshold)
    for seed, size in enumerate((1.0, 1e-200, 1e200)):
        lengths = np.exp(gaussian(6, 1, seed=seed))
        gradients = size * lengths * gaussian(6, 5, seed=seed + 9)
        update = mbc.clip(gradients, rule, aggregate=aggregate, **needed).update
        right = simulated(gradients)
        np.testing.assert_allclose(
            update, right, rtol=1e-13, atol=1e-15 * abs(right).max()
        )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rule", ["adaptive", "quantile", "sgd", "fixed", "normalized"])
def test_loss_scaling(rule, dtype):
    """A scale of 2^k goes through to the bit, or must be divided by, or vanishes."""
    g, scale = gaussian(4, 3).astype(dtype), 2.0**10
    needed = NEEDED.get(rule, {})
    plain = mbc.clip(g, rule, **needed)
    scaled = mbc.clip((g * scale).astype(dtype), rule, **needed)
    through = np.array_equal(scaled.update, plain.update * g.dtype.type(scale))
    assert through == (rule in ("adaptive", "quantile", "sgd"))
    assert np.array_equal(scaled.update, plain.update) == (rule == "normalized")
    if rule == "fixed":
        right = mbc.clip((g * scale).astype(dtype), rule, threshold=1.5 * scale)
        assert np.array_equal(right.update, plain.update * g.dtype.type(scale))


def test_unequal_sizes():
    """Means are compared, sizes weigh: the small one sets ρ with its own norm."""
    result = mbc.clip(np.array([[1.0, 0.0], [0.0, 3.0]]), weights=[90, 10])
    np.testing.assert_allclose(result.update, [0.9, 0.1])
    assert (result.rho, result.clipped) == (1, 0.5)


def test_sums_in_place_of_means():
    """What the table says: the sum of n_j c_j g_j, and c_j compares means."""
    g, n = gaussian(4, 3), np.array([8, 8, 8, 3])
    mean = mbc.clip(g, weights=n).update
    np.testing.assert_allclose(
        mbc.clip(g, weights=n, aggregate="sum").update, mean * 27
    )


def test_an_empty_micro_batch_counts_for_nothing():
    """Neither its NaN, from 0/0, nor its zero; it is skipped but no overflow."""
    g = np.array([[3.0, 4.0], [math.nan, 0.0], [6.0, 8.0]])
    for skip in mbc.SKIP:
        result = mbc.clip(g, weights=[4, 0, 4], skip=skip)
        np.testing.assert_allclose(result.update, [3, 4])
        assert (result.used, result.skipped, result.nonfinite) == (2, 1, 0)


def test_what_is_not_finite_is_counted_or_raised():
    g = np.array([[1.0, 0.0], [math.nan, 0.0], [0.0, math.inf], [0.0, 1.0]])
    result = mbc.clip(g)
    assert result.update.tolist() == [0.5, 0.5]
    assert (result.used, result.skipped, result.nonfinite) == (2, 2, 2)
    assert np.isnan(result.norms[1])
    assert np.isinf(result.norms[2])
    assert np.isnan(mbc.clip(g, skip="nothing").update).all()
    with pytest.raises(FloatingPointError, match="not finite"):
        mbc.clip(g, skip="raise")
    accumulator = mbc.Accumulator(skip="raise")
    accumulator.add(g[0])
    with pytest.raises(FloatingPointError, match="not finite"):
        accumulator.add(g[1])
    assert accumulator.result().used == 1


def test_all_skipped_is_said():
    with pytest.warns(RuntimeWarning, match="every micro-batch was skipped"):
        result = mbc.clip(np.full((2, 3), math.nan))
    assert result.update.tolist() == [0, 0, 0]
    assert (result.used, result.skipped, result.rho) == (0, 2, math.inf)


def test_a_zero_gradient_under_adaptive_is_said_once():
    g = np.array([[0.0, 0.0], [3.0, 4.0]])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(3):
            result = mbc.clip(g)
    assert [str(w.message)[:36] for w in seen] == [
        "a micro-batch has a zero gradient, s"
    ]
    assert seen[0].filename == __file__
    assert result.update.tolist() == [0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        left_out = mbc.clip(g, skip="zero")
        np.testing.assert_allclose(mbc.clip(g, "normalized").update, [0.3, 0.4])
    assert left_out.update.tolist() == [3, 4]
    assert (left_out.used, left_out.skipped, left_out.nonfinite) == (1, 1, 0)


def test_subnormal_numbers():
    """NumPy keeps them: down to the least, whose norm is exact."""
    least = 5e-324
    g = np.array([[least, 0.0], [1e-310, 0.0]])
    assert mbc.clip(g, aggregate="sum").update.tolist() == [2 * least, 0.0]
    assert mbc.clip(g, "normalized").update.tolist() == [1.0, 0.0]
    np.testing.assert_allclose(mbc.clip(np.float32([[1e-42, 0]])).norms, 1e-42, 0.01)


def test_several_types_in_one_tree():
    """Norms in the widest: a float64 leaf loses nothing to the float16 beside it."""
    g = {"a": np.ones((2, 1), np.float16), "b": gaussian(2, 3)}
    result = mbc.clip(g, weights=[1 / 3, 2 / 3])
    assert result.update["a"].dtype == np.float16
    assert result.norms.dtype == np.float64
    whole = np.concatenate([g["a"].astype(float), g["b"]], axis=1)
    right = mbc.clip(whole, weights=[1 / 3, 2 / 3]).update
    np.testing.assert_allclose(result.update["b"], right[1:], rtol=1e-15)
    np.testing.assert_allclose(result.update["a"], right[:1], rtol=2**-10)
    rows = [{"a": g["a"][j], "b": g["b"][j]} for j in range(2)]
    added = accumulated(rows, "adaptive", [1 / 3, 2 / 3])
    np.testing.assert_allclose(added.update["b"], right[1:], rtol=1e-14)


def test_more_digits_than_float64():
    """NumPy's long double, as in the simulator's rules."""
    g = gaussian(3, 4).astype(np.longdouble) ** 3
    found = mbc.clip(g, "normalized").update
    assert found.dtype == np.longdouble
    np.testing.assert_allclose(found, sim.rules.rule("normalized")(g), rtol=1e-17)


def test_sums_of_short_floats_do_not_stagnate():
    """In float16, 2048 + 1 is 2048."""
    accumulator = mbc.Accumulator("sgd", aggregate="sum")
    for weight in [2048, *[1] * 10]:
        accumulator.add(np.ones(2, np.float16), weight)
    assert accumulator.result().update.tolist() == [2058, 2058]


Pair = collections.namedtuple("Pair", "left right")


def test_trees():
    """Dicts, lists, (named) tuples, None, arrays without axes or without numbers."""
    m = 3
    tree = {
        "a": [gaussian(m, 2, 2), None],
        "b": Pair(gaussian(m, seed=1), (gaussian(m, 0, 4),)),
        "c": collections.OrderedDict(d=gaussian(m, 1, seed=2)),
        "e": collections.defaultdict(list, f=gaussian(m, 2, seed=3)),
    }
    result = mbc.clip(tree)
    update = result.update
    assert isinstance(update["b"], Pair)
    assert isinstance(update["c"], collections.OrderedDict)
    assert update["e"].default_factory is list
    assert update["a"][1] is None
    assert update["b"].left.shape == ()
    assert update["b"].right[0].shape == (0, 4)
    parts = [tree["a"][0], tree["b"].left, tree["c"]["d"], tree["e"]["f"]]
    flat = np.concatenate([part.reshape(m, -1) for part in parts], axis=1)
    np.testing.assert_allclose(result.norms, np.linalg.norm(flat, axis=1))
    right = mbc.clip(flat).update
    parts = [update["a"][0], update["b"].left, update["c"]["d"], update["e"]["f"]]
    found = np.concatenate([np.ravel(part) for part in parts])
    np.testing.assert_allclose(found, right, rtol=1e-14)


def test_the_order_of_a_dict_is_no_matter():
    """Arrays are added by name; the same shape would hide a mistake."""
    rows = [{"a": np.array([1.0]), "b": np.array([2.0])}]
    rows.append(dict(reversed(rows[0].items())))
    result = accumulated(rows, "sgd", [1, 1])
    assert (result.update["a"], result.update["b"]) == ([1], [2])


def test_groups_have_norms_of_their_own():
    tree = {"a": gaussian(4, 3), "b": [gaussian(4, 2), gaussian(4, 0)]}
    for rule in ONE_BY_ONE:
        needed = NEEDED.get(rule, {})
        result = mbc.clip(tree, rule, groups=lambda path: path[0], **needed)
        for name, leaf in (("a", tree["a"]), ("b", tree["b"][0])):
            alone = mbc.clip(leaf, rule, **needed)
            found = result.update[name] if name == "a" else result.update[name][0]
            np.testing.assert_allclose(found, alone.update, rtol=1e-14)
            assert result.rho[name] == alone.rho
        rows = [{"a": tree["a"][j], "b": [b[j] for b in tree["b"]]} for j in range(4)]
        by_path = {"groups": lambda path: path[0], **needed}
        added = accumulated(rows, rule, [1] * 4, **by_path)
        np.testing.assert_allclose(added.update["a"], result.update["a"], rtol=1e-14)
        assert added.clipped == result.clipped


def test_accumulating_keeps_one_sum():
    """Neither the gradients nor copies of them stay alive."""
    accumulator = mbc.Accumulator()
    for j in range(3):
        accumulator.add({"a": gaussian(7, seed=j)})
    kept = [
        value
        for value in copy.deepcopy(vars(accumulator)).values()
        for value in _arrays(value)
    ]
    assert sum(value.size == 7 for value in kept) == 1


def _arrays(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        yield from (x for below in value.values() for x in _arrays(below))
    elif isinstance(value, (list, tuple)):
        yield from (x for below in value for x in _arrays(below))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 6),
    rule=st.sampled_from(mbc.RULES),
    aggregate=st.sampled_from(["mean", "sum"]),
    skip=st.sampled_from(["nonfinite", "zero"]),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_steps(seed, m, rule, aggregate, skip):
    """Whatever the sizes and the bad ones: `clip` against the exact route.

    And an accumulator against `clip`, in another order and merged from two.
    """
    draw = np.random.default_rng(seed)
    g = draw.normal(size=(m, 3)) * 10.0 ** draw.uniform(-3, 3, size=(m, 1))
    g[draw.random(m) < 0.15] = 0
    g[draw.random(m) < 0.15, 1] = draw.choice([math.nan, math.inf])
    weights = np.round(draw.random(m) * 9)
    options = {**NEEDED.get(rule, {}), "skip": skip, "aggregate": aggregate}
    result = mbc.clip(g, rule, weights=weights, **options)
    case = {"threshold": None, "quantile": None, "dtype": "float64", "rule": rule}
    case |= {"gradients": g.tolist(), "weights": weights.tolist(), **options}
    right = exact.expected(case)
    scale = max(map(abs, right["update"])) or 1.0
    np.testing.assert_allclose(result.update / scale, np.array(right["update"]) / scale)
    assert (result.used, result.skipped) == (right["used"], right["skipped"])
    np.testing.assert_allclose(result.rho, right["rho"], rtol=1e-13)
    if rule in ONE_BY_ONE:
        order, cut = draw.permutation(m), draw.integers(m + 1)
        first, second = (mbc.Accumulator(rule, **options) for _ in range(2))
        for place, j in enumerate(order):
            (second if place >= cut else first).add(g[j], weights[j])
        first.merge(second)
        added = first.result()
        np.testing.assert_allclose(
            added.update / scale, result.update / scale, 0, 1e-13
        )
        np.testing.assert_allclose(added.clipped, result.clipped, rtol=1e-15)


TWO = np.ones((2, 3))
REFUSED = [
    (ValueError, "rule = 'min': must be one of adaptive", lambda: mbc.clip(TWO, "min")),
    (ValueError, "threshold = None: must be given", lambda: mbc.clip(TWO, "fixed")),
    (ValueError, "threshold = 1: must be absent", lambda: mbc.clip(TWO, threshold=1)),
    (ValueError, "threshold = -1.0", lambda: mbc.clip(TWO, "fixed", threshold=-1)),
    (ValueError, "threshold = nan", lambda: mbc.clip(TWO, "fixed", threshold=math.nan)),
    (ValueError, "quantile = 50.0", lambda: mbc.clip(TWO, "quantile", quantile=50)),
    (ValueError, "skip = 'all'", lambda: mbc.clip(TWO, skip="all")),
    (ValueError, "aggregate = 'max'", lambda: mbc.clip(TWO, aggregate="max")),
    (TypeError, "treshold: no such option", lambda: mbc.clip(TWO, treshold=1)),
    (ValueError, r"weights: shape \(3,\)", lambda: mbc.clip(TWO, weights=[1, 2, 3])),
    (ValueError, "weights = .*finite", lambda: mbc.clip(TWO, weights=[1, -1])),
    (ValueError, "weights = .*finite", lambda: mbc.clip(TWO, weights=[1, math.nan])),
    (
        ValueError,
        "weights = .*finite",
        lambda: mbc.clip(TWO, weights=np.float64([1, -1])),
    ),
    (ValueError, "hold an array", lambda: mbc.clip({})),
    (ValueError, "hold a number", lambda: mbc.clip(np.ones((2, 0)))),
    (ValueError, r"gradients.shape = \(\)", lambda: mbc.clip(np.float64(1))),
    (ValueError, r"\['b'\].shape = \(3,\)", lambda: mbc.clip({"a": TWO, "b": TWO[0]})),
    (TypeError, "is a builtins.float", lambda: mbc.clip({"a": 1.0})),
    (TypeError, "dtype = int64", lambda: mbc.clip(np.int64([[1]]))),
    (TypeError, "dtype = complex128", lambda: mbc.clip(TWO + 1j)),
    (ValueError, "all gradients at once", lambda: mbc.Accumulator("quantile")),
    (RuntimeError, "no micro-batch", lambda: mbc.Accumulator().result()),
    (ValueError, "lacks", lambda: accumulated([{"a": TWO}, {"b": TWO}], "sgd", [1, 1])),
    (
        ValueError,
        "no such array",
        lambda: accumulated([{"a": TWO}, {"a": TWO, "b": TWO}], "sgd", [1, 1]),
    ),
    (
        ValueError,
        "has shape",
        lambda: accumulated([{"a": TWO}, {"a": TWO[0]}], "sgd", [1, 1]),
    ),
    (
        ValueError,
        "must be Rule",
        lambda: mbc.Accumulator().merge(mbc.Accumulator("sgd")),
    ),
]


@pytest.mark.parametrize(("kind", "message", "call"), REFUSED)
def test_what_makes_no_sense_is_refused(kind, message, call):
    with pytest.raises(kind, match=message):
        call()


def test_the_public_names_are_there_and_described():
    for name in mbc.__all__:
        assert getattr(mbc, name).__doc__ or name.isupper(), name
