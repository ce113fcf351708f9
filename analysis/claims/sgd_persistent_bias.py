"""SGD under draggers that agree: a bias that grows with their norm, without end.

A sample's gradient is ∇f + ξ, or with probability ε a dragger's d, whose mean d̄ does
not vanish; ḡ is the mean of B of them.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.setting import benign, progress, pull, square
from analysis.proof.assumptions import A0, A1, A2, NOISE, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
)
from analysis.proof.symbols import (
    B,
    D,
    D_bar,
    Delta,
    G,
    L,
    T,
    alpha,
    epsilon,
    eta,
    sigma,
)

product = sp.Symbol("product", real=True)
push = sp.Symbol("push", nonnegative=True)
gain, K, N, rms, at_rest = sp.symbols("gain K N rms G_rest", positive=True)

share = 1 - epsilon
noise = (B - 1) / B * (epsilon * D_bar) ** 2 + (share * sigma**2 + epsilon * D**2) / B
left = 1 - L * eta * share * (B - 1) / B
slowed = share * (1 - L * eta * (share + epsilon / B) / 2)
offset = Delta / (eta * T) + L * eta * noise / 2
pushed = alpha * epsilon * D_bar * left
bound = (pushed + sp.sqrt(pushed**2 + 4 * slowed * offset)) / (2 * slowed)
limit = alpha * epsilon * D_bar / share

one_sample = benign * (G**2 + sigma**2) + epsilon * D**2
mean_square = benign**2 * G**2 + 2 * epsilon * benign * product + (epsilon * D_bar) ** 2
remainder = 1 - L * eta * benign * (B - 1) / B
one_step = (push * G + progress / eta + L * eta * N / 2) / gain
averaged = (push * rms + Delta / (eta * T) + L * eta * N / 2) / gain
root = (push + sp.sqrt(push**2 + 4 * gain * K)) / (2 * gain)

statement = Relation(rms, "<=", bound)
terms = {
    "rms": "the root mean square of G over the run",
}

steps = (
    setting.not_all_draggers,
    setting.at_least_one_sample,
    setting.short_step,
    setting.share,
    Definition(
        "noise",
        Relation(N, "=", noise),
        "what is left of E‖ḡ‖² at G = 0",
        ("not all draggers", "at least one sample"),
    ),
    Axiom(
        "second moment",
        Relation(square, "<=", mean_square * (B - 1) / B + one_sample / B),
        "square = E[‖ḡ‖² | w] = ‖E ḡ‖² (B-1)/B + E‖g‖²/B for B samples g, where "
        "E ḡ = (1-ε)∇f + εd̄, ‖d̄‖ ≤ Dbar, E‖d‖² ≤ D²; product = ⟨∇f, d̄⟩",
        axiom="independence",
    ),
    Axiom(
        "no more than straight back",
        Relation(product, ">=", -alpha * D_bar * G),
        "draggers",
    ),
    Axiom(
        "mean gradient",
        Relation(pull, "=", benign * G**2 + epsilon * product),
        (
            "pull = E[⟨∇f, ḡ⟩ | w_t]; given w_t, E ξ = 0 for a benign sample and E "
            "d = d̄ for a dragger"
        ),
        axiom="fresh mini-batches",
    ),
    setting.sgd_descent,
    Inequality(
        "weight of the draggers",
        Relation(remainder, ">", sp.S.Zero),
        "a share of the step is lost to the curvature, less than all of it",
        ("share", "short step", "at least one sample"),
        certificate=(1 - L * eta, L * eta * (epsilon + benign / B)),
    ),
    Definition(
        "push",
        Relation(push, "=", alpha * epsilon * D_bar * remainder),
        "how strongly the draggers hold against the gradient",
        ("weight of the draggers",),
    ),
    Inequality(
        "weight of the gradient",
        Relation(benign * (1 - L * eta * (benign + epsilon / B) / 2), ">", sp.S.Zero),
        "at most half is lost",
        ("share", "short step", "at least one sample"),
        certificate=(
            benign / 2,
            benign * (1 - L * eta) / 2,
            benign * L * eta * epsilon * (B - 1) / (2 * B),
        ),
    ),
    Definition(
        "gain",
        Relation(gain, "=", benign * (1 - L * eta * (benign + epsilon / B) / 2)),
        "how strongly the gradient pulls",
        ("weight of the gradient",),
    ),
    Inequality(
        "one step",
        Relation(G**2, "<=", one_step),
        "the descent, solved for G²",
        (
            *(
                "descent",
                "mean gradient",
                "second moment",
                "no more than straight back",
            ),
            *("weight of the draggers", "push", "gain", "noise", "share"),
        ),
        certificate=(
            (progress - eta * pull + L * eta**2 * square / 2) / (eta * gain),
            L
            * eta
            * (mean_square * (B - 1) / B + one_sample / B - square)
            / (2 * gain),
            epsilon * remainder * (product + alpha * D_bar * G) / gain,
        ),
    ),
    setting.over_the_run(G**2, one_step),
    Axiom("root mean square", Relation(E(G**2), "=", rms**2), "a name"),
    Axiom("mean", Relation(E(G), "<=", rms), "(E G)² ≤ E G²", axiom="Jensen"),
    setting.total_progress(E),
    Expectation(
        "mean progress",
        Relation(E(one_step), "<=", averaged),
        "affine in G and the progress",
        ("mean", "total progress"),
        random=(progress, G, product, pull, square),
    ),
    Chain(
        "mean square",
        Relation(E(G**2), "<=", averaged),
        "transitivity",
        ("average", "mean progress"),
    ),
    Definition(
        "K", Relation(K, "=", Delta / (eta * T) + L * eta * N / 2), "start and noise"
    ),
    Inequality(
        "quadratic in the root",
        Relation(gain * rms**2 - push * rms, "<=", K),
        "multiplied by the gain",
        ("mean square", "root mean square", "K"),
        certificate=gain * (averaged - E(G**2)),
    ),
    Inequality(
        "its larger zero",
        Relation(rms, "<=", root),
        "the quadratic is positive beyond it; its other zero is not positive",
        ("quadratic in the root",),
        certificate=(K - gain * rms**2 + push * rms)
        / (gain * rms + 2 * gain * K / (push + sp.sqrt(push**2 + 4 * gain * K))),
    ),
    Inequality(
        "left of the gradient",
        Relation(1 - L * eta * (share + epsilon / B) / 2, ">", sp.S.Zero),
        "the gain without its factor",
        ("short step", "at least one sample"),
        certificate=(
            sp.S.Half,
            (1 - L * eta) / 2,
            L * eta * epsilon * (B - 1) / (2 * B),
        ),
    ),
    Identity(
        "in the parameters",
        Relation(root, "=", bound),
        "definitions",
        (
            "push",
            "gain",
            "K",
            "noise",
            "share",
            "not all draggers",
            "left of the gradient",
        ),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("its larger zero", "in the parameters"),
    ),
)

witness = (
    Inequality(
        "simple form",
        Relation(rms, "<=", push / gain + sp.sqrt(K / gain)),
        "bias and rate apart",
        ("quadratic in the root",),
        certificate=(
            (K - gain * rms**2 + push * rms) / (gain * rms + sp.sqrt(gain * K)),
            push * sp.sqrt(gain * K) / (gain * (gain * rms + sp.sqrt(gain * K))),
        ),
    ),
    Identity(
        "small steps",
        Relation(sp.Subs(pushed / slowed, eta, 0), "=", limit),
        "the bias as η → 0",
        ("not all draggers", "left of the gradient"),
    ),
    Axiom(
        "at rest",
        Relation(benign * at_rest - epsilon * D_bar, "=", sp.S.Zero),
        "α = 1: G = G_rest where all draggers are d̄, straight back, and E ḡ = 0",
    ),
    Identity(
        "attained by a quadratic",
        Relation(at_rest, "=", limit.subs(alpha, 1)),
        "its SGD has this point of rest at every step size",
        ("at rest", "share", "not all draggers"),
    ),
)


claim = Claim(
    name="sgd_persistent_bias",
    part="Against SGD",
    title="the root mean square gradient norm of SGD when the draggers agree",
    kind="upper bound, tight",
    summary="SGD, draggers that agree: a bias αε‖E d‖/(1-ε) that grows without limit",
    assumptions=(
        A0,
        A1,
        A2,
        setting.SOME_BENIGN,
        NOISE,
        Assumption(
            "draggers: d̄ = E[d | w] has ‖d̄‖ ≤ Dbar and ⟨d̄, ∇f⟩ ≥ -α Dbar G; "
            "E‖d‖² ≤ D², Dbar ≤ D"
        ),
        Assumption("rule: sgd with a step size η ≤ 1/L"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "gradient_bound": sp.Piecewise(
            (bound, sp.And(L * eta <= 1, D_bar <= D)), (sp.nan, True)
        ),
        "small_step_bias": sp.Piecewise((limit, D_bar <= D), (sp.nan, True)),
    },
    shown={"gradient_bound": "conclusion", "small_step_bias": "small steps"},
    random=(progress, G, product, pull, square),
    attained=(
        "as T and B → ∞: a quadratic, all draggers d̄ straight back, any step size"
    ),
    figure="dragger_strength",
    agreement=("test_runs",),
    remarks=("rms² is the mean of G² over the run and over its steps 0, …, T-1",),
)
