"""Attack on `phase_schedule`: the worst drift at other sizes."""

import numpy as np

from analysis.claims.attacks import alignment_lemma
from analysis.claims.attacks.distributions import two_points
from analysis.proof.claim import Claim


def worst_drift(size: float, gradient: float, sigma: float, rate: float) -> float:
    """The drift with the lemma's two-point noise, contaminated ones straight back."""
    noise = sigma / np.sqrt(size)
    clean = np.exp(-rate * size)
    excess = alignment_lemma.slack(two_points(gradient, noise, 1e-12), gradient)
    cosine = excess + (gradient**2 - noise**2) / (gradient**2 + noise**2)
    return float(gradient * (clean * cosine - (1 - clean)))


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest lead of the best size over another one, in worst drift, relative to it.

    Rivals are random sizes and the best that an optimiser finds. An improvement
    strengthens the rival's drift by that fraction.
    """
    from scipy import optimize  # slow to import, and only attacks need it

    leads: list[float] = []
    while len(leads) < 200:
        fraction = rng.uniform(1e-3, 0.4)
        sigma = rng.lognormal(0, 1)
        rate = -np.log1p(-fraction)
        gradient = sigma * rng.lognormal(0, 1)
        values = claim.evaluate(
            dragger_fraction=fraction, noise_scale=sigma, gradient_norm=gradient
        )

        def drift(
            size: float, of: tuple[float, float, float] = (gradient, sigma, rate)
        ) -> float:
            return worst_drift(size, *of)

        ours = drift(float(values["micro_batch_size"]))
        if ours < 0.05 * gradient:
            continue
        best = optimize.minimize_scalar(
            lambda size, drift=drift: -drift(size),
            bounds=(1, 3 / rate),
            method="bounded",
        )
        theirs = max(-best.fun, *map(drift, rng.uniform(1, 3 / rate, 5)))
        leads.append((ours - (1 + improvement) * theirs) / ours)
    return min(leads)
