"""The state of a simulated trajectory's replicates, the same for every engine."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.experiment import Experiment
from sim.backend import Device
from sim.reduction.radial import chosen

ARRAYS = ("w", "sums", "hit", "last", "moments", "steps")


@dataclass
class State:
    """R replicates in dimension d, as arrays of NumPy or CuPy.

    w [R, d]: the iterates. sums [R, d + 2]: running sums of ∇f, of ‖∇f‖² and of ‖∇f‖ in
    float64, over the steps that were recorded. In the coordinates of
    `sim.reduction.radial` d is their number in w, that of the explicit ones in sums.
    hit [R]: the first iteration with ‖∇f‖ <= radius, -1 before; a replicate that has
    hit stands still. last [R, 3], of the most recent step: clipping norm (for SGD NaN),
    fraction of micro-batches without dragger, cosine between the rule's direction and
    ∇f. moments [R, k, d]: the running means of the optimizer (`sim.optimizers`), k = 0
    without one, as always in the coordinates of radii. steps [R], of NumPy
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


def recorded(experiment: Experiment) -> int:
    """How many components of ∇f are recorded for a bias.

    All d; in the coordinates of `sim.reduction.radial` the explicit ones, outside of
    which E ∇f is zero.
    """
    space = chosen(experiment)
    return experiment.model.dimension if space is None else space.explicit


def start(experiment: Experiment) -> State:
    """All replicates at run.start, in arrays of NumPy."""
    run, space = experiment.run, chosen(experiment)
    d = experiment.model.dimension if space is None else space.dimension
    optimizer = experiment.algorithm.optimizer
    kept = 0 if optimizer is None else optimizer.moments
    w = np.zeros((run.replicates, d), run.precision)
    if space is None:
        w[:, slice(None) if isinstance(run.start, tuple) else 0] = run.start
    else:
        w[:] = space.start
    return State(
        w,
        np.zeros((run.replicates, recorded(experiment) + 2)),
        np.full(run.replicates, -1),
        np.full((run.replicates, 3), np.nan),
        np.zeros((run.replicates, kept, d), run.precision),
        np.zeros(run.replicates, np.int64),
    )
