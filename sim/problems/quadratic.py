"""The quadratic loss with noise on its gradient.

    f(w) = w·Λw/2,    ∇f(w) = Λw,    sample gradient ∇f(w) + ξ

Λ is diagonal. Where draggers are orthogonal, f is flat along their direction v: Λ is
replaced by PΛP with P = I - vvᵀ. L = max λ, f* = 0 at w = 0. Everything about it can be
computed exactly, see analysis/rest/stable.py: the problem on which simulation and
theory meet.
"""

from typing import Any, ClassVar

import numpy as np

from analysis.spec.model import GradientModel
from sim.problems.noisy import NoisyGradient


class Quadratic(NoisyGradient):
    """f(w) = w·Λw/2 with additive noise."""

    minimum = 0.0
    assumptions: ClassVar[dict[str, str]] = {
        "A1": "f >= 0, reached at w = 0",
        "A2": "L = max λ, exact unless draggers are orthogonal",
        "A3": "holds",
        "A4": "α = 1; less where draggers do not point straight back",
    }

    def __init__(
        self, model: GradientModel, xp: Any = np, dtype: Any = None, pure: bool = False
    ) -> None:
        super().__init__(model, xp, dtype, pure)
        self.curvature = self.array(np.broadcast_to(model.curvature, model.dimension))
        self.smoothness = float(np.max(model.curvature))
        self.flat = self.direction if model.dragger.law == "orthogonal" else None

    def hessian(self, x: Any) -> Any:
        """Λx, or PΛPx, for x [..., d]."""
        return self._without_flat(self.curvature * self._without_flat(x))

    def _without_flat(self, x: Any) -> Any:
        if self.flat is None:
            return x
        return x - self.xp.sum(x * self.flat, axis=-1, keepdims=True) * self.flat

    def loss(self, w: Any) -> Any:
        """w·Λw/2."""
        return self.xp.sum(w * self.hessian(w), axis=-1) / 2

    def gradient(self, w: Any) -> Any:
        """Λw."""
        return self.hessian(w)
