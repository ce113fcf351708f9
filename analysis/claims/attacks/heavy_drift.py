"""Attack on `heavy_drift`: laws of few atoms, some very far out."""

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    cosines,
    mean_of,
    random_cases,
    shifted,
    two_points,
)
from analysis.proof.claim import Claim


def moment_scale(noise: Distribution, order: float) -> float:
    """σ of the noise [n, d]: (E‖ξ‖^ν)^(1/ν)."""
    lengths = np.linalg.norm(noise.atoms, axis=1)
    return float((noise.probabilities @ lengths**order) ** (1 / order))


def rare_and_far(rng: np.random.Generator) -> Distribution:
    """Mean zero: a rare atom as far out as its probability makes the rest short."""
    rare = 10 ** rng.uniform(-6, -0.5)
    atoms = np.array([[-(1 - rare)], [rare]])
    return Distribution(atoms, np.array([rare, 1 - rare]))


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest excess of the pull over its bound, in units of G + s_ν.

    Up to four samples in a micro-batch, contaminated ones pushing with strength α, and
    gradient norms around s_ν. An improvement makes s_ν smaller.
    """
    size = rng.integers(1, 4, 1200)
    cases = random_cases(rng, rng.uniform(0.01, 1, size.size), size)
    laws = [
        (usual, rare_and_far(rng), two_points(rng.lognormal(), 1.0))[i % 3]
        for i, usual in enumerate(cases.noise)
    ]
    orders = np.where(rng.random(size.size) < 0.5, 1.01, rng.uniform(1, 2, size.size))
    scales = [moment_scale(law, nu) for law, nu in zip(laws, orders, strict=True)]
    at = cases.inputs | {"noise_scale": scales, "tail_exponent": orders}
    short = claim.evaluate(gradient_norm=1.0, **at)["mean_noise"]
    G = short * rng.lognormal(0, 1, size.size)
    bounds = claim.evaluate(gradient_norm=G, **at)["drift_bound"]
    bounds += improvement * (1 - cases.fraction) ** size * short
    pulls = []
    for i, law in enumerate(laws):
        clean = mean_of(law, int(size[i]))
        cosine = clean.probabilities @ cosines(shifted(clean.atoms, G[i]))
        pulls.append(G[i] * cases.drift(i, float(cosine)))
    return float(np.min((np.array(pulls) - bounds) / (G + short)))
