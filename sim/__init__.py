"""Simulation of SGD with micro-batch clipping: `run(Experiment.load(path))`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.spec.experiment import Experiment
    from sim.sweep.measure import Result, run

__all__ = ["Experiment", "Result", "run"]

_HOMES = {
    "Experiment": "analysis.spec.experiment",
    "Result": "sim.sweep.measure",
    "run": "sim.sweep.measure",
}


def __getattr__(name: str) -> Any:
    """A public name, read when it is asked for.

    `python -m sim` must start before its engine.
    """
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> Any:
    return sorted({*globals(), *__all__})
