"""Ctrl-C: the engines' threads are asked to return before it interrupts."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Interrupt:
    """Within it, Ctrl-C makes `stop` [1] True, seen by the engines, and sets `asked`.

    KeyboardInterrupt is raised at once within `at_once`, and the second time, which
    `insisted` tells. Elsewhere than in the main thread, and where somebody else handles
    Ctrl-C, nothing is changed. At the end `stop` is True in any case: nobody waits for
    the threads' work any more.
    """

    def __init__(self) -> None:
        self.stop = np.zeros(1, np.bool_)
        self.asked = self.insisted = False
        self._at_once = False
        self._notice = ""

    def __enter__(self) -> "Interrupt":
        self._before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        self._replaced = main and self._before is signal.default_int_handler
        if self._replaced:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop[0] = True
        if self._replaced:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: Any) -> None:
        self.insisted = self.asked
        self.asked = True
        self.stop[0] = True
        if self.insisted or self._at_once:
            raise KeyboardInterrupt
        if self._notice:
            print(self._notice, file=sys.stderr, flush=True)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Here nothing looks at `stop`, and nothing is lost."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    @contextmanager
    def announced(self, notice: str) -> Iterator[None]:
        """Work goes on after Ctrl-C: `notice` is printed then, or now if past."""
        if self.asked and notice:
            print(notice, file=sys.stderr, flush=True)
        self._notice = notice
        try:
            yield
        finally:
            self._notice = ""
