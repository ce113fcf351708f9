"""The stationary distribution of the iterates at a finite step, in one dimension.

The gradient moves by -γρ(2K - m)/m, where ρ is the clipping norm and K of the m
micro-batches have a positive gradient; ρ > t with K positive signs has the probability

    binom(m, K) P(g > t)^K P(g < -t)^(m-K).

The distribution on a grid that the transitions leave as it is is found by linear
algebra. The noise is Gaussian; micro-batches of draggers alone are left out
(probability ε^b).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from analysis.rest.mixture import Mixture
from analysis.rest.update import Update
from analysis.spec.checking import refuse
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian
from analysis.spec.rule import Rule

Array = NDArray[np.float64]

CELLS = 400  # of the clipping norm
LARGEST_NORM = 16.0  # of a micro-batch, in units of the noise scale σ of a sample
HALF = 70  # grid points on either side of the stationary point


@dataclass(frozen=True)
class StationaryDistribution:
    """Probabilities [n] of the gradients ∇f [n] on a grid of equal steps, signed."""

    gradient: Array
    probability: Array

    @property
    def mean(self) -> float:
        """E ∇f."""
        return float(self.probability @ self.gradient)


def on_lattice(
    update: Update, root: float, step: float, width: float
) -> StationaryDistribution:
    """The normalized rule's distribution: ρ = 1 keeps ∇f on a lattice of spacing 2γ/m.

    The lattice has a point at the root and reaches as far as `width` from it. Raises
    SpecificationError for other models than those of this module, and for an odd number
    of micro-batches, which move it between two lattices.
    """
    law, m = _on_a_line(update, Rule.NORMALIZED)
    if m % 2:
        refuse("micro-batches", m, "an even number")
    half = math.ceil(width * m / (2 * step))
    grid = np.asarray(root + 2 * step / m * np.arange(-half, half + 1))
    above, below = _beyond(law, grid, np.zeros(1))

    def moves(positive: np.int64) -> tuple[Array, Array]:
        probability = (
            special.comb(m, positive) * above**positive * below ** (m - positive)
        )
        return probability, np.ones(1)

    return _stationary(grid, moves, step, m)


def on_grid(
    update: Update, root: float, step: float, width: float
) -> StationaryDistribution:
    """That of Algorithm 1: the clipping norm is cut into 400 cells, narrow near 0.

    A place between the points of the grid, which reaches as far as `width` from the
    root, is four of them, with the weights of cubic interpolation, which keep mean and
    variance. Raises SpecificationError as `on_lattice`.
    """
    law, m = _on_a_line(update, Rule.ADAPTIVE)
    grid = np.asarray(root + width / HALF * np.arange(-HALF, HALF + 1))
    norms = np.asarray(
        LARGEST_NORM * update.model.noise_scale() * np.linspace(0, 1, CELLS + 1) ** 3
    )
    above, below = _beyond(law, grid, norms)

    def moves(positive: np.int64) -> tuple[Array, Array]:
        beyond = special.comb(m, positive) * above**positive * below ** (m - positive)
        return -np.diff(beyond), (norms[1:] + norms[:-1]) / 2

    return _stationary(grid, moves, step, m)


def _on_a_line(update: Update, rule: Rule) -> tuple[Mixture, int]:
    """The distribution of a micro-batch's gradient, and m; other models are refused."""
    model, clipping = update.model, update.clipping
    if clipping.rule is not rule:
        refuse("rule", clipping.rule.value, rule.value)
    if model.dimension != 1:
        refuse("model.dimension", model.dimension, "1 for a stationary distribution")
    if not isinstance(model.noise, Gaussian) or model.dragger.law not in (
        "persistent",
        "additive",
    ):
        refuse(
            "model", "another one", "Gaussian noise and persistent or additive draggers"
        )
    (gradients,) = update.gradients
    return gradients.distribution.only(
        gradients.distribution.noisy
    ), clipping.micro_batches


def _beyond(law: Mixture, grid: Array, norms: Array) -> tuple[Array, Array]:
    """P(g > t) and P(g < -t) for ∇f on the grid [n] and norms t [k]: [n, k] each."""
    mean = (law.benign[:, None] * grid + law.offset)[..., None]
    scale = law.scale[:, None, None]
    above, below = (
        law.weight @ special.ndtr((x - norms) / scale).swapaxes(0, 1)
        for x in (mean, -mean)
    )
    return above, below


def _stationary(
    grid: Array, moves: Callable[[np.int64], tuple[Array, Array]], step: float, m: int
) -> StationaryDistribution:
    """The distribution on the grid [n] that the moves leave as it is.

    moves(K): the probabilities [n, k] of a move with K positive signs and a clipping
    norm in one of k cells, and these norms [k].
    """
    kernel = np.zeros((grid.size, grid.size))
    for positive in np.arange(m + 1):
        probability, norms = moves(positive)
        target = grid[:, None] - step * norms * (2 * positive - m) / m
        place = (np.clip(target, grid[0], grid[-1]) - grid[0]) / (grid[1] - grid[0])
        first = np.clip(place.astype(int) - 1, 0, grid.size - 4)
        for i in range(4):
            others = [j for j in range(4) if j != i]
            weight = np.prod([(place - first - j) / (i - j) for j in others], axis=0)
            np.add.at(
                kernel, (first + i, np.arange(grid.size)[:, None]), weight * probability
            )
    balance = np.vstack(
        [kernel / kernel.sum(0) - np.eye(grid.size), np.ones(grid.size)]
    )
    right = np.append(np.zeros(grid.size), 1.0)
    probability, *_ = np.linalg.lstsq(balance, right, rcond=None)
    return StationaryDistribution(grid, probability)


def largest_stable_step(
    model: GradientModel, micro_batch_size: int, micro_batches: int
) -> float:
    """The step of Algorithm 1 beyond which iterates run away, for persistent draggers.

    Far away a micro-batch with k draggers has the gradient (1 - k/b)w, so that the
    smallest is (1 - K/b)|w|, K the largest k of all m, and |w| is multiplied by |1 -
    η(1 - K/b)|: it grows when the mean logarithm of that is positive. Dimensionless,
    for curvature 1 on a line.
    """
    b = micro_batch_size
    k = np.arange(b + 1)
    below = special.bdtr(k, b, model.dragger_fraction) ** micro_batches
    probability = np.diff(below, prepend=0.0)

    def growth(step: float) -> float:
        return float(probability @ np.log(np.abs(1 - step * (1 - k / b))))

    return float(optimize.brentq(growth, 1.9, 2.6))
