"""The assumptions that several claims share, each worded once.

A claim lists what it assumes; an assumption without a label is its own. Where a claim
needs (A3) or (A4) in another form, it lists a variant, which keeps the label.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Assumption:
    """A hypothesis in words; `label` is how others refer to it, as in (A1).

    `includes` lists the assumptions that the words stand for, where a claim assumes all
    that two other claims do.
    """

    statement: str
    label: str = ""
    includes: tuple["Assumption", ...] = ()

    def __str__(self) -> str:
        return f"({self.label}) {self.statement}" if self.label else self.statement

    def variant(self, statement: str) -> "Assumption":
        """The same assumption in the form that one claim needs."""
        return replace(self, statement=statement)


A0 = Assumption(
    "every mini-batch is drawn afresh, independently of the past: given w_t its "
    "samples have the law that is assumed (false for samples that are used again, as "
    "in several epochs)",
    "A0",
)
A1 = Assumption("f ≥ f*", "A1")
A2 = Assumption("f is L-smooth", "A2")
A3 = Assumption(
    "the samples of a mini-batch are i.i.d., each a dragger with probability ε", "A3"
)
A4 = Assumption(
    (
        "a contaminated micro-batch has E[⟨∇f, u⟩ | contaminated] ≥ -αG; "
        "α = 1 always holds"
    ),
    "A4",
)
SHARED = (A0, A1, A2, A3, A4)

NOISE = Assumption(
    "benign noise: given w, and given that the sample is benign, E ξ = 0 and "
    "E‖ξ‖² ≤ σ², the total over the coordinates"
)


def included(assumptions: Iterable[Assumption]) -> Iterator[Assumption]:
    """The assumptions and, after each, those that it includes."""
    for assumption in assumptions:
        yield assumption
        yield from included(assumption.includes)
