"""The Huber lemma: proved, attacked, attained in both regimes, and its limits."""

import numpy as np
import pytest
from scipy import optimize

from analysis.claims.alignment_lemma import bound as mean_cosine
from analysis.claims.attacks.huber_lemma import slack, witness
from analysis.claims.huber_lemma import claim, mean_pull_bound
from analysis.proof.symbols import G, s

NEAR, FAR = (2.0, 1.0, 0.5), (0.4, 0.3, 1.0)  # gradient norm, threshold, noise


def test_values_by_hand():
    """G = c: r = s, so (2c - s)/2; s = 3, c = 1, G = 1: far form (4 - 9)/(4 + 9)."""
    near = claim.evaluate(gradient_norm=1.0, threshold=1.0, micro_batch_noise=0.5)
    far = claim.evaluate(gradient_norm=1.0, threshold=1.0, micro_batch_noise=3.0)
    assert near["mean_pull_bound"] == pytest.approx(0.75)
    assert far["mean_pull_bound"] == pytest.approx(-5 / 13)


def test_the_two_forms_meet_where_the_regime_changes():
    c = 1.0
    s = np.sqrt(4 * c**2 - (2.0 - c) ** 2)
    assert mean_pull_bound(2.0, c, s * (1 - 1e-9)) == pytest.approx(
        mean_pull_bound(2.0, c, s * (1 + 1e-9)), abs=1e-8
    )


@pytest.mark.parametrize(("gradient", "threshold", "noise"), [NEAR, FAR])
def test_the_closed_form_by_minimising_over_two_point_laws(gradient, threshold, noise):
    """Second route: z = -a with chance s²/(a² + s²), else s²/a, every a > 0."""

    def pull(log_a):
        a = np.exp(log_a)
        weight = noise**2 / (a**2 + noise**2)
        v = np.array([gradient - a, gradient + noise**2 / a])
        return np.array([weight, 1 - weight]) @ np.clip(v, -threshold, threshold)

    around = min(np.linspace(-4, 4, 400), key=pull)
    options = {"xatol": 1e-12}
    best = optimize.minimize_scalar(
        pull, bounds=(around - 0.1, around + 0.1), method="bounded", options=options
    )
    assert mean_pull_bound(gradient, threshold, noise) == pytest.approx(
        best.fun, abs=1e-8
    )


@pytest.mark.parametrize(("gradient", "threshold", "noise"), [NEAR, FAR])
def test_the_witness_law_attains_it_and_less_noise_in_the_bound_is_violated(
    gradient, threshold, noise
):
    law = witness(gradient, threshold, noise)
    assert law.probabilities @ law.atoms == pytest.approx([gradient])
    assert law.centred.scale == pytest.approx(noise)
    assert abs(slack(law, gradient, threshold)) < 1e-12
    assert slack(law, gradient, threshold, improvement=0.05) < -1e-3


def test_small_thresholds_give_the_alignment_lemma_and_large_ones_the_mean():
    cosine = float(mean_cosine.subs({G: 2, s: 1.3}))
    assert mean_pull_bound(2.0, 1e-7, 1.3) / 1e-7 == pytest.approx(cosine, abs=1e-6)
    assert mean_pull_bound(2.0, 1e7, 1.3) == pytest.approx(2.0, abs=1e-6)
