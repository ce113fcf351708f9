"""How strongly `normalized` is pulled back: the expected update along the gradient.

Clean micro-batches point the right way on average (alignment_lemma), contaminated ones
push back with strength α at most. u is the direction of a micro-batch's mean gradient.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.alignment_lemma import bound
from analysis.claims.setting import (
    clean,
    clean_probability,
    contaminated,
    drift,
    k,
    spread,
)
from analysis.proof.assumptions import A3, A4, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Earlier, Inequality
from analysis.proof.symbols import G, alpha, b, kappa, p, s, sigma
from analysis.proof.values import Shown

h = p * G * bound - alpha * (1 - p) * G
tangent = kappa * G - p * s

statement = Relation(drift, ">=", h)
terms = {
    "drift": "E⟨∇f, u⟩, u the direction of a micro-batch gradient",
}

steps = (
    setting.probability_of_clean,
    Axiom(
        "noise",
        Relation(spread, "<=", s**2),
        "spread = E‖z‖², z the noise of a clean micro-batch, E z = 0",
    ),
    Axiom(
        "two cases",
        Relation(drift, "=", p * clean + (1 - p) * contaminated),
        (
            "drift = E⟨∇f, u⟩; a micro-batch is clean with probability "
            "p, else contaminated"
        ),
        axiom="total expectation",
    ),
    setting.at_most_one,
    Earlier(
        "mean cosine",
        Relation(E(k), ">=", bound),
        "for a clean micro-batch, whose noise has mean zero and meets the hypothesis",
        ("noise",),
        claim="alignment_lemma",
        holding=("mean zero", "variance"),
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", G * E(k)),
        "⟨∇f, u⟩ = Gk, k = cos(∇f, u), averaged over clean micro-batches",
        axiom="inner product",
    ),
    Axiom("contaminated case", Relation(contaminated, ">=", -alpha * G), "(A4)"),
    Inequality(
        "conclusion",
        statement,
        "p and 1 - p are not negative",
        ("two cases", "clean case", "mean cosine", "contaminated case", "p at most 1"),
        certificate=(p * G * (E(k) - bound), (1 - p) * (contaminated + alpha * G)),
    ),
)

witness = (
    setting.below_breakdown,
    setting.margin,
    Inequality(
        "tangent",
        Relation(h, ">=", tangent),
        "the line through h at G = s, where the two touch",
        ("margin",),
        certificate=p * s * (G - s) ** 2 / (G**2 + s**2),
    ),
    Chain(
        "linear bound",
        Relation(drift, ">=", tangent),
        "transitivity",
        ("conclusion", "tangent"),
    ),
)

HELD = ("contaminated case", "mean zero", "variance")  # what it assumes, quoted or not


def quoted(name: str, relation: Relation, reason: str) -> Earlier:
    """The claim, or its linear bound, as proofs quote it that bound the noise first."""
    return Earlier(
        name,
        relation,
        reason,
        ("noise of a micro-batch",),
        claim="drift",
        holding=HELD,
    )


sharp_bound = quoted(
    "drift bound",
    statement,
    "drift = E⟨∇f, u⟩, u the direction of a micro-batch; (A4) is assumed here too",
)

claim = Claim(
    name="drift",
    part="Where the rule comes to rest",
    title="the pull of the normalized rule towards a stationary point",
    kind="lower bound, tight",
    summary="E⟨∇f, u⟩ ≥ pG(G² - s²)/(G² + s²) - α(1-p)G",
    assumptions=(
        A3,
        A4,
        Assumption(
            "the mean of a clean micro-batch is ∇f + z with E z = 0 and E‖z‖² ≤ s²"
        ),
        setting.NORMALIZED,
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"drift_bound": h.subs(s, sigma / sp.sqrt(b)).subs(p, clean_probability)},
    shown={"drift_bound": Shown("conclusion", {s: sigma / sp.sqrt(b)})},
    uses=("alignment_lemma",),
    attained=(
        "in the limit: the lemma's two-point noise, contaminated "
        "micro-batches straight back"
    ),
    figure="schedule",
    agreement=("test_one_step",),
)
