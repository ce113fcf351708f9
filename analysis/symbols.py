"""Every symbol once: its name in code, how it is printed, its domain, its unit and its meaning.

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

_positive = sp.Interval.open(0, sp.oo)
_unit = sp.Interval(0, 1)
_half_open = sp.Interval.Ropen(0, 1)

NOTATION = (
    Entry(G, "gradient_norm", _positive, "gradient", "‖∇f(w)‖, the distance from stationarity"),
    Entry(
        sigma,
        "noise_scale",
        _positive,
        "gradient",
        "benign noise: E‖ξ‖² ≤ σ², over all coordinates",
    ),
    Entry(s, "micro_batch_noise", _positive, "gradient", "σ/√b, the noise of a clean micro-batch"),
    Entry(
        b,
        "micro_batch_size",
        sp.Interval(1, sp.oo),
        "samples",
        "samples in the unit that is clipped",
    ),
    Entry(
        B, "batch_size", sp.Interval(1, sp.oo), "samples", "samples in a mini-batch; b divides B"
    ),
    Entry(m, "micro_batches", sp.Interval(1, sp.oo), "1", "B/b, micro-batches in a mini-batch"),
    Entry(epsilon, "dragger_fraction", _half_open, "1", "chance that a sample is a dragger"),
    Entry(lam, "dragger_rate", sp.Interval(0, sp.oo), "1", "-ln(1-ε)"),
    Entry(
        alpha, "alignment", _unit, "1", "contaminated micro-batches push back with -αG at most (A4)"
    ),
    Entry(p, "clean_probability", _unit, "1", "(1-ε)^b, chance that a micro-batch is clean"),
    Entry(kappa, "margin", _positive, "1", "p - α(1-p), clean pull minus contaminated push"),
    Entry(x, "scaled_size", _positive, "1", "λb, expected draggers in a micro-batch"),
)
BY_NAME = {entry.name: entry for entry in NOTATION} | {str(e.symbol): e for e in NOTATION}


def notation_page() -> str:
    """The notation as a Markdown page."""
    lines = [
        "# Notation",
        "",
        "Made by `python -m analysis notation`; the table lives in `analysis/symbols.py`.",
        "",
        "| name in code | symbol | domain | unit | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for entry in NOTATION:
        lines.append(
            f"| `{entry.name}` | ${sp.latex(entry.symbol)}$ | {_interval(entry.domain)} "
            f"| {entry.unit} | {entry.meaning} |"
        )
    return "\n".join(lines) + "\n"


def _interval(domain: sp.Interval) -> str:
    left, right = "(" if domain.left_open else "[", ")" if domain.right_open else "]"
    return f"{left}{domain.start}, {'∞' if domain.end == sp.oo else domain.end}{right}"
