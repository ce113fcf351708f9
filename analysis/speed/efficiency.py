"""The efficiency of a rule at a point: how much of the best decrease one step achieves.

For an update direction δ at a point with ∇f = G e,

    Eff = ⟨e, E δ⟩²/E‖δ‖²,    best step γ = G⟨e, E δ⟩/(L E‖δ‖²),

E f falls by Eff·G²/(2L) or more with this step on an L-smooth f, and no step has a
better guarantee from these two moments (claims/efficiency.py). For SGD it is
1/(1 + B_noise/B) with the gradient noise scale B_noise.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analysis.rest.axes import coordinates, products
from analysis.rest.update import Update
from analysis.spec.checking import SpecificationError, one_or_several, real, refuse
from analysis.spec.experiment import Experiment
from analysis.spec.limits import LARGEST_STEP
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule
from analysis.speed.moments import Gradients, moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Efficiency:
    """What one step achieves at a point.

    `efficiency`, in [0, 1]: the fall of E f that the best step guarantees, in units of
    G²/(2L), which is what the exact gradient achieves. `best_step`: that step's size
    times L, dimensionless, for `normalized` in units of the gradient. Both are 0 where
    the expected update points uphill: then no step is any good.
    """

    micro_batch_size: int
    efficiency: float
    best_step: float


@dataclass(frozen=True)
class Point:
    """A point by its gradient: the products with the span's vectors, and ‖∇f‖ = G > 0.

    Raises SpecificationError unless G is positive and finite, and where the loss is
    flat along the draggers' direction but the gradient is not at right angles to it.
    """

    model: GradientModel
    products: Array
    norm: float

    def __post_init__(self) -> None:
        along = abs(self.products[1])
        if self.model.dragger.law == "orthogonal" and along > 1e-9 * self.norm:
            raise SpecificationError(
                "direction: must be at right angles to model.dragger.direction, along "
                "which the loss is flat"
            )

    @classmethod
    def along(
        cls,
        model: GradientModel,
        norm: float,
        direction: float | Sequence[float] | None = None,
    ) -> Self:
        """∇f of that norm along e₁, or along the direction: see `rest.axes.products`.

        Raises SpecificationError for a direction of another length than d, or zero.
        """
        real(0, open_low=True)("gradient_norm", norm)
        given = None
        if direction is not None:
            given = one_or_several(real(), LARGEST_STEP)("direction", direction)
            entries = given if isinstance(given, tuple) else (given,)
            if not any(entries):
                refuse("direction", direction, "a non-zero vector")
            if isinstance(given, tuple) and len(given) != model.dimension:
                allowed = f"a number, or a list of model.dimension = {model.dimension}"
                refuse("direction", list(given), allowed)
        return cls(model, norm * products(model, given), norm)


def efficiency(point: Point, clipping: Clipping) -> Efficiency:
    """The efficiency of a rule at the point, exactly: a relative error of about 1e-8.

    The loss matters through its gradient only, whether it is a quadratic or not. Raises
    SpecificationError for noise and draggers without exact moments, and for gamma noise
    without a Gaussian part unless all gradients lie on one line.
    """
    update = Update(replace(point.model, problem=None, nonconvex=None), clipping)
    a, added = coordinates(update.span, point.products, point.norm)
    gradients: Gradients = update.gradients
    if added:
        gradients = [(law.with_another_axis(), count) for law, count in gradients]
    off_the_line = a.size > 1 and any((law.shape > 0).any() for law, _ in gradients)
    if off_the_line:
        refuse("model.noise.gaussian", 0.0, "> 0 where gradients lie on no single line")
    result = moments(gradients, a, clipping)
    along = max(0.0, float(result.mean @ a) / point.norm)
    if along == 0:
        return Efficiency(clipping.micro_batch_size, 0.0, 0.0)
    return Efficiency(
        clipping.micro_batch_size,
        efficiency=along**2 / result.square,
        best_step=point.norm * along / result.square,
    )


def efficiency_table(experiment: Experiment, point: Point) -> dict[str, Any]:
    """Document of `analysis efficiency`: a row for each size, SGD, and the best size.

    Raises SpecificationError as `efficiency` does, and for a schedule.
    """
    algorithm = experiment.algorithm
    if algorithm.schedule is not None:
        allowed = "absent for an efficiency, which belongs to one size"
        raise SpecificationError(f"algorithm.schedule: must be {allowed}")
    B = algorithm.batch_size
    results = [
        efficiency(point, algorithm.clipping(b)) for b in algorithm.micro_batch_sizes
    ]
    pure = algorithm.domains == "pure"
    sgd = efficiency(point, Clipping(Rule.SGD, B, B, pure=pure))
    best = max(results, key=lambda row: row.efficiency)
    return {
        "rule": algorithm.rule.value,
        "batch_size": B,
        "gradient_norm": point.norm,
        "results": [asdict(row) for row in results],
        "sgd": {"efficiency": sgd.efficiency, "best_step": sgd.best_step},
        "best": {
            "micro_batch_size": best.micro_batch_size if best.efficiency else None,
            "efficiency": best.efficiency,
        },
    }
