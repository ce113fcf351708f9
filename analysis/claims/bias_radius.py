"""Where normalized micro-batches can settle at worst: the bias radius and the breakdown.

The expected update along ∇f is bounded below by clean micro-batches that point the right way on
average (alignment_lemma) minus contaminated ones that push back with strength α at most.
"""

import numpy as np
import sympy as sp

from analysis.claim import Claim
from analysis.claims.alignment_lemma import bound, slack
from analysis.claims.alignment_lemma import c as cosine
from analysis.claims.alignment_lemma import claim as lemma_claim
from analysis.signs import E, Relation
from analysis.steps import Axiom, Chain, Definition, Earlier, Identity, Inequality
from analysis.symbols import G, alpha, b, kappa, lam, p, s, sigma

drift, clean, contaminated = sp.symbols("drift clean contaminated", real=True)
beta = sp.Symbol("beta", positive=True)
spread = sp.Symbol("spread", nonnegative=True)
b_break = sp.Symbol("b_break", positive=True)

h = p * G * bound - alpha * (1 - p) * G
factored = kappa * G * (G**2 - beta**2) / (G**2 + s**2)
chance = sp.exp(-lam * b)
push = alpha * (1 - chance)
radius = sigma / sp.sqrt(b) * sp.sqrt(chance + push) / sp.sqrt(chance - push)

statement = Relation(G, "<=", radius)

steps = (
    Definition("clean chance", Relation(p, "=", chance), "(1-ε)^b = e^(-λb), λ = -ln(1-ε)"),
    Definition("noise", Relation(s, "=", sigma / sp.sqrt(b)), "the noise of a clean micro-batch"),
    Axiom(
        "independent samples",
        Relation(spread, "<=", b * (sigma / b) ** 2),
        "spread = E‖z‖², z = Σ ξ_i/b the noise of a clean micro-batch; E‖ξ_i/b‖² ≤ (σ/b)²",
        axiom="independence",
    ),
    Identity(
        "noise of the mean",
        Relation(b * (sigma / b) ** 2, "=", s**2),
        "the lemma's bound on E‖z‖²",
        ("noise",),
    ),
    Chain(
        "hypothesis of the lemma",
        Relation(spread, "<=", s**2),
        "transitivity",
        ("independent samples", "noise of the mean"),
    ),
    Axiom(
        "stationarity",
        Relation(drift, "=", sp.S.Zero),
        "drift = E⟨∇f, u⟩, u the direction of a micro-batch: the expected update has come to rest",
    ),
    Axiom(
        "two cases",
        Relation(drift, "=", p * clean + (1 - p) * contaminated),
        "a micro-batch is clean with chance p, else contaminated",
        axiom="total expectation",
    ),
    Axiom("chance", Relation(p, "<=", sp.S.One), "p is a chance", axiom="probability"),
    Earlier(
        "mean cosine",
        Relation(E(cosine), ">=", bound),
        "for a clean micro-batch, whose noise has mean zero and meets the hypothesis",
        ("hypothesis of the lemma",),
        claim="alignment_lemma",
        statement=lemma_claim.statement,
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", G * E(cosine)),
        "⟨∇f, u⟩ = G cos, averaged over clean micro-batches",
        axiom="inner product",
    ),
    Axiom("contaminated case", Relation(contaminated, ">=", -alpha * G), "(A4)"),
    Inequality(
        "drift bound",
        Relation(drift, ">=", h),
        "p and 1 - p are not negative",
        ("two cases", "clean case", "mean cosine", "contaminated case", "chance"),
        certificate=(p * G * (E(cosine) - bound), (1 - p) * (contaminated + alpha * G)),
    ),
    Axiom(
        "below the breakdown",
        Relation(p - alpha * (1 - p), ">", sp.S.Zero),
        "b < b_break, see the margin at b",
    ),
    Definition(
        "margin",
        Relation(kappa, "=", p - alpha * (1 - p)),
        "clean pull minus contaminated push",
        ("below the breakdown",),
    ),
    Definition(
        "radius",
        Relation(beta, "=", s * sp.sqrt((p + alpha * (1 - p)) / kappa)),
        "the positive root of the drift bound in G",
        ("chance",),
    ),
    Identity(
        "factored drift", Relation(h, "=", factored), "one sign change, at β", ("radius", "margin")
    ),
    Chain(
        "drift", Relation(drift, ">=", factored), "transitivity", ("drift bound", "factored drift")
    ),
    Inequality(
        "squares",
        Relation(G**2, "<=", beta**2),
        "the drift is zero and κ > 0",
        ("stationarity", "drift"),
        certificate=(drift - factored) * (G**2 + s**2) / (kappa * G),
    ),
    Inequality(
        "stationary points",
        Relation(G, "<=", beta),
        "both are positive",
        ("squares",),
        certificate=(beta**2 - G**2) / (beta + G),
    ),
    Identity(
        "in the parameters",
        Relation(beta, "=", radius),
        "definitions",
        ("radius", "margin", "noise", "clean chance"),
    ),
    Chain("conclusion", statement, "transitivity", ("stationary points", "in the parameters")),
)

witness = (
    Axiom("not sideways", Relation(alpha, ">", sp.S.Zero), "at α = 0 there is no breakdown"),
    Definition(
        "breakdown",
        Relation(b_break, "=", sp.log(1 + 1 / alpha) / lam),
        "the size at which the margin vanishes",
        ("not sideways",),
    ),
    Identity(
        "margin at b",
        Relation(chance - alpha * (1 - chance), "=", alpha * (sp.exp(lam * (b_break - b)) - 1)),
        "so κ > 0 exactly for b < b_break",
        ("breakdown",),
    ),
)


def attack(rng: np.random.Generator) -> float:
    """Smallest drift beyond the radius, over random clean laws and the worst contamination."""
    found = []
    for _ in range(2000):
        strength, size = rng.uniform(0, 1), rng.uniform(0.01, 0.99) ** 2
        margin = (1 + strength) * np.exp(-size * np.log1p(1 / strength)) - strength
        chance = (margin + strength) / (1 + strength)
        n = rng.integers(2, 6)
        chances = rng.dirichlet(np.full(n, 0.5))
        points = rng.normal(size=(n, rng.integers(1, 4))) * rng.lognormal(0, 1, size=(n, 1))
        points = points - chances @ points
        noise = np.sqrt(chances @ (points**2).sum(1))
        worst = noise * np.sqrt((chance + strength * (1 - chance)) / margin)
        cosine = slack(points, chances, worst)
        cosine += (worst**2 - noise**2) / (worst**2 + noise**2)
        found.append(chance * cosine - strength * (1 - chance))
    return float(min(found))


claim = Claim(
    name="bias_radius",
    title="the largest gradient at which the normalized rule can come to rest",
    kind="upper bound",
    assumptions=(
        "(A3) the samples of a mini-batch are i.i.d., each a dragger with probability ε",
        "(A4) a contaminated micro-batch has E[⟨∇f, u⟩ | contaminated] ≥ -αG; α = 1 always holds",
        "benign noise: E ξ = 0, E‖ξ‖² ≤ σ², the total over the coordinates",
        "b < ln(1 + 1/α)/λ, the breakdown; there κ > 0",
        "rule: normalized (for Algorithm 1 with few micro-batches it is not a bound)",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"bias_radius": radius, "breakdown": sp.log(1 + 1 / alpha) / lam},
    attack=attack,
    uses=("alignment_lemma",),
)
