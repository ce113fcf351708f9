"""Pieces of work that pass several pauses of a measure without waiting there.

What the measure reads is copied of each replicate when it gets to a pause; the measure
collects from the copies, whole states in order, and finds the same bits.
"""

from dataclasses import replace
from itertools import takewhile
from typing import Any

from sim.engines import Engine
from sim.engines.state import ARRAYS, State
from sim.engines.waypoints import Waypoints
from sim.measures import Measure

ROOM = 2**25  # bytes of copies at a time


class Piece:
    """The steps from `begin` to `end` of all replicates, and the pauses in between.

    It ends at `wanted`, or at the first pause that cannot be passed: replicates that
    stand apart pass none, nor do those on a device or states for whose copies there is
    no room; and what is recorded stays the same. One that passes pauses leaves the
    given state as it is, and works on a copy.
    """

    def __init__(self, measure: Measure, state: State, begin: int, wanted: int) -> None:
        self.measure, self.begin = measure, begin
        self.record = measure.records(begin)
        pauses = [pause for pause in measure.pauses() if pause > begin]
        room = 0 if state.device or state.steps.max() > begin else self._room(state)
        self.passed = tuple(
            takewhile(
                lambda p: p < wanted and measure.records(p) == self.record,
                pauses[: min(room, len(pauses) - 1)],
            )
        )
        self.end = min(wanted, pauses[len(self.passed)])
        self.collects = self.end in pauses
        self.state = self._copy(state, ARRAYS) if self.passed else state
        self.copies = [self._copy(state, measure.reads) for _ in self.passed]

    def _room(self, state: State) -> int:
        """How many copies may be made, beside one of the state itself."""
        size = {name: int(getattr(state, name).nbytes) for name in ARRAYS}
        left = ROOM - sum(size.values())
        return max(0, left // sum(size[name] for name in self.measure.reads))

    @staticmethod
    def _copy(state: State, names: tuple[str, ...]) -> State:
        """The state, some of its arrays copied."""
        arrays: dict[str, Any] = {name: getattr(state, name).copy() for name in names}
        return replace(state, **arrays)

    def work(self, machine: Engine) -> bool:
        """Do it and let the measure collect; False if it was stopped and is given up.

        That happens only amid passed pauses. Otherwise a stopped piece has done some
        steps of some replicates, as its state tells.
        """
        waypoints = Waypoints(self.passed, self.look)
        machine.advance(
            self.state, self.begin, self.end, self.record, waypoints=waypoints
        )
        done = self.reached == self.end
        if done:
            for steps, copy in zip(self.passed, self.copies, strict=True):
                self.measure.collect(copy, steps)
            if self.collects:
                self.measure.collect(self.state, self.end)
        return done or not self.passed

    def look(self, number: int, rows: slice) -> None:
        """Copy what is read of the replicates that are at pause `number`."""
        for name in self.measure.reads:
            getattr(self.copies[number], name)[rows] = getattr(self.state, name)[rows]
        if "sums" in self.measure.reads:  # `collect` would make them start anew
            self.state.sums[rows] = 0

    @property
    def reached(self) -> int:
        """The steps that all replicates have done."""
        return int(self.state.steps.min())
