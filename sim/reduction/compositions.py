"""The law of a micro-batch's composition, enumerated for alias tables."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment, Gamma, GradientModel, Rare
from analysis.spec.rule import micro_batches
from sim.reduction.plan import Array, Composition, Plan, alias_table

NEGLIGIBLE = 2.0**-64  # the resolution of an alias table
LARGEST = 2**20  # rows of a table


class _Rows:
    """Compositions in the making: their chances, and a column of counts for each name."""

    def __init__(self, b: int) -> None:
        self.weight = np.ones(1)
        self.columns = {"left": np.array([b])}

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        return self.columns[name]

    def split(self, name: str, cases: Callable[[int], Array], source: str) -> None:
        """Split every row by a count in column `name`; cases(n) are the chances of 0, 1, …, n."""
        values, which = np.unique(self[source], return_inverse=True)
        chances = [cases(int(n)) for n in values]
        kept = [np.flatnonzero(chance > NEGLIGIBLE) for chance in chances]
        size = np.array([k.size for k in kept])[which]
        if size.sum() > 4 * LARGEST:
            raise OverflowError
        index = np.repeat(np.arange(which.size), size)
        weight = self.weight[index] * np.concatenate([chances[i][kept[i]] for i in which])
        count = np.concatenate([kept[i] for i in which])
        keep = weight > NEGLIGIBLE
        if np.count_nonzero(keep) > LARGEST:
            raise OverflowError
        self.weight = weight[keep]
        self.columns = {key: column[index[keep]] for key, column in self.columns.items()}
        self.columns[name] = count[keep]

    def take(self, name: str, chance: float, source: str = "left") -> None:
        """A Binomial(source, chance) count in column `name`."""
        self.split(name, lambda n: binomial(n, chance), source)


def binomial(n: int, q: float) -> Array:
    """The chances of 0 … n successes."""
    k = np.arange(n + 1)
    if q <= 0 or q >= 1:
        return (k == (n if q >= 1 else 0)).astype(np.float64)
    factorial = np.cumsum(np.log(np.maximum(k, 1)), dtype=np.longdouble)  # logarithms
    log = (factorial[n] - factorial - factorial[::-1]).astype(np.float64)
    chance: Array = np.exp(log + k * np.log(q) + (n - k) * np.log1p(-q))
    return chance / chance.sum()


def kinds(
    model: GradientModel, b: int, pure: bool, active: bool = True
) -> tuple[Array, dict[str, NDArray[np.int64]]]:
    """The kinds of micro-batches of b samples: their chances, and columns with their counts.

    Columns: "draggers", and for each domain k "clean k", the number of its benign samples, and with
    rare noise "rare k", how many of these are rare. `pure`: the samples of a micro-batch share
    their domain. Without draggers where they are not `active`. Raises SpecificationError when there
    are more than 2²⁰ kinds.
    """
    rows = _Rows(b)
    try:
        clean = _counts(model, rows, b, pure, active)
        for k, (_, noise) in enumerate(model.parts):
            if isinstance(noise, Rare):
                rows.take(f"rare {k}", noise.probability, clean[k])
    except OverflowError:
        refuse(
            "algorithm.micro_batch_sizes",
            b,
            f"smaller (it has more than {LARGEST} kinds of micro-batch)",
        )
    return rows.weight, rows.columns


def composition(
    model: GradientModel, b: int, batch_size: int, pure: bool, active: bool = True
) -> Composition:
    """The laws of a step's micro-batches for the engines; arguments and errors as for `kinds`."""
    cut = micro_batches(batch_size, b)
    last = composition(model, cut[1][0], cut[1][0], pure, active) if len(cut) > 1 else None
    weight, columns = kinds(model, b, pure, active)
    clean = [f"clean {k}" for k in range(len(model.parts))]
    nothing = np.zeros(weight.size, np.int64)
    benign = [
        (noise, columns[name], columns.get(f"rare {k}", nothing))
        for k, ((_, noise), name) in enumerate(zip(model.parts, clean, strict=True))
    ]
    mean = model.composition_mean(b, columns["draggers"], benign)
    dragger = np.zeros(weight.size) + mean.dragger
    opposing = model.dragger.law == "opposing"
    along = [dragger] if model.dragger.direction is not None else []
    if model.domains is not None:
        along += [columns[name] / b for name in clean]
    gammas = [
        (noise, columns[name])
        for (_, noise), name in zip(model.parts, clean, strict=True)
        if isinstance(noise, Gamma)
    ]
    bits, threshold, alias = alias_table(weight)
    size = weight.size
    return Composition(
        micro_batches=sum(count for _, count in cut),
        bits=bits,
        threshold=threshold,
        alias=alias,
        benign=np.zeros(size) + mean.benign,
        backward=dragger if opposing else np.zeros(size),
        first=np.zeros(size) + mean.first_axis,
        deviation=np.sqrt(np.zeros(size) + mean.variance),
        along=np.reshape(along, (len(along), size)).T,
        shape=np.reshape([n * noise.shape for noise, n in gammas], (len(gammas), size)).T,
        stretch=np.array([noise.unit / b for noise, _ in gammas], dtype=np.float64),
        clean=columns["draggers"] == 0,
        last=last,
    )


def _counts(model: GradientModel, rows: _Rows, b: int, pure: bool, active: bool) -> list[str]:
    """Columns with the number of draggers and, their names returned, of each domain's samples."""
    weights = np.array([weight for weight, _ in model.parts])
    epsilon = model.dragger_fraction if active else 0.0
    names = [f"clean {k}" for k in range(len(weights))]
    rows.take("draggers", epsilon)
    rows.columns["left"] = b - rows["draggers"]
    if pure:
        rows.columns["choice"] = np.full(rows.weight.size, len(weights) - 1)
        rows.split("domain", lambda n: weights / weights.sum(), "choice")
        for k, name in enumerate(names):
            rows.columns[name] = np.where(rows["domain"] == k, rows["left"], 0)
        return names
    rest = np.cumsum(weights[::-1])[::-1]
    for name, weight, share in zip(names[:-1], weights, rest, strict=False):
        rows.take(name, weight / share)
        rows.columns["left"] = rows["left"] - rows[name]
    rows.columns[names[-1]] = rows["left"]
    return names


def plan(experiment: Experiment, b: int | None) -> Plan:
    """The plan for one micro-batch size, or for the experiment's schedule where b is None.

    Raises SpecificationError when a size has too many kinds of micro-batch.
    """
    model, algorithm = experiment.gradient_model, experiment.algorithm
    pairs: tuple[tuple[float, int], ...] = ((0, b or 1),)
    if algorithm.schedule is not None:
        pairs = algorithm.schedule.pairs
    by_iteration = algorithm.schedule is not None and algorithm.schedule.iterations is not None
    window = model.dragger.active
    edges: dict[bool, set[float]] = {True: set(), False: set()}
    edges[by_iteration] |= {start for start, _ in pairs if start > 0}
    if window is not None:
        edges[window.iterations is not None] |= {x for x in window.limits if x > 0}
    iterations, norms = sorted(edges[True]), sorted(edges[False])
    made: dict[tuple[int, bool], int] = {}
    phase = np.zeros((len(iterations) + 1, len(norms) + 1), np.int64)
    for i, t in enumerate([0, *iterations]):
        for j, norm in enumerate([0.0, *norms]):
            place = t if by_iteration else norm
            size = max((start, size) for start, size in pairs if start <= place)[1]
            active = window is None or window.contains(t, norm)
            phase[i, j] = made.setdefault((size, active), len(made))
    d = model.dimension
    directions = [] if model.dragger.direction is None else [model.dragger.unit_vector(d)]
    shifts = model.domain_shifts() if model.domains is not None else np.zeros((0, d))
    flat, wave = model.dragger.law == "orthogonal", model.nonconvex
    return Plan(
        dimension=d,
        rule=algorithm.effective_rule.number,
        clip=0.0 if algorithm.threshold in (None, math.inf) else algorithm.threshold,
        average=algorithm.aggregate == "mean",
        centre=model.centre,
        curvature=np.broadcast_to(np.asarray(model.curvature, np.float64), d).copy(),
        flat=model.dragger.unit_vector(d) if flat else np.zeros(d),
        wave=(0.0, 0.0) if wave is None else (wave.amplitude, wave.frequency),
        axes=np.concatenate([np.reshape(directions, (len(directions), d)), shifts]),
        compositions=tuple(
            composition(model, size, algorithm.batch_size, algorithm.domains == "pure", active)
            for size, active in made
        ),
        iteration_edges=np.array(iterations, np.int64),
        gradient_edges=np.array(norms, np.float64),
        phase=phase,
    )
