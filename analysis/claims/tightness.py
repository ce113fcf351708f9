"""The bias radius is the truth up to a factor 0.7136, whatever the micro-batch size.

Two families of benign laws come close to it: in units of the radius, rare_signal
approaches f₁(κ) at least, and rare_outlier f₂(κ) at least, κ = 2p - 1 the margin. f₁
rises and f₂ falls, so whatever κ is, one of the two is as large as the common value at
the crossing κ₀.
"""

from collections.abc import Callable

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import radius
from analysis.claims.rare_outlier import bias as outlier_bias
from analysis.claims.rare_outlier import ell as outlier_rarity
from analysis.claims.rare_outlier import in_parameters as outlier_in_parameters
from analysis.claims.rare_outlier import limit as outlier_limit
from analysis.claims.rare_signal import bias as signal_bias
from analysis.claims.rare_signal import ell, unit
from analysis.claims.rare_signal import in_parameters as signal_in_parameters
from analysis.claims.rare_signal import limit as signal_limit
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import Monotone, Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import (
    Axiom,
    Cases,
    Chain,
    Definition,
    Earlier,
    Identity,
    Inequality,
    Suppose,
)
from analysis.proof.symbols import alpha, kappa, x
from analysis.proof.values import Implicit, Shown

crossing = sp.Symbol("kappa_0", positive=True)
largest = sp.Symbol("largest", nonnegative=True)
reached = sp.Symbol("f_0", positive=True)


def first_share(t: sp.Expr) -> sp.Expr:
    """f₁: what rare_signal reaches at margin t, at least, in units of the radius."""
    return sp.sqrt(t) * sp.sqrt(sp.log(1 + 1 / t))


def second_share(t: sp.Expr) -> sp.Expr:
    """f₂: what rare_outlier reaches at margin t, at least, in units of the radius."""
    return sp.sqrt(t) * (1 - sp.log(1 + t)) / sp.sqrt(sp.log(1 + t))


worst = radius.subs(alpha, 1)
share = first_share(crossing)
logarithm = sp.log(1 + x)

statement = Relation(largest, ">=", share * worst)
terms = {
    "largest": "the least upper bound of the biases in rare_signal and rare_outlier",
    "kappa_0": (
        "0.41537…, the zero κ of the second line: there the laws come least close"
    ),
}


laws = (
    *setting.straight_back,
    Definition(
        "signal rarity", Relation(ell, "=", sp.log(1 + 1 / kappa)), "as in rare_signal"
    ),
    Definition(
        "outlier rarity",
        Relation(outlier_rarity, "=", sp.log(1 + kappa)),
        "as in rare_outlier",
    ),
    Axiom(
        "first law",
        Relation(largest, ">=", signal_bias),
        "`largest`, the least upper bound of the points of rest of both families of "
        "laws, is no less than the limit of the first",
        axiom="limit",
    ),
    Earlier(
        "first bias",
        Relation(signal_bias, ">=", signal_limit),
        "rare samples carry the gradient; never below its limit for b → ∞",
        claim="rare_signal",
        holding=("rarer",),
    ),
    Identity(
        "first share",
        Relation(signal_limit, "=", first_share(kappa) * unit),
        "in units of the radius",
        ("signal rarity",),
    ),
    Axiom(
        "second law",
        Relation(largest, ">=", outlier_bias),
        "nor than that of the second",
        axiom="limit",
    ),
    Earlier(
        "second bias",
        Relation(outlier_bias, ">=", outlier_limit),
        "rare samples point back; never below its limit for b → ∞",
        claim="rare_outlier",
        holding=("less rare", "still few"),
    ),
    Identity(
        "second share",
        Relation(outlier_limit, "=", second_share(kappa) * unit),
        "in units of the radius",
        ("outlier rarity",),
    ),
)


def _reached(
    law: str, share_at: Callable[[sp.Expr], sp.Expr], side: str, comparison: str
) -> tuple[Inequality, Chain]:
    """On this side of the crossing the law reaches the share there."""
    here = f"{law} share {side} the crossing"
    return (
        Inequality(
            here,
            Relation(share_at(kappa) * unit, ">=", share * unit),
            "times the radius",
            (comparison,),
            certificate=(share_at(kappa) - share) * unit,
        ),
        Chain(
            f"the {law} law reaches it",
            Relation(largest, ">=", share * unit),
            "transitivity",
            (f"{law} law", f"{law} bias", f"{law} share", here),
        ),
    )


shares = (
    Tangent(
        "log above", Relation(sp.log(1 + 1 / x), ">=", 1 / (1 + x)), "log y ≥ 1 - 1/y"
    ),
    Inequality(
        "f₁ rises",
        Relation(sp.diff(first_share(x), x), ">=", sp.S.Zero),
        "by the tangent",
        ("log above",),
        certificate=(sp.log(1 + 1 / x) - 1 / (1 + x)) / (2 * first_share(x)),
    ),
    Tangent("log below", Relation(logarithm, "<=", x), "log y ≤ y - 1"),
    Inequality(
        "f₂ falls",
        Relation(sp.diff(second_share(x), x), "<=", sp.S.Zero),
        "by the tangent",
        ("log below",),
        certificate=(
            (x - logarithm) / (2 * sp.sqrt(x * logarithm) * logarithm * (1 + x)),
            sp.sqrt(logarithm) / (2 * sp.sqrt(x)),
        ),
    ),
    Axiom(
        "crossing",
        Relation(second_share(crossing), "=", first_share(crossing)),
        "this is what κ₀ means; see the last two steps",
    ),
    Suppose(
        "large margin", Relation(kappa, ">=", crossing), "few draggers in a micro-batch"
    ),
    Monotone(
        "f₁ beyond the crossing",
        Relation(first_share(crossing), "<=", first_share(kappa)),
        "f₁ rises",
        ("f₁ rises", "large margin"),
        function=first_share(x),
        symbol=x,
        low=crossing,
        high=kappa,
    ),
    *_reached("first", first_share, "beyond", "f₁ beyond the crossing"),
    Suppose(
        "small margin",
        Relation(kappa, "<=", crossing),
        "many draggers in a micro-batch",
    ),
    Monotone(
        "f₂ before the crossing",
        Relation(second_share(kappa), ">=", second_share(crossing)),
        "f₂ falls",
        ("f₂ falls", "small margin"),
        function=second_share(x),
        symbol=x,
        low=kappa,
        high=crossing,
    ),
    Chain(
        "f₂ against the crossing",
        Relation(second_share(kappa), ">=", share),
        "f₁ = f₂ there",
        ("f₂ before the crossing", "crossing"),
    ),
    *_reached("second", second_share, "before", "f₂ against the crossing"),
    Cases(
        "either way",
        Relation(largest, ">=", share * unit),
        "κ ≥ κ₀ or κ ≤ κ₀",
        (
            *("large margin", "the first law reaches it"),
            *("small margin", "the second law reaches it"),
        ),
    ),
    Inequality(
        "conclusion",
        statement,
        "the same in the parameters",
        ("either way", "margin", "clean probability"),
        certificate=largest - share * unit,
    ),
)

steps = (*laws, *shares)
near_by = sp.Rational(41537, 100_000)
constant = sp.Rational(7136, 10_000)

witness = (
    Definition("share", Relation(reached, "=", share), "the factor, at the crossing"),
    Identity(
        "radius",
        Relation(unit, "=", worst),
        "the bias radius at α = 1",
        ("margin", "clean probability"),
    ),
    Earlier(
        "first limit",
        Relation(signal_bias, "=", signal_in_parameters),
        "what the first family approaches",
        claim="rare_signal",
        holding=("rarer",),
    ),
    Earlier(
        "second limit",
        Relation(outlier_bias, "=", outlier_in_parameters),
        "what the second family approaches",
        claim="rare_outlier",
        holding=("less rare", "still few"),
    ),
    Inequality(
        "f₁ before the crossing",
        Relation(first_share(near_by), ">=", constant),
        "so f₁ ≥ 0.7136 at every margin above this one",
        certificate=first_share(near_by) - constant,
    ),
    Inequality(
        "f₂ there",
        Relation(second_share(near_by), ">", first_share(near_by)),
        (
            "so f₂ ≥ 0.7136 at every margin below: the factor is 0.7136 or "
            "more; κ₀ lies above"
        ),
        certificate=second_share(near_by) - first_share(near_by),
    ),
    Inequality(
        "f₁ without draggers",
        Relation(first_share(sp.S.One), ">", second_share(sp.S.One)),
        "at κ = 1; so κ₀ lies below, and there is one only",
        certificate=sp.expand(first_share(sp.S.One) - second_share(sp.S.One)),
    ),
)


claim = Claim(
    name="tightness",
    part="What is best possible",
    title="the bias radius against what two benign laws reach, at any micro-batch size",
    kind="lower bound",
    summary=(
        "at α = 1 and for every size below the breakdown laws come to 0.7136 of the "
        "bias radius, or closer"
    ),
    assumptions=(
        setting.ON_A_LINE,
        setting.ALL_STRAIGHT_BACK,
        Assumption(
            "`largest` is the least upper bound of the biases under the laws of "
            "rare_signal and of rare_outlier"
        ),
        Assumption(
            "κ₀ solves f₁ = f₂, f₁(κ)² = κ log(1 + 1/κ), f₂(κ)² = κ(1 - "
            "log(1 + κ))²/log(1 + κ)"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "margin": Implicit(
            kappa, first_share(kappa) - second_share(kappa), near_by, sp.S.One
        ),
        "share": first_share(kappa),
        "bias_radius": worst,
        "signal_bias": signal_in_parameters,
        "outlier_bias": outlier_in_parameters,
    },
    shown={
        "margin": "crossing",
        "share": Shown("share", {crossing: kappa}),
        "bias_radius": "radius",
        "signal_bias": "first limit",
        "outlier_bias": "second limit",
    },
    uses=("rare_signal", "rare_outlier"),
    about=("bias_radius",),
    attained=(
        "by the limits of the two families, as b → ∞ at λb = log(2/(1 + κ₀)) = 0.3458"
    ),
    figure="tightness",
    agreement=("test_known_laws",),
    remarks=(
        "`margin` is κ₀ = 0.41537, and `share` the factor 0.71361",
        "at b = 1 rare_signal approaches the radius itself",
        "conjecture: for b > 1 no law comes closer than the larger of the two limits; "
        "a search by differential evolution over noise with two values, at b = 2 and "
        "4, found none (tests/analysis/claims/test_tightness.py)",
    ),
)
