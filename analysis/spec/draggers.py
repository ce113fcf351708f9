"""What draggers do to a gradient, and when there are any."""

import math
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import (
    Checked,
    SpecificationError,
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
from analysis.spec.limits import LARGEST_STEP, magnitude

# the dragger laws with a direction of their own
DIRECTED = ("persistent", "additive", "orthogonal")


def _bound(name: str, value: Any) -> Any:
    """A number >= 0; inf becomes the largest finite one, which can be written down."""
    return real(0)(name, sys.float_info.max if value == math.inf else value)


@dataclass(frozen=True)
class Active(Checked):
    """When draggers exist; at all other times every sample is benign.

    Either `gradient_norm` = (lo, hi): while lo <= ‖∇f‖ < hi, where hi may be inf; or
    `iterations` = (begin, end): in the iterations begin <= t < end, counted from 0.
    """

    table: ClassVar[str] = "model.dragger.active"
    gradient_norm: tuple[float, float] | None = checked(
        optional(several(_bound, 2, 2)), None
    )
    iterations: tuple[int, int] | None = checked(
        optional(several(integer(0, 10**12), 2, 2)), None
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.gradient_norm is None) == (self.iterations is None):
            raise SpecificationError(
                f"{self.table}: must have one of the keys "
                "'gradient_norm' and 'iterations'"
            )
        for name in ("gradient_norm", "iterations"):
            window = getattr(self, name)
            if window is not None and not window[0] < window[1]:
                refuse(
                    f"{self.table}.{name}",
                    list(window),
                    "two numbers, the first one smaller",
                )

    @property
    def limits(self) -> tuple[float, float]:
        """Where the window begins and ends."""
        return (
            self.iterations
            if self.iterations is not None
            else self.gradient_norm or (0, 0)
        )

    def contains(self, iteration: float, gradient_norm: float) -> bool:
        """Whether there are draggers at that iteration and that ‖∇f‖."""
        low, high = self.limits
        return low <= (gradient_norm if self.iterations is None else iteration) < high


def read_active(values: dict[str, Any]) -> dict[str, Any]:
    """The entries of a [model.dragger] table, `active` read from its own table."""
    if "active" not in values:
        return values
    return values | {"active": Active.read(values["active"])}


@dataclass(frozen=True)
class Dragger(Checked):
    """A dragger's gradient, v = `direction`, ∇f the gradient of the benign population.

    `persistent`: norm·v. `additive`: ∇f + norm·v. `orthogonal`: norm·v, where the loss
    is flat along v. `opposing`: -norm·∇f/‖∇f‖, zero where ∇f = 0. `isotropic`: Gaussian
    with mean zero and total standard deviation `norm`. The first three need
    `direction`, the others refuse it: a list [d], normalised on construction, or a
    number, the same in every coordinate, of which the sign is kept. `active` limits the
    time when there are draggers.
    """

    table: ClassVar[str] = "model.dragger"
    law: str = checked(choice(*DIRECTED, "opposing", "isotropic"))
    norm: float = checked(magnitude)
    direction: float | tuple[float, ...] | None = checked(
        optional(one_or_several(real(), LARGEST_STEP)), None
    )
    active: Active | None = checked(optional(instance(Active)), None)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from the [model.dragger] table."""
        return cls(**read_active(cls.entries(table)))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction is None:
            if self.law in DIRECTED:
                raise SpecificationError(
                    "model.dragger: the key 'direction' is required by "
                    f"law = {self.law!r}"
                )
            return
        if self.law not in DIRECTED:
            refuse(
                "model.dragger.direction",
                self.direction,
                f"absent with law = {self.law!r}",
            )
        given = self.direction
        entries = given if isinstance(given, tuple) else (given,)
        largest = max(abs(x) for x in entries)
        if largest == 0:
            refuse("model.dragger.direction", given, "a non-zero vector")
        scaled = [x / largest for x in entries]
        length = math.hypot(*scaled)
        unit = tuple(x / length for x in scaled)
        object.__setattr__(
            self, "direction", unit if isinstance(given, tuple) else unit[0]
        )

    def unit_vector(self, d: int) -> NDArray[np.float64]:
        """V [d], for a law that has a direction."""
        if isinstance(self.direction, tuple):
            return np.array(self.direction)
        assert self.direction is not None
        return np.full(d, self.direction / math.sqrt(d))
