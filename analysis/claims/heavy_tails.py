"""Noise without a variance: bias, rate and best size of the normalized rule.

What heavy_drift says of the pull goes the way of averaged_guarantee: to a bound over a
run, a radius and a best size, in closed form for every order ν of the noise's finite
moment and every α. In ε the radius is of the smallest order that any rule can have.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.averaged_guarantee import (
    beyond,
    no_better_step,
    normalized_run,
    speed,
    step_length,
)
from analysis.claims.drift import tangent
from analysis.claims.heavy_drift import (
    HEAVY,
    HELD,
    a,
    c,
    definitions,
    mean_noise,
)
from analysis.claims.minimax import offset, same_outcome
from analysis.claims.minimax import worst as larger_error
from analysis.claims.setting import (
    clean_probability,
    drift,
    margin_of_size,
    progress,
    pull,
    scaled_breakdown,
    scaled_margin,
    square,
)
from analysis.proof.assumptions import A0, A1, A2, A3, A4
from analysis.proof.calculus import Monotone, Solution
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Axiom,
    Definition,
    Earlier,
    Identity,
    Inequality,
)
from analysis.proof.symbols import (
    G,
    alpha,
    b,
    epsilon,
    kappa,
    lam,
    nu,
    p,
    s,
    sigma,
    x,
)
from analysis.proof.values import sideways

w, A, unit_moment, y = sp.symbols("w A unit_moment y", positive=True)
best = sp.Symbol("x_star", positive=True)

bias = clean_probability * mean_noise / margin_of_size
bound = speed / margin_of_size + bias
statement = Relation(E(G), "<=", bound)

scaled = sp.exp(-x) / (x**a * scaled_margin)
condition = (1 + alpha) * sp.exp(-x) - alpha * (1 + x / a)
factor = a * sp.exp(-x) / (x ** (a + 1) * scaled_margin**2)
closed_form = sp.LambertW(a * (1 + alpha) * sp.exp(a) / alpha) - a
odds = epsilon / (1 - epsilon)
lower = sigma * odds ** (1 - 1 / nu) / 2 ** (1 / nu)

# Two worlds as in `minimax`: w as there, A so large that the noise's moment is σ^ν

two_worlds = (
    Axiom("minority", Relation(1 - 2 * epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Axiom("not all", Relation(1 - epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Definition(
        "probability of a deviation",
        Relation(w, "=", odds),
        "as many benign deviations as draggers",
        ("not all",),
    ),
    Inequality(
        "fewer than offset",
        Relation(w, "<", sp.S.One),
        "it is a probability",
        ("probability of a deviation", "minority", "not all"),
        certificate=(1 - 2 * epsilon) / (1 - epsilon),
    ),
    Definition(
        "moment of a deviation",
        Relation(unit_moment, "=", w * (1 - w) ** nu + (1 - w) * w**nu),
        "E|ξ|^ν for A = 1: ξ is 1 - w with probability w, else -w",
        ("fewer than offset",),
    ),
    Definition(
        "size", Relation(A, "=", sigma / unit_moment ** (1 / nu)), "E|ξ|^ν = σ^ν"
    ),
    Definition("mean", Relation(offset, "=", w * A), "the benign means are ± offset"),
    *same_outcome,
    Axiom(
        "small powers",
        Relation(w**nu, "<=", w),
        "0 < w < 1 and ν > 1",
        ("fewer than offset", "more than a mean"),
        axiom="Jensen",
    ),
    Axiom(
        "power of the rest",
        Relation((1 - w) ** nu, "<=", 1 - w),
        "likewise",
        ("fewer than offset", "more than a mean"),
        axiom="Jensen",
    ),
    Inequality(
        "moment at most 2w",
        Relation(unit_moment, "<=", 2 * w),
        "each of the two terms is at most w",
        (
            *("moment of a deviation", "small powers", "power of the rest"),
            "fewer than offset",
        ),
        certificate=(
            w * ((1 - w) - (1 - w) ** nu),
            w**2,
            (1 - w) * (w - w**nu),
            w**2,
        ),
    ),
    Inequality(
        "the root rises",
        Relation(sp.diff(y ** (1 / nu), y), ">=", sp.S.Zero),
        "its slope is positive",
        certificate=sp.diff(y ** (1 / nu), y),
    ),
    Monotone(
        "root of the moment",
        Relation(unit_moment ** (1 / nu), "<=", (2 * w) ** (1 / nu)),
        "the root rises",
        ("the root rises", "moment at most 2w"),
        function=y ** (1 / nu),
        symbol=y,
        low=unit_moment,
        high=2 * w,
    ),
    Inequality(
        "no rule does better",
        Relation(larger_error, ">=", lower),
        "of order ε^(1 - 1/ν), as the best radius is",
        (
            *("one of them is large", "mean", "size", "root of the moment"),
            *("probability of a deviation", "not all"),
        ),
        certificate=(
            larger_error - offset,
            w
            * sigma
            * ((2 * w) ** (1 / nu) - unit_moment ** (1 / nu))
            / (unit_moment ** (1 / nu) * (2 * w) ** (1 / nu)),
        ),
    ),
)

steps = (
    setting.probability_of_clean,
    *definitions,
    setting.below_breakdown,
    setting.margin,
    Earlier(
        "linear drift bound",
        Relation(drift, ">=", tangent),
        "drift = E⟨∇f, u⟩, s = s_ν; (A4) and E‖ξ‖^ν ≤ σ^ν are assumed here too",
        claim="heavy_drift",
        holding=HELD,
    ),
    *normalized_run(bound, ("decay", "constant of the order")),
)

witness = (
    no_better_step,
    Identity(
        "averaged bias",
        Relation(p * s / kappa, "=", bias),
        "what does not fall with T",
        (
            *("margin", "noise", "clean probability"),
            *("decay", "constant of the order", "more than a mean"),
        ),
    ),
    Axiom(
        "stationarity",
        Relation(drift, "=", sp.S.Zero),
        "the expected update has come to rest",
    ),
    Inequality(
        "stationary points",
        Relation(G, "<=", p * s / kappa),
        "the averaged bias is a radius: no stationary point lies beyond",
        ("linear drift bound", "stationarity"),
        certificate=(drift - tangent) / kappa,
    ),
    setting.not_sideways,
    *setting.below_scaled_breakdown,
    Identity(
        "scaled bias",
        Relation(
            sp.Subs(clean_probability * c * sigma / b**a / margin_of_size, b, x / lam),
            "=",
            c * sigma * lam**a * scaled,
        ),
        "the averaged bias in the scaled size x = λb: of order ε^(1 - 1/ν) at the best",
        ("scaled margin",),
    ),
    Identity(
        "slope",
        Relation(sp.diff(scaled, x), "=", -factor * condition),
        "the bias falls where N > 0, N the second factor on the right",
        ("scaled margin", "decay"),
    ),
    Inequality(
        "N falls",
        Relation(sp.diff(condition, x), "<", sp.S.Zero),
        "both terms of its slope are negative",
        certificate=(1 + alpha) * sp.exp(-x) + alpha / a,
    ),
    *setting.signs_at_the_ends(condition, -alpha * scaled_breakdown / a),
    setting.least(
        "best size",
        scaled,
        best,
        slope=(factor, condition),
        reason="the averaged bias has exactly one smallest value, at N's zero x*",
    ),
    Axiom(
        "zero",
        Relation(condition, "=", sp.S.Zero),
        "x is the zero x* of N",
    ),
    Solution(
        "closed form of the size",
        Relation(x, "=", closed_form),
        "found by SymPy's solve, for every ν and α",
        ("zero", "not sideways"),
    ),
    *two_worlds,
)
size_in_units = closed_form.subs(a, 1 - 1 / nu)

claim = Claim(
    name="heavy_tails",
    part="How fast it gets there",
    title="bias, rate and best size of the normalized rule if noise has no variance",
    kind="upper bound, of the best order in ε",
    summary=(
        "with E‖ξ‖^ν ≤ σ^ν the bias is at most ps_ν/κ, smallest at λb = "
        "W(ae^a(1+α)/α) - a, a = 1 - 1/ν"
    ),
    assumptions=(
        A0,
        A1,
        A2,
        A3,
        A4,
        HEAVY,
        setting.BELOW_BREAKDOWN,
        setting.NORMALIZED,
        step_length,
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "averaged_bound": sideways(beyond(bound)),
        "bias_radius": sideways(beyond(bias)),
        "scaled_size": size_in_units,
        "minimax_bias": lower,
    },
    shown={
        "averaged_bound": "conclusion",
        "bias_radius": "averaged bias",
        "scaled_size": "closed form of the size",
        "minimax_bias": "no rule does better",
    },
    random=(progress, G, drift, pull, square),
    uses=("heavy_drift",),
    about=("averaged_guarantee",),
    figure="heavy_tails",
    remarks=(
        "at ν = 2 it is averaged_guarantee",
        "SGD has E G² = ∞ after one step where the noise has no variance",
        "the order in ε is the best possible, the constant is not claimed to be",
    ),
)
