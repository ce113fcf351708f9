"""What Algorithm 1 pays for the fluctuation of its clipping norm ρ, and what it gains.

Its efficiency over that of the normalized rule, for micro-batch gradients g_j = r_j u_j
at right angles to each other. u is the component of u_1 along ∇f, μ_δ = E u its mean,
and W(t) = E[u; r_1 > t]/μ_δ the tail of the norms, weighted by how well they point.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.m_estimator_identity import S, rho, score, t, u, update
from analysis.claims.m_estimator_identity import r as length
from analysis.proof.assumptions import Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Axiom,
    Chain,
    Definition,
    Earlier,
    Identity,
    Inequality,
)
from analysis.proof.symbols import D, G, b, lam, m, p, update_pull
from analysis.proof.values import Shown

W = sp.Function("W", real=True)
rho2 = sp.Symbol("rho_2", nonnegative=True)
ratio, pulled = sp.symbols("ratio pulled", real=True)
square, normalized = sp.symbols("square normalized", positive=True)
adaptive = sp.Symbol("adaptive", nonnegative=True)
spread, aligned = sp.symbols("spread aligned", nonnegative=True)
least = sp.Symbol("R", positive=True)

tail = sp.Integral(S(t) ** (m - 1) * W(t), (t, 0, sp.oo))
layers = 2 * sp.Integral(t * S(t) ** m, (t, 0, sp.oo))
all_contaminated = (1 - p) ** m
contaminated_bound = (p * G) ** 2 / (update_pull**2 * all_contaminated * least**2)
of_size = {p: sp.exp(-lam * b), least: D / b}

statement = Relation(ratio, "=", pulled**2 / square)
terms = {
    "ratio": "the efficiency of Algorithm 1 over that of the normalized rule",
    "pulled": (
        "∫_0^∞ S^(m-1) W dt, S(t) = P(‖g‖ > t), W(t) = E[⟨e, u⟩; ‖g‖ > t]/E⟨e, u⟩, "
        "u = g/‖g‖ and e the direction of ∇f"
    ),
    "square": "E ρ² = ∫_0^∞ 2tS^m dt, ρ the smallest of m norms",
}

steps = (
    Axiom("several", Relation(m, ">=", sp.S.One), "at least one micro-batch"),
    Earlier(
        "expected update",
        Relation(E(update), "=", E(u * score)),
        "along ∇f; Algorithm 1's direction is ρū",
        claim="m_estimator_identity",
        holding=("smallest norm",),
    ),
    Axiom(
        "pull",
        Relation(pulled, "=", tail),
        "the mean of ρ, weighted by how well a micro-batch points",
        ("several",),
        axiom="name",
    ),
    Axiom(
        "by layers",
        Relation(E(u * score), "=", update_pull * pulled),
        "μ_δ W(t) = E[u; r > t]: the integral up to r as one over all t",
        ("several",),
        axiom="Fubini",
    ),
    Chain(
        "expected pull",
        Relation(E(update), "=", update_pull * pulled),
        "transitivity",
        ("expected update", "by layers"),
    ),
    Axiom(
        "square of the clipping norm",
        Relation(E(rho2), "=", layers),
        "ρ_2 = ρ², and P(ρ > t) = S(t)^m",
        ("several",),
        axiom="layer cake",
    ),
    Axiom("not always zero", Relation(square, "=", layers), "square = E ρ² > 0"),
    Axiom(
        "efficiency of Algorithm 1",
        Relation(adaptive * square / m, "=", E(update) ** 2),
        "E‖ρū‖² = E ρ²/m: at right angles ‖ū‖² = 1/m",
    ),
    Identity(
        "solved",
        Relation(adaptive, "=", m * (update_pull * pulled) ** 2 / square),
        "put in",
        ("efficiency of Algorithm 1", "expected pull"),
    ),
    Axiom(
        "efficiency of the normalized rule",
        Relation(normalized, "=", m * update_pull**2),
        "likewise, with E⟨e, ū⟩ = μ_δ and ‖ū‖² = 1/m",
    ),
    Definition(
        "ratio", Relation(ratio, "=", adaptive / normalized), "of the efficiencies"
    ),
    Identity(
        "conclusion",
        statement,
        "put in",
        ("ratio", "solved", "efficiency of the normalized rule"),
    ),
)

apart = (
    Axiom(
        "direction apart from length",
        Relation(W(t), "=", S(t)),
        "the special case in which u does not depend on ‖g‖",
    ),
    Earlier(
        "mean clipping norm",
        Relation(E(rho), "=", sp.Integral(S(t) ** m, (t, 0, sp.oo))),
        "the mean of ρ",
        claim="m_estimator_identity",
    ),
    Identity(
        "pull of the mean",
        Relation(pulled, "=", E(rho)),
        "S^(m-1) S = S^m",
        ("pull", "direction apart from length", "mean clipping norm", "several"),
    ),
    Axiom(
        "spread of the clipping norm",
        Relation(E(rho) ** 2, "<=", E(rho2)),
        "(E ρ)² ≤ E ρ²",
        axiom="Jensen",
    ),
    Identity(
        "ratio of moments",
        Relation(ratio, "=", E(rho) ** 2 / square),
        "(E ρ)²/E ρ²",
        ("conclusion", "pull of the mean"),
    ),
    Identity(
        "named square",
        Relation(E(rho2), "=", square),
        "E ρ²",
        ("square of the clipping norm", "not always zero", "several"),
    ),
    Inequality(
        "never faster",
        Relation(ratio, "<=", sp.S.One),
        "then the normalized rule is at least as fast",
        ("ratio of moments", "spread of the clipping norm", "named square"),
        certificate=(E(rho2) - E(rho) ** 2) / square,
    ),
)

limits = (
    Axiom(
        "length and alignment",
        Relation((update_pull * pulled) ** 2, "<=", square * aligned),
        "aligned = E k², k = E[⟨e, ū⟩ | norms], and E⟨e, ρū⟩ = E[ρk]",
        axiom="Cauchy-Schwarz",
    ),
    Axiom(
        "independent alignments",
        Relation(aligned, "=", update_pull**2 + spread / m),
        "spread = Var E[⟨e, u⟩ | ‖g‖], of one micro-batch",
        axiom="independence",
    ),
    Inequality(
        "at most",
        Relation(ratio, "<=", 1 + spread / (m * update_pull**2)),
        "what Algorithm 1 can gain where longer micro-batch gradients point better; "
        "attained by SGD (m = 1) where the alignment is proportional to the length",
        ("conclusion", "length and alignment", "independent alignments"),
        certificate=(square * aligned - (update_pull * pulled) ** 2)
        / (update_pull**2 * square),
    ),
    setting.at_most_one,
    Axiom("some contaminated", Relation(1 - p, ">", sp.S.Zero), "there are draggers"),
    Axiom(
        "no help from the contaminated",
        Relation((update_pull * pulled) ** 2, "<=", (p * G) ** 2),
        "given its length a contaminated micro-batch points nowhere on average and a "
        "clean one not back; ρ ≤ ‖g‖ and E[⟨e, g⟩; clean] = pG",
        axiom="total expectation",
    ),
    Axiom(
        "all contaminated",
        Relation(square, ">=", all_contaminated * least**2),
        "with this probability all are, and of length R at least",
        ("some contaminated",),
        axiom="total expectation",
    ),
    Inequality(
        "it vanishes",
        Relation(ratio, "<=", contaminated_bound),
        "like R^-2 as draggers grow: the rare step with all contaminated is too long "
        "for any other to be of a good length",
        (
            "conclusion",
            "no help from the contaminated",
            "all contaminated",
            "some contaminated",
        ),
        certificate=(
            ((p * G) ** 2 - (update_pull * pulled) ** 2)
            / (update_pull**2 * all_contaminated * least**2),
            pulled**2
            * (square - all_contaminated * least**2)
            / (square * all_contaminated * least**2),
        ),
    ),
)
witness = apart + limits

claim = Claim(
    name="rho_fluctuation",
    part="How fast it gets there",
    title="the speed that Algorithm 1 loses to the fluctuation of its clipping norm",
    kind="identity",
    summary=(
        "Algorithm 1's efficiency over the normalized rule's is "
        "(∫S^(m-1)W)²/∫2tS^m; (E ρ)²/E ρ² if directions know no lengths"
    ),
    assumptions=(
        Assumption(
            "the m micro-batch gradients are independent and of one law, at right "
            "angles to each other (many dimensions, signal and common direction "
            "negligible in ‖ū‖²), none of them zero; 0 < E ρ² < ∞ and E⟨e, u⟩ > 0"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"contaminated_bound": contaminated_bound.subs(of_size)},
    shown={"contaminated_bound": Shown("it vanishes", at=of_size)},
    random=(update, u, length, rho, rho2),
    uses=("m_estimator_identity",),
    about=("efficiency",),
    attained="an identity: every law",
    figure="speed",
    agreement=("test_one_step",),
    remarks=(
        "norms with a density like r^(k-1) at 0 have (E ρ)²/E ρ² → Γ(1+1/k)²/Γ(1+2/k) "
        "as m → ∞, whatever else their law: 1/2 at k = 1, π/4 at k = 2, then "
        "1 - π²/(6k²) or so; the mean of b gradients at right angles has k = b times "
        "that of one, and noise in d dimensions has k = d",
        "that limit needs no assumption on W beyond W(0) = 1: the least of many norms "
        "says nothing of one direction",
        "the normalized rule is not always faster: where the alignment is proportional "
        "to the length and k = 2 (least squares, b = 2) the ratio is 4/π = 1.27 at "
        "m = 1, 1.05 at m = 2 and below 1 from m = 3 on",
        "contaminated_bound takes contaminated micro-batches for D/b long or longer, "
        "as draggers of norm D at right angles make them; update_pull is that of the "
        "normalized rule, E⟨e, u⟩",
    ),
)
