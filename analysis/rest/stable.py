"""The exact asymptotic bias of every rule on a solvable model: no Monte-Carlo.

For small steps the iterates settle where the expected update vanishes
(`analysis.rest.update`), at a stable stationary point; the bias is ‖∇f‖ there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.rest.axes import Span
from analysis.rest.mixture import Mixture
from analysis.rest.roots import ERROR, Region, on_line, refined, weak_range, with_axes
from analysis.rest.update import MeanUpdate, Update, mean_update
from analysis.spec.checking import refuse
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule

Array = NDArray[np.float64]

# Compositions of less than this total probability are left out: UNLIKELY ones where
# roots are located, NEGLIGIBLE ones where they are refined with several axes.
UNLIKELY = 5e-3
NEGLIGIBLE = 1e-10


class StationaryPoint(NamedTuple):
    """A stable stationary point: a = ∇f [axes] there, and the range of ‖∇f‖ around it.

    Between low and high the expected update is next to nothing (`roots.rest`); both are
    ‖a‖ where the point is alone.
    """

    gradient: Array
    low: float
    high: float

    @classmethod
    def alone(cls, gradient: Array) -> "StationaryPoint":
        """A point without a range around it."""
        norm = float(np.linalg.norm(gradient))
        return cls(gradient, norm, norm)

    @property
    def norm(self) -> float:
        """‖∇f‖."""
        return float(np.linalg.norm(self.gradient))


def stationary_points(update: Update) -> list[StationaryPoint]:
    """Stable stationary points that the search finds, nearest to 0 first; [] if none.

    In the coordinates of `update.span`; opposing draggers leave a sphere, or a ring
    around the span, of which one point is given. The mean of all samples (a rule that
    clips nothing) has its point in closed form. Raises SpecificationError where several
    axes are to be searched and the noise has no Gaussian part, and where no point is
    found although the drift does not diverge.
    """
    span = update.span
    if update.clipping.is_mean:
        return [StationaryPoint.alone(_stationary_mean(update.model, span))]
    searched = span.free.shape[1]
    origin = StationaryPoint.alone(np.zeros(span.axes))
    if searched == 0:
        return [origin]
    for law, _ in update.gradients:
        _require_gaussian(update.model, law, searched)
    scale = _length_scale(update)
    if scale == 0:
        return [origin]
    if searched == 1:
        return _on_a_line(update, scale)
    return _with_axes(update, scale)


def _length_scale(update: Update) -> float:
    """The noise of what is clipped or, without noise, the push of a single dragger."""
    unit = update.units[0]
    scale = unit.noise_scale(update.model)
    return scale or update.model.dragger.norm / unit.parts[0].samples


def _stationary_mean(model: GradientModel, span: Span) -> Array:
    """Where the mean of all samples vanishes: (1-ε)∇f + ε E[dragger] = 0.

    It is -εD v/(1-ε), or -εD v for additive draggers; 0 for orthogonal ones, whose
    component along v no step removes, and isotropic ones; at any point with ‖∇f‖ =
    εD/(1-ε) for opposing ones.
    """
    epsilon, norm = model.dragger_fraction, model.dragger.norm
    match model.dragger.law:
        case "opposing":
            return np.eye(span.axes)[-1] * (epsilon * norm / (1 - epsilon))
        case "orthogonal" | "isotropic":
            return np.zeros(span.axes)
        case "additive":
            return -epsilon * norm * span.direction
        case _:
            return -epsilon * norm / (1 - epsilon) * span.direction


def _along_free_axes(
    update: Update, gradients: Sequence[tuple[Mixture, float]], *, rough: bool
) -> Callable[[Array], MeanUpdate]:
    """The expected update along the searched axes as a function of y, a = free @ y."""
    free = update.span.free

    def mean(y: Array) -> MeanUpdate:
        vector, length = mean_update(gradients, free @ y, update.clipping, rough=rough)
        return MeanUpdate(free.T @ vector, length)

    return mean


def _region(
    update: Update, gradients: Sequence[tuple[Mixture, float]], scale: float
) -> Region:
    """Where stationary points can be, given the distributions of what is clipped."""
    reach = 2 * max(law.reach for law, _ in gradients) + scale
    return Region(scale, reach, update.span.ray)


def _on_a_line(update: Update, scale: float) -> list[StationaryPoint]:
    """The drift is scanned outwards until it points back, and sign changes are refined.

    A rough drift says where to look. Where that fails, the exact one is scanned as
    well.
    """
    likely = tuple((law.thinned(UNLIKELY), count) for law, count in update.gradients)

    def drift(
        gradients: Sequence[tuple[Mixture, float]], *, rough: bool
    ) -> Callable[[float], float]:
        """The drift over the mean length of an update: in [-1, 1] and free of units."""
        mean = _along_free_axes(update, gradients, rough=rough)

        def relative(x: float) -> float:
            vector, length = mean(np.array([x]))
            return float(vector[0]) / length if length > 0 else 0.0

        return cache(relative)

    exact = drift(update.gradients, rough=False)
    rough = drift(likely, rough=True)
    region = _region(update, update.gradients, scale)
    guesses = on_line(
        rough, _region(update, likely, scale), xtol=1e-4, error=1e3 * ERROR
    )
    roots = [refined(exact, x, scale) for x in guesses]
    if not roots or None in roots:
        roots = list(on_line(exact, region, xtol=1e-13))
    ranges = [weak_range(exact, root, region) for root in roots if root is not None]
    return [
        StationaryPoint(update.span.free[:, 0] * found.point, *found.norms)
        for found in sorted(ranges, key=lambda found: abs(found.point))
    ]


def _with_axes(update: Update, scale: float) -> list[StationaryPoint]:
    """Newton's method: many evaluations of a rough drift, few of the exact one."""
    span = update.span
    nearly_all = tuple(
        (law.thinned(NEGLIGIBLE), count) for law, count in update.gradients
    )
    few = tuple(
        (law.thinned(UNLIKELY).lumped(), count) for law, count in update.gradients
    )
    exact = _along_free_axes(update, nearly_all, rough=False)
    rough = _along_free_axes(update, few, rough=True)
    origin = np.zeros(span.free.shape[1])
    typical = rough(origin).length
    mean = span.free.T @ _stationary_mean(update.model, span)
    roots = with_axes(
        lambda y: exact(y).vector / typical,
        lambda y: rough(y).vector / typical,
        _region(update, update.gradients, scale),
        [origin, *(share * mean for share in (0.1, 0.3, 1.0))],
    )
    return [StationaryPoint.alone(span.free @ y) for y in roots]


def _require_gaussian(model: GradientModel, law: Mixture, searched: int) -> None:
    """Refuse what has no exact form: several axes without Gaussian noise."""
    several = law.axes > 1 if (law.shape > 0).any() else searched > 1
    if not several:
        return
    for i, (_, noise) in enumerate(model.parts):
        if noise.gaussian == 0:
            table = (
                "model.noise" if model.domains is None else f"model.domains[{i}].noise"
            )
            field = "scale" if noise.law == "gaussian" else "gaussian"
            refuse(
                f"{table}.{field}",
                noise.gaussian,
                "> 0 for an exact bias where the gradients do not lie on one line (the "
                "lengths of purely discrete or gamma noise have no known law there)",
            )


@dataclass(frozen=True)
class ExactBias:
    """Exact asymptotic bias of a rule at one micro-batch size, in the gradient's unit.

    `bias` = ‖∇f‖ is that of the stable stationary point nearest to 0, None when there
    is none (the draggers win); `roots` holds the norms at all that were found.
    `clipping_norm` is E ρ at the first one, for `adaptive` only, and None where it
    differs between stationary points of the same norm.

    `interval` is the smallest and the largest ‖∇f‖ at which the iterates may stay near
    the first point, both equal to `bias` where it is the only such point (`unique`). A
    wider one is a range in which the expected update is next to nothing, less than 1e-4
    of the mean length of an update: typical of discrete noise, where half of all
    micro-batches may point either way. There `bias` depends on ever smaller changes of
    the model, and short runs end anywhere in the range.
    """

    micro_batch_size: int
    bias: float | None
    roots: tuple[float, ...]
    clipping_norm: float | None = None
    interval: tuple[float, float] | None = None
    unique: bool = True


def exact_bias(
    model: GradientModel,
    rule: str,
    batch_size: int,
    micro_batch_size: int,
    *,
    threshold: float | None = None,
    pure: bool = False,
) -> ExactBias:
    """Gradient norm where the rule settles at small steps, in units of the gradient.

    `adaptive` depends on both sizes, `normalized` and `fixed` on the micro-batch size
    only and `global` on the batch size only, unless domains are `pure`, one for each
    micro-batch, or micro-batches are of unequal size; `sgd` on neither. Raises
    SpecificationError as `Clipping` does, and for a model that has no exact bias.
    Second routes: tests/analysis/rest.

    >>> from analysis.spec import Experiment
    >>> model = Experiment.load("sim/presets/sweet_spot.toml").gradient_model
    >>> round(exact_bias(model, "adaptive", batch_size=256, micro_batch_size=8).bias, 5)
    0.06103
    """
    rule = Rule.check("rule", rule)
    clipping = Clipping(rule, batch_size, micro_batch_size, threshold, pure)
    update = Update(model, clipping)
    return bias_at(update, stationary_points(update))


def bias_at(update: Update, points: Sequence[StationaryPoint]) -> ExactBias:
    """The exact bias, given the stable stationary points."""
    size = update.clipping.micro_batch_size
    if not points:
        return ExactBias(size, None, ())
    nearest = points[0]
    rho = None
    if update.clipping.rule is Rule.ADAPTIVE and not _on_a_sphere(update):
        rho = update.clipping_norm(nearest.gradient)
    return ExactBias(
        micro_batch_size=size,
        bias=nearest.norm,
        roots=tuple(point.norm for point in points),
        clipping_norm=rho,
        interval=(nearest.low, nearest.high),
        unique=nearest.low == nearest.high,
    )


def _on_a_sphere(update: Update) -> bool:
    """One micro-batch and opposing draggers: every point of a sphere is stationary."""
    alone = update.clipping.micro_batches == 1
    return alone and update.model.dragger.law == "opposing" and update.span.axes > 1
