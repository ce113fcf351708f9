"""With the best fixed threshold single samples have the smallest bias radius.

With x = λb the squared radius of optimal_threshold is σ²λα φ(x), φ(x) = (e^x - 1)/x
over 1 + α - αe^x: a difference quotient of e^x, which rises, over a factor that falls.
"""

import sympy as sp

from analysis.claims.minimax import bound as minimax_bound
from analysis.claims.optimal_threshold import claim as threshold_claim
from analysis.claims.optimal_threshold import radius
from analysis.proof.calculus import Monotone, Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Identity, Inequality, Step
from analysis.proof.symbols import alpha, b, epsilon, lam, sigma, x
from analysis.proof.values import Shown


def quotient(t: sp.Expr) -> sp.Expr:
    """(e^t - 1)/t."""
    return (sp.exp(t) - 1) / t


def room(t: sp.Expr) -> sp.Expr:
    """1 + α - αe^t, positive below the breakdown."""
    return 1 + alpha - alpha * sp.exp(t)


size = lam * b
single = radius.subs(b, 1)
rise = alpha * (sp.exp(size) - sp.exp(lam))
statement = Relation(single**2, "<=", radius**2)


def _inside(case: str, t: sp.Expr, why: str) -> tuple[Step, ...]:
    """At the scaled size t below the breakdown: 1 - p and the margin are positive."""
    return (
        Tangent(f"tangent, {case}", Relation(sp.exp(t), ">=", 1 + t), "e^y ≥ 1 + y"),
        Inequality(
            f"some draggers, {case}",
            Relation(1 - sp.exp(-t), ">", sp.S.Zero),
            "1 - p, as λ > 0",
            (f"tangent, {case}",),
            certificate=(sp.exp(-t) * (sp.exp(t) - 1 - t), sp.exp(-t) * t),
        ),
        Inequality(
            f"rise, {case}",
            Relation(sp.exp(t) - 1, ">", sp.S.Zero),
            "as λ > 0",
            (f"tangent, {case}",),
            certificate=(sp.exp(t) - 1 - t, t),
        ),
        Inequality(
            f"margin, {case}",
            Relation(sp.exp(-t) - alpha * (1 - sp.exp(-t)), ">", sp.S.Zero),
            "κ is e^(-x) times the room",
            (why,),
            certificate=sp.exp(-t) * room(t),
        ),
    )


def _squared(case: str, square: sp.Expr, t: sp.Expr, why: str) -> Identity:
    """The squared radius in the scaled size t."""
    return Identity(
        f"squared radius, {case}",
        Relation(square, "=", sigma**2 * lam * alpha * quotient(t) / room(t)),
        "in the scaled size x = λb",
        (f"some draggers, {case}", f"margin, {case}", why),
    )


below = "below the breakdown"
single_below = "one sample, below the breakdown"

steps = (
    Axiom(below, Relation(room(size), ">", sp.S.Zero), "b < ln(1 + 1/α)/λ"),
    *_inside("b samples", size, below),
    _squared("b samples", radius**2, size, below),
    Tangent("tangent at -x", Relation(sp.exp(-x), ">=", 1 - x), "e^y ≥ 1 + y"),
    Inequality(
        "slope of the quotient",
        Relation(sp.diff(quotient(x), x), ">=", sp.S.Zero),
        "e^x is convex",
        ("tangent at -x",),
        certificate=sp.exp(x) * (sp.exp(-x) - 1 + x) / x**2,
    ),
    Inequality(
        "slope of e^x",
        Relation(sp.diff(sp.exp(x), x), ">=", sp.S.Zero),
        "e^x is positive",
        certificate=sp.exp(x),
    ),
    Axiom(
        "one sample at least", Relation(b, ">=", sp.S.One), "a micro-batch is not empty"
    ),
    Inequality(
        "two sizes",
        Relation(lam, "<=", size),
        "λ > 0",
        ("one sample at least",),
        certificate=lam * (b - 1),
    ),
    Monotone(
        "quotients",
        Relation(quotient(lam), "<=", quotient(size)),
        "(e^x - 1)/x rises",
        ("slope of the quotient", "two sizes"),
        function=quotient(x),
        symbol=x,
        low=lam,
        high=size,
    ),
    Monotone(
        "exponentials",
        Relation(sp.exp(lam), "<=", sp.exp(size)),
        "e^x rises",
        ("slope of e^x", "two sizes"),
        function=sp.exp(x),
        symbol=x,
        low=lam,
        high=size,
    ),
    Inequality(
        single_below,
        Relation(room(lam), ">", sp.S.Zero),
        "1 + α - αe^x falls",
        ("below the breakdown", "exponentials"),
        certificate=(room(size), rise),
    ),
    *_inside("one sample", lam, single_below),
    _squared("one sample", single**2, lam, single_below),
    Inequality(
        "conclusion",
        statement,
        "the quotient rises, the room falls; (e^λ - 1)/λ = 1 + (e^λ - 1 - λ)/λ",
        (
            *("quotients", "exponentials", "tangent, one sample", below, single_below),
            *("some draggers, b samples", "margin, b samples"),
            *("some draggers, one sample", "margin, one sample"),
        ),
        certificate=(
            sigma**2 * lam * alpha * (quotient(size) - quotient(lam)) / room(size),
            sigma**2
            * alpha
            * (sp.exp(lam) - 1 - lam)
            * rise
            / (room(size) * room(lam)),
            sigma**2 * alpha * lam * rise / (room(size) * room(lam)),
        ),
    ),
)

witness = (
    Axiom("not sideways", Relation(alpha, ">", sp.S.Zero), "α > 0"),
    Inequality(
        "at least the limit of few draggers",
        Relation(single**2, ">=", sigma**2 * lam * alpha),
        "so a size b costs a factor √φ(λb) at most: 8 % at λb = 0.1 and α = 1",
        (
            "tangent, one sample",
            single_below,
            "margin, one sample",
            "some draggers, one sample",
        ),
        certificate=(
            sigma**2 * alpha * (sp.exp(lam) - 1 - lam) / room(lam),
            sigma**2 * alpha**2 * lam * (sp.exp(lam) - 1 - lam) / room(lam),
            sigma**2 * alpha**2 * lam**2 / room(lam),
        ),
    ),
    Axiom("not all", Relation(1 - epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Axiom("minority", Relation(1 - 2 * epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Axiom(
        "dragger rate",
        Relation(lam, "=", -sp.log(1 - epsilon)),
        "λ = -ln(1-ε)",
        ("not all",),
    ),
    Inequality(
        "margin at α = 1",
        Relation(2 * sp.exp(-lam) - 1, ">", sp.S.Zero),
        "1 - 2ε",
        ("dragger rate", "minority"),
        certificate=1 - 2 * epsilon,
    ),
    Identity(
        "best possible",
        Relation(sp.Subs(single, alpha, 1), "=", minimax_bound),
        "at b = 1 and α = 1: by minimax no rule whatever has a smaller worst case",
        (
            "dragger rate",
            "not all",
            "minority",
            "margin at α = 1",
            "some draggers, one sample",
        ),
    ),
    Identity(
        "cost of a size",
        Relation(
            radius**2 / single**2,
            "=",
            quotient(size) / room(size) * room(lam) / quotient(lam),
        ),
        "the squared radius against that of single samples",
        (
            *(
                "some draggers, b samples",
                "margin, b samples",
                below,
                single_below,
                "not sideways",
            ),
            *("some draggers, one sample", "margin, one sample", "rise, one sample"),
        ),
    ),
)


claim = Claim(
    name="threshold_size",
    part="What is best possible",
    title="with the best fixed threshold, single samples have the smallest bias radius",
    kind="exact minimiser",
    summary=(
        "with the best threshold, single samples have the smallest radius: the "
        "minimax bound at α = 1"
    ),
    assumptions=threshold_claim.assumptions,
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "bias_radius": single,
        "cost_of_size": sp.Piecewise(
            (
                sp.sqrt(quotient(size) / room(size) * room(lam) / quotient(lam)),
                room(size) > 0,
            ),
            (sp.nan, True),
        ),
    },
    shown={
        "bias_radius": Shown("squared radius, one sample", power=2),
        "cost_of_size": Shown("cost of a size", power=2),
    },
    attained="at b = 1, where the radius is the minimax bound if α = 1",
    about=("optimal_threshold", "minimax"),
    figure="threshold",
    agreement=("test_sizes",),
    remarks=(
        "sweet_spot is about the normalized rule; a threshold that knows ε, σ "
        "and α needs no b > 1",
    ),
)
