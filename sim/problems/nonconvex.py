"""A smooth loss with many stationary points: a quadratic with a wave on it.

    f(w) = w·Λw/2 + A Σ_i (1 - cos(k w_i)),    ∂f/∂w_i = λ_i w_i + A k sin(k w_i)

with amplitude A >= 0 and frequency k. Its second derivative is λ_i + A k² cos(k w_i),
so L = max λ + A k², attained at w = 0, and where A k² > λ_i the loss is not convex;
where A k is larger than the pull λ_i|w_i| of the bowl it has further local minima. f* =
0, at w = 0 only. Noise and draggers are those of the quadratic problem.
"""

from typing import Any, ClassVar

import numpy as np

from analysis.spec.model import GradientModel
from sim.problems.quadratic import Quadratic


class NonConvex(Quadratic):
    """f(w) = w·Λw/2 + A Σ_i (1 - cos(k w_i)) with additive noise."""

    assumptions: ClassVar[dict[str, str]] = {
        "A1": "f >= 0, reached at w = 0",
        "A2": "L = max λ + A k², attained at w = 0",
        "A3": "holds",
        "A4": "α = 1; less where draggers do not point straight back",
    }

    def __init__(self, model: GradientModel, xp: Any = np, dtype: Any = None) -> None:
        super().__init__(model, xp, dtype)
        assert model.nonconvex is not None
        self.A, self.k = model.nonconvex.amplitude, model.nonconvex.frequency
        self.smoothness += self.A * self.k**2

    def loss(self, w: Any) -> Any:
        """w·Λw/2 + A Σ_i (1 - cos(k w_i))."""
        return super().loss(w) + self.A * self.xp.sum(
            1 - self.xp.cos(self.k * w), axis=-1
        )

    def gradient(self, w: Any) -> Any:
        """Λw + A k sin(k w)."""
        return self.hessian(w) + self.A * self.k * self.xp.sin(self.k * w)
