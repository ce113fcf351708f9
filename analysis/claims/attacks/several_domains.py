"""Attack on `several_domains`: the drift at the radius of pure micro-batches."""

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    mean_of,
    random_cases,
    random_centred,
    two_points,
)
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest drift at the radius, in units of G, for pure micro-batches of 1 to 3.

    Half of the cases are two noiseless domains, the rarer one pointing back; the others
    are random domains with random noise. Contaminated micro-batches push with strength
    α. An improvement asks for a positive drift already that much inside the radius.
    """
    n = 1500
    strength = rng.uniform(0.01, 1, n)
    cases = random_cases(rng, strength, rng.integers(1, 4, n))
    domains = cases.noise  # the domains' gradients, about their mean
    within = np.where(np.arange(n) % 2, 0.0, rng.lognormal(-1, 1, n))
    radii = claim.evaluate(
        noise_within=within, domain_spread=cases.scales, **cases.inputs
    )["pure_radius"]
    drifts = []
    for i, between in enumerate(domains):
        gradient = radii[i] * (1 - improvement)
        if i % 2:
            between = two_points(gradient * (1 + 1e-12), between.scale)
        noise = random_centred(rng, between.atoms.shape[1])
        scaled = Distribution(
            noise.atoms * within[i] / noise.scale, noise.probabilities
        )
        micro_batch = mean_of(scaled, int(cases.size[i]))
        drifts.append(cases.drift(i, _mean_cosine(between, micro_batch, gradient)))
    return min(drifts)


def _mean_cosine(
    between: Distribution, within: Distribution, gradient_norm: float
) -> float:
    """E cos(∇f, g) where a domain's gradient and the noise in it add up."""
    v = (between.atoms[:, None] + within.atoms).reshape(-1, between.atoms.shape[1])
    v[:, 0] += gradient_norm
    weights = np.outer(between.probabilities, within.probabilities).ravel()
    return float(weights @ (v[:, 0] / np.linalg.norm(v, axis=1)))
