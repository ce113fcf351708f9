"""One result per file; `claims.NAME` is the Claim, CLAIMS has them in the argument's order."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from analysis.claim import PARTS, Claim

if TYPE_CHECKING:

    def __getattr__(name: str) -> Claim: ...


def _in_order(found: dict[str, Claim]) -> dict[str, Claim]:
    """By part of the argument; every claim after the ones that it uses, otherwise by name."""
    ordered: dict[str, Claim] = {}

    def add(name: str) -> None:
        for earlier in found[name].uses:
            add(earlier)
        ordered.setdefault(name, found[name])

    for name in sorted(found, key=lambda name: (PARTS.index(found[name].part), name)):
        add(name)
    return ordered


CLAIMS = _in_order(
    {name: import_module(f"{__name__}.{name}").claim for _, name, _ in iter_modules(__path__)}
)
globals().update(CLAIMS)
