"""Noise without a variance: by hand, against other routes, and in runs.

Sampled with fixed seeds: no false alarms.
"""

import numpy as np
import pytest
from scipy import optimize, special

from analysis.claims import CLAIMS
from analysis.claims.heavy_tails import claim

AT = {"smoothness": 2.0, "initial_gap": 3.0, "horizon": 300, "noise_scale": 2.0}


def evaluate(**changes):
    usual = {"alignment": 1.0, "dragger_fraction": 0.01, "micro_batch_size": 16}
    return claim.evaluate(**(AT | usual | {"tail_exponent": 1.5} | changes))


def test_value_by_hand():
    """ν = 3/2, b = 8: s = 2^(1/3)·2/8^(1/3) = 2^(1/3); P = 0.9, κ = 0.8."""
    fraction = 1 - 0.9 ** (1 / 8)
    values = evaluate(micro_batch_size=8, dragger_fraction=fraction)
    bias = 0.9 * 2 ** (1 / 3) / 0.8
    assert values["bias_radius"] == pytest.approx(bias)
    assert values["averaged_bound"] == pytest.approx(0.2 / 0.8 + bias)


def test_with_a_variance_it_is_the_averaged_guarantee():
    sizes = {"micro_batch_size": np.arange(1, 69), "tail_exponent": 2.0}
    known = CLAIMS["averaged_guarantee"].evaluate(
        **AT, alignment=1.0, dragger_fraction=0.01, micro_batch_size=np.arange(1, 69)
    )
    found = evaluate(**sizes)
    assert found["averaged_bound"] == pytest.approx(known["averaged_bound"], rel=1e-14)
    assert found["bias_radius"] == pytest.approx(known["averaged_bias"], rel=1e-14)


@pytest.mark.parametrize(
    ("order", "alignment", "scaled"),
    [(1.5, 1.0, 0.208090), (1.2, 1.0, 0.126932), (2.0, 1.0, 0.266249), (1.7, 0.2, 0)],
)
def test_the_best_size_is_where_a_search_finds_it(order, alignment, scaled):
    """SciPy's minimiser of the radius, and its Lambert W."""
    rate = 1e-4
    at = {"alignment": alignment, "dragger_fraction": -np.expm1(-rate)}
    at["tail_exponent"] = order
    found = optimize.minimize_scalar(
        lambda x: float(evaluate(micro_batch_size=x / rate, **at)["bias_radius"]),
        bounds=(0.001, 0.99 * np.log1p(1 / alignment)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    a = 1 - 1 / order
    by_hand = special.lambertw(a * np.exp(a) * (1 + alignment) / alignment).real - a
    assert evaluate(**at)["scaled_size"] == pytest.approx(by_hand, rel=1e-12)
    assert found.x == pytest.approx(by_hand, rel=1e-4)
    if scaled:
        assert by_hand == pytest.approx(scaled, abs=1e-6)


@pytest.mark.parametrize("order", [1.2, 1.5, 1.8])
def test_radius_and_lower_bound_have_the_same_order(order):
    """Both fall like ε^(1-1/ν): their ratio settles, and is above 1."""
    fractions = np.array([1e-3, 1e-5, 1e-7])
    at = {"dragger_fraction": fractions, "tail_exponent": order}
    sizes = evaluate(**at)["scaled_size"] / -np.log1p(-fractions)
    values = evaluate(**at, micro_batch_size=sizes)
    ratio = values["bias_radius"] / values["minimax_bias"]
    assert (ratio > 1).all()
    assert ratio[2] == pytest.approx(ratio[1], rel=1e-3)


@pytest.mark.parametrize("order", [1.2, 1.5, 2.0])
def test_two_worlds_that_look_the_same(order):
    """Their exact error by its definition: never below the stated bound."""
    for fraction in (1e-4, 0.01, 0.2, 0.45):
        w = fraction / (1 - fraction)
        size = 2.0 / (w * (1 - w) ** order + (1 - w) * w**order) ** (1 / order)
        stated = evaluate(dragger_fraction=fraction, tail_exponent=order)
        error = w * size
        assert stated["minimax_bias"] <= error * (1 + 1e-12)
        assert error < 2 * stated["minimax_bias"] or fraction == 0.45


def pareto(rng, index, shape):
    """Centred Pareto samples, x > 1 with P(x > t) = t^-index, and E|x - E x|^ν."""
    return rng.pareto(index, shape) + 1 - index / (index - 1)


def pareto_moment(index, order):
    """E|x - E x|^ν by quadrature over the quantile function."""
    q = (np.arange(2_000_000) + 0.5) / 2_000_000
    q = q**6  # dense where x is large
    weights = 6 * ((np.arange(2_000_000) + 0.5) / 2_000_000) ** 5 / 2_000_000
    x = q ** (-1 / index) - index / (index - 1)
    return float(weights @ np.abs(x) ** order)


def test_a_run_under_pareto_noise():
    """ε = 0.01, draggers straight back, b* = 21 of 64 samples' cut; T = 4000."""
    rng = np.random.default_rng(3)
    b = 21
    m = 12
    horizon = 4000
    sigma = pareto_moment(1.6, 1.5) ** (1 / 1.5)
    at = {"noise_scale": sigma, "micro_batch_size": b, "horizon": horizon}
    at |= {"initial_gap": 0.5, "smoothness": 1.0}
    sizes = {"micro_batch_size": np.arange(1, 65)}
    assert np.nanargmin(evaluate(**(at | sizes))["bias_radius"]) + 1 == b
    w = np.ones(6)
    norms = []
    step = np.sqrt(1 / horizon)
    for _ in range(horizon):
        norms.append(np.abs(w).mean())
        clean = rng.random((6, m)) < 0.99**b
        mean = pareto(rng, 1.6, (6, m, b)).mean(2)
        w = w - step * np.where(clean, np.sign(w[:, None] + mean), -1).mean(1)
    bound = evaluate(**at)["averaged_bound"]
    assert bound > 3
    assert 0.1 < np.mean(norms) < bound
