"""What a run's measure records at a single step size, before anything is estimated."""

import numpy as np
from numpy.typing import NDArray

from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.measures import MEASURES
from sim.variants import Variant


def recording(
    experiment: Experiment, variant: Variant, step: float, threads: int = 1
) -> NDArray[np.float64]:
    """Simulate a micro-batch size or the schedule at one step size, without a store.

    The array is `found` of the experiment's measure (`sim.measures`): batch means of ∇f
    and ‖∇f‖² [groups, batches, d + 1] for "bias". It has infinities or NaN where
    replicates diverged, and does not depend on the number of threads. The steps of the
    experiment itself have no influence.
    """
    experiment = experiment.centred()
    measure = MEASURES[experiment.run.measure](experiment)
    state = start(experiment)
    reached = 0
    with Workers(threads) as workers:
        machine = engine(experiment, variant, step, workers=workers)
        for pause in measure.pauses():
            machine.advance(state, reached, pause, measure.records(reached))
            measure.collect(state, pause)
            reached = pause
    return measure.found
