"""How a clipped noisy vector points at its mean: the sharp bound for a fixed threshold.

v = Ge + z with a unit vector e, G > 0, E z = 0 and E‖z‖² ≤ s²; clipping at c gives ψ(v)
of length ℓ = min(‖v‖, c) along v, and cuts off o = ‖v‖ - ℓ. The pull is ⟨e, ψ(v)⟩ = ℓk,
k = cos(v, e).
"""

import numpy as np
import sympy as sp

from analysis.claims import setting
from analysis.claims.setting import k, z1, z2
from analysis.proof.assumptions import Assumption
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
r, R = sp.symbols("r R", positive=True)

reach = sp.sqrt((G - c) ** 2 + s**2)
near = (G + c - reach) / 2
far = c * ((G + c) ** 2 - s**2) / ((G + c) ** 2 + s**2)
bound = sp.Piecewise((near, reach <= 2 * c), (far, True))
pull = ell * k
statement = Relation(E(pull), ">=", bound)
terms = {
    "ell": "min(‖g‖, c), the length after clipping",
    "k": "cos(∇f, g), g = ∇f + z",
}


def _minorant(centre: sp.Expr, factor: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """The bound c - factor·‖v - centre e‖² in z₁ and z₂, its mean at least."""
    distance = (G - centre) ** 2 + 2 * (G - centre) * z1 + z2
    return c - factor * distance, c - factor * ((G - centre) ** 2 + s**2)


def _averaged(
    case: str, quadratic: sp.Expr, moments: sp.Expr, closed: sp.Expr
) -> tuple[Step, ...]:
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


centre_near, centre_far = (
    _minorant(c + r, 1 / (4 * r)),
    _minorant(R, 2 * c / (R + c) ** 2),
)
parts = (
    "cosine at most 1",
    "cosine at least -1",
    "beyond the threshold",
    "length",
    "projection",
)
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
    *setting.cosine_in_range,
    *setting.noise_moments,
    Definition(
        "centre, near",
        Relation(r, "=", reach),
        "measure from (c + r)e; true for every threshold",
    ),
    Inequality(
        "pointwise, near",
        Relation(pull, ">=", centre_near[0]),
        (
            "c - ‖v - (c + r)e‖²/(4r); the slack is linear in k, and at k = ±1 "
            "no term is negative"
        ),
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
        (
            "c - 2c‖v - Re‖²/(R + c)²; the slack is linear in k, and at k = ±1 "
            "no term is negative"
        ),
        (*parts, "clipped", "centre beyond 3c"),
        certificate=(
            (1 + k)
            / 2
            * (2 * ell * (R - c - o) ** 2 + (c - ell) * wide)
            / (R + c) ** 2,
            (1 - k)
            / 2
            * ((c - ell) * wide + 2 * c * o * (2 * R + 2 * ell + o))
            / (R + c) ** 2,
        ),
    ),
    *_averaged("far", *centre_far, far),
    Cases(
        "conclusion",
        statement,
        "r ≤ 2c or r > 2c",
        ("near", "bound, near", "far", "bound, far"),
    ),
)


def _law(
    case: str, law: tuple[sp.Expr, ...], pull: sp.Expr, reason: str
) -> tuple[Step, ...]:
    """Mean, variance and pull of v on e, from two points and their clipped values.

    The probabilities of the points are those that give v the mean G.
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
            Relation(
                weight * (first - G) ** 2 + (1 - weight) * (second - G) ** 2, "=", s**2
            ),
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
        (
            "v = c - r or c + r on e, G between the two; as r ≤ 2c, only "
            "the second is clipped"
        ),
    ),
    *_law(
        "far",
        (-c, R, -c, c),
        far,
        "v = -c or R on e, G between the two; as r ≥ 2c, R is clipped",
    ),
    Identity(
        "small thresholds",
        Relation(sp.Limit(far / c, c, 0), "=", (G**2 - s**2) / (G**2 + s**2)),
        "in units of c: the bound on the mean cosine of alignment_lemma",
    ),
    Identity(
        "large thresholds",
        Relation(sp.Limit(near, c, sp.oo), "=", G),
        "the mean itself",
    ),
)


def mean_pull_bound(gradient_norm: float, threshold: float, noise: float) -> float:
    """The bound in floating point, without the cancellation in G + c - r.

    All three lengths are positive and in one unit, which is that of the result.
    """
    r = np.hypot(gradient_norm - threshold, noise)
    if r <= 2 * threshold:
        difference = 4 * gradient_norm * threshold - noise**2  # (G + c)² - r²
        return float(difference / (gradient_norm + threshold + r) / 2)
    square = (gradient_norm + threshold) ** 2
    return float(threshold * (square - noise**2) / (square + noise**2))


claim = Claim(
    name="huber_lemma",
    part="How a noisy gradient points",
    title="the mean pull of a noisy measurement that is clipped at a fixed threshold",
    kind="lower bound, tight",
    summary=(
        "the mean pull of a clipped gradient is at least (G + c - r)/2, r = "
        "√((G-c)² + s²), while r ≤ 2c"
    ),
    assumptions=(
        Assumption("E z = 0"),
        Assumption("E‖z‖² ≤ s²"),
        Assumption("G = ‖∇f‖ > 0"),
        Assumption("c > 0; ψ(v) has the length min(‖v‖, c) and the direction of v"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"mean_pull_bound": bound},
    shown={"mean_pull_bound": "conclusion"},
    random=(ell, o, k, z1, z2),
    attained=(
        "on ∇f: v = c ± r with mean G where r = √((G-c)² + s²) ≤ 2c, else v = -c or R"
    ),
    figure="threshold",
    agreement=("test_one_step",),
    remarks=(
        "the bound (G + c - r)/2 holds for every c; for r > 2c the other one is larger",
    ),
)
