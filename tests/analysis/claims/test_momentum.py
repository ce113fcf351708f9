"""Momentum after clipping: what it keeps, what it costs, and where the cost is needed.

Long runs are sampled with fixed seeds: no false alarms.
"""

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.claims.attacks.exact_runs import Batch, Loss, Run, normalized_run
from analysis.claims.attacks.momentum import exact_norms, sampled_norms
from analysis.claims.momentum import claim

AT = {
    "smoothness": 2.0,
    "initial_gap": 3.0,
    "horizon": 300,
    "noise_scale": 2.0,
    "alignment": 1.0,
    "micro_batch_size": 4,
    "dragger_fraction": 1 - 0.9**0.25,
}


def test_value_by_hand():
    """P = 0.9, s = 1, κ = 0.8, √(2LΔ/T) = 0.2; μ = 0.6 has the factor √4 = 2."""
    values = claim.evaluate(**AT, momentum=0.6)
    assert values["averaged_bound"] == pytest.approx((2 * 0.2 + 0.9) / 0.8)
    assert values["averaged_bias"] == pytest.approx(0.9 / 0.8)
    assert values["step_size"] == pytest.approx(0.1 / 2)


def test_without_momentum_it_is_the_averaged_guarantee():
    values = claim.evaluate(**AT, momentum=0.0)
    assert values == CLAIMS["averaged_guarantee"].evaluate(**AT)


def test_the_bias_and_so_the_best_size_do_not_depend_on_momentum():
    sizes = AT | {"micro_batch_size": np.arange(1, 26), "dragger_fraction": 0.01}
    plain = CLAIMS["averaged_guarantee"].evaluate(**sizes)["averaged_bias"]
    for momentum in (0.5, 0.99):
        found = claim.evaluate(**sizes, momentum=momentum)["averaged_bias"]
        assert (found == plain).all()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_two_ways_to_run_agree(momentum):
    """Every path against the lattice (no momentum) or 400 sampled runs, 6 s.e."""
    run = Run(Loss("cosine", 1.0), 1.0, 0.1, 6)
    batch = Batch(0.05, 1.0, 1, 1, 1.0)
    exact = exact_norms(run, batch, momentum)
    if momentum == 0:
        assert exact == pytest.approx(normalized_run(run, batch)[0])
    sampled = sampled_norms(run, batch, momentum, np.random.default_rng(1))
    assert sampled == pytest.approx(exact, abs=6 * 0.6 / np.sqrt(400))


def adversarial(horizon, size, momentum=0.9):
    """Mean gradient norm of runs under the lemma's noise at every point, bound, floor.

    The noise is that of a micro-batch of `size` samples, which no sample's law has
    beyond size 1: it is at least as bad as any.
    """
    sigma = 1 / np.sqrt(size)
    fraction = 1 - 0.99**size
    at = {"noise_scale": sigma, "micro_batch_size": 1, "dragger_fraction": fraction}
    values = claim.evaluate(
        smoothness=1.0,
        initial_gap=2.0,
        horizon=horizon,
        alignment=1.0,
        momentum=momentum,
        **at,
    )
    run = Run(Loss("quadratic", 1.0), 2.0, float(values["step_size"]), horizon)
    batch = Batch(fraction, 1.0, 1, 1, sigma)
    norms = sampled_norms(run, batch, momentum, np.random.default_rng(size))
    return norms.mean(), values["averaged_bound"], values["averaged_bias"]


@pytest.mark.parametrize(
    ("horizon", "size"),
    [
        (2000, 16),
        pytest.param(20_000, 1, marks=pytest.mark.soak),
        pytest.param(20_000, 16, marks=pytest.mark.soak),
    ],
)
def test_the_worst_noise_stays_below_the_bound(horizon, size):
    mean, bound, floor = adversarial(horizon, size)
    assert 0.5 * floor < mean < bound


def test_the_factor_is_needed():
    """The twin: a running mean takes time to build up, and the plain bound fails."""
    run = Run(Loss("quadratic", 1.0), 2.0, 0.1, 10)
    norms = exact_norms(run, Batch(1e-9, 1.0, 1, 1, 1e-6), 0.99)
    at = {"smoothness": 1.0, "initial_gap": 2.0, "horizon": 10, "alignment": 1.0}
    batch = {"noise_scale": 1e-6, "micro_batch_size": 1, "dragger_fraction": 1e-9}
    with_factor = claim.evaluate(**at, **batch, momentum=0.99)["averaged_bound"]
    without = claim.evaluate(**at, **batch, momentum=0.0)["averaged_bound"]
    assert without < norms.mean() < with_factor
