"""What is guaranteed over a run of given length: plain SGD against clipping."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.advice.sizes import (
    advised_rule,
    described_size,
    enough_micro_batches,
    size_with_enough,
)
from analysis.advice.worst_case import WorstCase, cut_average, even_sizes
from analysis.spec.checking import refuse
from analysis.spec.rule import Rule


@dataclass(frozen=True)
class Training:
    """T steps on an L-smooth loss from f(w_0) - f* = Δ; L and Δ in consistent units.

    Values are checked where a claim is evaluated.
    """

    horizon: float
    smoothness: float = 1.0
    initial_gap: float = 1.0

    @property
    def given(self) -> dict[str, float]:
        """As the claims name them."""
        return dict(vars(self))

    @property
    def pace(self) -> float:
        """√(2LΔ/T): the gradient norm that noiseless descent reaches in T steps."""
        return float(np.sqrt(2 * self.smoothness * self.initial_gap / self.horizon))


def at_horizon(
    case: WorstCase,
    training: Training,
    batch_size: int,
    *,
    micro_batch_size: float | None = None,
    rule: str = "normalized",
) -> dict[str, Any]:
    """The document of `analysis horizon`, from the claims sgd_rate to finite_horizon.

    clipping_bound is the normalized rule's, at the given size, else at the one where it
    is smallest: among all real numbers from 1 to B for `normalized`, for `adaptive`
    among the whole sizes with enough micro-batches. case.dragger_norm must be known.
    Raises SpecificationError for a value outside its domain.
    """
    from analysis.claims import CLAIMS

    sizes = even_sizes(batch_size)
    sgd = CLAIMS["sgd_rate"].evaluate(**training.given, **_sgd(case, batch_size))
    chosen = advised_rule(rule)
    bounds = cut_average(case, batch_size, sizes, training.pace)
    admissible = size_with_enough(case, batch_size, sizes, bounds, rule=chosen)
    bound = None if admissible is None else float(bounds[sizes == admissible][0])
    enough = None
    if micro_batch_size is not None:
        if not 1 <= micro_batch_size <= batch_size:
            allowed = f"a number from 1 to the batch size {batch_size}"
            refuse("micro_batch_size", micro_batch_size, allowed)
        enough = enough_micro_batches(
            case, batch_size, math.ceil(micro_batch_size), chosen
        )
    b = micro_batch_size
    if b is None and chosen is Rule.NORMALIZED:
        b = _best_real_size(case, training, batch_size)
    elif b is None and admissible is not None:
        b = float(admissible)
    agreeing = CLAIMS["sgd_persistent_bias"].evaluate(
        learning_rate=1 / training.smoothness,
        dragger_mean=case.dragger_norm,
        alignment=case.alignment,
        **training.given,
        **_sgd(case, batch_size),
    )
    described = described_size(case, batch_size, admissible, chosen)
    return {
        "sgd_bound": sgd["gradient_bound"],
        "clipping_bound": None if b is None else _clipping_bound(case, training, b),
        "crossover": None if b is None else _crossover(case, training, batch_size, b),
        "micro_batch_size": b,
        "enough_micro_batches": enough,
        "admissible": described | {"clipping_bound": bound},
        "sgd_persistent_bias": agreeing["small_step_bias"],
    }


def _noise(case: WorstCase) -> dict[str, Any]:
    return {"dragger_fraction": case.dragger_fraction, "noise_scale": case.noise_scale}


def _sgd(case: WorstCase, batch_size: int) -> dict[str, Any]:
    """What plain SGD's claims need of a problem."""
    batch = {"batch_size": float(batch_size), "dragger_norm": case.dragger_norm}
    return _noise(case) | batch


def _best_real_size(case: WorstCase, training: Training, batch_size: int) -> float:
    """The real number from 1 to B at which the normalized rule's bound is smallest."""
    from analysis.claims.finite_horizon import claim

    best = claim.evaluate(alignment=case.alignment, **training.given, **_noise(case))
    b = float(best["micro_batch_size"])
    return float(np.clip(b, 1, batch_size)) if np.isfinite(b) else float(batch_size)


def _clipping_bound(case: WorstCase, training: Training, b: float) -> Any:
    """The normalized rule's bound on the mean gradient norm over the run, at size b."""
    from analysis.claims.averaged_guarantee import claim

    values = claim.evaluate(
        micro_batch_size=b, alignment=case.alignment, **training.given, **_noise(case)
    )
    return values["averaged_bound"]


def _crossover(
    case: WorstCase, training: Training, batch_size: int, b: float
) -> list[float] | None:
    """The range of T in which the normalized rule's bound is below SGD's, at size b."""
    from analysis.claims.crossover import claim

    ends = claim.evaluate(
        smoothness=training.smoothness,
        initial_gap=training.initial_gap,
        micro_batch_size=b,
        alignment=case.alignment,
        **_sgd(case, batch_size),
    )
    low, high = float(ends["crossover_low"]), float(ends["crossover_high"])
    return [max(low, 1.0), high] if low < np.inf and high >= 1 else None
