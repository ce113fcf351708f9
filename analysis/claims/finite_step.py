"""What a finite step adds to the bias: it shifts the stationary mean in proportion.

Close to a point of rest w* = 0 the update is w⁺ = w - γ(F(w) + ξ), F(0) = 0, E ξ = 0, E
ξ² = C.
"""

import sympy as sp

from analysis.proof.assumptions import Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Expectation, Identity
from analysis.proof.symbols import bend, gamma, slope, variance

w, w2 = sp.symbols("w w_2", real=True)
mean, square = sp.symbols("mu v", real=True)

shift = -gamma * bend * variance / (4 * slope**2)
statement = Relation(mean, "=", shift)
terms = {
    "mu": "the mean of w at rest; 0 is the point of rest for small steps",
}

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
        (
            "E(w⁺)² = E w² means 2E[wF] = γ(C + E F²); E F² and the rest "
            "of wF add order γ²"
        ),
        axiom="expansion",
    ),
    Expectation(
        "expected square",
        Relation(
            E(2 * slope * w2 - gamma * variance),
            "=",
            2 * slope * square - gamma * variance,
        ),
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


claim = Claim(
    name="finite_step",
    part="Close to the exact bias",
    title="the shift of the stationary mean at a finite step",
    kind="expansion, remainder checked numerically",
    summary="at step γ the stationary mean is shifted by -γF''C/(4F'²)",
    assumptions=(
        Assumption(
            "one dimension; F twice differentiable at the point of rest, F' > 0"
        ),
        Assumption(
            "the update's noise is independent from step to step, of variance C "
            "at the point of rest"
        ),
        Assumption(
            "the step is small enough for the iterates to stay where "
            "the expansion holds"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=(),
    values={"shift": shift},
    shown={"shift": "conclusion"},
    random=(w, w2),
    figure="finite_step",
    agreement=("test_known_laws",),
    remarks=(
        "in more dimensions the covariance Σ solves F'Σ + ΣF'ᵀ = γC and the shift is "
        "-F'⁻¹ F''[Σ]/2: also linear in γ, which is why simulations are extrapolated "
        "to zero step",
    ),
)
