"""Guarantees for a run of given length: a single run's, and how the best size grows."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.claims.finite_horizon import best
from analysis.claims.finite_horizon import claim as finite_horizon
from analysis.claims.high_probability import claim as high_probability
from analysis.proof.symbols import alpha


def probable_bound(**problem: Any) -> Any:
    """The bound of the claim high_probability at the split ζ that makes it smallest.

    `problem` has all of that claim's values but `split`; they are numbers or arrays of
    a common shape, which is that of the result. The bound is in gradient units.
    """
    split = high_probability.evaluate(split=0.5, **problem)["best_split"]
    return high_probability.evaluate(split=split, **problem)["probable_bound"]


def growth_window(scaled_sizes: ArrayLike, ratio: float) -> tuple[float, float]:
    """Limits to the slope of log b_T against log T, from a horizon to `ratio` times it.

    `scaled_sizes` [2] are x* = λb_T at the two horizons. For α = 1, x* is
    (S/(2(1+α)r))^(2/3) with r ∝ T^(-1/2) and S between the right side of the step
    "growth from below" in claims/finite_horizon.py, which has to be positive, and 1
    ("growth from above"): 1/3 and at most the change of (2/3) log S.
    """
    (below,) = [s for s in finite_horizon.witness if s.name == "growth from below"]
    least = [
        float(below.relation.rhs.subs({alpha: 1, best: x}))
        for x in np.asarray(scaled_sizes, np.float64)
    ]
    first, last = 2 / 3 * np.log(least) / np.log(ratio)
    return float(1 / 3 + last), float(1 / 3 - first)
