"""No rule whatever can have a smaller worst-case bias than σ√(ε/(1-2ε)).

Two worlds on a line: benign gradients deviate from 0 to +A in one and to -A in the other, with
chance w; the draggers fill in the missing side. The mixtures that a rule gets to see are one and
the same law, the benign means are ±μ, so wherever the rule rests it is μ off in one world.
"""

from collections.abc import Callable

import numpy as np
import sympy as sp

from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import epsilon, sigma

w, A, mu = sp.symbols("w A mu", positive=True)
plus, minus, worst = sp.symbols("error_plus error_minus error", nonnegative=True)

bound = sigma * sp.sqrt(epsilon) / sp.sqrt(1 - 2 * epsilon)
statement = Relation(worst, ">=", bound)

steps = (
    Axiom("minority", Relation(1 - 2 * epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Axiom("not all", Relation(1 - epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Definition(
        "chance of a deviation",
        Relation(w, "=", epsilon / (1 - epsilon)),
        "as many benign deviations as draggers",
        ("not all",),
    ),
    Identity(
        "same law",
        Relation((1 - epsilon) * w, "=", epsilon),
        "mass at A: (1-ε)w benign in one world, ε draggers in the other; likewise at -A",
        ("chance of a deviation",),
    ),
    Identity(
        "usual samples",
        Relation(1 - w, "=", (1 - 2 * epsilon) / (1 - epsilon)),
        "positive, so w is a chance",
        ("chance of a deviation", "not all"),
    ),
    Definition(
        "size",
        Relation(A, "=", sigma * (1 - epsilon) / sp.sqrt(epsilon * (1 - 2 * epsilon))),
        "as large as the noise scale allows",
        ("minority", "not all"),
    ),
    Identity(
        "variance",
        Relation(w * A**2 - (w * A) ** 2, "=", sigma**2),
        "both benign laws have the variance σ²",
        ("chance of a deviation", "size"),
    ),
    Definition("mean", Relation(mu, "=", w * A), "the benign means are μ and -μ"),
    Axiom("first world", Relation(plus, "<=", worst), "the larger of the two errors"),
    Axiom("second world", Relation(minus, "<=", worst), "the larger of the two errors"),
    Axiom(
        "one outcome",
        Relation(plus + minus, ">=", 2 * mu),
        "the same law, so the same point of rest; triangle inequality between the two means",
        axiom="inner product",
    ),
    Inequality(
        "one of them is large",
        Relation(worst, ">=", mu),
        "the average of three slacks",
        ("first world", "second world", "one outcome"),
        certificate=((worst - plus) / 2, (worst - minus) / 2, (plus + minus - 2 * mu) / 2),
    ),
    Identity(
        "closed form",
        Relation(mu, "=", bound),
        "definitions",
        ("mean", "chance of a deviation", "size", "minority", "not all"),
    ),
    Chain("conclusion", statement, "transitivity", ("one of them is large", "closed form")),
)


def slack(
    score: Callable[[np.ndarray], np.ndarray],
    fraction: float,
    scale: float,
    improvement: float = 0.0,
) -> float:
    """Largest error minus the bound, for the rule that rests where the mean score vanishes.

    `score` is a non-decreasing function of gradients [n]. Both worlds are built atom by atom, the
    rule is run in each, and the error is the distance from that world's benign mean; minus infinity
    if a world breaks an assumption.
    """
    chance = fraction / (1 - fraction)
    size = scale / np.sqrt(chance * (1 - chance))
    atoms = np.array([-size, 0.0, size])
    errors = []
    for side in (1, -1):
        benign = np.array([0.0, 1 - chance, chance])[::side]
        seen = (1 - fraction) * benign + fraction * np.array([1.0, 0.0, 0.0])[::side]
        mean = benign @ atoms
        if benign @ atoms**2 - mean**2 > scale**2 * (1 + 1e-9):
            return -np.inf
        errors.append(abs(_rest(lambda x, seen=seen: seen @ score(atoms - x), size) - mean))  # type: ignore[misc]
    bound = scale * float(np.sqrt(fraction / (1 - 2 * fraction)))
    return float(max(errors)) - (1 + improvement) * bound


def _rest(drift: Callable[[float], float], size: float) -> float:
    """The middle of the points where a non-increasing drift changes sign, in [-size, size]."""
    ends = []
    for sign in (1, -1):
        low, high = -size, size
        for _ in range(100):
            middle = (low + high) / 2
            up = drift(middle) > 0 if sign > 0 else drift(middle) >= 0
            low, high = (middle, high) if up else (low, middle)
        ends.append(low)
    return sum(ends) / 2


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of 200 clipped rules, each side with a threshold of its own."""
    found = []
    for _ in range(200):
        left, right = rng.lognormal(0, 1, 2) if rng.random() < 0.8 else [rng.lognormal()] * 2

        def score(g: np.ndarray, left: float = left, right: float = right) -> np.ndarray:
            return np.clip(g, -left, right)

        found.append(slack(score, rng.uniform(0.01, 0.45), 1.0, improvement))
    return min(found)


claim = Claim(
    name="minimax",
    part="What is best possible",
    title="the worst-case bias that no rule can avoid",
    kind="lower bound, tight",
    assumptions=(
        "0 < ε < 1/2",
        "benign noise: E ξ = 0, E‖ξ‖² ≤ σ²; the draggers are chosen against the rule",
        "the rule sees gradients only, and comes to rest at a point that their law determines",
    ),
    statement=statement,
    steps=steps,
    witness=(),
    values={"minimax_bias": bound},
    shown={"minimax_bias": "conclusion"},
    attack=attack,
    attained="every odd score, on this pair of laws",
    figure="threshold",
    remarks=("√ε is therefore the right rate in ε",),
)
