"""SGD under draggers that average out: no bias, a slow rate growing with them.

A sample's gradient is ∇f + ξ, or with probability ε a dragger's d; ḡ is the mean of B
of them.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.setting import benign, progress, pull, square
from analysis.proof.assumptions import A0, A1, A2, NOISE, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
)
from analysis.proof.symbols import B, D, Delta, G, L, T, epsilon, eta, sigma
from analysis.proof.values import Shown

V = sp.Symbol("V", positive=True)
h = sp.Symbol("h", positive=True)
mean = sp.Symbol("mean_G", nonnegative=True)

variance = ((1 - epsilon) * sigma**2 + epsilon * D**2) / B
benign_second = benign * (G**2 + sigma**2)
sample = ((benign * G) ** 2) + (benign_second + epsilon * D**2 - (benign * G) ** 2) / B
second = benign**2 * G**2 + epsilon * benign * G**2 / B + V
one_step = (2 * progress / eta + L * eta * V) / benign
any_step = (2 * Delta / (eta * T) + L * eta * V) / benign
in_steps = (2 * Delta / T * (L + 1 / h) + L * h * V) / benign
bound = (2 * L * Delta / T + 2 * sp.sqrt(2 * L * Delta * variance / T)) / (1 - epsilon)

kept = sp.Symbol("kept", positive=True)
sharper_step = (progress / eta + L * eta * V / 2) / kept
sharper = (Delta / (eta * T) + L * eta * V / 2) / kept

statement = Relation(E(G**2), "<=", bound)

steps = (
    setting.not_all_draggers,
    setting.at_least_one_sample,
    setting.share,
    Definition(
        "variance",
        Relation(V, "=", variance),
        "the part of the noise that does not vanish with G",
        ("not all draggers",),
    ),
    Axiom(
        "mean gradient",
        Relation(pull, "=", benign * G**2),
        (
            "pull = E[⟨∇f, ḡ⟩ | w_t]; given w_t, E ξ = 0 for a benign sample and E "
            "d = 0 for a dragger"
        ),
        axiom="fresh mini-batches",
    ),
    Axiom(
        "second moment",
        Relation(square, "<=", sample),
        "square = E[‖ḡ‖² | w_t] = ‖E ḡ‖² + the variance of one sample over B, which is "
        "(1-ε)E‖∇f + ξ‖² + εE‖d‖² less ‖E ḡ‖²",
        axiom="independence",
    ),
    Identity(
        "in G and V",
        Relation(sample, "=", second),
        "collected",
        ("variance", "share"),
    ),
    Inequality(
        "coarser",
        Relation(second, "<=", benign * G**2 + V),
        "(1-ε)² + ε(1-ε)/B ≤ 1-ε, with equality at B = 1",
        ("share", "at least one sample"),
        certificate=epsilon * benign * G**2 * (B - 1) / B,
    ),
    Chain(
        "growth",
        Relation(square, "<=", benign * G**2 + V),
        "transitivity",
        ("second moment", "in G and V", "coarser"),
    ),
    setting.sgd_descent,
    setting.short_step,
    Inequality(
        "one step",
        Relation(G**2, "<=", one_step),
        "the descent, solved for G²",
        ("descent", "mean gradient", "growth", "short step"),
        certificate=(
            2 * (progress - eta * pull + L * eta**2 * square / 2) / (eta * benign),
            L * eta * (benign * G**2 + V - square) / benign,
            (1 - L * eta) * G**2,
        ),
    ),
    setting.over_the_run(G**2, one_step),
    setting.total_progress(E),
    Expectation(
        "mean progress",
        Relation(E(one_step), "<=", any_step),
        "affine in the progress",
        ("total progress",),
        random=(progress, G, pull, square),
    ),
    Definition(
        "other step",
        Relation(h, "=", sp.sqrt(2 * Delta / (L * V * T))),
        "the best step if it is short",
    ),
    Axiom("step size", Relation(eta, "=", sp.Min(1 / L, h)), "the shorter of two"),
    Axiom("not longer", Relation(eta, "<=", h), "η = min(1/L, h)"),
    Axiom(
        "one of the two",
        Relation((1 - L * eta) * (h - eta), "=", sp.S.Zero),
        "η = min(1/L, h)",
    ),
    Inequality(
        "not much shorter",
        Relation(1 / eta, "<=", L + 1 / h),
        "it is one of the two",
        ("one of the two",),
        certificate=L * eta / h,
    ),
    Inequality(
        "either step",
        Relation(any_step, "<=", in_steps),
        "increasing in η and in 1/η",
        ("not longer", "not much shorter", "step size"),
        certificate=(
            2 * Delta * (L + 1 / h - 1 / eta) / (T * benign),
            L * V * (h - eta) / benign,
        ),
    ),
    Identity(
        "closed form",
        Relation(in_steps, "=", bound),
        "the two terms with h are equal",
        ("other step", "variance", "share", "not all draggers"),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("average", "mean progress", "either step", "closed form"),
    ),
)

witness = (
    Axiom("mean", Relation(E(G), "=", mean), "a name"),
    Axiom(
        "convexity",
        Relation(mean**2, "<=", E(G**2)),
        "(E G)² ≤ E G², the square is convex",
        ("mean",),
        axiom="Jensen",
    ),
    Chain(
        "mean gradient norm",
        Relation(mean**2, "<=", bound),
        "E G falls like T^(-1/4), with a constant that grows with D",
        ("convexity", "conclusion"),
    ),
    Inequality(
        "more than half",
        Relation(1 - L * eta / 2, ">", sp.S.Zero),
        "η ≤ 1/L",
        ("short step",),
        certificate=(1 - L * eta, L * eta / 2),
    ),
    Definition(
        "kept",
        Relation(kept, "=", (1 - L * eta / 2) * benign),
        "of the pull, after the curvature's share",
        ("more than half",),
    ),
    Inequality(
        "one step, sharper",
        Relation(G**2, "<=", sharper_step),
        "the descent again, without 1 - Lη/2 ≥ 1/2",
        ("descent", "mean gradient", "growth", "kept"),
        certificate=(
            (progress - eta * pull + L * eta**2 * square / 2) / (eta * kept),
            L * eta * (benign * G**2 + V - square) / (2 * kept),
        ),
    ),
    Averaged(
        "average, sharper",
        Relation(E(G**2), "<=", E(sharper_step)),
        "over the run",
        ("one step, sharper",),
    ),
    Expectation(
        "mean progress, sharper",
        Relation(E(sharper_step), "<=", sharper),
        "affine in the progress",
        ("total progress",),
        random=(progress, G, pull, square),
    ),
    Axiom("short best step", Relation(eta, "=", h), "h ≤ 1/L: T is large enough"),
    Identity(
        "its two terms",
        Relation(sharper, "=", sp.sqrt(2 * L * Delta * V / T) / kept),
        "are equal",
        ("short best step", "other step"),
    ),
    Chain(
        "with that short step",
        Relation(E(G**2), "<=", sp.sqrt(2 * L * Delta * V / T) / kept),
        "half of the bound as T → ∞, and by sgd_lower_bound no constant step has less",
        ("average, sharper", "mean progress, sharper", "its two terms"),
    ),
)


claim = Claim(
    name="sgd_rate",
    part="Against SGD",
    title=(
        "the squared gradient norm of SGD, averaged over T steps, "
        "draggers averaging out"
    ),
    kind="upper bound",
    summary=(
        "SGD, draggers of mean zero: the mean of G² is at most "
        "[2LΔ/T + 2√(2LΔV/T)]/(1-ε)"
    ),
    assumptions=(
        A0,
        A1,
        A2,
        setting.SOME_BENIGN,
        NOISE,
        Assumption(
            "draggers: E[d | w] = 0 and E‖d‖² ≤ D² "
            "(sgd_persistent_bias has no such mean)"
        ),
        Assumption(
            "rule: sgd, step size η = min(1/L, √(2Δ/(LVT))), V = ((1-ε)σ² + εD²)/B"
        ),
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "squared_bound": bound,
        "gradient_bound": sp.sqrt(bound),
        "learning_rate": sp.Min(1 / L, sp.sqrt(2 * Delta / (L * variance * T))),
    },
    shown={
        "squared_bound": "conclusion",
        "gradient_bound": Shown("conclusion", power=2),
        "learning_rate": "step size",
    },
    random=(progress, G, pull, square),
    figure="rates",
    agreement=("test_runs",),
    remarks=("E is the mean over the run and over its steps 0, …, T-1",),
)
