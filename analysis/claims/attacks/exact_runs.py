"""Exact runs on the line: every outcome of every step, with its chance, no sampling.

The attacks on the claims about speed run the rules here, on losses whose smoothness and lowest
value are known, with noise and draggers that meet a claim's assumptions exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

Law = tuple[np.ndarray, np.ndarray]  # atoms [n] and their chances [n]
Outcomes = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

SHAPES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "quadratic": (lambda v: v**2 / 2, lambda v: v),
    "cosine": (lambda v: 1 - np.cos(v), np.sin),
    "log cosh": (lambda v: np.logaddexp(v, -v) - np.log(2), np.tanh),
}


@dataclass(frozen=True)
class Loss:
    """A loss with lowest value 0: one of SHAPES, `width` times as wide, of this smoothness."""

    shape: str
    smoothness: float
    width: float

    def value(self, w: np.ndarray) -> np.ndarray:
        """Values of the loss at each point."""
        return self.smoothness * self.width**2 * SHAPES[self.shape][0](w / self.width)

    def slope(self, w: np.ndarray) -> np.ndarray:
        """Its derivative at each point."""
        return self.smoothness * self.width * SHAPES[self.shape][1](w / self.width)


def random_loss(rng: np.random.Generator) -> Loss:
    """One of the shapes, with random scales."""
    return Loss(str(rng.choice(list(SHAPES))), rng.lognormal(0, 1), rng.lognormal(0, 1))


def random_noise(rng: np.random.Generator, sigma: float) -> Law:
    """A law with mean 0 and variance σ²: two or three atoms, every second time a rare event."""
    if rng.random() < 0.5:
        q = rng.uniform(0.02, 0.98)
        atoms, chances = np.array([1 - q, -q]), np.array([q, 1 - q])
    else:
        atoms, chances = rng.normal(size=3), rng.dirichlet(np.ones(3))
    atoms = atoms - chances @ atoms
    return sigma * atoms / np.sqrt(chances @ atoms**2), chances


def mean_law(law: Law, count: int) -> Law:
    """The law of the mean of `count` independent draws; atoms are numbers [n] or vectors [n, d]."""
    atoms, chances = law
    index = np.array(list(product(range(len(atoms)), repeat=count)))
    return atoms[index].mean(1), chances[index].prod(1)


@dataclass(frozen=True)
class Batch:
    """A mini-batch of `count` micro-batches of `size` samples, in dimension one.

    Contaminated micro-batches point back with the mean strength `alignment`. Without a noise law
    the clean micro-batch has, at every point anew, the two-point law of variance σ²/size with the
    smallest mean direction; at size 1 that is a law that samples can have.
    """

    fraction: float
    alignment: float
    size: int
    count: int
    sigma: float
    noise: Law | None

    @property
    def inputs(self) -> dict[str, float]:
        """Its numbers, by their names in the notation."""
        return {
            "dragger_fraction": self.fraction,
            "alignment": self.alignment,
            "micro_batch_size": self.size,
            "noise_scale": self.sigma,
        }

    def directions(self, slope: np.ndarray) -> np.ndarray:
        """Chances that a micro-batch's direction is -1, 0, 1, at each slope [n, 3]."""
        if self.noise is None:
            back = self.sigma**2 / (self.size * slope**2 + self.sigma**2)
            clean = _signed(slope, back)
        else:
            atoms, chances = mean_law(self.noise, self.size)
            gradient = slope[:, None] + atoms
            clean = np.stack([(gradient < 0) @ chances, (gradient == 0) @ chances], -1)
            clean = np.stack([clean[:, 0], clean[:, 1], 1 - clean.sum(-1)], -1)
        contaminated = _signed(slope, np.full_like(slope, (1 + self.alignment) / 2))
        p = (1 - self.fraction) ** self.size
        return p * clean + (1 - p) * contaminated

    def mean_direction(self, slope: np.ndarray) -> np.ndarray:
        """Chances that the mean direction is -1, -1 + 1/m, …, 1, at each slope [n, 2m + 1]."""
        one = self.directions(slope)
        result = np.ones((len(slope), 1))
        for _ in range(self.count):
            wider = np.zeros((len(slope), result.shape[1] + 2))
            for k in range(3):
                wider[:, k : k + result.shape[1]] += one[:, k : k + 1] * result
            result = wider
        return result


def _signed(slope: np.ndarray, back: np.ndarray) -> np.ndarray:
    down = np.where(slope >= 0, back, 1 - back)
    return np.stack([down, np.zeros_like(down), 1 - down], -1)


def random_batch(rng: np.random.Generator) -> Batch:
    """Any alignment, any size up to four below the breakdown; half of the time the worst noise."""
    alignment = 1.0 if rng.random() < 0.5 else rng.uniform(0.01, 1)
    worst = rng.random() < 0.5
    size = 1 if worst else int(rng.integers(1, 5))
    scaled = rng.uniform(0.01, 0.95) ** 2 * np.log1p(1 / alignment)
    sigma = rng.lognormal(0, 1)
    noise = None if worst else random_noise(rng, sigma)
    return Batch(-np.expm1(-scaled / size), alignment, size, int(rng.integers(1, 4)), sigma, noise)


def normalized_run(
    loss: Loss, batch: Batch, start: float, step: float, horizon: int, reach: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of ‖∇f(w_t)‖ and of f(w_t) for t = 0, …, horizon - 1, under the normalized rule.

    Its iterates stay on a lattice, so that the law of w_t is a vector. What ever gets `reach` steps
    away from the start is dropped, which makes both means smaller.
    """
    m, reach = batch.count, horizon if reach is None else reach
    w = start + step / m * np.arange(-m * reach, m * reach + 1)
    slope, value = loss.slope(w), loss.value(w)
    moves = batch.mean_direction(slope)
    law = np.zeros(len(w))
    law[m * reach] = 1.0
    norms, values = np.zeros(horizon), np.zeros(horizon)
    for t in range(horizon):
        norms[t], values[t] = law @ np.abs(slope), law @ value
        law = _moved(law, moves)
    return norms, values


def hitting_time(
    loss: Loss, batch: Batch, start: float, step: float, target: float, horizon: int
) -> float:
    """E min(τ, horizon), τ the first t with ‖∇f(w_t)‖ ≤ target, under the normalized rule."""
    m = batch.count
    w = start + step / m * np.arange(-m * horizon, m * horizon + 1)
    outside = np.abs(loss.slope(w)) > target
    moves = batch.mean_direction(loss.slope(w))
    law = np.zeros(len(w))
    law[m * horizon] = 1.0
    total = 0.0
    for _ in range(horizon):
        law = law * outside
        total += law.sum()
        law = _moved(law, moves)
    return total


def _moved(law: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The law after one step against the mean direction; what leaves the lattice is dropped."""
    result, m = np.zeros_like(law), moves.shape[1] // 2
    for k in range(2 * m + 1):
        shift = m - k  # direction (k - m)/m, and the step goes against it
        mass = law * moves[:, k]
        if shift > 0:
            result[shift:] += mass[:-shift]
        elif shift < 0:
            result[:shift] += mass[-shift:]
        else:
            result += mass
    return result


def every_path(
    loss: Loss, outcomes: Outcomes, start: float, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """Chance of every path [N], and ‖∇f(w_t)‖ along it [N, horizon].

    `outcomes` gives the next points [N, n] and their chances [N, n] from the points [N].
    """
    w, chance, norms = np.array([start]), np.ones(1), np.abs(loss.slope(np.array([[start]])))
    for _ in range(horizon - 1):
        after, chances = outcomes(w)
        n = after.shape[1]
        chance = (chance[:, None] * chances).ravel()
        w, norms = after.ravel(), np.repeat(norms, n, axis=0)
        w, norms, chance = w[chance > 0], norms[chance > 0], chance[chance > 0]
        norms = np.concatenate([norms, np.abs(loss.slope(w))[:, None]], 1)
    return chance, norms


def normalized_outcomes(loss: Loss, batch: Batch, step: float) -> Outcomes:
    """Where one normalized step leads."""

    def outcomes(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chances = batch.mean_direction(loss.slope(w))
        return w[:, None] - step * np.linspace(-1, 1, chances.shape[1]), chances

    return outcomes


@dataclass(frozen=True)
class Mixture:
    """Samples for SGD: ∇f plus noise, or with chance `fraction` a dragger's gradient."""

    noise: Law
    draggers: Law
    fraction: float

    @property
    def samples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What multiplies ∇f (0 or 1), what is added to it, and the chance of that."""
        n, k = len(self.noise[0]), len(self.draggers[0])
        return (
            np.repeat([1.0, 0.0], [n, k]),
            np.concatenate([self.noise[0], self.draggers[0]]),
            np.concatenate([(1 - self.fraction) * self.noise[1], self.fraction * self.draggers[1]]),
        )


def quadratic_run(
    mixture: Mixture, count: int, smoothness: float, start: float, step: float, horizon: int
) -> np.ndarray:
    """Mean of ‖∇f(w_t)‖² for t = 0, …, horizon - 1, under SGD on Lw²/2, from its first moments."""
    share, added, chances = mixture.samples
    factor = 1 - step * smoothness * share  # one sample's w⁺ is factor·w - step·added
    mean_factor, mean_added = chances @ factor, chances @ added
    kept = 1 - 1 / count  # products of different samples have independent factors
    square = chances @ factor**2 / count + kept * mean_factor**2
    cross = chances @ (factor * added) / count + kept * mean_factor * mean_added
    extra = chances @ added**2 / count + kept * mean_added**2
    mean, second, result = start, start**2, np.zeros(horizon)
    for t in range(horizon):
        result[t] = smoothness**2 * second
        second = square * second - 2 * step * cross * mean + step**2 * extra
        mean = mean_factor * mean - step * mean_added
    return result


def sgd_outcomes(loss: Loss, mixture: Mixture, count: int, step: float) -> Outcomes:
    """Where one step of SGD leads, with `count` samples in a mini-batch."""
    one_share, one_added, chances = mixture.samples
    share, chance = mean_law((one_share, chances), count)
    atoms, _ = mean_law((one_added, chances), count)

    def outcomes(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gradient = loss.slope(w)[:, None] * share + atoms
        return w[:, None] - step * gradient, np.broadcast_to(chance, gradient.shape)

    return outcomes
