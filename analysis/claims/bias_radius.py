"""Where normalized micro-batches can settle at worst: the bias radius and the breakdown.

The pull towards a stationary point (drift) is positive outside a radius β, so no point of rest lies
there.
"""

import numpy as np
import sympy as sp

from analysis.claims.attacks.exact_runs import mean_law
from analysis.claims.drift import breakdown, chance, drift, h, random_case
from analysis.claims.drift import claim as drift_claim
from analysis.claims.drift import statement as drift_bound
from analysis.proof.assumptions import NOISE
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Earlier, Identity, Inequality
from analysis.proof.symbols import G, alpha, b, kappa, lam, p, s, sigma
from analysis.proof.values import sideways

beta = sp.Symbol("beta", positive=True)
spread = sp.Symbol("spread", nonnegative=True)
b_break = sp.Symbol("b_break", positive=True)
w = sp.Symbol("w", positive=True)

factored = kappa * G * (G**2 - beta**2) / (G**2 + s**2)
push = alpha * (1 - chance)
radius = sigma / sp.sqrt(b) * sp.sqrt(chance + push) / sp.sqrt(chance - push)

statement = Relation(G, "<=", radius)

independent = (
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
        "definition",
        ("noise",),
    ),
    Chain(
        "noise of a micro-batch",
        Relation(spread, "<=", s**2),
        "the hypothesis of drift",
        ("independent samples", "noise of the mean"),
    ),
)

# From a bound on the noise of a micro-batch to the radius; several_domains takes the same way.
at_rest = (
    Definition("clean chance", Relation(p, "=", chance), "(1-ε)^b = e^(-λb), λ = -ln(1-ε)"),
    Earlier(
        "drift bound",
        Relation(drift, ">=", h),
        "drift = E⟨∇f, u⟩, u the direction of a micro-batch; (A4) is assumed here too",
        ("noise of a micro-batch",),
        claim="drift",
        statement=drift_bound,
        holding=("contaminated case", "mean zero", "variance"),
    ),
    Axiom("stationarity", Relation(drift, "=", sp.S.Zero), "the expected update has come to rest"),
    Axiom("chance", Relation(p, "<=", sp.S.One), "p is a chance", axiom="probability"),
    *breakdown,
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
)

steps = (
    *independent,
    *at_rest,
    Identity(
        "in the parameters",
        Relation(beta, "=", radius),
        "definitions",
        ("radius", "margin", "noise", "clean chance", "chance"),
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
    Definition(
        "witness",
        Relation(w, "=", kappa / (2 * p)),
        "b = 1: noise z = -β with chance w, else s²/β, along ∇f; s = σ there",
    ),
    Identity(
        "witness has mean zero",
        Relation(-w * beta + (1 - w) * s**2 / beta, "=", sp.S.Zero),
        "first moment",
        ("witness", "radius", "margin"),
    ),
    Identity(
        "witness has variance s²",
        Relation(w * beta**2 + (1 - w) * s**4 / beta**2, "=", s**2),
        "second moment",
        ("witness", "radius", "margin"),
    ),
    Identity(
        "witness balances the push",
        Relation(p * (1 - w) - p * w, "=", alpha * (1 - p)),
        "just inside β, where z = -β points back: the rule may rest there, for every α",
        ("witness", "margin"),
    ),
)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest drift at the radius and beyond, in units of G, over laws of b samples, 1 ≤ b ≤ 3.

    Half of the cases are single samples with the two-point noise of alignment_lemma, whose rarer
    side is just longer than G and points back. Contaminated micro-batches push with strength α. An
    improvement asks for a positive drift already that much inside the radius.
    """
    n = 1500
    strength, size = rng.uniform(0.01, 1, n), np.where(np.arange(n) % 2, 1, rng.integers(1, 4, n))
    scaled = rng.uniform(0.01, 0.99, n) ** 2 * np.log1p(1 / strength)
    fraction, laws = -np.expm1(-scaled / size), [random_case(rng) for _ in range(n)]
    at = {"dragger_fraction": fraction, "alignment": strength, "micro_batch_size": size}
    radii = claim.evaluate(noise_scale=[noise for *_, noise in laws], **at)["bias_radius"]
    found = []
    for i, (points, chances, noise) in enumerate(laws):
        gradient = radii[i] * (1 - improvement) * (1 + (i % 4 == 0) * rng.exponential())
        if i % 2:
            away = gradient * (1 + 1e-12)
            back = noise**2 / (away**2 + noise**2)
            points, chances = np.array([[-away], [noise**2 / away]]), np.array([back, 1 - back])
        points, chances = mean_law((points, chances), int(size[i]))
        v = points + gradient * np.eye(points.shape[1])[0]
        cosine = chances @ (v[:, 0] / np.linalg.norm(v, axis=1))
        clean = (1 - fraction[i]) ** size[i]
        found.append(clean * cosine - strength[i] * (1 - clean))
    return float(min(found))


claim = Claim(
    name="bias_radius",
    part="Where the rule comes to rest",
    title="the largest gradient at which the normalized rule can come to rest",
    kind="upper bound, tight at b = 1",
    assumptions=(
        *drift_claim.assumptions[:2],
        NOISE,
        "b < ln(1 + 1/α)/λ, the breakdown; there κ > 0",
        "rule: normalized (for Algorithm 1 with few micro-batches see finite_micro_batches)",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"bias_radius": sideways(radius), "breakdown": sp.log(1 + 1 / alpha) / lam},
    shown={"bias_radius": "in the parameters", "breakdown": "breakdown"},
    attack=attack,
    uses=("drift",),
    attained=(
        "at b = 1: noise -β with chance κ/(2p), else s²/β (at α = 1 that of rare_signal); for "
        "larger b, at α = 1, to within 0.7136, see tightness"
    ),
    figure="sweet_spot",
)
