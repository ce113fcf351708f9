"""Clipping micro-batches at the best fixed threshold: a smaller bias radius.

Rule `fixed`: ψ(g) = g min(1, c/‖g‖), of length ℓ = min(‖g‖, c). Along e = ∇f/G clean
micro-batches pull with ⟨e, ψ(g)⟩ = ℓk, k = cos(g, e), as strongly as the Huber lemma
says, contaminated ones push back with αc at most.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import quoted_noise
from analysis.claims.bias_radius import radius as normalized
from analysis.claims.huber_lemma import far, near, pull, reach
from analysis.claims.setting import (
    clean,
    clean_probability,
    contaminated,
    margin_of_size,
    push,
)
from analysis.proof.assumptions import A3, A4, NOISE, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Axiom,
    Cases,
    Chain,
    Definition,
    Earlier,
    Identity,
    Inequality,
    Suppose,
)
from analysis.proof.symbols import G, alpha, b, c, p, s, sigma, theta
from analysis.proof.values import Shown

M = sp.Symbol("M", real=True)
best, beta = sp.symbols("c_star beta", positive=True)

radius = sigma / sp.sqrt(b) * sp.sqrt(push) / sp.sqrt(margin_of_size)
threshold = (
    sigma
    / sp.sqrt(b)
    * clean_probability
    / (2 * sp.sqrt(push) * sp.sqrt(margin_of_size))
)
half = beta * (1 + 2 * theta) / (2 * (1 + theta))
certified = s**2 / (4 * c * (1 - theta)) + theta * c

statement = Relation(G, "<=", radius)

steps = (
    setting.probability_of_clean,
    setting.noise,
    Axiom("some draggers", Relation(p, "<", sp.S.One), "ε > 0"),
    Axiom("not sideways", Relation(alpha, ">", sp.S.Zero), "α > 0"),
    setting.below_breakdown,
    Definition(
        "push ratio",
        Relation(theta, "=", alpha * (1 - p) / p),
        "contaminated push over clean pull",
        ("some draggers",),
    ),
    Inequality(
        "θ positive",
        Relation(theta, ">", sp.S.Zero),
        "there are draggers, and they push",
        ("push ratio", "some draggers", "not sideways"),
        certificate=alpha * (1 - p) / p,
    ),
    Inequality(
        "θ below 1",
        Relation(theta, "<", sp.S.One),
        "below the breakdown",
        ("push ratio", "below the breakdown"),
        certificate=(p - alpha * (1 - p)) / p,
    ),
    quoted_noise,
    Earlier(
        "Huber lemma",
        Relation(E(pull), ">=", near),
        "holds for every threshold c; a clean g, whose noise has mean zero and meets "
        "the hypothesis; ℓ = min(‖g‖, c), o = ‖g‖ - ℓ is what exceeds c, k = cos(g, "
        "e), e = ∇f/G",
        ("hypothesis of the lemma",),
        claim="huber_lemma",
        holding=("mean zero", "variance", "beyond the threshold"),
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", E(pull)),
        "clean = E[⟨e, ψ(g)⟩ | clean]; ψ(g) has the length ℓ and g's direction",
        axiom="inner product",
    ),
    Chain(
        "clean pull",
        Relation(clean, ">=", near),
        "transitivity",
        ("clean case", "Huber lemma"),
    ),
    Axiom(
        "contaminated case",
        Relation(contaminated, ">=", -alpha * c),
        "(A4) for this rule",
    ),
    *setting.balance("E⟨e, ψ(g)⟩"),
    Inequality(
        "pull at rest",
        Relation(clean, "<=", theta * c),
        "it balances the push",
        (
            "push ratio",
            "two cases",
            "stationarity",
            "contaminated case",
            "some draggers",
        ),
        certificate=(1 - p) * (contaminated + alpha * c) / p,
    ),
    Definition(
        "middle", Relation(M, "=", G + (1 - 2 * theta) * c), "what r is compared with"
    ),
    Inequality(
        "r at rest",
        Relation(reach, ">=", M),
        "r = √((G - c)² + s²), the root in the lemma",
        ("middle", "pull at rest", "clean pull"),
        certificate=(2 * (theta * c - clean), 2 * (clean - near)),
    ),
    Suppose("far out", Relation(M, ">=", sp.S.Zero), "then r ≥ M may be squared"),
    Inequality(
        "radius far out",
        Relation(G, "<=", certified),
        "r² ≥ M²",
        ("middle", "r at rest", "far out", "θ below 1"),
        certificate=(reach - M) * (reach + M) / (4 * c * (1 - theta)),
    ),
    Suppose("close in", Relation(M, "<", sp.S.Zero), "then G < (2θ - 1)c"),
    Inequality(
        "radius close in",
        Relation(G, "<=", certified),
        "2θ - 1 < θ",
        ("middle", "close in", "θ below 1"),
        certificate=(s**2 / (4 * c * (1 - theta)), (1 - theta) * c, -M),
    ),
    Cases(
        "any threshold",
        Relation(G, "<=", certified),
        "M ≥ 0 or M < 0; what the lemma certifies for the threshold c",
        ("far out", "radius far out", "close in", "radius close in"),
    ),
    Definition(
        "best threshold",
        Relation(best, "=", s / (2 * sp.sqrt(theta) * sp.sqrt(1 - theta))),
        "where the two terms are equal",
        ("θ positive", "θ below 1"),
    ),
    Axiom("choice", Relation(c, "=", best), "the rule clips at the best threshold"),
    Identity(
        "at the best threshold",
        Relation(certified, "=", 2 * theta * best),
        "two equal terms",
        ("choice", "best threshold", "θ below 1"),
    ),
    Identity(
        "in the parameters",
        Relation(2 * theta * best, "=", radius),
        "definitions",
        (
            *("best threshold", "push ratio", "noise", "clean probability"),
            *("below the breakdown", "some draggers", "θ positive", "θ below 1"),
        ),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("any threshold", "at the best threshold", "in the parameters"),
    ),
)

witness = (
    Identity(
        "threshold in the parameters",
        Relation(best, "=", threshold),
        "definitions",
        (
            *("best threshold", "push ratio", "noise", "clean probability"),
            *(
                "below the breakdown",
                "some draggers",
                "not sideways",
                "θ positive",
                "θ below 1",
            ),
        ),
    ),
    Identity(
        "worst law, variance",
        Relation(
            theta * (2 * best - 2 * theta * best) ** 2
            + (1 - theta) * (2 * theta * best) ** 2,
            "=",
            s**2,
        ),
        (
            "a clean g = 2c* on e with probability θ, else 0, has mean G = 2θc*; its "
            "second moment about it"
        ),
        ("best threshold",),
    ),
    Identity(
        "worst law, rest",
        Relation(p * theta * best, "=", (1 - p) * alpha * best),
        "g = 2c* is clipped to c*; clean pull and straight push balance",
        ("push ratio",),
    ),
    Identity(
        "wrong threshold",
        Relation(certified, "=", 2 * theta * best * (c / best + best / c) / 2),
        "twice or half the best threshold costs a quarter",
        ("best threshold", "θ positive", "θ below 1"),
    ),
    Inequality(
        "no better threshold",
        Relation(certified, ">=", 2 * theta * best),
        "what the lemma certifies for c is no less: arithmetic and geometric mean",
        ("best threshold", "θ positive", "θ below 1"),
        certificate=theta * (c - best) ** 2 / c,
    ),
    Definition(
        "normalized radius",
        Relation(beta, "=", s * sp.sqrt(1 + theta) / sp.sqrt(1 - theta)),
        "of the normalized rule, c → 0",
        ("θ below 1",),
    ),
    Identity(
        "gain",
        Relation((2 * theta * best / beta) ** 2, "=", theta / (1 + theta)),
        "the two radii compared: (α(1-p)/(p + α(1-p)))^(1/2)",
        ("normalized radius", "best threshold", "θ positive", "θ below 1"),
    ),
    Identity(
        "small thresholds",
        Relation(far.subs(G, beta - c), "=", theta * c),
        (
            "where the lemma's other form is the sharp one, the rule may come "
            "to rest at G = β - c"
        ),
        ("normalized radius",),
    ),
    Suppose(
        "other form",
        Relation(c, "<=", beta / (2 * (1 + theta))),
        "the same as √((G - c)² + s²) ≥ 2c at G = β - c; for 'nor a small one' only",
    ),
    Inequality(
        "β against 2θc*",
        Relation(half**2, ">=", (2 * theta * best) ** 2),
        "(1 + 2θ)² = 4θ(1 + θ) + 1",
        ("normalized radius", "best threshold", "θ below 1"),
        certificate=s**2 / (4 * (1 - theta) * (1 + theta)),
    ),
    Inequality(
        "nor a small one",
        Relation(beta - c, ">=", 2 * theta * best),
        "under 'other form' β - c is at least the root of the left side before",
        ("other form", "β against 2θc*"),
        certificate=(
            beta / (2 * (1 + theta)) - c,
            (half**2 - (2 * theta * best) ** 2) / (half + 2 * theta * best),
        ),
    ),
    Axiom(
        "clean ones win at α = 1",
        Relation(p - (1 - p), ">", sp.S.Zero),
        "b < ln(2)/λ, for α = 1",
    ),
    Identity(
        "against the normalized rule",
        Relation(
            sp.Subs(radius, alpha, 1),
            "=",
            sp.sqrt(1 - clean_probability) * sp.Subs(normalized, alpha, 1),
        ),
        "at α = 1",
        ("clean ones win at α = 1", "some draggers", "clean probability"),
    ),
)


claim = Claim(
    name="optimal_threshold",
    part="What is best possible",
    title="the best fixed clipping threshold, and the bias radius that it leaves",
    kind="upper bound, tight at b = 1",
    summary="at c* = s/(2√(θ(1-θ))) the rule `fixed` rests only where G ≤ s√(θ/(1-θ))",
    assumptions=(
        A3.variant(f"{A3.statement} > 0"),
        A4.variant(
            "for this rule: E[⟨e, ψ(g)⟩ | contaminated] ≥ -αc, α > 0; "
            "α = 1 always holds"
        ),
        NOISE,
        Assumption("b < ln(1 + 1/α)/λ, the breakdown; there θ = α(1-p)/p < 1"),
        Assumption(
            "rule: fixed, at the threshold c* = s/(2√(θ(1-θ))), which needs ε, σ and α"
        ),
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "threshold": threshold,
        "bias_radius": radius,
        "normalized_radius": normalized,
        "gain": sp.Piecewise(
            (sp.sqrt(push / (clean_probability + push)), margin_of_size > 0),
            (sp.nan, True),
        ),
    },
    shown={
        "threshold": "threshold in the parameters",
        "bias_radius": "in the parameters",
        "normalized_radius": "normalized radius",
        "gain": Shown("gain", power=2),
    },
    uses=("huber_lemma", "bias_radius"),
    attained=(
        "at b = 1: clean gradients 2c* with probability θ, else 0, and a "
        "push straight back"
    ),
    figure="threshold",
    agreement=("test_sizes",),
    remarks=(
        "'no better threshold' compares certificates; 'nor a small one' points of rest",
    ),
)
