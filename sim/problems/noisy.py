"""Gradients with noise on them: a benign sample has ∇f + ξ, whatever the loss.

The noise laws are those of analysis/spec/noise.py, drawn sample by sample. With
domains, sample s has the noise of its domain k(s), and the gradient of that domain's
loss: ∇f + shift_k.
"""

from typing import Any

import numpy as np

from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Rare, StudentT
from sim.problems.problem import Problem, weighted_sums
from sim.random.addresses import DrawsLike
from sim.random.philox import COMPOSITION, GAMMA, LABEL, NORMALS


class NoisyGradient(Problem):
    """Base of the problems that a GradientModel describes.

    `pure`: the samples of a micro-batch share a domain, instead of having one each.
    """

    def __init__(
        self, model: GradientModel, xp: Any = np, dtype: Any = None, pure: bool = False
    ) -> None:
        super().__init__(model, xp, dtype)
        self.pure = pure
        laws = [noise for _, noise in model.parts]
        self.edges = np.cumsum([weight for weight, _ in model.parts])[:-1]
        self.shifts = self.array(model.domain_shifts())
        self.first = self.array(np.arange(self.dimension) == 0)

        def column(value: Any) -> Any:
            """A number for each domain [domains]."""
            return self.array([value(law) for law in laws])

        def of(kind: Any, value: Any) -> Any:
            """The same for laws of one kind, 0 for the others."""
            return column(lambda law: value(law) if isinstance(law, kind) else 0.0)

        root = self.dimension**0.5
        self.size = column(
            lambda law: (
                (_heavy(law) if isinstance(law, StudentT) else law.gaussian) / root
            )
        )
        self.heavy = of(StudentT, lambda law: 1.0)
        chance = [getattr(law, "probability", 0.0) for law in laws]
        self.chance = self.xp.asarray(chance, dtype=self.xp.float64)
        self.hit, self.miss = (
            of(Rare, lambda law: law.hit),
            of(Rare, lambda law: law.miss),
        )
        self.unit = of(Gamma, lambda law: law.unit)
        self.shape = of(Gamma, lambda law: law.shape) + of(
            StudentT, lambda law: law.degrees / 2
        )
        self.has_rare = any(isinstance(law, Rare) for law in laws)
        self.has_gamma = any(isinstance(law, (Gamma, StudentT)) for law in laws)

    def sample_sums(self, w: Any, wrong: Any, draws: DrawsLike) -> Any:
        """Sums of benign gradients [R, m, d]: those of the losses, and the noise."""
        xp, (R, m, b), d = self.xp, wrong.shape, self.dimension
        benign = xp.astype(~wrong, self.dtype)
        domain = self._domains(draws, (R, m, b))
        size, along = self._noise(draws, domain, (R, m, b))
        count = xp.sum(benign, axis=-1)[..., None]
        z = xp.reshape(draws.normals(NORMALS, m * b * d), (R, m, b, d))
        sums = count * self.gradient(w)[:, None, :] + weighted_sums(size * benign, z)
        if self.has_gamma or self.has_rare:
            sums = sums + xp.sum(along * benign, axis=-1)[..., None] * self.first
        if len(self.edges) > 0:
            numbers = xp.arange(self.shifts.shape[0], dtype=domain.dtype)
            member = xp.astype(domain[..., None] == numbers, self.dtype)
            members = xp.sum(member * benign[..., None], axis=-2)
            sums = sums + members @ self.shifts
        return sums

    def _noise(
        self, draws: DrawsLike, domain: Any, shape: tuple[int, int, int]
    ) -> tuple[Any, Any]:
        """Each sample's Gaussian deviation [R, m, b], and its term along e₁."""
        xp, (R, m, b) = self.xp, shape

        def each(column: Any) -> Any:
            """The numbers of the samples' domains [R, m, b]."""
            if len(self.edges) == 0:
                return xp.broadcast_to(column[0], (R, m, b))
            return xp.reshape(xp.take(column, xp.reshape(domain, (-1,))), (R, m, b))

        size = each(self.size)
        along = xp.astype(xp.zeros_like(size), self.dtype)
        if self.has_gamma:
            shapes = xp.reshape(each(self.shape), (R, m * b))
            x = xp.reshape(draws.gamma(GAMMA, shapes), (R, m, b))
            heavy = each(self.heavy) > 0
            length = xp.sqrt(xp.where(heavy, x, xp.ones_like(x)))
            size = xp.where(heavy, size / length, size)
            along = each(self.unit) * (x - each(self.shape))
        if self.has_rare:
            u = xp.reshape(draws.uniforms(COMPOSITION, m * b), (R, m, b))
            rare = u < each(self.chance)
            along = along + xp.where(rare, each(self.hit), each(self.miss))
        return size, along

    def _domains(self, draws: DrawsLike, shape: tuple[int, int, int]) -> Any:
        """The domain of each sample [R, m, b]; None without domains."""
        if len(self.edges) == 0:
            return None
        xp, (_, m, b) = self.xp, shape
        u = xp.reshape(draws.uniforms(LABEL, m * b), shape)
        if self.pure:
            u = xp.broadcast_to(u[:, :, :1], shape)
        return sum(xp.astype(u >= float(edge), xp.int64) for edge in self.edges)


def _heavy(law: Any) -> float:
    """√X, X ~ Γ(degrees/2), times the noise's deviation; 0 for other laws."""
    return (
        law.scale * ((law.degrees - 2) / 2) ** 0.5 if isinstance(law, StudentT) else 0.0
    )
