"""A benign population of several parts, each with its own minimum and its own noise.

    f_k(w) = (w - o_k)·Λ(w - o_k)/2,    f = Σ_k weight_k f_k - constant = (w - c)·Λ(w -
    c)/2

with the centre c = Σ_k weight_k o_k; the constant is such that f* = 0. A sample of
domain k has the gradient ∇f(w) + Λ(c - o_k) + ξ_k: the spread of the domains is noise
that micro-batches average, if the samples of a micro-batch come from all domains
(mixed), and do not, if they all come from one (pure). L = max λ.
"""

from typing import Any, ClassVar

import numpy as np

from analysis.spec.model import GradientModel
from sim.problems.quadratic import Quadratic


class Domains(Quadratic):
    """Quadratics with different minima, mixed by sample or by micro-batch."""

    assumptions: ClassVar[dict[str, str]] = {
        "A1": "f >= 0, reached at the centre of the domains",
        "A2": "L = max λ, exact unless draggers are orthogonal",
        "A3": (
            "holds for mixed domains; for pure ones micro-batches are i.i.d. "
            "but samples are not"
        ),
        "A4": "α = 1; less where draggers do not point straight back",
    }

    def __init__(
        self, model: GradientModel, xp: Any = np, dtype: Any = None, pure: bool = False
    ) -> None:
        super().__init__(model, xp, dtype, pure)
        self.centre = self.array(model.centre)

    def loss(self, w: Any) -> Any:
        """(w - c)·Λ(w - c)/2."""
        return super().loss(w - self.centre)

    def gradient(self, w: Any) -> Any:
        """Λ(w - c)."""
        return self.hessian(w - self.centre)
