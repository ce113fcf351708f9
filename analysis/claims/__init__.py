"""One result per file; `claims.NAME` is the Claim, CLAIMS has them in the argument's order.

Files are read when they are asked for: a command that needs one formula does not wait for all.
"""

import sys
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.proof.claim import Claim

NAMES = frozenset(name for _, name, package in iter_modules(__path__) if not package)


class _Package(ModuleType):
    """The import system binds a submodule under its name here; what is meant is its claim."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.claim if isinstance(value, ModuleType) else value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "CLAIMS":
        globals()[name] = _in_order({each: _load(each) for each in NAMES})
        return globals()[name]
    if name in NAMES:
        return _load(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _load(name: str) -> "Claim":
    claim: Claim = import_module(f"{__name__}.{name}").claim
    return claim


def _in_order(found: dict[str, "Claim"]) -> dict[str, "Claim"]:
    """By part of the argument; every claim after those it uses or is about, otherwise by name."""
    from analysis.proof.claim import PARTS  # SymPy comes with it, and the names need none

    ordered: dict[str, Claim] = {}

    def add(name: str) -> None:
        for earlier in (*found[name].uses, *found[name].about):
            add(earlier)
        ordered.setdefault(name, found[name])

    for name in sorted(found, key=lambda name: (PARTS.index(found[name].part), name)):
        add(name)
    return ordered
