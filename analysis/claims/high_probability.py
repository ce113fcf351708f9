"""The averaged guarantee for a single run: with probability 1 - q, for ln(1/q) more.

Mean averages over the steps t = 0, …, T-1 of one run, and is itself random. A share ζ
of the margin pays for the deviations of the mean direction from its expectation.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.averaged_guarantee import beyond, linear_drift, speed
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.setting import (
    clean_probability,
    drift,
    margin_of_size,
    progress,
    pull,
    square,
)
from analysis.proof.assumptions import A0, A1, A2, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import Mean, Quantile, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
)
from analysis.proof.symbols import (
    B,
    Delta,
    G,
    L,
    T,
    b,
    gamma,
    kappa,
    m,
    p,
    q,
    s,
    sigma,
    zeta,
)
from analysis.proof.values import Shown, sideways

surprise = sp.Symbol("surprise", real=True)
log_one, log_growth = sp.symbols("log_one log_growth", real=True)
first_gradient = sp.Symbol("G_0", nonnegative=True)
start, steepest, vartheta, unspent = sp.symbols(
    "G_1 G_max vartheta kept", positive=True
)
any_split, best = sp.symbols("zeta_0 zeta_star", positive=True)
fixed, shared = sp.symbols("a_0 a_1", positive=True)

deviation = speed * (1 + 1 / sp.sqrt(T)) * sp.log(1 / q) * b / (2 * margin_of_size * B)
bias = clean_probability * sigma / sp.sqrt(b)
bound = (speed + bias + deviation / zeta) / ((1 - zeta) * margin_of_size)
before = progress / gamma + L * gamma / 2 + p * s + surprise / vartheta
one_step = before / (unspent * kappa)
total = Delta / (gamma * T) + L * gamma / 2 + p * s + sp.log(1 / q) / (vartheta * T)
any_step = total / (unspent * kappa)

statement = Relation(Quantile(Mean(G), 1 - q), "<=", bound)
terms = {
    "Mean": "the mean over the steps 0, …, T-1 of one run",
    "Quantile": "over runs: P(Mean[G] ≤ right side) ≥ 1 - q",
}
VARYING = (
    progress,
    surprise,
    G,
    pull,
    drift,
    square,
    log_one,
    log_growth,
    first_gradient,
)  # along a run

steps = (
    *linear_drift,
    Definition("micro-batches", Relation(m, "=", B / b), "in a mini-batch"),
    Axiom("split", Relation(1 - zeta, ">", sp.S.Zero), "0 < ζ < 1"),
    Definition(
        "kept",
        Relation(unspent, "=", 1 - zeta),
        "what ζ leaves of the margin",
        ("split",),
    ),
    Axiom(
        "step size",
        Relation(gamma, "=", sp.sqrt(2 * Delta / (L * T))),
        "that of the mean",
    ),
    setting.descent(
        gamma,
        (
            "progress = f(w_t) - f(w_{t+1}), pull = ⟨∇f, ū⟩, square = "
            "‖ū‖², all of this run"
        ),
    ),
    setting.unit_vectors,
    Axiom(
        "first gradient",
        Relation(first_gradient**2, "<=", 2 * L * Delta),
        "G_0; f* ≤ f(w_0 - ∇f(w_0)/L) ≤ f(w_0) - G_0²/(2L)",
        axiom="smoothness",
    ),
    Definition(
        "start",
        Relation(start, "=", sp.sqrt(2 * L * Delta)),
        "the largest first gradient",
    ),
    Inequality(
        "first gradient is bounded",
        Relation(first_gradient, "<=", start),
        "both are not negative",
        ("first gradient", "start"),
        certificate=(2 * L * Delta - first_gradient**2) / (first_gradient + start),
    ),
    Axiom(
        "later gradients",
        Relation(G, "<=", first_gradient + L * gamma * T),
        "T steps of length γ at most; ‖∇f(v) - ∇f(w)‖ ≤ L‖v - w‖ (A2)",
    ),
    Definition(
        "steepest",
        Relation(steepest, "=", start * (1 + sp.sqrt(T))),
        "a bound on every G_t",
    ),
    Inequality(
        "never steeper",
        Relation(G, "<=", steepest),
        "LγT = √(2LΔT)",
        (
            "later gradients",
            "first gradient is bounded",
            "steepest",
            "start",
            "step size",
        ),
        certificate=(first_gradient + L * gamma * T - G, start - first_gradient),
    ),
    Definition(
        "scale",
        Relation(vartheta, "=", 2 * m * zeta * kappa / steepest),
        "of the exponent, ϑ",
    ),
    Axiom(
        "one micro-batch",
        Relation(log_one, "<=", (vartheta / m) ** 2 * (2 * G) ** 2 / 8),
        (
            "log_one = ln E[e^{(ϑ/m)(E X - X)} | w_t], X = ⟨∇f, u⟩ of one "
            "micro-batch, -G ≤ X ≤ G"
        ),
        axiom="Hoeffding",
    ),
    Axiom(
        "all of them",
        Relation(log_growth, "=", m * log_one),
        "log_growth = ln E[e^{ϑ(drift - pull)} | w_t]: given w_t the pull is the mean "
        "of m independent such X, whatever was drawn before",
        axiom="fresh mini-batches",
    ),
    Inequality(
        "paid by the margin",
        Relation(log_growth / vartheta, "<=", zeta * kappa * G),
        "ϑG²/(2m) ≤ ζκG since G ≤ G_max",
        ("one micro-batch", "all of them", "scale", "never steeper"),
        certificate=(
            m * ((vartheta / m) ** 2 * (2 * G) ** 2 / 8 - log_one) / vartheta,
            zeta * kappa * G * (steepest - G) / steepest,
        ),
    ),
    Definition(
        "surprise",
        Relation(surprise, "=", vartheta * (drift - pull) - log_growth),
        "by the definition of log_growth, E[e^surprise | w_t] = 1",
    ),
    Inequality(
        "margin that is left",
        Relation(unspent * kappa * G, "<=", before),
        "the descent, the drift bound and the surprise together",
        (
            *("descent", "mean of unit vectors", "linear drift bound", "surprise"),
            *("paid by the margin", "kept"),
        ),
        certificate=(
            (progress - gamma * pull + L * gamma**2 * square / 2) / gamma,
            L * gamma * (1 - square) / 2,
            drift - kappa * G + p * s,
            zeta * kappa * G - log_growth / vartheta,
        ),
    ),
    Inequality(
        "one step",
        Relation(G, "<=", one_step),
        "solved for G",
        ("margin that is left",),
        certificate=(before - unspent * kappa * G) / (unspent * kappa),
    ),
    Averaged(
        "average",
        Relation(Mean(G), "<=", Mean(one_step)),
        "over the steps",
        ("one step",),
    ),
    setting.total_progress(Mean),
    Axiom(
        "total surprise",
        Relation(Mean(surprise), "<=", sp.log(1 / q) / T),
        "for every run in an event of probability 1 - q at least: e^(sum of the "
        "surprises so far) is a supermartingale that starts at 1, so it exceeds 1/q "
        "with probability q at most",
        axiom="supermartingale",
    ),
    Expectation(
        "total",
        Relation(Mean(one_step), "<=", any_step),
        "affine in the two",
        ("total progress", "total surprise"),
        random=VARYING,
    ),
    Identity(
        "closed form",
        Relation(any_step, "=", bound),
        "the two terms with γ are equal",
        (
            *("scale", "steepest", "start", "step size", "micro-batches", "margin"),
            *("noise", "clean probability", "kept"),
        ),
    ),
    Axiom(
        "quantile",
        Relation(Quantile(Mean(G), 1 - q), "<=", Mean(G)),
        "of the runs in that event this one has the largest mean of G; what no run in "
        "an event of probability 1 - q exceeds is at least the quantile",
        axiom="probability",
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("quantile", "average", "total", "closed form"),
    ),
)

bound_at = (fixed + shared / any_split) / (1 - any_split)

witness = (
    Axiom("another split", Relation(1 - any_split, ">", sp.S.Zero), "0 < ζ₀ < 1"),
    Definition(
        "best split",
        Relation(best, "=", shared / (shared + sp.sqrt(shared * (shared + fixed)))),
        "ζ*, where κ times the bound is (a₀ + a₁/ζ)/(1 - ζ)",
    ),
    Identity(
        "optimality",
        Relation(fixed, "=", shared * (1 - 2 * best) / best**2),
        "the derivative in ζ vanishes at ζ*",
        ("best split",),
    ),
    Inequality(
        "less than all",
        Relation(1 - best, ">", sp.S.Zero),
        "ζ* < 1",
        ("best split",),
        certificate=sp.sqrt(shared * (shared + fixed))
        / (shared + sp.sqrt(shared * (shared + fixed))),
    ),
    Inequality(
        "no better split",
        Relation(bound_at, ">=", bound_at.subs(any_split, best)),
        "for every ζ₀: a square",
        ("another split", "optimality", "less than all"),
        certificate=shared
        * (any_split - best) ** 2
        / (best**2 * any_split * (1 - any_split)),
    ),
)


_best = deviation / (deviation + sp.sqrt(deviation * (deviation + speed + bias)))

claim = Claim(
    name="high_probability",
    part="How fast it gets there",
    title=(
        "the mean gradient norm of the normalized rule in a single run, "
        "with probability 1 - q"
    ),
    kind="upper bound",
    summary="the same for a single run, with probability 1 - q, up to a term ln(1/q)/m",
    assumptions=(
        A0,
        A1,
        A2,
        *radius_claim.assumptions,
        Assumption("m = B/b is a positive integer"),
        Assumption("step size γ = √(2Δ/(LT)); 0 < q < 1 and 0 < ζ < 1"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "probable_bound": sp.Piecewise(
            (sideways(beyond(bound)), b <= B), (sp.nan, True)
        ),
        "best_split": sp.Piecewise((sideways(beyond(_best)), b <= B), (sp.nan, True)),
        "step_size": sp.sqrt(2 * Delta / (L * T)),
    },
    shown={
        "probable_bound": "conclusion",
        "best_split": Shown("best split", {fixed: speed + bias, shared: deviation}),
        "step_size": "step size",
    },
    random=VARYING,
    uses=("drift",),
    figure="horizon",
    agreement=("test_runs",),
    remarks=(
        "the statement is one about a probability: P((1/T) Σ G_t ≤ bound) ≥ 1 - q, the "
        "sum over the steps t = 0, …, T-1 of one run",
    ),
)
