"""An unfinished run on disk: how far it is, how often written, how reported."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.spec.experiment import Experiment
from analysis.spec.files import shown
from sim.engines.state import ARRAYS, State, start
from sim.estimate import Array
from sim.measures import MEASURES
from sim.results import Measured
from sim.sweep.interrupt import Interrupt
from sim.sweep.store import Store
from sim.variants import Variant

KEEP = 30.0  # seconds between two writings of an unfinished state
SHARE = 20  # at least so many times as long as a writing took
LARGE = 1 / 16  # GiB of a state whose writing is announced


@dataclass
class Progress:
    """How far the run at one size is: finished step sizes, and the current one."""

    # what was found at the finished ones
    done: list[Array] = field(default_factory=list)
    state: State | None = None  # of the current one
    found: Array | None = None

    @classmethod
    def read(
        cls, experiment: Experiment, arrays: Mapping[str, NDArray[Any]]
    ) -> "Progress":
        """From the arrays that were kept.

        Raises ValueError if they do not fit the experiment.
        """
        fresh, found = (
            start(experiment),
            MEASURES[experiment.run.measure](experiment).found,
        )
        count = sum(name.startswith("done") for name in arrays)
        expected = {f"done{i}": found for i in range(count)}
        if set(arrays) != set(expected):
            expected |= {name: getattr(fresh, name) for name in ARRAYS} | {
                "found": found
            }
        fits = set(arrays) == set(expected) and all(
            arrays[name].shape == array.shape and arrays[name].dtype == array.dtype
            for name, array in expected.items()
        )
        steps = arrays["steps"] if fits and "steps" in arrays else np.array(0)
        within = steps.min() >= 0 and steps.max() <= experiment.run.iterations
        if not (fits and within and count <= len(experiment.run.steps)):
            raise ValueError("its arrays do not fit")
        progress = cls([arrays[f"done{i}"] for i in range(count)])
        if "steps" in arrays:
            progress.found = arrays["found"]
            values: list[Any] = [arrays[name] for name in ARRAYS]
            progress.state = State(*values)
        return progress

    @property
    def steps(self) -> int:
        """Steps that all replicates have done at the current step size."""
        return 0 if self.state is None else int(self.state.steps.min())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays to be kept."""
        arrays = {f"done{i}": found for i, found in enumerate(self.done)}
        if self.state is not None and self.found is not None:
            arrays |= {name: self.state.host(name) for name in ARRAYS} | {
                "found": self.found
            }
        return arrays


class Keeper:
    """The run at one micro-batch size, or with the schedule, and what of it is on disk.

    `centred` is the experiment in the coordinates of the simulation. Without a store
    nothing is kept. Raises SpecificationError when a damaged state cannot be set aside.
    """

    def __init__(
        self,
        store: Store | None,
        experiment: Experiment,
        centred: Experiment,
        variant: Variant,
    ) -> None:
        self.store, self.experiment, self.variant = store, experiment, variant
        self.progress, self.kept = (
            Progress(),
            -np.inf,
        )  # when the state on disk was this one
        if store is not None and (arrays := store.read_state(experiment, variant)):
            try:
                self.progress, self.kept = (
                    Progress.read(centred, arrays),
                    time.monotonic(),
                )
            except ValueError as error:
                store.set_aside(store.unfinished(experiment, variant), error)
        self.cost = 0.0
        self.due = time.monotonic() + KEEP
        self.problem = ""

    def keep_if_due(self, interrupt: Interrupt) -> None:
        """Write the state every KEEP seconds, and seldom where it is large.

        When that fails the run goes on, and it is said once.
        """
        if self.store is None or time.monotonic() < self.due:
            return
        before = self.problem
        self._keep(self.store, interrupt)
        if self.problem and not before:
            lost = (
                "the state of the unfinished run cannot be kept, and is "
                "lost when interrupted"
            )
            tqdm.write(f"{lost}: {self.problem}", file=sys.stderr)

    def _keep(self, store: Store, interrupt: Interrupt) -> None:
        began, arrays = time.monotonic(), self.progress.to_arrays()
        size = sum(array.nbytes for array in arrays.values()) / 2**30
        notice = (
            f"keeping the state of the unfinished run ({size:.1f} "
            "GiB); Ctrl-C: leave it"
        )
        try:
            with interrupt.announced(notice if size > LARGE else ""):
                store.write_state(self.experiment, self.variant, arrays)
            self.kept = began
            self.problem = ""
        except (OSError, MemoryError) as error:
            self.problem = shown(" ".join(str(error).split()) or "not enough memory")
        self.cost = time.monotonic() - began
        self.due = time.monotonic() + max(KEEP, SHARE * self.cost)

    def leave(self, interrupt: Interrupt, finished: int) -> str:
        """After Ctrl-C: keep the state, unless asked again, and say what is on disk.

        `finished` sizes should be there. A state on disk that is younger than the time
        it took to write it is good enough.
        """
        if self.store is None:
            return ""
        left, asked = time.monotonic(), interrupt.asked and not interrupt.insisted
        begun = bool(self.progress.to_arrays())
        if begun and asked and left - self.kept > self.cost:
            with suppress(KeyboardInterrupt):
                self._keep(self.store, interrupt)
        folder = shown(self.store.folder)
        variants = self.experiment.algorithm.variants
        present = sum(
            os.path.exists(self.store.path(self.experiment, variant))
            for variant in variants
        )
        on_disk = os.path.exists(self.store.unfinished(self.experiment, self.variant))
        if not (begun or finished):
            return f"Nothing was begun that could be kept in {folder}."
        if present >= finished and (on_disk or not begun):
            old = left - self.kept if begun else 0.0
            what = f"was done {old:.0f} seconds ago" if old >= 1 else "is done"
            return f"What {what} is in {folder}; run again to go on."
        reason = self.problem or "interrupted again"
        if not present:
            return f"Nothing was kept in {folder} ({reason})."
        what = (
            f"{present} of {len(variants)} sizes are in {folder}, not the "
            "state of the next one"
        )
        return f"{what} ({reason}); run again to go on."

    def finish(self, result: Measured) -> None:
        """Write the result, in place of the state, dropped here and on disk."""
        self.progress = Progress()
        if self.store is not None:
            self.store.write(self.experiment, self.variant, result)
            with suppress(OSError):
                self.store.unfinished(self.experiment, self.variant).unlink()
