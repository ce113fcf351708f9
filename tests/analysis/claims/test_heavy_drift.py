"""The mean of samples without a variance: how short it is, and how strongly it pulls.

Sampled with fixed seeds: no false alarms.
"""

import numpy as np
import pytest
from scipy import special

from analysis.claims import CLAIMS
from analysis.claims.heavy_drift import claim


def evaluate(**changes):
    usual = {"alignment": 1.0, "dragger_fraction": 0.01, "micro_batch_size": 16}
    usual |= {"noise_scale": 2.0, "gradient_norm": 3.0, "tail_exponent": 1.5}
    return claim.evaluate(**(usual | changes))


def test_value_by_hand():
    """ν = 3/2, b = 8: s = 2^(1/3)·2/8^(1/3) = 2^(1/3); P = 0.9, κ = 0.8."""
    values = evaluate(micro_batch_size=8, dragger_fraction=1 - 0.9 ** (1 / 8))
    assert values["mean_noise"] == pytest.approx(2 ** (1 / 3))
    assert values["drift_bound"] == pytest.approx(0.8 * 3 - 0.9 * 2 ** (1 / 3))


def test_with_a_variance_it_is_the_tangent_to_the_sharp_drift():
    """Never above it, and equal at G = s = σ/√b."""
    G = np.array([0.1, 0.5, 3.0])
    at = {"alignment": 0.7, "dragger_fraction": 0.01, "micro_batch_size": 16}
    at |= {"noise_scale": 2.0, "gradient_norm": G}
    sharp = CLAIMS["drift"].evaluate(**at)["drift_bound"]
    found = evaluate(**at, tail_exponent=2.0)
    assert found["mean_noise"] == pytest.approx(0.5)
    assert (found["drift_bound"] <= sharp + 1e-15).all()
    assert found["drift_bound"][1] == pytest.approx(sharp[1])


def test_one_more_term_in_the_plane():
    """‖x + y‖^ν ≤ ‖x‖^ν + ν‖x‖^(ν-2)⟨x, y⟩ + 2^(2-ν)‖y‖^ν, and close to it at ν = 1."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200_000, 2))
    y = rng.normal(size=x.shape) * rng.lognormal(0, 2, (len(x), 1))
    long, added, together = (np.linalg.norm(v, axis=1) for v in (x, y, x + y))
    for order in (1.05, 1.2, 1.5, 1.8, 2.0):
        cross = order * long ** (order - 2) * (x * y).sum(1)
        rise = (together**order - long**order - cross) / added**order
        assert rise.max() <= 2 ** (2 - order) * (1 + 1e-6)
    opposite = np.abs(1 - 1e4) ** 1.05 - 1 + 1.05 * 1e4
    assert opposite / 1e4**1.05 > 0.8 * 2**0.95


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


@pytest.mark.parametrize("b", [1, 4, 21])
def test_the_mean_of_pareto_samples_is_short(b):
    """Index 1.6, no variance; ν = 1.5. Estimated from 4·10⁴ means, with their s.e."""
    rng = np.random.default_rng(b)
    means = np.abs(pareto(rng, 1.6, (40_000, b)).mean(1))
    sigma = pareto_moment(1.6, 1.5) ** (1 / 1.5)
    bound = claim.evaluate(
        gradient_norm=1.0,
        micro_batch_size=b,
        noise_scale=sigma,
        tail_exponent=1.5,
        alignment=1.0,
        dragger_fraction=0.01,
    )["mean_noise"]
    assert means.mean() + 6 * means.std() / 200 < bound


def test_without_the_order_the_bound_fails():
    """The twin: 2^((2-ν)/ν)σ/√b, a variance's decay, is too small for rare long noise.

    One of b = 10⁴ samples is at -1 with probability 10⁻⁴, and E|z| ≈ 2/e of its size.
    """
    b = 10_000
    rare = 1 / b
    counts = np.arange(12)
    probability = special.binom(b, counts) * rare**counts * (1 - rare) ** (b - counts)
    mean_length = probability @ np.abs(counts / b - rare)
    order = 1.1
    sigma = (rare * (1 - rare) ** order + (1 - rare) * rare**order) ** (1 / order)
    stated = claim.evaluate(
        gradient_norm=1.0,
        micro_batch_size=b,
        noise_scale=sigma,
        tail_exponent=order,
        alignment=1.0,
        dragger_fraction=1e-6,
    )["mean_noise"]
    assert 2 ** (0.9 / 1.1) * sigma / np.sqrt(b) < mean_length < stated
