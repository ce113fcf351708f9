"""The fastest size from the kurtosis of the gradient norms: b ≈ √((κ_4 - 1)/(8λ)).

Squared norms have a gamma distribution, as in least squares with Gaussian residuals
(κ_4 = 3). A mean of b of them is distributed as χ_n²/n with n = 2b/(κ_4 - 1), so R(b) =
E χ_n/√n. With h(t) = tanh(t/2) the slope of ln R² in n is ∫ e^{-nt} h(t) dt, and
integration by parts bounds it from both sides by powers of n.
"""

import sympy as sp

from analysis.claims.setting import tangent
from analysis.claims.speed_sweet_spot import claim as speed
from analysis.proof.assumptions import Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Identity, Inequality
from analysis.proof.symbols import kurtosis, lam
from analysis.proof.values import Shown

t = sp.Symbol("t", positive=True)
best, n, rate = sp.symbols("b_0 n mu", positive=True)
zeroth, first, second, third = sp.symbols("I_0 I_1 I_2 I_3", nonnegative=True)
slope = sp.Symbol("slope", real=True)

h = (1 - sp.exp(-t)) / (1 + sp.exp(-t))
digammas = 2 * (sp.exp(-n * t) - sp.exp(-(n + 1) * t)) / (1 - sp.exp(-2 * t))
largest = (kurtosis - 1) / (8 * lam)
smallest = largest - (kurtosis - 1) ** 2 / 8

statement = Relation(best**2, "<=", largest)
terms = {
    "b_0": "the real size of largest relative efficiency",
}

steps = (
    Axiom(
        "unequal norms", Relation(kurtosis - 1, ">", sp.S.Zero), "the norms' kurtosis"
    ),
    Definition(
        "degrees of freedom",
        Relation(n, "=", 2 * best / (kurtosis - 1)),
        "a²/E a² = χ_k²/k with k = 2/(κ_4 - 1), and b of them add up to n = bk",
        ("unequal norms",),
    ),
    Definition(
        "rate",
        Relation(rate, "=", lam * (kurtosis - 1) / 2),
        "μ = λb/n",
        ("unequal norms",),
    ),
    tangent("tangent at 2t", 2 * t),
    Inequality(
        "denominator",
        Relation(1 - sp.exp(-2 * t), ">", sp.S.Zero),
        "t > 0",
        ("tangent at 2t",),
        certificate=(
            sp.exp(-2 * t) * (sp.exp(2 * t) - 1 - 2 * t),
            sp.exp(-2 * t) * 2 * t,
        ),
    ),
    Identity(
        "difference of digamma functions",
        Relation(digammas, "=", sp.exp(-n * t) * (1 + h)),
        "the integrand at x = n/2 and y = (n + 1)/2, t doubled",
        ("denominator",),
    ),
    Axiom(
        "slope",
        Relation(slope, "=", zeroth + first - 1 / n - 2 * rate),
        (
            "of ln F in n: R² = 2 Γ(y)²/(n Γ(x)²); I_k = ∫_0^∞ e^{-nt} h^k dt, h = "
            "tanh(t/2)"
        ),
        ("difference of digamma functions",),
        axiom="gamma function",
    ),
    Axiom(
        "I_0",
        Relation(n * zeroth, "=", sp.S.One),
        "f = 1",
        axiom="by parts",
    ),
    Axiom(
        "best size",
        Relation(slope, "=", sp.S.Zero),
        (
            "ln F is concave (speed_sweet_spot), its slope falls from ∞ to -2μ; where "
            "b_0 < 1, one sample is best"
        ),
    ),
    Identity(
        "I_1 at the best size",
        Relation(first, "=", 2 * rate),
        "solved",
        ("slope", "I_0", "best size"),
    ),
    Identity(
        "slope of h",
        Relation(sp.Derivative(h, t), "=", (1 - h**2) / 2),
        "h(0) = 0",
    ),
    Axiom(
        "I_1",
        Relation(n * first, "=", (zeroth - second) / 2),
        "f = h",
        ("slope of h",),
        axiom="by parts",
    ),
    Identity(
        "scaled",
        Relation(4 * rate * n**2, "=", 1 - n * second),
        "I_0 and I_1 put in",
        ("I_1", "I_0", "I_1 at the best size"),
    ),
    Inequality(
        "at most 1",
        Relation(4 * rate * n**2, "<=", sp.S.One),
        "I_2 is not negative",
        ("scaled",),
        certificate=n * second,
    ),
    Inequality(
        "conclusion",
        statement,
        "in samples: 4μn² = 8λb²/(κ_4 - 1)",
        ("at most 1", "degrees of freedom", "rate", "unequal norms"),
        certificate=largest * (1 - 4 * rate * n**2),
    ),
)

witness = (
    Identity(
        "slope of h²",
        Relation(sp.Derivative(h**2, t), "=", h - h**3),
        "h(0)² = 0",
    ),
    Axiom(
        "I_2",
        Relation(n * second, "=", first - third),
        "f = h²",
        ("slope of h²",),
        axiom="by parts",
    ),
    Identity(
        "scaled, once more",
        Relation(2 * rate * (2 * n**2 + 1), "=", 1 + third),
        "I_2 put in",
        ("scaled", "I_2", "I_1 at the best size"),
    ),
    Inequality(
        "at least 1",
        Relation(2 * rate * (2 * n**2 + 1), ">=", sp.S.One),
        "I_3 is not negative",
        ("scaled, once more",),
        certificate=third,
    ),
    Inequality(
        "least size",
        Relation(best**2, ">=", smallest),
        "in samples: the square is known to within (κ_4 - 1)²/8",
        ("at least 1", "degrees of freedom", "rate", "unequal norms"),
        certificate=largest * (2 * rate * (2 * n**2 + 1) - 1),
    ),
)

claim = Claim(
    name="kurtosis_size",
    part="How fast it gets there",
    title="the fastest size from the kurtosis of the gradient norms",
    kind="two bounds on a minimiser",
    summary=(
        "gamma-distributed squared norms: the fastest size has (κ_4-1)/(8λ) - "
        "(κ_4-1)²/8 ≤ b² ≤ (κ_4-1)/(8λ)"
    ),
    assumptions=(
        Assumption("those of speed_sweet_spot", includes=speed.assumptions),
        Assumption(
            "squared norms of benign gradients have a gamma distribution (Gaussian "
            "residuals: κ_4 = 3), κ_4 > 1, ε > 0"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "largest_best_size": sp.sqrt(largest),
        "smallest_best_size": sp.Piecewise(
            (sp.sqrt(smallest), smallest >= 0), (sp.nan, True)
        ),
    },
    shown={
        "largest_best_size": Shown("conclusion", power=2),
        "smallest_best_size": Shown("least size", power=2),
    },
    about=("speed_sweet_spot",),
    attained="both bounds as λ(κ_4 - 1) → 0",
    figure="three_laws",
    agreement=("test_speed",),
    remarks=(
        "for other laws √((κ_4 - 1)/(8λ)) is the leading order at small λ and a "
        "bounded ratio of norms; where rare, very long gradients make the kurtosis, "
        "the best size is smaller",
        "below 1 the best size is one sample",
    ),
)
