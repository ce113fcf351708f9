"""How well a clipped noisy vector points at its mean: the sharp bound for a fixed threshold.

v = Ge + z with a unit vector e, G > 0, E z = 0 and E‖z‖² ≤ s²; clipping at c gives ψ(v) of length
ℓ = min(‖v‖, c) along v, and cuts off o = ‖v‖ - ℓ. The pull is ⟨e, ψ(v)⟩ = ℓk, k = cos(v, e).
"""

import numpy as np
import sympy as sp

from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Cases,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
    Step,
    Suppose,
)
from analysis.proof.symbols import G, c, s

ell, o = sp.symbols("ell o", nonnegative=True)
k, z1, z2 = sp.symbols("k z_1 z_2", real=True)
r, R = sp.symbols("r R", positive=True)

reach = sp.sqrt((G - c) ** 2 + s**2)
near = (G + c - reach) / 2
far = c * ((G + c) ** 2 - s**2) / ((G + c) ** 2 + s**2)
bound = sp.Piecewise((near, reach <= 2 * c), (far, True))
pull = ell * k
statement = Relation(E(pull), ">=", bound)


def _minorant(centre: sp.Expr, factor: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """The bound c - factor·‖v - centre e‖² in z₁ and z₂, and what its mean is at least."""
    distance = (G - centre) ** 2 + 2 * (G - centre) * z1 + z2
    return c - factor * distance, c - factor * ((G - centre) ** 2 + s**2)


def _averaged(case: str, quadratic: sp.Expr, moments: sp.Expr, closed: sp.Expr) -> tuple[Step, ...]:
    """From the pointwise bound of a case to its closed form."""
    return (
        Averaged(
            f"average, {case}",
            Relation(E(pull), ">=", E(quadratic)),
            "monotone",
            (f"pointwise, {case}",),
        ),
        Expectation(
            f"moments, {case}",
            Relation(E(quadratic), ">=", moments),
            "affine in z₁ and z₂, decreasing in z₂",
            ("mean zero", "variance"),
            random=(z1, z2, ell, o, k),
        ),
        Identity(
            f"closed form, {case}",
            Relation(moments, "=", closed),
            "the left side is largest for this centre",
            (f"centre, {case}",),
        ),
        Chain(
            f"bound, {case}",
            Relation(E(pull), ">=", closed),
            "transitivity",
            tuple(f"{n}, {case}" for n in ("average", "moments", "closed form")),
        ),
    )


centre_near, centre_far = _minorant(c + r, 1 / (4 * r)), _minorant(R, 2 * c / (R + c) ** 2)
parts = ("cosine at most 1", "cosine at least -1", "beyond the threshold", "length", "projection")
wide = (R - 3 * c) * (R + c) + 2 * c * (c - ell)

steps = (
    Axiom("clipped", Relation(ell, "<=", c), "ℓ = min(‖v‖, c)"),
    Axiom(
        "beyond the threshold",
        Relation(o * (c - ell), "=", sp.S.Zero),
        "o = ‖v‖ - min(‖v‖, c): nothing is cut off unless ℓ = c",
    ),
    Axiom(
        "length",
        Relation((ell + o) ** 2, "=", G**2 + 2 * G * z1 + z2),
        "ℓ + o = ‖v‖, z₁ = ⟨e, z⟩, z₂ = ‖z‖²",
        axiom="inner product",
    ),
    Axiom(
        "projection",
        Relation((ell + o) * k, "=", G + z1),
        "⟨v, e⟩ = ‖v‖ cos; at v = 0 both sides vanish",
        axiom="inner product",
    ),
    Axiom("cosine at most 1", Relation(k, "<=", sp.S.One), "k = cos", axiom="Cauchy-Schwarz"),
    Axiom("cosine at least -1", Relation(k, ">=", -sp.S.One), "k = cos", axiom="Cauchy-Schwarz"),
    Axiom("mean zero", Relation(E(z1), "=", sp.S.Zero), "E z = 0"),
    Axiom("variance", Relation(E(z2), "<=", s**2), "E‖z‖² ≤ s²"),
    Definition(
        "centre, near", Relation(r, "=", reach), "measure from (c + r)e; true for every threshold"
    ),
    Inequality(
        "pointwise, near",
        Relation(pull, ">=", centre_near[0]),
        "c - ‖v - (c + r)e‖²/(4r); the slack is linear in k, and at k = ±1 no term is negative",
        parts,
        certificate=(
            (1 + k) / 2 * (ell - c + r - o) ** 2 / (4 * r),
            (1 - k) / 2 * ((ell + c - r) ** 2 + 2 * o * (ell + c + r) + o**2) / (4 * r),
        ),
    ),
    *_averaged("near", *centre_near, near),
    Suppose("near", Relation(reach, "<=", 2 * c), "little noise for the threshold"),
    Suppose("far", Relation(reach, ">", 2 * c), "much noise for the threshold"),
    Definition("centre, far", Relation(R, "=", G + s**2 / (G + c)), "measure from Re"),
    Inequality(
        "centre beyond 3c",
        Relation(R, ">=", 3 * c),
        "the same as r ≥ 2c, r = √((G - c)² + s²)",
        ("centre, far", "far"),
        certificate=(reach - 2 * c) * (reach + 2 * c) / (G + c),
    ),
    Inequality(
        "pointwise, far",
        Relation(pull, ">=", centre_far[0]),
        "c - 2c‖v - Re‖²/(R + c)²; the slack is linear in k, and at k = ±1 no term is negative",
        (*parts, "clipped", "centre beyond 3c"),
        certificate=(
            (1 + k) / 2 * (2 * ell * (R - c - o) ** 2 + (c - ell) * wide) / (R + c) ** 2,
            (1 - k) / 2 * ((c - ell) * wide + 2 * c * o * (2 * R + 2 * ell + o)) / (R + c) ** 2,
        ),
    ),
    *_averaged("far", *centre_far, far),
    Cases(
        "conclusion", statement, "r ≤ 2c or r > 2c", ("near", "bound, near", "far", "bound, far")
    ),
)


def _law(case: str, law: tuple[sp.Expr, ...], pull: sp.Expr, reason: str) -> tuple[Step, ...]:
    """Mean, variance and pull of a law of v on e, given by two points and their clipped values.

    The chances of the points are those that give v the mean G.
    """
    first, second, first_clipped, second_clipped = law
    weight = (second - G) / (second - first)
    using = (f"centre, {case}",)
    return (
        Identity(
            f"{case} law, mean",
            Relation(weight * first + (1 - weight) * second, "=", G),
            reason,
            using,
        ),
        Identity(
            f"{case} law, variance",
            Relation(weight * (first - G) ** 2 + (1 - weight) * (second - G) ** 2, "=", s**2),
            "second moment about the mean",
            using,
        ),
        Identity(
            f"{case} law, pull",
            Relation(weight * first_clipped + (1 - weight) * second_clipped, "=", pull),
            "the bound is attained",
            using,
        ),
    )


witness = (
    *_law(
        "near",
        (c - r, c + r, c - r, c),
        near,
        "v = c - r or c + r on e, G between the two; as r ≤ 2c, only the second is clipped",
    ),
    *_law(
        "far", (-c, R, -c, c), far, "v = -c or R on e, G between the two; as r ≥ 2c, R is clipped"
    ),
    Identity(
        "small thresholds",
        Relation(sp.Limit(far / c, c, 0), "=", (G**2 - s**2) / (G**2 + s**2)),
        "in units of c: the bound on the mean cosine of alignment_lemma",
    ),
    Identity("large thresholds", Relation(sp.Limit(near, c, sp.oo), "=", G), "the mean itself"),
)


def value(gradient_norm: float, threshold: float, noise: float) -> float:
    """The bound in floating point."""
    r = np.hypot(gradient_norm - threshold, noise)
    if r <= 2 * threshold:
        difference = 4 * gradient_norm * threshold - noise**2  # of (G + c)² and r², all its digits
        return float(difference / (gradient_norm + threshold + r) / 2)
    square = (gradient_norm + threshold) ** 2
    return float(threshold * (square - noise**2) / (square + noise**2))


def pull_of(points: np.ndarray, chances: np.ndarray, gradient_norm: float, c: float) -> float:
    """E⟨e, ψ(v)⟩/c for the law with these atoms [n, d], centred here, and chances [n]."""
    v = points - chances @ points
    v[:, 0] += gradient_norm
    return float(chances @ (v[:, 0] / np.maximum(np.linalg.norm(v, axis=1), c)))


def slack(
    points: np.ndarray,
    chances: np.ndarray,
    gradient_norm: float,
    threshold: float,
    improvement: float = 0.0,
) -> float:
    """E⟨e, ψ(v)⟩ minus the bound, over c, for the law with these atoms [n, d], centred here.

    An improvement makes the noise in the bound smaller by that fraction.
    """
    z = points - chances @ points
    noise = float(np.sqrt(chances @ (z**2).sum(1)))
    least = value(gradient_norm, threshold, (1 - improvement) * noise)
    return pull_of(points, chances, gradient_norm, threshold) - least / threshold


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack over random laws, both witness laws, and a search over three-atom laws."""
    from scipy import optimize

    found = []
    for _ in range(2000):
        d, n = rng.integers(1, 6), rng.integers(2, 7)
        points = rng.normal(size=(n, d)) * rng.lognormal(0, 1, size=(n, 1))
        G, c = rng.lognormal(0, 1, 2)
        found.append(slack(points, rng.dirichlet(np.full(n, 0.5)), G, c, improvement))
    for _ in range(200):
        G, c, s = rng.lognormal(0, 1, 3)
        r = np.hypot(G - c, s)
        low, high = (c - r, c + r) if r <= 2 * c else (-c, G + s**2 / (G + c))
        chances = np.array([high - G, G - low]) / (high - low)
        found.append(slack(np.array([[low], [high]]), chances, G, c, improvement))

    def objective(theta: np.ndarray, c: float) -> float:
        chances = np.exp(theta[6:] - theta[6:].max())
        return slack(theta[:6].reshape(3, 2), chances / chances.sum(), 1.0, c, improvement)

    for c in (0.2, 1.0, 3.0):
        options = {"maxiter": 1200, "fatol": 1e-12}
        start = rng.normal(size=9)
        best = optimize.minimize(objective, start, (c,), method="Nelder-Mead", options=options)
        found.append(best.fun)
    return float(min(found))


claim = Claim(
    name="huber_lemma",
    part="How a noisy gradient points",
    title="the mean pull of a noisy measurement that is clipped at a fixed threshold",
    kind="lower bound, tight",
    assumptions=(
        "E z = 0",
        "E‖z‖² ≤ s²",
        "G = ‖∇f‖ > 0",
        "c > 0; ψ(v) has the length min(‖v‖, c) and the direction of v",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={"mean_pull_bound": bound},
    shown={"mean_pull_bound": "conclusion"},
    random=(ell, o, k, z1, z2),
    attack=attack,
    attained="on ∇f: v = c ± r with mean G where r = √((G-c)² + s²) ≤ 2c, else v = -c or R",
    figure="threshold",
    remarks=("the bound (G + c - r)/2 holds for every c; for r > 2c the other one is larger",),
)
