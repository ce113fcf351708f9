"""Micro-batch size that minimises the bias radius: existence, uniqueness, scale 1/λ.

With x = λb the squared radius is σ²λ φ(x). φ' has the sign of -N, and N falls strictly
from 1 to a negative value at the breakdown: φ falls up to N's zero x* and rises after
it.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import b_break, radius
from analysis.claims.bias_radius import claim as radius_claim
from analysis.claims.setting import scaled_breakdown, scaled_margin
from analysis.proof.assumptions import Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Identity, Inequality
from analysis.proof.symbols import alpha, b, lam, sigma, x
from analysis.proof.values import Implicit, Shown

best, size = sp.symbols("x_star b_star", positive=True)

clean = sp.exp(-x)
phi = (clean + alpha * (1 - clean)) / (x * (clean - alpha * (1 - clean)))
condition = (
    (1 - alpha**2) * sp.exp(-x) - alpha**2 * sp.exp(x) + 2 * alpha**2 - 2 * alpha * x
)
squared = sigma**2 * lam * phi
factor = sigma**2 * lam * sp.exp(-x) / (x * scaled_margin) ** 2
closed_form = 1 - sp.LambertW(sp.E / 2)

statement = Relation(squared.subs(x, best), "<=", squared)
terms = {
    "x_star": "the best scaled size, the zero x of the second line",
}

steps = (
    Axiom("at most straight back", Relation(alpha, "<=", sp.S.One), "α ∈ (0, 1]"),
    setting.not_sideways,
    *setting.below_scaled_breakdown,
    Identity(
        "squared radius",
        Relation(sp.Subs(radius**2, b, x / lam), "=", sigma**2 * lam * phi),
        "the bias radius in the scaled size x = λb",
        ("scaled margin",),
    ),
    Identity(
        "slope",
        Relation(sp.diff(squared, x), "=", -factor * condition),
        "the derivative has the sign of -N, N the numerator on the right",
        ("scaled margin",),
    ),
    Inequality(
        "N falls",
        Relation(sp.diff(condition, x), "<", sp.S.Zero),
        "-N' is the sum of three terms, none negative and one positive",
        ("at most straight back", "not sideways"),
        certificate=(1 - alpha) * (1 + alpha) * sp.exp(-x)
        + alpha**2 * sp.exp(x)
        + 2 * alpha,
    ),
    *setting.signs_at_the_ends(condition, -2 * alpha * scaled_breakdown),
    setting.least(
        "conclusion",
        squared,
        best,
        slope=(factor, condition),
    ),
)

witness = (
    Definition("best size", Relation(size, "=", best / lam), "in samples"),
    Definition(
        "breakdown",
        Relation(b_break, "=", scaled_breakdown / lam),
        "in samples",
        ("not sideways",),
    ),
    *setting.closed_form(
        condition,
        closed_form,
        "found by SymPy's solve; N falls, so there is no other root",
    ),
    Identity(
        "exponential at the zero",
        Relation(sp.exp(x), "=", 2 * (1 - x)),
        "the same equation",
        ("zero at α = 1",),
    ),
    Inequality(
        "zero below 1",
        Relation(1 - x, ">", sp.S.Zero),
        "half of e^x",
        ("exponential at the zero",),
        certificate=sp.exp(x) / 2,
    ),
    Identity(
        "at the zero for α = 1",
        Relation(sp.exp(-x), "=", 1 / (2 * (1 - x))),
        "its inverse",
        ("exponential at the zero", "zero below 1"),
    ),
    Inequality(
        "margin at the zero",
        Relation(2 * sp.exp(-x) - 1, ">", sp.S.Zero),
        "κ at α = 1",
        ("at the zero for α = 1", "zero below 1"),
        certificate=x / (1 - x),
    ),
    Identity(
        "smallest squared radius at α = 1",
        Relation(sp.Subs(phi, alpha, 1), "=", (1 - x) / x**2),
        "in units of σ²λ, at x = x*",
        ("at the zero for α = 1", "margin at the zero"),
    ),
)


whole_scaled = sp.Max(lam, x)  # λ times the best size that is at least one sample

claim = Claim(
    name="sweet_spot",
    part="Where the rule comes to rest",
    title="the micro-batch size with the smallest bias radius",
    kind="exact minimiser",
    summary="the bias radius has one minimum in b, at x*/λ; (1 - W(e/2))/λ at α = 1",
    assumptions=(
        *radius_claim.assumptions,
        Assumption("α > 0 (at α = 0 the radius falls for ever)"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "scaled_size": Implicit(x, condition, sp.S.Zero, scaled_breakdown),
        "micro_batch_size": x / lam,
        "bias_radius": sp.Piecewise(
            (
                sigma * sp.sqrt(lam * phi.subs(x, whole_scaled)),
                scaled_margin.subs(x, whole_scaled) > 0,
            ),
            (sp.nan, True),
        ),
        "breakdown": scaled_breakdown / lam,
    },
    shown={
        "scaled_size": "conclusion",
        "micro_batch_size": Shown("best size", {best: x}),
        "bias_radius": Shown("squared radius", {x: whole_scaled}, power=2),
        "breakdown": "breakdown",
    },
    attained="at b = x*/λ",
    figure="sweet_spot",
    agreement=("test_sizes",),
    about=("bias_radius",),
    remarks=(
        "best divisor of B: one of the two neighbours of x*/λ among them",
        (
            "where x*/λ < 1, one sample is best: micro_batch_size is x*/λ, "
            "bias_radius that at b = 1"
        ),
    ),
)
