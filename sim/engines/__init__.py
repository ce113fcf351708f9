"""Engines: how an experiment's steps are computed. `engine` chooses one."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.noise import StudentT
from sim.backend import Device
from sim.engines.course import Course
from sim.engines.state import State
from sim.engines.waypoints import NONE, Waypoints
from sim.engines.workers import Workers
from sim.random import philox
from sim.variants import Variant, word


class Engine(Protocol):
    """One micro-batch size, or the schedule, at one step size."""

    def advance(
        self,
        state: State,
        begin: int,
        end: int,
        record: bool,
        *,
        waypoints: Waypoints = NONE,
    ) -> None:
        """Do the steps begin … end - 1 of every replicate, in place.

        `record`: add ∇f, ‖∇f‖² and ‖∇f‖ at each step to state.sums. The result is the
        same, bit for bit, however the steps are cut into calls, and by which
        `waypoints`: some replicates may pass them before others do. A replicate that
        has done more than `begin` steps, see state.steps, goes on from where it is
        (then there must be no waypoints); when the engine is stopped, it returns early.
        """


def reducible(experiment: Experiment) -> bool:
    """Whether a micro-batch's mean can be drawn at once, instead of its samples."""
    model = experiment.model
    return isinstance(model, GradientModel) and not any(
        isinstance(noise, StudentT) for _, noise in model.parts
    )


def engine(
    experiment: Experiment,
    variant: Variant,
    step: float,
    *,
    workers: Workers,
    device: Device | None = None,
    stop: NDArray[np.bool_] | None = None,
) -> Engine:
    """The fastest engine for the experiment's model, on the device or by the workers.

    It advances states that are where it is. stop [1]: once it is True, whoever made it
    so, the engine's threads return within a second (those of a device at the end of the
    call).
    """
    stop = np.zeros(1, np.bool_) if stop is None else stop
    if not reducible(experiment):
        from sim.engines.sampled import Samples

        return Samples(
            experiment, variant, step, workers=workers, device=device, stop=stop
        )
    from sim.reduction.compositions import plan

    run = experiment.run
    key = philox.key(run.seed, word(variant), step)
    course = Course(key, step, run.radius, experiment.algorithm.optimizer)
    law = plan(experiment, variant)
    if device is None:
        from sim.engines.cpu.engine import Mixture

        return Mixture(law, course, precision=run.precision, workers=workers, stop=stop)
    from sim.engines.cuda.launch import Cuda

    return Cuda(
        law,
        course,
        precision=run.precision,
        replicates=run.replicates,
        device=device,
    )
