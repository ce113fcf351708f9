"""For which horizons the guarantee of clipping is better than that of SGD.

With v = √(2LΔ/T) both squared guarantees are quadratic in v; clipping's is the smaller
one between two roots: SGD wins short runs by its constant 1 - ε, and long ones because
it has no bias.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.averaged_guarantee import bound as clipped
from analysis.claims.averaged_guarantee import claim as averaged_claim
from analysis.claims.setting import benign, clean_probability, margin_of_size
from analysis.claims.sgd_rate import V, variance
from analysis.claims.sgd_rate import bound as unclipped
from analysis.claims.sgd_rate import claim as sgd_claim
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import (
    B,
    Delta,
    L,
    T,
    alpha,
    b,
    epsilon,
    kappa,
    lam,
    p,
    s,
    sigma,
)

v, A, Q, C, w = sp.symbols("v A Q C w", positive=True)
low, high = sp.symbols("v_low v_high", positive=True)
shortest, longest = sp.symbols("T_low T_high", positive=True)

quadratic = A * v**2 - 2 * Q * v + C
ours = ((v + p * s) / kappa) ** 2
theirs = (v**2 + 2 * v * sp.sqrt(V)) / benign

statement = Relation(clipped**2, "<", unclipped)

steps = (
    Axiom("rate", Relation(epsilon, "=", 1 - sp.exp(-lam)), "λ = -ln(1-ε)"),
    Definition(
        "share",
        Relation(benign, "=", sp.exp(-lam)),
        "the probability 1-ε of a benign sample",
    ),
    setting.probability_of_clean,
    setting.noise,
    Inequality(
        "not all draggers",
        Relation(1 - epsilon, ">", sp.S.Zero),
        "ε < 1",
        ("rate",),
        certificate=sp.exp(-lam),
    ),
    Definition(
        "variance", Relation(V, "=", variance), "as in sgd_rate", ("not all draggers",)
    ),
    setting.below_breakdown,
    setting.margin,
    Axiom("one sample or more", Relation(b, ">=", sp.S.One), "b ≥ 1"),
    Tangent(
        "exponential",
        Relation(sp.exp(lam * (b - 1)), ">=", 1 + lam * (b - 1)),
        "the tangent at 0",
    ),
    Inequality(
        "clean micro-batches are rarer",
        Relation(p, "<=", benign),
        "than benign samples",
        ("clean probability", "share", "one sample or more", "exponential"),
        certificate=(
            sp.exp(-lam * b) * (sp.exp(lam * (b - 1)) - 1 - lam * (b - 1)),
            sp.exp(-lam * b) * lam * (b - 1),
        ),
    ),
    setting.at_most_one,
    Inequality(
        "first coefficient",
        Relation(benign - kappa**2, ">", sp.S.Zero),
        "κ ≤ p ≤ 1-ε < 1",
        ("share", "rate", "margin", "p at most 1", "clean micro-batches are rarer"),
        certificate=(
            epsilon * benign,
            (benign - p) * (benign + p),
            alpha * (1 - p) * (p + kappa),
        ),
    ),
    Definition(
        "A",
        Relation(A, "=", benign - kappa**2),
        "coefficient of v² in the difference",
        ("first coefficient",),
    ),
    Axiom(
        "SGD suffers enough",
        Relation(kappa**2 * sp.sqrt(V) - benign * p * s, ">", sp.S.Zero),
        "the case Q > 0; otherwise SGD's guarantee is never the larger one",
    ),
    Definition(
        "Q",
        Relation(Q, "=", kappa**2 * sp.sqrt(V) - benign * p * s),
        "coefficient of -2v in the difference",
        ("SGD suffers enough",),
    ),
    Definition(
        "C", Relation(C, "=", benign * (p * s) ** 2), "the rest of the difference"
    ),
    Axiom(
        "two roots",
        Relation(Q**2 - A * C, ">", sp.S.Zero),
        "otherwise SGD's guarantee is never the larger one",
    ),
    Definition(
        "discriminant",
        Relation(w, "=", sp.sqrt(Q**2 - A * C)),
        "half of it",
        ("two roots",),
    ),
    Definition("smaller root", Relation(low, "=", C / (Q + w)), "without cancellation"),
    Definition("larger root", Relation(high, "=", (Q + w) / A), "without cancellation"),
    Identity(
        "product of the roots",
        Relation(A * low * high, "=", C),
        "definitions",
        ("smaller root", "larger root"),
    ),
    Identity(
        "sum of the roots",
        Relation(A * (low + high), "=", 2 * Q),
        "definitions",
        ("smaller root", "larger root", "discriminant"),
    ),
    Definition(
        "longest",
        Relation(longest, "=", 2 * L * Delta / low**2),
        "horizon of the smaller root",
    ),
    Definition(
        "shortest",
        Relation(shortest, "=", 2 * L * Delta / high**2),
        "horizon of the larger root",
    ),
    Axiom("long enough", Relation(T, ">", shortest), "T_low < T"),
    Axiom("short enough", Relation(T, "<", longest), "T < T_high"),
    Definition(
        "speed", Relation(v, "=", sp.sqrt(2 * L * Delta / T)), "what both bounds share"
    ),
    Inequality(
        "above the smaller root",
        Relation(v, ">", low),
        "v falls in T",
        ("speed", "longest", "short enough"),
        certificate=2 * L * Delta * (longest - T) / (T * longest * (v + low)),
    ),
    Inequality(
        "below the larger root",
        Relation(v, "<", high),
        "v falls in T",
        ("speed", "shortest", "long enough"),
        certificate=2 * L * Delta * (T - shortest) / (T * shortest * (v + high)),
    ),
    Inequality(
        "between the roots",
        Relation(quadratic, "<", sp.S.Zero),
        "it is -A(v - v_low)(v_high - v)",
        (
            *("product of the roots", "sum of the roots"),
            *("above the smaller root", "below the larger root"),
        ),
        certificate=A * (v - low) * (high - v),
    ),
    Inequality(
        "squares",
        Relation(ours, "<", theirs),
        "the difference is the quadratic over -(1-ε)κ²",
        ("between the roots", "A", "Q", "C"),
        certificate=-quadratic / (benign * kappa**2),
    ),
    Identity(
        "guarantee of clipping",
        Relation(clipped**2, "=", ours),
        "averaged_guarantee",
        ("speed", "margin", "noise", "clean probability"),
    ),
    Identity(
        "guarantee of SGD",
        Relation(theirs, "=", unclipped),
        "sgd_rate",
        ("speed", "variance", "share", "rate", "not all draggers"),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        ("guarantee of clipping", "squares", "guarantee of SGD"),
    ),
)

witness = (
    Identity(
        "equal at the larger root",
        Relation(quadratic.subs(v, high), "=", sp.S.Zero),
        "at T = T_low the two guarantees agree",
        ("product of the roots", "sum of the roots"),
    ),
    Identity(
        "equal at the smaller root",
        Relation(quadratic.subs(v, low), "=", sp.S.Zero),
        "at T = T_high the two guarantees agree",
        ("product of the roots", "sum of the roots"),
    ),
    Identity(
        "completed square",
        Relation(A * quadratic, "=", (A * v - Q) ** 2 + A * C - Q**2),
        (
            "never negative if Q² ≤ AC; nor is the quadratic if Q ≤ 0: then SGD's "
            "guarantee is better"
        ),
    ),
)

# The same in the parameters; A without cancellation.
share = 1 - epsilon
first = (1 + alpha) * (1 - clean_probability) * (1 + margin_of_size) - epsilon
middle = margin_of_size**2 * sp.sqrt(
    variance
) - share * clean_probability * sigma / sp.sqrt(b)
last = share * clean_probability**2 * sigma**2 / b
larger = middle + sp.sqrt(middle**2 - first * last)
exists = sp.And(margin_of_size > 0, middle > 0, b <= B)


def horizon(root: sp.Expr) -> sp.Expr:
    """T at a root, where there are two."""
    return sp.Piecewise((2 * L * Delta * root**2, exists), (sp.nan, True))


claim = Claim(
    name="crossover",
    part="Against SGD",
    title="the horizons at which clipping has the better guarantee than SGD",
    kind="comparison, tight",
    summary="clipping's bound is below SGD's between two horizons, or never",
    assumptions=(
        Assumption(
            (
                "those of averaged_guarantee and of sgd_rate, each rule "
                "with its own step size"
            ),
            includes=(*averaged_claim.assumptions, *sgd_claim.assumptions),
        ),
        Assumption(
            "ε > 0, b ≥ 1, and b is below the breakdown; m = B/b is a positive integer"
        ),
        Assumption(
            "T_low < T < T_high: horizons of the two roots; there are none "
            "if Q ≤ 0 or Q² ≤ AC"
        ),
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "crossover_low": horizon(first / larger),
        "crossover_high": horizon(larger / last),
    },
    shown={"crossover_low": "shortest", "crossover_high": "longest"},
    about=("averaged_guarantee", "sgd_rate"),
    attained="at T = T_low and T = T_high, where the two guarantees agree",
    figure="rates",
    remarks=(
        "it compares two guarantees, not two runs",
        (
            "left side: clipping's bound on the mean of G, squared; right side: "
            "SGD's on that of G²"
        ),
    ),
)
