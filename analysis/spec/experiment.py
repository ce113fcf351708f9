"""The problem, described once: the stochastic gradient, the algorithm and the run.

Theory and simulation read the same file with the same reader, so they speak about the same model
and refuse the same files in the same words.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from analysis.spec.algorithm import (
    BATCH_MEANS,
    UNITS,
    Algorithm,
    Run,
    Schedule,
)
from analysis.spec.checking import (
    Checked,
    SpecificationError,
    checked,
    choice,
    file_name,
    instance,
    refuse,
    shortened,
)
from analysis.spec.draggers import Active
from analysis.spec.learning import GRADIENT_PROBLEMS, LEARNING, LearningModel
from analysis.spec.limits import LARGEST_STEP
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Rare, StudentT
from analysis.spec.reading import read_table
from analysis.spec.rule import Rule, micro_batches

__all__ = [
    "LARGEST_STEP",
    "UNITS",
    "Active",
    "Algorithm",
    "Experiment",
    "Gamma",
    "GradientModel",
    "LearningModel",
    "Rare",
    "Rule",
    "Run",
    "Schedule",
    "StudentT",
    "micro_batches",
]

LONGEST_PATH = 300  # characters of it in a message
# Numbers whose squares are far from overflow in the precision of the iterates.
LARGEST_SINGLE = 1e15
LARGEST_DOUBLE = 1e150
SHORTEST_RUN = 0.1  # of the shortest relaxation time that there may be
LARGEST_DOUBLE_STEP = 1e75  # whose fourth power is a number in float64


@dataclass(frozen=True)
class Experiment(Checked):
    """A model, an algorithm and a run: everything a TOML file says.

    `name` is the file's stem. It names the folder of the results and is not part of the
    specification.
    """

    table: ClassVar[str] = "experiment"
    model: GradientModel | LearningModel = checked(instance(GradientModel, LearningModel))
    algorithm: Algorithm = checked(instance(Algorithm))
    run: Run = checked(instance(Run), Run())
    name: str = field(default="experiment", compare=False, metadata={"check": file_name})

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
            allowed = "quadratic or domains here (the others are only simulated)"
            refuse("model.problem", self.model.problem, allowed)
        return self.model

    def require_memory(self) -> None:
        """Raise SpecificationError if a simulation would not fit in memory; theory always does."""
        d = self.model.dimension
        m = -(-self.algorithm.batch_size // min(self.algorithm.sizes))
        if d * m > LARGEST_STEP:
            allowed = (
                f"at most {LARGEST_STEP // m} with {m} micro-batches (a step must fit in memory)"
            )
            refuse("model.dimension", d, allowed)
        if d * BATCH_MEANS > LARGEST_STEP:
            allowed = f"at most {LARGEST_STEP // BATCH_MEANS} (results must fit in memory)"
            refuse("model.dimension", d, allowed)
        if d * self.run.replicates > LARGEST_STEP:
            allowed = f"at most {LARGEST_STEP // d} in dimension {d} (results must fit in memory)"
            refuse("run.replicates", self.run.replicates, allowed)

    def require_precision(self) -> None:
        """Raise SpecificationError if squares of numbers that occur overflow or lose digits.

        A threshold too large for that clips nothing, in float64 as in theory.
        """
        precision = self.run.precision
        limit = LARGEST_SINGLE if precision == "float32" else LARGEST_DOUBLE
        other = "float64" if precision == "float32" else "other numbers"
        for i, step in enumerate(self.run.steps if precision == "float64" else ()):
            if not 1 / LARGEST_DOUBLE_STEP <= step <= LARGEST_DOUBLE_STEP:
                allowed = f"from {1 / LARGEST_DOUBLE_STEP:g} to {LARGEST_DOUBLE_STEP:g}"
                refuse(f"run.steps[{i}]", step, f"{allowed} in a simulation (its powers count)")
        model = self.model.to_mapping()
        model["dragger"] = {k: v for k, v in model["dragger"].items() if k != "active"}
        sizes = [model, self.run.start]
        smallest = min(self.run.steps)
        threshold = self.algorithm.threshold
        if threshold not in (None, math.inf):
            smallest = min(smallest, threshold)
            sizes.append(threshold if precision == "float32" else 0.0)
        if isinstance(self.model, GradientModel):
            start = np.zeros(self.model.dimension)
            start[slice(None) if isinstance(self.run.start, tuple) else 0] = self.run.start
            noise = self.model.noise_scale()
            smallest = min(smallest, noise / math.sqrt(max(self.algorithm.sizes)) or math.inf)
            sizes += [noise, self.model.gradient(start).tolist()]
        largest = max(_sizes(sizes))
        if not largest <= limit:
            allowed = f"{other} for numbers above {limit:g} (here {largest:g})"
            refuse("run.precision", precision, allowed)
        if smallest < 1 / limit or max(self.run.steps) > limit:
            allowed = f"{other} for a threshold or a micro-batch's noise below {1 / limit:g} "
            allowed += f"or steps beyond {1 / limit:g} to {limit:g}"
            refuse("run.precision", precision, allowed)

    def require_relaxation(self) -> None:
        """Raise SpecificationError if a bias is asked of runs that cannot have forgotten w_0.

        One step takes at most its size times the largest curvature of the way to a point of rest,
        under every rule but `normalized`, whose steps do not shrink with the gradient.
        """
        model, run = self.model, self.run
        if not isinstance(model, GradientModel) or not self.algorithm.rule.only_shortens:
            return
        if run.measure != "bias":
            return
        curvature = float(np.max(model.curvature))
        if self.algorithm.aggregate == "sum":
            curvature *= -(-self.algorithm.batch_size // min(self.algorithm.sizes))
        least = SHORTEST_RUN / (run.iterations * curvature)
        for i, step in enumerate(run.steps):
            if step < least:
                allowed = f"at least {least:.3g} with run.iterations = {run.iterations}"
                refuse(f"run.steps[{i}]", step, f"{allowed} (a shorter run does not come to rest)")

    def centred(self) -> Self:
        """The same experiment in coordinates in which the minimum of the loss is at 0.

        Its gradients are the same numbers, and distant optima leave no rounding errors behind.
        """
        model = self.model
        if not isinstance(model, GradientModel) or model.domains is None:
            return self
        centre, d = model.centre, model.dimension
        domains = tuple(
            replace(k, optimum=tuple(np.broadcast_to(k.optimum, d) - centre)) for k in model.domains
        )
        start = -centre
        start[slice(None) if isinstance(self.run.start, tuple) else 0] += self.run.start
        run = replace(self.run, start=tuple(start))
        return replace(self, model=replace(model, domains=domains), run=run)

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
            return cls.from_mapping(read_table(path), name=path.stem)
        except SpecificationError as error:
            raise SpecificationError(f"{shortened(str(path), LONGEST_PATH)}: {error}") from None

    def to_mapping(self) -> dict[str, Any]:
        """The nested mapping that `from_mapping` reads, defaults filled in."""
        return {
            "model": self.model.to_mapping(),
            "algorithm": self.algorithm.to_mapping(),
            "run": self.run.to_mapping(),
        }


def _sizes(value: Any) -> Iterator[float]:
    """The absolute values of all numbers in nested mappings and lists, and 0."""
    yield 0.0
    if isinstance(value, (int, float)):
        yield abs(value)
    elif isinstance(value, Mapping):
        yield from _sizes(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _sizes(entry)


def _read_model(table: Any) -> GradientModel | LearningModel:
    """The class that the key `problem` of the [model] table asks for."""
    problem = table.get("problem") if isinstance(table, Mapping) else None
    if problem is None or problem in GRADIENT_PROBLEMS:
        return GradientModel.read(table)
    choice(*GRADIENT_PROBLEMS, *LEARNING)("model.problem", problem)
    return LearningModel.read(table)
