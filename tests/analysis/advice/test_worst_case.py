"""Cuts of a mini-batch: sizes, radii, guarantees against other routes and search."""

import numpy as np
import pytest
from scipy import optimize

from analysis.advice.worst_case import (
    WorstCase,
    cheapest,
    count,
    cut_average,
    cut_drift,
    cut_radius,
    described,
    even_sizes,
    last,
)
from analysis.claims import CLAIMS
from analysis.spec.checking import SpecificationError
from analysis.spec.rule import micro_batches

SIZES = {257: [29, 32], 250: [32, 25], 256: [32]}
RADII = {257: [0.2646, 0.3150], 250: [0.2640, 0.2683], 256: [0.2635]}


@pytest.mark.parametrize("B", SIZES)
def test_radii_of_uneven_cuts(B):
    """Eight micro-batches of 32 and one of a single sample cost 20 %."""
    found = cut_radius(WorstCase(0.01), B, np.array(SIZES[B]))
    np.testing.assert_allclose(found, RADII[B], atol=5e-5)


def test_where_b_divides_it_is_the_bias_radius():
    rng = np.random.default_rng(1)
    for _ in range(50):
        b, m = int(rng.integers(1, 60)), int(rng.integers(1, 30))
        case = WorstCase(
            *(float(rng.uniform(*ends)) for ends in ((0, 0.2), (0.1, 3), (0, 1)))
        )
        given = {"dragger_fraction": case.dragger_fraction, "alignment": case.alignment}
        claim = CLAIMS["bias_radius"].evaluate(
            micro_batch_size=b, noise_scale=case.noise_scale, **given
        )["bias_radius"]
        found = cut_radius(case, b * m, np.array([b]))[0]
        assert found == pytest.approx(
            np.inf if np.isnan(claim) else float(claim), rel=1e-9
        )


def sampled(rng):
    """A random case, mini-batch and size."""
    case = WorstCase(
        float(rng.uniform(1e-4, 0.2)), float(rng.lognormal()), float(rng.uniform(0, 1))
    )
    B = int(rng.integers(2, 200))
    return case, B, int(rng.integers(1, B + 1))


def test_the_radius_is_where_the_certain_pull_vanishes():
    rng = np.random.default_rng(2)
    seen = 0
    for _ in range(200):
        case, B, b = sampled(rng)
        radius = float(cut_radius(case, B, np.array([b]))[0])
        if not np.isfinite(radius):
            assert cut_drift(case, B, np.array([b]), 1e9)[0] <= 0
            continue
        seen += 1
        inside, outside = (
            cut_drift(case, B, np.array([b]), f * radius)[0] for f in (0.999, 1.001)
        )
        assert inside < 0 < outside
    assert seen > 50


def weakest(rng, case, B, b, gradient_norm):
    """Smallest mean pull over two-point noises on a line, one a size, by search."""
    G = gradient_norm

    def pull(size, below):
        s2 = case.noise_scale**2 / size
        # probability of the point -below; the other is s²/below
        back = s2 / (s2 + below**2)
        signs = np.sign(G - below), np.sign(G + s2 / below)
        p = np.exp(-case.rate * size)
        return p * (back * signs[0] + (1 - back) * signs[1]) - case.alignment * (1 - p)

    def mean(free):
        cut = micro_batches(B, b)
        pulls = [n * pull(size, np.exp(free[i]) * G) for i, (size, n) in enumerate(cut)]
        return sum(pulls) / sum(n for _, n in cut)

    tries = [mean(rng.normal(scale=0.3, size=2)) for _ in range(200)]
    edge = optimize.minimize(mean, np.full(2, 1e-9), method="Nelder-Mead").fun
    return min(*tries, edge)


def test_no_noise_rests_beyond_the_radius_and_some_does_inside():
    rng = np.random.default_rng(3)
    seen = 0
    for _ in range(60):
        case, B, b = sampled(rng)
        radius = float(cut_radius(case, B, np.array([b]))[0])
        if np.isfinite(radius):
            seen += 1
            assert weakest(rng, case, B, b, 1.0001 * radius) > -1e-9
            assert weakest(rng, case, B, b, 0.99 * radius) < 0
    assert seen > 15


@pytest.mark.parametrize("alignment", [0.3, 1.0])
def test_no_size_is_better_than_the_most_even_cuts(alignment):
    rng = np.random.default_rng(4)
    for B in rng.integers(2, 2000, 60):
        every = np.arange(1, B + 1)
        case = WorstCase(float(np.exp(rng.uniform(-9, -1))), 1.0, alignment)
        best = cut_radius(case, int(B), every).min()
        assert cut_radius(case, int(B), even_sizes(int(B))).min() == best


@pytest.mark.parametrize("B", [1, 2, 12, 97, 360, 1024])
def test_even_sizes(B):
    sizes = even_sizes(B)
    assert set(sizes) == {-(-B // m) for m in range(1, B + 1)}
    assert {b for b in range(1, B + 1) if B % b == 0} <= set(sizes.tolist())
    for b, m, rest in zip(sizes, count(B, sizes), last(B, sizes), strict=True):
        cut = micro_batches(B, int(b))
        assert sum(number for _, number in cut) == m
        assert cut[-1][0] == rest


def test_the_largest_batch_is_quick():
    assert even_sizes(2**26).size < 2**14 + 1
    with pytest.raises(SpecificationError, match="batch_size"):
        even_sizes(2**26 + 1)


def test_the_average_where_b_divides_and_where_not():
    case = WorstCase(0.01, 2.0, 0.7)
    T = 5000
    L = 3.0
    gap = 1.5
    pace = np.sqrt(2 * L * gap / T)
    given = {
        "horizon": T,
        "smoothness": L,
        "initial_gap": gap,
        "dragger_fraction": 0.01,
    }
    given |= {"noise_scale": 2.0, "alignment": 0.7}
    claim = CLAIMS["averaged_guarantee"].evaluate(micro_batch_size=8, **given)[
        "averaged_bound"
    ]
    assert cut_average(case, 64, np.array([8]), pace)[0] == pytest.approx(
        float(claim), rel=1e-12
    )
    p = 0.99 ** np.array([8, 8, 4])
    margin, noise = p - 0.7 * (1 - p), p * 2 / np.sqrt([8, 8, 4])
    uneven = cut_average(case, 20, np.array([8]), pace)[0]
    assert uneven == pytest.approx((pace + noise.mean()) / margin.mean())


def test_sideways_draggers_leave_the_noise_however_few_are_clean():
    """α = 0: σ/√b, also where (1-ε)^b is too small for a floating-point number."""
    found = cut_radius(WorstCase(0.2, 1.0, 0.0), 65536, np.array([1, 65536]))
    np.testing.assert_allclose(found, [1, 1 / 256], rtol=1e-12)


def test_which_size_is_taken():
    sizes, cost = np.array([1, 2, 3, 4]), np.array([1.0, 0.715, 0.70, 0.71])
    assert cheapest(12, sizes, cost) == 3  # the best divisor within 2 %
    assert cheapest(11, sizes, cost) == 3  # no divisor: the smallest size within 2 %
    assert cheapest(11, sizes, np.array([1.0, 0.71, 0.70, 0.71])) == 2
    assert cheapest(12, sizes, cost, lambda b: cost[b - 1] if b != 3 else np.inf) == 4
    assert cheapest(12, sizes, -cost) == 1
    assert cheapest(12, sizes, np.full(4, np.inf)) is None
    assert cheapest(12, sizes, cost, lambda b: np.inf) is None


def test_a_cost_is_asked_no_more_often_than_necessary():
    """Size 1, whose bound is lowest, costs most; size 4 cannot be within 2 %."""
    asked = []

    def cost(b):
        asked.append(b)
        return {1: 9.0, 2: 0.71, 3: 0.72}[b]

    assert (
        cheapest(7, np.array([1, 2, 3, 4]), np.array([0.6, 0.7, 0.705, 0.73]), cost)
        == 2
    )
    assert asked == [1, 2, 3]


def test_a_cut_in_words():
    assert described(257, 29) == "8 micro-batches of 29 samples and one of 25"
    assert described(5, 4) == "1 micro-batch of 4 samples and one of 1"
    assert described(1, 1) == "1 micro-batch of 1 sample"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ((1.0,), "dragger_fraction = 1.0"),
        ((0.1, 0.0), "noise_scale = 0.0"),
        ((0.1, 1.0, 1.1), "alignment = 1.1"),
        ((0.1, 1.0, 1.0, -1.0), "dragger_norm = -1.0"),
    ],
)
def test_bad_cases_are_refused(given, word):
    with pytest.raises(SpecificationError) as error:
        WorstCase(*given)
    assert str(error.value).startswith(word)
