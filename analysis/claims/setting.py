"""What several proofs share: symbols of the argument, and steps that recur.

A step that quotes a claim, or speaks of its formula, stands in that claim's file.
"""

import sympy as sp

from analysis.proof.assumptions import A3, Assumption
from analysis.proof.calculus import Solution, Tangent, UniqueMinimum
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Identity,
    Inequality,
    Step,
)
from analysis.proof.symbols import (
    B,
    Delta,
    L,
    T,
    alpha,
    b,
    epsilon,
    eta,
    gamma,
    kappa,
    lam,
    p,
    s,
    sigma,
    x,
)

# Assumptions

BELOW_BREAKDOWN = Assumption("b < ln(1 + 1/α)/λ, the breakdown; there κ > 0")
NORMALIZED = Assumption(
    "rule: normalized (for Algorithm 1 with few micro-batches see finite_micro_batches)"
)

ON_A_LINE = Assumption("one dimension, rule: normalized, b < ln(2)/λ")
ALL_STRAIGHT_BACK = Assumption(
    "contaminated micro-batches point straight back: α = 1, draggers "
    "of sufficient length"
)
SOME_BENIGN = A3.variant(f"{A3.statement} < 1")

# Micro-batches: clean with probability p, and then as noisy as b samples are

clean_probability = sp.exp(-lam * b)
push = alpha * (1 - clean_probability)
margin_of_size = clean_probability - push
spread = sp.Symbol("spread", nonnegative=True)  # E‖z‖², z the noise of a clean one
clean, contaminated, mean = sp.symbols("clean contaminated mean", real=True)

probability_of_clean = Definition(
    "clean probability",
    Relation(p, "=", clean_probability),
    "(1-ε)^b = e^(-λb), λ = -ln(1-ε)",
)
at_most_one = Axiom(
    "p at most 1",
    Relation(p, "<=", sp.S.One),
    "p is a probability",
    axiom="probability",
)
noise = Definition(
    "noise", Relation(s, "=", sigma / sp.sqrt(b)), "the noise of a clean micro-batch"
)
independent_noise = (
    noise,
    Axiom(
        "independent samples",
        Relation(spread, "<=", b * (sigma / b) ** 2),
        (
            "spread = E‖z‖², z = Σ ξ_i/b the noise of a clean micro-batch; "
            "E‖ξ_i/b‖² ≤ (σ/b)²"
        ),
        axiom="independence",
    ),
    Identity(
        "noise of the mean",
        Relation(b * (sigma / b) ** 2, "=", s**2),
        "definition",
        ("noise",),
    ),
    Chain(
        "noise of a micro-batch",
        Relation(spread, "<=", s**2),
        "the hypothesis of drift",
        ("independent samples", "noise of the mean"),
    ),
)


def balance(update: str) -> tuple[Axiom, Axiom]:
    """At rest the mean of this update, over clean and contaminated ones, vanishes."""
    return (
        Axiom(
            "two cases",
            Relation(p * clean + (1 - p) * contaminated, "=", mean),
            (
                f"mean = {update}; a micro-batch is clean with probability "
                "p, else contaminated"
            ),
            axiom="total expectation",
        ),
        Axiom(
            "stationarity",
            Relation(mean, "=", sp.S.Zero),
            "the expected update has come to rest",
        ),
    )


# The breakdown: below it clean micro-batches win

below_breakdown = Axiom(
    "below the breakdown",
    Relation(p - alpha * (1 - p), ">", sp.S.Zero),
    "b < ln(1 + 1/α)/λ",
)
margin = Definition(
    "margin",
    Relation(kappa, "=", p - alpha * (1 - p)),
    "clean pull minus contaminated push",
    ("below the breakdown",),
)
straight_back = (  # the same where draggers point straight back, α = 1
    probability_of_clean,
    Axiom("below the breakdown", Relation(2 * p - 1, ">", sp.S.Zero), "b < ln(2)/λ"),
    Definition(
        "margin",
        Relation(kappa, "=", 2 * p - 1),
        "p - α(1-p) at α = 1",
        ("below the breakdown",),
    ),
)

# The breakdown in the scaled size x = λb, for claims about the best size

scaled_breakdown = sp.log(1 + 1 / alpha)
scaled_margin = (1 + alpha) * sp.exp(-x) - alpha

not_sideways = Axiom("not sideways", Relation(alpha, ">", sp.S.Zero), "α ∈ (0, 1]")
below_scaled_breakdown = (  # after `not_sideways`
    Axiom(
        "below the breakdown, scaled",
        Relation(x, "<", scaled_breakdown),
        "x < ln(1 + 1/α)",
        ("not sideways",),
    ),
    Tangent(
        "room",
        Relation(sp.exp(scaled_breakdown - x), ">=", 1 + scaled_breakdown - x),
        "e^y ≥ 1 + y at the distance from the breakdown",
        ("not sideways",),
        exponent=scaled_breakdown - x,
    ),
    Inequality(
        "scaled margin",
        Relation(scaled_margin, ">", sp.S.Zero),
        "κ > 0: it is α(e^(ln(1 + 1/α) - x) - 1)",
        ("below the breakdown, scaled", "not sideways", "room"),
        certificate=(
            alpha * (sp.exp(scaled_breakdown - x) - 1 - scaled_breakdown + x),
            alpha * (scaled_breakdown - x),
        ),
    ),
)


ONE_ZERO = (
    "N has exactly one zero x*; φ falls strictly before it and rises strictly after it"
)


def signs_at_the_ends(numerator: sp.Expr, at_breakdown: sp.Expr) -> tuple[Step, Step]:
    """N, the slope's numerator, is 1 at x = 0 and negative at the breakdown."""
    return (
        Identity(
            "N at 0", Relation(sp.Subs(numerator, x, 0), "=", sp.S.One), "positive"
        ),
        Identity(
            "N at the breakdown",
            Relation(sp.Subs(numerator, x, scaled_breakdown), "=", at_breakdown),
            "negative",
            ("not sideways",),
        ),
    )


def least(
    name: str,
    function: sp.Expr,
    zero: sp.Symbol,
    *,
    slope: tuple[sp.Expr, sp.Expr],
    reason: str = ONE_ZERO,
) -> UniqueMinimum:
    """The one minimum of a function of the scaled size below the breakdown.

    `slope` has a factor and the numerator N whose product, negated, is the derivative.
    After `below_scaled_breakdown`, `signs_at_the_ends`, and the steps "slope" and
    "N falls".
    """
    factor, numerator = slope
    return UniqueMinimum(
        name,
        Relation(function.subs(x, zero), "<=", function),
        reason,
        (
            *("slope", "N falls", "N at 0", "N at the breakdown"),
            *("scaled margin", "not sideways"),
        ),
        function=function,
        numerator=numerator,
        factor=factor,
        symbol=x,
        zero=zero,
        interval=(sp.S.Zero, scaled_breakdown),
    )


def closed_form(
    numerator: sp.Expr, value: sp.Expr, reason: str
) -> tuple[Axiom, Solution]:
    """The zero of N at α = 1, by SymPy's solve."""
    return (
        Axiom(
            "zero at α = 1",
            Relation(numerator.subs(alpha, 1), "=", sp.S.Zero),
            "x is the zero x* of N at α = 1",
        ),
        Solution(
            "closed form at α = 1", Relation(x, "=", value), reason, ("zero at α = 1",)
        ),
    )


# Directions: k = cos(v, e) of v = Ge + z, z₁ = ⟨e, z⟩ and z₂ = ‖z‖²

k, z1, z2 = sp.symbols("k z_1 z_2", real=True)

cosine_in_range = (
    Axiom(
        "cosine at most 1",
        Relation(k, "<=", sp.S.One),
        "k = cos",
        axiom="Cauchy-Schwarz",
    ),
    Axiom(
        "cosine at least -1",
        Relation(k, ">=", -sp.S.One),
        "k = cos",
        axiom="Cauchy-Schwarz",
    ),
)
noise_moments = (
    Axiom("mean zero", Relation(E(z1), "=", sp.S.Zero), "E z = 0"),
    Axiom("variance", Relation(E(z2), "<=", s**2), "E‖z‖² ≤ s²"),
)


def two_points(
    distance: sp.Expr, weight: sp.Expr, using: tuple[str, ...]
) -> tuple[Identity, Identity]:
    """Noise -distance with this weight, else s²/distance: mean zero and variance s²."""
    return (
        Identity(
            "witness has mean zero",
            Relation(
                -weight * distance + (1 - weight) * s**2 / distance, "=", sp.S.Zero
            ),
            "first moment",
            using,
        ),
        Identity(
            "witness has variance s²",
            Relation(
                weight * distance**2 + (1 - weight) * s**4 / distance**2, "=", s**2
            ),
            "second moment",
            using,
        ),
    )


def tangent(name: str, exponent: sp.Expr, reason: str = "e^t ≥ 1 + t") -> Tangent:
    """The exponential lies above its tangent at 0."""
    return Tangent(name, Relation(sp.exp(exponent), ">=", 1 + exponent), reason)


# Runs of the normalized rule: f falls by the drift, up to the curvature's share

drift, progress, pull = sp.symbols("drift progress pull", real=True)
square = sp.Symbol("square", nonnegative=True)

unit_vectors = Axiom(
    "mean of unit vectors",
    Relation(square, "<=", sp.S.One),
    "‖ū‖ ≤ 1 by the triangle inequality",
    axiom="inner product",
)


def descent(length: sp.Expr, reason: str) -> Axiom:
    """A step of this length lowers f, up to the curvature's share."""
    return Axiom(
        "descent",
        Relation(progress, ">=", length * pull - L * length**2 * square / 2),
        reason,
        axiom="smoothness",
    )


normalized_descent = (
    Axiom(
        "fresh mini-batch",
        Relation(pull, "=", drift),
        "pull = E[⟨∇f, ū⟩ | w_t]: given w_t the micro-batches are drawn afresh and "
        "have one law, so each contributes E⟨∇f, u⟩ = drift",
        axiom="fresh mini-batches",
    ),
    descent(
        gamma,
        (
            "progress = E[f(w_t) - f(w_{t+1}) | w_t], square = E[‖ū‖² | "
            "w_t]; the step is -γū"
        ),
    ),
    unit_vectors,
)


def over_the_run(quantity: sp.Expr, bound: sp.Expr) -> Averaged:
    """The average of the step "one step", which bounds the quantity, over a run."""
    return Averaged(
        "average",
        Relation(E(quantity), "<=", E(bound)),
        "E is over the run and over t, uniform on 0, …, T-1",
        ("one step",),
    )


def total_progress(average: type[sp.Function]) -> Axiom:
    """Over a run f cannot fall by more than Δ."""
    return Axiom(
        "total progress",
        Relation(average(progress), "<=", Delta / T),
        "the mean of f(w_t) - f(w_{t+1}) over t is (f(w_0) - f(w_T))/T",
        axiom="telescoping",
    )


# Runs of SGD: ḡ is the mean of B samples, each benign with probability 1-ε

benign = sp.Symbol("benign", positive=True)

not_all_draggers = Axiom(
    "not all draggers", Relation(1 - epsilon, ">", sp.S.Zero), "ε < 1"
)
at_least_one_sample = Axiom("at least one sample", Relation(B, ">=", sp.S.One), "B ≥ 1")
short_step = Axiom("short step", Relation(1 - L * eta, ">=", sp.S.Zero), "η ≤ 1/L")
share = Definition(
    "share",
    Relation(benign, "=", 1 - epsilon),
    "the probability that a sample is benign",
    ("not all draggers",),
)
sgd_descent = descent(
    eta, "progress = E[f(w_t) - f(w_{t+1}) | w_t], w_{t+1} = w_t - ηḡ"
)
