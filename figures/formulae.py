"""The claims' formulae for a page: shorter by the notation's own names, every symbol explained."""

from dataclasses import dataclass

import sympy as sp
from sympy.core.function import AppliedUndef

from analysis.proof.claim import Claim
from analysis.proof.relations import Mean, Quantile, Relation
from analysis.proof.symbols import NOTATION, alpha, b, kappa, lam, p, sigma
from analysis.proof.values import Implicit
from figures.markup import Markup, element, joined
from figures.mathml import mathml

CLEAN = sp.exp(-b * lam)
MARGIN = p - alpha * (1 - p)
ZERO = (element("mo", "="), element("mn", 0))
BETA = sp.Symbol("beta", positive=True)
RADIUS = sigma * sp.sqrt(p + alpha * (1 - p)) / (sp.sqrt(b) * sp.sqrt(kappa))

# What a statement says of symbols that are not in the notation, claim by claim.
WORDS = {
    "m_estimator_identity": {
        "update": "Algorithm 1's step, divided by η",
        "u": "g/‖g‖, the direction of one micro-batch gradient g",
        "r": "‖g‖, its length",
        "S": "S(t) = P(‖g‖ > t)",
    },
    "alignment_lemma": {"k": "cos(∇f, g), g = ∇f + z"},
    "convexity_lemma": {
        "X": "⟨∇f, ψ(g)⟩ with ψ(g) = H(‖g‖) g/‖g‖, g = ∇f + z",
        "H": "the length that the score gives to a gradient of length t",
    },
    "huber_lemma": {
        "ell": "min(‖g‖, c), the length after clipping",
        "k": "cos(∇f, g), g = ∇f + z",
    },
    "drift": {"drift": "E⟨∇f, u⟩, u the direction of a micro-batch gradient"},
    "sweet_spot": {"x_star": "the best scaled size, the zero x of the second line"},
    "high_probability": {
        "Mean": "the mean over the steps 0, …, T-1 of one run",
        "Quantile": "over runs: P(Mean[G] ≤ right side) ≥ 1 - q",
    },
    "hitting_time": {"first": "the first step at which G ≤ β + δ"},
    "phase_schedule": {"b_G": "the best size while the gradient's norm is G"},
    "minimax": {"error": "the larger bias of any rule on two laws that it cannot tell apart"},
    "rare_outlier": {"beta_2": "the limit of the bias under these laws"},
    "rare_signal": {"beta_1": "the limit of the bias under these laws"},
    "tightness": {
        "largest": "the least upper bound of the biases in rare_signal and rare_outlier",
        "kappa_0": "0.41537…, the zero κ of the second line: there the laws come least close",
    },
    "finite_horizon": {
        "r": "√(2LΔ/T)/(σ√λ), the speed in units of the bias",
        "x_star": "the best scaled size, the zero x of the second line",
    },
    "sgd_persistent_bias": {"rms": "the root mean square of G over the run"},
    "finite_step": {"mu": "the mean of w at rest; 0 is the point of rest for small steps"},
    "skewness_expansion": {"bias": "the bias to first order"},
}


@dataclass(frozen=True)
class Formula:
    """A claim's statement as MathML, and its symbols: MathML, meaning."""

    statement: Markup
    solved: tuple[Markup, ...]
    words: tuple[tuple[Markup, str], ...]
    notation: tuple[sp.Symbol, ...]


def formula(claim: Claim) -> Formula:
    """The claim's statement for reading, equations that define a value, and the words it uses.

    `notation` has the symbols of the notation that occur; `words` explains the others.
    """
    shown = shortened(claim)
    solved = [v for v in claim.values.values() if isinstance(v, Implicit)]
    parts = [shown.lhs, shown.rhs, *(value.equation for value in solved)]
    names = {str(x): x for part in parts for x in _names(part)}
    words = dict(WORDS.get(claim.name, {}))
    if BETA in shown.rhs.free_symbols:
        words["beta"] = "the bias radius of bias_radius"
    return Formula(
        mathml(shown),
        tuple(joined(mathml(v.equation), *ZERO) for v in solved),
        tuple((mathml(sp.Symbol(name)), text) for name, text in words.items()),
        tuple(entry.symbol for entry in NOTATION if names.get(str(entry.symbol)) == entry.symbol),
    )


def shortened(claim: Claim) -> Relation:
    """The statement with p for e^(-λb), κ for p - α(1-p), and β for the bias radius in another's.

    Nothing else is changed: putting the long forms back gives the statement. A statement with
    exponentials of something else keeps them all, so that like is compared with like.
    """
    sides = [claim.statement.lhs, claim.statement.rhs]
    if {e for side in sides for e in side.atoms(sp.exp)} == {CLEAN}:
        sides = [side.xreplace({CLEAN: p}) for side in sides]
        sides = [side.xreplace({2 * MARGIN: 2 * kappa, MARGIN: kappa}) for side in sides]
        if claim.name != "bias_radius":
            sides = [side.subs(RADIUS, BETA) for side in sides]
    return Relation(sides[0], claim.statement.relation, sides[1])


def _names(expression: sp.Expr) -> set[sp.Basic]:
    return expression.free_symbols | {
        f.func for f in expression.atoms(AppliedUndef, Mean, Quantile)
    }
