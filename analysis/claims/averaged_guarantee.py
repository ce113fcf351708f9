"""How small the gradient of the normalized rule is, averaged over T steps.

Each step lowers f by the drift, up to the curvature's share; f cannot fall by more than
Δ in all. What remains for ever is the averaged bias ps/κ, a little larger than the
radius of bias_radius.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import beta, radius_of_drift
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.drift import quoted, tangent
from analysis.claims.setting import (
    clean_probability,
    drift,
    margin_of_size,
    progress,
    pull,
    scaled_breakdown,
    scaled_margin,
    square,
)
from analysis.proof.assumptions import A0, A1, A2, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Axiom,
    Chain,
    Expectation,
    Identity,
    Inequality,
    Step,
)
from analysis.proof.symbols import (
    Delta,
    G,
    L,
    T,
    alpha,
    b,
    gamma,
    kappa,
    lam,
    p,
    s,
    sigma,
    x,
)
from analysis.proof.values import sideways

any_length = sp.Symbol("gamma_0", positive=True)
best = sp.Symbol("x_star", positive=True)

speed = sp.sqrt(2 * L * Delta / T)
bias = clean_probability * sigma / sp.sqrt(b) / margin_of_size
bound = speed / margin_of_size + bias
any_step = (Delta / (gamma * T) + L * gamma / 2 + p * s) / kappa
one_step = (progress / gamma + L * gamma / 2 + p * s) / kappa

statement = Relation(E(G), "<=", bound)

scaled = sp.exp(-x) / (sp.sqrt(x) * scaled_margin)
condition = (1 + alpha) * sp.exp(-x) - alpha * (1 + 2 * x)
factor = sp.exp(-x) / (2 * sp.sqrt(x) ** 3 * scaled_margin**2)
closed_form = sp.LambertW(sp.exp(sp.S.Half)) - sp.S.Half

# From the samples to the linear drift bound; high_probability begins in the same way.
linear_drift = (
    setting.probability_of_clean,
    *setting.independent_noise,
    setting.below_breakdown,
    setting.margin,
    quoted(
        "linear drift bound",
        Relation(drift, ">=", tangent),
        "drift = E⟨∇f, u⟩, (A4) is assumed here too; the tangent to the sharp bound at "
        "G = s (at G = 0 it reads 0 ≥ -ps)",
    ),
)


def normalized_run(
    total: sp.Expr, definitions: tuple[str, ...] = ()
) -> tuple[Step, ...]:
    """From the step "linear drift bound" to E G <= `total`.

    `definitions` names further steps that define the noise s.
    """
    return (
        *setting.normalized_descent,
        Inequality(
            "one step",
            Relation(G, "<=", one_step),
            "the descent, solved for G",
            (
                "descent",
                "fresh mini-batch",
                "mean of unit vectors",
                "linear drift bound",
            ),
            certificate=(
                (progress - gamma * pull + L * gamma**2 * square / 2) / (gamma * kappa),
                L * gamma * (1 - square) / (2 * kappa),
                (drift - tangent) / kappa,
            ),
        ),
        setting.over_the_run(G, one_step),
        setting.total_progress(E),
        Expectation(
            "mean progress",
            Relation(E(one_step), "<=", any_step),
            "affine in the progress",
            ("total progress",),
            random=(progress, G, drift, pull, square),
        ),
        Axiom(
            "step size",
            Relation(gamma, "=", sp.sqrt(2 * Delta / (L * T))),
            "the best one, see the witness",
        ),
        Identity(
            "closed form",
            Relation(any_step, "=", total),
            "the two terms with γ are equal",
            ("step size", "margin", "noise", "clean probability", *definitions),
        ),
        Chain(
            "conclusion",
            Relation(E(G), "<=", total),
            "transitivity",
            ("average", "mean progress", "closed form"),
        ),
    )


steps = (*linear_drift, *normalized_run(bound))

no_better_step = Inequality(
    "no better step size",
    Relation(Delta / (any_length * T) + L * any_length / 2, ">=", speed),
    "for every step size γ₀: arithmetic and geometric mean",
    certificate=(sp.sqrt(Delta / (any_length * T)) - sp.sqrt(L * any_length / 2)) ** 2,
)

witness = (
    no_better_step,
    Identity(
        "averaged bias",
        Relation(p * s / kappa, "=", bias),
        "what does not fall with T",
        ("margin", "noise", "clean probability"),
    ),
    setting.at_most_one,
    radius_of_drift,
    Inequality(
        "squares",
        Relation((p * s / kappa) ** 2, ">=", beta**2),
        "p² exceeds (p + α(1-p))κ by α²(1-p)²",
        ("radius", "margin"),
        certificate=(s * alpha * (1 - p) / kappa) ** 2,
    ),
    Inequality(
        "larger than the radius",
        Relation(p * s / kappa, ">=", beta),
        "the price of averaging; both are positive",
        ("squares",),
        certificate=((p * s / kappa) ** 2 - beta**2) / (p * s / kappa + beta),
    ),
    setting.not_sideways,
    *setting.below_scaled_breakdown,
    Identity(
        "scaled bias",
        Relation(sp.Subs(bias, b, x / lam), "=", sigma * sp.sqrt(lam) * scaled),
        "the averaged bias in the scaled size x = λb",
        ("scaled margin",),
    ),
    Identity(
        "slope",
        Relation(sp.diff(scaled, x), "=", -factor * condition),
        "the bias falls where N > 0, N the second factor on the right",
        ("scaled margin",),
    ),
    Inequality(
        "N falls",
        Relation(sp.diff(condition, x), "<", sp.S.Zero),
        "both terms of its slope are negative",
        certificate=(1 + alpha) * sp.exp(-x) + 2 * alpha,
    ),
    *setting.signs_at_the_ends(condition, -2 * alpha * scaled_breakdown),
    setting.least(
        "averaged sweet spot",
        scaled,
        best,
        slope=(factor, condition),
        reason="the averaged bias has exactly one smallest value, at N's zero x*",
    ),
    *setting.closed_form(
        condition,
        closed_form,
        "found by SymPy's solve; 0.266249",
    ),
)


def beyond(expression: sp.Expr) -> sp.Expr:
    """The expression, NaN beyond the breakdown."""
    return sp.Piecewise((expression, margin_of_size > 0), (sp.nan, True))


step_length = Assumption(
    "step size γ = √(2Δ/(LT)); for any other γ the step 'mean progress'"
)

claim = Claim(
    name="averaged_guarantee",
    part="How fast it gets there",
    title="the gradient norm of the normalized rule, averaged over T steps",
    kind="upper bound, tight in the limit",
    summary="the mean gradient norm over T steps is at most √(2LΔ/T)/κ + ps/κ",
    assumptions=(
        A0,
        A1,
        A2,
        *radius_claim.assumptions,
        step_length,
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "averaged_bound": sideways(beyond(bound)),
        "averaged_bias": sideways(beyond(bias)),
        "step_size": sp.sqrt(2 * Delta / (L * T)),
    },
    shown={
        "averaged_bound": "conclusion",
        "averaged_bias": "averaged bias",
        "step_size": "step size",
    },
    random=(progress, G, drift, pull, square),
    uses=("drift",),
    attained=(
        "as ε → 0 and T → ∞ at b = 1: a quadratic, the noise of "
        "alignment_lemma at every w"
    ),
    figure="rates",
    agreement=("test_runs",),
    remarks=(
        "E is the mean over the run and over its steps 0, …, T-1",
        "the averaged bias is smallest at λb = W((1+α)√e/(2α)) - 1/2",
    ),
)
