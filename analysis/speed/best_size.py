"""The micro-batch size at which training is fastest: many dimensions, little signal.

The relative efficiency F of speed/norms.py has one maximum in b where squared norms
have a gamma distribution (claims/speed_sweet_spot.py), at about √((κ-1)/(8λ)), λ =
-ln(1-ε). With other norms, of several very different scales, it may have several
maxima: the largest is searched for among all sizes.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.spec.checking import integer, real
from analysis.speed.norms import LARGEST_SIZE, Norms

Array = NDArray[np.float64]

TRIED = 400  # sizes that are compared before the best of them is refined


def log_relative_efficiency(
    norms: Norms, dragger_fraction: float, size: ArrayLike
) -> Array:
    """ln F at sizes of at least 1; F itself may be too small for a float."""
    rate = _rate(dragger_fraction)
    b = np.asarray(size, float)
    return np.asarray(2 * (np.log(norms.root_mean_square(b)) - rate * b))


def best_size(norms: Norms, dragger_fraction: float) -> float | None:
    """The real size, at least 1, with the largest relative efficiency.

    None without draggers, and with so few that it is beyond 10⁹: larger is better. To a
    relative error of 1e-6: F is flat there.

    Raises SpecificationError unless the fraction is in [0, 1).
    """
    rate = _rate(dragger_fraction)
    if rate == 0:
        return None
    from scipy import optimize

    # F(b) <= e^(-2λb), which is below F(1) beyond this size.
    last = min(1 - np.log(float(norms.root_mean_square(1.0))) / rate, LARGEST_SIZE)
    tried = np.geomspace(1.0, last, TRIED)
    best = int(np.argmax(log_relative_efficiency(norms, dragger_fraction, tried)))
    if tried[best] == LARGEST_SIZE:
        return None
    if best == 0:
        return 1.0
    ends = np.log(tried[[best - 1, min(best + 1, TRIED - 1)]])
    search = optimize.minimize_scalar(
        lambda x: -float(log_relative_efficiency(norms, dragger_fraction, np.exp(x))),
        bounds=(float(ends[0]), float(ends[1])),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(np.exp(search.x))


def best_divisor(norms: Norms, dragger_fraction: float, batch_size: int) -> int:
    """The divisor of the batch size with the largest relative efficiency.

    The smallest of those within rounding of the largest. Raises SpecificationError for
    a fraction outside [0, 1) or a batch size that is not between 1 and 10⁹.
    """
    integer(1, int(LARGEST_SIZE))("batch_size", batch_size)
    sizes = divisors(batch_size)
    values = log_relative_efficiency(norms, dragger_fraction, sizes)
    return sizes[int(np.flatnonzero(values >= values.max() - 1e-12)[0])]


def divisors(batch_size: int) -> list[int]:
    """All divisors, in increasing order."""
    small = [b for b in range(1, int(batch_size**0.5) + 1) if batch_size % b == 0]
    return sorted({*small, *(batch_size // b for b in small)})


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
        sizes = divisors(batch_size)
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
