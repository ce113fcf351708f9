"""The exact bias of the normalized rule when rare samples carry the gradient.

On a line, benign noise is -a mostly and large and positive rarely, so rarely that half of all
micro-batches hold no rare sample or are contaminated, and those point straight back (α = 1).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from scipy import special

from analysis.calculus import Tangent
from analysis.claim import Claim
from analysis.claims.bias_radius import chance, radius
from analysis.signs import Relation
from analysis.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.symbols import alpha, b, kappa, p, sigma

ell = sp.Symbol("ell", positive=True)
bias = sp.Symbol("beta_1", positive=True)

jump = sp.exp(ell / b)
reach = sigma * sp.sqrt(jump - 1)
unit = sigma / (sp.sqrt(b) * sp.sqrt(kappa))
limit = sigma * sp.sqrt(ell) / sp.sqrt(b)
in_parameters = sigma * sp.sqrt(sp.exp(sp.log(1 + 1 / (2 * chance - 1)) / b) - 1)

statement = Relation(bias, "=", in_parameters)

setting = (
    Definition("clean chance", Relation(p, "=", chance), "(1-ε)^b = e^(-λb), λ = -ln(1-ε)"),
    Axiom("below the breakdown", Relation(2 * p - 1, ">", sp.S.Zero), "b < ln(2)/λ"),
    Definition(
        "margin",
        Relation(kappa, "=", 2 * p - 1),
        "p - α(1-p) at α = 1",
        ("below the breakdown",),
    ),
)

steps = (
    *setting,
    Definition(
        "rarity",
        Relation(ell, "=", sp.log(1 + 1 / kappa)),
        "rare samples a micro-batch would hold on average at a small chance each",
    ),
    Tangent("tangent at ell/b", Relation(jump, ">=", 1 + ell / b), "e^y ≥ 1 + y"),
    Inequality(
        "rare samples exist",
        Relation(jump, ">", sp.S.One),
        "the usual sample has the chance e^(-ell/b)",
        ("tangent at ell/b",),
        certificate=(jump - 1 - ell / b, ell / b),
    ),
    Identity(
        "mean",
        Relation((1 - 1 / jump) * reach / (jump - 1), "=", reach / jump),
        "ξ = -a, a = σ√(e^(ell/b) - 1), with chance e^(-ell/b), else a/(e^(ell/b) - 1); mean zero",
        ("rare samples exist",),
    ),
    Identity(
        "variance",
        Relation(reach**2 / jump + (1 - 1 / jump) * (reach / (jump - 1)) ** 2, "=", sigma**2),
        "as large as it may be",
        ("rare samples exist",),
    ),
    Identity(
        "half point back",
        Relation(p * (1 / jump) ** b + 1 - p, "=", sp.Rational(1, 2)),
        "at G < a: micro-batches without a rare sample, g = G - a, and contaminated ones",
        ("rarity", "margin"),
    ),
    Axiom(
        "point of rest",
        Relation(bias, "=", reach),
        "the pull is not positive at G < a; at G > a it is p - (1-p), as all clean ones point on",
        axiom="median",
    ),
    Identity(
        "in the parameters",
        Relation(reach, "=", in_parameters),
        "definitions",
        ("rarity", "margin", "clean chance"),
    ),
    Chain("conclusion", statement, "transitivity", ("point of rest", "in the parameters")),
)

witness = (
    Identity(
        "radius",
        Relation(radius.subs(alpha, 1), "=", unit),
        "the bias radius in terms of the margin",
        ("margin", "clean chance"),
    ),
    Identity(
        "one sample",
        Relation(reach.subs(b, 1), "=", unit.subs(b, 1)),
        "at b = 1 the law attains the radius",
        ("rarity",),
    ),
    Inequality(
        "against its limit",
        Relation(reach, ">=", limit),
        "e^y - 1 ≥ y",
        ("tangent at ell/b", "rare samples exist"),
        certificate=sigma * (jump - 1 - ell / b) / (sp.sqrt(jump - 1) + sp.sqrt(ell) / sp.sqrt(b)),
    ),
    Chain(
        "bias against its limit",
        Relation(bias, ">=", limit),
        "transitivity",
        ("point of rest", "against its limit"),
    ),
    Identity(
        "large size",
        Relation(sp.Limit(b * (jump - 1), b, sp.oo), "=", ell),
        "so √b times the bias tends to σ√ell as b → ∞ at one λb",
    ),
)


def turning_point(outcomes: np.ndarray, chances: np.ndarray, clean: float, high: float) -> float:
    """The G in [0, high] at which the pull turns positive, contaminated ones straight back.

    A clean micro-batch deviates by outcomes [n] with these chances. A pull of 1e-12 counts as none:
    the laws here balance exactly over an interval.
    """
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        pull = clean * (chances @ np.sign(middle + outcomes)) - (1 - clean)
        low, high = (low, middle) if pull > 1e-12 else (middle, high)
    return low


def deviations(size: int, usual: float, value: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean of `size` samples, each `value` with chance `usual`, else balancing it, and chances."""
    count = np.arange(size + 1)  # rare samples
    log_chances = (
        special.gammaln(size + 1)
        - special.gammaln(count + 1)
        - special.gammaln(size - count + 1)
        + special.xlog1py(count, -usual)
        + special.xlogy(size - count, usual)
    )
    rare = -value * usual / (1 - usual)
    return value + count * (rare - value) / size, np.exp(log_chances)


def measured(size: int, clean: float) -> float:
    """The bias for σ = 1, from the law of the number of rare samples."""
    usual = (1 - 1 / (2 * clean)) ** (1 / size)
    usual_value = np.sqrt(1 / usual - 1)
    law = deviations(size, usual, -usual_value)
    return turning_point(*law, clean, 10 * usual_value)


def farthest(
    rng: np.random.Generator,
    improvement: float,
    exact: Callable[..., dict[str, Any]],
    measured: Callable[[int, float], float],
) -> float:
    """Largest relative distance, negative, of the measured bias from the exact one; 300 cases."""
    found = []
    for _ in range(300):
        size, scaled = int(np.exp(rng.uniform(0, np.log(300)))), rng.uniform(0.005, 0.68)
        value = exact(b=size, epsilon=-np.expm1(-scaled / size), sigma=1.0)["exact_bias"]
        found.append(-abs(measured(size, np.exp(-scaled)) / value - 1 - improvement))
    return float(min(found))


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """The closed form against the law of the number of rare samples, enumerated."""
    return farthest(rng, improvement, claim.evaluate, measured)


claim = Claim(
    name="rare_signal",
    part="What is best possible",
    title="the bias when rare samples carry the gradient",
    kind="exact value",
    assumptions=(
        "one dimension, rule: normalized, b < ln(2)/λ",
        "benign noise: -a with chance (1 - 1/(2p))^(1/b), else a positive value; E ξ² = σ²",
        "contaminated micro-batches point straight back: α = 1, draggers of sufficient length",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"exact_bias": in_parameters},
    attack=attack,
    uses=("bias_radius",),
    attained="by this law",
    figure="tightness",
)
