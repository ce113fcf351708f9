"""What a micro-batch consists of: how many draggers, how many samples of each domain.

A micro-batch's mean depends on its samples through such counts, and through what the
noise's own distribution draws. Theory sums over all compositions
(`analysis.rest.mixture`), simulation draws one of them (`sim.reduction.compositions`):
both enumerate them here, and each leaves out what is negligible to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import SpecificationError
from analysis.spec.model import GradientModel

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


class Outcomes(NamedTuple):
    """Values [n] of a random number and their probabilities [n]."""

    value: NDArray[Any]
    probability: Array


class TooManyCompositionsError(SpecificationError):
    """A micro-batch has too many compositions to enumerate; a smaller one has fewer."""


@dataclass(frozen=True)
class Resolution:
    """How finely compositions are enumerated, and how many there may be.

    negligible: the probability of a composition that is left out; with `in_total` that
    of all of them together, so that of n alternatives each may have an n-th of it.
    binomial_probabilities: of (n, q) the first number k and P(k), P(k + 1), … [j] of a
    Binomial(n, q) number, 0 < q < 1, as far as they are not negligible. purpose: stands
    in the refusal of more than `largest` compositions.
    """

    negligible: float
    in_total: bool
    largest: int
    binomial_probabilities: Callable[[int, float], tuple[int, Array]]
    purpose: str = ""

    def keeps(self, probability: Array) -> NDArray[np.bool_]:
        """Which alternatives of these probabilities [n] are not negligible [n]."""
        limit = self.negligible / probability.size if self.in_total else self.negligible
        return probability > limit

    def binomial(self, n: int, q: float) -> Outcomes:
        """The numbers of successes in n trials that are not negligible."""
        if n == 0 or q <= 0:
            return Outcomes(np.zeros(1, np.int64), np.ones(1))
        if q >= 1:
            return Outcomes(np.full(1, n), np.ones(1))
        first, probability = self.binomial_probabilities(n, q)
        kept = np.flatnonzero(self.keeps(probability))
        return Outcomes(first + kept, probability[kept])

    def refuse(self, samples: int) -> NoReturn:
        """Raise TooManyCompositionsError for micro-batches of that many samples."""
        allowed = (
            f"smaller{self.purpose} (it has more than {self.largest} "
            "kinds of micro-batch)"
        )
        raise TooManyCompositionsError(
            f"algorithm.micro_batch_sizes = {samples}: must be {allowed}"
        )


@dataclass(frozen=True)
class Compositions:
    """The compositions of a micro-batch of `samples` samples.

    weight [c] their probabilities, which sum to 1 but for what was left out; draggers
    [c] and clean [domains, c] the numbers of draggers and of benign samples of each
    domain; draws [noises, c] the numbers that the noises' own distributions have drawn
    so far.
    """

    samples: int
    resolution: Resolution
    weight: Array
    draggers: Counts
    clean: Counts
    draws: NDArray[Any]

    @classmethod
    def start(
        cls, samples: int, domains: int, resolution: Resolution
    ) -> "Compositions":
        """The only composition before anything is known of it."""
        return cls(
            samples,
            resolution,
            weight=np.ones(1),
            draggers=np.zeros(1, np.int64),
            clean=np.zeros((domains, 1), np.int64),
            draws=np.zeros((0, 1), np.int64),
        )

    def split(
        self, outcomes: Callable[..., Outcomes], *keys: NDArray[Any]
    ) -> tuple["Compositions", NDArray[Any]]:
        """The rows split by the outcomes of outcomes(*keys), and their values [c].

        `outcomes` is asked once for each different combination of the keys [c]. Raises
        TooManyCompositionsError.
        """
        cases, which = _different(keys)
        alternatives = [outcomes(*case) for case in cases]
        number = np.array([found.value.size for found in alternatives])[which]
        if number.sum() > 4 * self.resolution.largest:
            self.resolution.refuse(self.samples)
        row = np.repeat(np.arange(which.size), number)
        weight = self.weight[row] * np.concatenate(
            [alternatives[i].probability for i in which]
        )
        kept = self.resolution.keeps(weight)
        if np.count_nonzero(kept) > self.resolution.largest:
            self.resolution.refuse(self.samples)
        row = row[kept]
        table = replace(
            self,
            weight=weight[kept],
            draggers=self.draggers[row],
            clean=self.clean[:, row],
            draws=self.draws[:, row],
        )
        return table, np.concatenate([alternatives[i].value for i in which])[kept]

    def binomial(
        self, trials: Counts, probability: float
    ) -> tuple["Compositions", Counts]:
        """The rows split by the successes in `trials` [c], and these numbers [c]."""
        return self.split(
            lambda n: self.resolution.binomial(int(n), probability), trials
        )

    def with_draw(
        self, outcomes: Callable[..., Outcomes], *keys: NDArray[Any]
    ) -> "Compositions":
        """The rows split by what one more noise draws: see `split`."""
        table, draw = self.split(outcomes, *keys)
        return replace(table, draws=np.vstack([table.draws, draw]))

    def with_binomial_draw(self, trials: Counts, probability: float) -> "Compositions":
        """Likewise, a number of successes."""
        return self.with_draw(
            lambda n: self.resolution.binomial(int(n), probability), trials
        )


def _different(keys: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct combinations of keys [n, keys], sorted, and each row's [c]."""
    if len(keys) == 1:
        cases, which = np.unique(keys[0], return_inverse=True)
        return cases[:, None], which
    cases, which = np.unique(np.column_stack(keys), axis=0, return_inverse=True)
    return cases, which.ravel()


def of_mixed_samples(
    model: GradientModel, samples: int, resolution: Resolution, *, active: bool = True
) -> Compositions:
    """The compositions of a micro-batch whose samples have a domain each.

    Without draggers where they are not `active`. Raises TooManyCompositionsError.
    """
    table = _with_draggers(model, samples, resolution, active)
    return _among_domains(model, table, samples - table.draggers)


def of_one_domain(
    model: GradientModel, samples: int, resolution: Resolution, *, active: bool = True
) -> Compositions:
    """Likewise where all samples share their domain; draggers are counted first."""
    weights = np.array([weight for weight, _ in model.parts])
    table = _with_draggers(model, samples, resolution, active)
    domains = Outcomes(np.arange(weights.size), weights / weights.sum())
    table, domain = table.split(lambda _: domains, np.zeros_like(table.draggers))
    clean = np.where(
        domain == np.arange(weights.size)[:, None], samples - table.draggers, 0
    )
    return replace(table, clean=clean)


def of_groups(
    model: GradientModel, samples: int, resolution: Resolution, group: int
) -> Compositions:
    """Likewise where `group` samples share a domain; groups are counted first."""
    table = Compositions.start(samples, len(model.parts), resolution)
    table = _among_domains(model, table, np.full(1, samples // group))
    for domain in range(len(model.parts)):
        size = table.clean[domain] * group
        table, draggers = table.binomial(size, model.dragger_fraction)
        clean = table.clean.copy()
        clean[domain] = clean[domain] * group - draggers
        table = replace(table, clean=clean, draggers=table.draggers + draggers)
    return table


def _with_draggers(
    model: GradientModel, samples: int, resolution: Resolution, active: bool
) -> Compositions:
    """The numbers of draggers, nothing being known of the other samples."""
    table = Compositions.start(samples, len(model.parts), resolution)
    epsilon = model.dragger_fraction if active else 0.0
    table, draggers = table.binomial(np.full(1, samples), epsilon)
    return replace(table, draggers=draggers)


def _among_domains(
    model: GradientModel, table: Compositions, number: Counts
) -> Compositions:
    """The rows split by how many of `number` [c] samples or groups each domain has.

    Domain by domain, each a binomial part of those that are left, which count as the
    last one's.
    """
    weights = [weight for weight, _ in model.parts]
    later = np.cumsum(weights[::-1])[::-1]
    table = replace(table, clean=np.vstack([table.clean[:-1], number]))
    for domain, weight in enumerate(weights[:-1]):
        table, part = table.binomial(table.clean[-1], weight / later[domain])
        clean = table.clean.copy()
        clean[domain] = part
        clean[-1] -= part
        table = replace(table, clean=clean)
    return table
