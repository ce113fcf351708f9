"""Every symbol once: name in code, printed form, domain, unit and meaning.

`paper_notes/notation.md` is generated from this table (python -m analysis notation).
"""

from typing import NamedTuple

import sympy as sp


class Entry(NamedTuple):
    """One row of the notation; the domain is an interval, its ends open or closed."""

    symbol: sp.Symbol
    name: str
    domain: sp.Interval
    unit: str
    meaning: str


def _real(name: str, **assumptions: bool) -> sp.Symbol:
    return sp.Symbol(name, real=True, **assumptions)


G = _real("G", positive=True)
s = _real("s", positive=True)
sigma = _real("sigma", positive=True)
b = _real("b", positive=True)
B = _real("B", positive=True)
m = _real("m", positive=True)
epsilon = _real("epsilon", positive=True)
lam = _real("lambda", positive=True)
alpha = _real("alpha", nonnegative=True)
p = _real("p", positive=True)
kappa = _real("kappa", positive=True)
x = _real("x", positive=True)
L = _real("L", positive=True)
Delta = _real("Delta", positive=True)
T = _real("T", positive=True)
delta = _real("delta", positive=True)
q = _real("q", positive=True)
zeta = _real("zeta", positive=True)
c = _real("c", positive=True)
theta = _real("theta", nonnegative=True)
R_m = _real("R_m", positive=True)
D = _real("D", nonnegative=True)
D_bar = _real("Dbar", nonnegative=True)
eta = _real("eta", positive=True)
gamma = _real("gamma", positive=True)
sigma_w = _real("sigma_w", nonnegative=True)
tau = _real("tau", nonnegative=True)
skewness = _real("kappa_3", positive=True)
kurtosis = _real("kappa_4", positive=True)
slope = _real("F_1", positive=True)
bend = _real("F_2")
variance = _real("C", positive=True)
update_pull = _real("mu_delta", positive=True)
update_square = _real("nu_delta", positive=True)
mu = _real("mu", nonnegative=True)
nu = _real("nu", positive=True)

_positive = sp.Interval.open(0, sp.oo)
_unit = sp.Interval(0, 1)
_below_one = sp.Interval.Ropen(0, 1)
_inside_unit = sp.Interval.open(0, 1)
_non_negative = sp.Interval(0, sp.oo)
_from_one = sp.Interval(1, sp.oo)
_real_line = sp.Interval(-sp.oo, sp.oo)

NOTATION = (
    Entry(
        G,
        "gradient_norm",
        _positive,
        "gradient",
        "‖∇f(w)‖, the distance from stationarity",
    ),
    Entry(
        sigma,
        "noise_scale",
        _positive,
        "gradient",
        "benign noise: E‖ξ‖² ≤ σ², over all coordinates",
    ),
    Entry(
        s,
        "micro_batch_noise",
        _positive,
        "gradient",
        "σ/√b, the noise of a clean micro-batch",
    ),
    Entry(
        b,
        "micro_batch_size",
        _from_one,
        "samples",
        "samples in the unit that is clipped",
    ),
    Entry(
        B,
        "batch_size",
        _from_one,
        "samples",
        "samples in a mini-batch; b divides B",
    ),
    Entry(
        m,
        "micro_batches",
        _from_one,
        "1",
        "B/b, micro-batches in a mini-batch",
    ),
    Entry(
        epsilon,
        "dragger_fraction",
        _below_one,
        "1",
        "probability that a sample is a dragger",
    ),
    Entry(lam, "dragger_rate", _non_negative, "1", "-ln(1-ε)"),
    Entry(
        alpha,
        "alignment",
        _unit,
        "1",
        (
            "E⟨∇f, u⟩ over contaminated micro-batches is at least -αG (A4); 1 is "
            "the worst, 0 sideways"
        ),
    ),
    Entry(
        p,
        "clean_probability",
        _unit,
        "1",
        "(1-ε)^b, probability that a micro-batch is clean",
    ),
    Entry(
        kappa,
        "margin",
        _positive,
        "1",
        "p - α(1-p), clean pull minus contaminated push",
    ),
    Entry(x, "scaled_size", _positive, "1", "λb, expected draggers in a micro-batch"),
    Entry(
        theta,
        "push_ratio",
        _non_negative,
        "1",
        "α(1-p)/p, contaminated push over clean pull",
    ),
    Entry(c, "threshold", _positive, "gradient", "clipping norm of the rule `fixed`"),
    Entry(
        R_m,
        "score_ratio",
        _from_one,
        "1",
        "H(∞)/H(s), how much longer contaminated steps are",
    ),
    Entry(L, "smoothness", _positive, "gradient/w", "‖∇f(v) - ∇f(w)‖ ≤ L‖v - w‖"),
    Entry(
        Delta, "initial_gap", _positive, "loss", "f(w_0) - f*, f* a lower bound of f"
    ),
    Entry(T, "horizon", _from_one, "steps", "length of the run"),
    Entry(
        delta,
        "excess",
        _positive,
        "gradient",
        "distance from the radius that is to be reached",
    ),
    Entry(
        q,
        "failure_probability",
        _inside_unit,
        "1",
        "probability that a bound may fail",
    ),
    Entry(
        zeta,
        "split",
        _inside_unit,
        "1",
        "share of the margin given to deviations",
    ),
    Entry(gamma, "step_size", _positive, "w", "length of a normalized step"),
    Entry(
        eta,
        "learning_rate",
        _positive,
        "w/gradient",
        "factor of the gradient in a step",
    ),
    Entry(
        mu,
        "momentum",
        _below_one,
        "1",
        "share of the running mean that a step of momentum keeps",
    ),
    Entry(
        nu,
        "tail_exponent",
        sp.Interval.Lopen(1, 2),
        "1",
        "order of the noise's finite moment, E‖ξ‖^ν ≤ σ^ν; 2 for a variance",
    ),
    Entry(
        D,
        "dragger_norm",
        _non_negative,
        "gradient",
        "E‖d‖² ≤ D² for a dragger's gradient d",
    ),
    Entry(
        D_bar, "dragger_mean", _non_negative, "gradient", "‖E d‖, the persistent part"
    ),
    Entry(
        sigma_w,
        "noise_within",
        _non_negative,
        "gradient",
        "noise scale within a domain",
    ),
    Entry(tau, "domain_spread", _non_negative, "gradient", "√(Σ π_k‖∇f_k - ∇f‖²)"),
    Entry(
        skewness,
        "skewness",
        _positive,
        "1",
        "E ξ³/σ³ of the noise, against the draggers",
    ),
    Entry(
        kurtosis,
        "kurtosis",
        _from_one,
        "1",
        "E a⁴/(E a²)², a the norm of a benign sample's gradient",
    ),
    Entry(slope, "drift_slope", _positive, "1/w", "F', slope of the expected update"),
    Entry(
        bend,
        "drift_bend",
        _real_line,
        "1/w²",
        "F'', its second derivative",
    ),
    Entry(
        variance,
        "update_variance",
        _positive,
        "1",
        "variance of the update around its mean",
    ),
    Entry(
        update_pull,
        "update_pull",
        _positive,
        "update",
        "⟨e, E δ⟩, the mean of an update's direction δ along ∇f",
    ),
    Entry(
        update_square,
        "update_square",
        _positive,
        "update²",
        "E‖δ‖², its mean squared length",
    ),
)
INFINITIES = {sp.oo: "∞", -sp.oo: "-∞"}
BY_NAME = {entry.name: entry for entry in NOTATION} | {
    str(e.symbol): e for e in NOTATION
}


def notation_page() -> str:
    """The notation as a Markdown page."""
    lines = [
        "# Notation",
        "",
        (
            "Made by `python -m analysis notation`; the table lives in "
            "`analysis/proof/symbols.py`."
        ),
        "",
        "| name in code | symbol | domain | unit | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for entry in NOTATION:
        lines.append(
            f"| `{entry.name}` | ${sp.latex(entry.symbol)}$ | "
            f"{_interval(entry.domain)} | {entry.unit} | {entry.meaning} |"
        )
    return "\n".join(lines) + "\n"


def _interval(domain: sp.Interval) -> str:
    left = "(" if domain.left_open else "["
    right = ")" if domain.right_open else "]"
    ends = [INFINITIES.get(end, str(end)) for end in (domain.start, domain.end)]
    return left + ", ".join(ends) + right
