"""Algorithm 1 with few micro-batches: proved, attacked, by listing mini-batches."""

import itertools

import numpy as np
import pytest

from analysis.claims.attacks.distributions import Distribution
from analysis.claims.attacks.finite_micro_batches import (
    MicroBatches,
    random_micro_batches,
)
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.finite_micro_batches import claim


def values(ratio, alignment=1.0, size=4):
    return claim.evaluate(
        score_ratio=ratio,
        dragger_fraction=1 - 0.8**0.25,
        micro_batch_size=size,
        noise_scale=2.0,
        alignment=alignment,
    )


def test_value_by_hand():
    """At p = 0.8, s = 1, α = 1, R = 2: 0.8/(0.8 - 0.4); none from R = 4 on."""
    assert values(2.0)["bias_radius"] == pytest.approx(2.0)
    assert values(2.0)["largest_ratio"] == pytest.approx(4.0)
    assert np.isfinite(values([3.99, 4.01, 5.0])["bias_radius"]).tolist() == [
        True,
        False,
        False,
    ]
    assert values(9.0, alignment=0.0)["bias_radius"] == pytest.approx(1.0)


def straight(clean, dragger, m):
    """Clean micro-batches ±1 about the gradient, contaminated ones at -dragger."""
    noise = Distribution(np.array([[-1.0], [1.0]]), np.array([0.5, 0.5]))
    far = Distribution(np.array([[-dragger]]), np.ones(1))
    return MicroBatches(noise, far, clean, m)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_the_mean_update_by_listing_every_mini_batch(m):
    micro_batches = straight(0.8, 5.0, m)
    G = 1.7
    atoms, chances = np.array([G - 1, G + 1, -5.0]), np.array([0.4, 0.4, 0.2])
    total = 0.0
    for batch in itertools.product(range(3), repeat=m):
        index = list(batch)
        shared = np.abs(atoms[index]).min()
        total += chances[index].prod() * shared * np.sign(atoms[index]).mean()
    assert micro_batches.at(G).mean == pytest.approx(total, rel=1e-12)


def test_few_micro_batches_go_beyond_the_radius_of_the_normalized_rule():
    """The finding: at m = 2 rest moves out with the draggers, at m = 16 not."""
    clean = 0.8
    at = {"dragger_fraction": 1 - clean, "noise_scale": 1.0, "alignment": 1.0}
    normalized = float(radius_claim.evaluate(micro_batch_size=1, **at)["bias_radius"])
    rests = {
        m: [straight(clean, D, m).stationary_point() for D in (10, 1e3, 1e5)]
        for m in (2, 16)
    }
    assert rests[2][0] < rests[2][1] < rests[2][2]
    assert rests[2][1] > 10 * normalized
    assert max(rests[16]) < normalized


def test_the_ratio_grows_as_said():
    """R ≥ 1 + (1-p)^(m-1)(r₀ - s)/s with contaminated micro-batches of length r₀."""
    for m in (2, 3, 6):
        for far in (5.0, 100.0):
            _, usual, longest = straight(0.8, far, m).at(2.0)
            assert longest / usual >= 1 + 0.2 ** (m - 1) * (far - 1) - 1e-12


def test_points_of_rest_stay_within_the_radius():
    rng = np.random.default_rng(1)
    found = [random_micro_batches(rng, 1).excess() for _ in range(300)]
    assert min(found) > 0
    assert sum(np.isfinite(found)) > 50
