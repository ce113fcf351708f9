"""The laws of benign noise, of dragger gradients and of domains that a model is made of.

Every noise law but `student-t` has a Gaussian part, of total standard deviation `gaussian`, and a
part along the first axis. The sum of the latter over n benign samples depends on one random number,
the law's `draw`: see `first_axis`.
"""

import math
import sys
from collections.abc import Mapping
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
    read_law,
    real,
    refuse,
    several,
)

LARGEST_STEP = 2**26  # numbers in the micro-batch gradients of one step: 512 MiB in float64
LARGEST_DIMENSION = 10**9  # of theory: it needs few axes, but rounding errors grow with √d

magnitude = real(0, 1e100)  # squares and their sums stay finite


@dataclass(frozen=True)
class Gaussian(Checked):
    """Isotropic Gaussian noise; `scale` is its total standard deviation, √(E‖ξ‖²)."""

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("gaussian"))
    scale: float = checked(magnitude)

    probability: ClassVar[float] = 0.0
    has_axis: ClassVar[bool] = False

    @property
    def gaussian(self) -> float:
        """Total standard deviation of the Gaussian part."""
        return self.scale

    def first_axis(self, n: Any, draw: Any) -> Any:
        """Nothing beyond the Gaussian part: zeros of the shape of n."""
        return 0.0 * n

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖²."""
        return self.scale**2


@dataclass(frozen=True)
class Rare(Checked):
    """Rare useful samples along the first axis, plus isotropic Gaussian noise.

    The first coordinate is `value` with chance `probability` = q, else -value·q/(1-q): mean zero.
    `gaussian` is the total standard deviation of the Gaussian part.
    """

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("rare"))
    probability: float = checked(real(0, 1, open_low=True, open_high=True))
    value: float = checked(real(-1e100, 1e100))
    gaussian: float = checked(magnitude)

    @property
    def hit(self) -> float:
        """First coordinate of a rare sample's noise."""
        return self.value

    @property
    def miss(self) -> float:
        """First coordinate of any other benign sample's noise."""
        return -self.value * self.probability / (1 - self.probability)

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖² = value²·q/(1-q) + gaussian²."""
        q = self.probability
        return self.value**2 * q / (1 - q) + self.gaussian**2

    @property
    def has_axis(self) -> bool:
        """Whether the first axis differs from the others."""
        return self.value != 0

    def first_axis(self, n: Any, draw: Any) -> Any:
        """Sum of the first coordinates of n samples, `draw` of them rare; arrays of one shape."""
        return draw * self.hit + (n - draw) * self.miss


@dataclass(frozen=True)
class Gamma(Checked):
    """Skewed noise along the first axis, plus isotropic Gaussian noise.

    The first coordinate is scale·sign·(X - shape)/√shape with X ~ Γ(shape): mean zero, standard
    deviation `scale`, skewness 2·sign/√shape. `gaussian` is the total standard deviation of the
    Gaussian part.
    """

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("gamma"))
    shape: float = checked(real(1e-3, 1e6))
    scale: float = checked(magnitude)
    sign: float = checked(real(-1, 1))
    gaussian: float = checked(magnitude)

    probability: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sign not in (-1, 1):
            refuse("model.noise.sign", self.sign, "1 or -1")

    @property
    def unit(self) -> float:
        """Change of the first coordinate when X grows by one."""
        return self.scale * self.sign / math.sqrt(self.shape)

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖² = scale² + gaussian²."""
        return self.scale**2 + self.gaussian**2

    @property
    def has_axis(self) -> bool:
        """Whether the first axis differs from the others."""
        return self.scale != 0

    def first_axis(self, n: Any, draw: Any) -> Any:
        """Sum of the first coordinates of n samples; `draw` is the sum of their X, Γ(n·shape)."""
        return self.unit * (draw - n * self.shape)


@dataclass(frozen=True)
class StudentT(Checked):
    """Heavy-tailed isotropic noise: multivariate t with `degrees` > 2 degrees of freedom.

    ξ = scale·√((degrees - 2)/χ²)·z/√d with z ~ N(0, I) and one χ² of that many degrees of freedom
    for each sample: mean zero, total standard deviation `scale`. Moments of order `degrees` and
    higher are infinite, and a sum of samples has no simple law: simulated sample by sample only.
    """

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("student-t"))
    degrees: float = checked(real(2, 1e6, open_low=True))
    scale: float = checked(magnitude)

    has_axis: ClassVar[bool] = False

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖²."""
        return self.scale**2


Noise = Gaussian | Rare | Gamma  # sums of samples have a simple law
AnyNoise = Noise | StudentT
NOISE_LAWS: dict[str, type[AnyNoise]] = {
    "gaussian": Gaussian,
    "rare": Rare,
    "gamma": Gamma,
    "student-t": StudentT,
}
any_noise = instance(*NOISE_LAWS.values())


def _bound(name: str, value: Any) -> Any:
    """A number >= 0; inf is read as the largest finite number, so that it can be written down."""
    return real(0)(name, sys.float_info.max if value == math.inf else value)


@dataclass(frozen=True)
class Active(Checked):
    """When draggers exist; at all other times every sample is benign.

    Either `gradient_norm` = (lo, hi): while lo <= ‖∇f‖ < hi, where hi may be inf; or `iterations` =
    (begin, end): in the iterations begin <= t < end, counted from 0.
    """

    table: ClassVar[str] = "model.dragger.active"
    gradient_norm: tuple[float, float] | None = checked(optional(several(_bound, 2, 2)), None)
    iterations: tuple[int, int] | None = checked(optional(several(integer(0, 10**12), 2, 2)), None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.gradient_norm is None) == (self.iterations is None):
            raise SpecificationError(
                f"{self.table}: must have one of the keys 'gradient_norm' and 'iterations'"
            )
        for name in ("gradient_norm", "iterations"):
            window = getattr(self, name)
            if window is not None and not window[0] < window[1]:
                refuse(f"{self.table}.{name}", list(window), "two numbers, the first one smaller")

    @property
    def limits(self) -> tuple[float, float]:
        """Where the window begins and ends."""
        return self.iterations if self.iterations is not None else self.gradient_norm or (0, 0)

    def contains(self, iteration: float, gradient_norm: float) -> bool:
        """Whether there are draggers at that iteration and that ‖∇f‖."""
        low, high = self.limits
        return low <= (gradient_norm if self.iterations is None else iteration) < high


# the dragger laws with a direction of their own
DIRECTED = ("persistent", "additive", "orthogonal")


def read_active(values: dict[str, Any]) -> dict[str, Any]:
    """The entries of a [model.dragger] table, `active` read from its own table."""
    if "active" not in values:
        return values
    return values | {"active": Active.read(values["active"])}


@dataclass(frozen=True)
class Dragger(Checked):
    """A dragger's gradient, for v = `direction` and ∇f the gradient of the benign population.

    `persistent`: norm·v. `additive`: ∇f + norm·v. `orthogonal`: norm·v, where the loss is flat
    along v. `opposing`: -norm·∇f/‖∇f‖, zero where ∇f = 0. `isotropic`: Gaussian with mean zero and
    total standard deviation `norm`. The first three need `direction`, the others refuse it: a list
    [d], normalised on construction, or a number, the same in every coordinate, of which the sign is
    kept. `active` limits the time when there are draggers.
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
                    f"model.dragger: the key 'direction' is required by law = {self.law!r}"
                )
            return
        if self.law not in DIRECTED:
            refuse("model.dragger.direction", self.direction, f"absent with law = {self.law!r}")
        given = self.direction
        entries = given if isinstance(given, tuple) else (given,)
        largest = max(abs(x) for x in entries)
        if largest == 0:
            refuse("model.dragger.direction", given, "a non-zero vector")
        scaled = [x / largest for x in entries]
        length = math.hypot(*scaled)
        unit = tuple(x / length for x in scaled)
        object.__setattr__(self, "direction", unit if isinstance(given, tuple) else unit[0])

    def unit_vector(self, d: int) -> NDArray[np.float64]:
        """V [d], for a law that has a direction."""
        if isinstance(self.direction, tuple):
            return np.array(self.direction)
        assert self.direction is not None
        return np.full(d, self.direction / math.sqrt(d))


@dataclass(frozen=True)
class Domain(Checked):
    """A part of the benign population, with a loss and a noise law of its own.

    A benign sample belongs to it with chance `weight`; its loss is that of the model with the
    minimum moved to `optimum`, a number in dimension 1, else a list [d].
    """

    table: ClassVar[str] = "model.domains"
    weight: float = checked(real(0, 1, open_low=True))
    optimum: float | tuple[float, ...] = checked(one_or_several(real(-1e100, 1e100), LARGEST_STEP))
    noise: AnyNoise = checked(any_noise)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from one [[model.domains]] table."""
        values = cls.entries(table)
        values["noise"] = read_law("model.noise", values["noise"], NOISE_LAWS)
        return cls(**values)


def read_domains(tables: Any) -> tuple[Domain, ...]:
    """The list [[model.domains]]; refusals name the domain by its place in the list."""
    if not isinstance(tables, (list, tuple)) or not all(isinstance(t, Mapping) for t in tables):
        refuse("model.domains", tables, "a list of tables [[model.domains]]")
    domains = []
    for i, table in enumerate(tables):
        try:
            domains.append(Domain.read(table))
        except SpecificationError as error:
            message, place = str(error), f"model.domains[{i}]"
            own = message.removeprefix("model.domains")
            inner = f"{place}{message.removeprefix('model')}"
            raise SpecificationError(inner if own == message else place + own) from None
    return tuple(domains)
