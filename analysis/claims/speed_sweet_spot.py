"""Which size trains fastest: relative efficiency in many dimensions, little signal.

The efficiency of the normalized rule is ⟨e, E ū⟩²/E‖ū‖². Gradients of different samples
are nearly at right angles, so a micro-batch's sum has the squared norm Σ a_i², a_i the
norms of its samples' gradients. Where E[⟨g, e⟩ | a] = G a²/E a² (least squares, by
Stein's lemma; any model whose gradient is a residual times a feature) the efficiency,
over that of SGD without draggers, is F(b) = (1-ε)^(2b) R(b)² with R(b) = E √(mean of b
a²)/√(E a²): a clean micro-batch grows rarer with b, and R rises to 1. By Hölder and
Laplace's form of the root R is concave, whatever the law of the norms: F has one
maximum. The kurtosis of the norms alone bounds F below.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.setting import tangent
from analysis.proof.assumptions import A3, Assumption
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
from analysis.proof.symbols import B, G, b, kurtosis, lam, p

a2 = sp.Symbol("A", positive=True)
R = sp.Symbol("R", nonnegative=True)
r, total = sp.symbols("r total", positive=True)
square, fourth = sp.symbols("r_2 r_4", nonnegative=True)
pull, clean, contaminated, efficiency, sgd = sp.symbols(
    "pull clean contaminated Eff Eff_0", real=True
)

b1, b2 = sp.symbols("b_1 b_2", positive=True)
y1, y2, y = sp.symbols("y_1 y_2 y", nonnegative=True)
mean1, mean2, mean = sp.symbols("Y_1 Y_2 Y", nonnegative=True)
R1, R2, R_middle = sp.symbols("R_1 R_2 R_3", nonnegative=True)
F1, F2, F_middle = sp.symbols("F_1 F_2 F_3", nonnegative=True)
weight = sp.Symbol("w", positive=True)

ratio, mean_ratio = sp.symbols("x_a X_a", nonnegative=True)

between = (R1 + R2) / 2
geometric = sp.sqrt(R1 * R2)
floor = 1 - (kurtosis - 1) / (2 * b)
guarantee = sp.exp(-2 * lam * b) * floor**2

statement = Relation(F_middle, ">=", sp.sqrt(F1 * F2))
terms = {
    "F_1": "the relative efficiency at b_1 samples, e^(-2λb_1) R(b_1)²",
    "F_2": "the same at b_2",
    "F_3": "the same at (b_1 + b_2)/2",
}


def relative(name: str, symbol: sp.Symbol, size: sp.Expr, R: sp.Symbol) -> Definition:
    """The relative efficiency at a size, by "relative efficiency"."""
    return Definition(
        name, Relation(symbol, "=", sp.exp(-2 * lam * size) * R**2), "p²R²"
    )


def transform(name: str, R: sp.Symbol, mean: sp.Symbol) -> Axiom:
    """R at a size from the Laplace transforms there."""
    return Axiom(
        name,
        Relation(R, "=", weight * (1 - mean)),
        (
            "R = E √M, M the mean of b squared norms over A: 1 - E e^(-tM) averaged "
            "over t; E has a density like t^(-3/2) beyond a small t, 1/w its integral, "
            "and that t tends to 0"
        ),
        axiom="Laplace",
    )


steps = (
    setting.probability_of_clean,
    Axiom(
        "direction of a clean micro-batch",
        Relation(clean, "=", E(G / a2 * total / sp.sqrt(total))),
        (
            "clean = E⟨u, e⟩ = E[Σ⟨g_i, e⟩/‖Σ g_i‖]; A = E a², total = Σ a_i²: "
            "Σ E[⟨g_i, e⟩ | a_i] = total G/A, and ‖Σ g_i‖² = total for gradients at "
            "right angles, as in many dimensions"
        ),
        axiom="limit",
    ),
    Definition(
        "root mean square",
        Relation(r, "=", sp.sqrt(total / (b * a2))),
        "r = √(mean of a_i²/A)",
    ),
    Identity(
        "signal over norm",
        Relation(G / a2 * total / sp.sqrt(total), "=", G * sp.sqrt(b / a2) * r),
        "definition",
        ("root mean square",),
    ),
    Averaged(
        "on average over samples",
        Relation(E(G / a2 * total / sp.sqrt(total)), "=", E(G * sp.sqrt(b / a2) * r)),
        "the same",
        ("signal over norm",),
    ),
    Axiom("R", Relation(E(r), "=", R), "a function of the size b", axiom="name"),
    Expectation(
        "its mean",
        Relation(E(G * sp.sqrt(b / a2) * r), "=", G * sp.sqrt(b / a2) * R),
        "linear",
        ("R",),
        random=(r, total),
    ),
    Axiom(
        "two cases",
        Relation(pull, "=", p * clean + (1 - p) * contaminated),
        "pull = ⟨E u, e⟩ = ⟨E ū, e⟩",
        axiom="total expectation",
    ),
    Axiom(
        "draggers say nothing",
        Relation(contaminated, "=", sp.S.Zero),
        (
            "a dragger is much longer than √b benign gradients, and the mean of its "
            "direction is zero"
        ),
    ),
    Identity(
        "pull",
        Relation(pull, "=", p * G * sp.sqrt(b / a2) * R),
        "definitions",
        (
            "two cases",
            "direction of a clean micro-batch",
            "on average over samples",
            "its mean",
            "draggers say nothing",
        ),
    ),
    Axiom(
        "efficiency",
        Relation(efficiency, "=", B / b * pull**2),
        (
            "Eff = pull²/(1/m + (1 - 1/m)‖E u‖²), m = B/b, at little signal: "
            "m‖E u‖² tends to 0"
        ),
        axiom="limit",
    ),
    Axiom(
        "efficiency of SGD",
        Relation(sgd, "=", B * G**2 / a2),
        "Eff_0 = G²/(A/B + (1 - 1/B)G²) without draggers, in the same limit",
        axiom="limit",
    ),
    Identity(
        "relative efficiency",
        Relation(efficiency, "=", sgd * sp.exp(-2 * lam * b) * R**2),
        "F(b) = p²R²",
        ("efficiency", "pull", "efficiency of SGD", "clean probability"),
    ),
    relative("at b_1", F1, b1, R1),
    relative("at b_2", F2, b2, R2),
    relative("in the middle", F_middle, (b1 + b2) / 2, R_middle),
    Axiom(
        "transforms",
        Relation(y, "<=", sp.sqrt(y1 * y2)),
        (
            "y_k = φ(t/b_k)^b_k, φ(s) = E e^(-s a²/A), y the same at b_3 = (b_1 + "
            "b_2)/2: e^(-s_3 a²) is e^(-s_1 a²) to the power b_1/(2b_3) times "
            "e^(-s_2 a²) to the power b_2/(2b_3), s_k = t/b_k"
        ),
        axiom="Hölder",
    ),
    Inequality(
        "means of transforms",
        Relation(sp.sqrt(y1 * y2), "<=", (y1 + y2) / 2),
        "geometric and arithmetic mean",
        certificate=(sp.sqrt(y1) - sp.sqrt(y2)) ** 2 / 2,
    ),
    Chain(
        "convex transforms",
        Relation(y, "<=", (y1 + y2) / 2),
        "at every t",
        ("transforms", "means of transforms"),
    ),
    Averaged(
        "over all t",
        Relation(E(y), "<=", E((y1 + y2) / 2)),
        "E is over t",
        ("convex transforms",),
    ),
    Axiom("Y_1", Relation(E(y1), "=", mean1), "at b_1", axiom="name"),
    Axiom("Y_2", Relation(E(y2), "=", mean2), "at b_2", axiom="name"),
    Axiom("Y", Relation(E(y), "=", mean), "in the middle", axiom="name"),
    Expectation(
        "the mean of both",
        Relation(E((y1 + y2) / 2), "=", (mean1 + mean2) / 2),
        "linear",
        ("Y_1", "Y_2"),
        random=(y1, y2, y),
    ),
    Inequality(
        "means",
        Relation(mean, "<=", (mean1 + mean2) / 2),
        "transitivity",
        ("over all t", "the mean of both", "Y"),
        certificate=E((y1 + y2) / 2) - E(y),
    ),
    transform("R at b_1", R1, mean1),
    transform("R at b_2", R2, mean2),
    transform("R in the middle", R_middle, mean),
    Inequality(
        "R is concave",
        Relation(R_middle, ">=", between),
        "midpoints of chords lie below, and R is continuous",
        ("means", "R at b_1", "R at b_2", "R in the middle"),
        certificate=weight * ((mean1 + mean2) / 2 - mean),
    ),
    Inequality(
        "means of R",
        Relation(between, ">=", geometric),
        "geometric and arithmetic mean",
        certificate=(sp.sqrt(R1) - sp.sqrt(R2)) ** 2 / 2,
    ),
    Chain(
        "R is log-concave",
        Relation(R_middle, ">=", geometric),
        "transitivity",
        ("R is concave", "means of R"),
    ),
    Inequality(
        "conclusion",
        statement,
        "e^(-2λb) is log-linear: ln F is concave, so F has one maximum in b",
        ("at b_1", "at b_2", "in the middle", "R is log-concave"),
        certificate=sp.exp(-lam * (b1 + b2))
        * (R_middle - geometric)
        * (R_middle + geometric),
    ),
)

witness = (
    Definition("square", Relation(square, "=", r**2), "the mean of b a²/A"),
    Definition("fourth power", Relation(fourth, "=", r**4), "its square"),
    Inequality(
        "root above a parabola",
        Relation(r, ">=", (3 * square - fourth) / 2),
        "√x ≥ (3x - x²)/2, with equality at x = 0 and 1",
        ("square", "fourth power"),
        certificate=r * (r - 1) ** 2 * (r + 2) / 2,
    ),
    Averaged(
        "on average",
        Relation(E(r), ">=", E((3 * square - fourth) / 2)),
        "over micro-batches",
        ("root above a parabola",),
    ),
    Axiom(
        "mean square", Relation(E(square), "=", sp.S.One), "A = E a²", axiom="i.i.d."
    ),
    Axiom(
        "mean fourth power",
        Relation(E(fourth), "=", 1 + (kurtosis - 1) / b),
        "b independent terms of mean 1 and variance κ_4 - 1",
        axiom="independence",
    ),
    Expectation(
        "by the kurtosis",
        Relation(E((3 * square - fourth) / 2), "=", floor),
        "linear",
        ("mean square", "mean fourth power"),
        random=(r, total, square, fourth),
    ),
    Inequality(
        "R by the kurtosis",
        Relation(R, ">=", floor),
        "transitivity",
        ("on average", "by the kurtosis", "R"),
        certificate=E(r) - E((3 * square - fourth) / 2),
    ),
    Axiom(
        "enough samples",
        Relation(floor, ">=", sp.S.Zero),
        "b ≥ (κ_4 - 1)/2",
    ),
    Inequality(
        "least relative efficiency",
        Relation(sp.exp(-2 * lam * b) * R**2, ">=", guarantee),
        "for every law of the norms with this kurtosis",
        ("R by the kurtosis", "enough samples"),
        certificate=(
            sp.exp(-2 * lam * b) * (R - floor) * R,
            sp.exp(-2 * lam * b) * (R - floor) * floor,
        ),
    ),
    Axiom(
        "sum of norms",
        Relation(ratio, "<=", sp.S.One),
        (
            "where E[⟨g, e⟩ | a] is proportional to a instead, all a_i > 0: x = "
            "Σ a_i/√(b Σ a_i²), and F(b) is proportional to p²(E x)²"
        ),
        axiom="Cauchy-Schwarz",
    ),
    Averaged(
        "mean ratio",
        Relation(E(ratio), "<=", E(sp.S.One)),
        "over micro-batches",
        ("sum of norms",),
    ),
    Expectation("one", Relation(E(sp.S.One), "=", sp.S.One), "a constant"),
    Axiom("mean of x", Relation(E(ratio), "=", mean_ratio), "X = E x", axiom="name"),
    Inequality(
        "mean ratio at most 1",
        Relation(mean_ratio, "<=", sp.S.One),
        "1 at b = 1",
        ("mean ratio", "one", "mean of x"),
        certificate=E(sp.S.One) - E(ratio),
    ),
    Axiom("at least one sample", Relation(b, ">=", sp.S.One), "b ≥ 1"),
    tangent("tangent at 2λ(b - 1)", 2 * lam * (b - 1)),
    Inequality(
        "no sweet spot where length tells nothing",
        Relation(sp.exp(-2 * lam * b) * mean_ratio**2, "<=", sp.exp(-2 * lam)),
        "one sample is best",
        ("mean ratio at most 1", "at least one sample", "tangent at 2λ(b - 1)"),
        certificate=(
            sp.exp(-2 * lam * b) * (1 - mean_ratio) * (1 + mean_ratio),
            sp.exp(-2 * lam * b) * (sp.exp(2 * lam * (b - 1)) - 1 - 2 * lam * (b - 1)),
            sp.exp(-2 * lam * b) * 2 * lam * (b - 1),
        ),
    ),
)

claim = Claim(
    name="speed_sweet_spot",
    part="How fast it gets there",
    title="the micro-batch size that trains fastest: there is one, whatever the norms",
    kind="log-concavity; lower bound",
    summary=(
        "in many dimensions F(b) = (1-ε)^(2b) E[√(mean of b a²)]²/E a² is log-concave "
        "in b, so that one size is fastest"
    ),
    assumptions=(
        setting.NORMALIZED,
        A3,
        Assumption(
            "many dimensions: d → ∞ at fixed B and b, cosines between gradients of "
            "different samples tend to 0 (neglected: relative order b/d)"
        ),
        Assumption(
            "little signal: B G²/E a² → 0 (neglected: E‖ū‖² exceeds 1/m by a relative "
            "order B G²/E a²)"
        ),
        Assumption(
            "E[⟨g, e⟩ | a] = G a²/E a², a = ‖g‖ of a benign sample, e = ∇f/G; E a² is "
            "finite, for the bound by the kurtosis E a⁴ as well"
        ),
        Assumption(
            "draggers: norm D → ∞ (neglected: √(b E a²)/D), the mean of their "
            "direction is zero"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "guaranteed_relative_efficiency": sp.Piecewise(
            (guarantee, floor >= 0), (sp.nan, True)
        )
    },
    shown={"guaranteed_relative_efficiency": "least relative efficiency"},
    random=(r, total, y1, y2, y, square, fourth, ratio),
    attained="all norms equal: κ_4 = 1, F(b) = (1-ε)^(2b)",
    figure="three_laws",
    agreement=("test_speed",),
    remarks=(
        "between whole sizes R is read through φ(t/b)^b, φ the Laplace transform of "
        "the squared norms: the best whole size is next to the best real one",
        "one sample is fastest where all norms are equal, and under Gaussian noise "
        "that does not depend on the features: F(b) is (1-ε)^(2b) then",
    ),
)
