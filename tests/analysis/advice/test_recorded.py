"""Reading ε, σ and D from gradients: data that mislead a sign count, and clean data."""

import numpy as np
import pytest
from scipy import special, stats

from analysis.advice.recorded import MULTIPLE, read_gradients
from analysis.advice.sizes import advised_size
from analysis.advice.worst_case import WorstCase
from analysis.spec.checking import SpecificationError

FALSE_ALARM = float(special.erfc(MULTIPLE * special.ndtri(0.75) / np.sqrt(2)))


def recorded(dragger_norm):
    """20 000 gradients in R⁶⁴: ∇f = 0.05 e₁, σ = 1, 1.905 % draggers along -e₁."""
    rng = np.random.default_rng(7)
    draggers = rng.random(20_000) < 0.02
    g = rng.normal(size=(20_000, 64)) / 8
    g[:, 0] += 0.05
    g[draggers] = 0
    g[draggers, 0] = -dragger_norm
    return g, draggers


def test_draggers_are_found():
    g, draggers = recorded(20.0)
    reading = read_gradients(g)
    assert (reading.outliers == draggers).all()
    assert reading.dragger_fraction == draggers.mean() == 0.01905
    assert reading.noise_scale == pytest.approx(1, rel=3e-3)
    assert reading.dragger_norm == pytest.approx(20)
    exact = stats.binomtest(381, 20_000).proportion_ci(0.95)
    assert reading.interval == pytest.approx(tuple(exact), rel=1e-9)
    case = WorstCase(reading.dragger_fraction, reading.noise_scale)
    assert advised_size(case, 512, "normalized")["micro_batch_size"] == 16


def test_a_count_of_signs_does_not_find_them():
    """The share against the mean gradient, 0.65 here: no size is safe if that is ε."""
    g, draggers = recorded(20.0)
    against = float((g @ g.mean(0) < 0).mean())
    assert against > 30 * draggers.mean()
    assert (
        advised_size(WorstCase(against), 512, "normalized")["micro_batch_size"] is None
    )


def test_short_draggers_are_not_seen():
    g, _ = recorded(2.0)
    assert read_gradients(g).dragger_fraction == 0
    assert read_gradients(g, multiple=1.6).dragger_fraction == 0.01905


@pytest.mark.parametrize("axes", [1, 2, 16])
def test_clean_data(axes):
    """Of 10⁵ clean samples on one axis, 0.24 false alarms on average; 8 at 1e-10."""
    assert pytest.approx(2.35e-6, rel=0.01) == FALSE_ALARM
    assert stats.poisson.sf(7, FALSE_ALARM * 100_000) < 1e-9
    g = np.random.default_rng(axes).normal(size=(100_000, axes)) + 3
    reading = read_gradients(g)
    assert reading.outliers.sum() < 8
    assert reading.interval[0] <= 5e-5
    assert reading.noise_scale == pytest.approx(np.sqrt(axes), rel=0.02)


def test_the_false_alarms_are_those_of_the_tail():
    """At the multiple 3 they count: on one axis the normal tail, on 16 none. 6σ."""
    rate = float(special.erfc(3 * special.ndtri(0.75) / np.sqrt(2)))
    rng = np.random.default_rng(5)
    n = 100_000
    count = read_gradients(rng.normal(size=(n, 1)), multiple=3).outliers.sum()
    assert abs(count - n * rate) < 6 * np.sqrt(n * rate) + 0.02 * n * rate
    assert read_gradients(rng.normal(size=(n, 16)), multiple=3).outliers.sum() == 0


@pytest.mark.parametrize(
    ("n", "low", "high"), [(3, 0.06, 0.09), (10, 0.003, 0.007), (100, 0, 2e-4)]
)
def test_few_samples_raise_more_false_alarms(n, low, high):
    """On one axis, 4000 times n clean samples."""
    rng = np.random.default_rng(n)
    shares = [
        read_gradients(rng.normal(size=(n, 1))).dragger_fraction for _ in range(4000)
    ]
    assert low <= np.mean(shares) < high


def test_no_draggers_leave_an_upper_limit():
    reading = read_gradients(np.random.default_rng(1).normal(size=(1000, 3)))
    assert reading.dragger_fraction == 0
    assert reading.dragger_norm is None
    assert reading.interval == (0.0, pytest.approx(1 - 0.025 ** (1 / 1000)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200])
def test_the_unit_of_the_gradients_does_not_matter(unit):
    """Squares would overflow, or vanish: then there were no draggers, or no noise."""
    g, draggers = recorded(20.0)
    plain, reading = read_gradients(g), read_gradients(g * unit)
    assert (reading.outliers == draggers).all()
    assert reading.noise_scale == pytest.approx(plain.noise_scale * unit, rel=1e-12)
    assert reading.dragger_norm == pytest.approx(plain.dragger_norm * unit, rel=1e-12)


@pytest.mark.parametrize(
    ("gradients", "word"),
    [
        (np.zeros(5), "shape (5,)"),
        (np.zeros((1, 5)), "at least two"),
        (np.full((5, 2), np.nan), "finite"),
        (np.zeros((5, 2)), "equal"),
        (np.zeros((5, 0)), "shape (5, 0)"),
        (np.eye(5) * 1e301, "at most 1e+300"),
        (np.eye(5) * 1j, "complex128"),
        (np.eye(5) > 0, "bool"),
        (np.eye(5).astype(object), "object"),
        (np.eye(5).astype("datetime64[D]"), "datetime64"),
        (np.ma.array(np.eye(5), mask=np.eye(5)), "masked"),
        ([[1.0, 2.0], [3.0]], "matrix"),
        ("gradients", "shape ()"),
        ({}, "shape ()"),
    ],
)
def test_what_cannot_be_read(gradients, word):
    with pytest.raises(SpecificationError) as error:
        read_gradients(gradients)
    assert word in str(error.value)
    with pytest.raises(SpecificationError, match="multiple"):
        read_gradients(np.eye(5), multiple=1)
