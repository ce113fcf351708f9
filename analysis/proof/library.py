"""The claims that proofs may quote: loaded on demand, in the argument's order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

# at run time SymPy would come with them; names and refusals need none
if TYPE_CHECKING:
    from analysis.proof.claim import Claim
    from analysis.proof.dependencies import Dependencies

PARTS = (
    "The rule",
    "How a noisy gradient points",
    "Where the rule comes to rest",
    "How fast it gets there",
    "What is best possible",
    "Against SGD",
    "Close to the exact bias",
)


class Library(Mapping[str, "Claim"]):
    """Claims by name.

    A claim is loaded when it is first looked up. Iteration loads all of them: it goes
    by the parts of the argument, and there every claim comes after those that it uses
    or is about, otherwise by name. `dependencies` remembers what `Claim.dependencies`
    worked out, since that depends on every claim that is quoted.

    Raises KeyError for a name that is not among `names`.
    """

    def __init__(self, names: Iterable[str], load: Callable[[str], "Claim"]) -> None:
        self.names = frozenset(names)
        self.dependencies: dict[str, Dependencies] = {}
        self._load = load
        self._loaded: dict[str, Claim] = {}
        self._order: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> "Claim":
        if name not in self.names:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        if not self._order:
            self._order = self._in_order()
        return iter(self._order)

    def _in_order(self) -> tuple[str, ...]:
        ordered: dict[str, None] = {}

        def add(name: str) -> None:
            for earlier in (*self[name].uses, *self[name].about):
                add(earlier)
            ordered.setdefault(name)

        for name in sorted(self.names, key=lambda n: (PARTS.index(self[n].part), n)):
            add(name)
        return tuple(ordered)
