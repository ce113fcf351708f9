"""How strongly the normalized rule is pulled back: the expected update along the gradient.

Clean micro-batches point the right way on average (alignment_lemma), contaminated ones push back
with strength α at most. u is the direction of a micro-batch's mean gradient.
"""

import numpy as np
import sympy as sp

from analysis.claims.alignment_lemma import bound, slack
from analysis.claims.alignment_lemma import k as cosine
from analysis.claims.alignment_lemma import statement as lemma
from analysis.proof.assumptions import IID
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Definition, Earlier, Inequality
from analysis.proof.symbols import G, alpha, b, kappa, lam, p, s, sigma, x
from analysis.proof.values import Shown

drift, clean, contaminated = sp.symbols("drift clean contaminated", real=True)
spread = sp.Symbol("spread", nonnegative=True)

chance = sp.exp(-lam * b)
h = p * G * bound - alpha * (1 - p) * G
tangent = kappa * G - p * s

statement = Relation(drift, ">=", h)

# Below the breakdown clean micro-batches win; several claims begin so.
breakdown = (
    Axiom(
        "below the breakdown",
        Relation(p - alpha * (1 - p), ">", sp.S.Zero),
        "b < ln(1 + 1/α)/λ",
    ),
    Definition(
        "margin",
        Relation(kappa, "=", p - alpha * (1 - p)),
        "clean pull minus contaminated push",
        ("below the breakdown",),
    ),
)

last = sp.log(1 + 1 / alpha)  # the breakdown in the scaled size x = λb

# The same in the scaled size, for claims about the best one, after the step "not sideways" (α > 0).
scaled_breakdown = (
    Axiom(
        "below the breakdown, scaled",
        Relation(x, "<", last),
        "x < ln(1 + 1/α)",
        ("not sideways",),
    ),
    Tangent(
        "room",
        Relation(sp.exp(last - x), ">=", 1 + last - x),
        "e^y ≥ 1 + y at the distance from the breakdown",
        ("not sideways",),
        exponent=last - x,
    ),
    Inequality(
        "scaled margin",
        Relation((1 + alpha) * sp.exp(-x) - alpha, ">", sp.S.Zero),
        "κ > 0: it is α(e^(ln(1 + 1/α) - x) - 1)",
        ("below the breakdown, scaled", "not sideways", "room"),
        certificate=(alpha * (sp.exp(last - x) - 1 - last + x), alpha * (last - x)),
    ),
)

steps = (
    Definition("clean chance", Relation(p, "=", chance), "(1-ε)^b = e^(-λb), λ = -ln(1-ε)"),
    Axiom(
        "noise",
        Relation(spread, "<=", s**2),
        "spread = E‖z‖², z the noise of a clean micro-batch, E z = 0",
    ),
    Axiom(
        "two cases",
        Relation(drift, "=", p * clean + (1 - p) * contaminated),
        "drift = E⟨∇f, u⟩; a micro-batch is clean with chance p, else contaminated",
        axiom="total expectation",
    ),
    Axiom("chance", Relation(p, "<=", sp.S.One), "p is a chance", axiom="probability"),
    Earlier(
        "mean cosine",
        Relation(E(cosine), ">=", bound),
        "for a clean micro-batch, whose noise has mean zero and meets the hypothesis",
        ("noise",),
        claim="alignment_lemma",
        statement=lemma,
        holding=("mean zero", "variance"),
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", G * E(cosine)),
        "⟨∇f, u⟩ = Gk, k = cos(∇f, u), averaged over clean micro-batches",
        axiom="inner product",
    ),
    Axiom("contaminated case", Relation(contaminated, ">=", -alpha * G), "(A4)"),
    Inequality(
        "conclusion",
        statement,
        "p and 1 - p are not negative",
        ("two cases", "clean case", "mean cosine", "contaminated case", "chance"),
        certificate=(p * G * (E(cosine) - bound), (1 - p) * (contaminated + alpha * G)),
    ),
)

witness = (
    *breakdown,
    Inequality(
        "tangent",
        Relation(h, ">=", tangent),
        "the line through h at G = s, where the two touch",
        ("margin",),
        certificate=p * s * (G - s) ** 2 / (G**2 + s**2),
    ),
    Chain(
        "linear bound", Relation(drift, ">=", tangent), "transitivity", ("conclusion", "tangent")
    ),
)


def random_case(
    rng: np.random.Generator, dimension: int | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Atoms [n, d] of clean noise, centred, their chances [n], and its scale √(E‖z‖²)."""
    n, d = rng.integers(2, 6), dimension or rng.integers(1, 4)
    chances = rng.dirichlet(np.full(n, 0.5))
    points = rng.normal(size=(n, d)) * rng.lognormal(0, 1, size=(n, 1))
    points = points - chances @ points
    return points, chances, float(np.sqrt(chances @ (points**2).sum(1)))


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack, in units of G, over random laws, the lemma's two-point law, and pushes.

    An improvement makes the contaminated push weaker, and the noise smaller, by that fraction.
    """
    found = []
    for i in range(2000):
        strength, clean = rng.uniform(0, 1, 2)
        points, chances, noise = random_case(rng)
        gradient = noise * rng.lognormal(0, 1)
        if i % 4 == 0:
            weight = noise**2 / (gradient**2 + noise**2)
            points = np.array([[-gradient * (1 + 1e-12)], [noise**2 / gradient]])
            chances = np.array([weight, 1 - weight])
        excess = slack(points, chances, gradient, improvement)
        push = rng.uniform(-1, 1) if i % 2 else -1.0  # E cos of a contaminated micro-batch over α
        excess_push = strength * (push + 1 - improvement)
        found.append(clean * excess + (1 - clean) * excess_push)
    return float(min(found))


claim = Claim(
    name="drift",
    part="Where the rule comes to rest",
    title="the pull of the normalized rule towards a stationary point",
    kind="lower bound, tight",
    assumptions=(
        IID,
        "(A4) a contaminated micro-batch has E[⟨∇f, u⟩ | contaminated] ≥ -αG; α = 1 always holds",
        "the mean of a clean micro-batch is ∇f + z with E z = 0 and E‖z‖² ≤ s²",
        "rule: normalized (for Algorithm 1 with few micro-batches see finite_micro_batches)",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"drift_bound": h.subs(s, sigma / sp.sqrt(b)).subs(p, chance)},
    shown={"drift_bound": Shown("conclusion", {s: sigma / sp.sqrt(b)})},
    attack=attack,
    uses=("alignment_lemma",),
    attained="in the limit: the lemma's two-point noise, contaminated micro-batches straight back",
    figure="schedule",
)
