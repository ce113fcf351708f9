"""Stable roots of an expected update: on a line by scanning, else by Newton's method.

A root is stable when small steps against the update return to it: on a line the drift
changes sign from - to +, with more axes its Jacobian has eigenvalues with positive real
parts. For anisotropic curvature that is exact wherever the Jacobian is symmetric: for
every rule but `adaptive`, and for all of them on a line.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from analysis.spec.checking import SpecificationError

Array = NDArray[np.float64]
LineDrift = Callable[[float], float]
Drift = Callable[[Array], Array]

SCAN = 33  # points of the scan between the outer brackets
# a drift that still points outwards at this many times the draggers' reach never
# returns
FAR = 1e6
ERROR = 1e-9  # of a drift, which has no sign below it
# a drift that is weaker than this over a range leaves no single stationary point
PULL = 1e-4
# in units of the noise: ranges not much narrower than this are looked for
NARROW = 2e-3
RADII = (0.3, 1.0, 3.0)  # of the first points, in units of the noise
LONGEST_FLOW = 600  # steps along the mean flow


@dataclass(frozen=True)
class Region:
    """Where roots are looked for: `scale` is the noise's, `reach` the draggers'.

    With `ray` the drift is the same for both signs of the last coordinate, so that only
    x >= 0 counts on a line, and one root of each pair with more axes.
    """

    scale: float
    reach: float
    ray: bool = False


class WeakRange(NamedTuple):
    """A stable root on a line, and the range around it of next to no drift.

    low = high = point where the drift just passes through zero.
    """

    point: float
    low: float
    high: float

    @property
    def norms(self) -> tuple[float, float]:
        """The smallest and the largest |x| in the range."""
        ends = abs(self.low), abs(self.high)
        return (0.0 if self.low <= 0 <= self.high else min(ends)), max(ends)


def on_line(
    drift: LineDrift, region: Region, *, xtol: float, error: float = ERROR
) -> list[float]:
    """Sign changes of the drift from - to +, to xtol scales, on a grid dense near 0.

    The drift is relative to the mean length of an update: between -1 and 1, and without
    a sign where it is within `error`. With a ray only at x > 0, and at 0 itself where
    the drift just beside it points back.
    """
    scale = region.scale
    ends = _brackets(drift, region, error)
    spread = np.arcsinh(16 * max(ends) / scale)
    grid = np.sinh(np.linspace(-spread, spread, SCAN)) * scale / 16
    grid[SCAN // 2] = 0.0
    lowest = 1e-6 * scale if region.ray else -ends[0]
    points = np.unique(np.clip(grid, lowest, ends[-1]))
    values = np.array([drift(x) for x in points])
    roots = [0.0] if region.ray and values[0] > error else []
    signed = np.abs(values) > error
    points, values = points[signed], values[signed]
    for i in np.flatnonzero((values[:-1] < 0) & (values[1:] > 0)):
        roots.append(
            float(optimize.brentq(drift, *points[i : i + 2], xtol=xtol * scale))
        )
    return roots


def _brackets(drift: LineDrift, region: Region, error: float) -> list[float]:
    """Distances from 0 where the drift points back, left (without a ray) and right."""
    ends = []
    for sign in (1.0,) if region.ray else (-1.0, 1.0):
        end = region.reach
        while sign * drift(sign * end) <= error and end < FAR * region.reach:
            end *= 2
        ends.append(end)
    return ends


def refined(drift: LineDrift, x: float, scale: float) -> float | None:
    """The stable root next to x, None unless it is within a tenth of the scale.

    Nor where the drift beside x is within its error.
    """
    for reach in (NARROW * scale, 2e-2 * scale, 1e-1 * scale):
        if drift(x - reach) < -ERROR and drift(x + reach) > ERROR:
            return float(
                optimize.brentq(drift, x - reach, x + reach, xtol=1e-11 * scale)
            )
    return None


def weak_range(drift: LineDrift, root: float, region: Region) -> WeakRange:
    """The stable root with the range around it where the drift is below PULL.

    A drift that rises evenly is below PULL for a while, too: what counts is a range
    over whose middle half it changes by less than a quarter of that. Where the drift
    vanishes, to its error, over a range, all of its points are stationary, and the one
    nearest to 0 is taken.
    """
    limit = FAR * region.reach
    step = max(NARROW * region.scale, 1e-6 * abs(root))
    if drift(root - step) <= -PULL and drift(root + step) >= PULL:
        return WeakRange(root, root, root)
    low, high = _below(drift, root, PULL, step=step, limit=limit)
    quarter = (high - low) / 4
    if quarter == 0 or abs(drift(high - quarter) - drift(low + quarter)) >= PULL / 4:
        return WeakRange(root, root, root)
    left, right = _below(drift, root, ERROR, step=step, limit=limit)
    flat = right - left > step
    return WeakRange(float(np.clip(0.0, left, right)) if flat else root, low, high)


def _below(
    drift: LineDrift, root: float, most: float, *, step: float, limit: float
) -> tuple[float, float]:
    """Ends of the range around a root in which |drift| <= most, by doubling steps."""

    def excess(x: float) -> float:
        return abs(drift(x)) - most

    ends = []
    for sign in (-1.0, 1.0):
        inside, distance = root, step
        while excess(root + sign * distance) <= 0 and abs(root) + distance < limit:
            inside = root + sign * distance
            distance *= 2
        outside = root + sign * distance
        if excess(inside) <= 0 < excess(outside):
            inside = float(optimize.brentq(excess, inside, outside, xtol=1e-9 * step))
        ends.append(inside)
    return ends[0], ends[1]


def with_axes(
    drift: Drift, rough: Drift, region: Region, starts: list[Array]
) -> list[Array]:
    """Stable roots with several axes, the nearest to 0 first.

    The list is empty when the mean flow runs away.

    Newton's method on the `rough` drift, from the starts [axes] and from points all
    around at several distances, shows where to look for roots of the drift itself. When
    that finds none the mean flow from 0 is followed. Raises SpecificationError when it
    neither comes to rest nor runs away.
    """
    scale, axes = region.scale, starts[0].size
    signs = np.append(np.ones(axes - 1), -1.0)

    def upwards(y: Array | None) -> Array | None:
        return y * signs if region.ray and y is not None and y[-1] < 0 else y

    def roots_near(points: Iterable[Array]) -> list[Array]:
        return _distinct(
            [upwards(newton(drift, y, scale)) for y in points], scale, 1e-6
        )

    directions = [u for u in _directions(axes) if not region.ray or u[-1] > -1e-9]
    around = [r * u for r in _distances(region) for u in directions]
    guesses = [upwards(guess(rough, y, scale)) for y in [*starts, *around]]
    roots = roots_near(_distinct(guesses, scale, 1e-2)) or roots_near(starts)
    if not roots:
        roots = _follow(drift, region, axes)
    return sorted(roots, key=lambda y: float(np.linalg.norm(y)))


def _distances(region: Region) -> list[float]:
    """Distances of the first points: near 0, on the way to the reach, and at it."""
    scale, reach = region.scale, region.reach
    near = [r * scale for r in RADII]
    return near + (
        [float(np.sqrt(3 * scale * reach)), reach] if reach > 6 * scale else []
    )


def _directions(axes: int) -> list[Array]:
    """Eight points of the circle; or both ends of axes and random directions."""
    if axes == 2:
        angle = np.pi / 4 * np.arange(8)
        return list(np.column_stack([np.cos(angle), np.sin(angle)]))
    random = np.random.default_rng(1).normal(size=(4 * axes, axes))
    random /= np.linalg.norm(random, axis=1)[:, None]
    return [*np.eye(axes), *-np.eye(axes), *random]


def _distinct(roots: list[Array | None], scale: float, apart: float) -> list[Array]:
    """Roots that differ by more than `apart`, relative to the scale or their norm."""
    distinct: list[Array] = []
    for root in roots:
        if root is not None and all(
            np.linalg.norm(root - y) > apart * max(scale, float(np.linalg.norm(y)))
            for y in distinct
        ):
            distinct.append(root)
    return distinct


def _follow(drift: Drift, region: Region, axes: int) -> list[Array]:
    """Where the mean flow from 0 comes to rest; [] when it runs away.

    The step grows while the direction stays and shrinks where it turns.
    """
    scale = region.scale
    y, step, before = np.zeros(axes), 0.1 * scale, np.zeros(axes)
    for i in range(LONGEST_FLOW):
        update = drift(y)
        unit = update / max(float(np.linalg.norm(update)), 1e-300)
        step *= 1.4 if unit @ before > 0.5 else 0.6
        y, before = y - step * unit, unit
        if step < 1e-9 * scale:
            return [y]
        root = newton(drift, y, scale) if i % 10 == 9 else None
        if root is not None:
            return [root]
        if np.linalg.norm(y) > FAR * region.reach:
            return []
    raise SpecificationError(
        "model: no point of rest was found in the span of the means"
    )


def guess(drift: Drift, start: Array, scale: float) -> Array | None:
    """Where Newton's method arrives, roughly; None if nowhere or clearly unstable."""
    unit = max(scale, float(np.linalg.norm(start)))
    options = {"maxfev": 10 + 4 * start.size}
    solution = optimize.root(
        lambda y: drift(y * unit) / unit, start / unit, tol=1e-3, options=options
    )
    if not solution.success:
        return None
    slopes, _ = _slopes(drift, solution.x * unit, 1e-2 * scale)
    clearly_unstable = slopes.min() < -0.1 * np.abs(slopes).max()
    return None if clearly_unstable else solution.x * unit


def _slopes(drift: Drift, y: Array, h: float) -> tuple[Array, Array]:
    """Real parts of Jacobian eigenvalues [q], eigenvectors [q, q], by differences."""
    columns = [(drift(y + h * e) - drift(y - h * e)) / (2 * h) for e in np.eye(y.size)]
    values, vectors = np.linalg.eig(np.stack(columns, axis=1))
    return values.real, vectors.real


def newton(drift: Drift, start: Array, scale: float) -> Array | None:
    """A stable root by Newton's method, None if it arrives at none.

    If it lands on an unstable root, such as the one between two stable roots just after
    a pitchfork bifurcation, it restarts slightly to either side.
    """
    root = _solution(drift, start, scale)
    if root is None:
        return None
    values, vectors = _slopes(drift, root, 1e-4 * scale)
    if (values > 0).all():
        return root
    aside = 0.1 * scale * vectors[:, values.argmin()]
    for again in (root + aside, root - aside):
        other = _solution(drift, again, scale)
        if other is not None and (_slopes(drift, other, 1e-4 * scale)[0] > 0).all():
            return other
    return None


def _solution(drift: Drift, start: Array, scale: float) -> Array | None:
    """A root, stable or not; None if Newton's method fails in 100 evaluations."""
    unit = max(scale, float(np.linalg.norm(start)))
    solution = optimize.root(
        lambda y: drift(y * unit) / unit,
        start / unit,
        tol=1e-9,
        options={"maxfev": 100},
    )
    root = solution.x * unit
    typical = max(
        float(np.linalg.norm(drift(root + scale * e))) for e in np.eye(start.size)
    )
    return root if np.linalg.norm(drift(root)) < 1e-7 * typical else None
