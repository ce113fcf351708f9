"""With the best fixed threshold single samples have the smallest bias radius.

With x = λb the squared radius of optimal_threshold is σ²λα φ(x), φ(x) = (e^x - 1)/x over
1 + α - αe^x: a difference quotient of e^x, which rises, over a factor that falls.
"""

import numpy as np
import sympy as sp

from analysis.calculus import Monotone, Tangent
from analysis.claim import Claim
from analysis.claims.minimax import bound as minimax_bound
from analysis.claims.optimal_threshold import claim as threshold_claim
from analysis.claims.optimal_threshold import radius
from analysis.signs import Relation
from analysis.steps import Axiom, Identity, Inequality
from analysis.symbols import alpha, b, epsilon, lam, sigma, x


def quotient(t: sp.Expr) -> sp.Expr:
    """(e^t - 1)/t."""
    return (sp.exp(t) - 1) / t


def room(t: sp.Expr) -> sp.Expr:
    """1 + α - αe^t, positive below the breakdown."""
    return 1 + alpha - alpha * sp.exp(t)


size = lam * b
single = radius.subs(b, 1)
rise = alpha * (sp.exp(size) - sp.exp(lam))
statement = Relation(single**2, "<=", radius**2)

steps = (
    Identity(
        "squared radius",
        Relation(radius**2, "=", sigma**2 * lam * alpha * quotient(size) / room(size)),
        "in the scaled size x = λb",
    ),
    Tangent("tangent at -x", Relation(sp.exp(-x), ">=", 1 - x), "e^y ≥ 1 + y"),
    Inequality(
        "slope of the quotient",
        Relation(sp.diff(quotient(x), x), ">=", sp.S.Zero),
        "e^x is convex",
        ("tangent at -x",),
        certificate=sp.exp(x) * (sp.exp(-x) - 1 + x) / x**2,
    ),
    Inequality(
        "slope of e^x",
        Relation(sp.diff(sp.exp(x), x), ">=", sp.S.Zero),
        "e^x is positive",
        certificate=sp.exp(x),
    ),
    Axiom("one sample at least", Relation(b, ">=", sp.S.One), "a micro-batch is not empty"),
    Inequality(
        "two sizes",
        Relation(lam, "<=", size),
        "λ > 0",
        ("one sample at least",),
        certificate=lam * (b - 1),
    ),
    Monotone(
        "quotients",
        Relation(quotient(lam), "<=", quotient(size)),
        "(e^x - 1)/x rises",
        ("slope of the quotient", "two sizes"),
        function=quotient(x),
        symbol=x,
        low=lam,
        high=size,
    ),
    Monotone(
        "exponentials",
        Relation(sp.exp(lam), "<=", sp.exp(size)),
        "e^x rises",
        ("slope of e^x", "two sizes"),
        function=sp.exp(x),
        symbol=x,
        low=lam,
        high=size,
    ),
    Axiom("below the breakdown", Relation(room(size), ">", sp.S.Zero), "b < ln(1 + 1/α)/λ"),
    Inequality(
        "one sample, below the breakdown",
        Relation(room(lam), ">", sp.S.Zero),
        "1 + α - αe^x falls",
        ("below the breakdown", "exponentials"),
        certificate=(room(size), rise),
    ),
    Tangent("tangent at λ", Relation(sp.exp(lam), ">=", 1 + lam), "e^y ≥ 1 + y"),
    Inequality(
        "conclusion",
        statement,
        "the quotient rises, the room falls; (e^λ - 1)/λ = 1 + (e^λ - 1 - λ)/λ",
        (
            *("quotients", "exponentials", "tangent at λ"),
            *("below the breakdown", "one sample, below the breakdown"),
        ),
        certificate=(
            sigma**2 * lam * alpha * (quotient(size) - quotient(lam)) / room(size),
            sigma**2 * alpha * (sp.exp(lam) - 1 - lam) * rise / (room(size) * room(lam)),
            sigma**2 * alpha * lam * rise / (room(size) * room(lam)),
        ),
    ),
)

witness = (
    Inequality(
        "at least the limit of few draggers",
        Relation(single**2, ">=", sigma**2 * lam * alpha),
        "so a size b costs a factor √φ(λb) at most: 8 % at λb = 0.1 and α = 1",
        ("tangent at λ", "one sample, below the breakdown"),
        certificate=(
            sigma**2 * alpha * (sp.exp(lam) - 1 - lam) / room(lam),
            sigma**2 * alpha**2 * lam * (sp.exp(lam) - 1 - lam) / room(lam),
            sigma**2 * alpha**2 * lam**2 / room(lam),
        ),
    ),
    Axiom("dragger rate", Relation(lam, "=", -sp.log(1 - epsilon)), "λ = -ln(1-ε)"),
    Identity(
        "best possible",
        Relation(single.subs(alpha, 1), "=", minimax_bound),
        "at b = 1 and α = 1: by minimax no rule whatever has a smaller worst case",
        ("dragger rate",),
    ),
)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative excess over the radius of single samples, at 20 000 random sizes.

    What is compared is what the claim is about, the formula of optimal_threshold at different
    sizes; that formula itself is attacked by laws in optimal_threshold.
    """
    strength, fraction = rng.uniform(0.01, 1, 20_000), rng.uniform(1e-4, 0.4, 20_000)
    last = np.log1p(1 / strength) / -np.log1p(-fraction)
    inside = last > 1
    strength, fraction, last = strength[inside], fraction[inside], last[inside]
    sizes = 1 + (last - 1) * rng.uniform(0, 0.99, len(last)) ** 2
    at = {"alignment": strength, "dragger_fraction": fraction, "noise_scale": 1.0}
    found = threshold_claim.evaluate(micro_batch_size=sizes, **at)["bias_radius"]
    one = threshold_claim.evaluate(micro_batch_size=1, **at)["bias_radius"]
    return float(np.min(found / one - 1 - improvement))


claim = Claim(
    name="threshold_size",
    part="What is best possible",
    title="with the best fixed threshold, single samples have the smallest bias radius",
    kind="exact minimiser",
    assumptions=threshold_claim.assumptions,
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "bias_radius": single,
        "cost_of_size": sp.Piecewise(
            (sp.sqrt(quotient(size) / room(size) * room(lam) / quotient(lam)), room(size) > 0),
            (sp.nan, True),
        ),
    },
    attack=attack,
    attained="at b = 1, where the radius is the minimax bound if α = 1",
    uses=("optimal_threshold", "minimax"),
    figure="threshold",
    remarks=(
        "sweet_spot is about the normalized rule; a threshold that knows ε, σ and α needs no b > 1",
    ),
)
