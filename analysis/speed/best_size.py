"""The micro-batch size at which training is fastest: many dimensions, little signal.

The relative efficiency F of speed/norms.py is log-concave in b whatever the norms
(claims/speed_sweet_spot.py): it has one maximum, at about √((κ-1)/(8λ)), λ = -ln(1-ε),
where squared norms have a gamma distribution (claims/kurtosis_size.py).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.spec.algorithm import divisors
from analysis.spec.checking import real
from analysis.speed.norms import LARGEST_SIZE, Norms

Array = NDArray[np.float64]


def log_relative_efficiency(
    norms: Norms, dragger_fraction: float, size: ArrayLike
) -> Array:
    """The logarithm of F at sizes of at least 1: F may be too small for a float."""
    rate = _rate(dragger_fraction)
    b = np.asarray(size, float)
    return np.asarray(2 * (np.log(norms.root_mean_square(b)) - rate * b))


def best_size(norms: Norms, dragger_fraction: float) -> float | None:
    """The real size, at least 1, with the largest relative efficiency.

    None without draggers, and with so few that it is beyond 10⁹: larger is better. The
    relative error is 1e-8 or less from ε = 1e-8 on, and grows like 1/ε below.

    Raises SpecificationError unless the fraction is in [0, 1).
    """
    rate = _rate(dragger_fraction)
    if rate == 0:
        return None
    from scipy import optimize

    def slope(size: float) -> float:
        """Half the slope of ln F."""
        return norms.log_slope(size) - rate

    if slope(1.0) <= 0:
        return 1.0
    if slope(LARGEST_SIZE) >= 0:
        return None
    root: float = optimize.brentq(slope, 1.0, LARGEST_SIZE, xtol=1e-12, rtol=1e-12)
    return root


def best_divisor(norms: Norms, dragger_fraction: float, batch_size: int) -> int:
    """The divisor of the batch size with the largest relative efficiency.

    The smallest of those within rounding of the largest. Raises SpecificationError for
    a fraction outside [0, 1), or a batch size that is no integer from 1 to 2^26.
    """
    sizes = divisors(batch_size)
    values = log_relative_efficiency(norms, dragger_fraction, sizes)
    return int(sizes[np.flatnonzero(values >= values.max() - 1e-12)[0]])


def speed_table(
    norms: Norms, dragger_fraction: float, batch_size: int | None = None
) -> dict[str, Any]:
    """Document of `analysis speed`: the best size, and a row for each size tried.

    Rows: the divisors of the batch size, or powers of two to beyond the best size.
    Without draggers micro_batch_size is None, and relative_efficiency that of the
    largest size, 1.
    """
    best = best_size(norms, dragger_fraction)
    if batch_size is None:
        reach = 16 * (1.0 if best is None else best)
        sizes = [2**k for k in range(int(np.log2(reach)) + 1)]
        admissible = None
    else:
        admissible = _row(
            norms, dragger_fraction, best_divisor(norms, dragger_fraction, batch_size)
        )
        sizes = divisors(batch_size).tolist()
    return {
        "micro_batch_size": best,
        "relative_efficiency": 1.0
        if best is None
        else _row(norms, dragger_fraction, best)["relative_efficiency"],
        "kurtosis": norms.kurtosis,
        "dragger_fraction": dragger_fraction,
        "admissible": admissible,
        "results": [_row(norms, dragger_fraction, b) for b in sizes],
    }


def _row(norms: Norms, dragger_fraction: float, size: float) -> dict[str, Any]:
    value = float(np.exp(log_relative_efficiency(norms, dragger_fraction, size)))
    return {"micro_batch_size": size, "relative_efficiency": value}


def _rate(dragger_fraction: float) -> float:
    """λ = -ln(1-ε)."""
    real(0, 1, open_high=True)("dragger_fraction", dragger_fraction)
    return float(-np.log1p(-dragger_fraction))
