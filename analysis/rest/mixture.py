"""A micro-batch's mean gradient as an exact mixture of Gaussian vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.rest.axes import span
from analysis.rest.gamma_quadrature import gamma_rule
from analysis.rest.resolution import LARGEST, RESOLUTION
from analysis.spec.checking import refuse
from analysis.spec.composition import (
    Compositions,
    TooManyCompositionsError,
    of_groups,
    of_mixed_samples,
)
from analysis.spec.model import GradientModel, MicroBatchMean
from analysis.spec.noise import Gamma, Noise

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A micro-batch's mean gradient g by composition c, in the span's coordinates.

    g = benign·a - backward·a/‖a‖ + offset + stretch·X e₁ + scale·N(0, I) at a = ∇f,
    with X ~ Γ(shape) where shape > 0. One entry per composition: weight, benign,
    backward, scale, shape, stretch [c], offset [c, axes]. scale is 0 for a composition
    without Gaussian noise, and only such a one has a shape: gamma noise with a Gaussian
    part is summed by quadrature.
    """

    dimension: int
    weight: Array
    benign: Array
    backward: Array
    offset: Array
    scale: Array
    shape: Array
    stretch: Array

    @property
    def axes(self) -> int:
        """Number of coordinates; 1 when every mean lies on one line."""
        return self.offset.shape[1]

    @cached_property
    def noisy(self) -> NDArray[np.bool_]:
        """Which compositions have Gaussian noise [c]."""
        return self.scale > 0

    @cached_property
    def equal_scales(self) -> list[NDArray[np.intp]]:
        """The compositions with Gaussian noise, own numbering, by equal scale."""
        scale = self.scale[self.noisy]
        order = np.argsort(scale, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(scale[order])) + 1)

    @property
    def reach(self) -> float:
        """How far the draggers and the rare samples can move a mean."""
        return float(np.linalg.norm(self.offset, axis=1).max() + self.backward.max())

    def with_another_axis(self) -> "Mixture":
        """In coordinates with one axis more, along which no mean lies."""
        return replace(self, offset=np.pad(self.offset, ((0, 0), (0, 1))))

    def only(self, keep: NDArray[np.bool_]) -> "Mixture":
        """The compositions where `keep` [c] is true, probabilities not rescaled."""
        columns = {f.name: getattr(self, f.name)[keep] for f in fields(self)[1:]}
        return replace(self, **columns)

    def thinned(self, probability: float) -> "Mixture":
        """Without the least likely compositions, at most that probability in total."""
        order = np.argsort(self.weight)
        keep = np.ones(order.size, dtype=bool)
        keep[order[np.cumsum(self.weight[order]) <= probability]] = False
        thin = self.only(keep)
        return replace(thin, weight=thin.weight / thin.weight.sum())

    def lumped(self) -> "Mixture":
        """Compositions of nearly the same mean and scale as one: for a rough look."""
        size = np.round(4 * np.log(np.where(self.noisy, self.scale, 1.0)))
        largest = np.abs(self.offset).max(axis=1)
        cell = np.where(
            self.noisy, np.exp(size / 4), np.where(largest > 0, largest, 1.0)
        )
        place = np.column_stack([self.offset, self.backward]) / cell[:, None]
        keys = np.column_stack(
            [self.noisy, size, self.shape, self.stretch, 10 * self.benign, place]
        )
        _, which = np.unique(np.round(keys), axis=0, return_inverse=True)
        which = which.ravel()
        weight: Array = np.bincount(which, self.weight).astype(np.float64)

        def mean(column: Array) -> Array:
            if column.ndim > 1:
                return np.stack([mean(part) for part in column.T], axis=1)
            return np.asarray(np.bincount(which, self.weight * column) / weight)

        columns: dict[str, Any] = {
            f.name: mean(getattr(self, f.name)) for f in fields(self)[2:]
        }
        return replace(self, weight=weight, **columns)

    def means(self, a: Array) -> Array:
        """Mean gradient (for X = 0) of each composition [c, axes] at a = ∇f [axes]."""
        length = float(np.linalg.norm(a))
        unit = a / length if length > 0 else np.zeros_like(a)
        return self.benign[:, None] * a - self.backward[:, None] * unit + self.offset


def mixture(model: GradientModel, micro_batch_size: int, group: int = 1) -> Mixture:
    """The mixture for micro-batches of b samples, up to a total probability of 1e-13.

    `group` samples at a time share a domain: 1 when each has its own, b when a
    micro-batch has one. Raises TooManyCompositionsError for more than 200 000
    compositions, and SpecificationError where noise without a Gaussian part has no
    known distribution.
    """
    kinds = _Kinds.enumerated(model, micro_batch_size, group)
    table = kinds.table
    mean = kinds.mean()
    axes = span(model)
    dragger = np.zeros(table.weight.size) + mean.dragger
    offset = mean.first_axis[:, None] * axes.first + dragger[:, None] * axes.direction
    for clean, shift in zip(table.clean, axes.shifts, strict=True):
        offset += clean[:, None] / micro_batch_size * shift
    shape, stretch = kinds.gamma_alone()
    return Mixture(
        dimension=model.dimension,
        weight=table.weight / table.weight.sum(),
        benign=mean.benign,
        backward=dragger if model.dragger.law == "opposing" else np.zeros_like(dragger),
        offset=offset,
        scale=kinds.scale(),
        shape=shape,
        stretch=stretch,
    )


@dataclass(frozen=True)
class _Kinds:
    """A micro-batch's compositions, and what each of the model's noises draws in them.

    noises: the different ones of the model; table.draws [noises, c] is 0 for gamma
    noise without a Gaussian part, see Mixture.
    """

    model: GradientModel
    noises: tuple[Noise, ...]
    table: Compositions

    @classmethod
    def enumerated(cls, model: GradientModel, samples: int, group: int) -> "_Kinds":
        """All compositions of a micro-batch of that many samples."""
        if group == 1 or len(model.parts) == 1:
            table = of_mixed_samples(model, samples, RESOLUTION)
        else:
            table = of_groups(model, samples, RESOLUTION, group)
        noises = tuple(dict.fromkeys(noise for _, noise in model.parts))
        kinds = cls(model, noises, table)
        for noise in noises:
            kinds = replace(kinds, table=kinds._with_draw(noise))
        return kinds

    def samples_of(self, noise: Noise) -> NDArray[np.int64]:
        """How many benign samples have this noise [c]."""
        parts = zip(self.table.clean, self.model.parts, strict=True)
        return np.sum([clean for clean, (_, other) in parts if other == noise], axis=0)

    def scale(self) -> Array:
        """Standard deviation of the Gaussian part in each coordinate [c]."""
        undrawn = [
            (noise, self.samples_of(noise), np.zeros(1)) for noise in self.noises
        ]
        table = self.table
        variance = self.model.composition_mean(
            table.samples, table.draggers, undrawn
        ).variance
        return np.asarray(np.sqrt(variance + np.zeros(table.weight.size)))

    def mean(self) -> MicroBatchMean:
        """What the mean gradient is made of, every entry [c]."""
        benign = [
            (noise, self.samples_of(noise), draw)
            for noise, draw in zip(self.noises, self.table.draws, strict=True)
        ]
        return self.model.composition_mean(
            self.table.samples, self.table.draggers, benign
        )

    def _with_draw(self, noise: Noise) -> Compositions:
        """The table with what this noise draws."""
        samples = self.samples_of(noise)
        if isinstance(noise, Gamma) and noise.scale > 0:
            unit = abs(noise.unit) / self.table.samples
            return self.table.with_draw(
                lambda n, width: gamma_rule(n * noise.shape, width / unit),
                samples,
                self.scale(),
            )
        return self.table.with_binomial_draw(samples, noise.probability)

    def gamma_alone(self) -> tuple[Array, Array]:
        """Shape and stretch [c] of gamma noise without a Gaussian part, else zeros."""
        shape, stretch = (
            np.zeros(self.table.weight.size),
            np.zeros(self.table.weight.size),
        )
        for noise in self.noises:
            if isinstance(noise, Gamma) and noise.scale > 0:
                samples = self.samples_of(noise)
                alone = (self.scale() == 0) & (samples > 0)
                if (alone & (shape > 0)).any():
                    allowed = "one law or a Gaussian part > 0"
                    refuse("model.domains", "different gamma laws", allowed)
                shape = np.where(alone, samples * noise.shape, shape)
                stretch = np.where(alone, noise.unit / self.table.samples, stretch)
        return shape, stretch


def average(mixtures: Sequence[Mixture], weights: Sequence[float]) -> Mixture:
    """The distribution of a weighted sum of independent means, in their coordinates.

    Raises TooManyCompositionsError for more than 200 000 compositions, and
    SpecificationError for gamma noise without a Gaussian part, whose weighted sums have
    no known distribution.
    """
    if any((part.shape > 0).any() for part in mixtures):
        refuse(
            "model.noise.gaussian",
            0.0,
            "> 0 for the exact bias of unequal micro-batches' mean",
        )
    whole, weight = mixtures[0], weights[0]
    whole = replace(
        whole,
        benign=weight * whole.benign,
        backward=weight * whole.backward,
        offset=weight * whole.offset,
        scale=weight * whole.scale,
    )
    for part, weight in zip(mixtures[1:], weights[1:], strict=True):
        whole = _sum(whole, part, weight)
    return whole


def _sum(whole: Mixture, part: Mixture, weight: float) -> Mixture:
    """The distribution of whole + weight·part."""
    probability = np.outer(whole.weight, part.weight).ravel()
    kept = np.flatnonzero(RESOLUTION.keeps(probability))
    if kept.size > LARGEST:
        allowed = (
            f"a divisor of the batch size (more than {LARGEST} kinds of mini-batch)"
        )
        raise TooManyCompositionsError(
            f"algorithm.micro_batch_sizes = 'unequal': must be {allowed}"
        )
    i, j = np.divmod(kept, part.weight.size)
    return replace(
        whole,
        weight=probability[kept] / probability[kept].sum(),
        benign=whole.benign[i] + weight * part.benign[j],
        backward=whole.backward[i] + weight * part.backward[j],
        offset=whole.offset[i] + weight * part.offset[j],
        scale=np.hypot(whole.scale[i], weight * part.scale[j]),
        shape=np.zeros(kept.size),
        stretch=np.zeros(kept.size),
    )
