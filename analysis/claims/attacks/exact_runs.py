"""Exact runs on the line: every outcome of every step, nothing is sampled.

The attacks on the claims about speed run the rules here, on losses whose smoothness and
lowest value are known, with noise and draggers that meet a claim's assumptions exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis.claims.attacks.distributions import Distribution, mean_of

Array = np.ndarray
# From points [N] to the next points [N, n] and their probabilities [N, n].
Outcomes = Callable[[Array], tuple[Array, Array]]


class Shape(NamedTuple):
    """A loss of smoothness 1 with lowest value 0, and its derivative."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


SHAPES = {
    "quadratic": Shape(lambda v: v**2 / 2, lambda v: v),
    "cosine": Shape(lambda v: 1 - np.cos(v), np.sin),
    "log cosh": Shape(lambda v: np.logaddexp(v, -v) - np.log(2), np.tanh),
}


@dataclass(frozen=True)
class Loss:
    """A loss with lowest value 0: one of SHAPES, stretched by `width`."""

    shape: str
    smoothness: float
    width: float = 1.0

    def value(self, w: Array) -> Array:
        """Values of the loss at each point."""
        scale = self.smoothness * self.width**2
        return scale * SHAPES[self.shape].value(w / self.width)

    def slope(self, w: Array) -> Array:
        """Its derivative at each point."""
        scale = self.smoothness * self.width
        return scale * SHAPES[self.shape].slope(w / self.width)


@dataclass(frozen=True)
class Run:
    """Steps of one length from one point on a loss."""

    loss: Loss
    start: float
    step: float
    horizon: int


def random_loss(rng: np.random.Generator) -> Loss:
    """One of the shapes, with random scales."""
    return Loss(str(rng.choice(list(SHAPES))), rng.lognormal(0, 1), rng.lognormal(0, 1))


def random_noise(rng: np.random.Generator, sigma: float) -> Distribution:
    """Mean 0 and variance σ²: two or three atoms, every second time a rare event."""
    if rng.random() < 0.5:
        q = rng.uniform(0.02, 0.98)
        atoms = np.array([1 - q, -q])
        probabilities = np.array([q, 1 - q])
    else:
        atoms = rng.normal(size=3)
        probabilities = rng.dirichlet(np.ones(3))
    atoms = atoms - probabilities @ atoms
    scale = sigma / np.sqrt(probabilities @ atoms**2)
    return Distribution(scale * atoms, probabilities)


@dataclass(frozen=True)
class Batch:
    """A mini-batch of `count` micro-batches of `size` samples, in dimension one.

    Contaminated micro-batches point back with the mean strength `alignment`. Where no
    noise is given, a clean micro-batch has, at every point anew, the two-point noise of
    variance σ²/size with the smallest mean direction; at size 1 samples can have it.
    """

    fraction: float
    alignment: float
    size: int
    count: int
    sigma: float
    noise: Distribution | None = None

    @property
    def inputs(self) -> dict[str, float]:
        """Its numbers, by their names in the notation."""
        return {
            "dragger_fraction": self.fraction,
            "alignment": self.alignment,
            "micro_batch_size": self.size,
            "noise_scale": self.sigma,
        }

    def directions(self, slope: Array) -> Array:
        """Probabilities of a micro-batch's directions -1, 0, 1 at each slope [n, 3]."""
        if self.noise is None:
            back = self.sigma**2 / (self.size * slope**2 + self.sigma**2)
            clean = _signed(slope, back)
        else:
            mean = mean_of(self.noise, self.size)
            gradient = slope[:, None] + mean.atoms
            negative = (gradient < 0) @ mean.probabilities
            zero = (gradient == 0) @ mean.probabilities
            clean = np.stack([negative, zero, 1 - (negative + zero)], -1)
        contaminated = _signed(slope, np.full_like(slope, (1 + self.alignment) / 2))
        p = (1 - self.fraction) ** self.size
        return p * clean + (1 - p) * contaminated

    def mean_direction(self, slope: Array) -> Array:
        """Probabilities of -1, -1 + 1/m, …, 1 at each slope [n, 2m + 1]."""
        single = self.directions(slope)
        result = np.ones((len(slope), 1))
        for _ in range(self.count):
            width = result.shape[1]
            wider = np.zeros((len(slope), width + 2))
            for k in range(3):
                wider[:, k : k + width] += single[:, k : k + 1] * result
            result = wider
        return result


def _signed(slope: Array, back: Array) -> Array:
    down = np.where(slope >= 0, back, 1 - back)
    return np.stack([down, np.zeros_like(down), 1 - down], -1)


def random_batch(rng: np.random.Generator) -> Batch:
    """Any alignment and any size up to four below the breakdown.

    Half of the time the noise is the worst.
    """
    alignment = 1.0 if rng.random() < 0.5 else rng.uniform(0.01, 1)
    worst = rng.random() < 0.5
    size = 1 if worst else int(rng.integers(1, 5))
    scaled = rng.uniform(0.01, 0.95) ** 2 * np.log1p(1 / alignment)
    sigma = rng.lognormal(0, 1)
    noise = None if worst else random_noise(rng, sigma)
    count = int(rng.integers(1, 4))
    return Batch(-np.expm1(-scaled / size), alignment, size, count, sigma, noise)


def normalized_run(
    run: Run, batch: Batch, reach: int | None = None
) -> tuple[Array, Array]:
    """Mean of ‖∇f(w_t)‖ and of f(w_t) for t = 0, …, horizon - 1, normalized rule.

    The iterates stay on a lattice, so that the distribution of w_t is a vector.
    Whatever gets `reach` steps away from the start is dropped, which makes both means
    smaller.
    """
    reach = run.horizon if reach is None else reach
    w, mass = _lattice(run, batch, reach)
    slope = run.loss.slope(w)
    value = run.loss.value(w)
    moves = batch.mean_direction(slope)
    norms = np.zeros(run.horizon)
    values = np.zeros(run.horizon)
    for t in range(run.horizon):
        norms[t] = mass @ np.abs(slope)
        values[t] = mass @ value
        mass = _moved(mass, moves)
    return norms, values


def hitting_time(run: Run, batch: Batch, target: float) -> float:
    """E min(τ, horizon), normalized rule; τ is the first t with ‖∇f(w_t)‖ ≤ target."""
    w, mass = _lattice(run, batch, run.horizon)
    slope = run.loss.slope(w)
    outside = np.abs(slope) > target
    moves = batch.mean_direction(slope)
    total = 0.0
    for _ in range(run.horizon):
        mass = mass * outside
        total += mass.sum()
        mass = _moved(mass, moves)
    return total


def _lattice(run: Run, batch: Batch, reach: int) -> tuple[Array, Array]:
    """The points that `reach` steps can lead to, and all mass at the start."""
    m = batch.count
    w = run.start + run.step / m * np.arange(-m * reach, m * reach + 1)
    mass = np.zeros(len(w))
    mass[m * reach] = 1.0
    return w, mass


def _moved(mass: Array, moves: Array) -> Array:
    """The mass after one step against the mean direction; what leaves is dropped."""
    result = np.zeros_like(mass)
    m = moves.shape[1] // 2
    for k in range(2 * m + 1):
        shift = m - k  # direction (k - m)/m, and the step goes against it
        part = mass * moves[:, k]
        if shift > 0:
            result[shift:] += part[:-shift]
        elif shift < 0:
            result[:shift] += part[-shift:]
        else:
            result += part
    return result


def every_path(run: Run, outcomes: Outcomes) -> tuple[Array, Array]:
    """Probability of every path [N], and ‖∇f(w_t)‖ along it [N, horizon]."""
    w = np.array([run.start])
    probability = np.ones(1)
    norms = np.abs(run.loss.slope(w))[:, None]
    for _ in range(run.horizon - 1):
        after, probabilities = outcomes(w)
        probability = (probability[:, None] * probabilities).ravel()
        possible = probability > 0
        probability = probability[possible]
        w = after.ravel()[possible]
        norms = np.repeat(norms, after.shape[1], axis=0)[possible]
        norms = np.concatenate([norms, np.abs(run.loss.slope(w))[:, None]], 1)
    return probability, norms


def normalized_outcomes(run: Run, batch: Batch) -> Outcomes:
    """Where one normalized step leads."""

    def outcomes(w: Array) -> tuple[Array, Array]:
        probabilities = batch.mean_direction(run.loss.slope(w))
        directions = np.linspace(-1, 1, probabilities.shape[1])
        return w[:, None] - run.step * directions, probabilities

    return outcomes


@dataclass(frozen=True)
class Samples:
    """Samples for SGD: ∇f plus noise, or with probability `fraction` a dragger's."""

    noise: Distribution
    draggers: Distribution
    fraction: float

    @property
    def factor(self) -> Array:
        """What multiplies ∇f, 0 or 1, in each outcome."""
        counts = [len(self.noise.atoms), len(self.draggers.atoms)]
        return np.repeat([1.0, 0.0], counts)

    @property
    def added(self) -> Array:
        """What is added to it in each outcome."""
        return np.concatenate([self.noise.atoms, self.draggers.atoms])

    @property
    def probabilities(self) -> Array:
        """How likely each outcome is."""
        benign = (1 - self.fraction) * self.noise.probabilities
        return np.concatenate([benign, self.fraction * self.draggers.probabilities])


def quadratic_run(run: Run, samples: Samples, count: int) -> Array:
    """Mean of ‖∇f(w_t)‖² for t = 0, …, horizon - 1, SGD on Lw²/2, by first moments.

    `count` is the number of samples in a mini-batch; only the loss's smoothness is
    used.
    """
    L = run.loss.smoothness
    # one sample's w⁺ = factor·w - step·added
    factor = 1 - run.step * L * samples.factor
    added = samples.added
    weights = samples.probabilities
    mean_factor = weights @ factor
    mean_added = weights @ added
    pairs = 1 - 1 / count  # products of different samples have independent factors
    square = weights @ factor**2 / count + pairs * mean_factor**2
    cross = weights @ (factor * added) / count + pairs * mean_factor * mean_added
    extra = weights @ added**2 / count + pairs * mean_added**2
    mean = run.start
    second = run.start**2
    result = np.zeros(run.horizon)
    for t in range(run.horizon):
        result[t] = L**2 * second
        second = square * second - 2 * run.step * cross * mean + run.step**2 * extra
        mean = mean_factor * mean - run.step * mean_added
    return result


def sgd_outcomes(run: Run, samples: Samples, count: int) -> Outcomes:
    """Where one step of SGD leads, with `count` samples in a mini-batch."""
    weights = samples.probabilities
    factors = mean_of(Distribution(samples.factor, weights), count)
    added = mean_of(Distribution(samples.added, weights), count)

    def outcomes(w: Array) -> tuple[Array, Array]:
        gradient = run.loss.slope(w)[:, None] * factors.atoms + added.atoms
        after = w[:, None] - run.step * gradient
        return after, np.broadcast_to(factors.probabilities, gradient.shape)

    return outcomes


def mean_square(run: Run, samples: Samples, count: int, *, by_moments: bool) -> float:
    """The mean of ‖∇f‖² over a run of SGD, by moments or along every path."""
    if by_moments:
        return float(quadratic_run(run, samples, count).mean())
    probability, norms = every_path(run, sgd_outcomes(run, samples, count))
    return float(probability @ (norms**2).mean(1))
