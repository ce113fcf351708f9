"""How strongly `normalized` is pulled back where the noise has no variance.

Of the noise only a moment of order ν in (1, 2] is finite, E‖ξ‖^ν ≤ σ^ν. The mean of b
samples is then shorter than s_ν = c_ν σ/b^a on average, with a = 1 - 1/ν and c_ν =
2^((2-ν)/ν): 1 for a variance, at most 2. What ‖x‖^ν gains from one more independent
term follows from its gradient, ν‖x‖^(ν-2)x, which is Hölder continuous of order ν - 1.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.drift import tangent
from analysis.claims.setting import (
    clean,
    clean_probability,
    contaminated,
    drift,
    k,
    margin_of_size,
)
from analysis.proof.assumptions import A3, A4, Assumption
from analysis.proof.calculus import Monotone, Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
    Inequality,
)
from analysis.proof.symbols import G, alpha, b, nu, p, s, sigma

a, h, c, moment, y = sp.symbols("a h c_nu moment y", positive=True)
n = sp.Symbol("n", nonnegative=True)
shorter = sp.Symbol("l", positive=True)
gap = sp.Symbol("gap", nonnegative=True)
added = sp.Symbol("l_xi", positive=True)
distance, turn, t = sp.symbols("distance turn t", nonnegative=True)
before, after, size = sp.symbols("before after size", nonnegative=True)
rise, cross = sp.symbols("rise cross", real=True)
length, noise_length = sp.symbols("r r_z", nonnegative=True)
along, gain = sp.symbols("z_v X", real=True)

RANDOM = (
    *(before, after, rise, cross, size, added),
    *(gain, along, length, noise_length),
)

statement = Relation(drift, ">=", tangent)

# Two vectors, of lengths l + gap and l and with cosine k, and the same with lengths to
# the power h = ν - 1

longer = shorter + gap
toward, away = gap**2, (longer + shorter) ** 2
turn_toward = (longer**h - shorter**h) ** 2
turn_away = (longer**h + shorter**h) ** 2
constant = 4 ** (1 - h)  # of the square: the Hölder constant is its root


def mixed(same: sp.Expr, opposite: sp.Expr) -> sp.Expr:
    """The mean of two values with the weights (1+k)/2 and (1-k)/2."""
    return (1 + k) / 2 * same + (1 - k) / 2 * opposite


hoelder = (
    Axiom("more than a mean", Relation(nu, ">", sp.S.One), "ν > 1"),
    Axiom("at most a variance", Relation(nu, "<=", sp.Integer(2)), "ν ≤ 2"),
    Definition("order", Relation(h, "=", nu - 1), "in (0, 1]", ("more than a mean",)),
    *setting.cosine_in_range,
    Axiom(
        "distance",
        Relation(distance, "=", mixed(toward, away)),
        "distance = ‖x - y‖², ‖x‖ = l + gap, ‖y‖ = l, k = cos(x, y)",
        axiom="inner product",
    ),
    Axiom(
        "turn",
        Relation(turn, "=", mixed(turn_toward, turn_away)),
        "turn = ‖φ(x) - φ(y)‖², φ(x) = ‖x‖^(h-1) x of length ‖x‖^h",
        axiom="inner product",
    ),
    Axiom(
        "power of the distance",
        Relation(mixed(toward**h, away**h), "<=", distance**h),
        "t^h is concave, as h ≤ 1; the weights are not negative",
        ("distance", "at most a variance", "order"),
        axiom="Jensen",
    ),
    Axiom(
        "opposite vectors",
        Relation(turn_away, "<=", constant * away**h),
        "k = -1: the mean of ‖x‖^h and ‖y‖^h is at most ((‖x‖ + ‖y‖)/2)^h",
        ("at most a variance", "order"),
        axiom="Jensen",
    ),
    Axiom(
        "parallel vectors",
        Relation(turn_toward, "<=", toward**h),
        "k = 1: (l + gap)^h - l^h ≤ gap^h, since t^h is concave and 0 at 0",
        ("at most a variance", "order"),
        axiom="Jensen",
    ),
    Tangent(
        "constant",
        Relation(sp.exp((1 - h) * sp.log(4)), ">=", 1 + (1 - h) * sp.log(4)),
        "e^y ≥ 1 + y",
        exponent=(1 - h) * sp.log(4),
    ),
    Inequality(
        "constant at least 1",
        Relation(constant, ">=", sp.S.One),
        "h ≤ 1",
        ("constant", "at most a variance", "order"),
        certificate=(
            sp.exp((1 - h) * sp.log(4)) - 1 - (1 - h) * sp.log(4),
            (2 - nu) * sp.log(4),
        ),
    ),
    Inequality(
        "Hölder",
        Relation(turn, "<=", constant * distance**h),
        "‖φ(x) - φ(y)‖ ≤ 2^(1-h) ‖x - y‖^h",
        (
            *("turn", "power of the distance", "opposite vectors"),
            *("parallel vectors", "constant at least 1"),
            *("cosine at most 1", "cosine at least -1"),
        ),
        certificate=(
            constant * (distance**h - mixed(toward**h, away**h)),
            (1 + k) / 2 * (constant - 1) * toward**h,
            (1 + k) / 2 * (toward**h - turn_toward),
            (1 - k) / 2 * (constant * away**h - turn_away),
        ),
    ),
)

# One more independent term: before = ‖S‖^ν, after = ‖S + ξ‖^ν, S of n terms

factor_of_moment = 2 ** (2 - nu)
along_the_way = sp.Integral(nu * 2 ** (1 - h) * (t * added) ** h * added, (t, 0, 1))

one_more = (
    Definition("rise", Relation(rise, "=", after - before), "by the term n + 1"),
    Axiom(
        "along the segment",
        Relation(rise, "<=", cross + along_the_way),
        (
            "rise = ∫_0^1 ν⟨φ(S + tξ), ξ⟩ dt, cross = ν⟨φ(S), ξ⟩, "
            "l_xi = ‖ξ‖, and Hölder for S + tξ and S"
        ),
        ("Hölder",),
        axiom="line integral",
    ),
    Identity(
        "integrated",
        Relation(along_the_way, "=", factor_of_moment * added**nu),
        "h + 1 = ν",
        ("order",),
    ),
    Axiom("size", Relation(size, "=", added**nu), "size = ‖ξ‖^ν", axiom="name"),
    Inequality(
        "one more term",
        Relation(after, "<=", before + cross + factor_of_moment * size),
        "put in",
        ("along the segment", "integrated", "size", "rise", "order"),
        certificate=cross + along_the_way - rise,
    ),
    Averaged(
        "average of one more",
        Relation(E(after), "<=", E(before + cross + factor_of_moment * size)),
        "monotone",
        ("one more term",),
    ),
    Axiom(
        "independent of the sum",
        Relation(E(cross), "=", sp.S.Zero),
        "ξ is independent of S and E ξ = 0",
        axiom="independence",
    ),
    Axiom("moment of the noise", Relation(E(size), "<=", sigma**nu), "E‖ξ‖^ν ≤ σ^ν"),
    Axiom(
        "terms so far",
        Relation(E(before), "<=", n * factor_of_moment * sigma**nu),
        "0 for no terms; by induction with the next two steps",
        axiom="induction",
    ),
    Expectation(
        "moment of n + 1 terms",
        Relation(
            E(before + cross + factor_of_moment * size),
            "<=",
            (n + 1) * factor_of_moment * sigma**nu,
        ),
        "linear",
        ("independent of the sum", "moment of the noise", "terms so far"),
        random=RANDOM,
    ),
    Chain(
        "terms so far, and one",
        Relation(E(after), "<=", (n + 1) * factor_of_moment * sigma**nu),
        "transitivity",
        ("average of one more", "moment of n + 1 terms"),
    ),
    Axiom(
        "moment of the mean",
        Relation(moment, "<=", b * factor_of_moment * sigma**nu / b**nu),
        "moment = E‖z‖^ν, z = Σ ξ_i/b; where it is 0 there is no noise",
        ("terms so far, and one",),
        axiom="induction",
    ),
    Definition(
        "decay", Relation(a, "=", (nu - 1) / nu), "in (0, 1/2]", ("more than a mean",)
    ),
    Definition("constant of the order", Relation(c, "=", 2 ** ((2 - nu) / nu)), "c_ν"),
    Definition("noise", Relation(s, "=", c * sigma / b**a), "s_ν"),
    Identity(
        "to the power",
        Relation(b * factor_of_moment * sigma**nu / b**nu, "=", s**nu),
        "definitions",
        ("noise", "decay", "constant of the order", "more than a mean"),
    ),
    Chain(
        "moment at most",
        Relation(moment, "<=", s**nu),
        "transitivity",
        ("moment of the mean", "to the power"),
    ),
    Axiom(
        "mean length",
        Relation(E(noise_length), "<=", moment ** (1 / nu)),
        "r_z = ‖z‖; t^ν is convex",
        axiom="Jensen",
    ),
    Inequality(
        "the root rises",
        Relation(sp.diff(y ** (1 / nu), y), ">=", sp.S.Zero),
        "its slope is positive",
        certificate=sp.diff(y ** (1 / nu), y),
    ),
    Monotone(
        "root of the moment",
        Relation(moment ** (1 / nu), "<=", s),
        "the root rises",
        ("the root rises", "moment at most"),
        function=y ** (1 / nu),
        symbol=y,
        low=moment,
        high=s**nu,
    ),
    Chain(
        "noise of a micro-batch",
        Relation(E(noise_length), "<=", s),
        "transitivity",
        ("mean length", "root of the moment"),
    ),
)

# From the noise to the pull: a clean micro-batch is v = Ge + z

clean_pull = (
    Axiom(
        "pull",
        Relation(gain, "=", length - along),
        "X = ⟨∇f, u⟩ with ∇f = v - z, u = v/r: r = ‖v‖, z_v = ⟨u, z⟩",
        axiom="inner product",
    ),
    Axiom(
        "noise along v",
        Relation(along, "<=", noise_length),
        "r_z = ‖z‖",
        axiom="Cauchy-Schwarz",
    ),
    Inequality(
        "pointwise",
        Relation(gain, ">=", length - noise_length),
        "the noise takes away at most r_z",
        ("pull", "noise along v"),
        certificate=noise_length - along,
    ),
    Averaged(
        "average of the pull",
        Relation(E(gain), ">=", E(length - noise_length)),
        "monotone",
        ("pointwise",),
    ),
    Axiom(
        "length of the mean",
        Relation(E(length), ">=", G),
        "a norm is convex; the mean of v is ∇f",
        axiom="Jensen",
    ),
    Expectation(
        "lengths",
        Relation(E(length - noise_length), ">=", G - s),
        "linear",
        ("length of the mean", "noise of a micro-batch"),
        random=RANDOM,
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", E(gain)),
        "clean = E[⟨∇f, u⟩ | clean]",
        axiom="name",
    ),
    Inequality(
        "clean pull",
        Relation(clean, ">=", G - s),
        "both together",
        ("clean case", "average of the pull", "lengths"),
        certificate=(
            E(gain) - E(length - noise_length),
            E(length - noise_length) - (G - s),
        ),
    ),
    Axiom("contaminated case", Relation(contaminated, ">=", -alpha * G), "(A4)"),
    Axiom(
        "two cases",
        Relation(drift, "=", p * clean + (1 - p) * contaminated),
        "drift = E⟨∇f, u⟩; a micro-batch is clean with probability p",
        axiom="total expectation",
    ),
    setting.at_most_one,
    setting.below_breakdown,
    setting.margin,
    Inequality(
        "conclusion",
        statement,
        "p and 1 - p are not negative",
        ("two cases", "clean pull", "contaminated case", "p at most 1", "margin"),
        certificate=(p * (clean - (G - s)), (1 - p) * (contaminated + alpha * G)),
    ),
)

mean_noise = 2 ** ((2 - nu) / nu) * sigma / b ** (1 - 1 / nu)
HEAVY = Assumption(
    "benign noise: given w, and given that the sample is benign, E ξ = 0 and "
    "E‖ξ‖^ν ≤ σ^ν with 1 < ν ≤ 2; independent samples"
)

HELD = ("moment of the noise", "contaminated case")  # what it assumes, quoted or not
definitions = tuple(
    step
    for step in (*hoelder, *one_more)
    if step.name in ("more than a mean", "decay", "constant of the order", "noise")
    or step.name == "at most a variance"
)

claim = Claim(
    name="heavy_drift",
    part="Where the rule comes to rest",
    title="the pull of the normalized rule under noise of infinite variance",
    kind="lower bound",
    summary="with E‖ξ‖^ν ≤ σ^ν the pull is at least κG - ps_ν, s_ν = c_ν σ/b^(1-1/ν)",
    assumptions=(A3, A4, HEAVY, setting.BELOW_BREAKDOWN, setting.NORMALIZED),
    statement=statement,
    terms={"drift": "E⟨∇f, u⟩, u the direction of a micro-batch gradient"},
    steps=(setting.probability_of_clean, *hoelder, *one_more, *clean_pull),
    witness=(),
    values={
        "mean_noise": mean_noise,
        "drift_bound": margin_of_size * G - clean_probability * mean_noise,
    },
    shown={"mean_noise": "noise", "drift_bound": "conclusion"},
    random=RANDOM,
    figure="heavy_tails",
    agreement=(),
    remarks=(
        "s_ν takes the place of σ/√b, and is σ/√b at ν = 2",
        "c_ν is not the best constant between 1 and 2; at b = 1 it is not needed",
    ),
)
