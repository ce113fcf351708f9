"""What all problems share: who is a dragger, and gradients that are not from data.

A problem is a population of samples whose mean loss is f. One step takes B samples,
every one a dragger with probability ε while draggers are active, and averages their
gradients by micro-batch.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from analysis.spec.learning import LearningModel
from analysis.spec.model import GradientModel
from analysis.spec.rule import micro_batches
from sim.random.addresses import Draws, DrawsLike, Shared
from sim.random.philox import NORMALS, SAMPLE


class Problem(ABC):
    """A population of samples; arrays are of library xp and its float type dtype.

    dimension: number of parameters d. dragger_fraction: the ε of the simulation.
    smoothness: L, a bound of the Lipschitz constant of ∇f. minimum: f*. assumptions:
    how the problem stands to the assumptions of paper_notes/bounds.md, by their names.
    """

    smoothness: float
    minimum: float
    assumptions: ClassVar[dict[str, str]]

    def __init__(
        self, model: GradientModel | LearningModel, xp: Any = np, dtype: Any = None
    ) -> None:
        self.xp, self.dtype = xp, xp.float64 if dtype is None else dtype
        self.dimension, self.dragger_fraction = model.dimension, model.dragger_fraction
        dragger: Any = model.dragger
        self.dragger, self.corrupted = dragger, dragger.law == "corrupted"
        self.direction: Any = None
        if not self.corrupted and dragger.direction is not None:
            self.direction = self.array(dragger.unit_vector(self.dimension))

    def array(self, values: Any) -> Any:
        """Numbers as an array of this problem's library and float type."""
        return self.xp.asarray(np.asarray(values, np.float64), dtype=self.dtype)

    @abstractmethod
    def loss(self, w: Any) -> Any:
        """The loss f of the benign population at w [..., d], one for each [...]."""

    @abstractmethod
    def gradient(self, w: Any) -> Any:
        """∇f at w [..., d], exact."""

    @abstractmethod
    def sample_sums(self, w: Any, wrong: Any, draws: DrawsLike) -> Any:
        """Sum of the samples' gradients in each micro-batch [R, m, d], at w [R, d].

        `wrong` [R, m, b] says which samples are draggers: they count as corrupted
        samples if these are the draggers of the problem, else not at all.
        """

    def active(self, iteration: int, gradient_norm: Any) -> Any:
        """Whether there are draggers [R], given ‖∇f‖ [R]."""
        window, xp = self.dragger.active, self.xp
        if window is None:
            return xp.ones_like(gradient_norm, dtype=xp.bool)
        if window.iterations is not None:
            begin, end = window.iterations
            return xp.full_like(gradient_norm, begin <= iteration < end, dtype=xp.bool)
        low, high = window.gradient_norm
        return (gradient_norm >= low) & (gradient_norm < high)

    def micro_batch_gradients(
        self, w: Any, b: int, batch_size: int, draws: Draws, *, active: Any
    ) -> tuple[Any, Any]:
        """Mean gradients of the micro-batches [R, m, d], and the clean ones [R, m].

        w [R, d]; micro-batches of b samples, the last one of what is left; `draws` are
        those of this step; `active` [R] says where there are draggers.
        """
        cut = micro_batches(batch_size, b)
        if len(cut) == 1:
            return self._equal(w, (batch_size // b, b), draws, active)
        (_, whole), (rest, _) = cut
        shared = Shared(draws, batch_size)
        parts = [
            self._equal(w, (whole, b), shared.part(0, whole * b), active),
            self._equal(w, (1, rest), shared.part(whole * b, rest), active),
        ]
        g, clean = (self.xp.concat(pair, axis=1) for pair in zip(*parts, strict=True))
        return g, clean

    def _equal(
        self, w: Any, cut: tuple[int, int], draws: DrawsLike, active: Any
    ) -> tuple[Any, Any]:
        """Likewise for `cut` = (m, b), m micro-batches of b samples each."""
        xp = self.xp
        m, b = cut
        shape = (w.shape[0], m, b)
        if self.dragger_fraction > 0:
            wrong = draws.uniforms(SAMPLE, m * b) < self.dragger_fraction
            wrong = xp.reshape(wrong & active[:, None], shape)
        else:
            wrong = xp.zeros_like(xp.broadcast_to(active[:, None, None], shape))
        sums = self.sample_sums(w, wrong, draws)
        if not self.corrupted and self.dragger_fraction > 0:
            sums = sums + self._replaced_sums(w, wrong, draws)
        return sums / b, ~xp.any(wrong, axis=-1)

    def _replaced_sums(self, w: Any, wrong: Any, draws: DrawsLike) -> Any:
        """Sum of each micro-batch's dragger gradients [R, m, d] (spec/draggers.py)."""
        xp, law, norm = self.xp, self.dragger.law, self.dragger.norm
        if law == "isotropic":
            size, d = norm / self.dimension**0.5, self.dimension
            z = xp.reshape(
                draws.normals(NORMALS, wrong[0, ...].size * d), (*wrong.shape, d)
            )
            return size * weighted_sums(xp.astype(wrong, self.dtype), z)
        count = xp.sum(xp.astype(wrong, self.dtype), axis=-1)[..., None]
        if law in ("persistent", "orthogonal"):
            return count * (norm * self.direction)
        a = self.gradient(w)[:, None, :]
        if law == "additive":
            return count * (a + norm * self.direction)
        length = xp.sqrt(xp.sum(a * a, axis=-1, keepdims=True))
        return count * (-norm * a / xp.where(length == 0, xp.ones_like(length), length))


def weighted_sums(weight: Any, x: Any) -> Any:
    """Sum over a micro-batch of weight [R, m, b] times x [R, m, b, d]: [R, m, d]."""
    return (weight[:, :, None, :] @ x)[:, :, 0, :]
