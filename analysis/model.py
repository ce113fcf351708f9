"""The problem, described once: the stochastic gradient, the algorithm and the run.

Theory and simulation read the same file with the same reader, so they speak about the same model
and refuse the same files in the same words.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from analysis.fields import (
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
from analysis.gradient import GradientModel
from analysis.laws import LARGEST_STEP, Active, Gamma, Rare, StudentT
from analysis.problems import GRADIENT_PROBLEMS, LEARNING, LearningModel, positive

__all__ = [
    "LARGEST_STEP",
    "RULES",
    "Active",
    "Algorithm",
    "Experiment",
    "Gamma",
    "GradientModel",
    "LearningModel",
    "Rare",
    "Run",
    "StudentT",
]

RULES = ("sgd", "adaptive", "normalized", "fixed", "global")
BATCH_MEANS = 256  # recorded in all, so that their correlation can be judged


@dataclass(frozen=True)
class Algorithm(Checked):
    """The update rule, the mini-batch size B and the micro-batch sizes b to compare.

    `domains`: whether every sample's domain is drawn for itself (mixed, the default) or that of a
    whole micro-batch at once (pure).
    """

    table: ClassVar[str] = "algorithm"
    rule: str = checked(choice(*RULES))
    batch_size: int = checked(integer(1, LARGEST_STEP))
    micro_batch_sizes: tuple[int, ...] = checked(several(integer(1, LARGEST_STEP), 1, 10_000))
    aggregate: str = checked(choice("mean", "sum"), "mean")
    threshold: float | None = checked(optional(positive), None)
    domains: str | None = checked(optional(choice("mixed", "pure")), None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for i, b in enumerate(self.micro_batch_sizes):
            name = f"algorithm.micro_batch_sizes[{i}]"
            if self.batch_size % b:
                refuse(name, b, f"a divisor of algorithm.batch_size = {self.batch_size}")
            if b in self.micro_batch_sizes[:i]:
                refuse(name, b, "different from the sizes before it")
        needs_threshold = self.rule in ("fixed", "global")
        if needs_threshold and self.threshold is None:
            message = f"algorithm: the key 'threshold' is required by rule = {self.rule!r}"
            raise SpecificationError(message)
        if not needs_threshold and self.threshold is not None:
            refuse("algorithm.threshold", self.threshold, f"absent with rule = {self.rule!r}")


@dataclass(frozen=True)
class Run(Checked):
    """How long to simulate, how often, from where, and with which random numbers."""

    table: ClassVar[str] = "run"
    steps: tuple[float, ...] = checked(several(positive, 2, 3), (0.2, 0.1))
    iterations: int = checked(integer(1, 10**12), 4000)
    burn_in: float = checked(real(0, 1, open_high=True), 0.5)
    replicates: int = checked(integer(1, LARGEST_STEP), 32)
    start: float | tuple[float, ...] = checked(one_or_several(real(), LARGEST_STEP), 0.0)
    seed: int = checked(integer(0, 2**63 - 1), 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.steps)) < len(self.steps):
            refuse("run.steps", list(self.steps), "different step sizes")
        if self.recorded < self.batches:
            allowed = f"large enough to leave {self.batches} iterations after run.burn_in"
            refuse("run.iterations", self.iterations, allowed)

    @property
    def recorded(self) -> int:
        """Iterations after burn-in, the ones that are averaged."""
        return self.iterations - math.floor(self.burn_in * self.iterations)

    @property
    def batches(self) -> int:
        """Batch means that each replicate contributes: an even number, about 256 in all."""
        return 2 * max(1, math.ceil(BATCH_MEANS / self.replicates / 2))


@dataclass(frozen=True)
class Experiment(Checked):
    """A model, an algorithm and a run: everything a TOML file says.

    `name` is the file's stem. It labels results and is not part of the specification.
    """

    table: ClassVar[str] = "experiment"
    model: GradientModel | LearningModel = checked(instance(GradientModel, LearningModel))
    algorithm: Algorithm = checked(instance(Algorithm))
    run: Run = checked(instance(Run), Run())
    name: str = field(default="experiment", compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        d = self.model.dimension
        pieces = self.model.domains if isinstance(self.model, GradientModel) else None
        if self.algorithm.domains is not None and pieces is None:
            refuse("algorithm.domains", self.algorithm.domains, "absent without [[model.domains]]")
        if isinstance(self.run.start, tuple) and len(self.run.start) != d:
            allowed = f"a number, or a list of model.dimension = {d} values"
            refuse("run.start", list(self.run.start), allowed)

    @property
    def gradient_model(self) -> GradientModel:
        """The model; raises SpecificationError when it is a learning problem."""
        if not isinstance(self.model, GradientModel):
            allowed = "quadratic, nonconvex or domains (the others are only simulated)"
            refuse("model.problem", self.model.problem, allowed)
        return self.model

    def require_memory(self) -> None:
        """Raise SpecificationError if a simulation would not fit in memory; theory always does."""
        d = self.model.dimension
        micro_batches = self.algorithm.batch_size // min(self.algorithm.micro_batch_sizes)
        if d * micro_batches > LARGEST_STEP:
            allowed = (
                f"at most {LARGEST_STEP // micro_batches} with {micro_batches} micro-batches "
                "(a step must fit in memory)"
            )
            refuse("model.dimension", d, allowed)
        if d * self.run.replicates * self.run.batches > LARGEST_STEP:
            if d * BATCH_MEANS > LARGEST_STEP:
                allowed = f"at most {LARGEST_STEP // BATCH_MEANS} (results must fit in memory)"
                refuse("model.dimension", d, allowed)
            allowed = f"at most {LARGEST_STEP // d} in dimension {d} (results must fit in memory)"
            refuse("run.replicates", self.run.replicates, allowed)

    @classmethod
    def from_mapping(cls, table: Any, name: str = "experiment") -> Self:
        """Build from the nested mapping that a TOML file contains."""
        values = cls.entries(table)
        return cls(
            model=_read_model(values["model"]),
            algorithm=Algorithm.read(values["algorithm"]),
            run=Run.read(values.get("run", {})),
            name=name,
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file. Raises SpecificationError, its message beginning with the path."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            if not text.strip():
                raise SpecificationError("the file is empty: must hold [model] and [algorithm]")
            return cls.from_mapping(tomllib.loads(text), name=path.stem)
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise SpecificationError(f"{path}: {reason}: must be a readable TOML file") from None
        except UnicodeDecodeError:
            raise SpecificationError(f"{path}: must be a text file in UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise SpecificationError(f"{path}: broken TOML: {error}") from None
        except SpecificationError as error:
            raise SpecificationError(f"{path}: {error}") from None
        except (ValueError, RecursionError):  # a number of thousands of digits, or deep nesting
            raise SpecificationError(f"{path}: broken TOML: cannot be parsed") from None

    def to_mapping(self) -> dict[str, Any]:
        """The nested mapping that `from_mapping` reads, defaults filled in."""
        return {
            "model": self.model.to_mapping(),
            "algorithm": self.algorithm.to_mapping(),
            "run": self.run.to_mapping(),
        }


def _read_model(table: Any) -> GradientModel | LearningModel:
    """The class that the key `problem` of the [model] table asks for."""
    problem = table.get("problem") if isinstance(table, Mapping) else None
    if problem is None or problem in GRADIENT_PROBLEMS:
        return GradientModel.read(table)
    choice(*GRADIENT_PROBLEMS, *LEARNING)("model.problem", problem)
    return LearningModel.read(table)
