"""How well the direction of a noisy vector points at its mean: the sharp bound.

v = Ge + z with a unit vector e, G > 0, E z = 0 and E‖z‖² ≤ s²; cos(v, e) counts as 0
where v = 0.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.setting import k, z1, z2
from analysis.proof.assumptions import Assumption
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
from analysis.proof.symbols import G, s

R = sp.Symbol("R", positive=True)
x = sp.Symbol("x", nonnegative=True)
w = sp.Symbol("w", positive=True)

bound = (G**2 - s**2) / (G**2 + s**2)
quadratic = 1 - 2 * (x**2 - 2 * x * k + 1)
affine = 1 - 2 * ((G - R) ** 2 + 2 * (G - R) * z1 + z2) / R**2
moments = 1 - 2 * ((G - R) ** 2 + s**2) / R**2

statement = Relation(E(k), ">=", bound)
terms = {
    "k": "cos(∇f, g), g = ∇f + z",
}

steps = (
    Definition(
        "radius", Relation(R, "=", G + s**2 / G), "the best point to measure from is Re"
    ),
    Axiom(
        "length",
        Relation(R**2 * x**2, "=", G**2 + 2 * G * z1 + z2),
        "x = ‖v‖/R, z₁ = ⟨e, z⟩, z₂ = ‖z‖²",
        axiom="inner product",
    ),
    Axiom(
        "projection",
        Relation(R * x * k, "=", G + z1),
        "⟨v, e⟩ = ‖v‖k, k = cos(v, e); at v = 0 both sides vanish",
        axiom="inner product",
    ),
    *setting.cosine_in_range,
    Inequality(
        "pointwise",
        Relation(k, ">=", quadratic),
        "linear in k, and a non-negative polynomial in x at either end",
        ("cosine at most 1", "cosine at least -1"),
        certificate=(1 + k) * (1 - x) ** 2 + (1 - k) * x * (x + 2),
    ),
    Averaged("average", Relation(E(k), ">=", E(quadratic)), "monotone", ("pointwise",)),
    Identity(
        "distance to Re",
        Relation(quadratic, "=", affine),
        "the quadratic is 1 - 2‖v - Re‖²/R²",
        ("length", "projection"),
    ),
    Averaged(
        "average distance",
        Relation(E(quadratic), "=", E(affine)),
        "linear",
        ("distance to Re",),
    ),
    *setting.noise_moments,
    Expectation(
        "moments",
        Relation(E(affine), ">=", moments),
        "affine in z₁ and z₂, decreasing in z₂",
        ("mean zero", "variance"),
        random=(z1, z2, k, x),
    ),
    Identity(
        "closed form",
        Relation(moments, "=", bound),
        "R maximises the left side",
        ("radius",),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("average", "average distance", "moments", "closed form"),
    ),
)

witness = (
    Definition(
        "witness",
        Relation(w, "=", s**2 / (G**2 + s**2)),
        "z = -G with probability w, else s²/G, on e",
    ),
    *setting.two_points(G, w, ("witness",)),
    Identity(
        "witness attains the bound",
        Relation((1 - w) - w, "=", bound),
        "in the limit z → -G from below, where cos = -1",
        ("witness",),
    ),
)


claim = Claim(
    name="alignment_lemma",
    part="How a noisy gradient points",
    title="the mean cosine between a gradient and its noisy measurement",
    kind="lower bound, tight",
    summary="E cos(∇f, g) ≥ (G² - s²)/(G² + s²)",
    assumptions=(
        Assumption("E z = 0"),
        Assumption("E‖z‖² ≤ s²"),
        Assumption("G = ‖∇f‖ > 0"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"mean_cosine_bound": bound},
    shown={"mean_cosine_bound": "conclusion"},
    random=(k, x, z1, z2),
    attained=(
        "in the limit z → -G: noise z = -G with probability s²/(G² + s²), "
        "else s²/G, along ∇f"
    ),
    figure="sweet_spot",
    agreement=("test_one_step",),
)
