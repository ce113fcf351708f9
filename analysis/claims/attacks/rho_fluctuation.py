"""Attack on `rho_fluctuation`: both sides at discrete laws of norms and alignments."""

from itertools import product

import numpy as np

from analysis.proof.claim import Claim

Array = np.ndarray


def ratio_by_outcomes(
    lengths: Array, alignments: Array, probabilities: Array, m: int
) -> float:
    """Efficiency of Algorithm 1 over that of the normalized rule, from their moments.

    A micro-batch gradient has a length and an alignment ⟨e, u⟩ [n], with these
    probabilities [n]; m of them are at right angles to each other.
    """
    pulls = {"adaptive": 0.0, "normalized": 0.0}
    squares = {"adaptive": 0.0, "normalized": 0.0}
    for outcome in product(range(len(lengths)), repeat=m):
        drawn = list(outcome)
        weight = probabilities[drawn].prod()
        scale = {"adaptive": lengths[drawn].min(), "normalized": 1.0}
        for rule, length in scale.items():
            pulls[rule] += weight * length * alignments[drawn].mean()
            squares[rule] += weight * length**2 / m
    of = {rule: pulls[rule] ** 2 / squares[rule] for rule in pulls}
    return float(of["adaptive"] / of["normalized"])


def ratio_by_tails(
    lengths: Array, alignments: Array, probabilities: Array, m: int
) -> float:
    """(∫S^(m-1)W)²/∫2tS^m, the tails constant between one length and the next."""
    order = np.argsort(lengths)
    lengths = lengths[order]
    survival = 1 - np.cumsum(probabilities[order])
    before = np.maximum(np.append(1.0, survival[:-1]), 0.0)
    pull = (probabilities * alignments)[order]
    weighted = (pull.sum() - np.append(0.0, np.cumsum(pull)[:-1])) / pull.sum()
    mean = (before ** (m - 1) * weighted * np.diff(lengths, prepend=0.0)).sum()
    square = (before**m * np.diff(lengths**2, prepend=0.0)).sum()
    return float(mean**2 / square)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """The smaller of two slacks: minus the sides' difference, and that of the bound.

    Both are relative. In every second law some micro-batches are contaminated, with an
    alignment of 0, and the ratio is held against the bound.
    """
    slacks = []
    for i in range(80):
        n = int(rng.integers(2, 5))
        m = int(rng.integers(1, 5))
        lengths = rng.lognormal(0, 1, n)
        alignments = rng.uniform(0, 1, n)
        probabilities = rng.dirichlet(np.ones(n))
        if i % 2:
            clean = rng.uniform(0.2, 0.9)
            size = int(rng.integers(1, 9))
            norm = size * float(rng.lognormal(1, 2))
            given = {
                "gradient_norm": float(probabilities @ (lengths * alignments)),
                "dragger_fraction": float(-np.expm1(np.log(clean) / size)),
                "micro_batch_size": size,
                "micro_batches": m,
                "dragger_norm": norm,
                "update_pull": float(clean * probabilities @ alignments),
            }
            bound = float(claim.evaluate(**given)["contaminated_bound"])
            lengths = np.append(lengths, norm / size * rng.uniform(1, 2))
            alignments = np.append(alignments, 0.0)
            probabilities = np.append(clean * probabilities, 1 - clean)
        law = (lengths, alignments, probabilities)
        ratio = ratio_by_outcomes(*law, m)
        difference = ratio - (1 + improvement) * ratio_by_tails(*law, m)
        slacks.append(-abs(difference) / ratio)
        if i % 2:
            slacks.append(1 - ratio / bound)
    return min(slacks)
