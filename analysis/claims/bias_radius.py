"""Where normalized micro-batches settle at worst: the bias radius and the breakdown.

The pull towards a stationary point (drift) is positive outside a radius β, so no point
of rest lies there.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.drift import h, sharp_bound
from analysis.claims.setting import (
    clean_probability,
    drift,
    margin_of_size,
    push,
    spread,
)
from analysis.proof.assumptions import A3, A4, NOISE
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Earlier, Identity, Inequality
from analysis.proof.symbols import G, alpha, b, kappa, lam, p, s, sigma
from analysis.proof.values import sideways

beta = sp.Symbol("beta", positive=True)
b_break = sp.Symbol("b_break", positive=True)
w = sp.Symbol("w", positive=True)

factored = kappa * G * (G**2 - beta**2) / (G**2 + s**2)
radius = (
    sigma / sp.sqrt(b) * sp.sqrt(clean_probability + push) / sp.sqrt(margin_of_size)
)

statement = Relation(G, "<=", radius)

radius_of_drift = Definition(
    "radius",
    Relation(beta, "=", s * sp.sqrt((p + alpha * (1 - p)) / kappa)),
    "the positive root of the drift bound in G",
    ("p at most 1",),
)
factored_drift = Identity(
    "factored drift",
    Relation(h, "=", factored),
    "one sign change, at β",
    ("radius", "margin"),
)

# From a bound on the noise of a micro-batch to the radius; several_domains goes this
# way too.
at_rest = (
    setting.probability_of_clean,
    sharp_bound,
    Axiom(
        "stationarity",
        Relation(drift, "=", sp.S.Zero),
        "the expected update has come to rest",
    ),
    setting.at_most_one,
    setting.below_breakdown,
    setting.margin,
    radius_of_drift,
    factored_drift,
    Chain(
        "drift",
        Relation(drift, ">=", factored),
        "transitivity",
        ("drift bound", "factored drift"),
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
    *setting.independent_noise,
    *at_rest,
    Identity(
        "in the parameters",
        Relation(beta, "=", radius),
        "definitions",
        ("radius", "margin", "noise", "clean probability", "p at most 1"),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("stationary points", "in the parameters"),
    ),
)

witness = (
    Axiom(
        "not sideways",
        Relation(alpha, ">", sp.S.Zero),
        "at α = 0 there is no breakdown",
    ),
    Definition(
        "breakdown",
        Relation(b_break, "=", sp.log(1 + 1 / alpha) / lam),
        "the size at which the margin vanishes",
        ("not sideways",),
    ),
    Identity(
        "margin at b",
        Relation(margin_of_size, "=", alpha * (sp.exp(lam * (b_break - b)) - 1)),
        "so κ > 0 exactly for b < b_break",
        ("breakdown",),
    ),
    Definition(
        "witness",
        Relation(w, "=", kappa / (2 * p)),
        "b = 1: noise z = -β with probability w, else s²/β, along ∇f; s = σ there",
    ),
    *setting.two_points(beta, w, ("witness", "radius", "margin")),
    Identity(
        "witness balances the push",
        Relation(p * (1 - w) - p * w, "=", alpha * (1 - p)),
        "just inside β, where z = -β points back: the rule may rest there, for every α",
        ("witness", "margin"),
    ),
)

quoted_noise = Earlier(  # as the lemmas on other rules need it
    "hypothesis of the lemma",
    Relation(spread, "<=", s**2),
    (
        "spread = E‖z‖², z the noise of a clean micro-batch, the mean of b "
        "independent samples"
    ),
    claim="bias_radius",
)

claim = Claim(
    name="bias_radius",
    part="Where the rule comes to rest",
    title="the largest gradient at which the normalized rule can come to rest",
    kind="upper bound, tight at b = 1",
    summary=(
        "the normalized rule rests only where G ≤ (σ/√b) √((p + α(1-p))/(p - α(1-p)))"
    ),
    assumptions=(A3, A4, NOISE, setting.BELOW_BREAKDOWN, setting.NORMALIZED),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"bias_radius": sideways(radius), "breakdown": sp.log(1 + 1 / alpha) / lam},
    shown={"bias_radius": "in the parameters", "breakdown": "breakdown"},
    uses=("drift",),
    attained=(
        "at b = 1: noise -β with probability κ/(2p), else s²/β (at α = 1 that of "
        "rare_signal); for larger b, at α = 1, to within 0.7136, see tightness"
    ),
    figure="sweet_spot",
    agreement=("test_radii",),
)
