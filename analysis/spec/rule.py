"""The update rules as objects, and a rule at one micro-batch size as one value."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import SpecificationError, choice, refuse

Array = NDArray[np.float64]


class Rule(StrEnum):
    """How the micro-batch gradients of a step become its direction.

    A rule averages ψ(g) = H(‖g‖) g/‖g‖ over the gradients g that it clips:

    | rule       | clips              | score H(r)           | H'(r)               |
    | ---------- | ------------------ | -------------------- | ------------------- |
    | sgd        | nothing            | r                    | 1                   |
    | adaptive   | each micro-batch   | ∫_0^r S(t)^(m-1) dt  | S(r)^(m-1)          |
    | normalized | each micro-batch   | 1                    | 0, a unit mass at 0 |
    | fixed      | each micro-batch   | min(r, threshold)    | 1 for r < threshold |
    | global     | the mini-batch     | min(r, threshold)    | 1 for r < threshold |

    `adaptive` is Algorithm 1, which clips all m micro-batches to the smallest norm
    among them: its score is the expectation over the others, S(t) being the probability
    that the norm of one exceeds t (derived in claims/m_estimator_identity.py).

    A rule is equal to its name in files: Rule("fixed") == "fixed". The order is that of
    the numbers by which the simulation engines know the rules.
    """

    SGD = "sgd"
    ADAPTIVE = "adaptive"
    NORMALIZED = "normalized"
    FIXED = "fixed"
    GLOBAL = "global"

    def __repr__(self) -> str:
        """As in files and messages."""
        return repr(self.value)

    @classmethod
    def check(cls, field: str, name: Any) -> "Rule":
        """The rule of that name. Raises SpecificationError, naming the field."""
        return cls(choice(*cls.names())(field, name))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all rules, in order."""
        return tuple(rule.value for rule in cls)

    @property
    def number(self) -> int:
        """The place among the rules, from 0: the engines' constant."""
        return tuple(Rule).index(self)

    @property
    def needs_threshold(self) -> bool:
        """Whether it clips to a threshold that must be given; the others refuse one."""
        return self in (Rule.FIXED, Rule.GLOBAL)

    @property
    def clips_mini_batch(self) -> bool:
        """Whether the mean of the micro-batches is clipped, instead of each of them."""
        return self is Rule.GLOBAL

    @property
    def depends_on_m(self) -> bool:
        """Whether the expected update depends on the number of micro-batches."""
        return self is Rule.ADAPTIVE

    @property
    def only_shortens(self) -> bool:
        """Whether H(r) <= r: no gradient becomes longer by it."""
        return self is not Rule.NORMALIZED

    def constant_clipping_norm(self, threshold: float | None) -> float | None:
        """The norm it clips to, in units of the gradient; NaN for sgd, which does not.

        None for `adaptive`, where it is the smallest norm of the step.
        """
        match self:
            case Rule.SGD:
                return math.nan
            case Rule.ADAPTIVE:
                return None
            case Rule.NORMALIZED:
                return 1.0
            case _:
                return threshold

    def score(self, norm: Array, threshold: float = math.inf) -> Array:
        """H(r) for norms r [...], where it does not depend on the other micro-batches.

        Raises ValueError for `adaptive`, whose score depends on the distribution of
        their norms.
        """
        match self:
            case Rule.ADAPTIVE:
                raise ValueError(
                    "the score of Algorithm 1 is that of a distribution of norms"
                )
            case Rule.NORMALIZED:
                return np.ones_like(norm)
            case _:
                return np.minimum(norm, threshold)

    def score_derivative(
        self, norm: Array, others: Array | None = None, threshold: float = math.inf
    ) -> Array:
        """H'(r) for norms r > 0 [...], without the unit mass of `normalized` at 0.

        others: S(r)^(m-1) [...], the probability that the norms of all other
        micro-batches exceed r; needed by `adaptive` only.
        """
        match self:
            case Rule.ADAPTIVE:
                if others is None:
                    raise ValueError(
                        "the score of Algorithm 1 needs the norms of the others"
                    )
                return others
            case Rule.NORMALIZED:
                return np.zeros_like(norm)
            case _:
                return np.where(norm < threshold, 1.0, 0.0)


def micro_batches(
    batch_size: int, micro_batch_size: int
) -> tuple[tuple[int, int], ...]:
    """How a mini-batch of B samples is cut: pairs (samples, number of micro-batches).

    There are m = ⌈B/b⌉ micro-batches, all of b samples but the last, which has what is
    left: 257 samples cut by 29 are ((29, 8), (25, 1)). Where b divides B there is one
    pair, else two, the smaller micro-batch last. Each micro-batch has the weight 1/m in
    a step, whatever its size, as Algorithm 1 is printed: so the step of `sgd` is the
    mean of the micro-batches' means, and `global` clips that mean. Raises
    SpecificationError unless 1 <= b <= B.

    >>> micro_batches(257, 29)
    ((29, 8), (25, 1))
    """
    if not 1 <= micro_batch_size <= batch_size:
        refuse(
            "micro_batch_size",
            micro_batch_size,
            f"from 1 to the batch size {batch_size}",
        )
    whole, rest = divmod(batch_size, micro_batch_size)
    cut = ((micro_batch_size, whole),)
    return (*cut, (rest, 1)) if rest else cut


@dataclass(frozen=True)
class Clipping:
    """A rule at one micro-batch size b of a mini-batch of B samples.

    `rule` may be given by its name. `threshold`, in units of the gradient, is needed by
    `fixed` and `global` and refused by the others; inf is no clipping. `pure`: the
    samples of a micro-batch share their domain, else each has its own. Raises
    SpecificationError for another rule or threshold, and unless 1 <= b <= B.
    """

    rule: Rule
    batch_size: int
    micro_batch_size: int
    threshold: float | None = None
    pure: bool = False

    def __post_init__(self) -> None:
        rule = Rule.check("rule", self.rule)
        object.__setattr__(self, "rule", rule)
        if rule.needs_threshold and self.threshold is None:
            raise SpecificationError(f"threshold: is required by rule = {rule.value!r}")
        if not rule.needs_threshold and self.threshold is not None:
            refuse("threshold", self.threshold, f"absent with rule = {rule.value!r}")
        micro_batches(self.batch_size, self.micro_batch_size)

    @property
    def cut(self) -> tuple[tuple[int, int], ...]:
        """How the mini-batch is cut: see `micro_batches`."""
        return micro_batches(self.batch_size, self.micro_batch_size)

    @property
    def micro_batches(self) -> int:
        """How many micro-batches a step has, m = ⌈B/b⌉."""
        return -(-self.batch_size // self.micro_batch_size)

    @property
    def effective_rule(self) -> Rule:
        """The rule, or sgd where its threshold is inf."""
        return Rule.SGD if self.threshold == math.inf else self.rule

    @property
    def is_mean(self) -> bool:
        """Whether nothing is clipped: sgd, threshold inf, or Algorithm 1 with m = 1."""
        alone = self.rule is Rule.ADAPTIVE and self.micro_batches == 1
        return alone or self.effective_rule is Rule.SGD

    @property
    def limit(self) -> float:
        """The threshold, infinite for the rules that have none."""
        return math.inf if self.threshold is None else self.threshold
