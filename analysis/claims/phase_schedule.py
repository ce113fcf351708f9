"""The micro-batch size of strongest guaranteed pull, draggers straight back (α = 1).

The drift bound is h(b) = G(2G²/φ(b) - 1) with φ(b) = e^(λb)(G² + σ²/b). Its best size
is small far away, where noise does not matter, and rises to the sweet spot b* at the
bias radius: a schedule.
"""

import sympy as sp

from analysis.claims.drift import claim as drift_claim
from analysis.claims.drift import h as drift_at
from analysis.claims.setting import clean_probability
from analysis.claims.sweet_spot import phi as squared_radius
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Definition, Earlier, Identity, Inequality
from analysis.proof.symbols import G, alpha, b, lam, p, s, sigma, x
from analysis.proof.values import Shown

best, whole = sp.symbols("b_G b_w", positive=True)

in_b = drift_at.subs({alpha: 1, p: clean_probability, s: sigma / sp.sqrt(b)})
phi = sp.exp(lam * b) * (G**2 + sigma**2 / b)
pull = G * (2 * G**2 / phi - 1)
formula = 2 / (lam * (1 + sp.sqrt(1 + 4 * G**2 / (lam * sigma**2))))
condition = lam * G**2 * b**2 + lam * sigma**2 * b - sigma**2
zero = sp.exp(-x)

statement = Relation(in_b.subs(b, best), ">=", in_b)
terms = {
    "b_G": "the best size while the gradient's norm is G",
}


def grows(size: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """At size c: tangent bound of φ(b)/e^(λc), its value at b = c, and e^(λ(b-c))."""
    line = 1 + lam * (b - size)
    return (
        line * (G**2 + sigma**2 / b),
        G**2 + sigma**2 / size,
        sp.exp(lam * (b - size)),
    )


def above(size: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Certificate of φ(b) ≥ φ(c): the tangent at c and the comparison of `grows`."""
    line, value, curve = grows(size)
    return (
        sp.exp(lam * size) * (curve - 1 - lam * (b - size)) * (G**2 + sigma**2 / b),
        sp.exp(lam * size) * (line - value),
    )


def stronger(size: sp.Expr) -> sp.Expr:
    """Certificate for h(c) ≥ h(b), from φ(b) ≥ φ(c)."""
    least = phi.subs(b, size)
    return 2 * G**3 * (phi - least) / (phi * least)


steps = (
    Definition("best size", Relation(best, "=", formula), "b_G, one size for each G"),
    Identity(
        "optimality",
        Relation(sp.Subs(condition, b, best), "=", sp.S.Zero),
        "φ'(b_G) = 0, times b_G² e^(-λb_G)",
        ("best size",),
    ),
    Tangent(
        "exponential",
        Relation(sp.exp(lam * (b - best)), ">=", 1 + lam * (b - best)),
        "the tangent at b_G",
    ),
    Inequality(
        "tangent is enough",
        Relation(grows(best)[0], ">=", grows(best)[1]),
        "a square, by the optimality of b_G",
        ("optimality",),
        certificate=lam * G**2 * (b - best) ** 2 / b,
    ),
    Inequality(
        "smallest φ",
        Relation(phi, ">=", phi.subs(b, best)),
        "the exponential replaced by its tangent",
        ("exponential", "tangent is enough"),
        certificate=above(best),
    ),
    Identity(
        "drift bound", Relation(in_b, "=", pull), "at α = 1, p = e^(-λb), s = σ/√b"
    ),
    Inequality(
        "conclusion",
        statement,
        "the drift bound falls in φ",
        ("smallest φ",),
        certificate=stronger(best),
    ),
)

witness = (
    Definition(
        "size in samples", Relation(whole, "=", sp.Max(1, best)), "at least one"
    ),
    Inequality(
        "falls in G",
        Relation(sp.diff(formula, G), "<", sp.S.Zero),
        "small micro-batches far away, large ones near",
        certificate=-sp.diff(formula, G),
    ),
    Identity(
        "only one such size",
        Relation(
            condition - condition.subs(b, best),
            "=",
            (b - best) * (b + best) * lam * G**2 + (b - best) * lam * sigma**2,
        ),
        "no other positive b meets the optimality",
    ),
    Earlier(
        "sweet spot",
        Relation(zero, "=", 1 / (2 * (1 - x))),
        "x = x* = λb*, the scaled sweet spot at α = 1",
        claim="sweet_spot",
        holding=("zero at α = 1",),
    ),
    Earlier(
        "margin at the sweet spot",
        Relation(2 * zero - 1, ">", sp.S.Zero),
        "κ at α = 1, x = x*",
        claim="sweet_spot",
        holding=("zero at α = 1",),
    ),
    Axiom(
        "at the radius",
        Relation(G, "=", sigma * sp.sqrt(lam * squared_radius.subs(alpha, 1))),
        "G is the bias radius of the size b*, its smallest value",
        ("margin at the sweet spot",),
    ),
    Identity(
        "arrives at the sweet spot",
        Relation(condition.subs(b, x / lam), "=", sp.S.Zero),
        "b* meets the optimality there, so b_G = b*",
        ("at the radius", "sweet spot", "margin at the sweet spot"),
    ),
    Axiom("not a whole sample", Relation(best, "<=", sp.S.One), "the case b_G ≤ 1"),
    Axiom("whole samples", Relation(b, ">=", sp.S.One), "b ≥ 1"),
    Inequality(
        "past the optimum",
        Relation(condition.subs(b, 1), ">=", sp.S.Zero),
        "the optimality's left side rises in b",
        ("optimality", "not a whole sample"),
        certificate=(1 - best) * (lam * G**2 * (1 + best) + lam * sigma**2),
    ),
    Tangent(
        "exponential at one",
        Relation(sp.exp(lam * (b - 1)), ">=", 1 + lam * (b - 1)),
        "the tangent at 1",
    ),
    Inequality(
        "tangent at one is enough",
        Relation(grows(sp.S.One)[0], ">=", grows(sp.S.One)[1]),
        "b ≥ 1 ≥ b_G",
        ("past the optimum", "whole samples"),
        certificate=(
            lam * G**2 * (b - 1) ** 2 / b,
            (b - 1) / b * condition.subs(b, 1),
        ),
    ),
    Inequality(
        "φ at one",
        Relation(phi, ">=", phi.subs(b, 1)),
        "the exponential replaced by its tangent",
        ("exponential at one", "tangent at one is enough"),
        certificate=above(sp.S.One),
    ),
    Inequality(
        "one sample is best",
        Relation(in_b.subs(b, 1), ">=", in_b),
        "of all whole samples, if b_G ≤ 1",
        ("φ at one",),
        certificate=stronger(sp.S.One),
    ),
)


whole_size = sp.Max(1, 2 / (lam + sp.sqrt(lam**2 + 4 * lam * G**2 / sigma**2)))

claim = Claim(
    name="phase_schedule",
    part="How fast it gets there",
    title=(
        "the micro-batch size with the strongest guaranteed pull at a "
        "given gradient norm"
    ),
    kind="exact minimiser",
    summary="the pull at G is strongest at b = 2/(λ(1 + √(1 + 4G²/(λσ²))))",
    assumptions=(*drift_claim.assumptions, Assumption("α = 1, any draggers; ε > 0")),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"micro_batch_size": whole_size, "drift_bound": in_b.subs(b, whole_size)},
    shown={
        "micro_batch_size": "size in samples",
        "drift_bound": Shown("drift bound", {b: whole_size}),
    },
    attained="at b = b_G",
    uses=("sweet_spot",),
    about=("drift",),
    figure="schedule",
    agreement=("test_one_step",),
    remarks=(
        "where b_G < 1, one sample is best",
        "it rises to the sweet spot at the bias radius",
    ),
)
