"""How many micro-batches are enough for Algorithm 1, by its own guarantee."""

from typing import Any

import numpy as np

from analysis.advice.law_free import adaptive_radius
from analysis.advice.sizes import finite_or_none
from analysis.advice.worst_case import WorstCase, cut_radius
from analysis.spec.checking import integer, real, refuse

MOST = 2**12  # micro-batches that are tried
LARGEST_SIZE = 2**20  # samples


def fewest_micro_batches(
    case: WorstCase, micro_batch_size: int, within: float = 0.1
) -> dict[str, Any]:
    """The smallest m at which Algorithm 1's radius is close to the normalized rule's.

    Close means at most the factor 1 + `within` above it (analysis.advice.law_free, and
    Bias(b)). The radius falls as m grows, so m is found by doubling and bisection; m
    below 2 is plain SGD. case.dragger_norm must be known. Raises SpecificationError for
    a value outside its domain.

    Keys: `micro_batch_size`, `normalized_radius` (None beyond the breakdown), `limit`
    (1 + within times that), `micro_batches` (m; None where 4096 are not enough) and
    `batch_size`, bm; `results`, for m = 2, 4, 8, … up to enough of them
    `micro_batches`, `batch_size`, `radius` (Algorithm 1's; None where nothing is
    guaranteed) and `ratio` to the normalized rule's.
    """
    b = integer(1, LARGEST_SIZE)("micro_batch_size", micro_batch_size)
    real(0, open_low=True)("within", within)
    if case.dragger_fraction == 0:
        refuse("dragger_fraction", 0.0, "> 0: without draggers do not clip")
    normalized = float(cut_radius(case, b, np.array([b]))[0])
    limit = (1 + within) * normalized

    def radius(m: int) -> float:
        return adaptive_radius(case, b * m, b)

    counts = [2]
    radii = [radius(2)]
    while np.isfinite(limit) and radii[-1] > limit and counts[-1] < MOST:
        counts.append(2 * counts[-1])
        radii.append(radius(counts[-1]))
    known = np.isfinite(limit) and radii[-1] <= limit
    m = None
    if known:
        few = counts[-2] if len(counts) > 1 else 1
        m = counts[-1]
        while m - few > 1:
            middle = (few + m) // 2
            few, m = (few, middle) if radius(middle) <= limit else (middle, m)
    if m is not None and m not in counts:
        counts.insert(-1, m)
        radii.insert(-1, radius(m))
    return {
        "micro_batch_size": b,
        "normalized_radius": finite_or_none(normalized),
        "limit": finite_or_none(limit),
        "micro_batches": m,
        "batch_size": None if m is None else b * m,
        "results": [
            {
                "micro_batches": count,
                "batch_size": b * count,
                "radius": finite_or_none(found),
                "ratio": finite_or_none(found / normalized),
            }
            for count, found in zip(counts, radii, strict=True)
        ],
    }
