"""Attack on `finite_micro_batches`: exact expected updates, and where they vanish."""

from typing import NamedTuple

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    cosines,
    shifted,
    smallest,
)
from analysis.proof.claim import Claim


class Update(NamedTuple):
    """E⟨e, ψ(g)⟩, H(s) and H(∞) at one gradient norm."""

    mean: float
    usual: float
    longest: float


class MicroBatches:
    """m micro-batch gradients g = G e + deviation, clean or contaminated.

    The deviations are vectors; contaminated gradients stay where they are.
    """

    def __init__(
        self,
        clean: Distribution,
        contaminated: Distribution,
        clean_probability: float,
        count: int,
    ) -> None:
        self.noise = clean.centred
        self.far = contaminated.atoms
        self.clean_probability = clean_probability
        self.count = count
        self.probabilities = np.append(
            clean_probability * clean.probabilities,
            (1 - clean_probability) * contaminated.probabilities,
        )

    def at(self, gradient_norm: float) -> Update:
        """The expected update along e, and the score's lengths."""
        g = np.vstack([shifted(self.noise.atoms, gradient_norm), self.far])
        length = np.linalg.norm(g, axis=1)
        order = np.argsort(length)
        below = np.append(0, np.cumsum(self.probabilities[order])[:-1])
        # P(‖g‖ > t)^(m-1) just below each length, and its integral.
        rises = np.clip(1 - below, 0, 1) ** (self.count - 1)
        knots = np.append(0, length[order])
        heights = np.append(0, np.cumsum(rises * np.diff(knots)))
        score = np.interp(length, knots, heights)
        mean = float(self.probabilities @ (score * cosines(g)))
        usual = float(np.interp(self.noise.scale, knots, heights))
        return Update(mean, usual, float(heights[-1]))

    def radius(self, gradient_norm: float) -> float:
        """The bound at α = 1 by that norm's R_m, infinite where it says nothing."""
        _, usual, longest = self.at(gradient_norm)
        margin = self.clean_probability - self._contaminated * longest / usual
        if margin <= 0:
            return np.inf
        return self.clean_probability * self.noise.scale / margin

    @property
    def _contaminated(self) -> float:
        return 1 - self.clean_probability

    def slack(self, gradient_norm: float) -> float:
        """Mean update along e minus what the two cases give, over H(∞)."""
        mean, usual, longest = self.at(gradient_norm)
        push = self._contaminated * longest
        part = 1 - self.noise.scale / gradient_norm
        pull = self.clean_probability * usual * part
        return (mean - pull + push) / longest

    def stationary_point(self) -> float:
        """One in (0, ∞), NaN if the mean update is not negative at 0."""
        from scipy import optimize  # slow to import, and only attacks need it

        high = self.noise.scale
        if self.at(0.0).mean >= 0:
            return np.nan
        while self.at(high).mean < 0:
            high *= 2
        root = optimize.brentq(lambda G: self.at(G).mean, 0.0, high, xtol=1e-13 * high)
        return float(root)

    def excess(self, improvement: float = 0.0) -> float:
        """Radius minus stationary point, over the radius, infinite without either."""
        point = self.stationary_point()
        radius = np.inf if np.isnan(point) else self.radius(point)
        if not np.isfinite(radius):
            return np.inf
        return 1 - point / ((1 - improvement) * radius)


def random_micro_batches(rng: np.random.Generator, dimension: int) -> MicroBatches:
    """Clean atoms at random, contaminated ones straight back in half of the cases."""
    n = rng.integers(2, 5)
    k = rng.integers(1, 3)
    z = rng.normal(size=(n, dimension)) * rng.lognormal(0, 1, size=(n, 1))
    far = rng.normal(size=(k, dimension)) * rng.lognormal(1, 1.5, size=(k, 1))
    if rng.random() < 0.5:
        far = -np.abs(far) * np.eye(dimension)[0]
    clean = Distribution(z, rng.dirichlet(np.ones(n)))
    contaminated = Distribution(far, rng.dirichlet(np.ones(k)))
    clean_probability = rng.uniform(0.5, 1)
    count = int(rng.integers(2, 7))
    return MicroBatches(clean, contaminated, clean_probability, count)


def pair(free: np.ndarray, count: int) -> MicroBatches:
    """Two clean atoms and one contaminated, from three numbers without constraint."""
    usual, clean = 1 / (1 + np.exp(-free[:2]))
    atoms = np.array([[-1.0], [usual / (1 - usual)]])
    noise = Distribution(atoms, np.array([usual, 1 - usual]))
    far = Distribution(np.array([[-np.exp(free[2])]]), np.ones(1))
    return MicroBatches(noise, far, 0.5 + clean / 2, count)


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of the balance at random points, and of the radius at exact ones.

    Random laws with m from 2 to 6, the law that attains the bound, and a search over
    two clean atoms and one contaminated. An improvement makes the radius smaller by
    that fraction.
    """
    slacks = []
    for _ in range(1000):
        micro_batches = random_micro_batches(rng, int(rng.integers(1, 4)))
        gradient = micro_batches.noise.scale * rng.lognormal(0, 1)
        slacks.append(micro_batches.slack(gradient))
    for _ in range(150):
        slacks.append(random_micro_batches(rng, 1).excess(improvement))
    slacks.append(pair(np.array([1e-6, 30.0, 0.0]), 60).excess(improvement))

    def objective(free: np.ndarray, count: int) -> float:
        return min(pair(free, count).excess(improvement), 2.0)

    for count in (2, 6, 20):
        start = np.array([0.5, 2.0, 1.0]) + rng.normal(size=3) / 2
        slacks.append(
            smallest(objective, start, (count,), iterations=60, precision=1e-4)
        )
    return float(min(slacks))
