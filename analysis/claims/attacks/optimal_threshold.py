"""Attack on `optimal_threshold`: the mean update at the radius, and beyond it."""

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    mean_of,
    single_or_few,
    smallest,
    three_points,
)
from analysis.claims.attacks.huber_lemma import pull_of
from analysis.proof.claim import Claim


def worst_pull(gradient_norm: float, scale: float, threshold: float) -> float:
    """The smallest E⟨e, ψ(g)⟩/c over 60 two-point laws of this mean and scale."""
    below = np.append(gradient_norm, scale * np.geomspace(0.01, 100, 59))
    ends = [gradient_norm - below, gradient_norm + scale**2 / below]
    low, high = np.clip(ends, -threshold, threshold) / threshold
    return float(np.min((scale**2 * low + below**2 * high) / (below**2 + scale**2)))


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest mean update at the radius and beyond, in units of c*.

    Micro-batches of one to three samples; half of the cases are single samples with the
    worst of 60 two-point laws; then a search. A push has strength α. An improvement
    asks for a positive update already that much inside the radius.
    """
    cases = single_or_few(rng, 1500)
    values = claim.evaluate(noise_scale=cases.scales, **cases.inputs)
    updates = []
    for i, noise in enumerate(cases.noise):
        threshold = values["threshold"][i]
        inside = values["bias_radius"][i] * (1 - improvement)
        gradient = inside * (1 + (i % 4 == 0) * rng.random())
        if i % 2:
            pull = worst_pull(gradient, noise.scale, threshold)
        else:
            micro_batch = mean_of(noise, int(cases.size[i]))
            pull = pull_of(micro_batch, gradient, threshold)
        updates.append(cases.drift(i, pull))
    for fraction in (0.05, 0.25, 0.45):
        values = claim.evaluate(
            b=1, dragger_fraction=fraction, noise_scale=1.0, alignment=1.0
        )
        inside = values["bias_radius"] * (1 - improvement)
        arguments = (inside, values["threshold"], fraction)
        start = rng.normal(size=9)
        updates.append(smallest(_update, start, arguments, iterations=1200))
    return float(min(updates))


def _update(
    free: np.ndarray, gradient_norm: float, threshold: float, fraction: float
) -> float:
    """The mean update of single samples with three atoms, scaled to σ = 1."""
    points, weights = three_points(free)
    centred = Distribution(points, weights).centred
    noise = Distribution(centred.atoms / centred.scale, weights)
    return (1 - fraction) * pull_of(noise, gradient_norm, threshold) - fraction
