"""An experiment's variants, run in turn: threads, progress bar, Ctrl-C, store."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from analysis.spec.experiment import Experiment
from sim.backend import Device
from sim.engines import Engine, engine
from sim.engines.state import State, start
from sim.engines.workers import Workers
from sim.measures import MEASURES, Measure
from sim.results import Measured, measured
from sim.sweep.interrupt import Interrupt
from sim.sweep.keeper import Keeper, Progress
from sim.sweep.piece import Piece
from sim.sweep.store import Store
from sim.variants import Variant


def _nothing(variant: Variant, progress: Progress) -> None:
    """Nothing is to be done after a piece of work."""


@dataclass(frozen=True)
class Pieces:
    """How the work is cut: pieces of about so many seconds, at least one step each.

    One that passes pauses of the measure is given up when it is stopped.

    after: called after each piece with the variant and how far it is. What it raises
    ends the run; KeyboardInterrupt as Ctrl-C does.
    """

    seconds: float = 0.2
    after: Callable[[Variant, Progress], None] = _nothing


@dataclass(frozen=True)
class Settings:
    """With what to work; results depend on none of it, but for rounding on the device.

    bar: whether progress is shown, None: on a terminal.
    """

    threads: int
    device: Device | None
    bar: bool | None
    pieces: Pieces


class Session:
    """A context in which an experiment's missing variants can be finished.

    store: where states are found and kept; None keeps nothing. Raises
    SpecificationError when a damaged state there cannot be set aside.
    """

    def __init__(
        self,
        experiment: Experiment,
        missing: Sequence[Variant],
        store: Store | None,
        settings: Settings,
    ) -> None:
        self.experiment, self.centred = experiment, experiment.centred()
        self.settings, self.finished = (
            settings,
            len(experiment.algorithm.variants) - len(missing),
        )
        self.keepers = {
            variant: Keeper(store, experiment, self.centred, variant)
            for variant in missing
        }

    def __enter__(self) -> "Session":
        run, wanted = self.experiment.run, self.settings.bar
        if not self.keepers:
            wanted = False
        bar = tqdm(
            total=run.iterations * len(run.steps) * len(self.keepers),
            unit=" steps",
            unit_scale=True,
            disable=None if wanted is None else not wanted,
        )
        self._contexts = ExitStack()
        self.workers = self._contexts.enter_context(Workers(self.settings.threads))
        self.interrupt = self._contexts.enter_context(Interrupt())
        self.bar = self._contexts.enter_context(bar)
        return self

    def __exit__(self, *error: Any) -> None:
        self._contexts.__exit__(*error)

    def finish(self, variant: Variant) -> Measured:
        """Run the variant to its end from the state that was kept; store the result.

        Raises KeyboardInterrupt after Ctrl-C, saying what is on disk.
        """
        keeper = self.keepers[variant]
        try:
            for steps in self._steps(variant, keeper.progress):
                self.bar.update(steps)
                self.settings.pieces.after(variant, keeper.progress)
                if self.interrupt.asked:
                    raise KeyboardInterrupt
                keeper.keep_if_due(self.interrupt)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                keeper.leave(self.interrupt, self.finished)
            ) from None
        result = measured(self.experiment, keeper.progress.done)
        keeper.finish(result)
        self.finished += 1
        return result

    def _steps(self, variant: Variant, progress: Progress) -> Iterator[int]:
        """Go on from `progress` to the end in pieces; yields how many steps were done.

        Between two pieces `progress` is whole, so that it may be kept; so it is when a
        piece was stopped, where replicates may have done different numbers of steps.
        """
        run = self.centred.run
        for step in run.steps[len(progress.done) :]:
            measure = MEASURES[run.measure](self.centred)
            if progress.found is not None:
                measure.found = progress.found
                yield progress.steps
            yield from self._trajectory(variant, step, measure, progress)
            progress.done.append(measure.found)
            progress.state = None
            progress.found = None

    def _trajectory(
        self, variant: Variant, step: float, measure: Measure, progress: Progress
    ) -> Iterator[int]:
        """The same at one step size."""
        state = progress.state or start(self.centred)
        at = progress.steps
        farthest = int(state.steps.max())
        rate = 0.0  # steps a second
        # Replicates that stand apart are first brought together by the CPU.
        device = None if at < farthest else self.settings.device
        state, machine = self._placed(state, device, variant, step)
        while at < self.centred.run.iterations:
            wanted = at + int(rate * self.settings.pieces.seconds)
            piece = Piece(measure, state, at, max(at + 1, wanted, farthest))
            began = time.perf_counter()
            if piece.work(machine):
                state, at = piece.state, piece.reached
                progress.state, progress.found = state, measure.found
            rate = (piece.end - piece.begin) / max(time.perf_counter() - began, 1e-6)
            yield at - piece.begin
            if device is not self.settings.device:
                device = self.settings.device
                state, machine = self._placed(state, device, variant, step)

    def _placed(
        self, state: State, device: Device | None, variant: Variant, step: float
    ) -> tuple[State, Engine]:
        """The state moved to the device, or to the CPU, and the engine there."""
        moved = state.moved(device)
        with self.interrupt.at_once():
            stop = self.interrupt.stop
            return moved, engine(
                self.centred,
                variant,
                step,
                workers=self.workers,
                device=device,
                stop=stop,
            )
