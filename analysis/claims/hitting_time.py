"""How soon the normalized rule first comes within δ of the bias radius.

Until then every step has a drift of at least h, the drift bound at β + δ, and lowers f
by h²/(2L) on average: a supermartingale, which cannot fall below f*.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import (
    beta,
    factored,
    factored_drift,
    radius,
    radius_of_drift,
)
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.drift import sharp_bound
from analysis.claims.setting import drift, margin_of_size, progress, pull, square
from analysis.proof.assumptions import A0, A1, A2, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import (
    Delta,
    G,
    L,
    alpha,
    b,
    delta,
    gamma,
    kappa,
    p,
    s,
    sigma,
)
from analysis.proof.values import sideways

target = sp.Symbol("r", positive=True)
h = sp.Symbol("h", positive=True)
first_time = sp.Symbol("first", nonnegative=True)

at_target = kappa * target * delta * (2 * beta + delta) / (target**2 + s**2)
size = radius + delta
pull_at_target = (
    margin_of_size * size * delta * (2 * radius + delta) / (size**2 + sigma**2 / b)
)
bound = 2 * L * Delta / pull_at_target**2

statement = Relation(E(first_time), "<=", bound)
terms = {
    "first": "the first step at which G ≤ β + δ",
}

steps = (
    setting.probability_of_clean,
    *setting.independent_noise,
    setting.at_most_one,
    setting.below_breakdown,
    setting.margin,
    radius_of_drift,
    Definition(
        "target", Relation(target, "=", beta + delta), "what G is to come down to"
    ),
    Definition("h", Relation(h, "=", at_target), "the drift bound at r"),
    sharp_bound,
    factored_drift,
    Axiom(
        "not there yet",
        Relation(G, ">", target),
        "the steps before the first t with G ≤ r",
    ),
    Inequality(
        "not inside the radius",
        Relation(G, ">", beta),
        "r > β",
        ("not there yet", "target"),
        certificate=(G - target, delta),
    ),
    Inequality(
        "no weaker further out",
        Relation(factored, ">=", h),
        "the drift bound rises beyond β",
        ("h", "target", "not there yet", "not inside the radius"),
        certificate=kappa
        * (G - target)
        * (
            G**2 * target**2
            + s**2 * (G * target + target**2 + (G - beta) * (G + beta))
            + beta**2 * G * target
        )
        / ((G**2 + s**2) * (target**2 + s**2)),
    ),
    Chain(
        "drift",
        Relation(drift, ">=", h),
        "transitivity",
        ("drift bound", "factored drift", "no weaker further out"),
    ),
    *setting.normalized_descent,
    Axiom(
        "step size",
        Relation(gamma, "=", h / L),
        "half of the largest step that still descends",
    ),
    Inequality(
        "progress",
        Relation(progress, ">=", h**2 / (2 * L)),
        "as long as G > r",
        ("descent", "fresh mini-batch", "mean of unit vectors", "drift", "step size"),
        certificate=(
            progress - gamma * pull + L * gamma**2 * square / 2,
            gamma * (drift - h),
            L * gamma**2 * (1 - square) / 2,
        ),
    ),
    Axiom(
        "stopped",
        Relation(E(first_time) * h**2 / (2 * L), "<=", Delta),
        "first = τ, the first t with G_t ≤ r; by 'progress' f(w_t) - f* + t h²/(2L), "
        "stopped at τ, is a non-negative supermartingale, it starts at Δ and ends "
        "above τ h²/(2L)",
        ("progress",),
        axiom="supermartingale",
    ),
    Inequality(
        "time",
        Relation(E(first_time), "<=", 2 * L * Delta / h**2),
        "h > 0",
        ("stopped",),
        certificate=(Delta - E(first_time) * h**2 / (2 * L)) * 2 * L / h**2,
    ),
    Identity(
        "in the parameters",
        Relation(2 * L * Delta / h**2, "=", bound),
        "definitions",
        (
            "h",
            "target",
            "radius",
            "margin",
            "noise",
            "clean probability",
            "p at most 1",
        ),
    ),
    Chain("conclusion", statement, "transitivity", ("time", "in the parameters")),
)

witness = (
    Identity(
        "h is the drift bound",
        Relation(factored.subs(G, target), "=", h),
        "at G = r",
        ("h", "target"),
    ),
    Inequality(
        "radius and noise",
        Relation(beta, ">=", s),
        "equal without draggers",
        ("radius", "margin", "p at most 1"),
        certificate=2 * s**2 * alpha * (1 - p) / (kappa * (beta + s)),
    ),
    Inequality(
        "h from above",
        Relation(h, "<=", 2 * kappa * delta),
        "so the bound grows like δ^(-2) close to the radius",
        ("h", "target"),
        certificate=kappa * delta * (2 * s**2 + target * delta) / (target**2 + s**2),
    ),
    Inequality(
        "h from below",
        Relation(h, ">=", kappa * delta),
        "βr ≥ s²",
        ("h", "target", "radius and noise"),
        certificate=kappa
        * delta
        * (beta * delta + (beta - s) * (beta + s))
        / (target**2 + s**2),
    ),
    Inequality(
        "simple form",
        Relation(E(first_time), "<=", 2 * L * Delta / (kappa * delta) ** 2),
        "at most four times as large",
        ("time", "h from below"),
        certificate=(
            2 * L * Delta / h**2 - E(first_time),
            2
            * L
            * Delta
            * (h - kappa * delta)
            * (h + kappa * delta)
            / (kappa * delta * h) ** 2,
        ),
    ),
)


claim = Claim(
    name="hitting_time",
    part="How fast it gets there",
    title="the expected time until the normalized rule comes close to the bias radius",
    kind="upper bound, tight in the limit",
    summary="G ≤ β + δ is first met after 2LΔ/h(β+δ)² steps on average, at most",
    assumptions=(
        A0,
        A1,
        A2,
        *radius_claim.assumptions,
        Assumption(
            "step size γ = h/L, h the drift bound at G = β + δ, β the bias radius"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "target": sideways(size),
        "hitting_time": sideways(bound),
        "step_size": sideways(pull_at_target / L),
    },
    shown={"target": "target", "hitting_time": "conclusion", "step_size": "step size"},
    random=(first_time,),
    attained="as σ → 0: a quadratic, one step from just outside the target",
    uses=("drift",),
    about=("bias_radius",),
    figure="schedule",
    agreement=("test_runs",),
    remarks=("first is the first t with G_t ≤ β + δ; 0 if the run starts there",),
)
