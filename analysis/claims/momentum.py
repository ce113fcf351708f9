"""Heavy-ball momentum after clipping: the same bias and best size, a slower bound.

The running mean of the directions ū_t moves the point, o_{t+1} = μo_t + (1-μ)ū_t with
o_0 = 0 and w_{t+1} = w_t - γo_{t+1}. The point v_t = w_t - γμ/(1-μ) o_t moves by -γū_t
alone and stays near w_t, so what is known of the rule without momentum applies to it.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.averaged_guarantee import (
    beyond,
    bias,
    linear_drift,
    speed,
)
from analysis.claims.averaged_guarantee import bound as without_momentum
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.drift import tangent
from analysis.claims.setting import drift, margin_of_size, progress, pull, square
from analysis.proof.assumptions import A0, A1, A2, Assumption
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
from analysis.proof.symbols import Delta, G, L, T, gamma, kappa, mu, p, s
from analysis.proof.values import sideways

stretch = sp.Symbol("stretch", positive=True)
any_length = sp.Symbol("gamma_0", positive=True)
w, w_next, v, v_next, o, o_next, u = sp.symbols("w w_1 v v_1 o o_1 u", real=True)
mean_direction, mean_update = sp.symbols("mean_u mean_o", real=True)
ahead = sp.Symbol("pull_v", real=True)
length, next_length, lag, change = sp.symbols(
    "length length_1 lag change", nonnegative=True
)

factor = (1 + mu) / (1 - mu)
reach = gamma * mu / (1 - mu)
root = sp.sqrt(1 + mu) / sp.sqrt(1 - mu)
chosen = sp.sqrt(2 * Delta / (L * T)) / root
bound = speed * root / margin_of_size + bias
any_step = (Delta / (gamma * T) + L * gamma * stretch / 2 + p * s) / kappa
one_step = (progress / gamma + L * gamma * stretch / 2 + p * s) / kappa

statement = Relation(E(G), "<=", bound)

update = (
    Axiom("not for ever", Relation(1 - mu, ">", sp.S.Zero), "μ < 1"),
    Definition(
        "running mean",
        Relation(o_next, "=", mu * o + (1 - mu) * u),
        "o_{t+1}, coordinate by coordinate; u = ū_t",
    ),
    Definition("step", Relation(w_next, "=", w - gamma * o_next), "w_{t+1}"),
    Definition(
        "point ahead", Relation(v, "=", w - reach * o), "v_t", ("not for ever",)
    ),
    Definition(
        "next point ahead",
        Relation(v_next, "=", w_next - reach * o_next),
        "v_{t+1}",
        ("not for ever",),
    ),
    Identity(
        "plain step",
        Relation(v_next, "=", v - gamma * u),
        "the point ahead moves as without momentum; v_0 = w_0, as o_0 = 0",
        (
            *("running mean", "step", "point ahead", "next point ahead"),
            "not for ever",
        ),
    ),
)
nearby = (
    Axiom(
        "at most 1 so far",
        Relation(length, "<=", sp.S.One),
        "length = ‖o_t‖, 0 at t = 0; by induction with the next two steps",
        axiom="induction",
    ),
    Axiom(
        "triangle inequality",
        Relation(next_length, "<=", mu * length + 1 - mu),
        "length_1 = ‖o_{t+1}‖; ‖ū‖ ≤ 1",
        axiom="inner product",
    ),
    Inequality(
        "at most 1 again",
        Relation(next_length, "<=", sp.S.One),
        "a mean of what is at most 1",
        ("at most 1 so far", "triangle inequality"),
        certificate=(mu * (1 - length), mu * length + 1 - mu - next_length),
    ),
    Axiom(
        "lag",
        Relation(lag, "=", reach * length),
        "lag = ‖v_t - w_t‖",
        ("not for ever", "point ahead"),
        axiom="inner product",
    ),
    Axiom(
        "change of the gradient",
        Relation(change, "<=", L * lag),
        "change = ‖∇f(v_t) - ∇f(w_t)‖, f is L-smooth",
    ),
    Axiom(
        "pull ahead",
        Relation(ahead, ">=", pull - change),
        "pull_v = E[⟨∇f(v_t), ū⟩ | past], pull the same at w_t; ‖ū‖ ≤ 1",
        axiom="Cauchy-Schwarz",
    ),
)

steps = (
    *linear_drift,
    *update,
    *nearby,
    setting.normalized_descent[0],
    Axiom(
        "descent ahead",
        Relation(progress, ">=", gamma * ahead - L * gamma**2 * square / 2),
        (
            "progress = E[f(v_t) - f(v_{t+1}) | past], square = E[‖ū‖² | past]; the "
            "step is -γū"
        ),
        ("plain step",),
        axiom="smoothness",
    ),
    setting.unit_vectors,
    Definition(
        "stretch", Relation(stretch, "=", factor), "2/(1-μ) - 1", ("not for ever",)
    ),
    Inequality(
        "one step",
        Relation(G, "<=", one_step),
        "the descent, solved for G = ‖∇f(w_t)‖",
        (
            *("descent ahead", "pull ahead", "change of the gradient", "lag"),
            *("at most 1 so far", "fresh mini-batch", "mean of unit vectors"),
            *("linear drift bound", "stretch", "not for ever"),
        ),
        certificate=(
            (progress - gamma * ahead + L * gamma**2 * square / 2) / (gamma * kappa),
            (ahead - pull + change) / kappa,
            (L * lag - change) / kappa,
            L * reach * (1 - length) / kappa,
            L * gamma * (1 - square) / (2 * kappa),
            (drift - tangent) / kappa,
        ),
    ),
    setting.over_the_run(G, one_step),
    Axiom(
        "total progress",
        Relation(E(progress), "<=", Delta / T),
        "the mean of f(v_t) - f(v_{t+1}) over t is (f(v_0) - f(v_T))/T, v_0 = w_0",
        axiom="telescoping",
    ),
    Expectation(
        "mean progress",
        Relation(E(one_step), "<=", any_step),
        "affine in the progress",
        ("total progress",),
        random=(
            *(progress, G, drift, pull, square),
            *(ahead, length, next_length, lag, change),
        ),
    ),
    Axiom(
        "step size",
        Relation(gamma, "=", chosen),
        "the best one, see the witness",
        ("not for ever",),
    ),
    Identity(
        "closed form",
        Relation(any_step, "=", bound),
        "the two terms with γ are equal",
        (
            *("step size", "margin", "noise", "clean probability"),
            *("stretch", "not for ever"),
        ),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("average", "mean progress", "closed form"),
    ),
)

witness = (
    Inequality(
        "no better step size",
        Relation(
            Delta / (any_length * T) + L * any_length * stretch / 2,
            ">=",
            speed * sp.sqrt(stretch),
        ),
        "for every step size γ₀: arithmetic and geometric mean",
        certificate=(
            sp.sqrt(Delta / (any_length * T)) - sp.sqrt(L * any_length * stretch / 2)
        )
        ** 2,
    ),
    Identity(
        "averaged bias",
        Relation(p * s / kappa, "=", bias),
        "what does not fall with T: free of μ, so the best size is too",
        ("margin", "noise", "clean probability"),
    ),
    Identity(
        "without momentum",
        Relation(sp.Subs(bound, mu, 0), "=", without_momentum),
        "averaged_guarantee",
        ("margin", "clean probability"),
    ),
    Axiom(
        "stationary mean",
        Relation(mean_direction, "=", (mean_update - mu * mean_update) / (1 - mu)),
        "E o_{t+1} = E o_t = mean_o, w held fixed, solved for mean_u = E ū",
        ("not for ever",),
    ),
    Axiom(
        "the point does not move",
        Relation(mean_update, "=", sp.S.Zero),
        "E(w_{t+1} - w_t) = 0",
    ),
    Identity(
        "the same stationary points",
        Relation(mean_direction, "=", sp.S.Zero),
        "E ū = 0 as without momentum: for small steps the exact bias is the same",
        ("stationary mean", "the point does not move", "not for ever"),
    ),
)


claim = Claim(
    name="momentum",
    part="How fast it gets there",
    title="the averaged gradient norm of the normalized rule with momentum",
    kind="upper bound",
    summary="momentum keeps bias and best size; the rate gets a factor √((1+μ)/(1-μ))",
    assumptions=(
        A0,
        A1,
        A2,
        *radius_claim.assumptions,
        Assumption(
            "heavy ball after clipping: o ← μo + (1-μ)ū, w ← w - γo, o = 0 at first"
        ),
        Assumption(
            "step size γ = √(2Δ(1-μ)/(LT(1+μ))); for any other γ the step "
            "'mean progress'"
        ),
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "averaged_bound": sideways(beyond(bound)),
        "averaged_bias": sideways(beyond(bias)),
        "step_size": chosen,
    },
    shown={
        "averaged_bound": "conclusion",
        "averaged_bias": "averaged bias",
        "step_size": "step size",
    },
    random=(
        *(progress, G, drift, pull, square),
        *(ahead, length, next_length, lag, change),
    ),
    uses=("drift",),
    about=("averaged_guarantee",),
    figure="rates",
    remarks=(
        "E is the mean over the run and over its steps 0, …, T-1",
        "the factor is an upper bound's: it does not say that momentum is slower",
    ),
)
