"""For which horizons the guarantee of clipping is better than that of SGD.

With v = √(2LΔ/T) both squared guarantees are quadratic in v; clipping's is the smaller one between
two roots: SGD wins short runs by its constant 1 - ε, and long ones because it has no bias.
"""

import numpy as np
import sympy as sp

from analysis.claims.averaged_guarantee import bound as clipped
from analysis.claims.averaged_guarantee import claim as averaged_claim
from analysis.claims.averaged_guarantee import margin
from analysis.claims.drift import breakdown, chance
from analysis.claims.sgd_rate import V, benign, variance
from analysis.claims.sgd_rate import bound as unclipped
from analysis.claims.sgd_rate import claim as sgd_claim
from analysis.proof.calculus import Tangent
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import B, Delta, L, T, alpha, b, epsilon, kappa, lam, p, s, sigma

v, A, Q, C, w = sp.symbols("v A Q C w", positive=True)
low, high = sp.symbols("v_low v_high", positive=True)
shortest, longest = sp.symbols("T_low T_high", positive=True)

quadratic = A * v**2 - 2 * Q * v + C
ours = ((v + p * s) / kappa) ** 2
theirs = (v**2 + 2 * v * sp.sqrt(V)) / benign

statement = Relation(clipped**2, "<", unclipped)

steps = (
    Axiom("rate", Relation(epsilon, "=", 1 - sp.exp(-lam)), "λ = -ln(1-ε)"),
    Definition("share", Relation(benign, "=", sp.exp(-lam)), "the chance 1-ε of a benign sample"),
    Definition("clean chance", Relation(p, "=", chance), "(1-ε)^b = e^(-λb)"),
    Definition("noise", Relation(s, "=", sigma / sp.sqrt(b)), "the noise of a clean micro-batch"),
    Inequality(
        "not all draggers",
        Relation(1 - epsilon, ">", sp.S.Zero),
        "ε < 1",
        ("rate",),
        certificate=sp.exp(-lam),
    ),
    Definition("variance", Relation(V, "=", variance), "as in sgd_rate", ("not all draggers",)),
    *breakdown,
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
        ("clean chance", "share", "one sample or more", "exponential"),
        certificate=(
            sp.exp(-lam * b) * (sp.exp(lam * (b - 1)) - 1 - lam * (b - 1)),
            sp.exp(-lam * b) * lam * (b - 1),
        ),
    ),
    Axiom("chance", Relation(p, "<=", sp.S.One), "p is a chance", axiom="probability"),
    Inequality(
        "first coefficient",
        Relation(benign - kappa**2, ">", sp.S.Zero),
        "κ ≤ p ≤ 1-ε < 1",
        ("share", "rate", "margin", "chance", "clean micro-batches are rarer"),
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
    Definition("C", Relation(C, "=", benign * (p * s) ** 2), "the rest of the difference"),
    Axiom(
        "two roots",
        Relation(Q**2 - A * C, ">", sp.S.Zero),
        "otherwise SGD's guarantee is never the larger one",
    ),
    Definition(
        "discriminant", Relation(w, "=", sp.sqrt(Q**2 - A * C)), "half of it", ("two roots",)
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
        "longest", Relation(longest, "=", 2 * L * Delta / low**2), "horizon of the smaller root"
    ),
    Definition(
        "shortest", Relation(shortest, "=", 2 * L * Delta / high**2), "horizon of the larger root"
    ),
    Axiom("long enough", Relation(T, ">", shortest), "T_low < T"),
    Axiom("short enough", Relation(T, "<", longest), "T < T_high"),
    Definition("speed", Relation(v, "=", sp.sqrt(2 * L * Delta / T)), "what both bounds share"),
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
        ("speed", "margin", "noise", "clean chance"),
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
        "never negative if Q² ≤ AC; nor is the quadratic if Q ≤ 0: then SGD's guarantee is better",
    ),
)

_a = 1 - epsilon
_A = (1 + alpha) * (1 - chance) * (1 + margin) - epsilon  # benign - margin², without cancellation
_Q = margin**2 * sp.sqrt(variance) - _a * chance * sigma / sp.sqrt(b)
_C = _a * chance**2 * sigma**2 / b
_top = _Q + sp.sqrt(_Q**2 - _A * _C)
_exists = sp.And(margin > 0, _Q > 0, b <= B)


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative lead of clipping's squared guarantee, at horizons inside the interval.

    20 000 random problems; a third of the horizons just inside either end. An improvement lowers
    SGD's guarantee by that fraction. What is compared is what the claim is about, the formulas of
    two guarantees; the guarantees themselves are attacked by runs in averaged_guarantee and
    sgd_rate.
    """
    n = 20_000
    fraction = rng.uniform(1e-3, 0.3, n) ** 2
    size = 1 + rng.uniform(0, 0.5, n) * np.log(2) / fraction * rng.uniform(0, 1, n)
    shared = {
        "dragger_fraction": fraction,
        "noise_scale": np.ones(n),
        "smoothness": rng.lognormal(0, 1, n),
        "initial_gap": rng.lognormal(0, 1, n),
    }
    clipping = {"micro_batch_size": size, "alignment": rng.uniform(0, 1, n)}
    sgd = {
        "batch_size": np.ceil(size) * rng.integers(1, 8, n),
        "dragger_norm": 10 ** rng.uniform(0, 6, n),
    }
    ends = claim.evaluate(**shared, **clipping, **sgd)
    place = rng.choice([1e-9, 0.5, 1 - 1e-9], n)
    horizon = np.exp(
        place * np.log(ends["crossover_high"]) + (1 - place) * np.log(ends["crossover_low"])
    )
    keep = horizon >= 1  # and not NaN
    at = [{name: x[keep] for name, x in d.items()} for d in (shared, clipping, sgd)]
    ours = averaged_claim.evaluate(**at[0], **at[1], horizon=horizon[keep])["averaged_bound"]
    theirs = sgd_claim.evaluate(**at[0], **at[2], horizon=horizon[keep])["squared_bound"]
    return float(np.min(1 - improvement - ours**2 / theirs))


claim = Claim(
    name="crossover",
    part="Against SGD",
    title="the horizons at which clipping has the better guarantee than SGD",
    kind="comparison, tight",
    assumptions=(
        "those of averaged_guarantee and of sgd_rate, each rule with its own step size",
        "ε > 0, b ≥ 1, and b is below the breakdown; m = B/b is a positive integer",
        "T_low < T < T_high: horizons of the two roots; there are none if Q ≤ 0 or Q² ≤ AC",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "crossover_low": sp.Piecewise((2 * L * Delta * (_A / _top) ** 2, _exists), (sp.nan, True)),
        "crossover_high": sp.Piecewise((2 * L * Delta * (_top / _C) ** 2, _exists), (sp.nan, True)),
    },
    shown={"crossover_low": "shortest", "crossover_high": "longest"},
    attack=attack,
    about=("averaged_guarantee", "sgd_rate"),
    attained="at T = T_low and T = T_high, where the two guarantees agree",
    figure="rates",
    remarks=(
        "it compares two guarantees, not two runs",
        "left side: clipping's bound on the mean of G, squared; right side: SGD's on that of G²",
    ),
)
