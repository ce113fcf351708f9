"""Where replicates are looked at on their way through a piece of work."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def _unseen(number: int, rows: slice) -> None:
    """Nobody looks."""


@dataclass(frozen=True)
class Waypoints:
    """Numbers of steps, increasing, strictly inside a piece of work.

    look(i, rows): to be called when the replicates `rows`, and perhaps no others, have
    done steps[i] steps, by the thread that does their work; it may change their sums.
    """

    steps: tuple[int, ...] = ()
    look: Callable[[int, slice], None] = _unseen

    def stretches(
        self,
        begin: int,
        end: int,
        rows: slice,
        *,
        stop: NDArray[np.bool_] | None = None,
    ) -> Iterator[tuple[int, int]]:
        """Begin and end of the steps between two looks, which happen in between.

        No more of them once stop [1] is True: the steps before may not be complete.
        """
        for i, stretch in enumerate(pairwise((begin, *self.steps, end))):
            if i > 0:
                if stop is not None and stop[0]:
                    return
                self.look(i - 1, rows)
            yield stretch


NONE = Waypoints()
