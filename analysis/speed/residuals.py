"""The distribution of a micro-batch's squared residuals, composition by composition.

Least squares: a sample's gradient is its residual r times its features x ~ N(0, K).
Given the b residuals, the mean gradient g of a micro-batch is exactly normal,

    g ~ N(Σ r² K δ/(bR²), Σ r² (K - Kδ(Kδ)ᵀ/R²)/b²),    δ = w - w*,  R² = E r²,

(derived in claims/learning_curve.py), so that in high dimension everything depends on
Σ r² and on how much of it is whose. With q = Σ r² of all samples, plus ‖Σ d‖²/tr K for
draggers d that have gradients of their own, ‖g‖² = q tr K/b².
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, roots_hermitenorm

from analysis.rest.gauss import beta_nodes, gamma_nodes

Array = NDArray[np.float64]
# A share of contaminated micro-batches that is left out, and nodes of the quadratures.
NEGLIGIBLE = 1e-10
NODES = 24
FEWER_NODES = 8


@dataclass(frozen=True)
class Residuals:
    """A mixture of compositions: arrays [compositions], all of the same length.

    In each q = offset + scale·χ², χ² of `degrees` degrees of freedom (0: q = offset),
    and with x = q - offset

        Σ r² of benign samples       benign·x
        Σ r² of corrupted samples    corrupted·x + at_rest
        their pull                   corrupted·x + pull

    where the mean gradient of corrupted samples, given their residuals, is their pull
    times that of one per unit. `count` is the number of draggers.
    """

    weight: Array
    count: Array
    degrees: Array
    scale: Array
    offset: Array
    benign: Array
    corrupted: Array
    at_rest: Array
    pull: Array

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """The mixture of several, weights as they are."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))

    @classmethod
    def of(cls, weight: Array, **given: Array | float) -> Self:
        """A mixture of the weights [n]; what is not given is 0, and benign is 1."""
        values: dict[str, Array | float] = dict.fromkeys(cls.__dataclass_fields__, 0.0)
        values |= {"benign": 1.0, "weight": weight, **given}
        shape = np.shape(weight)
        return cls(
            *(
                np.array(np.broadcast_to(values[n], shape), float)
                for n in cls.__dataclass_fields__
            )
        )


def counts(b: int, dragger_fraction: float) -> tuple[Array, Array]:
    """Numbers k of draggers among b samples [n], and their probabilities [n].

    What is rarer than NEGLIGIBLE in all is left out.
    """
    k = np.arange(b + 1.0)
    if dragger_fraction == 0:
        return k[:1], np.ones(1)
    log = gammaln(b + 1) - gammaln(k + 1) - gammaln(b - k + 1)
    log = log + k * np.log(dragger_fraction) + (b - k) * np.log1p(-dragger_fraction)
    probability = np.exp(log)
    order = np.argsort(-probability)
    kept = np.cumsum(probability[order]) - probability[order] < 1 - NEGLIGIBLE
    chosen = np.sort(order[kept])
    return k[chosen], probability[chosen] / probability[chosen].sum()


def rigid(
    b: int, dragger_fraction: float, variance: float, *, squares: Array, slopes: Array
) -> Residuals:
    """Draggers with gradients of their own: benign residuals of that variance R².

    squares [b + 1]: ‖Σ d‖²/tr K of k draggers. slopes [b + 1]: what their product with
    the benign gradients adds to ‖g‖², relative to the square of the latter,
    2⟨Σ d, ∇f⟩/(R² tr K). It is of the order of 1/√d, while what is left out is of order
    1/d.
    """
    k, probability = counts(b, dragger_fraction)
    some = k.astype(int)
    return Residuals.of(
        probability,
        count=k,
        degrees=b - k,
        scale=variance * (1 + slopes[some]),
        offset=squares[some],
        benign=1 / (1 + slopes[some]),
    )


def opposed(
    b: int, dragger_fraction: float, variance: float, corrupted: float
) -> Residuals:
    """Corrupted samples whose residuals are centred normals of another variance.

    Σ r² = χ²_b·(R²(1 - β) + R_c²β), where the share β ~ Beta(k/2, (b - k)/2) is
    independent of χ²: a mixture over the nodes of a Gauss-Jacobi rule.
    """
    parts = []
    for k, probability in zip(*counts(b, dragger_fraction), strict=True):
        share, weight = _shares(int(k), b)
        scale = variance * (1 - share) + corrupted * share
        part = Residuals.of(
            probability * weight,
            count=k,
            degrees=float(b),
            scale=scale,
            benign=variance * (1 - share) / scale,
            corrupted=corrupted * share / scale,
        )
        parts.append(part)
    return Residuals.joined(parts)


def shifted(
    b: int, dragger_fraction: float, variance: float, *, spread: float, mean: float
) -> Residuals:
    """Corrupted samples with residuals r ~ N(-mean, spread) and E[x | r] ∝ r + mean.

    The pull of k of them is Σ r(r + mean): nodes for the component of r [k] along its
    mean, and for the square of the rest.
    """
    parts = []
    for k, probability in zip(*counts(b, dragger_fraction), strict=True):
        square, pull, weight = _shifted_nodes(int(k), spread, mean)
        part = Residuals.of(
            probability * weight,
            count=k,
            degrees=b - k,
            scale=variance,
            offset=square,
            at_rest=square,
            pull=pull,
        )
        parts.append(part)
    return Residuals.joined(parts)


@lru_cache(maxsize=4096)
def _shares(k: int, b: int) -> tuple[Array, Array]:
    """Nodes and weights of Beta(k/2, (b - k)/2); 0 or 1 where nothing is mixed."""
    if k in (0, b):
        return np.array([float(k > 0)]), np.ones(1)
    return beta_nodes(NODES if k == 1 else FEWER_NODES, k / 2, (b - k) / 2)


def _shifted_nodes(k: int, spread: float, mean: float) -> tuple[Array, Array, Array]:
    """Σ r², Σ r(r + mean) and weights [n] of k residuals."""
    if k == 0:
        return np.zeros(1), np.zeros(1), np.ones(1)
    z, weight = roots_hermitenorm(2 * NODES if k == 1 else FEWER_NODES)
    weight = weight / weight.sum()
    along = np.sqrt(spread) * z
    r = along - np.sqrt(k) * mean
    if k == 1:
        return r**2, r * along, weight
    half, more = gamma_nodes(FEWER_NODES // 2, (k - 1) / 2)
    rest = np.add.outer(np.zeros(len(z)), 2 * spread * half)
    return (
        (r[:, None] ** 2 + rest).ravel(),
        ((r * along)[:, None] + rest).ravel(),
        np.outer(weight, more).ravel(),
    )
