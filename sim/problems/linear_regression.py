"""Least squares with corrupted responses.

    x ~ N(0, Σ), Σ = diag(spectrum),    y = x·w* + s·ζ, ζ ~ N(0, 1)
    f(w) = E(y - x·w)²/2 = (w - w*)·Σ(w - w*)/2 + s²/2,    sample gradient (x·w - y)x

L = max spectrum, f* = s²/2 at w = w*. A corrupted response is -M x·w* + s·ζ (opposed:
such samples alone would have their minimum at -M w*) or the constant M (they pull to 0,
with a leverage that grows with ‖x‖). The noise (x·w - y)x - ∇f is not of one size: its
variance at w* is s² tr Σ and grows with the square of ‖w - w*‖.

With a fixed data set of n points, drawn once for a seed, the round(εn) first ones are
corrupted, samples are drawn from it with replacement, and f is the mean over the other
points: the same formulae with the points' own second moments.
"""

import math
from typing import Any, ClassVar

import numpy as np

from analysis.spec.checking import refuse
from analysis.spec.learning import LearningModel
from sim.problems.problem import Problem, weighted_sums
from sim.random.addresses import Draws, DrawsLike
from sim.random.philox import DATA, FEATURES, LABEL, key


class LinearRegression(Problem):
    """Least squares; every sample is new."""

    assumptions: ClassVar[dict[str, str]] = {
        "A1": "f >= f* = s²/2, the least mean square over the data set if there is one",
        "A2": "L = the largest eigenvalue of the features' second moment, exact",
        "A3": "holds; the noise's variance grows with ‖w - w*‖",
        "A4": "α = 1; opposed responses pull to -M w*",
    }

    def __init__(self, model: LearningModel, xp: Any = np, dtype: Any = None) -> None:
        super().__init__(model, xp, dtype)
        self.about = p = model.parameters
        self.spectrum = self.array(np.broadcast_to(p.spectrum, self.dimension))
        self.optimum = self.array(np.broadcast_to(p.optimum, self.dimension))
        self.smoothness, self.minimum = float(np.max(p.spectrum)), p.noise**2 / 2

    def loss(self, w: Any) -> Any:
        """(w - w*)·Σ(w - w*)/2 + s²/2."""
        away = w - self.optimum
        return self.xp.sum(away * self.spectrum * away, axis=-1) / 2 + self.minimum

    def gradient(self, w: Any) -> Any:
        """Σ(w - w*)."""
        return self.spectrum * (w - self.optimum)

    def sample_sums(self, w: Any, wrong: Any, draws: DrawsLike) -> Any:
        """Sums of (x·w - y)x over micro-batches [R, m, d]."""
        xp, (R, m, b) = self.xp, wrong.shape
        x, y, corrupted = self.samples(xp.reshape(wrong, (R, m * b)), draws)
        flat = xp.reshape(wrong, (R, m * b))
        response = xp.where(flat, corrupted, y) if self.corrupted else y
        residual = (x @ w[..., None])[..., 0] - response
        if not self.corrupted:
            residual = residual * xp.astype(~flat, self.dtype)
        residual = xp.reshape(residual, (R, m, b))
        return weighted_sums(residual, xp.reshape(x, (R, m, b, self.dimension)))

    def samples(self, wrong: Any, draws: DrawsLike) -> tuple[Any, Any, Any]:
        """Features [R, B, d], responses [R, B], corrupted where `wrong`."""
        return self._drawn(draws, FEATURES, wrong.shape[1])

    def _drawn(
        self, draws: DrawsLike, features: int, count: int
    ) -> tuple[Any, Any, Any]:
        """The same for `count` new samples of each replicate."""
        xp, p = self.xp, self.about
        x = xp.reshape(
            draws.normals(features, count * self.dimension), (-1, count, self.dimension)
        )
        x = x * xp.sqrt(self.spectrum)
        signal = (x @ self.optimum[:, None])[..., 0]
        noise = p.noise * draws.normals(LABEL, count)
        if p.corruption == "constant":
            return x, signal + noise, xp.zeros_like(signal) + p.magnitude
        return x, signal + noise, noise - p.magnitude * signal


class LinearRegressionData(LinearRegression):
    """Least squares on a fixed data set, the same at all sizes and steps."""

    def __init__(
        self, model: LearningModel, seed: int, xp: Any = np, dtype: Any = None
    ) -> None:
        super().__init__(model, xp, dtype)
        n = self.about.samples
        draws = Draws(key(seed, 0, 0.0), range(1), 0, xp, self.dtype)
        x, y, corrupted = self._drawn(draws, DATA, n)
        self.wrong = min(round(model.dragger_fraction * n), n - 1)
        if self.wrong == 0 < model.dragger_fraction:
            allowed = (
                f"at least {math.ceil(1 / model.dragger_fraction)} for "
                "one wrong response"
            )
            refuse("model.linear_regression.samples", n, allowed)
        self.dragger_fraction = self.wrong / n
        self.x, self.y, self.response = x[0, ...], y[0, :], corrupted[0, :]
        good, target = self.x[self.wrong :, :], self.y[self.wrong :]
        size = n - self.wrong
        self.moment, self.pull = good.T @ good / size, good.T @ target / size
        self.constant = xp.sum(target * target) / (2 * size)
        self.smoothness = float(xp.linalg.eigvalsh(self.moment)[-1])
        best = xp.linalg.pinv(self.moment) @ self.pull
        self.minimum = float(self.loss(best))

    def loss(self, w: Any) -> Any:
        """Mean of (y - x·w)²/2 over the benign points."""
        half = self._turned(w) / 2 - self.pull
        return self.xp.sum(w * half, axis=-1) + self.constant

    def gradient(self, w: Any) -> Any:
        """Mean of (x·w - y)x over the benign points."""
        return self._turned(w) - self.pull

    def _turned(self, w: Any) -> Any:
        """Second moment times w [..., d], row by row.

        A row's result is the same whatever the other rows are.
        """
        return (w[..., None, :] @ self.moment)[..., 0, :]

    def samples(self, wrong: Any, draws: DrawsLike) -> tuple[Any, Any, Any]:
        """As in the base class, points of the data set."""
        xp, shape = self.xp, wrong.shape
        n, k = self.about.samples, self.wrong
        u = draws.uniforms(LABEL, shape[1])
        place = xp.where(wrong, u * k, k + u * (n - k))
        place = xp.reshape(xp.astype(xp.floor(place), xp.int64), (-1,))
        x = xp.reshape(xp.take(self.x, place, axis=0), (*shape, self.dimension))
        return (
            x,
            xp.reshape(xp.take(self.y, place), shape),
            xp.reshape(xp.take(self.response, place), shape),
        )
