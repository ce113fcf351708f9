"""What several domains do: mixed micro-batches average their differences away, pure ones cannot.

f = Σ π_k f_k. A micro-batch is mixed when each of its samples has a domain of its own, and pure
when all come from one domain, as with one domain per accelerator core.
"""

import numpy as np
import sympy as sp

from analysis.claim import Claim
from analysis.claims.bias_radius import at_rest, beta, chance, push, radius, spread
from analysis.claims.bias_radius import claim as radius_claim
from analysis.signs import Relation
from analysis.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.symbols import G, alpha, b, kappa, p, s, sigma, sigma_w, tau

within, between = sp.symbols("within between", nonnegative=True)
share, distance = sp.symbols("pi_2 Delta_o", positive=True)
gap = sp.Symbol("gap", nonnegative=True)

factor = sp.sqrt(chance + push) / sp.sqrt(chance - push)
pure = sp.sqrt(sigma_w**2 / b + tau**2) * factor
mixed = radius.subs(sigma, sp.sqrt(sigma_w**2 + tau**2))

statement = Relation(G, "<=", pure)

steps = (
    Axiom(
        "two sources",
        Relation(spread, "=", within + between),
        "spread = E‖z‖², z = g - ∇f for a clean pure micro-batch",
        axiom="total variance",
    ),
    Axiom(
        "within a domain",
        Relation(within, "<=", sigma_w**2 / b),
        "b independent samples of one domain",
        axiom="independence",
    ),
    Axiom(
        "between domains",
        Relation(between, "=", tau**2),
        "τ² = Σ π_k‖∇f_k - ∇f‖²: the micro-batch mean has the domain's gradient",
    ),
    Axiom("some noise", Relation(sigma_w**2 / b + tau**2, ">", sp.S.Zero), "else nothing is noisy"),
    Definition(
        "noise of a pure micro-batch",
        Relation(s, "=", sp.sqrt(sigma_w**2 / b + tau**2)),
        "τ does not shrink with b",
        ("some noise",),
    ),
    Inequality(
        "noise of a micro-batch",
        Relation(spread, "<=", s**2),
        "the hypothesis of drift; E z = 0 over the choice of the domain",
        ("two sources", "within a domain", "between domains", "noise of a pure micro-batch"),
        certificate=sigma_w**2 / b - within,
    ),
    *at_rest,
    Identity(
        "in the parameters",
        Relation(beta, "=", pure),
        "definitions",
        ("radius", "margin", "noise of a pure micro-batch", "clean chance"),
    ),
    Chain("conclusion", statement, "transitivity", ("stationary points", "in the parameters")),
)

witness = (
    Axiom("at least one sample", Relation(b, ">=", sp.S.One), "b ≥ 1"),
    Identity(
        "mixed micro-batches",
        Relation(pure**2 - mixed**2, "=", tau**2 * (1 - 1 / b) * factor**2),
        "mixed: σ² = σ_w² + τ² in bias_radius; the same at b = 1, larger for every other size",
    ),
    Inequality(
        "no size removes the spread",
        Relation(factor**2, ">=", sp.S.One),
        "so the pure radius is never below τ",
        ("below the breakdown", "chance", "margin", "clean chance"),
        certificate=2 * alpha * (1 - p) / kappa,
    ),
    Axiom(
        "two noiseless domains",
        Relation(gap, "=", share * distance),
        "f_k = ‖w - o_k‖²/2, no draggers; each micro-batch gradient is w - o_1 or w - o_2, their "
        "majority is at rest at o_1, where gap = ‖∇f‖ = ‖o_1 - Σ π_k o_k‖ and Δ_o = ‖o_1 - o_2‖",
        axiom="median",
    ),
    Axiom(
        "their spread",
        Relation(tau, "=", sp.sqrt((1 - share) * share) * distance),
        "τ² = π_1‖∇f_1 - ∇f‖² + π_2‖∇f_2 - ∇f‖²",
    ),
    Axiom("minority", Relation(1 - 2 * share, ">", sp.S.Zero), "π_2 < 1/2"),
    Axiom("not all", Relation(1 - share, ">", sp.S.Zero), "π_2 < 1/2"),
    Inequality(
        "they stay below the radius",
        Relation(gap**2, "<=", tau**2),
        "with equality as π_2 → 1/2: the radius is tight",
        ("two noiseless domains", "their spread", "minority"),
        certificate=share * distance**2 * (1 - 2 * share),
    ),
)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest drift at the radius for random pure domains with random noise and draggers.

    Half of the cases are two noiseless domains of nearly the same weight, without draggers.
    """
    found = []
    for i in range(2000):
        count, d = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        weights = rng.dirichlet(np.ones(count))
        centres = rng.normal(size=(count, d))
        noise = rng.normal(size=(2, d)) * rng.lognormal(-1, 1)
        strength, clean = rng.uniform(0, 1), rng.uniform(0.5, 1) ** 0.2
        if i % 2:
            minority = 0.5 - 1e-3 * rng.random()
            weights, centres = np.array([1 - minority, minority]), np.array([[-1.0], [1.0]])
            noise, clean = np.zeros((2, 1)), 1.0
        centres = centres - weights @ centres
        noise[1] = -noise[0]
        size = np.sqrt(weights @ (centres**2).sum(1) + (noise[0] ** 2).sum())
        ratio = (clean + strength * (1 - clean)) / (clean - strength * (1 - clean))
        worst = size * np.sqrt(ratio) * (1 - improvement)
        v = (centres[:, None] + noise).reshape(2 * len(weights), -1)
        v[:, 0] += worst * (1 + 1e-9)
        cosine = np.repeat(weights / 2, 2) @ (v[:, 0] / np.linalg.norm(v, axis=1))
        found.append(clean * cosine - strength * (1 - clean))
    return float(min(found))


claim = Claim(
    name="several_domains",
    part="Where the rule comes to rest",
    title="one domain per micro-batch: the spread between domains stays",
    kind="upper bound, tight",
    assumptions=(
        *radius_claim.assumptions[:2],
        "a clean micro-batch comes from one domain, k with chance π_k, whatever the draggers do",
        "within a domain E ξ = 0, E‖ξ‖² ≤ σ_w²",
        *radius_claim.assumptions[3:],
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"pure_radius": pure, "mixed_radius": mixed},
    attack=attack,
    uses=("drift", "bias_radius"),
    attained="two noiseless domains without draggers, as π_2 → 1/2",
    remarks=(
        "this is a limitation: where micro-batches are domain-pure, clipping cannot go below τ",
    ),
)
