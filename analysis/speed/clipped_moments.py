"""The first two moments of a rule's direction, from the residuals of a micro-batch.

A micro-batch's contribution is φ g, g its gradient, φ = 1 for sgd, 1/‖g‖ for
normalized, min(1, c/‖g‖) for fixed and ρ/‖g‖ for Algorithm 1, ρ the smallest norm of
all m. In high dimension ‖g‖² = q tr K/b², so that every moment is an integral over q.
It is taken over bins of ‖g‖, whose probabilities and means of q are exact; functions of
the norm are evaluated at the mean of a bin, an error of second order in its width.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincinv, gammaln

from analysis.spec.rule import Clipping, Rule
from analysis.speed.residuals import Residuals

Array = NDArray[np.float64]
# Bins of ‖g‖: in quantiles of a clean micro-batch, and elsewhere so wide, as a ratio.
QUANTILES = 96
RATIO = 1.05
FAR = 1e-9  # probability in a tail that is not resolved
POINTED = 1e-9  # relative width of the bin of a norm without variance

# The vectors that gradients point along: see `Moments`.
BENIGN, CORRUPTED, DRAGGER = range(3)


@dataclass(frozen=True)
class Moments:
    """Moments of the contribution ψ of one micro-batch, and of a pair of them.

    Along the three vectors Kδ, K(w - w_c) (towards the minimum of the corrupted
    samples) and the draggers' unit vector: `mean` [3] is E ψ. The covariance is

        Eψψᵀ = residual·K + isotropic·I + Σ square[a, b] v_a v_bᵀ,
        Eψ₁ψ₂ᵀ = Σ pair[a, b] v_a v_bᵀ for two micro-batches of a step.
    """

    mean: Array
    residual: float
    isotropic: float
    square: Array
    pair: Array

    @property
    def vector(self) -> Array:
        """All of them [23]; see `from_vector`."""
        single = [self.residual, self.isotropic]
        parts = (self.mean, single, self.square.ravel(), self.pair.ravel())
        return np.concatenate(parts)

    @classmethod
    def from_vector(cls, v: Array) -> "Moments":
        """The inverse of `vector`."""
        return cls(v[:3], v[3], v[4], v[5:14].reshape(3, 3), v[14:].reshape(3, 3))


@dataclass(frozen=True)
class Population:
    """What the moments depend on beside the residuals.

    trace: tr K. variances: R² of benign samples and that of the corrupted samples'
    direction (δᵀ_c K δ_c + noise, or wᵀKw). norm: D of draggers with gradients of their
    own, 0 without. isotropic: whether their direction is new every time. additive:
    whether the benign gradient is added. dimension: d.
    """

    trace: float
    variances: tuple[float, float]
    norm: float = 0.0
    isotropic: bool = False
    additive: bool = False
    dimension: int = 1


def moments(
    residuals: Residuals, clipping: Clipping, population: Population
) -> Moments:
    """The moments of that rule; m micro-batches of b samples, b dividing the batch."""
    bins = _Bins.of(residuals, clipping, population)
    if not clipping.is_mean and clipping.rule is Rule.ADAPTIVE:
        return _smallest_norm(bins, clipping.micro_batches)
    if clipping.is_mean:
        factor = np.ones_like(bins.norm)
    else:
        factor = clipping.rule.score(bins.norm, clipping.limit) / bins.norm
    mean = bins.first(factor)
    return bins.moments(mean, factor**2, np.outer(mean, mean))


def _smallest_norm(bins: "_Bins", m: int) -> Moments:
    """Algorithm 1: ρ g/‖g‖; E ρ^n Y₁ = ∫ n t^(n-1) E[Y; ‖g‖ > t] S(t)^(m-1) dt."""
    t, survival = bins.edges, bins.survival
    others = survival ** (m - 1)
    score = _integral(t, others)
    square = _integral(t, 2 * t * others)
    mean = bins.first(np.interp(bins.norm, t, score) / bins.norm)
    tails = bins.tails()
    weight = 2 * t * survival ** (m - 2)
    pair = np.array([[_integral(t, weight * x * y)[-1] for x in tails] for y in tails])
    return bins.moments(mean, np.interp(bins.norm, t, square) / bins.norm**2, pair)


def _integral(t: Array, y: Array) -> Array:
    """∫_0^t y at every t, by trapezoids."""
    steps = np.diff(t) * (y[1:] + y[:-1]) / 2
    return np.concatenate([[0.0], np.cumsum(steps)])


@dataclass(frozen=True)
class _Bins:
    """Probabilities of norms in bins [compositions, bins], and what is in a gradient.

    norm: its mean in the bin. edges, survival [bins + 1]. along
    [3, compositions, bins]: the components of g along the three vectors. spread: Σ r²,
    subtracted: what Kδ(Kδ)ᵀ/R² takes from the covariance, of both kinds of samples.
    """

    edges: Array
    survival: Array
    probability: Array
    norm: Array
    along: Array
    spread: Array
    subtracted: Array
    isotropic: Array

    @classmethod
    def of(
        cls, residuals: Residuals, clipping: Clipping, population: Population
    ) -> "_Bins":
        """For m micro-batches of b samples."""
        b = clipping.micro_batch_size
        unit = math.sqrt(population.trace) / b
        q = _edges(residuals, clipping.micro_batches, clipping.limit / unit)
        below, x = _below(residuals, q)
        probability = residuals.weight[:, None] * np.diff(below, axis=1)
        column = {
            name: getattr(residuals, name)[:, None]
            for name in residuals.__dataclass_fields__
        }
        count = np.broadcast_to(column["count"], x.shape)
        benign, corrupted = column["benign"] * x, column["corrupted"] * x
        own, other = population.variances
        along = np.array(
            [
                benign / own + population.additive * count,
                (corrupted + column["pull"]) / other,
                count * population.norm * (not population.isotropic),
            ]
        )
        squares = np.array([benign / own, (corrupted + column["at_rest"]) / other])
        survival = 1 - residuals.weight @ below
        return cls(
            edges=unit * np.sqrt(q),
            survival=np.clip(survival, 0, 1),
            probability=probability,
            norm=unit * np.sqrt(x + column["offset"]),
            along=along / b,
            spread=(benign + corrupted + column["at_rest"]) / b**2,
            subtracted=squares / b**2,
            isotropic=count
            * (population.isotropic * population.norm**2 / population.dimension / b**2),
        )

    def first(self, factor: Array) -> Array:
        """E[factor·g] along the three vectors [3]; factor [compositions, bins]."""
        return np.asarray(np.tensordot(self.along, self.probability * factor, 2))

    def tails(self) -> Array:
        """E[g/‖g‖; ‖g‖ > t] along the three vectors, at the edges [3, bins + 1]."""
        inside = np.sum(self.along * (self.probability / self.norm), axis=1)
        above = np.cumsum(inside[:, ::-1], axis=1)[:, ::-1]
        return np.concatenate([above, np.zeros((3, 1))], axis=1)

    def moments(self, mean: Array, factor: Array, pair: Array) -> Moments:
        """With the first moments, those of a pair, and the factor of squares."""
        weight = self.probability * factor
        square = np.einsum("acj,bcj,cj->ab", self.along, self.along, weight)
        taken = np.append(np.tensordot(self.subtracted, weight, 2), 0.0)
        return Moments(
            mean=mean,
            residual=float(np.sum(weight * self.spread)),
            isotropic=float(np.sum(weight * self.isotropic)),
            square=square - np.diag(taken),
            pair=pair,
        )


def _edges(residuals: Residuals, m: int, limit: float) -> Array:
    """Edges of q from 0 [bins + 1], fine where ‖g‖ of one or the least of m may be."""
    c = residuals
    varies = c.degrees > 0
    still = c.offset[~varies]
    parts = [still, *_quantiles(c, varies, 1e-3 / m)]
    if math.isfinite(limit):
        parts.append(np.array([limit**2]))
    q = np.concatenate(parts)
    q = q[q > 0]
    steps = 1 + int(np.log(q.max() / q.min()) / np.log(RATIO**2))
    q = np.concatenate([q, np.geomspace(q.min(), q.max(), steps + 1)])
    around = [still * (1 - POINTED), still * (1 + POINTED)]
    return np.unique(np.concatenate([[0.0], q, *around]))


def _quantiles(
    residuals: Residuals, varies: NDArray[np.bool_], least: float
) -> list[Array]:
    """Quantiles of q, many of the likeliest composition and the ends of the others."""
    c = residuals
    if not varies.any():
        return []
    half, scale, offset = c.degrees[varies] / 2, c.scale[varies], c.offset[varies]
    main = int(np.argmax(c.weight[varies]))
    z = np.linspace(np.log(least), -np.log(FAR), QUANTILES)
    x = gammaincinv(half[main], 1 / (1 + np.exp(-z)))
    ends = (gammaincinv(half, probability) for probability in (least, 1 - FAR))
    wide = [offset + 2 * scale * end for end in ends]
    return [offset[main] + 2 * scale[main] * x, offset, *wide]


def _below(residuals: Residuals, q: Array) -> tuple[Array, Array]:
    """P(q below) at edges [compositions, n + 1], and E[q - offset] in the bins [.., n].

    Of E[χ²; χ² < x] = degrees·P(χ² with two degrees more < x) the latter follows from
    the former, and the last bin is unbounded.
    """
    c = residuals
    n, scale = c.degrees[:, None], np.where(c.degrees > 0, c.scale, 1.0)[:, None]
    x = np.maximum(q - c.offset[:, None], 0) / (2 * scale)
    half = np.maximum(n, 1) / 2
    below = np.where(n > 0, gammainc(half, x), x > 0)
    with np.errstate(divide="ignore"):
        log = half * np.log(x) - x - gammaln(half + 1)
    first = np.where(n > 0, n * (below - np.exp(log)), 0)
    below[:, -1] = 1
    first[:, -1] = n[:, 0]
    mass = np.diff(below, axis=1)
    middle = np.clip(np.diff(first, axis=1), 0, None)
    inside = (x[:, 1:] + x[:, :-1]) * (n > 0)
    lost = mass < 1e-13  # in differences of numbers near 1
    mean = np.where(lost, inside, middle / np.where(lost, 1, mass))
    low, high = 2 * x[:, :-1], 2 * x[:, 1:]
    mean = np.clip(
        mean, low, np.where(np.arange(len(q) - 1) == len(q) - 2, np.inf, high)
    )
    return below, mean * scale * (n > 0)
