"""Logistic regression of two Gaussian classes, some samples with the wrong label.

    y = 1 with probability π, else 0;    x|y ~ N(±μ, I) z = u·x + c,    f(u, c) =
    E[log(1 + e^z) - y z],    sample gradient (σ(z) - y)·(x, 1)

with w = (u, c) and σ(z) = 1/(1 + e^-z). The true log odds of y given x are 2μ·x +
log(π/(1 - π)), so that f is smallest at u = 2μ, c = log(π/(1 - π)), where f* is the
conditional entropy of y. Since σ' <= 1/4, L = λ_max(E (x, 1)(x, 1)ᵀ)/4, attained at w =
0.

Given y, z is N(±u·μ + c, ‖u‖²), so f and ∇f are integrals over one normal variable t:

    ∇_u f = Σ_y P(y)·(±μ E[σ(z) - y] + u E[σ'(z)])    (Stein's lemma),    ∇_c f =
    E[σ(z) - y]

They are computed by the trapezoidal rule, whose error for integrands analytic in a
strip decreases faster than any power of the spacing (Goodwin 1949): below 1e-12 for ‖u‖
<= 10.

A corrupted sample has the other label, and features (not the intercept's 1) times
`leverage`.
"""

from typing import Any, ClassVar

import numpy as np

from analysis.spec.learning import LearningModel
from sim.problems.problem import Problem, weighted_sums
from sim.random.addresses import DrawsLike
from sim.random.philox import FEATURES, LABEL

NODES = 257
REACH = 8.5  # the normal density beyond is below 1e-16


class LogisticRegression(Problem):
    """Two Gaussian classes, an intercept, and flipped labels as draggers."""

    assumptions: ClassVar[dict[str, str]] = {
        "A1": "f >= f*, the entropy of the label given the features",
        "A2": "L = λ_max(E (x, 1)(x, 1)ᵀ)/4, attained at w = 0",
        "A3": "holds; a benign gradient is at most ‖(x, 1)‖ long",
        "A4": "α = 1; a flipped sample pulls straight back along its own (x, 1)",
    }

    def __init__(self, model: LearningModel, xp: Any = np, dtype: Any = None) -> None:
        super().__init__(model, xp, dtype)
        p = model.parameters
        self.positive, self.leverage = p.positive_fraction, p.leverage
        mean, odds = np.array(p.mean), np.log(self.positive / (1 - self.positive))
        self.mean, self.optimum = self.array(mean), self.array([*(2 * mean), odds])
        nodes = np.linspace(-REACH, REACH, NODES)
        weights = np.exp(-(nodes**2) / 2)
        self.nodes, self.weights = (
            self.array(nodes),
            self.array(weights / weights.sum()),
        )
        # in the plane of μ and the intercept; elsewhere the moment is 1
        mu = np.linalg.norm(mean)
        tilt = (2 * self.positive - 1) * mu
        self.smoothness = (
            float(np.linalg.eigvalsh([[1 + mu**2, tilt], [tilt, 1]])[-1]) / 4
        )
        self.minimum = float(self.loss(self.optimum))

    def _classes(self, w: Any) -> Any:
        """Label, sign and chance of each class, and z at the nodes [..., nodes]."""
        xp, u, c = self.xp, w[..., :-1], w[..., -1]
        along, length = xp.sum(u * self.mean, axis=-1), xp.sqrt(xp.sum(u * u, axis=-1))
        spread = length[..., None] * self.nodes
        for label, sign, chance in ((1, 1, self.positive), (0, -1, 1 - self.positive)):
            yield label, sign, chance, (sign * along + c)[..., None] + spread

    def _mean(self, values: Any) -> Any:
        """Mean over t of values at the nodes [..., nodes]."""
        # A matrix product would round differently for different numbers of replicates.
        return self.xp.sum(values * self.weights, axis=-1)

    def loss(self, w: Any) -> Any:
        """E[log(1 + e^z) - y z]."""
        xp = self.xp
        return sum(
            chance * self._mean(xp.logaddexp(z, xp.zeros_like(z)) - label * z)
            for label, _, chance, z in self._classes(w)
        )

    def gradient(self, w: Any) -> Any:
        """∇f = (∇_u f, ∇_c f)."""
        total: Any = 0.0
        for label, sign, chance, z in self._classes(w):
            p = sigmoid(z, self.xp)
            error, slope = self._mean(p - label), self._mean(p * (1 - p))
            by_u = sign * error[..., None] * self.mean + slope[..., None] * w[..., :-1]
            total = total + chance * self.xp.concat([by_u, error[..., None]], axis=-1)
        return total

    def sample_sums(self, w: Any, wrong: Any, draws: DrawsLike) -> Any:
        """Sums of (σ(z) - y)·(x, 1) over micro-batches [R, m, d]."""
        xp, (R, m, b), d = self.xp, wrong.shape, self.dimension - 1
        u, c = w[:, :-1], w[:, -1:]
        n = xp.reshape(draws.normals(FEATURES, m * b * d), (R, m * b, d))
        label = xp.astype(draws.uniforms(LABEL, m * b) < self.positive, self.dtype)
        sign = 2 * label - 1
        z = sign * xp.sum(u * self.mean, axis=-1, keepdims=True)
        z = (n @ u[..., None])[..., 0] + z
        error, by_x = self._errors(z, c, label, xp.reshape(wrong, (R, m * b)))

        def sums(values: Any) -> Any:
            """Over the samples of each micro-batch [R, m, 1]."""
            return xp.sum(xp.reshape(values, (R, m, b)), axis=-1)[..., None]

        by_u = weighted_sums(xp.reshape(by_x, (R, m, b)), xp.reshape(n, (R, m, b, d)))
        by_u = by_u + sums(by_x * sign) * self.mean
        return xp.concat([by_u, sums(error)], axis=-1)

    def _errors(self, z: Any, c: Any, label: Any, wrong: Any) -> tuple[Any, Any]:
        """σ(z + c) - y of each sample, and what multiplies its x.

        A corrupted sample has the other label and a longer x; a replaced one has no
        part in the sums.
        """
        xp = self.xp
        if not self.corrupted:
            error = (sigmoid(z + c, xp) - label) * xp.astype(~wrong, self.dtype)
            return error, error
        shown = xp.where(wrong, 1 - label, label)
        stretch = xp.ones_like(z)
        stretch = xp.where(wrong, self.leverage * stretch, stretch)
        error = sigmoid(stretch * z + c, xp) - shown
        return error, error * stretch


def sigmoid(z: Any, xp: Any) -> Any:
    """1/(1 + e^-z) without overflow."""
    return (1 + xp.tanh(z / 2)) / 2
