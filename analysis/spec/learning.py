"""Problems simulated sample by sample: what `[model]` may say about each.

The mathematics of each problem (loss, gradient, constants) is in sim/problems; here is
what its table holds. `nonconvex` adds a wave to the quadratic loss of a GradientModel.
The learning problems have data instead of noise: a sample is a pair of features and
response, and a dragger is a sample whose response is wrong, unless `[model.dragger]`
replaces its gradient.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

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
from analysis.spec.draggers import Active, Dragger, read_active
from analysis.spec.limits import LARGEST_STEP, magnitude, positive

GRADIENT_PROBLEMS = ("quadratic", "nonconvex", "domains")


@dataclass(frozen=True)
class NonConvex(Checked):
    """Added to the quadratic loss: amplitude·Σ_i (1 - cos(frequency·w_i))."""

    table: ClassVar[str] = "model.nonconvex"
    amplitude: float = checked(magnitude)
    frequency: float = checked(real(0, 1e100, open_low=True))


@dataclass(frozen=True)
class LinearRegression(Checked):
    """Features x ~ N(0, diag(spectrum)), response x·optimum + noise·N(0, 1).

    `spectrum` and `optimum` are one number for all coordinates, or a list [dimension].
    A corrupted response is -magnitude·x·optimum + noise (`corruption` "opposed") or
    magnitude ("constant"). With `samples` there is a fixed data set of that size, else
    every sample is new.
    """

    table: ClassVar[str] = "model.linear_regression"
    dimension: int = checked(integer(1, LARGEST_STEP))
    noise: float = checked(magnitude)
    spectrum: float | tuple[float, ...] = checked(
        one_or_several(positive, LARGEST_STEP), 1.0
    )
    optimum: float | tuple[float, ...] = checked(
        one_or_several(real(-1e100, 1e100), LARGEST_STEP), 1.0
    )
    corruption: str = checked(choice("opposed", "constant"), "opposed")
    magnitude: float = checked(magnitude, 1.0)
    samples: int | None = checked(optional(integer(1, LARGEST_STEP)), None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("spectrum", "optimum"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.dimension:
                allowed = (
                    f"a number, or a list of {self.table}.dimension = "
                    f"{self.dimension} values"
                )
                refuse(f"{self.table}.{name}", list(value), allowed)
        if (self.samples or 1) * self.dimension > LARGEST_STEP:
            allowed = (
                f"at most {LARGEST_STEP // self.dimension} in "
                f"dimension {self.dimension}"
            )
            refuse(f"{self.table}.samples", self.samples, allowed)


@dataclass(frozen=True)
class LogisticRegression(Checked):
    """Classes y = 1, chance `positive_fraction`, y = 0: features x|y ~ N(±mean, I).

    The parameters are a weight for each feature and an intercept. A corrupted sample
    has the other class's label, and its features are multiplied by `leverage`.
    """

    table: ClassVar[str] = "model.logistic_regression"
    mean: tuple[float, ...] = checked(several(real(-1e3, 1e3), 1, LARGEST_STEP))
    positive_fraction: float = checked(real(0, 1, open_low=True, open_high=True), 0.5)
    leverage: float = checked(real(0, 1e100, open_low=True), 1.0)

    @property
    def dimension(self) -> int:
        """Number of parameters: one for each feature, and the intercept."""
        return len(self.mean) + 1


@dataclass(frozen=True)
class TwoLayer(Checked):
    """A student of `hidden` erf units, a teacher of `teacher` units, x ~ N(0, I).

    The teacher's weight vectors are the first unit vectors of the `inputs`, times
    `teacher_norm`; its response has Gaussian noise of standard deviation `noise`. A
    corrupted response is -magnitude times the teacher's, plus that noise.
    """

    table: ClassVar[str] = "model.two_layer"
    inputs: int = checked(integer(1, LARGEST_STEP))
    hidden: int = checked(integer(1, 10_000))
    teacher: int = checked(integer(1, 10_000))
    teacher_norm: float = checked(real(0, 1e100, open_low=True), 1.0)
    noise: float = checked(magnitude, 0.0)
    magnitude: float = checked(magnitude, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("inputs", "hidden"):
            if self.teacher > getattr(self, name):
                allowed = f"at most {self.table}.{name} = {getattr(self, name)}"
                refuse(f"{self.table}.teacher", self.teacher, allowed)
        if self.dimension > LARGEST_STEP:
            refuse(
                f"{self.table}.inputs",
                self.inputs,
                f"at most {LARGEST_STEP // self.hidden}",
            )

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return self.hidden * self.inputs


@dataclass(frozen=True)
class Corrupted(Checked):
    """Draggers: the problem's own corrupted samples; `active` as for any dragger."""

    table: ClassVar[str] = "model.dragger"
    law: str = checked(choice("corrupted"), "corrupted")
    active: Active | None = checked(optional(instance(Active)), None)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from the [model.dragger] table."""
        return cls(**read_active(cls.entries(table)))


Parameters = LinearRegression | LogisticRegression | TwoLayer
LEARNING: dict[str, type[Parameters]] = {
    "linear_regression": LinearRegression,
    "logistic_regression": LogisticRegression,
    "two_layer": TwoLayer,
}
DRAGGERS: dict[str, type[Corrupted] | type[Dragger]] = {
    "corrupted": Corrupted,
    "persistent": Dragger,
    "additive": Dragger,
    "opposing": Dragger,
    "isotropic": Dragger,
}


@dataclass(frozen=True)
class LearningModel(Checked):
    """A learning problem, its own table, and draggers: corrupted samples by default."""

    table: ClassVar[str] = "model"
    problem: str = checked(choice(*LEARNING))
    dragger_fraction: float = checked(real(0, 1, open_high=True))
    linear_regression: LinearRegression | None = checked(
        optional(instance(LinearRegression)), None
    )
    logistic_regression: LogisticRegression | None = checked(
        optional(instance(LogisticRegression)), None
    )
    two_layer: TwoLayer | None = checked(optional(instance(TwoLayer)), None)
    dragger: Corrupted | Dragger = checked(instance(Corrupted, Dragger), Corrupted())

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in LEARNING:
            given = getattr(self, name) is not None
            if name == self.problem and not given:
                message = f"model: the table '{name}' is required by problem = {name!r}"
                raise SpecificationError(message)
            if name != self.problem and given:
                refuse(
                    f"model.{name}",
                    "a table",
                    f"absent with problem = {self.problem!r}",
                )
        choice(*DRAGGERS)("model.dragger.law", self.dragger.law)
        direction = (
            self.dragger.direction if isinstance(self.dragger, Dragger) else None
        )
        if isinstance(direction, tuple) and len(direction) != self.dimension:
            allowed = (
                f"a number, or a list of {self.dimension} values, one "
                "for each parameter"
            )
            refuse("model.dragger.direction", list(direction), allowed)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from the [model] table, problem and draggers from their tables."""
        values = cls.entries(table)
        for name, parameters in LEARNING.items():
            if name in values:
                values[name] = parameters.read(values[name])
        if isinstance(values.get("dragger"), Mapping):
            values["dragger"] = {"law": "corrupted", **values["dragger"]}
        if "dragger" in values:
            values["dragger"] = read_law("model.dragger", values["dragger"], DRAGGERS)
        return cls(**values)

    @property
    def parameters(self) -> Any:
        """What the problem's own table says."""
        return getattr(self, self.problem)

    @property
    def dimension(self) -> int:
        """Number of parameters w."""
        return int(self.parameters.dimension)
