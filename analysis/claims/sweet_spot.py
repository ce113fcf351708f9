"""The micro-batch size that minimises the bias radius: it exists, is unique, and scales like 1/λ.

With x = λb the squared radius is σ²λ φ(x). φ' has the sign of -D, D falls strictly from 1 to a
negative value at the breakdown: φ falls up to D's zero x* and rises after it.
"""

import numpy as np
import sympy as sp

from analysis.calculus import Solution, UniqueMinimum
from analysis.claim import Claim, Implicit
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.bias_radius import radius
from analysis.signs import Relation
from analysis.steps import Axiom, Identity, Inequality
from analysis.symbols import alpha, b, lam, sigma, x

best = sp.Symbol("x_star", positive=True)

clean = sp.exp(-x)
phi = (clean + alpha * (1 - clean)) / (x * (clean - alpha * (1 - clean)))
condition = (1 - alpha**2) * sp.exp(-x) - alpha**2 * sp.exp(x) + 2 * alpha**2 - 2 * alpha * x
margin = (1 + alpha) * sp.exp(-x) - alpha
factor = sp.exp(-x) / (x * margin) ** 2
last = sp.log(1 + 1 / alpha)
closed_form = 1 - sp.LambertW(sp.E / 2)

statement = Relation(sigma**2 * lam * phi.subs(x, best), "<=", sigma**2 * lam * phi)

steps = (
    Identity(
        "squared radius",
        Relation((radius**2).subs(b, x / lam), "=", sigma**2 * lam * phi),
        "the bias radius in the scaled size x = λb",
    ),
    Axiom("at most straight back", Relation(alpha, "<=", sp.S.One), "α ∈ (0, 1]"),
    Axiom("not sideways", Relation(alpha, ">", sp.S.Zero), "α ∈ (0, 1]"),
    Axiom("below the breakdown", Relation(margin, ">", sp.S.Zero), "κ > 0"),
    Identity(
        "slope",
        Relation(sp.diff(phi, x), "=", -factor * condition),
        "φ' has the sign of -D, D the numerator on the right",
    ),
    Inequality(
        "D falls",
        Relation(sp.diff(condition, x), "<", sp.S.Zero),
        "the sum of three terms that are not negative, one of them positive",
        ("at most straight back", "not sideways"),
        certificate=(1 - alpha) * (1 + alpha) * sp.exp(-x) + alpha**2 * sp.exp(x) + 2 * alpha,
    ),
    Identity("D at 0", Relation(condition.subs(x, 0), "=", sp.S.One), "positive"),
    Identity(
        "D at the breakdown",
        Relation(condition.subs(x, last), "=", -2 * alpha * last),
        "negative",
    ),
    UniqueMinimum(
        "minimum",
        Relation(phi.subs(x, best), "<=", phi),
        "D has exactly one zero x*; φ falls strictly before it and rises strictly after it",
        (
            *("slope", "D falls", "D at 0", "D at the breakdown"),
            *("below the breakdown", "not sideways"),
        ),
        function=phi,
        numerator=condition,
        factor=factor,
        symbol=x,
        zero=best,
        interval=(sp.S.Zero, last),
    ),
    Inequality(
        "conclusion",
        statement,
        "σ²λ is positive",
        ("minimum",),
        certificate=sigma**2 * lam * (phi - phi.subs(x, best)),
    ),
)

witness = (
    Axiom(
        "zero at α = 1",
        Relation(condition.subs(alpha, 1), "=", sp.S.Zero),
        "x is the zero x* of D at α = 1",
    ),
    Solution(
        "closed form at α = 1",
        Relation(x, "=", closed_form),
        "found by SymPy's solve; D falls, so there is no other root",
        ("zero at α = 1",),
    ),
    Identity(
        "exponential at the zero",
        Relation(sp.exp(x), "=", 2 * (1 - x)),
        "the same equation",
        ("zero at α = 1",),
    ),
    Identity(
        "at the zero for α = 1",
        Relation(sp.exp(-x), "=", 1 / (2 * (1 - x))),
        "its inverse",
        ("exponential at the zero",),
    ),
    Identity(
        "smallest squared radius at α = 1",
        Relation(phi.subs(alpha, 1), "=", (1 - x) / x**2),
        "in units of σ²λ, at x = x*",
        ("at the zero for α = 1",),
    ),
)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative excess of the radius over its minimum, at 20 000 random sizes.

    What is compared is what the claim is about, the formula of bias_radius at different sizes; that
    formula itself is attacked by laws in bias_radius.
    """
    strength, fraction = rng.uniform(0.01, 1, 20_000), rng.uniform(1e-4, 0.4, 20_000)
    at = {"alignment": strength, "dragger_fraction": fraction, "noise_scale": np.ones(20_000)}
    optimum = claim.evaluate(**at)
    scaled = rng.uniform(0.01, 0.99, 20_000) * optimum["breakdown"]
    inside = scaled >= 1
    at = {name: v[inside] for name, v in at.items()}
    found = radius_claim.evaluate(micro_batch_size=scaled[inside], **at)["bias_radius"]
    return float(np.min(found / optimum["bias_radius"][inside] - 1 - improvement))


_scaled = sp.Max(lam, x)  # λ times the best size that is at least one sample

claim = Claim(
    name="sweet_spot",
    part="Where the rule comes to rest",
    title="the micro-batch size with the smallest bias radius",
    kind="exact minimiser",
    assumptions=(*radius_claim.assumptions, "α > 0 (at α = 0 the radius falls for ever)"),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "scaled_size": Implicit(x, condition, sp.S.Zero, last),
        "micro_batch_size": x / lam,
        "bias_radius": sp.Piecewise(
            (sigma * sp.sqrt(lam * phi.subs(x, _scaled)), margin.subs(x, _scaled) > 0),
            (sp.nan, True),
        ),
        "breakdown": last / lam,
    },
    attack=attack,
    attained="at b = x*/λ",
    figure="sweet_spot",
    uses=("bias_radius",),
    remarks=(
        "best admissible size: of the divisors of B, one of the two neighbours of x*/λ",
        "where x*/λ < 1, one sample is best: micro_batch_size is x*/λ, bias_radius that at b = 1",
    ),
)
