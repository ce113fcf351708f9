"""The problem, described once: the stochastic gradient, the algorithm and the run.

Theory and simulation read the same file with the same reader, so they speak about the
same model and refuse the same files in the same words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from analysis.spec.algorithm import Algorithm, Run
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
from analysis.spec.learning import GRADIENT_PROBLEMS, LEARNING, LearningModel
from analysis.spec.model import GradientModel
from analysis.spec.reading import read_table

LONGEST_PATH = 300  # characters of it in a message


@dataclass(frozen=True)
class Experiment(Checked):
    """A model, an algorithm and a run: everything a TOML file says.

    `name` is the file's stem. It names the folder of the results and is not part of the
    specification.

    >>> experiment = Experiment.load("sim/presets/sweet_spot.toml")
    >>> experiment.algorithm.rule.value, experiment.algorithm.batch_size
    ('adaptive', 256)
    >>> experiment.gradient_model.noise.total_variance
    1.09
    """

    table: ClassVar[str] = "experiment"
    model: GradientModel | LearningModel = checked(
        instance(GradientModel, LearningModel)
    )
    algorithm: Algorithm = checked(instance(Algorithm))
    run: Run = checked(instance(Run), Run())
    name: str = field(
        default="experiment", compare=False, metadata={"check": file_name}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        d = self.model.dimension
        pieces = self.model.domains if isinstance(self.model, GradientModel) else None
        if self.algorithm.domains is not None and pieces is None:
            refuse(
                "algorithm.domains",
                self.algorithm.domains,
                "absent without [[model.domains]]",
            )
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

    def centred(self) -> Self:
        """The same experiment in coordinates in which the minimum of the loss is at 0.

        Its gradients are the same numbers, and distant optima leave no rounding errors
        behind.
        """
        model = self.model
        if not isinstance(model, GradientModel) or model.domains is None:
            return self
        centre, d = model.centre, model.dimension
        domains = tuple(
            replace(k, optimum=tuple(np.broadcast_to(k.optimum, d) - centre))
            for k in model.domains
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
        """Read a TOML file. Raises SpecificationError, beginning with the path."""
        path = Path(path)
        try:
            return cls.from_mapping(read_table(path), name=path.stem)
        except SpecificationError as error:
            raise SpecificationError(
                f"{shortened(str(path), LONGEST_PATH)}: {error}"
            ) from None

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
