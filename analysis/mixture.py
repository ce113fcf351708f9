"""A micro-batch's mean gradient as an exact mixture of Gaussian vectors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.fields import refuse
from analysis.model import GradientModel

Array = NDArray[np.float64]
NEGLIGIBLE = 1e-13  # total chance of the compositions that are left out
LARGEST = 200_000  # compositions; the time per evaluation grows with their number


@dataclass(frozen=True)
class Mixture:
    """A micro-batch's mean gradient: Gaussian given its composition c.

    In the coordinates of the plane spanned by the first axis and the dragger's direction, where
    every mean lies: weight [c], benign [c] (the factor of a = Λw), offset [c, axes], scale [c] (the
    standard deviation per coordinate, 0 for a composition without noise).
    """

    dimension: int
    weight: Array
    benign: Array
    offset: Array
    scale: Array

    @property
    def axes(self) -> int:
        """1 when every mean lies on one line, else 2."""
        return self.offset.shape[1]

    def thinned(self, chance: float) -> "Mixture":
        """The mixture without its least likely compositions, of total chance at most `chance`."""
        order = np.argsort(self.weight)
        keep = np.ones(order.size, dtype=bool)
        keep[order[np.cumsum(self.weight[order]) <= chance]] = False
        weight = self.weight[keep] / self.weight[keep].sum()
        benign, offset, scale = self.benign[keep], self.offset[keep], self.scale[keep]
        return Mixture(self.dimension, weight, benign, offset, scale)

    def means(self, a: Array) -> Array:
        """Mean gradient of each composition [c, axes] at a = Λw [axes]."""
        return self.benign[:, None] * a + self.offset


def mixture(model: GradientModel, b: int) -> Mixture:
    """The mixture for micro-batches of b samples, without compositions of total chance 1e-13.

    Raises SpecificationError when more than 200 000 compositions are left.
    """
    draggers, chance = _binomial(b, model.dragger_fraction)
    rest = [_binomial(b - int(k), model.noise.probability) for k in draggers]
    if sum(r.size for r, _ in rest) > LARGEST:
        refuse("algorithm.micro_batch_sizes", b, f"smaller for an exact bias ({LARGEST} kinds)")
    weight = np.concatenate([c * part for c, (_, part) in zip(chance, rest, strict=True)])
    draggers = np.repeat(draggers, [r.size for r, _ in rest])
    rare = np.concatenate([r for r, _ in rest])
    keep = weight > NEGLIGIBLE / weight.size
    mean = model.micro_batch_mean(b, draggers[keep], rare[keep])
    first, direction = plane(model)
    offset = mean.first_axis[:, None] * first + mean.dragger[:, None] * direction
    weight = weight[keep] / weight[keep].sum()
    return Mixture(model.dimension, weight, mean.benign, offset, np.sqrt(mean.variance))


def _binomial(n: int, q: float) -> tuple[NDArray[np.int64], Array]:
    """The counts of Binomial(n, q) within ten standard deviations and more, and their chances."""
    if n == 0 or q == 0:
        return np.zeros(1, np.int64), np.ones(1)
    reach = 10 * np.sqrt(n * q * (1 - q)) + 40
    k = np.arange(max(0, int(n * q - reach)), min(n, int(n * q + reach)) + 1)
    log_chance = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    chance = np.exp(log_chance + k * np.log(q) + (n - k) * np.log1p(-q))
    keep = chance > NEGLIGIBLE / k.size
    return k[keep], chance[keep]


def plane(model: GradientModel) -> tuple[Array, Array]:
    """The first axis and the dragger's direction in an orthonormal basis of their span.

    One axis where that is enough: the noise has no preferred axis, or there are no draggers, or the
    two are parallel.
    """
    along = model.dragger.direction[0]
    across = float(np.linalg.norm(model.dragger.direction[1:]))
    if model.noise.probability == 0 or model.noise.hit == 0:
        return np.array([0.0]), np.array([1.0])
    if across < 1e-12 or model.dragger_fraction == 0 or model.dragger.norm == 0:
        return np.array([1.0]), np.array([along])
    return np.array([1.0, 0.0]), np.array([along, across])
