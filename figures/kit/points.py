"""A simulated value beside the theoretical one, in the form in which figures keep it.

A figure's data are plain JSON: `Point.entry` gives the mapping for one point, and what
a point does not have is left out of it. Checks and drawings read these mappings.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from sim.estimate import CONFIDENCE, Estimate, SquaredBias, quantile

ROUNDING = 1e-12  # relative


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value with its 99 % interval, and how far it is from theory.

    `standard_error` and the interval are in units of the value; `z` is the distance
    from `exact`, or else from `bound`, in standard errors, positive above; `degrees`
    are the degrees of freedom of the standard error.
    """

    value: float
    standard_error: float | None = None
    interval: tuple[float, float]
    exact: float | None = None
    bound: float | None = None
    z: float | None = None
    degrees: int | None = None

    @classmethod
    def of_bias(cls, estimate: Estimate, exact: float | None = None) -> Self:
        """A bias from `sim.estimate`, with its own interval and score."""
        return cls(**_of_bias(estimate, exact))

    @classmethod
    def of_mean(
        cls,
        value: float,
        standard_error: float,
        degrees: int,
        *,
        exact: float | None = None,
        bound: float | None = None,
    ) -> Self:
        """A mean of independent values, with Student's interval.

        There is no z without an exact value or bound. Where the error is 0, z is 0 if
        the value is the theoretical one, to rounding, and infinite otherwise.
        """
        reach = quantile((1 + CONFIDENCE) / 2, degrees) * standard_error
        theory = bound if exact is None else exact
        return cls(
            value=float(value),
            interval=(float(value - reach), float(value + reach)),
            degrees=degrees,
            standard_error=float(standard_error),
            exact=None if exact is None else float(exact),
            bound=None if bound is None else float(bound),
            z=None
            if theory is None
            else _score(value - theory, standard_error, theory),
        )

    def in_units_of(self, unit: float) -> Self:
        """The same point in another unit, given in the old one; z stays what it is."""
        low, high = self.interval
        return replace(
            self,
            value=self.value / unit,
            standard_error=_divided(self.standard_error, unit),
            interval=(low / unit, high / unit),
            exact=_divided(self.exact, unit),
            bound=_divided(self.bound, unit),
        )

    def entry(self, *, without: Iterable[str] = (), **place: Any) -> dict[str, Any]:
        """The point as JSON data: where it is, then its fields, but those it lacks.

        `place` are further entries, such as micro_batch_size. `without` names fields
        that the figure does not keep.
        """
        omitted = {*without}
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in known.items() if v is not None and k not in omitted}
        return place | kept


@dataclass(frozen=True, kw_only=True)
class BiasPoint(Point):
    """A bias with all that is needed to compare it with that of another size.

    `squared`, `along` and `across` are those of `sim.estimate.Estimate`.
    """

    squared: float
    along: float
    across: float

    @classmethod
    def of_bias(cls, estimate: Estimate, exact: float | None = None) -> Self:
        """As for `Point`."""
        return cls(
            **_of_bias(estimate, exact),
            squared=estimate.squared,
            along=estimate.along,
            across=estimate.across,
        )

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """The point whose `entry` this is; entries that are not its own are ignored."""
        names = {f.name for f in fields(cls)}
        return cls(**{name: entry[name] for name in names & entry.keys()})

    def in_units_of(self, unit: float) -> Self:
        """As for `Point`."""
        return replace(
            super().in_units_of(unit),
            squared=self.squared / unit**2,
            along=self.along / unit**2,
            across=self.across / unit**4,
        )

    @property
    def square(self) -> SquaredBias:
        """The square of the bias, to compare. Raises ValueError without degrees."""
        if self.degrees is None:
            raise ValueError("a bias without degrees of freedom")
        return SquaredBias(
            self.value, self.squared, self.along, self.across, self.degrees
        )


def _score(difference: float, error: float, theory: float) -> float:
    if error > 0:
        return float(difference / error)
    equal = abs(difference) <= ROUNDING * abs(theory)
    return 0.0 if equal else math.copysign(math.inf, difference)


def _divided(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _of_bias(estimate: Estimate, exact: float | None) -> dict[str, Any]:
    return {
        "value": estimate.bias,
        "interval": estimate.interval,
        "degrees": estimate.degrees,
        "standard_error": estimate.standard_error,
        "exact": exact,
        "z": None if exact is None else estimate.score(exact),
    }


def biases(
    estimates: Mapping[Any, Estimate], exact: Mapping[int, float]
) -> list[dict[str, Any]]:
    """Entries of the simulated biases by micro-batch size beside the exact ones."""
    return [
        BiasPoint.of_bias(estimate, exact[b]).entry(micro_batch_size=b)
        for b, estimate in estimates.items()
    ]


def rivals(points: Sequence[Mapping[str, Any]], best: int) -> list[dict[str, Any]]:
    """How much smaller other sizes' biases look than that of size `best`: scores.

    The comparison is that of `sim.estimate.confidence_set`: if that size is best, no z
    is expected above 0. Raises ValueError unless exactly one point has that size.
    """
    (own,) = [p for p in points if p["micro_batch_size"] == best]
    best_square = BiasPoint.read(own).square
    scores = []
    for p in points:
        if p is not own:
            square = BiasPoint.read(p).square
            difference, error, degrees = best_square.excess(square)
            place = {"micro_batch_size": p["micro_batch_size"]}
            scores.append(place | {"z": difference / error, "degrees": degrees})
    return scores


def inside(points: Sequence[Mapping[str, Any]]) -> int:
    """How many of the points have their exact value in their interval."""
    return sum(p["interval"][0] <= p["exact"] <= p["interval"][1] for p in points)
