"""Algorithm 1 is an M-estimator: its mean update is the mean score of a micro-batch.

ρ = min_j ‖g_j‖ and u_j = g_j/‖g_j‖; r = ‖g_1‖, c the smallest norm of the others, u the
component of u_1 along any fixed direction, and S(t) = P(‖g‖ > t).
"""

import sympy as sp

from analysis.proof.assumptions import Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Averaged, Axiom, Chain, Identity, Inequality
from analysis.proof.symbols import m

update, u, c = sp.symbols("update u c", real=True)
rho, r = sp.symbols("rho r", nonnegative=True)
t, a = sp.symbols("t a", positive=True)
S = sp.Function("S", nonnegative=True)
fall = sp.Symbol("fall", nonnegative=True)
least = sp.Function("P_c", nonnegative=True)
everyone = sp.Function("P_rho", nonnegative=True)
H = sp.Function("H", nonnegative=True)
second, mean = sp.symbols("second mean", nonnegative=True)


def area(length: sp.Expr) -> sp.Expr:
    """The score of a micro-batch of that length: its integral of S^(m-1)."""
    return sp.Integral(S(t) ** (m - 1), (t, 0, length))


score = area(r)
statement = Relation(E(update), "=", E(u * score))
terms = {
    "update": "Algorithm 1's step, divided by η",
    "u": "g/‖g‖, the direction of one micro-batch gradient g",
    "r": "‖g‖, its length",
    "S": "S(t) = P(‖g‖ > t)",
}

steps = (
    Axiom(
        "several",
        Relation(m, ">=", sp.S.One),
        (
            "at least one micro-batch; with m = 1, where c = ∞, S^0 counts as "
            "1 also where S = 0"
        ),
    ),
    Axiom(
        "exchangeability",
        Relation(E(update), "=", E(rho * u)),
        "update = Σ_j ρu_j/m; the m terms have one law",
        axiom="i.i.d.",
    ),
    Axiom("smallest norm", Relation(rho, "=", sp.Min(r, c)), "the definition of ρ"),
    Identity(
        "clipping of one",
        Relation(rho * u, "=", u * sp.Min(r, c)),
        "g_1 is clipped at c, a threshold that does not depend on g_1",
        ("smallest norm",),
    ),
    Averaged(
        "expected clipping",
        Relation(E(rho * u), "=", E(u * sp.Min(r, c))),
        "linear",
        ("clipping of one",),
    ),
    Axiom(
        "given one micro-batch",
        Relation(E(u * sp.Min(r, c)), "=", E(u * H(r))),
        (
            "by independence c has the same law whatever g_1 is: H(r) = E "
            "min(c, r) for fixed r"
        ),
        axiom="total expectation",
    ),
    Axiom(
        "area under the tail",
        Relation(H(r), "=", sp.Integral(least(t), (t, 0, r))),
        "P_c(t) = P(c > t)",
        axiom="layer cake",
    ),
    Axiom(
        "tail of the smallest",
        Relation(least(t), "=", S(t) ** (m - 1)),
        "c > t when all m - 1 others are",
        ("several",),
        axiom="i.i.d.",
    ),
    Identity(
        "score",
        Relation(H(r), "=", score),
        "definitions",
        ("area under the tail", "tail of the smallest", "several"),
    ),
    Identity(
        "expected score",
        Relation(E(u * H(r)), "=", E(u * score)),
        "definitions",
        ("score", "several"),
    ),
    Chain(
        "conclusion",
        statement,
        "transitivity",
        (
            "exchangeability",
            "expected clipping",
            "given one micro-batch",
            "expected score",
        ),
    ),
)

witness = (
    Identity(
        "one micro-batch",
        Relation(sp.Subs(score, m, 1), "=", r),
        "m = 1: SGD, the mean",
    ),
    Identity(
        "slope",
        Relation(sp.Derivative(area(a), a), "=", S(a) ** (m - 1)),
        "H' ≥ 0: H grows",
        ("several",),
    ),
    Axiom(
        "within reach",
        Relation(S(r), ">", sp.S.Zero),
        "beyond the largest norm H is constant",
    ),
    Inequality(
        "bend",
        Relation(-(m - 1) * S(r) ** (m - 2) * fall, "<=", sp.S.Zero),
        "H'' ≤ 0, fall = -S', where S has a slope: H is concave, with H(0) = 0",
        ("several", "within reach"),
        certificate=(m - 1) * S(r) ** (m - 2) * fall,
    ),
    Axiom(
        "all are longer",
        Relation(everyone(t), "=", S(t) ** m),
        "P_ρ(t) = P(ρ > t)",
        axiom="i.i.d.",
    ),
    Axiom(
        "area under its tail",
        Relation(E(rho), "=", sp.Integral(everyone(t), (t, 0, sp.oo))),
        "the mean clipping norm",
        axiom="layer cake",
    ),
    Identity(
        "mean clipping norm",
        Relation(E(rho), "=", sp.Integral(S(t) ** m, (t, 0, sp.oo))),
        "definitions",
        ("area under its tail", "all are longer"),
    ),
    Axiom(
        "products of directions",
        Relation(second, "=", (m * 1 + m * (m - 1) * mean**2) / m**2),
        "second = E‖ū‖², mean = ‖E u‖, no gradient zero: m pairs with ⟨u, u⟩ = 1, "
        "m(m - 1) with E⟨u, u'⟩ = ‖E u‖²",
        axiom="i.i.d.",
    ),
    Identity(
        "second moment of the normalized update",
        Relation(second, "=", 1 / m + (1 - 1 / m) * mean**2),
        "algebra",
        ("products of directions",),
    ),
)


claim = Claim(
    name="m_estimator_identity",
    part="The rule",
    title="the expected update of Algorithm 1 is that of a score of one micro-batch",
    kind="identity",
    summary="the expected update of Algorithm 1 is E[H(‖g‖)u], H(r) = ∫_0^r S^(m-1)",
    assumptions=(
        Assumption(
            "the m micro-batch gradients are independent and of one law (not "
            "one domain per core)"
        ),
        Assumption(
            "E‖g‖ is finite; for E ρ, ∫ S^m is; where S has a slope H is smooth, "
            "and concave anyway"
        ),
        Assumption("rule: Algorithm 1 (adaptive); u(0) = 0"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={},
    random=(update, u, c, rho, r),
    attained="an identity: every law",
    figure="score_function",
    agreement=(
        "test_one_step",
        "test_known_laws",
        "test_exact_bias",
    ),
    remarks=(
        "for small steps the iterates settle where E[H(‖g‖)u] = 0: m = 1 gives the "
        "mean, and m → ∞, where H becomes constant, the geometric median of the "
        "micro-batch gradients; in between Algorithm 1 is a geometric median-of-means "
        "that tunes itself",
    ),
)
