"""No constant step of SGD is faster than T^(-1/4) on one simple quadratic.

On f = Lw²/2 with f(w_0) - f* = Δ and noise of the largest variance allowed, the second
moment x_t = E w_t² obeys x_{t+1} ≥ (1-u)²x_t + η²V with u = ηL(1-ε). A long step leaves
noise, a short one leaves w_0, and the mean of G² over the run feels both. With k = uT
little is left of w_0 where k·split ≥ 1, and most of it is felt where k·split ≤ 1; the
split is such that both cases give the same.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.setting import benign
from analysis.claims.sgd_rate import V, variance
from analysis.proof.assumptions import A0, Assumption
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Axiom,
    Cases,
    Definition,
    Identity,
    Inequality,
    Suppose,
)
from analysis.proof.symbols import B, Delta, G, L, T, epsilon, eta
from analysis.proof.values import Shown

u, r, k, kept, split, rate, rho = sp.symbols("u r k kept split R rho", positive=True)
start, limit, share_kept = sp.symbols("x_0 x_limit K", positive=True)
mean_square, mean_below, end = sp.symbols("mean_x mean_y y_T", nonnegative=True)
mean_still, still_end = sp.symbols("mean_z z_T", nonnegative=True)
now, after, below, still = sp.symbols("x_t x_next y_t z_t", nonnegative=True)
below_after, still_after = sp.symbols("y_next z_next", nonnegative=True)
factor = sp.Symbol("factor", nonnegative=True)

logarithm = 2 * T * sp.log(r)
transient = Delta / (eta * T * benign)
noise = eta * L * V / (2 * benign)
fastest = sp.sqrt(2 * L * Delta * variance / T) / (1 - epsilon)
formula = 4 / (1 + rho + sp.sqrt((1 + rho) ** 2 + 8))
ratio = 2 * L * Delta / fastest
bound = (1 - formula.subs(rho, ratio)) * fastest

statement = Relation(E(G**2), ">=", (1 - split) * rate)
terms = {
    "R": "√(2LΔV/T)/(1-ε), V = ((1-ε)σ² + εD²)/B",
    "split": "4/(1 + ρ + √((1+ρ)² + 8)), ρ = 2LΔ/R; of order T^(-½)",
}

problem = (
    setting.not_all_draggers,
    setting.at_least_one_sample,
    setting.share,
    Definition(
        "variance",
        Relation(V, "=", variance),
        "of the noise and of the draggers in ḡ",
        ("not all draggers",),
    ),
    setting.short_step,
    Definition("contraction", Relation(u, "=", eta * L * benign), "of the mean, 1 - u"),
    Inequality(
        "below one",
        Relation(1 - u, ">", sp.S.Zero),
        "η ≤ 1/L and ε > 0",
        ("contraction", "short step", "share"),
        certificate=(1 - L * eta, L * eta * epsilon),
    ),
    Inequality(
        "below two",
        Relation(2 - u, ">", sp.S.Zero),
        "likewise",
        ("below one",),
        certificate=(1 - u, sp.S.One),
    ),
    Definition("remaining", Relation(r, "=", 1 - u), "r", ("below one",)),
    Axiom(
        "start",
        Relation(start, "=", 2 * Delta / L),
        "x_0 = w_0², f(w_0) = Lw_0²/2 = Δ",
    ),
)
recursion = (
    Axiom(
        "one step of the square",
        Relation(after, "=", factor * now + eta**2 * V),
        (
            "x_t = E w_t², w_{t+1} = (1 - ηLν)w_t - η·noise: ν is the benign share of "
            "the mini-batch, factor = E(1 - ηLν)², and the noise has mean 0 and "
            "variance V"
        ),
        axiom="independence",
    ),
    Axiom(
        "its factor",
        Relation(factor, "=", (1 - u) ** 2 + (L * eta) ** 2 * epsilon * benign / B),
        "E ν = 1-ε, and the variance of ν is ε(1-ε)/B",
        axiom="independence",
    ),
    Definition(
        "smaller sequence",
        Relation(below_after, "=", (1 - u) ** 2 * below + eta**2 * V),
        "y_{t+1}, y_0 = x_0",
    ),
    Definition(
        "without noise",
        Relation(still_after, "=", (1 - u) ** 2 * still),
        "z_{t+1}, z_0 = x_0",
    ),
    Axiom(
        "smaller so far",
        Relation(below, "<=", now),
        "equal at t = 0; by induction with 'smaller again'",
        axiom="induction",
    ),
    Axiom(
        "smallest so far",
        Relation(still, "<=", below),
        "equal at t = 0; by induction with 'smallest again'",
        axiom="induction",
    ),
    Inequality(
        "smaller again",
        Relation(below_after, "<=", after),
        "the benign share varies",
        ("one step of the square", "its factor", "smaller sequence", "smaller so far"),
        certificate=(
            (1 - u) ** 2 * (now - below),
            (L * eta) ** 2 * epsilon * benign / B * now,
        ),
    ),
    Inequality(
        "smallest again",
        Relation(still_after, "<=", below_after),
        "noise is added",
        ("smaller sequence", "without noise", "smallest so far"),
        certificate=((1 - u) ** 2 * (below - still), eta**2 * V),
    ),
)
averages = (
    Axiom(
        "mean of G²",
        Relation(E(G**2), "=", L**2 * mean_square),
        "G = L|w|; mean_x is the mean of x_t over t = 0, …, T-1",
    ),
    Axiom(
        "mean of the smaller",
        Relation(mean_below, "<=", mean_square),
        "mean_y, of y_t",
        ("smaller again",),
        axiom="induction",
    ),
    Axiom(
        "mean of the smallest",
        Relation(mean_still, "<=", mean_square),
        "mean_z, of z_t",
        ("smaller again", "smallest again"),
        axiom="induction",
    ),
    Axiom(
        "sum of the smaller",
        Relation(
            mean_below,
            "=",
            (eta**2 * V + (start - end) / T) / (u * (2 - u)),
        ),
        (
            "the mean of y_{t+1} is mean_y + (y_T - y_0)/T, and 1 - (1-u)² = u(2-u); "
            "solved for mean_y"
        ),
        ("smaller sequence", "below two"),
        axiom="induction",
    ),
    Axiom(
        "sum of the smallest",
        Relation(mean_still, "=", (start - still_end) / (T * u * (2 - u))),
        "likewise",
        ("without noise", "below two"),
        axiom="induction",
    ),
    Definition(
        "what is kept",
        Relation(kept, "=", sp.exp(logarithm)),
        "(1-u)^(2T)",
        ("remaining",),
    ),
    Definition(
        "level",
        Relation(limit, "=", eta**2 * V / (u * (2 - u))),
        "y_t as t → ∞",
        ("below two",),
    ),
    Identity(
        "one step of the closed form",
        Relation(
            (1 - u) ** 2 * (share_kept * start + (1 - share_kept) * limit) + eta**2 * V,
            "=",
            (1 - u) ** 2 * share_kept * start + (1 - (1 - u) ** 2 * share_kept) * limit,
        ),
        "K = (1-u)^(2t) becomes (1-u)²K",
        ("level", "below two"),
    ),
    Axiom(
        "last of the smaller",
        Relation(end, "=", kept * start + (1 - kept) * limit),
        "y_T",
        ("one step of the closed form", "what is kept"),
        axiom="induction",
    ),
    Axiom(
        "last of the smallest",
        Relation(still_end, "=", kept * start),
        "z_T",
        ("without noise", "what is kept"),
        axiom="induction",
    ),
)
decay = (
    Definition("time", Relation(k, "=", u * T), "steps, in units of 1/u"),
    Tangent("logarithm", Relation(sp.log(r), "<=", r - 1), "log y ≤ y - 1, r - 1 = -u"),
    Tangent(
        "tangent",
        Relation(sp.exp(-logarithm), ">=", 1 - logarithm),
        "e^y ≥ 1 + y",
        exponent=-logarithm,
    ),
    Inequality(
        "left of the start",
        Relation(kept, "<=", 1 / (1 + 2 * k)),
        "r^(-2T) ≥ 1 + 2k",
        ("what is kept", "logarithm", "tangent", "time", "remaining"),
        certificate=(
            sp.exp(logarithm) * (sp.exp(-logarithm) - 1 + logarithm) / (1 + 2 * k),
            sp.exp(logarithm) * 2 * T * (r - 1 - sp.log(r)) / (1 + 2 * k),
        ),
    ),
)
choice = (
    Definition(
        "rate",
        Relation(rate, "=", sp.sqrt(2 * L * Delta * V / T) / benign),
        "that of the best step",
    ),
    Definition("ratio", Relation(rho, "=", 2 * L * Delta / rate), "G² at first, 2LΔ"),
    Definition("split", Relation(split, "=", formula), "the positive root below"),
    Identity(
        "equal cases",
        Relation((1 - split) * rate, "=", 2 * L * Delta * split / (2 + split)),
        "what the two cases below give",
        ("split", "ratio"),
    ),
)
long_run = (
    Suppose("long", Relation(k * split, ">=", sp.S.One), "little is left of w_0"),
    Inequality(
        "start mostly gone",
        Relation(1 - kept, ">=", 1 - split),
        "1/(1 + 2k) ≤ split",
        ("left of the start", "long"),
        certificate=(
            1 / (1 + 2 * k) - kept,
            2 * (k * split - 1) / (1 + 2 * k),
            (1 + split) / (1 + 2 * k),
        ),
    ),
    Inequality(
        "noise mostly there",
        Relation(1 - (1 - kept) / (k * (2 - u)), ">=", 1 - split),
        "1/k ≤ split",
        ("long", "below two", "below one"),
        certificate=(
            (k * split - 1) / k,
            kept / (k * (2 - u)),
            (1 - u) / (k * (2 - u)),
        ),
    ),
    Identity(
        "both parts",
        Relation(
            L**2 * mean_below,
            "=",
            2
            / (2 - u)
            * (noise * (1 - (1 - kept) / (k * (2 - u))) + transient * (1 - kept)),
        ),
        "what the noise adds, and what is felt of the start",
        (
            *("sum of the smaller", "last of the smaller", "level", "start"),
            *("time", "contraction", "below two"),
        ),
    ),
    Inequality(
        "sum of the parts",
        Relation(noise + transient, ">=", rate),
        "arithmetic and geometric mean",
        ("rate",),
        certificate=(sp.sqrt(noise) - sp.sqrt(transient)) ** 2,
    ),
    Inequality(
        "split below 1",
        Relation(1 - split, ">=", sp.S.Zero),
        "by the equality of the cases",
        ("equal cases",),
        certificate=2 * L * Delta * split / ((2 + split) * rate),
    ),
    Inequality(
        "after a long run",
        statement,
        "2/(2-u) ≥ 1",
        (
            *("mean of G²", "mean of the smaller", "both parts", "start mostly gone"),
            *("noise mostly there", "sum of the parts", "split below 1", "below two"),
        ),
        certificate=(
            L**2 * (mean_square - mean_below),
            2 / (2 - u) * noise * (split - (1 - kept) / (k * (2 - u))),
            2 / (2 - u) * transient * (split - kept),
            u / (2 - u) * (1 - split) * (noise + transient),
            (1 - split) * (noise + transient - rate),
        ),
    ),
)
short_run = (
    Suppose("short", Relation(k * split, "<=", sp.S.One), "w_0 is still felt"),
    Identity(
        "the start alone",
        Relation(L**2 * mean_still, "=", 2 * L * Delta * (1 - kept) / (k * (2 - u))),
        "what is felt of it",
        (
            *("sum of the smallest", "last of the smallest", "start"),
            *("time", "below two"),
        ),
    ),
    Inequality(
        "start still felt",
        Relation(1 - kept, ">=", 2 * k / (1 + 2 * k)),
        "what is gone of it",
        ("left of the start",),
        certificate=1 / (1 + 2 * k) - kept,
    ),
    Inequality(
        "after a short run",
        statement,
        "2/(2-u) ≥ 1 and 1/(1 + 2k) ≥ split/(2 + split)",
        (
            *("mean of G²", "mean of the smallest", "the start alone"),
            *("start still felt", "short", "equal cases", "below two"),
        ),
        certificate=(
            L**2 * (mean_square - mean_still),
            2 * L * Delta / (k * (2 - u)) * (1 - kept - 2 * k / (1 + 2 * k)),
            2 * L * Delta * u / ((2 - u) * (1 + 2 * k)),
            2 * L * Delta * (1 - k * split) * 2 / ((1 + 2 * k) * (2 + split)),
        ),
    ),
)

steps = (
    *problem,
    *recursion,
    *averages,
    *decay,
    *choice,
    *long_run,
    *short_run,
    Cases(
        "conclusion",
        statement,
        "for every step η ≤ 1/L",
        ("long", "after a long run", "short", "after a short run"),
    ),
)

witness = (
    Identity(
        "in the parameters",
        Relation((1 - split) * rate, "=", bound),
        "definitions",
        ("split", "ratio", "rate", "variance", "share", "not all draggers"),
    ),
)

claim = Claim(
    name="sgd_lower_bound",
    part="Against SGD",
    title="the squared gradient norm that no constant step of SGD goes below",
    kind="lower bound, tight as T → ∞",
    summary="on one quadratic every η ≤ 1/L leaves a mean G² ≥ (1-o(1))√(2LΔV/T)/(1-ε)",
    assumptions=(
        A0,
        Assumption("f = Lw²/2 on a line, f(w_0) = Δ"),
        setting.SOME_BENIGN,
        Assumption(
            "benign noise and draggers of mean zero, E ξ² = σ² and E d² = D², ε > 0"
        ),
        Assumption("rule: sgd, any constant step size η ≤ 1/L"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"squared_bound": bound, "gradient_bound": sp.sqrt(bound)},
    shown={
        "squared_bound": "in the parameters",
        "gradient_bound": Shown("in the parameters", power=2),
    },
    random=(G,),
    about=("sgd_rate",),
    attained=(
        "as T → ∞: at η = √(2Δ/(LVT)) every loss has E G² ≤ R/(1 - Lη/2), sgd_rate's "
        "'with that short step'"
    ),
    figure="rates",
    remarks=(
        "E is the mean over the run and over its steps 0, …, T-1",
        "a longer step is worse once T ≥ 2 and V is not small: E G_t² ≥ L²η²V from "
        "t = 1 on",
        "with step sizes that vary, or an end point that is chosen, it does not hold",
    ),
)
