"""Attack on `efficiency`: the fall of smooth losses in one step, law by law."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analysis.claims.attacks.distributions import (
    Distribution,
    mean_of,
    random_centred,
    random_points,
    random_weights,
)
from analysis.proof.claim import Claim

Array = np.ndarray
Loss = Callable[[Array], Array]


def random_loss(
    rng: np.random.Generator, point: Array, smoothness: float
) -> tuple[Loss, Array]:
    """An L-smooth loss of points [n, d], and its gradient at a point [d].

    An isotropic quadratic every third time; else another one, convex or not, or a sum
    of Huber losses and cosines.
    """
    d = point.size
    kind = rng.integers(3)
    if kind < 2:
        curvature = rng.uniform(-1, 1, d) if kind else np.ones(d)
        hessian = smoothness * curvature

        def quadratic(w: Array) -> Array:
            return np.asarray((w**2 @ hessian) / 2)

        return quadratic, hessian * point
    bend = rng.lognormal(0, 1, d)
    wave = rng.integers(2, size=d)

    def mixed(w: Array) -> Array:
        huber = np.where(np.abs(w) < bend, w**2 / 2, bend * (np.abs(w) - bend / 2))
        cosine = bend**2 * (1 - np.cos(w / bend))
        return np.asarray(smoothness * np.where(wave, cosine, huber).sum(1))

    slope = np.where(wave, bend * np.sin(point / bend), np.clip(point, -bend, bend))
    return mixed, smoothness * slope


class Case(NamedTuple):
    """A point, its loss, and a law of the update there; G = ‖∇f‖."""

    point: Array
    smoothness: float
    loss: Loss
    gradient: Array
    update: Distribution

    @property
    def norm(self) -> float:
        """G."""
        return float(np.linalg.norm(self.gradient))

    @property
    def pull(self) -> float:
        """⟨e, E δ⟩."""
        mean = self.update.probabilities @ self.update.atoms
        return float(mean @ self.gradient) / self.norm

    def fall(self, step: float) -> float:
        """E[f(w) - f(w⁺)]."""
        after = self.loss(self.point - step * self.update.atoms)
        return float(self.loss(self.point[None])[0] - self.update.probabilities @ after)


def random_case(rng: np.random.Generator, noise: Distribution | None) -> Case:
    """The update is this noise around the gradient, or else any that descends."""
    atoms = random_points(rng) if noise is None else noise.atoms
    point = np.asarray(rng.normal(size=atoms.shape[1]) * rng.lognormal(0, 1))
    smoothness = float(rng.lognormal(0, 1))
    loss, gradient = random_loss(rng, point, smoothness)
    if noise is None:
        update = Distribution(atoms, random_weights(rng, atoms))
    else:
        update = Distribution(gradient + atoms, noise.probabilities)
    case = Case(point, smoothness, loss, gradient, update)
    if case.pull < 0:  # the same law, turned round
        case = case._replace(update=Distribution(-update.atoms, update.probabilities))
    return case


def sgd_efficiency(
    gradient: Array, noise: Distribution, draggers: Distribution, fraction: float
) -> float:
    """⟨e, E ḡ⟩²/E‖ḡ‖², ḡ the mean of two samples, by all outcomes."""
    samples = Distribution(
        np.vstack([gradient + noise.atoms, draggers.atoms]),
        np.append(
            (1 - fraction) * noise.probabilities, fraction * draggers.probabilities
        ),
    )
    atoms, weights = mean_of(samples, 2)
    pull = weights @ atoms @ gradient / np.linalg.norm(gradient)
    return float(pull**2 / (weights @ (atoms**2).sum(1)))


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """The smallest slack of the fall at the best step, relative to G²/(2L).

    Every second law of the update is that of noise around the gradient. Also minus the
    difference of SGD's efficiency from that of all outcomes of two samples.
    """
    slacks = []
    for i in range(150):
        noise = random_centred(rng)
        draggers = random_centred(rng, noise.atoms.shape[1])
        fraction = rng.uniform(0.01, 0.9)
        around = random_case(rng, noise)
        case = around if i % 2 else random_case(rng, None)
        values = claim.evaluate(
            gradient_norm=[case.norm, around.norm],
            smoothness=case.smoothness,
            update_pull=case.pull,
            update_square=case.update.scale**2,
            batch_size=2,
            micro_batches=1,
            dragger_fraction=fraction,
            noise_scale=noise.scale,
            dragger_norm=draggers.scale,
        )
        guaranteed = (1 + improvement) * float(values["guaranteed_fall"][0])
        fall = case.fall(float(values["best_step"][0]))
        slacks.append((fall - guaranteed) / (case.norm**2 / (2 * case.smoothness)))
        direct = sgd_efficiency(around.gradient, noise, draggers, fraction)
        slacks.append(-abs(direct - float(values["sgd_efficiency"][1])))
    return min(slacks)
