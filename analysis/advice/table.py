"""The exact bias of an experiment at each of its sizes, and the guarantees there."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from analysis.advice.law_free import adaptive_radius
from analysis.advice.sizes import bias_radius, finite_or_none, fixed_radius
from analysis.advice.worst_case import WorstCase, cut_radius
from analysis.rest.discrete import discrete
from analysis.rest.fluctuation import fluctuation
from analysis.rest.stable import (
    ExactBias,
    StationaryPoint,
    bias_at,
    exact_bias,
    stationary_points,
)
from analysis.rest.update import Update
from analysis.spec.algorithm import Algorithm
from analysis.spec.checking import SpecificationError, refuse
from analysis.spec.experiment import Experiment
from analysis.spec.rule import Clipping, Rule

# fraction of steps that are not zero, from which on a rule is said to move
MOVING = 0.5
ZERO = 1e-9  # a norm that counts as zero, in units of the noise


@dataclass(frozen=True)
class _AtRest:
    """A rule at one size: its update, stable stationary points and exact bias."""

    update: Update
    points: Sequence[StationaryPoint]
    exact: ExactBias

    @classmethod
    def of(cls, update: Update) -> Self:
        """The points that the search finds."""
        points = stationary_points(update)
        return cls(update, points, bias_at(update, points))

    def with_size(self, clipping: Clipping) -> Self:
        """The same at another size, which has no influence on the points."""
        exact = replace(self.exact, micro_batch_size=clipping.micro_batch_size)
        return replace(
            self, update=replace(self.update, clipping=clipping), exact=exact
        )


def bias_table(experiment: Experiment, finite_step: bool = False) -> dict[str, Any]:
    """Document of `analysis bias`: exact bias, guarantee and SGD beside them, by size.

    With `finite_step` also how the iterates behave at the stationary point nearest to
    0. Raises SpecificationError for a model that is only simulated, for a schedule and
    for Adam. Momentum changes nothing here: see paper_notes/derivations.md.
    """
    model, algorithm = experiment.gradient_model, experiment.algorithm
    if algorithm.schedule is not None:
        raise SpecificationError(
            "algorithm.schedule: must be absent for an exact bias, which "
            "belongs to one size"
        )
    optimizer = algorithm.optimizer
    if optimizer is not None and optimizer.kind != "momentum":
        allowed = "momentum for an exact bias: Adam has one of its own"
        refuse("algorithm.optimizer.kind", optimizer.kind, allowed)
    batch_size, pure = algorithm.batch_size, algorithm.domains == "pure"
    sgd = exact_bias(model, Rule.SGD, batch_size, batch_size, pure=pure).bias
    results = []
    for at_rest in _every_size(experiment):
        result = asdict(at_rest.exact) | _beside(at_rest, sgd)
        if finite_step:
            result |= _finite_step(at_rest, algorithm)
        results.append(result)
    finite = [r for r in results if r["bias"] is not None]
    moving = [
        r for r in finite if r["moving_share"] is None or r["moving_share"] >= MOVING
    ]
    return {
        "rule": algorithm.rule.value,
        "batch_size": batch_size,
        "sgd_bias": sgd,
        "results": results,
        "best": _smallest_bias(finite),
        "best_moving": _smallest_bias(moving),
    }


def _beside(at_rest: _AtRest, sgd: float | None) -> dict[str, float | None]:
    """What stands beside the exact bias at one size."""
    update, bias = at_rest.update, at_rest.exact.bias
    return {
        "bias_radius": _bias_radius(update),
        "guaranteed_radius": guaranteed_radius(update),
        "gain_over_sgd": sgd / bias if sgd is not None and bias else None,
        "moving_share": moving_fraction(update, at_rest.points),
    }


def _every_size(experiment: Experiment) -> list[_AtRest]:
    """The rule at each size; solved once where the size has no influence."""
    model, algorithm = experiment.gradient_model, experiment.algorithm
    clippings = [algorithm.clipping(b) for b in algorithm.micro_batch_sizes]
    if _is_the_same_at_every_size(algorithm):
        first = _AtRest.of(Update(model, clippings[0]))
        return [first.with_size(clipping) for clipping in clippings]
    return [_AtRest.of(Update(model, clipping)) for clipping in clippings]


def _is_the_same_at_every_size(algorithm: Algorithm) -> bool:
    """Whether the micro-batch size has no influence on the stationary points."""
    even = all(algorithm.batch_size % b == 0 for b in algorithm.micro_batch_sizes)
    one_unit = algorithm.rule.clips_mini_batch and even and algorithm.domains != "pure"
    return algorithm.rule is Rule.SGD or one_unit


def _bias_radius(update: Update) -> float | None:
    """The normalized rule's radius for equal micro-batches of this size."""
    b, pure = update.clipping.micro_batch_size, update.clipping.pure
    radius = bias_radius(np.array([b]), update.model.dragger_fraction, 1.0)
    return finite_or_none(float(radius[0] * update.model.noise_scale(b if pure else 1)))


def guaranteed_radius(update: Update) -> float | None:
    """The radius guaranteed for the rule itself; None without one or without noise."""
    model, clipping = update.model, update.clipping
    B, b = clipping.batch_size, clipping.micro_batch_size
    scale = model.noise_scale(b if clipping.pure else 1)
    if clipping.effective_rule.clips_mini_batch:
        # One unit of B samples; their weights differ where b does not divide B.
        scale = update.units[0].noise_scale(model) * math.sqrt(B)
    if scale == 0:
        return None
    case = WorstCase(model.dragger_fraction, scale, dragger_norm=model.dragger.norm)
    additive = model.dragger.law == "additive"
    match clipping.effective_rule:
        case Rule.SGD:
            return finite_or_none(adaptive_radius(case, B, B, additive))
        case Rule.ADAPTIVE:
            return finite_or_none(adaptive_radius(case, B, b, additive))
        case Rule.NORMALIZED:
            return finite_or_none(cut_radius(case, B, np.array([b]))[0])
        case Rule.FIXED:
            return finite_or_none(fixed_radius(case, B, b, clipping.limit))
        case Rule.GLOBAL:
            return finite_or_none(fixed_radius(case, B, B, clipping.limit))


def moving_fraction(update: Update, points: Sequence[StationaryPoint]) -> float | None:
    """The fraction of nonzero steps of Algorithm 1 at the nearest stationary point.

    A step is zero when one micro-batch gradient is: the fraction is Π_j P(‖g_j‖ > 0),
    S(0)^m where b divides B. 1 wherever every micro-batch has Gaussian or gamma noise;
    None for the other rules, and where nothing comes to rest. A norm below 1e-9 of the
    noise scale counts as zero.
    """
    if update.clipping.rule is not Rule.ADAPTIVE:
        return None
    if not any(
        ((law.scale == 0) & (law.weight > 0)).any() for law, _ in update.gradients
    ):
        return 1.0
    if not points:
        return None
    fraction = 1.0
    for (law, count), unit in zip(update.gradients, update.units, strict=True):
        still = discrete(law, points[0].gradient)
        zero = still.length <= ZERO * unit.noise_scale(update.model)
        fraction *= float(1 - still.weight[zero].sum()) ** count
    return fraction


def _finite_step(at_rest: _AtRest, algorithm: Algorithm) -> dict[str, float | None]:
    """What a finite step does close to the nearest stationary point."""
    close = None
    if at_rest.points:
        close = fluctuation(at_rest.update, at_rest.points[0].gradient)
    m = at_rest.update.clipping.micro_batches if algorithm.aggregate == "sum" else 1
    return {
        "contraction": None if close is None else m * close.contraction,
        "update_noise": None if close is None else m**2 * close.noise,
        "step_slope": None if close is None else m * close.slope,
    }


def _smallest_bias(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Size and bias where the bias is smallest, None for none."""
    best = min(results, key=lambda r: r["bias"], default=None)
    names = ("micro_batch_size", "bias")
    return {name: best[name] if best else None for name in names}
