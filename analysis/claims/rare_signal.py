"""The bias that the normalized rule approaches when rare samples carry the gradient.

On a line, benign noise is -a mostly and large and positive rarely, so rarely that a
little more than half of all micro-batches hold no rare sample or are contaminated, and
those point straight back (α = 1). At exactly half the pull vanishes on the whole
interval up to a, and every point of it is one of rest: the value here is a limit, and
the least upper bound of the family of laws.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.bias_radius import radius
from analysis.claims.setting import clean_probability, tangent
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import alpha, b, kappa, p, sigma

ell, y, fixed_rarity = sp.symbols("ell y ell_0", positive=True)
stationary_point, bias = sp.symbols("G_y beta_1", positive=True)


def jump(rarity: sp.Expr) -> sp.Expr:
    """One over the probability of a usual sample."""
    return sp.exp(rarity / b)


def reach(rarity: sp.Expr) -> sp.Expr:
    """Minus the usual noise a."""
    return sigma * sp.sqrt(jump(rarity) - 1)


unit = sigma / (sp.sqrt(b) * sp.sqrt(kappa))
limit = sigma * sp.sqrt(ell) / sp.sqrt(b)
in_parameters = sigma * sp.sqrt(
    sp.exp(sp.log(1 + 1 / (2 * clean_probability - 1)) / b) - 1
)

statement = Relation(bias, "=", in_parameters)
terms = {
    "beta_1": "the limit of the bias under these laws",
}


def _exists(name: str, rarity: sp.Expr) -> tuple[Tangent, Inequality]:
    """A usual sample has a probability below 1, at this rarity."""
    return (
        tangent(f"tangent at {name}/b", rarity / b, "e^y ≥ 1 + y"),
        Inequality(
            f"rare samples exist, {name}",
            Relation(jump(rarity) - 1, ">", sp.S.Zero),
            f"the usual sample has the probability e^(-{name}/b)",
            (f"tangent at {name}/b",),
            certificate=(jump(rarity) - 1 - rarity / b, rarity / b),
        ),
    )


steps = (
    *setting.straight_back,
    Definition(
        "rarity",
        Relation(ell, "=", sp.log(1 + 1 / kappa)),
        (
            "rare samples a micro-batch would hold on average at a small probability "
            "each, at even balance"
        ),
    ),
    Axiom("rarer", Relation(y, "<", ell), "the law of rarity y, 0 < y < ell"),
    *_exists("y", y),
    Identity(
        "mean",
        Relation((1 - 1 / jump(y)) * reach(y) / (jump(y) - 1), "=", reach(y) / jump(y)),
        (
            "ξ = -a, a = σ√(e^(y/b) - 1), with probability e^(-y/b), else "
            "a/(e^(y/b) - 1); mean zero"
        ),
        ("rare samples exist, y",),
    ),
    Identity(
        "variance",
        Relation(
            reach(y) ** 2 / jump(y)
            + (1 - 1 / jump(y)) * (reach(y) / (jump(y) - 1)) ** 2,
            "=",
            sigma**2,
        ),
        "as large as it may be",
        ("rare samples exist, y",),
    ),
    tangent("tangent at ell - y", ell - y),
    Identity(
        "balance",
        Relation(p * sp.exp(-ell) + 1 - p, "=", sp.Rational(1, 2)),
        "of the law of rarity ell, which is not reached",
        ("rarity", "margin"),
    ),
    Inequality(
        "more than half point back",
        Relation(p * sp.exp(-y) + 1 - p, ">", sp.Rational(1, 2)),
        (
            "at G < a: micro-batches without a rare sample, g = G - a, "
            "and contaminated ones"
        ),
        ("balance", "rarer", "tangent at ell - y"),
        certificate=(
            p * sp.exp(-ell) * (sp.exp(ell - y) - 1 - ell + y),
            p * sp.exp(-ell) * (ell - y),
        ),
    ),
    Axiom(
        "point of rest",
        Relation(stationary_point, "=", reach(y)),
        "the only one: by 'more than half point back' the pull is negative at G < a; "
        "at G > a it is p - (1-p), which is positive, as all clean ones point on",
        ("more than half point back", "below the breakdown", "rare samples exist, y"),
        axiom="median",
    ),
    *_exists("ell", ell),
    Axiom(
        "bias",
        Relation(bias, "=", reach(ell)),
        "β₁, the limit of the point of rest as y rises to ell, by continuity",
        ("point of rest", "rare samples exist, ell"),
        axiom="limit",
    ),
    Identity(
        "in the parameters",
        Relation(reach(ell), "=", in_parameters),
        "definitions",
        ("rarity", "margin", "clean probability", "rare samples exist, ell"),
    ),
    Chain("conclusion", statement, "transitivity", ("bias", "in the parameters")),
)

witness = (
    tangent("tangent at (ell - y)/b", (ell - y) / b),
    Inequality(
        "squares below the limit",
        Relation(reach(y) ** 2, "<", reach(ell) ** 2),
        "e^t rises",
        (
            "tangent at (ell - y)/b",
            "rarer",
            "rare samples exist, y",
            "rare samples exist, ell",
        ),
        certificate=(
            sigma**2 * jump(y) * (sp.exp((ell - y) / b) - 1 - (ell - y) / b),
            sigma**2 * jump(y) * (ell - y) / b,
        ),
    ),
    Inequality(
        "never reached",
        Relation(reach(y), "<", reach(ell)),
        "so β₁ is the least upper bound of the points of rest of these laws",
        ("squares below the limit", "rare samples exist, y", "rare samples exist, ell"),
        certificate=(reach(ell) ** 2 - reach(y) ** 2) / (reach(ell) + reach(y)),
    ),
    Identity(
        "radius",
        Relation(sp.Subs(radius, alpha, 1), "=", unit),
        "the bias radius in terms of the margin",
        ("margin", "clean probability"),
    ),
    tangent("tangent at ell", ell),
    Inequality(
        "rise at one sample",
        Relation(sp.exp(ell) - 1, ">", sp.S.Zero),
        "ell is positive",
        ("tangent at ell",),
        certificate=(sp.exp(ell) - 1 - ell, ell),
    ),
    Identity(
        "one sample",
        Relation(sp.Subs(reach(ell), b, 1), "=", sp.Subs(unit, b, 1)),
        "at b = 1 the limit is the radius",
        ("rarity", "rise at one sample"),
    ),
    Inequality(
        "against its limit",
        Relation(reach(ell), ">=", limit),
        "e^t - 1 ≥ t",
        ("tangent at ell/b", "rare samples exist, ell"),
        certificate=sigma
        * (jump(ell) - 1 - ell / b)
        / (sp.sqrt(jump(ell) - 1) + sp.sqrt(ell) / sp.sqrt(b)),
    ),
    Chain(
        "bias against its limit",
        Relation(bias, ">=", limit),
        "transitivity",
        ("bias", "against its limit"),
    ),
    Identity(
        "large size",
        Relation(sp.Limit(b * (jump(fixed_rarity) - 1), b, sp.oo), "=", fixed_rarity),
        (
            "at one λb, where ell keeps its value: √b times the bias "
            "tends to σ√ell as b → ∞"
        ),
    ),
)


claim = Claim(
    name="rare_signal",
    part="What is best possible",
    title="the bias that is approached when rare samples carry the gradient",
    kind="limit, and least upper bound of a family",
    summary="the bias that is approached where rare samples carry the gradient",
    assumptions=(
        setting.ON_A_LINE,
        Assumption(
            "benign noise: -a with probability e^(-y/b), else a positive value; E ξ² = "
            "σ²; in the limit where y rises to ell = ln(1 + 1/(2p - 1))"
        ),
        setting.ALL_STRAIGHT_BACK,
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"limiting_bias": in_parameters},
    shown={"limiting_bias": "in the parameters"},
    about=("bias_radius",),
    attained=(
        "approached by these laws; at the limit itself every G up to it "
        "is a point of rest"
    ),
    figure="tightness",
    agreement=("test_known_laws",),
)
