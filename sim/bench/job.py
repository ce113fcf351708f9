"""The job of the benchmark: what all programs simulate, as plain numbers and arrays."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment
from sim.measures import points
from sim.presets import presets

Vector = NDArray[np.float32]
REFERENCE = "j1"


class Reduction(StrEnum):
    """What a program draws normals for: d a sample, d a micro-batch, four lengths."""

    SAMPLES = "samples"
    MEANS = "means"
    RADII = "radii"


@dataclass(frozen=True)
class Job:
    """Algorithm 1 on f(w) = ‖w‖²/2, started at `start` [d].

    A benign sample's gradient is w + N(0, spread² I); with probability `fraction` a
    sample is a dragger, and its gradient is w + push [d]. B samples a step in
    micro-batches of b, R replicates, T steps of size `step`; the mean of ‖w‖ is
    recorded after each number of steps in `points`.
    """

    d: int
    B: int
    b: int
    fraction: float
    spread: float
    push: Vector
    start: Vector
    step: float
    R: int
    T: int
    points: list[int]

    @property
    def m(self) -> int:
        """Micro-batches in a step."""
        return self.B // self.b

    @property
    def sample_gradients(self) -> int:
        """Sample gradients that the job stands for."""
        return self.R * self.T * self.B

    def normals_of_a_step(self, reduction: Reduction) -> int:
        """Normals for a replicate; a χ² counts as one."""
        if reduction is Reduction.RADII:
            return 4 * self.m
        return self.d * (self.m if reduction is Reduction.MEANS else self.B)

    def normals(self, reduction: Reduction) -> int:
        """Normals that a program draws for the job."""
        return self.R * self.T * self.normals_of_a_step(reduction)

    def draggers(self) -> NDArray[np.float64]:
        """P(at most k draggers in a micro-batch) [b + 1], binomial; the last is 1."""
        mass = np.zeros(self.b + 1)
        mass[0] = 1.0
        for _ in range(self.b):
            mass[1:] = (1 - self.fraction) * mass[1:] + self.fraction * mass[:-1]
            mass[0] *= 1 - self.fraction
        cumulative = np.minimum(np.cumsum(mass), 1.0)
        cumulative[-1] = 1.0
        return cumulative

    def scales(self) -> Vector:
        """Standard deviation per coordinate of a mean with k draggers [b + 1]."""
        return (self.spread * np.sqrt(self.b - np.arange(self.b + 1)) / self.b).astype(
            np.float32
        )

    def summary(self, norms: Any) -> tuple[list[float], list[float]]:
        """Mean over replicates and its standard error of ‖w‖ [points, R]."""
        norms = np.asarray(norms, np.float64)
        error = norms.std(axis=1, ddof=1) / np.sqrt(norms.shape[1])
        return norms.mean(axis=1).tolist(), error.tolist()


def variants() -> dict[str, Experiment]:
    """The reference job J1 and its variants by name: the presets that begin with j1.

    In the full engine, unless a program asks for another.
    """
    found = {}
    for name, path in presets().items():
        if name.split("_")[0] == REFERENCE:
            short = name.removeprefix(f"{REFERENCE}_").replace(REFERENCE, "J1")
            experiment = Experiment.load(path)
            run = replace(experiment.run, engine="full")
            found[short] = replace(experiment, run=run)
    return found


def job(experiment: Experiment) -> Job:
    """The job that an experiment describes.

    Raises SpecificationError unless it is Algorithm 1 with Gaussian noise and additive
    draggers on ‖w‖²/2, one size, one step size, measure = "trajectory".
    """
    model, algorithm, run = (
        experiment.gradient_model,
        experiment.algorithm,
        experiment.run,
    )
    for name, value, wanted in (
        ("model.noise.law", getattr(model.noise, "law", None), "gaussian"),
        ("model.dragger.law", model.dragger.law, "additive"),
        ("model.dragger.active", model.dragger.active, None),
        ("model.curvature", model.curvature, 1.0),
        ("model.problem", model.problem, None),
        ("algorithm.rule", algorithm.rule, "adaptive"),
        ("algorithm.aggregate", algorithm.aggregate, "mean"),
        ("len(algorithm.micro_batch_sizes)", len(algorithm.sizes), 1),
        ("len(run.steps)", len(run.steps), 1),
        ("run.measure", run.measure, "trajectory"),
        ("run.precision", run.precision, "float32"),
    ):
        if value != wanted:
            refuse(name, value, f"{wanted!r} in a benchmark")
    d = model.dimension
    start = np.zeros(d, np.float32)
    start[slice(None) if isinstance(run.start, tuple) else 0] = run.start
    return Job(
        d=d,
        B=algorithm.batch_size,
        b=algorithm.sizes[0],
        fraction=model.dragger_fraction,
        spread=model.parts[0][1].gaussian / float(np.sqrt(d)),
        push=model.dragger.unit_vector(d).astype(np.float32)
        * np.float32(model.dragger.norm),
        start=start,
        step=run.steps[0],
        R=run.replicates,
        T=run.iterations,
        points=points(run),
    )
