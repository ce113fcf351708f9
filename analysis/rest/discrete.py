"""Compositions without Gaussian noise: points, and gamma noise along one line.

Their part of the tails P(‖g‖ > t) and E[g/‖g‖; ‖g‖ > t] needs no quadrature: a point
counts below its own length, and gamma noise by the incomplete gamma function.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.rest.mixture import Mixture

Array = NDArray[np.float64]
FAINT = 1e-13  # probability beyond the ends that are looked at


@dataclass(frozen=True)
class Discrete:
    """The compositions without Gaussian noise, at one a = ∇f: points, then gamma noise.

    length, weight [points], unit [points, axes]; for the gamma noise g = edge +
    stretch·X on the line: probability, edge, shape, stretch [n], and the interval
    low..high of |g| [n].
    """

    length: Array
    weight: Array
    unit: Array
    probability: Array
    edge: Array
    shape: Array
    stretch: Array
    low: Array
    high: Array

    def widths(self) -> Array:
        """Lengths over which gamma tails are smooth, away from its edge [n]."""
        return np.abs(self.stretch) * np.sqrt(np.maximum(self.shape, 4.0))

    def points(self) -> Array:
        """Where the tails jump or bend: gamma edges and points halving towards them."""
        pieces = [self.length]
        for edge, shape, probability, width in zip(
            np.abs(self.edge), self.shape, self.probability, self.widths(), strict=True
        ):
            count = int(np.clip(np.log2(probability / FAINT) / shape, 2, 52))
            fine = width * 2.0 ** -np.arange(count)
            pieces.append(np.concatenate([edge - fine, [edge], edge + fine]))
        every = np.concatenate(pieces)
        return every[every >= 0]

    def tails(self, nodes: Array) -> Array:
        """Survival and direction [p, n, 1 + axes] at t = nodes [p, n]."""
        order = np.argsort(self.length)
        steps = np.column_stack([self.weight, self.weight[:, None] * self.unit])[order]
        beyond = np.vstack(
            [np.cumsum(steps[::-1], axis=0)[::-1], np.zeros((1, steps.shape[1]))]
        )
        values = beyond[np.searchsorted(self.length[order], nodes, side="right")]
        start, stop = nodes[:, 0], nodes[:, -1]
        for i, probability in enumerate(self.probability):
            first = np.searchsorted(stop, self.low[i])
            last = np.searchsorted(start, self.high[i], side="right")
            up, down = self._sides(i, nodes[first:last])
            values[first:last, :, 0] += probability * (up + down)
            values[first:last, :, 1] += probability * (up - down)
            values[:first, :, 0] += probability
            up, down = self._sides(i, np.zeros(1))
            values[:first, :, 1] += probability * (up - down)[0]
        return values

    def mean_sign(self) -> float:
        """E[sign g; gamma noise], weighted with the compositions' probabilities."""
        sides = [self._sides(i, np.zeros(1)) for i in range(self.probability.size)]
        return float(
            sum(
                c * (up - down)[0]
                for c, (up, down) in zip(self.probability, sides, strict=True)
            )
        )

    def _sides(self, i: int, t: Array) -> tuple[Array, Array]:
        """P(g > t) and P(g < -t) for t >= 0."""
        edge, stretch, shape = self.edge[i], self.stretch[i], self.shape[i]
        above, below = (
            np.maximum((t - edge) / stretch, 0),
            np.maximum((-t - edge) / stretch, 0),
        )
        if stretch > 0:
            return special.gammaincc(shape, above), special.gammainc(shape, below)
        return special.gammainc(shape, above), special.gammaincc(shape, below)


def discrete(law: Mixture, a: Array) -> Discrete:
    """The compositions of the mixture without Gaussian noise at a = ∇f [axes]."""
    still = law.only(law.scale == 0)
    means = still.means(a)
    gamma = still.shape > 0
    length = np.linalg.norm(means[~gamma], axis=1)
    unit = means[~gamma] / np.where(length > 0, length, 1.0)[:, None]
    edge, shape, stretch = means[gamma, 0], still.shape[gamma], still.stretch[gamma]
    near = edge + stretch * special.gammaincinv(shape, 1e-16)
    far = edge + stretch * special.gammainccinv(shape, 1e-16)
    low = np.where(near * far > 0, np.minimum(np.abs(near), np.abs(far)), 0.0)
    return Discrete(
        length,
        still.weight[~gamma],
        unit,
        still.weight[gamma],
        edge,
        shape,
        stretch,
        low,
        np.maximum(np.abs(near), np.abs(far)),
    )
