"""The results, one a file; CLAIMS has them by name, in the argument's order.

Files are read when they are asked for: a command that needs one formula does not wait
for all, and names alone are known without SymPy.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from analysis.proof.library import Library
from analysis.spec.checking import named

if TYPE_CHECKING:
    from analysis.proof.claim import Claim

__all__ = ["CLAIMS", "claim"]


def _load(name: str) -> "Claim":
    loaded: Claim = import_module(f"{__name__}.{name}").claim
    return loaded


_FILES = (module for module in iter_modules(__path__) if not module.ispkg)
CLAIMS = Library((file.name for file in _FILES if file.name != "setting"), _load)


def claim(name: str) -> "Claim":
    """The claim of a name as a user writes it, with either dash.

    Raises SpecificationError for any other name, with the nearest one.
    """
    return CLAIMS[named("claim", name, sorted(CLAIMS.names))]
