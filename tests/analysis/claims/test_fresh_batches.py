"""Fresh mini-batches are needed: with one sample for ever bounds fail."""

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.proof.assumptions import A0

EPSILON = 0.01
SIGMA = 1e-3
HORIZON = 20_000
ASSUMING = (
    *("averaged_guarantee", "high_probability", "hitting_time"),
    *("sgd_rate", "sgd_persistent_bias"),
)


def mean_gradients(fresh: bool, runs: int = 200) -> tuple[float, float]:
    """E of the mean of G over a run on w²/2 from w = 1, B = b = 1, and its error.

    With chance ε a sample is a dragger that points away from the optimum; benign noise
    is ±σ.
    """
    rng = np.random.default_rng(11)
    step = np.sqrt(2 * 0.5 / HORIZON)
    w, total = np.ones(runs), np.zeros(runs)
    dragger = np.arange(runs) < EPSILON * runs  # as many as expected
    noise = rng.choice([-SIGMA, SIGMA], runs)
    for _ in range(HORIZON):
        total += abs(w)
        if fresh:
            dragger, noise = (
                rng.random(runs) < EPSILON,
                rng.choice([-SIGMA, SIGMA], runs),
            )
        w = w - step * np.where(dragger, -np.sign(w), np.sign(w + noise))
    means = total / HORIZON
    return float(means.mean()), float(means.std() / runs**0.5)


def test_the_bound_holds_for_fresh_samples_and_fails_for_one_that_is_used_again():
    bound = float(
        CLAIMS["averaged_guarantee"].evaluate(
            smoothness=1,
            initial_gap=0.5,
            horizon=HORIZON,
            micro_batch_size=1,
            dragger_fraction=EPSILON,
            noise_scale=SIGMA,
            alignment=1,
        )["averaged_bound"]
    )
    assert bound == pytest.approx(0.0082, abs=2e-4)
    mean, error = mean_gradients(fresh=True)
    assert mean + 6 * error < bound
    assert mean_gradients(fresh=False)[0] == pytest.approx(0.724, abs=0.01)


@pytest.mark.parametrize("name", ASSUMING)
def test_it_is_stated_and_is_an_axiom(name):
    claim = CLAIMS[name]
    assert A0 in claim.assumptions
    axioms = [given.step.axiom for given in claim.givens(CLAIMS)]
    assert "fresh mini-batches" in axioms
