"""Attack on `law_free_radius`: pulls at a clipping norm, and tails of lengths."""

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


def mixture(
    noise: Distribution, draggers: Distribution, fraction: float, size: int
) -> Distribution:
    """Gradients of micro-batches: noise around 0 for a benign sample; both are [n, d].

    The gradient of the benign loss is part of the noise's atoms.
    """
    atoms = np.concatenate([noise.atoms, draggers.atoms])
    probabilities = np.concatenate(
        [(1 - fraction) * noise.probabilities, fraction * draggers.probabilities]
    )
    return mean_of(Distribution(atoms, probabilities), size)


def pull_at(law: Distribution, threshold: float) -> float:
    """E⟨e, ψ_c(g)⟩: gradients shortened to c, along the first axis."""
    length = np.minimum(np.linalg.norm(law.atoms, axis=1), threshold)
    return float(law.probabilities @ (length * cosines(law.atoms)))


def tail_at(law: Distribution, length: float) -> float:
    """P(‖g‖ > t), ties counted."""
    longer = np.linalg.norm(law.atoms, axis=1) >= length * (1 - 1e-12)
    return float(law.probabilities[longer].sum())


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of pull (in units of c) and of the tail, at 900 clipping norms.

    Up to three samples, α = 1, draggers of one or two lengths, most of them straight
    back. An improvement raises the bounds.
    """
    size = rng.integers(1, 4, 900)
    cases = random_cases(rng, np.ones(size.size), size)
    G = np.array(cases.scales) * rng.lognormal(0, 1, size.size)
    norms = np.array(cases.scales) * rng.lognormal(1, 2, size.size)
    c = G * rng.lognormal(0, 1, size.size)
    values = claim.evaluate(
        gradient_norm=G,
        threshold=c,
        dragger_norm=norms,
        noise_scale=cases.scales,
        **cases.inputs,
    )
    slacks = []
    for i, usual in enumerate(cases.noise):
        noise = usual
        if i % 2:
            noise = two_points(G[i] + c[i] * (i % 4 == 1), usual.scale, beyond=1e-9)
        dimension = noise.atoms.shape[1]
        short = rng.uniform(0, 0.9) if rng.random() < 0.5 else 0.0
        back = np.zeros((2, dimension))
        back[1, 0] = -norms[i] / (1 - short)
        draggers = Distribution(back, np.array([short, 1 - short]))
        benign = Distribution(shifted(noise.atoms, G[i]), noise.probabilities)
        law = mixture(benign, draggers, cases.fraction[i], int(size[i]))
        bound = values["pull_bound"][i] + improvement * c[i]
        slacks.append((pull_at(law, c[i]) - bound) / c[i])
        if c[i] < G[i]:
            slacks.append(tail_at(law, c[i]) - values["least_tail"][i] - improvement)
    return float(min(slacks))
