"""The efficiency of an update direction: what the best step guarantees, no step more.

δ is the direction of one update at a point with ∇f = G e, the step is -γδ. Its moments
are μ_δ = ⟨e, E δ⟩ > 0 and ν_δ = E‖δ‖²; the efficiency is μ_δ²/ν_δ.
"""

import sympy as sp

from analysis.proof.assumptions import A2, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Earlier, Identity, Inequality
from analysis.proof.symbols import (
    B,
    D,
    G,
    L,
    epsilon,
    gamma,
    m,
    sigma,
    update_pull,
    update_square,
)

progress = sp.Symbol("progress", real=True)
any_step = sp.Symbol("h", nonnegative=True)
distance = sp.Symbol("r", positive=True)
left = sp.Symbol("left", real=True)
benign = sp.Symbol("benign", positive=True)
sample, batch = sp.symbols("sample batch", positive=True)
second, mean = sp.symbols("second mean", nonnegative=True)

efficiency = sp.Symbol("Eff", positive=True)
formula = update_pull**2 / update_square
best_step = G * update_pull / (L * update_square)
fall = efficiency * G**2 / (2 * L)


def decrease(step: sp.Expr) -> sp.Expr:
    """What smoothness guarantees a step of this size."""
    return step * G * update_pull - L * step**2 * update_square / 2


noise_of_sgd = (
    (1 - epsilon) * sigma**2 + epsilon * D**2 + epsilon * (1 - epsilon) * G**2
)
of_sgd = 1 / (1 + noise_of_sgd / (B * (1 - epsilon) ** 2 * G**2))
square_of_units = 1 / m + (m - 1) * update_pull**2 / m
of_units = m * update_pull**2 / (1 + (m - 1) * update_pull**2)

statement = Relation(progress, ">=", fall)
terms = {
    "Eff": "the efficiency ⟨e, E δ⟩²/E‖δ‖²",
    "progress": "E[f(w) - f(w⁺)], the fall of the loss in one step, w⁺ = w - γδ",
}

steps = (
    Definition("efficiency", Relation(efficiency, "=", formula), "a name"),
    Definition(
        "best step",
        Relation(gamma, "=", best_step),
        "where the guarantee of the next step is largest",
    ),
    Axiom(
        "descent",
        Relation(progress, ">=", decrease(gamma)),
        "E⟨∇f, γδ⟩ = γGμ_δ and E‖γδ‖² = γ²ν_δ",
        axiom="smoothness",
    ),
    Identity(
        "at the best step",
        Relation(decrease(gamma), "=", fall),
        "put in",
        ("best step", "efficiency"),
    ),
    Chain("conclusion", statement, "transitivity", ("descent", "at the best step")),
)

witness = (
    Inequality(
        "no step has a better guarantee",
        Relation(decrease(any_step), "<=", fall),
        "a square is missing, for every step h",
        ("efficiency",),
        certificate=L * update_square * (any_step - best_step) ** 2 / 2,
    ),
    Axiom(
        "an isotropic quadratic",
        Relation(G, "=", L * distance),
        "f = L‖w‖²/2 at w = re, where the descent is an equality",
    ),
    Axiom(
        "its next distance",
        Relation(
            left,
            "=",
            distance**2 - 2 * gamma * distance * update_pull + gamma**2 * update_square,
        ),
        "left = E‖w⁺‖² = E‖re - γδ‖²",
        axiom="inner product",
    ),
    Identity(
        "attained",
        Relation(left, "=", distance**2 * (1 - efficiency)),
        "the best step multiplies E‖w‖² by one minus the efficiency",
        ("best step", "an isotropic quadratic", "its next distance", "efficiency"),
    ),
    Axiom(
        "mean and length",
        Relation(update_pull**2, "<=", update_square),
        "⟨e, E δ⟩² ≤ ‖E δ‖² ≤ E‖δ‖²",
        axiom="Jensen",
    ),
    Inequality(
        "at most 1",
        Relation(efficiency, "<=", sp.S.One),
        "the exact gradient has efficiency 1",
        ("mean and length", "efficiency"),
        certificate=(update_square - update_pull**2) / update_square,
    ),
    Axiom("not all draggers", Relation(1 - epsilon, ">", sp.S.Zero), "ε < 1"),
    Definition(
        "share",
        Relation(benign, "=", 1 - epsilon),
        "the probability that a sample is benign",
        ("not all draggers",),
    ),
    Axiom(
        "one sample",
        Relation(sample, "=", benign * (G**2 + sigma**2) + epsilon * D**2),
        "sample = the second moment of a sample's gradient, E‖ξ‖² = σ², E‖d‖² = D²; "
        "its mean is (1-ε)∇f, as E d = 0",
        axiom="total expectation",
    ),
    Axiom(
        "their mean",
        Relation(batch, "=", (benign * G) ** 2 + (sample - (benign * G) ** 2) / B),
        "batch = E‖ḡ‖² for SGD's direction ḡ, the mean of B samples",
        axiom="independence",
    ),
    Identity(
        "SGD",
        Relation((benign * G) ** 2 / batch, "=", of_sgd),
        "1/(1 + B_noise/B), B_noise = tr Σ/‖E ḡ‖² the gradient noise scale",
        ("their mean", "one sample", "share", "not all draggers"),
    ),
    Axiom("several", Relation(m, ">=", sp.S.One), "at least one micro-batch"),
    Earlier(
        "unit vectors",
        Relation(second, "=", 1 / m + (1 - 1 / m) * mean**2),
        "second = E‖ū‖², mean = ‖E u‖, with micro-batches of one law",
        claim="m_estimator_identity",
    ),
    Axiom(
        "along the gradient",
        Relation(mean, "=", update_pull),
        "E u = μ_δ e, where noise and draggers single out no other direction",
    ),
    Identity(
        "their square",
        Relation(second, "=", square_of_units),
        "E‖ū‖² of the normalized rule",
        ("unit vectors", "along the gradient"),
    ),
    Identity(
        "normalized",
        Relation(update_pull**2 / square_of_units, "=", of_units),
        "the efficiency of the normalized rule there",
        ("several",),
    ),
)


claim = Claim(
    name="efficiency",
    part="How fast it gets there",
    title="what the best step of a rule guarantees at a point",
    kind="lower bound",
    summary=(
        "the best step lowers f by Eff·G²/(2L), Eff = ⟨e, E δ⟩²/E‖δ‖², and no step "
        "has a better guarantee"
    ),
    assumptions=(
        A2,
        Assumption(
            "the moments are those given w: fresh samples, or any others of these "
            "moments; μ_δ > 0 (else no step is guaranteed to lower f)"
        ),
        Assumption("rule: any"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "efficiency": formula,
        "best_step": best_step,
        "guaranteed_fall": formula * G**2 / (2 * L),
        "sgd_efficiency": of_sgd,
        "normalized_efficiency": of_units,
    },
    shown={
        "efficiency": "efficiency",
        "best_step": "best step",
        "guaranteed_fall": "conclusion",
        "sgd_efficiency": "SGD",
        "normalized_efficiency": "normalized",
    },
    uses=("m_estimator_identity",),
    attained="f = L‖w‖²/2, every law of δ",
    figure="speed",
    agreement=("test_one_step",),
    remarks=(
        "for SGD this is the gradient noise scale of McCandlish et al. (2018), "
        "arXiv 1812.06162: batches much smaller than it waste no sample; the "
        "efficiency is its generalisation to every clipping rule",
        "SGD's value is for draggers with E d = 0 and E‖d‖² = D², noise with "
        "E‖ξ‖² = σ²; of any others `python -m analysis efficiency` knows it",
        "the efficiency changes with w, so that it is a rate and no number of steps",
    ),
)
