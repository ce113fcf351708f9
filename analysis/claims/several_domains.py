"""Several domains: mixed micro-batches average their differences, pure cannot.

f = Σ π_k f_k. A micro-batch is mixed when each of its samples has a domain of its own,
and pure when all come from one domain, as with one domain per accelerator core.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import at_rest, beta, radius
from analysis.claims.setting import clean_probability, margin_of_size, push, spread
from analysis.proof.assumptions import A3, A4, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import G, alpha, b, kappa, p, s, sigma, sigma_w, tau
from analysis.proof.values import sideways

within, between = sp.symbols("within between", nonnegative=True)
share, distance = sp.symbols("pi_2 Delta_o", positive=True)
gap = sp.Symbol("gap", nonnegative=True)
w = sp.Symbol("w", positive=True)

factor = sp.sqrt(clean_probability + push) / sp.sqrt(margin_of_size)
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
    Axiom(
        "some noise",
        Relation(sigma_w**2 / b + tau**2, ">", sp.S.Zero),
        "else nothing is noisy",
    ),
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
        (
            "two sources",
            "within a domain",
            "between domains",
            "noise of a pure micro-batch",
        ),
        certificate=sigma_w**2 / b - within,
    ),
    *at_rest,
    Identity(
        "in the parameters",
        Relation(beta, "=", pure),
        "definitions",
        (
            "radius",
            "margin",
            "noise of a pure micro-batch",
            "clean probability",
            "p at most 1",
            "some noise",
        ),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("stationary points", "in the parameters"),
    ),
)

witness = (
    Axiom("at least one sample", Relation(b, ">=", sp.S.One), "b ≥ 1"),
    Axiom(
        "noise of mixed ones",
        Relation(sigma, "=", sp.sqrt(sigma_w**2 + tau**2)),
        "in σ",
    ),
    Identity(
        "radius of mixed ones",
        Relation(radius, "=", mixed),
        "bias_radius, its noise that within and between domains",
        ("noise of mixed ones", "p at most 1", "margin", "clean probability"),
    ),
    Identity(
        "mixed micro-batches",
        Relation(pure**2 - mixed**2, "=", tau**2 * (1 - 1 / b) * factor**2),
        (
            "mixed: σ² = σ_w² + τ² in bias_radius; the same at b = 1, larger "
            "for every other size"
        ),
        ("p at most 1", "margin", "clean probability", "some noise"),
    ),
    Inequality(
        "no size removes the spread",
        Relation(factor**2, ">=", sp.S.One),
        "so the pure radius is never below τ",
        ("below the breakdown", "p at most 1", "margin", "clean probability"),
        certificate=2 * alpha * (1 - p) / kappa,
    ),
    Axiom("not all", Relation(1 - share, ">", sp.S.Zero), "π_2 < 1/2"),
    Axiom(
        "two noiseless domains",
        Relation(gap, "=", share * distance),
        "f_k = ‖w - o_k‖²/2, no draggers; each micro-batch gradient is w - o_1 or w - "
        "o_2, their majority is at rest at o_1, where gap = ‖∇f‖ = ‖o_1 - Σ π_k o_k‖ "
        "and Δ_o = ‖o_1 - o_2‖",
        axiom="median",
    ),
    Axiom(
        "their spread",
        Relation(tau, "=", sp.sqrt((1 - share) * share) * distance),
        "τ² = π_1‖∇f_1 - ∇f‖² + π_2‖∇f_2 - ∇f‖²",
        ("not all",),
    ),
    Axiom("minority", Relation(1 - 2 * share, ">", sp.S.Zero), "π_2 < 1/2"),
    Inequality(
        "they stay below the radius",
        Relation(gap**2, "<=", tau**2),
        "with equality as π_2 → 1/2",
        ("two noiseless domains", "their spread", "minority", "not all"),
        certificate=share * distance**2 * (1 - 2 * share),
    ),
    Definition(
        "rarer domain",
        Relation(w, "=", kappa / (2 * p)),
        (
            "with draggers: its weight π_1 when the rule may rest at its o_1, "
            "so ‖∇f‖ = (1 - w)Δ_o"
        ),
    ),
    Identity(
        "it balances the push",
        Relation(p * (1 - w) - p * w, "=", alpha * (1 - p)),
        "just before o_1, where its micro-batches point back",
        ("rarer domain", "margin"),
    ),
    Identity(
        "with draggers",
        Relation(((1 - w) * distance) ** 2, "=", w * (1 - w) * distance**2 * factor**2),
        "τ² = w(1 - w)Δ_o²: the radius is attained at σ_w = 0, for every b, ε and α",
        ("rarer domain", "margin", "clean probability"),
    ),
)


claim = Claim(
    name="several_domains",
    part="Where the rule comes to rest",
    title="one domain per micro-batch: the spread between domains stays",
    kind="upper bound, tight for noiseless domains",
    summary="one domain for each micro-batch: noise σ_w²/b + τ², and no size removes τ",
    assumptions=(
        A3.variant(
            "each sample is a dragger with probability ε, independently of the others "
            "and of the micro-batch's domain"
        ),
        A4,
        Assumption(
            "a clean micro-batch comes from one domain, k with probability π_k; given "
            "k its samples are i.i.d. with mean ∇f_k and noise E ξ = 0, E‖ξ‖² ≤ σ_w²"
        ),
        setting.BELOW_BREAKDOWN,
        setting.NORMALIZED,
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"pure_radius": sideways(pure), "mixed_radius": sideways(mixed)},
    shown={"pure_radius": "in the parameters", "mixed_radius": "radius of mixed ones"},
    uses=("drift",),
    about=("bias_radius",),
    attained=(
        "σ_w = 0, any b: two domains, the rarer one with weight κ/(2p), and pushes of "
        "strength α; without draggers as π_2 → 1/2"
    ),
    figure="domains",
    agreement=("test_sizes",),
    remarks=(
        "this is a limitation: where micro-batches are domain-pure, "
        "clipping cannot go below τ",
    ),
)
