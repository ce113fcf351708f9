"""ε, σ and D from recorded per-sample gradients: what the guarantees ask for.

Draggers are counted as outliers in length. What that cannot see: draggers about as long
as the others (wrong labels often are), and the difference between a dragger and an
honest sample with a long gradient. Where labels known to be wrong can be counted, their
fraction is the better ε.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.spec.checking import SpecificationError, real

MULTIPLE = 7.0
LARGEST = 1e300  # of a gradient's entries
TAIL = 0.025  # probability that ε lies below the interval, and that it lies above


@dataclass(frozen=True)
class Reading:
    """Estimates from n gradients.

    `dragger_fraction` is the fraction of outliers, `interval` its Clopper-Pearson
    limits (95 %, for independent samples), `noise_scale` the root of the summed
    variances of all others and `dragger_norm` the mean norm of the outliers (None
    without any), both in the gradients' unit; `outliers` [n] says which they are.
    """

    dragger_fraction: float
    interval: tuple[float, float]
    noise_scale: float
    dragger_norm: float | None
    outliers: np.ndarray


def read_gradients(gradients: Any, multiple: float = MULTIPLE) -> Reading:
    """Read ε, σ and D from per-sample gradients [n, d] at one point near a run's end.

    An outlier is a gradient whose distance from the vector of coordinate medians
    exceeds `multiple` times the median of these distances. Of many clean Gaussian
    samples a fraction of 2.4·10⁻⁶ is taken for outliers at the multiple 7, if all the
    noise lies on one axis: P(|Z| > 7·0.6745). With more axes the fraction is smaller,
    and in many dimensions a smaller multiple will do. With few samples the medians are
    uncertain, and the fraction is larger: on one axis 7 % of 3 samples, 0.6 % of 10 and
    0.003 % of 100. Fewer than half of the samples may be draggers. Raises
    SpecificationError unless the gradients are a matrix of real numbers of at most
    1e300, none of them masked, with at least two rows, not more than half of them
    equal.
    """
    from scipy import special

    real(1, open_low=True)("multiple", multiple)
    g = _matrix(gradients)
    distance = _lengths(g - np.median(g, axis=0))
    median = float(np.median(distance))
    if median == 0:
        raise SpecificationError(
            "gradients: must not be equal for more than half of the samples"
        )
    outliers = distance > multiple * median
    n = g.shape[0]
    k = int(outliers.sum())
    low = special.betaincinv(k, n - k + 1, TAIL) if k else 0.0
    high = special.betaincinv(k + 1, n - k, 1 - TAIL)
    benign = g[~outliers]
    deviations = (benign - benign.mean(axis=0)).reshape(1, -1)
    return Reading(
        dragger_fraction=k / n,
        interval=(float(low), float(high)),
        noise_scale=float(_lengths(deviations)[0] / np.sqrt(n - k)),
        dragger_norm=float((_lengths(g[outliers]) / k).sum()) if k else None,
        outliers=outliers,
    )


def _matrix(gradients: Any) -> np.ndarray:
    """The gradients in float64, or the refusal of what is no matrix of them."""
    allowed = "a matrix of finite numbers, a row per sample, at least two"
    try:
        g = np.asanyarray(gradients)
    except ValueError:  # rows of different lengths
        raise SpecificationError(f"gradients: must be {allowed}") from None
    shape = f"gradients of shape {g.shape}"
    if np.ma.is_masked(g):
        raise SpecificationError(f"{shape}, some of them masked: must be {allowed}")
    if g.dtype.kind not in "fiu":
        raise SpecificationError(f"{shape} and type {g.dtype}: must be {allowed}")
    g = np.asarray(g, dtype=float)
    if g.ndim != 2 or g.shape[0] < 2 or g.shape[1] < 1 or not np.isfinite(g).all():
        raise SpecificationError(f"{shape}: must be {allowed}")
    if np.abs(g).max() > LARGEST:
        raise SpecificationError(f"{shape}: must be numbers of at most {LARGEST:g}")
    return g


def _lengths(rows: np.ndarray) -> np.ndarray:
    """The norms of the rows, also where their squares overflow or vanish."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    unit = np.where(largest > 0, largest, 1.0)
    return np.asarray(unit[:, 0] * np.linalg.norm(rows / unit, axis=1))
