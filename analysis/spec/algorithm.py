"""The algorithm and the run: rule, sizes or their schedule, what is measured."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np

from analysis.spec.checking import (
    Check,
    Checked,
    SpecificationError,
    absent_or,
    checked,
    choice,
    instance,
    integer,
    one_or_several,
    optional,
    real,
    refuse,
    several,
)
from analysis.spec.limits import LARGEST_STEP, positive
from analysis.spec.optimizer import Optimizer
from analysis.spec.rule import Clipping, Rule

MEASURES = ("bias", "trajectory", "average", "hitting")
BATCH_MEANS = 256  # recorded in all, so that their correlation can be judged
UNITS = 32  # independent vectors behind an interval, at least
LARGEST_RUN = 10**12  # iterations
CLOSEST_STEPS = 1.01  # ratio: nothing can be extrapolated from steps that hardly differ


def divisors(batch_size: int) -> np.ndarray:
    """The micro-batch sizes [n], increasing, that divide a mini-batch of this size.

    Raises SpecificationError unless it is an integer from 1 to 2^26.
    """
    batch_size = integer(1, 2**26)("batch_size", batch_size)
    small = [b for b in range(1, math.isqrt(batch_size) + 1) if batch_size % b == 0]
    return np.unique([*small, *(batch_size // b for b in small)])


def _threshold(name: str, value: Any) -> float:
    """Check for a clipping threshold.

    No clipping, inf, is written "inf" where JSON has no number.

    Below the smallest normal number a threshold has no digits left.
    """
    if value == math.inf or value == "inf":
        return math.inf
    try:
        return float(real(sys.float_info.min)(name, value))
    except SpecificationError:
        refuse(
            name, value, f"a number >= {sys.float_info.min:.3g}, or inf for no clipping"
        )


def _pairs(threshold: Check) -> Check:
    """Check for pairs of a threshold and a micro-batch size; absent is allowed."""
    size = integer(1, LARGEST_STEP)

    def check(name: str, value: Any) -> tuple[float, int]:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            refuse(name, value, "a pair of a threshold and a micro-batch size")
        return threshold(f"{name}[0]", value[0]), size(f"{name}[1]", value[1])

    return optional(several(check, 1, 64))


@dataclass(frozen=True)
class Schedule(Checked):
    """Micro-batch sizes that vary in a run, one key: pairs of a threshold and a size.

    `iterations` [[from, b], …]: size b from that iteration on; the first is 0, and they
    increase. `gradient_norm` [[from, b], …]: size b while ‖∇f‖ is at least that and
    below the one before; they decrease, and the last is 0.
    """

    table: ClassVar[str] = "algorithm.schedule"
    iterations: tuple[tuple[int, int], ...] | None = checked(
        _pairs(integer(0, LARGEST_RUN)), None
    )
    gradient_norm: tuple[tuple[float, float], ...] | None = checked(
        _pairs(real(0)), None
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.iterations is None) == (self.gradient_norm is None):
            raise SpecificationError(
                "algorithm.schedule: must have one of the keys "
                "iterations and gradient_norm"
            )
        starts = [start for start, _ in self.pairs]
        if self.iterations is not None:
            wrong = starts[0] != 0 or any(x >= y for x, y in pairwise(starts))
            allowed = "thresholds that begin with 0 and increase"
        else:
            wrong = starts[-1] != 0 or any(x <= y for x, y in pairwise(starts))
            allowed = "thresholds that decrease and end with 0"
        if wrong:
            key = "iterations" if self.iterations is not None else "gradient_norm"
            refuse(f"{self.table}.{key}", starts, allowed)

    @property
    def pairs(self) -> tuple[tuple[float, int], ...]:
        """The pairs of a threshold and a micro-batch size, in the order of the file."""
        pairs: Any = (
            self.iterations if self.iterations is not None else self.gradient_norm
        )
        return tuple(pairs)

    @property
    def micro_batch_sizes(self) -> tuple[int, ...]:
        """The sizes in order of their first use, each once."""
        return tuple(dict.fromkeys(b for _, b in self.pairs))

    def size_at(self, iteration: int, gradient_norm: Any) -> Any:
        """The size at that iteration, or the sizes [...] for gradient norms [...]."""
        if self.iterations is not None:
            return next(
                b for start, b in reversed(self.iterations) if start <= iteration
            )
        (_, size), *larger = reversed(self.pairs)
        for start, b in larger:
            size = size + (gradient_norm >= start) * (b - size)
        return size


@dataclass(frozen=True)
class Algorithm(Checked):
    """The update rule, mini-batch size B, micro-batch sizes b compared, or a schedule.

    `threshold`: where fixed and global clip, in units of the gradient; inf is no
    clipping (sgd). `domains`: whether every sample's domain is drawn for itself (mixed,
    the default) or that of a whole micro-batch at once (pure). `optimizer`: what the
    rule's direction goes through before w moves; without one, w moves along it.
    """

    table: ClassVar[str] = "algorithm"
    rule: Rule = checked(Rule.check)
    batch_size: int = checked(integer(1, LARGEST_STEP))
    micro_batch_sizes: tuple[int, ...] = checked(
        absent_or(several(integer(1, LARGEST_STEP), 1, 10_000)), ()
    )
    aggregate: str = checked(choice("mean", "sum"), "mean")
    threshold: float | None = checked(optional(_threshold), None)
    domains: str | None = checked(optional(choice("mixed", "pure")), None)
    schedule: Schedule | None = checked(optional(instance(Schedule)), None)
    optimizer: Optimizer | None = checked(optional(instance(Optimizer)), None)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from the [algorithm] table."""
        values = cls.entries(table)
        if "schedule" in values:
            values["schedule"] = Schedule.read(values["schedule"])
        if "optimizer" in values:
            values["optimizer"] = Optimizer.read(values["optimizer"])
        return cls(**values)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sizes:
            raise SpecificationError(
                "algorithm: the required key 'micro_batch_sizes' is "
                "missing (or a schedule)"
            )
        if self.micro_batch_sizes and self.schedule is not None:
            sizes = list(self.micro_batch_sizes)
            refuse(
                "algorithm.micro_batch_sizes", sizes, "absent with [algorithm.schedule]"
            )
        for i, b in enumerate(self.sizes):
            name = f"algorithm.micro_batch_sizes[{i}]"
            if self.schedule is not None:
                name = "algorithm.schedule"
            if b > self.batch_size:
                refuse(name, b, f"at most algorithm.batch_size = {self.batch_size}")
            if b in self.sizes[:i]:
                refuse(name, b, "different from the sizes before it")
        rule = self.rule
        if rule.needs_threshold and self.threshold is None:
            message = (
                f"algorithm: the key 'threshold' is required by rule = {rule.value!r}"
            )
            raise SpecificationError(message)
        if not rule.needs_threshold and self.threshold is not None:
            refuse(
                "algorithm.threshold",
                self.threshold,
                f"absent with rule = {rule.value!r}",
            )

    def to_mapping(self) -> dict[str, Any]:
        """As in the base class; an infinite threshold is "inf", which JSON can hold."""
        mapping = super().to_mapping()
        return mapping | {"threshold": "inf"} if self.threshold == math.inf else mapping

    @property
    def effective_rule(self) -> Rule:
        """The rule, or sgd where its threshold is inf."""
        return Rule.SGD if self.threshold == math.inf else self.rule

    def clipping(self, micro_batch_size: int) -> Clipping:
        """The rule at that micro-batch size."""
        return Clipping(
            self.rule,
            self.batch_size,
            micro_batch_size,
            threshold=self.threshold,
            pure=self.domains == "pure",
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """All micro-batch sizes that occur."""
        return (
            self.schedule.micro_batch_sizes if self.schedule else self.micro_batch_sizes
        )

    @property
    def variants(self) -> tuple[int | None, ...]:
        """What is simulated in turn: the sizes to compare, or None for a schedule."""
        return (None,) if self.schedule is not None else self.sizes


@dataclass(frozen=True)
class Run(Checked):
    """How long to simulate, how often, from where, the random numbers, what to measure.

    `measure`: "bias", the norm of the mean gradient at rest, extrapolated to zero step;
    "trajectory", means over replicates at about `points` log-spaced iterations;
    "average", the mean of ‖∇f‖ over each run's iterations; "hitting", the first
    iteration at which ‖∇f‖ <= `radius`. `precision` is that of the iterates; statistics
    are in float64.
    """

    table: ClassVar[str] = "run"
    measure: str = checked(choice(*MEASURES), "bias")
    steps: tuple[float, ...] = checked(several(positive, 1, 3), (0.2, 0.1))
    iterations: int = checked(integer(1, LARGEST_RUN), 4000)
    burn_in: float | None = checked(optional(real(0, 1, open_high=True)), None)
    points: int | None = checked(optional(integer(1, 1000)), None)
    radius: float | None = checked(optional(positive), None)
    replicates: int = checked(integer(1, LARGEST_STEP), 32)
    start: float | tuple[float, ...] = checked(
        one_or_several(real(), LARGEST_STEP), 0.0
    )
    seed: int = checked(integer(0, 2**63 - 1), 1)
    precision: str = checked(choice("float32", "float64"), "float32")

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from the [run] table.

        One step size is enough where nothing is extrapolated.
        """
        values = cls.entries(table)
        if isinstance(table, Mapping) and table.get("measure", "bias") != "bias":
            values.setdefault("steps", (0.1,))
        return cls(**values)

    def __post_init__(self) -> None:
        super().__post_init__()
        close = any(x < CLOSEST_STEPS * y for y, x in pairwise(sorted(self.steps)))
        if close:
            refuse(
                "run.steps", list(self.steps), "step sizes that differ by 1 % at least"
            )
        for key, measure, default in (
            ("burn_in", "bias", 0.5),
            ("points", "trajectory", 20),
            ("radius", "hitting", None),
        ):
            value = getattr(self, key)
            if self.measure != measure and value is not None:
                refuse(
                    f"run.{key}", value, f"absent with run.measure = {self.measure!r}"
                )
            if self.measure == measure and value is None:
                if default is None:
                    message = (
                        f"run: the key {key!r} is required by measure = {measure!r}"
                    )
                    raise SpecificationError(message)
                object.__setattr__(self, key, default)
        if self.measure != "bias":
            return
        if len(self.steps) < 2:
            refuse(
                "run.steps",
                list(self.steps),
                "two or three values with run.measure = 'bias'",
            )
        if self.recorded < self.batches:
            allowed = (
                f"large enough to leave {self.batches} iterations after run.burn_in"
            )
            refuse("run.iterations", self.iterations, allowed)

    @property
    def recorded(self) -> int:
        """Iterations after burn-in, the ones that are averaged."""
        return self.iterations - math.floor((self.burn_in or 0.0) * self.iterations)

    @property
    def batches(self) -> int:
        """Batch means of each replicate: an even number, about 256 or more in all."""
        # runs that each replicate is divided into
        runs = max(1, math.ceil(UNITS / self.replicates))
        return 2 * runs * max(1, math.ceil(BATCH_MEANS / self.replicates / (2 * runs)))
