"""Distributions with few atoms, and searches among them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray


class Distribution(NamedTuple):
    """Atoms, numbers [n] or vectors [n, d], and their probabilities [n]."""

    atoms: Array
    probabilities: Array

    @property
    def centred(self) -> "Distribution":
        """The same with its mean taken away."""
        return Distribution(self.atoms - self.probabilities @ self.atoms, self[1])

    @property
    def scale(self) -> float:
        """√(E‖z‖²) of vectors."""
        return float(np.sqrt(self.probabilities @ (self.atoms**2).sum(1)))


def mean_of(distribution: Distribution, count: int) -> Distribution:
    """The distribution of the mean of `count` independent draws."""
    atoms, probabilities = distribution
    index = np.array(list(product(range(len(atoms)), repeat=count)))
    return Distribution(atoms[index].mean(1), probabilities[index].prod(1))


def cosines(v: Array) -> Array:
    """cos(v, e) of vectors [n, d] with the first axis e; 0 where v = 0."""
    length = np.linalg.norm(v, axis=1)
    return np.divide(v[:, 0], length, out=np.zeros_like(length), where=length > 0)


def shifted(atoms: Array, gradient_norm: float) -> Array:
    """The vectors [n, d], moved by the gradient along the first axis."""
    return atoms + gradient_norm * np.eye(atoms.shape[1])[0]


def random_points(rng: np.random.Generator) -> Array:
    """Two to six points in one to five dimensions, of several sizes."""
    d = rng.integers(1, 6)
    n = rng.integers(2, 7)
    return rng.normal(size=(n, d)) * rng.lognormal(0, 1, size=(n, 1))


def random_weights(rng: np.random.Generator, points: Array) -> Array:
    """Probabilities of the points, some of them small."""
    return rng.dirichlet(np.full(len(points), 0.5))


def random_centred(
    rng: np.random.Generator, dimension: int | None = None
) -> Distribution:
    """Noise with mean zero, of two to five atoms in one to three dimensions."""
    n = rng.integers(2, 6)
    d = dimension or rng.integers(1, 4)
    probabilities = rng.dirichlet(np.full(n, 0.5))
    points = rng.normal(size=(n, d)) * rng.lognormal(0, 1, size=(n, 1))
    return Distribution(points, probabilities).centred


def two_points(distance: float, noise: float, beyond: float = 0.0) -> Distribution:
    """Noise -distance, or noise²/distance on the other side: the lemma's worst.

    `beyond` puts the first atom that little further away, where it points back.
    """
    back = noise**2 / (distance**2 + noise**2)
    atoms = np.array([[-distance * (1 + beyond)], [noise**2 / distance]])
    return Distribution(atoms, np.array([back, 1 - back]))


def three_points(free: Array) -> Distribution:
    """Three atoms in the plane from nine numbers without constraint."""
    weights = np.exp(free[6:9] - free[6:9].max())
    return Distribution(free[:6].reshape(3, 2), weights / weights.sum())


def smallest(
    objective: Callable[..., float],
    start: Array,
    arguments: tuple[Any, ...] = (),
    *,
    iterations: int,
    precision: float = 1e-12,
) -> float:
    """The smallest value that the simplex search of Nelder and Mead comes to."""
    from scipy import optimize  # slow to import, and only attacks need it

    options = {"maxiter": iterations, "fatol": precision}
    result = optimize.minimize(
        objective, start, arguments, method="Nelder-Mead", options=options
    )
    return float(result.fun)


@dataclass(frozen=True)
class Cases:
    """Random micro-batches, and how they are contaminated; all arrays are [n]."""

    strength: Array  # α, of contaminated micro-batches
    size: Array
    fraction: Array
    noise: list[Distribution]  # of one clean sample

    @property
    def inputs(self) -> dict[str, Array]:
        """Their numbers, by their names in the notation."""
        return {
            "dragger_fraction": self.fraction,
            "alignment": self.strength,
            "micro_batch_size": self.size,
        }

    @property
    def scales(self) -> list[float]:
        """The noise scale of each."""
        return [noise.scale for noise in self.noise]

    def drift(self, i: int, clean_pull: float) -> float:
        """The mean update where clean micro-batches pull so, and the others push."""
        clean = (1 - self.fraction[i]) ** self.size[i]
        return float(clean * clean_pull - self.strength[i] * (1 - clean))


def random_cases(rng: np.random.Generator, strength: Array, size: Array) -> Cases:
    """Fractions below the breakdown, and noise, for micro-batches of these sizes."""
    n = len(strength)
    scaled = rng.uniform(0.01, 0.99, n) ** 2 * np.log1p(1 / strength)
    fraction = -np.expm1(-scaled / size)
    return Cases(strength, size, fraction, [random_centred(rng) for _ in range(n)])


def single_or_few(rng: np.random.Generator, n: int) -> Cases:
    """Cases of one to three samples; every second one is a single sample."""
    strength = rng.uniform(0.01, 1, n)
    size = np.where(np.arange(n) % 2, 1, rng.integers(1, 4, n))
    return random_cases(rng, strength, size)
