"""Engines: how an experiment's steps are computed. `engine` chooses one."""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from analysis.model import Experiment
from sim.engines.state import State


class Engine(Protocol):
    """One micro-batch size, or the schedule, at one step size."""

    def advance(self, state: State, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate, in place.

        `record`: add ∇f and ‖∇f‖² at each step to state.sums. The result is the same, bit for bit,
        however the steps are cut into calls.
        """


def engine(
    experiment: Experiment, b: int | None, step: float, pool: ThreadPoolExecutor, backend: str
) -> Engine:
    """The fastest engine that knows the experiment's model."""
    from sim.engines.mixture import Mixture

    return Mixture(experiment, b, step, pool)
