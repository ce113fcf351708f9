"""The convexity lemma: proved, attacked, for Algorithm 1 by listing mini-batches."""

import itertools

import numpy as np
import pytest
from scipy import integrate, optimize

from analysis.claims.attacks.convexity_lemma import random_score, slack, unit
from analysis.claims.attacks.distributions import Distribution
from analysis.claims.convexity_lemma import claim


def test_the_radius_is_the_noise_of_a_micro_batch():
    assert claim.evaluate(noise_scale=3.0, micro_batch_size=[1, 9])[
        "bias_radius"
    ] == pytest.approx([3.0, 1.0])


def test_a_random_score_is_concave_and_its_potential_is_its_integral():
    rng = np.random.default_rng(3)
    for _ in range(5):
        score = random_score(rng)
        r = np.linspace(0, 5, 200)
        assert (np.diff(score(r)[0], 2) < 1e-12).all()
        found = integrate.quad(lambda t, f=score: f(np.array(t))[0], 0, 2.0, limit=200)[
            0
        ]
        assert score(np.array(2.0))[1] == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_algorithm_one_by_listing_every_mini_batch(m):
    """Second route: E⟨direction, ∇f⟩ over all tuples, against Π(G) - Π(s)."""
    rng = np.random.default_rng(m)
    for _ in range(5):
        points = rng.normal(size=(3, 2)) * rng.lognormal(0, 1, size=(3, 1))
        chances, G = rng.dirichlet(np.ones(3)), rng.lognormal()
        z = points - chances @ points
        v = z + G * np.eye(2)[0]
        length = np.linalg.norm(v, axis=1)
        total = 0.0
        for batch in itertools.product(range(3), repeat=m):
            index = list(batch)
            shared = length[index].min()
            total += (
                chances[index].prod()
                * shared
                * (G * v[index, 0] / length[index]).mean()
            )

        def score(r, length=length, chances=chances):
            grid = np.linspace(0, 1, 4001) * np.asarray(r)[..., None]
            survival = (chances * (length > grid[..., None])).sum(-1)
            H = integrate.cumulative_trapezoid(survival ** (m - 1), grid, initial=0)
            return H[..., -1], integrate.trapezoid(H, grid)

        at_mean, at_noise = score(np.array([G, np.sqrt(chances @ (z**2).sum(1))]))[1]
        along = chances @ (score(length)[0] * G * v[:, 0] / length)
        # it follows the score ψ
        assert total == pytest.approx(along, rel=1e-2, abs=1e-3)
        assert total >= at_mean - at_noise - 1e-3


def test_it_is_attained_by_the_normalized_rule():
    noise = Distribution(np.array([[-2.0 * (1 + 1e-9)], [2.0]]), np.array([0.5, 0.5]))
    assert abs(slack(noise, 2.0, unit)) < 1e-8
    assert slack(noise, 2.0, unit, improvement=0.05) < -1e-2


def test_without_draggers_every_score_rests_within_the_radius():
    """On a line, the root of the mean score for random laws and clipped scores."""
    rng = np.random.default_rng(11)
    for _ in range(50):
        points, chances = (
            rng.normal(size=4) * rng.lognormal(0, 1, 4),
            rng.dirichlet(np.ones(4)),
        )
        z = points - chances @ points
        score = random_score(rng)

        def drift(G, z=z, chances=chances, score=score):
            return chances @ (score(np.abs(G + z))[0] * np.sign(G + z))

        reach = np.abs(z).max()
        root = optimize.brentq(drift, -reach - 1, reach + 1)
        assert abs(root) <= np.sqrt(chances @ z**2) * (1 + 1e-12)
