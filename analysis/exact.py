"""The exact asymptotic bias of every rule on a solvable model: no Monte-Carlo.

For small steps the iterates settle where the expected update vanishes. With i.i.d. micro-batches
Algorithm 1 follows E[ψ(g)], ψ(v) = H(‖v‖) v/‖v‖, with H' = S^(m-1) and S(t) = P(‖g‖ > t).
Integrating by parts,

    E[ψ(g)] = ∫_0^∞ H'(t) C(t) dt,    C(t) = E[u; ‖g‖ > t],    u = g/‖g‖,

and the other rules differ in H' only: 1 for sgd, S^(m-1) for adaptive, 1 below the threshold for
fixed and global, a unit mass at 0 for normalized. The bias is ‖Λw‖ at the root.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from analysis.fields import SpecificationError, refuse
from analysis.mixture import Mixture, mixture, plane
from analysis.model import GradientModel
from analysis.radial import mean_cosine
from analysis.tails import tails

Array = NDArray[np.float64]
SCAN = 33  # points at which the drift's sign is looked at between the outer brackets
FAR = 1e6  # a drift that still points outwards at this many times the draggers' reach never returns


def expected_update(law: Mixture, a: Array, rule: str, m: float, threshold: float | None) -> Array:
    """E[direction of the update] [axes] at a = Λw [axes], for m micro-batches; -E of the step."""
    if rule == "normalized":
        means = law.means(a)
        length = np.linalg.norm(means, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine = mean_cosine(law.dimension, np.where(length > 0, length / law.scale, 0.0))
        unit = means / np.where(length > 0, length, 1.0)[:, None]
        return (law.weight * cosine) @ unit
    t = tails(law, a, np.inf if threshold is None else threshold)
    slope = t.survival ** (m - 1) if rule == "adaptive" else np.ones_like(t.survival)
    return np.einsum("pn,pn,pna->a", t.measure, slope, t.direction)


def stable_roots(
    model: GradientModel, b: int, rule: str, m: float, threshold: float | None = None
) -> list[Array]:
    """All stable roots a = Λw [axes] that the search finds, the nearest to 0 first; [] if none.

    The mean (sgd, or adaptive with one micro-batch) has the one root -εD v/(1-ε), or -εD v when the
    draggers are additive.

    Where all means lie on one line the drift is scanned outwards until it points back, and every
    sign change from - to + is refined. In the plane, Newton's method from several starts, else the
    mean flow from 0. Raises SpecificationError in the plane when there is no Gaussian noise, or
    when the search neither finds a root nor runs away.
    """
    if rule == "sgd" or (rule == "adaptive" and m == 1):
        benign = 1.0 if model.dragger.law == "additive" else 1 - model.dragger_fraction
        return [-model.dragger_fraction * model.dragger.norm / benign * plane(model)[1]]
    law = mixture(model, b)
    scale = np.sqrt(model.noise.total_variance / b) or model.dragger.norm / b
    if scale == 0:
        return [np.zeros(law.axes)]
    if law.axes == 2:
        if model.noise.gaussian == 0:
            refuse(
                "model.noise.gaussian",
                model.noise.gaussian,
                "> 0 for an exact bias with draggers that are not along the first axis",
            )
        push = model.dragger_fraction * model.dragger.norm * plane(model)[1]
        return _roots_in_plane(
            lambda a: expected_update(law, a, rule, m, threshold),
            scale,
            2 * float(np.abs(law.offset).max()) + scale,
            [np.zeros(2), *(f * -push for f in (0.1, 0.3, 1.0, 1 / (1 - model.dragger_fraction)))],
        )

    def on_line(law: Mixture) -> Callable[[float], float]:
        return cache(lambda x: float(expected_update(law, np.array([x]), rule, m, threshold)[0]))

    exact, rough = on_line(law), law.thinned(5e-3)
    reach = 2 * float(np.abs(rough.offset).max()) + scale
    found = [_refined(exact, x, scale) for x in _roots_on_line(on_line(rough), scale, reach, 1e-4)]
    if not found or None in found:
        found = list(_roots_on_line(exact, scale, reach, 1e-13))
    return [np.array([x]) for x in sorted((x for x in found if x is not None), key=abs)]


def _roots_on_line(
    drift: Callable[[float], float], scale: float, reach: float, xtol: float
) -> list[float]:
    """Sign changes of the drift from - to +, found on a grid that is dense near 0."""
    ends = []
    for sign in (-1.0, 1.0):
        end = reach
        while sign * drift(sign * end) <= 0 and end < FAR * reach:
            end *= 2
        ends.append(end)
    spread = np.arcsinh(16 * max(ends) / scale)
    grid = np.sinh(np.linspace(-spread, spread, SCAN)) * scale / 16
    points = np.unique(np.clip(grid, -ends[0], ends[1]))
    values = np.array([drift(x) for x in points])
    points, values = points[values != 0], values[values != 0]
    found = []
    for i in np.flatnonzero((values[:-1] < 0) & (values[1:] > 0)):
        low, high = points[i : i + 2]
        found.append(float(optimize.brentq(drift, low, high, xtol=xtol * scale)))
    return found


def _refined(drift: Callable[[float], float], x: float, scale: float) -> float | None:
    """The stable root next to x, None unless it is within a tenth of the scale."""
    for reach in (2e-3 * scale, 2e-2 * scale, 1e-1 * scale):
        if drift(x - reach) < 0 < drift(x + reach):
            return float(optimize.brentq(drift, x - reach, x + reach, xtol=1e-11 * scale))
    return None


def _roots_in_plane(
    drift: Callable[[Array], Array], scale: float, reach: float, starts: list[Array]
) -> list[Array]:
    """Stable roots from the starts, the nearest to 0 first; [] when the mean flow runs away."""
    found: list[Array] = []
    for start in starts:
        root = _newton(drift, start, scale)
        if root is not None and all(np.linalg.norm(root - a) > 1e-6 * scale for a in found):
            found.append(root)
    if found:
        return sorted(found, key=lambda a: float(np.linalg.norm(a)))
    a, step, before = np.zeros(2), 0.1 * scale, np.zeros(2)
    for i in range(600):
        update = drift(a)
        unit = update / max(float(np.linalg.norm(update)), 1e-300)
        step *= 1.4 if unit @ before > 0.5 else 0.6
        a, before = a - step * unit, unit
        if step < 1e-9 * scale:
            return [a]
        if i % 10 == 9 and (root := _newton(drift, a, scale)) is not None:
            return [root]
        if np.linalg.norm(a) > FAR * reach:
            return []
    raise SpecificationError("model: no point of rest was found in the plane of the draggers")


def _newton(drift: Callable[[Array], Array], start: Array, scale: float) -> Array | None:
    """A stable root by Newton's method, None if it finds none."""
    unit = max(scale, float(np.linalg.norm(start)))
    solution = optimize.root(lambda x: drift(x * unit) / unit, start / unit, tol=1e-11)
    root = solution.x * unit
    typical = max(float(np.linalg.norm(drift(root + scale * e))) for e in np.eye(2))
    if not np.linalg.norm(drift(root)) < 1e-7 * typical:
        return None
    h = 1e-4 * scale
    columns = [(drift(root + h * e) - drift(root - h * e)) / (2 * h) for e in np.eye(2)]
    stable = (np.linalg.eigvals(np.stack(columns, axis=1)).real > 0).all()
    return root if stable else None


@dataclass(frozen=True)
class ExactBias:
    """The exact asymptotic bias of one rule at one micro-batch size.

    `bias` = ‖Λw̄‖ is that of the stable root nearest to 0, None when there is none (the draggers
    win); `roots` holds the norms of all that were found.
    """

    micro_batch_size: int
    bias: float | None
    roots: tuple[float, ...]


def exact_bias(
    model: GradientModel,
    rule: str,
    batch_size: int,
    micro_batch_size: int,
    threshold: float | None = None,
) -> ExactBias:
    """Norm of the gradient where the rule settles for small steps, in units of the gradient.

    `adaptive` depends on both sizes, `normalized` and `fixed` on the micro-batch size only, `sgd`
    and `global` on the batch size only. Second routes: tests/analysis/test_exact.py.
    """
    if rule == "global":  # per-micro-batch clipping with a single micro-batch
        sizes = (batch_size, 1)
    else:
        sizes = (micro_batch_size, batch_size // micro_batch_size)
    found = stable_roots(model, sizes[0], rule, sizes[1], threshold)
    norms = tuple(float(np.linalg.norm(a)) for a in found)
    return ExactBias(micro_batch_size, norms[0] if norms else None, norms)
