"""Engines: how an experiment's steps are computed. `engine` chooses one."""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from analysis.model import Experiment, GradientModel, StudentT
from sim import philox
from sim.backend import Device
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
    experiment: Experiment,
    b: int | None,
    step: float,
    pool: ThreadPoolExecutor,
    device: Device | None = None,
) -> Engine:
    """The fastest engine that knows the experiment's model, on the device or in the pool.

    It advances states that are where it is.
    """
    if not reducible(experiment):
        from sim.engines.persample import Samples

        return Samples(experiment, b, step, pool, device)
    from sim.composition import plan

    run = experiment.run
    what = (plan(experiment, b), philox.key(run.seed, b or 0, step), step, run.radius)
    if device is None:
        from sim.engines.mixture import Mixture

        return Mixture(*what, precision=run.precision, pool=pool)
    from sim.engines.cuda import Cuda

    return Cuda(*what, precision=run.precision, replicates=run.replicates, device=device)
