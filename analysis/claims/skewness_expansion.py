"""The bias on a given smooth skewed law, to first order; best size like ε^(-2/3).

One dimension, draggers straight back. With ν = 1/√b and λ = ℓν³ the skewness and the
draggers enter at the same order; F is the distribution function of the standardised
noise of a micro-batch.
"""

import sympy as sp

from analysis.claims import setting
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import UniqueMinimum
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Identity, Inequality
from analysis.proof.symbols import b, lam, p, sigma, skewness

nu, ell, g = sp.symbols("nu ell g", positive=True)
mass, bias = sp.symbols("F bias", real=True)
best, size = sp.symbols("b_star b_0", positive=True)
half = sp.Rational(1, 2)

y = -nu * g
density = sp.exp(-(y**2) / 2) / sp.sqrt(2 * sp.pi)
edgeworth = half + sp.erf(y / sp.sqrt(2)) / 2 - skewness * nu / 6 * (y**2 - 1) * density
condition = edgeworth - (1 - sp.exp(ell * nu) / 2)
first_order = sp.diff(condition, nu).subs(nu, 0).doit()
root = sp.sqrt(sp.pi / 2)
expansion = sigma * (skewness / (6 * b) + root * lam * sp.sqrt(b))
numerator = skewness / 6 - root * lam * b ** sp.Rational(3, 2) / 2
far = (skewness / lam) ** sp.Rational(2, 3)
optimum = (skewness / (3 * root * lam)) ** sp.Rational(2, 3)

statement = Relation(bias, "=", expansion)
terms = {
    "bias": "the bias to first order",
}

steps = (
    Definition("size", Relation(nu, "=", 1 / sp.sqrt(b)), "the small quantity"),
    Definition("rate", Relation(ell, "=", lam * b ** sp.Rational(3, 2)), "λ = ℓν³"),
    setting.probability_of_clean,
    Axiom(
        "at rest",
        Relation(p * (1 - 2 * mass), "=", 1 - p),
        (
            "F = P(z ≤ -G), z the noise of a clean micro-batch; contaminated "
            "ones all point back"
        ),
        axiom="median",
    ),
    Identity(
        "mass beyond",
        Relation(mass, "=", 1 - 1 / (2 * p)),
        "solved for F",
        ("at rest",),
    ),
    Identity(
        "mass beyond in λ",
        Relation(1 - 1 / (2 * p), "=", 1 - sp.exp(lam * b) / 2),
        "definition",
        ("clean probability",),
    ),
    Identity(
        "order 0",
        Relation(sp.Subs(condition, nu, 0), "=", sp.S.Zero),
        (
            "F by Edgeworth's expansion at y = -G/(σν), G = σν²g, minus the mass "
            "beyond with λb = ℓν"
        ),
    ),
    Identity(
        "order 1",
        Relation(
            sp.Subs(sp.diff(condition, nu), nu, 0),
            "=",
            (skewness / 6 + root * ell - g) / sp.sqrt(2 * sp.pi),
        ),
        "the slope in ν at ν = 0",
    ),
    Axiom(
        "balance",
        Relation((skewness / 6 + root * ell - g) / sp.sqrt(2 * sp.pi), "=", sp.S.Zero),
        (
            "at rest the first order vanishes; what is left out is of order "
            "ν² in g's equation"
        ),
        axiom="expansion",
    ),
    Axiom(
        "units", Relation(bias, "=", sigma * nu**2 * g), "bias, the first order of G"
    ),
    Identity(
        "solved",
        Relation(g, "=", skewness / 6 + root * ell),
        "linear in g",
        ("balance",),
    ),
    Identity(
        "conclusion",
        statement,
        "definitions",
        ("units", "solved", "size", "rate"),
    ),
)

witness = (
    Identity(
        "slope",
        Relation(sp.diff(expansion, b), "=", -sigma / b**2 * numerator),
        "the derivative in b has the sign of -N, N the last factor",
    ),
    Inequality(
        "N falls",
        Relation(sp.diff(numerator, b), "<", sp.S.Zero),
        "a product of positive factors",
        certificate=3 * root * lam * sp.sqrt(b) / 4,
    ),
    Identity(
        "N at 0", Relation(sp.Subs(numerator, b, 0), "=", skewness / 6), "positive"
    ),
    Identity(
        "N far out",
        Relation(
            sp.Subs(numerator, b, far), "=", -skewness * (root / 2 - sp.Rational(1, 6))
        ),
        "negative",
    ),
    UniqueMinimum(
        "best size",
        Relation(expansion.subs(b, best), "<=", expansion),
        "N has exactly one zero b*",
        ("slope", "N falls", "N at 0", "N far out"),
        function=expansion,
        numerator=numerator,
        factor=sigma / b**2,
        symbol=b,
        zero=best,
        interval=(sp.S.Zero, far),
    ),
    Definition(
        "its value in samples", Relation(size, "=", optimum), "may be below one sample"
    ),
    Identity(
        "its value",
        Relation(sp.Subs(numerator, b, optimum), "=", sp.S.Zero),
        (
            "b* = (κ_3/(3√(π/2) λ))^(2/3): instance-optimal sizes grow like "
            "ε^(-2/3), not like ε^(-1)"
        ),
    ),
)


claim = Claim(
    name="skewness_expansion",
    part="Close to the exact bias",
    title="the exact bias of smooth skewed noise, and the size that is best for it",
    kind="expansion, remainder checked numerically",
    summary=(
        "smooth skewed noise: bias ≈ σ(κ_3/(6b) + √(π/2) λ√b), best at a "
        "size like ε^(-2/3)"
    ),
    assumptions=(
        Assumption(
            "one dimension, normalized rule (Algorithm 1 with many micro-batches)"
        ),
        Assumption(
            "noise with a density, three moments and skewness κ_3 > 0 "
            "against the draggers"
        ),
        Assumption(
            "draggers straight back, as strong as they like; λ of order "
            "b^(-3/2), b < ln(2)/λ"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "bias": sp.Piecewise((expansion, sp.exp(lam * b) < 2), (sp.nan, True)),
        "best_micro_batch_size": sp.Piecewise(
            (optimum, sp.exp(lam * optimum) < 2), (sp.nan, True)
        ),
    },
    shown={"bias": "conclusion", "best_micro_batch_size": "its value in samples"},
    figure="three_laws",
    agreement=("test_known_laws",),
    remarks=(
        (
            "best_micro_batch_size may be below 1: then one sample is best "
            "of all whole sizes"
        ),
        (
            "for skewness of the other sign the two terms cancel at some size: "
            "no bias at all there"
        ),
        (
            "Edgeworth's expansion is quoted; the size of the remainder is "
            "measured, not proved"
        ),
    ),
)
