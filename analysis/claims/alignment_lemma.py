"""How well the direction of a noisy vector points at its mean: the sharp bound.

v = Ge + z with a unit vector e, G > 0, E z = 0 and E‖z‖² ≤ s²; cos(v, e) counts as 0 where v = 0.
"""

import numpy as np
import sympy as sp

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
k = sp.Symbol("k", real=True)
x = sp.Symbol("x", nonnegative=True)
z1, z2 = sp.symbols("z_1 z_2", real=True)
w = sp.Symbol("w", positive=True)

bound = (G**2 - s**2) / (G**2 + s**2)
quadratic = 1 - 2 * (x**2 - 2 * x * k + 1)
affine = 1 - 2 * ((G - R) ** 2 + 2 * (G - R) * z1 + z2) / R**2
moments = 1 - 2 * ((G - R) ** 2 + s**2) / R**2

statement = Relation(E(k), ">=", bound)

steps = (
    Definition("radius", Relation(R, "=", G + s**2 / G), "the best point to measure from is Re"),
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
    Axiom("cosine at most 1", Relation(k, "<=", sp.S.One), "k = cos", axiom="Cauchy-Schwarz"),
    Axiom("cosine at least -1", Relation(k, ">=", -sp.S.One), "k = cos", axiom="Cauchy-Schwarz"),
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
        "average distance", Relation(E(quadratic), "=", E(affine)), "linear", ("distance to Re",)
    ),
    Axiom("mean zero", Relation(E(z1), "=", sp.S.Zero), "E z = 0"),
    Axiom("variance", Relation(E(z2), "<=", s**2), "E‖z‖² ≤ s²"),
    Expectation(
        "moments",
        Relation(E(affine), ">=", moments),
        "affine in z₁ and z₂, decreasing in z₂",
        ("mean zero", "variance"),
        random=(z1, z2, k, x),
    ),
    Identity(
        "closed form", Relation(moments, "=", bound), "R maximises the left side", ("radius",)
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
        "witness", Relation(w, "=", s**2 / (G**2 + s**2)), "z = -G with chance w, else s²/G, on e"
    ),
    Identity(
        "witness has mean zero",
        Relation(-w * G + (1 - w) * s**2 / G, "=", sp.S.Zero),
        "first moment",
        ("witness",),
    ),
    Identity(
        "witness has variance s²",
        Relation(w * G**2 + (1 - w) * s**4 / G**2, "=", s**2),
        "second moment",
        ("witness",),
    ),
    Identity(
        "witness attains the bound",
        Relation((1 - w) - w, "=", bound),
        "in the limit z → -G from below, where cos = -1",
        ("witness",),
    ),
)


def slack(
    points: np.ndarray, chances: np.ndarray, gradient_norm: float, improvement: float = 0.0
) -> float:
    """E cos minus the bound for the law with these atoms [n, d], centred here, and chances [n].

    An improvement shortens the distance 1 - bound by that fraction.
    """
    z = points - chances @ points
    noise = chances @ (z**2).sum(1)
    v = z + gradient_norm * np.eye(z.shape[1])[0]
    length = np.linalg.norm(v, axis=1)
    cosine = chances @ np.divide(v[:, 0], length, out=np.zeros_like(length), where=length > 0)
    return float(cosine - 1 + (1 - improvement) * 2 * noise / (gradient_norm**2 + noise))


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over 2000 random laws, 200 witness laws and a search over three-atom laws."""
    from scipy import optimize

    found = []
    for _ in range(2000):
        d, n = rng.integers(1, 6), rng.integers(2, 7)
        points = rng.normal(size=(n, d)) * rng.lognormal(0, 1, size=(n, 1))
        chances = rng.dirichlet(np.full(n, 0.5))
        found.append(slack(points, chances, rng.lognormal(0, 1), improvement))

    for norm, noise in rng.lognormal(0, 1, (200, 2)):
        points = np.array([[-norm * (1 + 1e-12)], [noise**2 / norm]])
        back = noise**2 / (norm**2 + noise**2)
        found.append(slack(points, np.array([back, 1 - back]), norm, improvement))

    def objective(theta: np.ndarray) -> float:
        chances = np.exp(theta[6:] - theta[6:].max())
        return slack(theta[:6].reshape(3, 2), chances / chances.sum(), 1.0, improvement)

    for _ in range(3):
        options = {"maxiter": 1500, "fatol": 1e-12}
        start = rng.normal(size=9)
        found.append(optimize.minimize(objective, start, method="Nelder-Mead", options=options).fun)
    return float(min(found))


claim = Claim(
    name="alignment_lemma",
    part="How a noisy gradient points",
    title="the mean cosine between a gradient and its noisy measurement",
    kind="lower bound, tight",
    assumptions=("E z = 0", "E‖z‖² ≤ s²", "G = ‖∇f‖ > 0"),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"mean_cosine_bound": bound},
    shown={"mean_cosine_bound": "conclusion"},
    random=(k, x, z1, z2),
    attack=attack,
    attained="in the limit z → -G: noise z = -G with chance s²/(G² + s²), else s²/G, along ∇f",
    figure="sweet_spot",
)
