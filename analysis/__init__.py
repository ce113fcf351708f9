"""Theory of micro-batch clipping: symbolic claims, exact bias on solvable models.

The names in `__all__` may be imported from here; each is loaded when it is first used,
so that the commands start quickly.

>>> import analysis
>>> sizes = analysis.best_sizes(dragger_fraction=0.01, noise_scale=1.0, alignment=1.0)
>>> round(sizes["breakdown"])
69
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.advice.recorded import read_gradients
    from analysis.advice.sizes import (
        advised_size,
        best_sizes,
        best_threshold,
        bias_radius,
    )
    from analysis.advice.table import bias_table
    from analysis.advice.worst_case import WorstCase
    from analysis.claims import CLAIMS
    from analysis.rest.fluctuation import fluctuation
    from analysis.rest.stable import exact_bias, stationary_points
    from analysis.rest.update import Update
    from analysis.spec import (
        Clipping,
        Experiment,
        GradientModel,
        Rule,
        SpecificationError,
    )

__version__ = "0.1.0"

__all__ = [
    "CLAIMS",
    "Clipping",
    "Experiment",
    "GradientModel",
    "Rule",
    "SpecificationError",
    "Update",
    "WorstCase",
    "advised_size",
    "best_sizes",
    "best_threshold",
    "bias_radius",
    "bias_table",
    "exact_bias",
    "fluctuation",
    "read_gradients",
    "stationary_points",
]

_HOMES = {
    "analysis.advice.recorded": ("read_gradients",),
    "analysis.advice.sizes": (
        "advised_size",
        "best_sizes",
        "best_threshold",
        "bias_radius",
    ),
    "analysis.advice.table": ("bias_table",),
    "analysis.advice.worst_case": ("WorstCase",),
    "analysis.claims": ("CLAIMS",),
    "analysis.rest.fluctuation": ("fluctuation",),
    "analysis.rest.stable": ("exact_bias", "stationary_points"),
    "analysis.rest.update": ("Update",),
    "analysis.spec": (
        "Clipping",
        "Experiment",
        "GradientModel",
        "Rule",
        "SpecificationError",
    ),
}


def __getattr__(name: str) -> Any:
    """The public name, from the module that defines it."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "list[str]":  # the text: old versions of Python read this, too
    return sorted({*globals(), *__all__})
