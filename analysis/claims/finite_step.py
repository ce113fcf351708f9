"""What a finite step adds to the bias: a shift of the stationary mean, proportional to the step.

Close to a point of rest w* = 0 the update is w⁺ = w - γ(F(w) + ξ), F(0) = 0, E ξ = 0, E ξ² = C.
"""

import numpy as np
import sympy as sp

from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Expectation, Identity
from analysis.proof.symbols import bend, gamma, slope, variance

w, w2 = sp.symbols("w w_2", real=True)
mean, square = sp.symbols("mu v", real=True)

shift = -gamma * bend * variance / (4 * slope**2)
statement = Relation(mean, "=", shift)

steps = (
    Axiom("mean", Relation(E(w), "=", mean), "under the stationary law", axiom="name"),
    Axiom("second moment", Relation(E(w2), "=", square), "w_2 = w²", axiom="name"),
    Axiom(
        "the mean rests",
        Relation(E(slope * w + bend * w2 / 2), "=", sp.S.Zero),
        "E w⁺ = E w means E F(w) = 0; the rest of F's Taylor series adds order γ²",
        axiom="expansion",
    ),
    Expectation(
        "expected drift",
        Relation(E(slope * w + bend * w2 / 2), "=", slope * mean + bend * square / 2),
        "linear",
        ("mean", "second moment"),
        random=(w, w2),
    ),
    Identity(
        "balance of the mean",
        Relation(slope * mean + bend * square / 2, "=", sp.S.Zero),
        "the same expectation",
        ("the mean rests", "expected drift"),
    ),
    Axiom(
        "the second moment rests",
        Relation(E(2 * slope * w2 - gamma * variance), "=", sp.S.Zero),
        "E(w⁺)² = E w² means 2E[wF] = γ(C + E F²); E F² and the rest of wF add order γ²",
        axiom="expansion",
    ),
    Expectation(
        "expected square",
        Relation(E(2 * slope * w2 - gamma * variance), "=", 2 * slope * square - gamma * variance),
        "linear",
        ("second moment",),
        random=(w, w2),
    ),
    Identity(
        "balance of the second moment",
        Relation(2 * slope * square - gamma * variance, "=", sp.S.Zero),
        "the same expectation",
        ("the second moment rests", "expected square"),
    ),
    Identity(
        "stationary variance",
        Relation(square, "=", gamma * variance / (2 * slope)),
        "solved",
        ("balance of the second moment",),
    ),
    Identity(
        "solved",
        Relation(mean, "=", -bend * square / (2 * slope)),
        "F' > 0",
        ("balance of the mean",),
    ),
    Identity(
        "in the parameters",
        Relation(-bend * square / (2 * slope), "=", shift),
        "definitions",
        ("stationary variance",),
    ),
    Chain("conclusion", statement, "transitivity", ("solved", "in the parameters")),
)


def stationary_mean(step: float, steepness: float, noise: float) -> float:
    """Mean of the stationary law of w⁺ = w - γ((e^{aw} - 1)/a + √C ξ), ξ normal; F' = 1, F'' = a.

    The transition kernel on a grid much finer than itself; its leading eigenvector.
    """
    spread = noise * np.sqrt(step / 2)
    spacing = 0.6 * step * noise
    grid = np.arange(-9 * spread, 9 * spread, spacing)
    drift = np.expm1(steepness * grid) / steepness
    centre = grid - step * drift
    kernel = np.exp(-(((grid[:, None] - centre[None]) / (step * noise)) ** 2) / 2)
    kernel /= kernel.sum(0)
    law = np.exp(-((grid / spread) ** 2) / 2)
    for _ in range(int(np.ceil(40 / step))):
        law = kernel @ law
        law /= law.sum()
    return float(law @ grid)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Whether the relative error of the shift halves, at least, when the step is a quarter."""
    found = []
    for _ in range(3):
        steepness, noise = rng.uniform(0.3, 0.6), rng.uniform(0.5, 1.5)
        errors = []
        for step in (0.1, 0.025):
            predicted = -(1 + improvement) * step * steepness * noise**2 / 4
            errors.append(abs(stationary_mean(step, steepness, noise) / predicted - 1))
        found.append(errors[0] / 2 - errors[1])
    return min(found)


claim = Claim(
    name="finite_step",
    part="Close to the exact bias",
    title="the shift of the stationary mean at a finite step",
    kind="expansion, remainder checked numerically",
    assumptions=(
        "one dimension; F twice differentiable at the point of rest, F' > 0",
        "the update's noise is independent from step to step, of variance C at the point of rest",
        "the step is small enough for the iterates to stay where the expansion holds",
    ),
    statement=statement,
    steps=steps,
    witness=(),
    values={"shift": shift},
    shown={"shift": "conclusion"},
    random=(w, w2),
    attack=attack,
    figure="finite_step",
    remarks=(
        "in more dimensions the covariance Σ solves F'Σ + ΣF'ᵀ = γC and the shift is "
        "-F'⁻¹ F''[Σ]/2: also linear in γ, which is why simulations are extrapolated to zero step",
    ),
)
