"""The problem, described once: what theory and simulation both speak about.

Simulation may import nothing else of `analysis`, but for what all commands share. The
names in `__all__` may be imported from here; each is loaded when it is first used: a
command must be able to say that NumPy is missing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.spec.algorithm import Algorithm, Run, Schedule
    from analysis.spec.checking import SpecificationError
    from analysis.spec.composition import Compositions, TooManyCompositionsError
    from analysis.spec.domains import Domain
    from analysis.spec.draggers import Active, Dragger
    from analysis.spec.experiment import Experiment
    from analysis.spec.feasibility import require_feasible
    from analysis.spec.learning import LearningModel
    from analysis.spec.limits import LARGEST_STEP
    from analysis.spec.model import GradientModel
    from analysis.spec.noise import Gamma, Gaussian, Rare, StudentT
    from analysis.spec.optimizer import Optimizer
    from analysis.spec.rule import Clipping, Rule, micro_batches

__all__ = [
    "LARGEST_STEP",
    "Active",
    "Algorithm",
    "Clipping",
    "Compositions",
    "Domain",
    "Dragger",
    "Experiment",
    "Gamma",
    "Gaussian",
    "GradientModel",
    "LearningModel",
    "Optimizer",
    "Rare",
    "Rule",
    "Run",
    "Schedule",
    "SpecificationError",
    "StudentT",
    "TooManyCompositionsError",
    "micro_batches",
    "require_feasible",
]

_HOMES = {
    "analysis.spec.algorithm": (
        "Algorithm",
        "Run",
        "Schedule",
    ),
    "analysis.spec.checking": ("SpecificationError",),
    "analysis.spec.composition": (
        "Compositions",
        "TooManyCompositionsError",
    ),
    "analysis.spec.domains": ("Domain",),
    "analysis.spec.draggers": (
        "Active",
        "Dragger",
    ),
    "analysis.spec.experiment": ("Experiment",),
    "analysis.spec.feasibility": ("require_feasible",),
    "analysis.spec.learning": ("LearningModel",),
    "analysis.spec.limits": ("LARGEST_STEP",),
    "analysis.spec.model": ("GradientModel",),
    "analysis.spec.noise": (
        "Gamma",
        "Gaussian",
        "Rare",
        "StudentT",
    ),
    "analysis.spec.optimizer": ("Optimizer",),
    "analysis.spec.rule": (
        "Clipping",
        "Rule",
        "micro_batches",
    ),
}


def __getattr__(name: str) -> Any:
    """The public name, from the module that defines it."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
