"""Every rule that shortens by a concave score pulls back: one bound for all.

g = Ge + z goes into the update as ψ(g) = H(‖g‖) g/‖g‖: H = 1 is the normalized rule,
H(r) = min(r, c) the rule `fixed`, H(r) = r SGD, and Algorithm 1 has an H between
(m_estimator_identity). Π(r) = ∫_0^r H is the potential of ψ.
"""

import sympy as sp

from analysis.claims.alignment_lemma import bound as mean_cosine
from analysis.claims.setting import spread
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import Monotone
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
from analysis.proof.symbols import G, b, s, sigma

H = sp.Function("H", nonnegative=True)
r, r_z = sp.symbols("r r_z", nonnegative=True)
t, y = sp.symbols("t y", real=True)
pull, along = sp.symbols("X z_v", real=True)
at_v, at_z = sp.symbols("Pi_v Pi_z", nonnegative=True)
x, a = sp.symbols("x a", positive=True)
scale = sp.Symbol("s_b", positive=True)


def potential(length: sp.Expr) -> sp.Expr:
    """Π, the integral of H from 0."""
    return sp.Integral(H(t), (t, 0, length))


def slope(length: sp.Expr) -> sp.Expr:
    """Derivative of Π(√x) by x at √x = length."""
    return H(length) / (2 * length)


some_score = Axiom(
    "some score", Relation(H(s), ">", sp.S.Zero), "H does not vanish at s"
)
rise_beyond_noise = Axiom(
    "rise beyond s",
    Relation(potential(s) - potential(G), "<=", (s - G) * H(s)),
    "H does not decrease; Π(s) - Π(G) = ∫_G^s H",
    axiom="monotone integral",
)

statement = Relation(E(pull), ">=", potential(G) - potential(s))
terms = {
    "X": "⟨∇f, ψ(g)⟩ with ψ(g) = H(‖g‖) g/‖g‖, g = ∇f + z",
    "H": "the length that the score gives to a gradient of length t",
}

steps = (
    Axiom(
        "pull",
        Relation(pull, "=", H(r) * (r - along)),
        (
            "X = ⟨ψ(v), Ge⟩ with Ge = v - z; r = ‖v‖, z_v = ⟨v, z⟩/r; zero where "
            "v = 0, as H(0) = 0"
        ),
        axiom="inner product",
    ),
    Axiom(
        "noise along v", Relation(along, "<=", r_z), "r_z = ‖z‖", axiom="Cauchy-Schwarz"
    ),
    Axiom(
        "potential at v",
        Relation(at_v, "=", potential(r)),
        "Π_v = Π(‖v‖)",
        axiom="name",
    ),
    Axiom(
        "potential at z",
        Relation(at_z, "=", potential(r_z)),
        "Π_z = Π(‖z‖)",
        axiom="name",
    ),
    Axiom(
        "rise of the potential",
        Relation(potential(r) - potential(r_z), "<=", (r - r_z) * H(r)),
        "H does not decrease; also where r < r_z",
        axiom="monotone integral",
    ),
    Inequality(
        "pointwise",
        Relation(pull, ">=", at_v - at_z),
        "the noise takes away at most r_z of the length r",
        (
            "pull",
            "noise along v",
            "potential at v",
            "potential at z",
            "rise of the potential",
        ),
        certificate=(
            H(r) * (r_z - along),
            (r - r_z) * H(r) - (potential(r) - potential(r_z)),
        ),
    ),
    Averaged(
        "average", Relation(E(pull), ">=", E(at_v - at_z)), "monotone", ("pointwise",)
    ),
    Axiom(
        "potential of the mean",
        Relation(E(at_v), ">=", potential(G)),
        "Π(‖·‖) is convex, as Π is convex and rises; the mean of v is Ge",
        axiom="Jensen",
    ),
    Identity(
        "slope in the square",
        Relation(sp.Derivative(potential(sp.sqrt(x)), x), "=", slope(sp.sqrt(x))),
        "Π(√x) as a function of x",
    ),
    Axiom(
        "concave score",
        Relation(a * sp.diff(H(a), a), "<=", H(a)),
        "H is concave, H(0) = 0; at every length a",
        axiom="concave",
    ),
    Inequality(
        "the slope falls",
        Relation(sp.Derivative(slope(a), a), "<=", sp.S.Zero),
        "in the length a = √x, so also in x: Π(√x) is concave",
        ("concave score",),
        certificate=(H(a) - a * sp.diff(H(a), a)) / (2 * a**2),
    ),
    Axiom(
        "potential of the noise",
        Relation(E(at_z), "<=", potential(sp.sqrt(spread))),
        "Π is concave as a function of ‖z‖²; spread = E‖z‖²",
        ("slope in the square", "the slope falls"),
        axiom="Jensen",
    ),
    Inequality(
        "the potential rises",
        Relation(sp.Derivative(potential(y), y), ">=", sp.S.Zero),
        "H is not negative",
        certificate=H(y),
    ),
    Axiom("noise", Relation(spread, "<=", s**2), "E‖z‖² ≤ s²"),
    Inequality(
        "noise scale",
        Relation(sp.sqrt(spread), "<=", s),
        "both are positive",
        ("noise",),
        certificate=(s**2 - spread) / (s + sp.sqrt(spread)),
    ),
    Monotone(
        "potential of the scale",
        Relation(potential(sp.sqrt(spread)), "<=", potential(s)),
        "Π rises",
        ("the potential rises", "noise scale"),
        function=potential(y),
        symbol=y,
        low=sp.sqrt(spread),
        high=s,
    ),
    Chain(
        "potential of the noise, at most",
        Relation(E(at_z), "<=", potential(s)),
        "transitivity",
        ("potential of the noise", "potential of the scale"),
    ),
    Expectation(
        "moments",
        Relation(E(at_v - at_z), ">=", potential(G) - potential(s)),
        "linear in Π_v and Π_z",
        ("potential of the mean", "potential of the noise, at most"),
        random=(at_v, at_z, pull, along, r, r_z),
    ),
    Chain("conclusion", statement, "transitivity", ("average", "moments")),
)

witness = (
    Axiom(
        "rest without draggers",
        Relation(E(pull), "=", sp.S.Zero),
        "the expected update is zero, and all micro-batches are clean",
    ),
    Inequality(
        "potential at rest",
        Relation(potential(G), "<=", potential(s)),
        "the bound is not positive there",
        ("conclusion", "rest without draggers"),
        certificate=E(pull) - (potential(G) - potential(s)),
    ),
    rise_beyond_noise,
    some_score,
    Inequality(
        "radius without draggers",
        Relation(G, "<=", s),
        "for every such rule, and for Algorithm 1 with any number of micro-batches",
        ("potential at rest", "rise beyond s", "some score"),
        certificate=(
            ((s - G) * H(s) - (potential(s) - potential(G))) / H(s),
            (potential(s) - potential(G)) / H(s),
        ),
    ),
    Definition(
        "noise of a micro-batch", Relation(scale, "=", sigma / sp.sqrt(b)), "σ/√b"
    ),
    Axiom(
        "its noise", Relation(s, "=", scale), "s is that of a micro-batch of b samples"
    ),
    Chain(
        "radius of a micro-batch",
        Relation(G, "<=", scale),
        "transitivity",
        ("radius without draggers", "its noise"),
    ),
    Identity(
        "normalized rule",
        Relation(G * mean_cosine, "=", G - s + s * (G - s) ** 2 / (G**2 + s**2)),
        (
            "H = 1, Π(G) - Π(s) = G - s: it touches the sharp bound of "
            "alignment_lemma at G = s"
        ),
    ),
)


claim = Claim(
    name="convexity_lemma",
    part="How a noisy gradient points",
    title="the pull of a micro-batch under any concave score, Algorithm 1 included",
    kind="lower bound, tight for the normalized rule at G = s",
    summary=(
        "without draggers every rule rests within G ≤ s, for every m: "
        "E⟨ψ(g), ∇f⟩ ≥ Π(G) - Π(s)"
    ),
    assumptions=(
        Assumption(
            "H ≥ 0 is non-decreasing and concave, H(0) = 0 (H = 1 counts, "
            "as the limit c → 0)"
        ),
        Assumption("E z = 0, E‖z‖² ≤ s²"),
        Assumption("G = ‖∇f‖ > 0"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"bias_radius": sigma / sp.sqrt(b)},
    shown={"bias_radius": "radius of a micro-batch"},
    random=(pull, along, r, r_z, at_v, at_z),
    about=("alignment_lemma",),
    attained=(
        "H = 1, G = s: z = -G or G with even probabilities, in the "
        "limit z → -G from below"
    ),
    figure="score_function",
    agreement=(
        "test_one_step",
        "test_radii",
    ),
    remarks=(
        "bias_radius is the one without draggers; with them see finite_micro_batches",
    ),
)
