"""Engines: how an experiment's steps are computed. `engine` chooses one."""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from analysis.model import Experiment, GradientModel, StudentT
from sim.engines.state import State


class Engine(Protocol):
    """One micro-batch size, or the schedule, at one step size."""

    def advance(self, state: State, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate, in place.

        `record`: add ∇f and ‖∇f‖² at each step to state.sums. The result is the same, bit for bit,
        however the steps are cut into calls.
        """


def reducible(experiment: Experiment) -> bool:
    """Whether a micro-batch's mean can be drawn at once, instead of its samples."""
    model = experiment.model
    return isinstance(model, GradientModel) and not any(
        isinstance(noise, StudentT) for _, noise in model.parts
    )


def engine(
    experiment: Experiment, b: int | None, step: float, pool: ThreadPoolExecutor, backend: str
) -> Engine:
    """The fastest engine that knows the experiment's model."""
    if reducible(experiment):
        from sim.engines.mixture import Mixture

        return Mixture(experiment, b, step, pool)
    from sim.engines.persample import Samples

    return Samples(experiment, b, step, pool)
