"""The micro-batch size of best guarantee at a horizon: smaller in short runs.

With x = λb and r = √(2LΔ/T)/(σ√λ) the averaged guarantee is σ√λ φ(x). φ' has the sign
of -N, and N falls strictly from 1 to a negative value at the breakdown. Long runs want
small r.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.averaged_guarantee import bound, speed
from analysis.claims.averaged_guarantee import claim as averaged_claim
from analysis.claims.averaged_guarantee import condition as long_run
from analysis.claims.setting import margin_of_size, scaled_breakdown, scaled_margin
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Identity, Inequality
from analysis.proof.symbols import alpha, b, lam, sigma, x
from analysis.proof.values import Implicit, Shown

r = sp.Symbol("r", positive=True)
best, size = sp.symbols("x_star b_star", positive=True)

pace = speed / (sigma * sp.sqrt(lam))
phi = (r + sp.exp(-x) / sp.sqrt(x)) / scaled_margin
condition = long_run - 2 * (1 + alpha) * r * sp.sqrt(x) ** 3
guarantee = sigma * sp.sqrt(lam) * phi
factor = sigma * sp.sqrt(lam) * sp.exp(-x) / (2 * sp.sqrt(x) ** 3 * scaled_margin**2)
far = (2 * (1 + alpha) * r) ** -sp.Rational(2, 3)
scaled = 2 * (1 + alpha) * r * sp.sqrt(best) ** 3

statement = Relation(guarantee.subs(x, best), "<=", guarantee)
terms = {
    "r": "√(2LΔ/T)/(σ√λ), the speed in units of the bias",
    "x_star": "the best scaled size, the zero x of the second line",
}

steps = (
    Definition(
        "pace",
        Relation(r, "=", pace),
        "the speed in units of the bias; falls like T^(-½)",
    ),
    setting.not_sideways,
    *setting.below_scaled_breakdown,
    Identity(
        "guarantee",
        Relation(sp.Subs(bound, b, x / lam), "=", sigma * sp.sqrt(lam) * phi),
        "averaged_guarantee in the scaled size x = λb",
        ("pace", "scaled margin"),
    ),
    Identity(
        "slope",
        Relation(sp.diff(guarantee, x), "=", -factor * condition),
        "the derivative has the sign of -N, N the last factor on the right",
        ("scaled margin",),
    ),
    Inequality(
        "N falls",
        Relation(sp.diff(condition, x), "<", sp.S.Zero),
        "all three terms of its slope are negative",
        certificate=(1 + alpha) * sp.exp(-x)
        + 2 * alpha
        + 3 * (1 + alpha) * r * sp.sqrt(x),
    ),
    *setting.signs_at_the_ends(
        condition,
        -2 * alpha * scaled_breakdown
        - 2 * (1 + alpha) * r * sp.sqrt(scaled_breakdown) ** 3,
    ),
    setting.least(
        "conclusion",
        guarantee,
        best,
        slope=(factor, condition),
    ),
)

witness = (
    Definition(
        "size in samples", Relation(size, "=", sp.Max(1, best / lam)), "at least one"
    ),
    Axiom(
        "at the best size",
        Relation(
            r, "=", long_run.subs(x, best) / (2 * (1 + alpha) * sp.sqrt(best) ** 3)
        ),
        "x* is the zero of N: N(x*) = 0, solved for r",
    ),
    Inequality(
        "below the averaged sweet spot",
        Relation(long_run.subs(x, best), ">=", sp.S.Zero),
        (
            "N of averaged_guarantee, which falls: its zero, the limit r "
            "→ 0, is not smaller"
        ),
        ("at the best size",),
        certificate=scaled,
    ),
    Tangent("exponential above", Relation(sp.exp(best), ">=", 1 + best), "e^x ≥ 1 + x"),
    Tangent(
        "exponential below", Relation(sp.exp(-best), ">=", 1 - best), "e^(-x) ≥ 1 - x"
    ),
    Inequality(
        "growth from above",
        Relation(scaled, "<=", sp.S.One),
        "x* ≤ (2(1+α)r)^(-2/3), which grows like T^(1/3)",
        ("at the best size", "exponential above"),
        certificate=(
            (1 + alpha) * sp.exp(-best) * (sp.exp(best) - 1 - best),
            (1 + alpha) * sp.exp(-best) * best + 2 * alpha * best,
        ),
    ),
    Inequality(
        "growth from below",
        Relation(scaled, ">=", 1 - (1 + 3 * alpha) * best),
        "so x* ~ (2(1+α)r)^(-2/3) for small x*",
        ("at the best size", "exponential below"),
        certificate=(1 + alpha) * (sp.exp(-best) - 1 + best),
    ),
)


whole_size = sp.Max(1, x / lam)

claim = Claim(
    name="finite_horizon",
    part="Against SGD",
    title="the micro-batch size with the best guarantee at horizon T",
    kind="exact minimiser",
    summary=(
        "the best size at horizon T is the zero of one equation; it grows like T^(1/3)"
    ),
    assumptions=(
        *averaged_claim.assumptions,
        Assumption("α > 0 (at α = 0 there is no breakdown)"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "scaled_size": Implicit(
            x,
            condition.subs(r, pace),
            sp.S.Zero,
            sp.Min(scaled_breakdown, far.subs(r, pace)),
        ),
        "micro_batch_size": whole_size,
        "averaged_bound": sp.Piecewise(
            (bound.subs(b, whole_size), margin_of_size.subs(b, whole_size) > 0),
            (sp.nan, True),
        ),
    },
    shown={
        "scaled_size": "conclusion",
        "micro_batch_size": Shown("size in samples", {best: x}),
        "averaged_bound": Shown("guarantee", {x: lam * whole_size}),
    },
    attained="at b = x*/λ",
    about=("averaged_guarantee",),
    figure="horizon",
    agreement=("test_runs",),
    remarks=(
        "where x*/λ < 1, one sample is best: beyond x* the guarantee gets worse",
        "x* grows like T^(1/3) and saturates at the averaged sweet spot; at α = 0 it "
        "grows for ever, and 'growth from above' bounds the interval in place of the "
        "breakdown",
    ),
)
