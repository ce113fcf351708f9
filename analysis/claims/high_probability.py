"""The averaged guarantee for a single run: it holds with chance 1 - q, for ln(1/q) more.

Here E averages over the steps t = 0, …, T-1 of one run, and what is averaged is random. A share ζ
of the margin pays for the deviations of the mean direction from its expectation.
"""

import numpy as np
import sympy as sp

from analysis.claim import Claim
from analysis.claims.averaged_guarantee import beyond, linear_drift, margin, speed
from analysis.claims.averaged_guarantee import claim as averaged_claim
from analysis.claims.drift import chance, drift
from analysis.paths import every_path, normalized_outcomes, random_batch, random_loss
from analysis.signs import E, Relation
from analysis.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
)
from analysis.symbols import (
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

progress, pull, surprise = sp.symbols("progress pull surprise", real=True)
log_one, log_growth = sp.symbols("log_one log_growth", real=True)
square, first = sp.symbols("square G_0", nonnegative=True)
start, steepest, vartheta, kept = sp.symbols("G_1 G_max vartheta kept", positive=True)
other, best = sp.symbols("zeta_0 zeta_star", positive=True)
fixed, shared = sp.symbols("a_0 a_1", positive=True)

deviation = speed * (1 + 1 / sp.sqrt(T)) * sp.log(1 / q) * b / (2 * margin * B)
bias = chance * sigma / sp.sqrt(b)
bound = (speed + bias + deviation / zeta) / ((1 - zeta) * margin)
before = progress / gamma + L * gamma / 2 + p * s + surprise / vartheta
one_step = before / (kept * kappa)
total = Delta / (gamma * T) + L * gamma / 2 + p * s + sp.log(1 / q) / (vartheta * T)
any_step = total / (kept * kappa)

statement = Relation(E(G), "<=", bound)

steps = (
    *linear_drift,
    Definition("micro-batches", Relation(m, "=", B / b), "in a mini-batch"),
    Axiom("split", Relation(1 - zeta, ">", sp.S.Zero), "0 < ζ < 1"),
    Definition("kept", Relation(kept, "=", 1 - zeta), "what ζ leaves of the margin", ("split",)),
    Axiom("step size", Relation(gamma, "=", sp.sqrt(2 * Delta / (L * T))), "that of the mean"),
    Axiom(
        "descent",
        Relation(progress, ">=", gamma * pull - L * gamma**2 * square / 2),
        "progress = f(w_t) - f(w_{t+1}), pull = ⟨∇f, ū⟩, square = ‖ū‖², all of this run",
        axiom="smoothness",
    ),
    Axiom(
        "mean of unit vectors",
        Relation(square, "<=", sp.S.One),
        "‖ū‖ ≤ 1 by the triangle inequality",
        axiom="inner product",
    ),
    Axiom(
        "first gradient",
        Relation(first**2, "<=", 2 * L * Delta),
        "G_0; f* ≤ f(w_0 - ∇f(w_0)/L) ≤ f(w_0) - G_0²/(2L)",
        axiom="smoothness",
    ),
    Definition("start", Relation(start, "=", sp.sqrt(2 * L * Delta)), "the largest first gradient"),
    Inequality(
        "first gradient is bounded",
        Relation(first, "<=", start),
        "both are not negative",
        ("first gradient", "start"),
        certificate=(2 * L * Delta - first**2) / (first + start),
    ),
    Axiom(
        "later gradients",
        Relation(G, "<=", first + L * gamma * T),
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
        ("later gradients", "first gradient is bounded", "steepest", "start", "step size"),
        certificate=(first + L * gamma * T - G, start - first),
    ),
    Definition(
        "scale", Relation(vartheta, "=", 2 * m * zeta * kappa / steepest), "of the exponent, ϑ"
    ),
    Axiom(
        "one micro-batch",
        Relation(log_one, "<=", (vartheta / m) ** 2 * (2 * G) ** 2 / 8),
        "log_one = ln E e^{(ϑ/m)(E X - X)}, X = ⟨∇f, u⟩ of one micro-batch, -G ≤ X ≤ G, given w_t",
        axiom="Hoeffding",
    ),
    Axiom(
        "all of them",
        Relation(log_growth, "=", m * log_one),
        "log_growth = ln E e^{ϑ(drift - pull)}: the pull is the mean of m independent such X",
        axiom="i.i.d.",
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
    Axiom(
        "surprise",
        Relation(surprise, "=", vartheta * (drift - pull) - log_growth),
        "a name; E e^surprise = 1 given w_t",
    ),
    Inequality(
        "margin that is left",
        Relation(kept * kappa * G, "<=", before),
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
        certificate=(before - kept * kappa * G) / (kept * kappa),
    ),
    Averaged("average", Relation(E(G), "<=", E(one_step)), "over the steps", ("one step",)),
    Axiom(
        "total progress",
        Relation(E(progress), "<=", Delta / T),
        "the mean of f(w_t) - f(w_{t+1}) over t is (f(w_0) - f(w_T))/T",
        axiom="telescoping",
    ),
    Axiom(
        "total surprise",
        Relation(E(surprise), "<=", sp.log(1 / q) / T),
        "with chance 1 - q at least: e^(sum of the surprises so far) is a supermartingale that "
        "starts at 1, so it exceeds 1/q with chance q at most",
        axiom="supermartingale",
    ),
    Expectation(
        "total",
        Relation(E(one_step), "<=", any_step),
        "affine in the two",
        ("total progress", "total surprise"),
        random=(progress, surprise, G, pull, drift, square, log_one, log_growth),
    ),
    Identity(
        "closed form",
        Relation(any_step, "=", bound),
        "the two terms with γ are equal",
        (
            *("scale", "steepest", "start", "step size", "micro-batches", "margin"),
            *("noise", "clean chance", "kept"),
        ),
    ),
    Chain("conclusion", statement, "transitivity", ("average", "total", "closed form")),
)

bound_at = (fixed + shared / other) / (1 - other)

witness = (
    Axiom("another split", Relation(1 - other, ">", sp.S.Zero), "0 < ζ₀ < 1"),
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
        "no better split",
        Relation(bound_at, ">=", bound_at.subs(other, best)),
        "for every ζ₀: a square",
        ("another split", "optimality"),
        certificate=shared * (other - best) ** 2 / (best**2 * other * (1 - other)),
    ),
)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of the quantile 1 - q of the mean of G over one run, relative to the bound.

    All paths of a run are enumerated; the split is random or the best. An improvement lowers the
    bound by that fraction.
    """
    found = []
    for i in range(200):
        loss, batch = random_loss(rng), random_batch(rng)
        w, failure = loss.width * rng.uniform(0.05, 3), rng.uniform(0, 1)
        horizon = int(rng.integers(1, 2 + 14 / np.log2(2 * batch.count + 1)))
        at = {
            "smoothness": loss.smoothness,
            "initial_gap": float(loss.value(np.array(w))),
            "horizon": horizon,
            "failure_probability": failure,
            "batch_size": batch.count * batch.size,
            **batch.inputs,
        }
        values = claim.evaluate(**at, split=rng.uniform(0.01, 0.99))
        if i % 2:
            values = claim.evaluate(**at, split=values["best_split"])
        outcomes = normalized_outcomes(loss, batch, float(values["step_size"]))
        chances, norms = every_path(loss, outcomes, w, horizon)
        means = norms.mean(1)
        order = np.argsort(means)
        index = np.searchsorted(np.cumsum(chances[order]), 1 - failure)
        quantile = means[order][min(index, len(means) - 1)]
        found.append(1 - improvement - float(quantile / values["probable_bound"]))
    return min(found)


_best = deviation / (deviation + sp.sqrt(deviation * (deviation + speed + bias)))

claim = Claim(
    name="high_probability",
    part="How fast it gets there",
    title="the mean gradient norm of the normalized rule in a single run, with chance 1 - q",
    kind="upper bound",
    assumptions=(
        *averaged_claim.assumptions[:-1],
        "m = B/b is a positive integer",
        "step size γ = √(2Δ/(LT)); 0 < q < 1 and 0 < ζ < 1",
        "with chance 1 - q at least: on the event of 'total surprise'",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "probable_bound": sp.Piecewise((beyond(bound), b <= B), (sp.nan, True)),
        "best_split": sp.Piecewise((beyond(_best), b <= B), (sp.nan, True)),
        "step_size": sp.sqrt(2 * Delta / (L * T)),
    },
    attack=attack,
    uses=("drift",),
    figure="horizon",
    remarks=(
        "E is the mean over the steps 0, …, T-1 of one run; the bound holds with chance 1 - q",
    ),
)
