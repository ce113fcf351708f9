"""Attack on `bias_radius`: the drift at the radius, and beyond it."""

import numpy as np

from analysis.claims.attacks.distributions import (
    mean_of,
    shifted,
    single_or_few,
    two_points,
)
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest drift at the radius and beyond, in units of G, for up to three samples.

    Half of the cases are single samples with the two-point noise of alignment_lemma,
    whose rarer side is just longer than G and points back. Contaminated micro-batches
    push with strength α. An improvement asks for a positive drift already that much
    inside the radius.
    """
    cases = single_or_few(rng, 1500)
    radii = claim.evaluate(noise_scale=cases.scales, **cases.inputs)["bias_radius"]
    drifts = []
    for i, noise in enumerate(cases.noise):
        gradient = radii[i] * (1 - improvement) * (1 + (i % 4 == 0) * rng.exponential())
        sample = noise
        if i % 2:
            sample = two_points(gradient * (1 + 1e-12), noise.scale)
        micro_batch = mean_of(sample, int(cases.size[i]))
        v = shifted(micro_batch.atoms, gradient)
        cosine = micro_batch.probabilities @ (v[:, 0] / np.linalg.norm(v, axis=1))
        drifts.append(cases.drift(i, cosine))
    return min(drifts)
