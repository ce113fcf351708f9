"""How small the gradient of the normalized rule is, averaged over T steps.

Each step lowers f by the drift, up to the curvature's share; f cannot fall by more than Δ in all.
What remains for ever is the averaged bias ps/κ, a little larger than the radius of bias_radius.
"""

import numpy as np
import sympy as sp

from analysis.claims.attacks.exact_runs import (
    Batch,
    Loss,
    normalized_run,
    random_batch,
    random_loss,
)
from analysis.claims.bias_radius import beta, independent
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.drift import breakdown, chance, drift, last, scaled_breakdown, tangent
from analysis.proof.assumptions import BOUNDED, FRESH, SMOOTH
from analysis.proof.calculus import Solution, UniqueMinimum
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Earlier,
    Expectation,
    Identity,
    Inequality,
)
from analysis.proof.symbols import Delta, G, L, T, alpha, b, gamma, kappa, lam, p, s, sigma, x
from analysis.proof.values import sideways

progress, pull = sp.symbols("progress pull", real=True)
square = sp.Symbol("square", nonnegative=True)
other = sp.Symbol("gamma_0", positive=True)
best = sp.Symbol("x_star", positive=True)

margin = chance - alpha * (1 - chance)
speed = sp.sqrt(2 * L * Delta / T)
bias = chance * sigma / sp.sqrt(b) / margin
bound = speed / margin + bias
any_step = (Delta / (gamma * T) + L * gamma / 2 + p * s) / kappa
one_step = (progress / gamma + L * gamma / 2 + p * s) / kappa

statement = Relation(E(G), "<=", bound)

scaled = sp.exp(-x) / (sp.sqrt(x) * ((1 + alpha) * sp.exp(-x) - alpha))
condition = (1 + alpha) * sp.exp(-x) - alpha * (1 + 2 * x)
factor = sp.exp(-x) / (2 * sp.sqrt(x) ** 3 * ((1 + alpha) * sp.exp(-x) - alpha) ** 2)
closed_form = sp.LambertW(sp.exp(sp.S.Half)) - sp.S.Half

# From the samples to the linear drift bound; high_probability begins in the same way.
linear_drift = (
    Definition("clean chance", Relation(p, "=", chance), "(1-ε)^b = e^(-λb), λ = -ln(1-ε)"),
    *independent,
    *breakdown,
    Earlier(
        "linear drift bound",
        Relation(drift, ">=", tangent),
        "drift = E⟨∇f, u⟩, (A4) is assumed here too; the tangent to the sharp bound at G = s (at "
        "G = 0 it reads 0 ≥ -ps)",
        ("noise of a micro-batch",),
        claim="drift",
        statement=Relation(drift, ">=", tangent),
        holding=("contaminated case", "mean zero", "variance"),
    ),
)

steps = (
    *linear_drift,
    Axiom(
        "fresh mini-batch",
        Relation(pull, "=", drift),
        "pull = E[⟨∇f, ū⟩ | w_t]: given w_t the micro-batches are drawn afresh and have one law, "
        "so each contributes E⟨∇f, u⟩ = drift",
        axiom="fresh mini-batches",
    ),
    Axiom(
        "descent",
        Relation(progress, ">=", gamma * pull - L * gamma**2 * square / 2),
        "progress = E[f(w_t) - f(w_{t+1}) | w_t], square = E[‖ū‖² | w_t]; the step is -γū",
        axiom="smoothness",
    ),
    Axiom(
        "mean of unit vectors",
        Relation(square, "<=", sp.S.One),
        "‖ū‖ ≤ 1 by the triangle inequality",
        axiom="inner product",
    ),
    Inequality(
        "one step",
        Relation(G, "<=", one_step),
        "the descent, solved for G",
        ("descent", "fresh mini-batch", "mean of unit vectors", "linear drift bound"),
        certificate=(
            (progress - gamma * pull + L * gamma**2 * square / 2) / (gamma * kappa),
            L * gamma * (1 - square) / (2 * kappa),
            (drift - tangent) / kappa,
        ),
    ),
    Averaged(
        "average",
        Relation(E(G), "<=", E(one_step)),
        "E is over the run and over t, uniform on 0, …, T-1",
        ("one step",),
    ),
    Axiom(
        "total progress",
        Relation(E(progress), "<=", Delta / T),
        "the mean of f(w_t) - f(w_{t+1}) over t is (f(w_0) - f(w_T))/T",
        axiom="telescoping",
    ),
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
        Relation(any_step, "=", bound),
        "the two terms with γ are equal",
        ("step size", "margin", "noise", "clean chance"),
    ),
    Chain("conclusion", statement, "transitivity", ("average", "mean progress", "closed form")),
)

witness = (
    Inequality(
        "no better step size",
        Relation(Delta / (other * T) + L * other / 2, ">=", speed),
        "for every step size γ₀: arithmetic and geometric mean",
        certificate=(sp.sqrt(Delta / (other * T)) - sp.sqrt(L * other / 2)) ** 2,
    ),
    Identity(
        "averaged bias",
        Relation(p * s / kappa, "=", bias),
        "what does not fall with T",
        ("margin", "noise", "clean chance"),
    ),
    Axiom("chance", Relation(p, "<=", sp.S.One), "p is a chance", axiom="probability"),
    Definition(
        "radius",
        Relation(beta, "=", s * sp.sqrt((p + alpha * (1 - p)) / kappa)),
        "β, the sharp radius of bias_radius",
        ("chance",),
    ),
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
    Axiom("not sideways", Relation(alpha, ">", sp.S.Zero), "α ∈ (0, 1]"),
    *scaled_breakdown,
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
    Identity("N at 0", Relation(sp.Subs(condition, x, 0), "=", sp.S.One), "positive"),
    Identity(
        "N at the breakdown",
        Relation(sp.Subs(condition, x, last), "=", -2 * alpha * last),
        "negative",
        ("not sideways",),
    ),
    UniqueMinimum(
        "averaged sweet spot",
        Relation(scaled.subs(x, best), "<=", scaled),
        "the averaged bias has exactly one smallest value, at N's zero x*",
        (
            *("slope", "N falls", "N at 0", "N at the breakdown"),
            *("scaled margin", "not sideways"),
        ),
        function=scaled,
        numerator=condition,
        factor=factor,
        symbol=x,
        zero=best,
        interval=(sp.S.Zero, last),
    ),
    Axiom(
        "zero at α = 1",
        Relation(condition.subs(alpha, 1), "=", sp.S.Zero),
        "x is the zero x* of N at α = 1",
    ),
    Solution(
        "closed form at α = 1",
        Relation(x, "=", closed_form),
        "found by SymPy's solve; 0.266249",
        ("zero at α = 1",),
    ),
)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over exact runs, relative to the bound.

    300 random runs, then the long run of a single sample with almost no draggers that starts where
    the worst noise lets it rest, and stays within 300 steps of there. An improvement lowers the
    bound by that fraction.
    """

    def slack(
        loss: Loss, batch: Batch, start: float, horizon: int, reach: int | None = None
    ) -> float:
        gap = float(loss.value(np.array(start)))
        values = claim.evaluate(
            smoothness=loss.smoothness, initial_gap=gap, horizon=horizon, **batch.inputs
        )
        norms, _ = normalized_run(loss, batch, start, float(values["step_size"]), horizon, reach)
        return 1 - improvement - float(norms.mean() / values["averaged_bound"])

    found = []
    for _ in range(300):
        loss, batch = random_loss(rng), random_batch(rng)
        start = loss.width * rng.uniform(0.05, 3)
        found.append(slack(loss, batch, start, int(rng.choice([1, 2, 5, 20, 60]))))
    quadratic = Loss("quadratic", 1.0, 1.0)
    for alignment in (0.1, 1.0):
        found.append(slack(quadratic, Batch(1e-6, alignment, 1, 1, 1.0, None), 1.0, 20_000, 300))
    return min(found)


def beyond(expression: sp.Expr) -> sp.Expr:
    """The expression, NaN beyond the breakdown."""
    return sp.Piecewise((expression, margin > 0), (sp.nan, True))


claim = Claim(
    name="averaged_guarantee",
    part="How fast it gets there",
    title="the gradient norm of the normalized rule, averaged over T steps",
    kind="upper bound, tight in the limit",
    assumptions=(
        FRESH,
        BOUNDED,
        SMOOTH,
        *radius_claim.assumptions,
        "step size γ = √(2Δ/(LT)); for any other γ the step 'mean progress'",
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
    attack=attack,
    uses=("drift",),
    attained="as ε → 0 and T → ∞ at b = 1: a quadratic, the noise of alignment_lemma at every w",
    figure="rates",
    remarks=(
        "E is the mean over the run and over its steps 0, …, T-1",
        "the averaged bias is smallest at λb = W((1+α)√e/(2α)) - 1/2",
    ),
)
