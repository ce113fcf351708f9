"""A rule's update on a model: what is clipped as one, and the expected update E ψ(g).

With i.i.d. micro-batches Algorithm 1 follows E[ψ(g)], ψ(v) = H(‖v‖) v/‖v‖, where H' =
S^(m-1) and S(t) = P(‖g‖ > t). Integrating by parts,

    E[ψ(g)] = ∫_0^∞ H'(t) C(t) dt,    C(t) = E[u; ‖g‖ > t],    u = g/‖g‖,

and the other rules differ in H' only: see `analysis.spec.rule.Rule`.

Where the last micro-batch is smaller, each has tails S_j and C_j of its own. The
smallest norm of the others exceeds t with probability Π_{i≠j} S_i(t), and the same
integration by parts gives

    E[update] = (1/m) Σ_j ∫_0^∞ Π_{i≠j} S_i(t) C_j(t) dt,    E ρ = ∫_0^∞ Π_i S_i(t) dt.

For normalized and fixed it is the average over the micro-batches; global clips the mean
of the micro-batches' means, whose distribution is that of a weighted sum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.rest.axes import Span, span
from analysis.rest.chi import mean_cosine
from analysis.rest.clouds import cloud
from analysis.rest.discrete import discrete
from analysis.rest.mixture import Mixture, average, mixture
from analysis.rest.tails import Tails, joint_tails
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule

Array = NDArray[np.float64]


class Part(NamedTuple):
    """The mean of samples, `group` each of one domain, and its weight in a unit."""

    samples: int
    group: int
    weight: float = 1.0


@dataclass(frozen=True)
class Unit:
    """What is clipped as one, the weighted mean of its parts, and how many a step has.

    A micro-batch is one part. With `global` the mini-batch is a unit; where the last
    micro-batch is smaller, its samples have a larger weight and are a second part.
    """

    parts: tuple[Part, ...]
    count: int

    def distribution(self, model: GradientModel) -> Mixture:
        """The distribution of its gradient. Raises as `mixture` and `average` do."""
        means = [mixture(model, part.samples, part.group) for part in self.parts]
        if len(means) == 1:
            return means[0]
        return average(means, [part.weight for part in self.parts])

    def noise_scale(self, model: GradientModel) -> float:
        """Total standard deviation of its gradient without draggers."""
        return math.hypot(
            *(
                part.weight * model.noise_scale(part.group) / math.sqrt(part.samples)
                for part in self.parts
            )
        )


def clipped_units(clipping: Clipping) -> tuple[Unit, ...]:
    """The units that the rule clips."""

    def group(samples: int) -> int:
        return samples if clipping.pure else 1

    if not clipping.rule.clips_mini_batch:
        return tuple(Unit((Part(b, group(b)),), count) for b, count in clipping.cut)
    m = clipping.micro_batches
    parts = (Part(b * count, group(b), count / m) for b, count in clipping.cut)
    return (Unit(tuple(parts), 1),)


class Gradients(NamedTuple):
    """Independent gradients of one distribution, each of them clipped."""

    distribution: Mixture
    number: float


@dataclass(frozen=True)
class Update:
    """The update of a rule on a model.

    Distributions are computed when they are first asked for, and kept. Raises
    SpecificationError for a model that is only simulated.
    """

    model: GradientModel
    clipping: Clipping

    def __post_init__(self) -> None:
        self.model.require_exact()

    @cached_property
    def span(self) -> Span:
        """The axes along which the mean gradients lie."""
        return span(self.model)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """What is clipped."""
        return clipped_units(self.clipping)

    @cached_property
    def gradients(self) -> tuple[Gradients, ...]:
        """The distributions of what is clipped, and how many there are of each."""
        return tuple(
            Gradients(unit.distribution(self.model), unit.count) for unit in self.units
        )

    def expected(self, a: Array) -> Array:
        """E[direction of the update] [axes] at a = ∇f [axes]."""
        return mean_update(self.gradients, a, self.clipping).vector

    def clipping_norm(self, a: Array) -> float:
        """E ρ of Algorithm 1 at a = ∇f [axes]: the mean of the smallest norm."""
        return smallest_norm(self.gradients, a)


class MeanUpdate(NamedTuple):
    """E[direction of the update] [axes], and the mean length that one unit adds."""

    vector: Array
    length: float


def expected_update(
    law: Mixture, a: Array, clipping: Clipping, *, rough: bool = False
) -> Array:
    """E[direction of the update] [axes] at a = ∇f [axes], units of one distribution.

    The direction is subtracted from w after multiplication with the step size. The
    relative error is about 1e-9, with `rough` 1e-6.
    """
    return mean_update(
        ((law, clipping.micro_batches),), a, clipping, rough=rough
    ).vector


def mean_update(
    gradients: Sequence[tuple[Mixture, float]],
    a: Array,
    clipping: Clipping,
    *,
    rough: bool = False,
) -> MeanUpdate:
    """Likewise for units of several distributions, with the number of each."""
    m = sum(count for _, count in gradients)
    shares = [count / m for _, count in gradients]
    if clipping.rule is Rule.NORMALIZED:
        directions = [
            share * _mean_direction(law, a)
            for share, (law, _) in zip(shares, gradients, strict=True)
        ]
        return MeanUpdate(np.sum(directions, axis=0), 1.0)
    tails = joint_tails([law for law, _ in gradients], a, clipping.limit, rough=rough)
    update = np.zeros_like(a)
    length = 0.0
    for k, t in enumerate(tails):
        others = None
        if clipping.rule.depends_on_m:
            others = survival(
                tails, [count - (j == k) for j, (_, count) in enumerate(gradients)]
            )
        slope = clipping.rule.score_derivative(t.nodes, others, clipping.limit)
        update = update + shares[k] * np.einsum(
            "pn,pn,pna->a", t.measure, slope, t.direction
        )
        length += shares[k] * float(
            np.einsum("pn,pn,pn->", t.measure, slope, t.survival)
        )
    return MeanUpdate(update, length)


def _mean_direction(law: Mixture, a: Array) -> Array:
    """E u [axes] at a = ∇f [axes]."""
    noisy, still = cloud(law, a), discrete(law, a)
    cosine = mean_cosine(law.dimension, noisy.kappa)
    update = cosine / np.where(noisy.kappa > 0, noisy.kappa, 1.0) @ noisy.vector
    update += still.weight @ still.unit
    update[0] += still.mean_sign()
    return np.asarray(update)


def survival(tails: Sequence[Tails], powers: Sequence[float]) -> Array:
    """Π_k S_k(t)^powers_k at the nodes [p, n]: P(so many norms all exceed t)."""
    result = tails[0].survival ** powers[0]
    for t, power in zip(tails[1:], powers[1:], strict=True):
        result = result * t.survival**power
    return np.asarray(result)


def clipping_norm(law: Mixture, a: Array, m: float) -> float:
    """E ρ = ∫_0^∞ S(t)^m dt: mean of the smallest of m norms at a = ∇f [axes]."""
    return smallest_norm(((law, m),), a)


def smallest_norm(gradients: Sequence[tuple[Mixture, float]], a: Array) -> float:
    """Likewise for several distributions: ∫_0^∞ Π_k S_k(t)^count_k dt."""
    tails = joint_tails([law for law, _ in gradients], a)
    together = survival(tails, [count for _, count in gradients])
    return float(np.einsum("pn,pn->", tails[0].measure, together))
