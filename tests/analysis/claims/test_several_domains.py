"""Several domains: proved, attacked, and the radius that no size removes."""

import dataclasses

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.claims.attacks.several_domains import attack
from analysis.claims.several_domains import claim
from analysis.proof.assumptions import A3
from analysis.proof.symbols import lam, tau

AT = {
    "dragger_fraction": 0.01,
    "alignment": 1.0,
    "noise_within": 0.5,
    "domain_spread": 0.3,
}


def test_the_attack_comes_to_rest_at_the_radius():
    """Noiseless domains do at any size, with draggers: one per cent less is false."""
    assert -1e-12 < attack(claim, np.random.default_rng(7)) < 1e-10
    assert attack(claim, np.random.default_rng(7), 0.01) < -1e-3


@pytest.mark.parametrize("wrong", [(lam, 0.9 * lam), (tau, 0.99 * tau)])
def test_the_attack_sees_a_wrong_formula(wrong):
    """What is attacked is what `evaluate` gives."""
    values = claim.values | {"pure_radius": claim.values["pure_radius"].subs(*wrong)}
    false = dataclasses.replace(claim, values=values)
    assert attack(false, np.random.default_rng(7)) < -1e-3


def test_the_two_agree_for_single_samples_only():
    values = claim.evaluate(micro_batch_size=np.array([1, 2, 16]), **AT)
    np.testing.assert_allclose(
        values["pure_radius"][0], values["mixed_radius"][0], rtol=1e-12
    )
    assert (values["pure_radius"][1:] > values["mixed_radius"][1:]).all()


def test_mixed_is_the_bias_radius_at_the_total_noise():
    mixed = claim.evaluate(micro_batch_size=8, **AT)["mixed_radius"]
    radius = CLAIMS["bias_radius"].evaluate(
        micro_batch_size=8,
        dragger_fraction=0.01,
        alignment=1.0,
        noise_scale=np.hypot(0.5, 0.3),
    )
    np.testing.assert_allclose(mixed, radius["bias_radius"], rtol=1e-12)


def test_large_pure_micro_batches_end_at_the_spread():
    values = claim.evaluate(micro_batch_size=1e9, **(AT | {"dragger_fraction": 0.0}))
    np.testing.assert_allclose(values["pure_radius"], 0.3, rtol=1e-8)
    assert values["mixed_radius"] < 1e-4


def test_beyond_the_breakdown_there_is_no_number():
    assert np.isnan(claim.evaluate(micro_batch_size=80, **AT)["pure_radius"])


def test_it_does_not_assume_what_a_shared_domain_contradicts():
    """Samples of a pure micro-batch share a domain: they are i.i.d. only given it."""
    assert A3 not in claim.assumptions
    said = " ".join(map(str, claim.assumptions))
    assert "independently of the others and of the micro-batch's domain" in said
    assert "given k its samples are i.i.d." in said
