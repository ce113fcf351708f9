"""The bias that the normalized rule approaches when rare benign samples point back.

On a line, benign noise is large and negative rarely, just so often that a little more
than half of all micro-batches hold a rare sample or are contaminated, and those point
straight back (α = 1). At exactly half the points of rest fill an interval, as in
rare_signal: the value here is a limit.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.setting import tangent
from analysis.proof.assumptions import Assumption
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import b, kappa, lam, p, sigma

ell, y, fixed_rarity = sp.symbols(
    "ell_2 y ell_0", positive=True
)  # the rarity, of the limit and of a law
w_y, w = sp.symbols("w_y w", positive=True)  # the probabilities of a rare sample
stationary_point, bias = sp.symbols("G_y beta_2", positive=True)


def usual(rarity: sp.Expr) -> sp.Expr:
    """The probability of a usual sample."""
    return sp.exp(-rarity / b)


def root(rarity: sp.Expr) -> sp.Expr:
    """One over the square root of it."""
    return sp.exp(rarity / (2 * b))


def reach(w: sp.Expr, rarity: sp.Expr) -> sp.Expr:
    """Minus the noise of a micro-batch that holds one rare sample."""
    return sigma * (1 - b * w) * root(rarity) / (b * sp.sqrt(w))


limit = sigma * (1 - ell) / (sp.sqrt(b) * sp.sqrt(ell))
exponent = (sp.log(2) - lam * b) / b
rare = 1 - sp.exp(-exponent)
in_parameters = sigma * (1 - b * rare) * sp.exp(exponent / 2) / (b * sp.sqrt(rare))

statement = Relation(bias, "=", in_parameters)
terms = {
    "beta_2": "the limit of the bias under these laws",
}


def _exists(name: str, rarity: sp.Expr) -> tuple[Tangent, Inequality]:
    """A rare sample has a positive probability, at this rarity."""
    return (
        tangent(f"tangent at {name}/b", rarity / b),
        Inequality(
            f"rare samples exist, {name}",
            Relation(1 - usual(rarity), ">", sp.S.Zero),
            f"the usual sample has the probability e^(-{name}/b)",
            (f"tangent at {name}/b",),
            certificate=(
                usual(rarity) * (sp.exp(rarity / b) - 1 - rarity / b),
                usual(rarity) * rarity / b,
            ),
        ),
    )


steps = (
    *setting.straight_back,
    setting.at_most_one,
    Definition(
        "rarity",
        Relation(ell, "=", sp.log(1 + kappa)),
        (
            "rare samples a micro-batch would hold on average at a small probability "
            "each, at even balance"
        ),
    ),
    Axiom("less rare", Relation(y, ">", ell), "the law of rarity y > ell"),
    *_exists("y", y),
    Definition(
        "rare probability, y",
        Relation(w_y, "=", 1 - usual(y)),
        "of a rare sample",
        ("rare samples exist, y",),
    ),
    Identity(
        "mean",
        Relation(
            (1 - w_y) * sigma * sp.sqrt(w_y) * root(y),
            "=",
            w_y * sigma / (sp.sqrt(w_y) * root(y)),
        ),
        (
            "ξ = -σ√((1-w)/w) with probability w = w_y, else σ√(w/(1-w)), e^(y/(2b)) = "
            "1/√(1-w); mean zero"
        ),
        ("rare probability, y", "rare samples exist, y"),
    ),
    Identity(
        "variance",
        Relation(
            (1 - w_y) * (sigma * sp.sqrt(w_y) * root(y)) ** 2
            + w_y * (sigma / (sp.sqrt(w_y) * root(y))) ** 2,
            "=",
            sigma**2,
        ),
        "as large as it may be",
        ("rare probability, y",),
    ),
    Identity(
        "one rare sample",
        Relation(
            (
                (b - 1) * sigma * sp.sqrt(w_y) * root(y)
                - sigma / (sp.sqrt(w_y) * root(y))
            )
            / b,
            "=",
            -reach(w_y, y),
        ),
        (
            "the noise of a clean micro-batch that holds one; with more of them "
            "it is more negative"
        ),
        ("rare probability, y",),
    ),
    tangent("tangent at y - ell", y - ell),
    Identity(
        "balance",
        Relation(p * (1 - sp.exp(-ell)) + 1 - p, "=", sp.Rational(1, 2)),
        "of the law of rarity ell, which is not reached",
        ("rarity", "margin"),
    ),
    Inequality(
        "more than half point back",
        Relation(p * (1 - sp.exp(-y)) + 1 - p, ">", sp.Rational(1, 2)),
        "at G below that: micro-batches with rare samples, and contaminated ones",
        ("balance", "less rare", "tangent at y - ell"),
        certificate=(
            p * sp.exp(-y) * (sp.exp(y - ell) - 1 - y + ell),
            p * sp.exp(-y) * (y - ell),
        ),
    ),
    Axiom(
        "still few",
        Relation(b * w_y, "<", sp.S.One),
        "y close enough to ell; see the last step",
    ),
    Axiom(
        "point of rest",
        Relation(stationary_point, "=", reach(w_y, y)),
        "for b > 1 and y close to ell the only one: below it the pull is negative by "
        "'more than half point back'; above it micro-batches with one rare sample "
        "point on too, and fewer than half point back. At b = 1 there is nothing above "
        "but the clean ones",
        ("more than half point back", "still few", "rare probability, y"),
        axiom="median",
    ),
    *_exists("ell", ell),
    Definition(
        "rare probability",
        Relation(w, "=", 1 - usual(ell)),
        "of a rare sample, in the limit",
        ("rare samples exist, ell",),
    ),
    Axiom(
        "bias",
        Relation(bias, "=", reach(w, ell)),
        "β₂, the limit of the point of rest as y falls to ell, by continuity",
        ("point of rest", "rare probability"),
        axiom="limit",
    ),
    Identity(
        "in the parameters",
        Relation(reach(w, ell), "=", in_parameters),
        "definitions; ell = log(2p) = log 2 - λb",
        (
            "rare probability",
            "rarity",
            "margin",
            "clean probability",
            "rare samples exist, ell",
        ),
    ),
    Chain("conclusion", statement, "transitivity", ("bias", "in the parameters")),
)

witness = (
    tangent("tangent at -ell/b", -ell / b),
    Inequality(
        "few rare samples",
        Relation(b * w, "<=", ell),
        "1 - e^(-t) ≤ t",
        ("rare probability", "tangent at -ell/b"),
        certificate=b * (usual(ell) - 1 + ell / b),
    ),
    Tangent("log", Relation(sp.log(1 + kappa), "<=", kappa), "log t ≤ t - 1"),
    Inequality(
        "rarity at most 1",
        Relation(ell, "<=", sp.S.One),
        "log(1+κ) ≤ κ = 2p - 1 ≤ 1",
        ("rarity", "log", "margin", "p at most 1"),
        certificate=(kappa - sp.log(1 + kappa), 2 * (1 - p)),
    ),
    tangent("tangent at ell/2b", ell / (2 * b)),
    Inequality(
        "root above 1",
        Relation(root(ell), ">=", sp.S.One),
        "ell/2b is positive",
        ("tangent at ell/2b",),
        certificate=(root(ell) - 1 - ell / (2 * b), ell / (2 * b)),
    ),
    Inequality(
        "less than one on average",
        Relation(b * w, "<=", sp.S.One),
        "so the one rare sample has the sign that is claimed, in the limit",
        ("few rare samples", "rarity at most 1"),
        certificate=(ell - b * w, 1 - ell),
    ),
    Inequality(
        "against its limit",
        Relation(reach(w, ell), ">=", limit),
        "e^(ell/(2b)) ≥ 1, then (1 - t)/√t falls and t = bw ≤ ell",
        (
            "few rare samples",
            "rarity at most 1",
            "less than one on average",
            "root above 1",
        ),
        certificate=(
            sigma * (1 - b * w) * (root(ell) - 1) / (b * sp.sqrt(w)),
            sigma * (ell - b * w) / (b * sp.sqrt(w)),
            sigma
            * (1 - ell)
            * (ell - b * w)
            / (sp.sqrt(ell) + sp.sqrt(b * w))
            / (b * sp.sqrt(w * ell)),
        ),
    ),
    Chain(
        "bias against its limit",
        Relation(bias, ">=", limit),
        "transitivity",
        ("bias", "against its limit"),
    ),
    Identity(
        "large size",
        Relation(sp.Limit(b * (1 - usual(fixed_rarity)), b, sp.oo), "=", fixed_rarity),
        "at one λb, where ell keeps its value: bw → ell, so √b times the bias tends to "
        "σ(1 - ell)/√ell as b → ∞",
    ),
)


claim = Claim(
    name="rare_outlier",
    part="What is best possible",
    title="the bias that is approached when rare benign samples point back",
    kind="limit of a family",
    summary="the bias that is approached where rare samples pull back",
    assumptions=(
        setting.ON_A_LINE,
        Assumption(
            "benign noise: a negative value with probability 1 - e^(-y/b), else "
            "positive; E ξ² = σ²; in the limit where y falls to ell = ln(2p)"
        ),
        setting.ALL_STRAIGHT_BACK,
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={"limiting_bias": in_parameters},
    shown={"limiting_bias": "in the parameters"},
    attained=(
        "approached by these laws; at the limit itself the points of "
        "rest fill an interval"
    ),
    figure="tightness",
    agreement=("test_known_laws",),
)
