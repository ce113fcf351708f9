"""What is guaranteed over a run of given length: plain SGD against clipping."""

import math
from dataclasses import dataclass
from typing import Any

from analysis.advice import closed_forms
from analysis.advice.sizes import (
    advised_rule,
    advised_size,
    described_size,
    enough_micro_batches,
    finite_or_none,
    size_with_enough,
)
from analysis.advice.worst_case import WorstCase, cut_average, even_sizes
from analysis.spec.checking import real, refuse
from analysis.spec.rule import Rule


@dataclass(frozen=True)
class Training:
    """T steps on an L-smooth loss from f(w_0) - f* = Δ; L and Δ in consistent units.

    Raises SpecificationError for a value outside its domain: T >= 1, L > 0, Δ > 0.
    """

    horizon: float
    smoothness: float = 1.0
    initial_gap: float = 1.0

    def __post_init__(self) -> None:
        real(1)("horizon", self.horizon)
        real(0, open_low=True)("smoothness", self.smoothness)
        real(0, open_low=True)("initial_gap", self.initial_gap)

    @property
    def price(self) -> float:
        """2LΔ: G² at the start of the steepest quadratic."""
        return 2 * self.smoothness * self.initial_gap

    @property
    def pace(self) -> float:
        """√(2LΔ/T): the gradient norm that noiseless descent reaches in T steps."""
        return math.sqrt(self.price / self.horizon)


def at_horizon(
    case: WorstCase,
    training: Training,
    batch_size: int,
    *,
    micro_batch_size: float | None = None,
    rule: str = "normalized",
    threshold: float | None = None,
) -> dict[str, Any]:
    """The document of `analysis horizon`, from the claims sgd_rate to finite_horizon.

    clipping_bound is the normalized rule's, at the given size, else at the one where it
    is smallest: among all real numbers from 1 to B for `normalized`, for `adaptive`
    among the whole sizes with enough micro-batches. For `fixed` no such bound is known:
    there is none, and the size is the one with the smallest bias radius.
    case.dragger_norm must be known.
    Raises SpecificationError for a value outside its domain.
    """
    sizes = even_sizes(batch_size)
    sgd = _sgd(case, training, batch_size)
    chosen = advised_rule(rule)
    enough = None
    if micro_batch_size is not None:
        if not 1 <= micro_batch_size <= batch_size:
            allowed = f"a number from 1 to the batch size {batch_size}"
            refuse("micro_batch_size", micro_batch_size, allowed)
        enough = enough_micro_batches(
            case, batch_size, math.ceil(micro_batch_size), chosen
        )
    if chosen is Rule.FIXED:
        described = _of_fixed(case, batch_size, micro_batch_size, threshold)
        return _document(case, sgd, described, enough)
    bounds = cut_average(case, batch_size, sizes, training.pace)
    admissible = size_with_enough(case, batch_size, sizes, bounds, rule=chosen)
    bound = None if admissible is None else float(bounds[sizes == admissible][0])
    b = micro_batch_size
    if b is None and chosen is Rule.NORMALIZED:
        best = closed_forms.best_size_at_horizon(case.micro(None), training.pace)
        b = min(best, float(batch_size))
    elif b is None and admissible is not None:
        b = float(admissible)
    described = described_size(case, batch_size, admissible, chosen)
    result = _document(case, sgd, described | {"clipping_bound": bound}, enough)
    if b is not None:
        result["micro_batch_size"] = b
        result["clipping_bound"] = _clipping_bound(case, training, b)
        result["crossover"] = _crossover(case, sgd, b)
    return result


def _document(
    case: WorstCase, sgd: closed_forms.Sgd, admissible: dict[str, Any], enough: Any
) -> dict[str, Any]:
    """What is known without a bound of clipping's."""
    return {
        "sgd_bound": sgd.upper_bound,
        "sgd_lower_bound": sgd.lower_bound,
        "clipping_bound": None,
        "crossover": None,
        "micro_batch_size": None,
        "enough_micro_batches": enough,
        "admissible": admissible,
        "sgd_persistent_bias": case.sgd_radius,
    }


def _of_fixed(
    case: WorstCase, batch_size: int, size: float | None, threshold: float | None
) -> dict[str, Any]:
    """The size for the rule `fixed`: a given one, rounded up, or the best."""
    if size is None:
        found = advised_size(case, batch_size, Rule.FIXED, threshold)
    else:
        b = math.ceil(size)
        found = described_size(case, batch_size, b, Rule.FIXED, threshold=threshold)
    return found | {"clipping_bound": None}


def _sgd(case: WorstCase, training: Training, batch_size: int) -> closed_forms.Sgd:
    """Plain SGD, where its draggers' mean is zero; D must be known."""
    norm = case.dragger_norm
    assert norm is not None
    benign = (1 - case.dragger_fraction) * case.noise_scale * case.noise_scale
    variance = (benign + case.dragger_fraction * norm * norm) / batch_size
    return closed_forms.Sgd(
        variance, case.dragger_fraction, training.pace, training.price
    )


def _clipping_bound(case: WorstCase, training: Training, b: float) -> float | None:
    """The normalized rule's bound on the mean gradient norm over the run, at size b."""
    bound = float(closed_forms.averaged_bound(case.micro(b), training.pace))
    return finite_or_none(bound)


def _crossover(case: WorstCase, sgd: closed_forms.Sgd, b: float) -> list[float] | None:
    """The range of T in which the normalized rule's bound is below SGD's, at size b."""
    ends = closed_forms.crossover(case.micro(b), sgd)
    if ends is None or ends[0] == math.inf or ends[1] < 1:
        return None
    return [max(ends[0], 1.0), ends[1]]
