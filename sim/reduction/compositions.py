"""The distribution of a micro-batch's composition as alias tables; a run's plan."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analysis.spec.composition import (
    Compositions,
    Resolution,
    of_mixed_samples,
    of_one_domain,
)
from analysis.spec.draggers import Active
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Rare
from analysis.spec.rule import micro_batches
from sim.reduction.plan import Array, Composition, Plan, Space, alias_table

Sizes = Sequence[tuple[float, int]]  # micro-batch sizes, and from where on they hold


def complete_binomial(n: int, q: float) -> tuple[int, Array]:
    """Probabilities of 0 … n successes, correct to rounding, and the first number, 0.

    Tables are tested by adding them up, so that the logarithms of the factorials are
    summed in extended precision.
    """
    k = np.arange(n + 1)
    factorial = np.cumsum(np.log(np.maximum(k, 1)), dtype=np.longdouble)  # logarithms
    ways = (factorial[n] - factorial - factorial[::-1]).astype(np.float64)
    probability: Array = np.exp(ways + k * np.log(q) + (n - k) * np.log1p(-q))
    return 0, probability / probability.sum()


RESOLUTION = Resolution(
    negligible=2.0**-64,  # the resolution of an alias table
    in_total=False,
    largest=2**20,  # rows of a table
    binomial_probabilities=complete_binomial,
)


def compositions(
    model: GradientModel, micro_batch_size: int, *, pure: bool, active: bool = True
) -> Compositions:
    """The compositions of a micro-batch; draws [domains, c] counts its rare samples.

    `pure`: the samples of a micro-batch share their domain. Without draggers where they
    are not `active`. Raises TooManyCompositionsError for more than 2²⁰ of them.
    """
    enumerated = of_one_domain if pure else of_mixed_samples
    table = enumerated(model, micro_batch_size, RESOLUTION, active=active)
    for domain, (_, noise) in enumerate(model.parts):
        probability = noise.probability if isinstance(noise, Rare) else 0.0
        table = table.with_binomial_draw(table.clean[domain], probability)
    return table


def composition(
    model: GradientModel,
    micro_batch_size: int,
    batch_size: int,
    *,
    pure: bool,
    active: bool = True,
) -> Composition:
    """The distribution of a step's micro-batches, for the engines.

    Other arguments and errors as for `compositions`.
    """
    cut = micro_batches(batch_size, micro_batch_size)
    last = None
    if len(cut) > 1:
        size, _ = cut[1]
        last = composition(model, size, size, pure=pure, active=active)
    table = compositions(model, micro_batch_size, pure=pure, active=active)
    rows = table.weight.size
    noises = [noise for _, noise in model.parts]
    benign = zip(noises, table.clean, table.draws, strict=True)
    mean = model.composition_mean(micro_batch_size, table.draggers, list(benign))
    dragger = np.zeros(rows) + mean.dragger
    shape, stretch = _gamma_noise(table, noises)
    bits, threshold, alias = alias_table(table.weight)
    return Composition(
        micro_batches=sum(count for _, count in cut),
        bits=bits,
        threshold=threshold,
        alias=alias,
        benign=np.zeros(rows) + mean.benign,
        backward=dragger if model.dragger.law == "opposing" else np.zeros(rows),
        first=np.zeros(rows) + mean.first_axis,
        deviation=np.sqrt(np.zeros(rows) + mean.variance),
        along=_along_axes(model, table, dragger),
        shape=shape,
        stretch=stretch,
        clean=table.draggers == 0,
        last=last,
    )


def _along_axes(model: GradientModel, table: Compositions, dragger: Array) -> Array:
    """Components [rows, axes] along the draggers' direction and the domains' shifts."""
    along = [dragger] if model.dragger.direction is not None else []
    if model.domains is not None:
        along += [clean / table.samples for clean in table.clean]
    return np.reshape(along, (len(along), table.weight.size)).T


def _gamma_noise(table: Compositions, noises: Sequence[object]) -> tuple[Array, Array]:
    """Shapes [rows, gammas] and stretches [gammas] of the gamma variables."""
    gammas = [
        (noise, clean)
        for noise, clean in zip(noises, table.clean, strict=True)
        if isinstance(noise, Gamma)
    ]
    shapes = [clean * noise.shape for noise, clean in gammas]
    stretch = [noise.unit / table.samples for noise, _ in gammas]
    rows = table.weight.size
    return np.reshape(shapes, (len(shapes), rows)).T, np.array(stretch, np.float64)


def _axes(model: GradientModel) -> Array:
    """The draggers' direction, if they have one, and the domains' shifts [axes, d]."""
    d = model.dimension
    directions = []
    if model.dragger.direction is not None:
        directions = [model.dragger.unit_vector(d)]
    shifts = np.zeros((0, d)) if model.domains is None else model.domain_shifts()
    return np.concatenate([np.reshape(directions, (len(directions), d)), shifts])


@dataclass(frozen=True)
class _Phases:
    """Which micro-batches there are in which part of a run: see `Plan.phase`.

    kinds: the different pairs of a size and of whether draggers are active; table [p,
    q] has their numbers between the edges in iterations [p - 1] and in ‖∇f‖ [q - 1].
    """

    iterations: list[float]
    norms: list[float]
    kinds: tuple[tuple[int, bool], ...]
    table: NDArray[np.int64]

    @classmethod
    def of(cls, sizes: Sizes, by_iteration: bool, window: Active | None) -> Self:
        """Of sizes from an iteration or a norm on, and draggers in a window."""
        edges: dict[bool, set[float]] = {True: set(), False: set()}
        edges[by_iteration] |= {start for start, _ in sizes if start > 0}
        if window is not None:
            edges[window.iterations is not None] |= {x for x in window.limits if x > 0}
        iterations, norms = sorted(edges[True]), sorted(edges[False])
        kinds: dict[tuple[int, bool], int] = {}
        table = np.zeros((len(iterations) + 1, len(norms) + 1), np.int64)
        for i, t in enumerate([0, *iterations]):
            for j, norm in enumerate([0.0, *norms]):
                place = t if by_iteration else norm
                _, size = max((start, size) for start, size in sizes if start <= place)
                active = window is None or window.contains(t, norm)
                table[i, j] = kinds.setdefault((size, active), len(kinds))
        return cls(iterations, norms, tuple(kinds), table)


def plan(experiment: Experiment, micro_batch_size: int | None) -> Plan:
    """The plan for one micro-batch size, or for the experiment's schedule where None.

    Raises TooManyCompositionsError.
    """
    model = experiment.gradient_model
    d = model.dimension
    flat, wave = model.dragger.law == "orthogonal", model.nonconvex
    space = Space(
        centre=model.centre,
        curvature=np.broadcast_to(np.asarray(model.curvature, np.float64), d).copy(),
        flat=model.dragger.unit_vector(d) if flat else np.zeros(d),
        wave=(0.0, 0.0) if wave is None else (wave.amplitude, wave.frequency),
        axes=_axes(model),
    )
    return planned(experiment, micro_batch_size, space)


def planned(experiment: Experiment, micro_batch_size: int | None, space: Space) -> Plan:
    """The plan in given coordinates; other arguments and errors as for `plan`."""
    model, algorithm = experiment.gradient_model, experiment.algorithm
    sizes: Sizes = ((0, micro_batch_size or 1),)
    by_iteration = False
    if algorithm.schedule is not None:
        sizes = algorithm.schedule.pairs
        by_iteration = algorithm.schedule.iterations is not None
    phases = _Phases.of(sizes, by_iteration, model.dragger.active)
    return Plan(
        dimension=space.curvature.size,
        rule=algorithm.effective_rule.number,
        clip=0.0 if algorithm.threshold in (None, math.inf) else algorithm.threshold,
        average=algorithm.aggregate == "mean",
        **space._asdict(),
        compositions=tuple(
            composition(
                model,
                size,
                algorithm.batch_size,
                pure=algorithm.domains == "pure",
                active=active,
            )
            for size, active in phases.kinds
        ),
        iteration_edges=np.array(phases.iterations, np.int64),
        gradient_edges=np.array(phases.norms, np.float64),
        phase=phases.table,
    )
