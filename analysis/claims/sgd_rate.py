"""SGD under draggers that average out: no bias, but a slow rate whose constant grows with them.

A sample's gradient is ∇f + ξ, or with chance ε a dragger's d; ḡ is the mean of B of them.
"""

import numpy as np
import sympy as sp

from analysis.claims.attacks.exact_runs import (
    Loss,
    Mixture,
    every_path,
    quadratic_run,
    random_loss,
    random_noise,
    sgd_outcomes,
)
from analysis.proof.assumptions import BOUNDED, FRESH, NOISE, SMOOTH
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
benign = sp.Symbol("benign", positive=True)
mean = sp.Symbol("mean_G", nonnegative=True)
progress, pull = sp.symbols("progress pull", real=True)
square = sp.Symbol("square", nonnegative=True)

variance = ((1 - epsilon) * sigma**2 + epsilon * D**2) / B
benign_second = benign * (G**2 + sigma**2)
sample = ((benign * G) ** 2) + (benign_second + epsilon * D**2 - (benign * G) ** 2) / B
second = benign**2 * G**2 + epsilon * benign * G**2 / B + V
one_step = (2 * progress / eta + L * eta * V) / benign
any_step = (2 * Delta / (eta * T) + L * eta * V) / benign
in_steps = (2 * Delta / T * (L + 1 / h) + L * h * V) / benign
bound = (2 * L * Delta / T + 2 * sp.sqrt(2 * L * Delta * variance / T)) / (1 - epsilon)

statement = Relation(E(G**2), "<=", bound)

steps = (
    Axiom("not all draggers", Relation(1 - epsilon, ">", sp.S.Zero), "ε < 1"),
    Axiom("at least one sample", Relation(B, ">=", sp.S.One), "B ≥ 1"),
    Definition(
        "share",
        Relation(benign, "=", 1 - epsilon),
        "the chance that a sample is benign",
        ("not all draggers",),
    ),
    Definition(
        "variance",
        Relation(V, "=", variance),
        "the part of the noise that does not vanish with G",
        ("not all draggers",),
    ),
    Axiom(
        "mean gradient",
        Relation(pull, "=", benign * G**2),
        "pull = E[⟨∇f, ḡ⟩ | w_t]; given w_t, E ξ = 0 for a benign sample and E d = 0 for a dragger",
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
    Axiom(
        "descent",
        Relation(progress, ">=", eta * pull - L * eta**2 * square / 2),
        "progress = E[f(w_t) - f(w_{t+1}) | w_t], w_{t+1} = w_t - ηḡ",
        axiom="smoothness",
    ),
    Axiom("short step", Relation(1 - L * eta, ">=", sp.S.Zero), "η ≤ 1/L"),
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
    Averaged(
        "average",
        Relation(E(G**2), "<=", E(one_step)),
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
)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over exact runs, relative to the bound.

    Short ones on any loss, all their paths enumerated, and long ones on quadratics. Noise and
    draggers have the largest second moments allowed. An improvement lowers the bound.
    """
    found = []
    for i in range(200):
        loss, sigma, norm = random_loss(rng), rng.lognormal(0, 1), rng.lognormal(1, 1)
        fraction, count = rng.uniform(0.01, 0.9), int(rng.integers(1, 3))
        mixture = Mixture(random_noise(rng, sigma), random_noise(rng, norm), fraction)
        start, long = loss.width * rng.uniform(0.05, 3), i % 4 == 0
        if long:
            loss, count = Loss("quadratic", loss.smoothness, 1.0), int(rng.integers(1, 100))
        longest = 15 / count / np.log2(len(mixture.samples[0]))  # 2^15 paths
        horizon = int(rng.choice([10, 100, 1000]) if long else rng.integers(1, 2 + longest))
        values = claim.evaluate(
            smoothness=loss.smoothness,
            initial_gap=float(loss.value(np.array(start))),
            horizon=horizon,
            batch_size=count,
            dragger_fraction=fraction,
            noise_scale=sigma,
            dragger_norm=norm,
        )
        step = float(values["learning_rate"])
        if long:
            squares = quadratic_run(mixture, count, loss.smoothness, start, step, horizon)
            reached = squares.mean()
        else:
            outcomes = sgd_outcomes(loss, mixture, count, step)
            chance, norms = every_path(loss, outcomes, start, horizon)
            reached = chance @ (norms**2).mean(1)
        found.append(1 - improvement - float(reached / values["squared_bound"]))
    return min(found)


claim = Claim(
    name="sgd_rate",
    part="Against SGD",
    title="the squared gradient norm of SGD, averaged over T steps, draggers averaging out",
    kind="upper bound",
    assumptions=(
        FRESH,
        BOUNDED,
        SMOOTH,
        "(A3) the samples of a mini-batch are i.i.d., each a dragger with probability ε < 1",
        NOISE,
        "draggers: E[d | w] = 0 and E‖d‖² ≤ D² (sgd_persistent_bias has no such mean)",
        "rule: sgd, step size η = min(1/L, √(2Δ/(LVT))), V = ((1-ε)σ² + εD²)/B",
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
    attack=attack,
    figure="rates",
    remarks=("E is the mean over the run and over its steps 0, …, T-1",),
)
