"""The exact bias of the normalized rule when rare benign samples point back.

On a line, benign noise is large and negative rarely, just so often that half of all micro-batches
hold a rare sample or are contaminated, and those point straight back (α = 1).
"""

import numpy as np
import sympy as sp

from analysis.calculus import Tangent
from analysis.claim import Claim
from analysis.claims.rare_signal import claim as signal_claim
from analysis.claims.rare_signal import deviations, farthest, setting, turning_point
from analysis.signs import Relation
from analysis.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.symbols import b, kappa, lam, p, sigma

k, w = sp.symbols("k w", positive=True)
bias = sp.Symbol("beta_2", positive=True)

usual, root = sp.exp(-k / b), sp.exp(k / (2 * b))
reach = sigma * (1 - b * w) * root / (b * sp.sqrt(w))
limit = sigma * (1 - k) / (sp.sqrt(b) * sp.sqrt(k))
exponent = (sp.log(2) - lam * b) / b
rare = 1 - sp.exp(-exponent)
in_parameters = sigma * (1 - b * rare) * sp.exp(exponent / 2) / (b * sp.sqrt(rare))

statement = Relation(bias, "=", in_parameters)

steps = (
    *setting,
    Axiom("chance", Relation(p, "<=", sp.S.One), "p is a chance", axiom="probability"),
    Definition(
        "rarity",
        Relation(k, "=", sp.log(1 + kappa)),
        "rare samples a micro-batch would hold on average at a small chance each",
    ),
    Tangent("tangent at k/b", Relation(sp.exp(k / b), ">=", 1 + k / b), "e^y ≥ 1 + y"),
    Inequality(
        "rare samples exist",
        Relation(usual, "<", sp.S.One),
        "the usual sample has the chance e^(-k/b)",
        ("tangent at k/b",),
        certificate=(usual * (sp.exp(k / b) - 1 - k / b), usual * k / b),
    ),
    Definition(
        "rare chance", Relation(w, "=", 1 - usual), "of a rare sample", ("rare samples exist",)
    ),
    Identity(
        "mean",
        Relation((1 - w) * sigma * sp.sqrt(w) * root, "=", w * sigma / (sp.sqrt(w) * root)),
        "ξ = -σ√((1-w)/w) with chance w, else σ√(w/(1-w)), e^(k/(2b)) = 1/√(1-w); mean zero",
        ("rare chance",),
    ),
    Identity(
        "variance",
        Relation(
            (1 - w) * (sigma * sp.sqrt(w) * root) ** 2 + w * (sigma / (sp.sqrt(w) * root)) ** 2,
            "=",
            sigma**2,
        ),
        "as large as it may be",
        ("rare chance",),
    ),
    Identity(
        "one rare sample",
        Relation(
            ((b - 1) * sigma * sp.sqrt(w) * root - sigma / (sp.sqrt(w) * root)) / b, "=", -reach
        ),
        "the noise of a clean micro-batch that holds one; with more of them it is more negative",
        ("rare chance",),
    ),
    Identity(
        "half point back",
        Relation(p * (1 - usual**b) + 1 - p, "=", sp.Rational(1, 2)),
        "at G below that: micro-batches with rare samples, and contaminated ones",
        ("rarity", "margin"),
    ),
    Tangent("tangent at -k/b", Relation(usual, ">=", 1 - k / b), "e^y ≥ 1 + y"),
    Inequality(
        "few rare samples",
        Relation(b * w, "<=", k),
        "1 - e^(-y) ≤ y",
        ("rare chance", "tangent at -k/b"),
        certificate=b * (usual - 1 + k / b),
    ),
    Tangent("log", Relation(sp.log(1 + kappa), "<=", kappa), "log y ≤ y - 1"),
    Inequality(
        "k at most 1",
        Relation(k, "<=", sp.S.One),
        "log(1+κ) ≤ κ = 2p - 1 ≤ 1",
        ("rarity", "log", "margin", "chance"),
        certificate=(kappa - sp.log(1 + kappa), 2 * (1 - p)),
    ),
    Inequality(
        "less than one on average",
        Relation(b * w, "<=", sp.S.One),
        "so the one rare sample has the sign that is claimed",
        ("few rare samples", "k at most 1"),
        certificate=(k - b * w, 1 - k),
    ),
    Axiom(
        "point of rest",
        Relation(bias, "=", reach),
        "the pull is not positive below; above, micro-batches with one rare sample point on too",
        axiom="median",
    ),
    Identity(
        "in the parameters",
        Relation(reach, "=", in_parameters),
        "definitions; k = log(2p) = log 2 - λb",
        ("rare chance", "rarity", "margin", "clean chance"),
    ),
    Chain("conclusion", statement, "transitivity", ("point of rest", "in the parameters")),
)

witness = (
    Tangent("tangent at k/2b", Relation(root, ">=", 1 + k / (2 * b)), "e^y ≥ 1 + y"),
    Inequality(
        "root above 1",
        Relation(root, ">=", sp.S.One),
        "k/2b is positive",
        ("tangent at k/2b",),
        certificate=(root - 1 - k / (2 * b), k / (2 * b)),
    ),
    Inequality(
        "against its limit",
        Relation(reach, ">=", limit),
        "e^(k/(2b)) ≥ 1, then (1 - y)/√y falls and y = bq ≤ k",
        ("few rare samples", "k at most 1", "less than one on average", "root above 1"),
        certificate=(
            sigma * (1 - b * w) * (root - 1) / (b * sp.sqrt(w)),
            sigma * (k - b * w) / (b * sp.sqrt(w)),
            sigma * (1 - k) * (k - b * w) / (sp.sqrt(k) + sp.sqrt(b * w)) / (b * sp.sqrt(w * k)),
        ),
    ),
    Chain(
        "bias against its limit",
        Relation(bias, ">=", limit),
        "transitivity",
        ("point of rest", "against its limit"),
    ),
    Identity(
        "large size",
        Relation(sp.Limit(b * (1 - usual), b, sp.oo), "=", k),
        "bq → k, so √b times the bias tends to σ(1 - k)/√k as b → ∞ at one λb",
    ),
)


def measured(size: int, clean: float) -> float:
    """The bias for σ = 1, from the law of the number of rare samples."""
    usual = (1 / (2 * clean)) ** (1 / size)
    usual_value = np.sqrt(1 / usual - 1)
    law = deviations(size, usual, usual_value)
    return turning_point(*law, clean, 2 / usual_value)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """The closed form against the law of the number of rare samples, enumerated."""
    return farthest(rng, improvement, claim.evaluate, measured)


claim = Claim(
    name="rare_outlier",
    part="What is best possible",
    title="the bias when rare benign samples point back",
    kind="exact value",
    assumptions=(
        "one dimension, rule: normalized, b < ln(2)/λ",
        "benign noise: a negative value with chance 1 - (1/(2p))^(1/b), else positive; E ξ² = σ²",
        signal_claim.assumptions[2],
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"exact_bias": in_parameters},
    attack=attack,
    attained="by this law",
    figure="tightness",
)
