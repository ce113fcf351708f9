"""The state of a simulated trajectory's replicates, the same for every engine."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.experiment import Experiment
from sim.backend import Device

ARRAYS = ("w", "sums", "hit", "last", "moments", "steps")


@dataclass
class State:
    """R replicates in dimension d, as arrays of NumPy or CuPy.

    w [R, d]: the iterates. sums [R, d + 2]: running sums of ∇f, of ‖∇f‖² and of ‖∇f‖ in
    float64, over the steps that were recorded. hit [R]: the first iteration with
    ‖∇f‖ <= radius, -1 before; a replicate that has hit stands still. last [R, 3], of
    the most recent step: clipping norm (for SGD NaN), fraction of micro-batches without
    dragger, cosine between the rule's direction and ∇f. moments [R, k, d]: the running
    means of the optimizer (`sim.optimizers`), k = 0 without one. steps [R], of NumPy
    always: how many steps each replicate has done, the same for all but where an engine
    was stopped in the middle of its work.
    """

    w: Any
    sums: Any
    hit: Any
    last: Any
    moments: Any
    steps: NDArray[np.int64]
    device: Device | None = None  # None: the arrays are NumPy's

    def host(self, name: str) -> Any:
        """One of the arrays as one of NumPy."""
        array = getattr(self, name)
        return (
            array if self.device is None or name == "steps" else self.device.get(array)
        )

    def moved(self, device: Device | None) -> "State":
        """The state, its arrays of NumPy, on a device."""
        if device is None:
            return self
        put = device.put
        arrays = {name: put(getattr(self, name)) for name in ARRAYS if name != "steps"}
        return State(**arrays, steps=self.steps, device=device)


def start(experiment: Experiment) -> State:
    """All replicates at run.start, in arrays of NumPy."""
    run, d = experiment.run, experiment.model.dimension
    optimizer = experiment.algorithm.optimizer
    kept = 0 if optimizer is None else optimizer.moments
    w = np.zeros((run.replicates, d), run.precision)
    w[:, slice(None) if isinstance(run.start, tuple) else 0] = run.start
    return State(
        w,
        np.zeros((run.replicates, d + 2)),
        np.full(run.replicates, -1),
        np.full((run.replicates, 3), np.nan),
        np.zeros((run.replicates, kept, d), run.precision),
        np.zeros(run.replicates, np.int64),
    )
