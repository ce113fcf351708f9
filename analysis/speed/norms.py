"""Relative efficiency of a micro-batch size, from the norms of per-sample gradients.

In the limit of many dimensions and little signal (claims/speed_sweet_spot.py) the
normalized rule's efficiency at micro-batches of b samples, over that of SGD on the same
batch without draggers, is

    F(b) = (1-ε)^(2b) R(b)²,    R(b) = E √(mean of b a²)/√(E a²),

a the norm of a benign sample's gradient. R rises from E a/√(E a²) to 1 as b grows, the
probability (1-ε)^b of a clean micro-batch falls. What R is depends on the norms:

- `GammaNorms`: a² has a gamma distribution, known by the kurtosis κ = E a⁴/(E a²)²; at
  κ = 3 these are the norms in least squares with Gaussian residuals;
- `RecordedNorms`: a is one of the norms that were recorded, each as probable.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.spec.checking import real

Array = NDArray[np.float64]

LARGEST_KURTOSIS = 1e9
LARGEST_SIZE = 1e9
NODE = 0.3  # between the nodes of ln t: the relative error is e^(-π²/0.3) = 5e-15
NEGLECTED = 32.0  # e^(-32) of the integral of Laplace's form lies beyond either end
PIECE = 2**22  # exponentials that are held at once


class Norms(Protocol):
    """What is known of the norms of benign per-sample gradients."""

    @property
    def kurtosis(self) -> float:
        """E a⁴/(E a²)², at least 1."""

    def root_mean_square(self, size: ArrayLike) -> Array:
        """R at sizes of at least 1: E √(mean of b a²)/√(E a²), in (0, 1]."""

    def log_slope(self, size: float) -> float:
        """The derivative of ln R by b; it falls with b, as R is concave."""


@dataclass(frozen=True)
class GammaNorms:
    """Squared norms with a gamma distribution of this kurtosis, in [1, 1e9].

    At 1 all norms are equal. Raises SpecificationError outside this range.
    """

    kurtosis: float

    def __post_init__(self) -> None:
        real(1, LARGEST_KURTOSIS)("kurtosis", self.kurtosis)

    def root_mean_square(self, size: ArrayLike) -> Array:
        """E χ_n/√n at n = 2b/(κ-1) degrees of freedom, which need not be whole."""
        from scipy import special

        b = np.asarray(size, float)
        if self.kurtosis == 1:
            return np.ones_like(b)
        half = b / (self.kurtosis - 1)
        return np.asarray(special.poch(half, 0.5) / np.sqrt(half))

    def log_slope(self, size: float) -> float:
        """By the digamma function."""
        from scipy import special

        if self.kurtosis == 1:
            return 0.0
        half = size / (self.kurtosis - 1)
        rise = special.digamma(half + 0.5) - special.digamma(half) - 0.5 / half
        return float(rise / (self.kurtosis - 1))


class RecordedNorms:
    """Norms [n] that were recorded: non-negative, finite and not all zero."""

    def __init__(self, norms: ArrayLike) -> None:
        a = np.asarray(norms, float)
        unit = a / a.max()
        square = unit**2
        self.square = square / square.mean()

    @property
    def kurtosis(self) -> float:
        """Of the recorded norms, each as probable; at most n."""
        return float(np.mean(self.square**2))

    def root_mean_square(self, size: ArrayLike) -> Array:
        """Exactly, without sampling: √x = ∫_0^∞ (1 - e^(-tx)) t^(-3/2) dt/(2√π).

        A mean of b squared norms has the transform φ(t/b)^b, φ(t) = E e^(-t a²); the
        integral is a sum over equidistant ln t. Sizes need not be whole.
        """
        b = np.asarray(size, float)
        t, log_transform = self._log_transform
        falls = -np.expm1(b[..., None] * log_transform)
        integral = (falls / np.sqrt(t)).sum(-1) * NODE
        return np.asarray(integral / (2 * np.sqrt(np.pi * b)))

    def log_slope(self, size: float) -> float:
        """By the derivative of Laplace's form."""
        t, log_transform = self._log_transform
        power = np.exp(size * log_transform)
        gained = -(np.where(power > 0, log_transform, 0.0) * power / np.sqrt(t)).sum()
        fallen = ((1 - power) / np.sqrt(t)).sum()
        return float(gained / fallen - 0.5 / size)

    @cached_property
    def _log_transform(self) -> tuple[Array, Array]:
        """Nodes t [k], wide enough for sizes up to LARGEST_SIZE, and ln φ(t) [k]."""
        low, high = -2 * NEGLECTED - np.log(LARGEST_SIZE), 2 * NEGLECTED
        t = np.exp(np.arange(low, high, NODE))
        rows = max(1, PIECE // self.square.size)
        falls = [
            np.expm1(-part[:, None] * self.square).mean(1)
            for part in np.split(t, range(rows, t.size, rows))
        ]
        below = np.concatenate(falls)
        with np.errstate(divide="ignore"):  # where no norm is zero φ may vanish
            return t, np.log1p(below)
