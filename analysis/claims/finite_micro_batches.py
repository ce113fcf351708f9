"""Where Algorithm 1 itself can come to rest: its clipping norm lets the draggers in.

Its expected update follows ψ(g) = H(‖g‖) g/‖g‖, H(r) = ∫_0^r P(‖g‖ > t)^(m-1) dt with m
micro-batches (m_estimator_identity). Contaminated ones are as long as H(∞), clean ones
as H(s) or so, and the ratio R_m of the two takes the place of 1 in the margin.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import quoted_noise
from analysis.claims.convexity_lemma import (
    H,
    potential,
    rise_beyond_noise,
    some_score,
)
from analysis.claims.convexity_lemma import pull as scored
from analysis.claims.convexity_lemma import statement as lemma
from analysis.claims.setting import (
    clean,
    clean_probability,
    contaminated,
    push,
)
from analysis.proof.assumptions import A3, A4, NOISE, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Definition, Earlier, Identity, Inequality
from analysis.proof.symbols import G, R_m, alpha, b, m, p, s, sigma
from analysis.proof.values import sideways

usual, longest, far = sp.symbols("H_s H_oo r_0", positive=True)

margin = p - alpha * (1 - p) * R_m
margin_of_size = clean_probability - push * R_m
radius = sigma / sp.sqrt(b) * clean_probability / margin_of_size
leak = (1 - p) ** (m - 1) * (far - s)

statement = Relation(G, "<=", radius)

steps = (
    setting.probability_of_clean,
    setting.noise,
    setting.at_most_one,
    quoted_noise,
    Earlier(
        "convexity lemma",
        lemma,
        (
            "X = ⟨∇f, ψ(g)⟩ of a clean micro-batch; H rises and is concave, as its "
            "slope P^(m-1) falls"
        ),
        ("hypothesis of the lemma",),
        claim="convexity_lemma",
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", E(scored)),
        "clean = E[⟨∇f, ψ(g)⟩ | clean]",
        axiom="inner product",
    ),
    Chain(
        "clean pull",
        Relation(clean, ">=", lemma.rhs),
        "transitivity",
        ("clean case", "convexity lemma"),
    ),
    some_score,
    Definition("usual length", Relation(usual, "=", H(s)), "H(s)", ("some score",)),
    rise_beyond_noise,
    Inequality(
        "linear pull",
        Relation(clean, ">=", usual * (G - s)),
        "a line below the potential",
        ("clean pull", "usual length", "rise beyond s"),
        certificate=(
            clean - (potential(G) - potential(s)),
            (s - G) * H(s) - (potential(s) - potential(G)),
        ),
    ),
    Axiom(
        "contaminated case",
        Relation(contaminated, ">=", -alpha * longest * G),
        (
            "(A4) for this rule; contaminated = E[⟨∇f, ψ(g)⟩ | "
            "contaminated], and ‖ψ‖ ≤ H(∞)"
        ),
    ),
    Definition("ratio", Relation(R_m, "=", longest / usual), "H(∞)/H(s)"),
    *setting.balance("E⟨∇f, ψ(g)⟩"),
    Axiom(
        "the clean ones win", Relation(margin, ">", sp.S.Zero), "else nothing is said"
    ),
    Inequality(
        "clean pull beyond the push",
        Relation(p * usual - alpha * (1 - p) * longest, ">", sp.S.Zero),
        "the same, in units of H(s)",
        ("the clean ones win", "ratio"),
        certificate=usual * margin,
    ),
    Inequality(
        "stationary points",
        Relation(G, "<=", p * s / margin),
        "clean pull and contaminated push balance",
        (
            *("p at most 1", "linear pull", "contaminated case", "ratio"),
            *(
                "two cases",
                "stationarity",
                "the clean ones win",
                "clean pull beyond the push",
            ),
        ),
        certificate=(
            p * (clean - usual * (G - s)) / (usual * margin),
            (1 - p) * (contaminated + alpha * longest * G) / (usual * margin),
        ),
    ),
    Identity(
        "in the parameters",
        Relation(p * s / margin, "=", radius),
        "definitions",
        ("noise", "clean probability", "the clean ones win"),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("stationary points", "in the parameters"),
    ),
)

witness = (
    Axiom("several", Relation(m, ">=", sp.S.One), "at least one micro-batch"),
    Axiom(
        "long draggers",
        Relation(far, ">=", s),
        "contaminated micro-batches have ‖g‖ ≥ r₀",
    ),
    Axiom(
        "no dragger dropped",
        Relation(longest - usual, ">=", leak),
        "∫_s^∞ P(‖g‖ > t)^(m-1) dt, where P(‖g‖ > t) ≥ 1 - p up to r₀",
        ("p at most 1", "several"),
        axiom="layer cake",
    ),
    Axiom(
        "usual length at most s",
        Relation(usual, "<=", s),
        "∫_0^s P(‖g‖ > t)^(m-1) dt, where P ≤ 1",
        axiom="layer cake",
    ),
    Inequality(
        "the ratio grows with the draggers",
        Relation(R_m, ">=", 1 + leak / s),
        "without limit in r₀, but with a factor (1-p)^(m-1): keep m above a handful",
        (
            *("ratio", "long draggers", "no dragger dropped", "usual length at most s"),
            *("p at most 1", "several"),
        ),
        certificate=(
            (longest - usual - leak) / usual,
            (1 - p) ** (m - 1) * (far - s) * (s - usual) / (usual * s),
        ),
    ),
    Axiom(
        "not sideways",
        Relation(alpha, ">", sp.S.Zero),
        "at α = 0 no ratio is too large",
    ),
    Axiom("some draggers", Relation(1 - p, ">", sp.S.Zero), "ε > 0"),
    Inequality(
        "largest ratio",
        Relation(R_m, "<", p / (alpha * (1 - p))),
        "the same as a positive margin",
        ("the clean ones win", "not sideways", "some draggers"),
        certificate=margin / (alpha * (1 - p)),
    ),
    Axiom(
        "clean ones win with R = 1",
        Relation(p - alpha * (1 - p), ">", sp.S.Zero),
        "as R_m ≥ 1",
    ),
    Identity(
        "many micro-batches",
        Relation(sp.Subs(radius, R_m, 1), "=", p * s / (p - alpha * (1 - p))),
        "R_m = 1: the root of the line below the drift of the normalized rule",
        ("noise", "clean probability", "clean ones win with R = 1"),
    ),
)


claim = Claim(
    name="finite_micro_batches",
    part="Where the rule comes to rest",
    title=(
        "the largest gradient at which Algorithm 1 with m "
        "micro-batches can come to rest"
    ),
    kind="upper bound, tight without draggers",
    summary=(
        "Algorithm 1 rests only where G ≤ ps/(p - α(1-p)R_m); R_m grows with "
        "the draggers' norm"
    ),
    assumptions=(
        A3,
        A4.variant(
            "for this rule: E[⟨∇f, ψ(g)⟩ | contaminated] ≥ -αH(∞)G; α = 1 always holds"
        ),
        NOISE,
        Assumption("rule: adaptive (Algorithm 1), m ≥ 2; at rest E ψ(g) = 0"),
        Assumption(
            "R_m = H(∞)/H(s) at the point of rest, or its supremum; α(1-p)R_m < p"
        ),
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "bias_radius": sideways(
            sp.Piecewise((radius, margin_of_size > 0), (sp.nan, True))
        ),
        "largest_ratio": clean_probability / push,
    },
    shown={"bias_radius": "in the parameters", "largest_ratio": "largest ratio"},
    uses=("convexity_lemma", "bias_radius"),
    attained="p = 1, in the limit m → ∞: z = -s or s, the first slightly more likely",
    figure="dragger_strength",
    agreement=("test_radii",),
    remarks=(
        "largest_ratio is the R_m from which on nothing is said; R_m depends on the "
        "law of ‖g‖, so that the bound cannot be computed from ε, σ, D, m and b: "
        "analysis/advice/law_free.py has one",
        (
            "tight without draggers only, where it is s; that ψ is the score: "
            "m_estimator_identity"
        ),
    ),
)
