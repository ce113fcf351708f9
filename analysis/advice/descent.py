"""How long the normalized rule takes from one gradient norm to another, by small steps.

On the quadratic f = w²/2 a small step γ moves G = ‖∇f‖ by dG/dt = -γ E⟨∇f, u⟩/G, u the
direction of the update. The time from one norm to another, times γ, is therefore the
integral of G/E⟨∇f, u⟩ over G: a length in gradient units. E⟨∇f, u⟩ is called the pull.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.advice.sizes import bias_radius
from analysis.claims.drift import claim as drift
from analysis.claims.hitting_time import claim as hitting_time
from analysis.rest.mixture import mixture
from analysis.rest.update import expected_update
from analysis.spec.algorithm import divisors
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule

Array = NDArray[np.float64]


def guaranteed_pull(
    norms: ArrayLike, sizes: ArrayLike, *, dragger_fraction: float, noise_scale: float
) -> Array:
    """The pull at least, by the claim drift at α = 1, for norms and sizes of one shape.

    Norms and sizes broadcast against each other; the result is negative where the
    draggers may win.
    """
    values = drift.evaluate(
        gradient_norm=np.asarray(norms),
        micro_batch_size=np.asarray(sizes),
        dragger_fraction=dragger_fraction,
        noise_scale=noise_scale,
        alignment=1.0,
    )
    return np.asarray(values["drift_bound"])


def exact_pull(model: GradientModel, micro_batch_size: int, norms: Array) -> Array:
    """The pull [n] at the gradient norms [n], exactly, in one dimension."""
    law = mixture(model, micro_batch_size)
    clipping = Clipping(Rule.NORMALIZED, micro_batch_size, micro_batch_size)
    updates = [expected_update(law, np.array([g]), clipping)[0] for g in norms]
    return norms * np.array(updates)


def path_length(norms: Array, pull: Array) -> float | None:
    """γ times the time along increasing norms [n], by the trapezoidal rule.

    None where some pull [n] is not positive: the rule may never arrive.
    """
    return float(np.trapezoid(norms / pull, norms)) if (pull > 0).all() else None


def strongest(
    norms: Array, sizes: Array, pulls: Array
) -> tuple[Array, list[list[float]]]:
    """The size with the strongest pull at each of the increasing norms, as a schedule.

    `pulls` [n, k] belong to the norms [n] and the sizes [k]. Returns the sizes [n] and
    the pairs [norm from which on, size] of an experiment's algorithm.schedule, the
    largest norm first and 0 last; sizes change half-way between two norms, on a
    logarithmic scale, rounded to four decimals.
    """
    best = sizes[pulls.argmax(1)]
    changes = np.flatnonzero(np.diff(best))[::-1]
    pairs = [
        [round(float(np.sqrt(norms[i] * norms[i + 1])), 4), int(best[i + 1])]
        for i in changes
    ]
    return best, [*pairs, [0.0, int(best[0])]]


class Descent(NamedTuple):
    """The way from a start down to a target, in units of the noise scale.

    `best` is the divisor of the mini-batch with the smallest bias radius, `radius` that
    radius. `norms` [n] lead from the target up to the start; `sizes` [n] are the
    divisors with the strongest guaranteed pull there, `pairs` their schedule. `step` is
    the step size that the claim hitting_time prescribes for `best`, rounded to six
    decimals, and `bound` its bound of the number of iterations.
    """

    best: int
    radius: float
    norms: Array
    sizes: Array
    target: float
    pairs: list[list[float]]
    step: float
    bound: float


def planned(
    batch_size: int,
    *,
    dragger_fraction: float,
    start: float,
    beyond: float,
    points: int,
) -> Descent:
    """The descent from ‖∇f‖ = start to `beyond` times the smallest bias radius, σ = 1.

    On f = w²/2, with draggers that push straight back (α = 1), at `points` norms.
    Raises ValueError where every divisor is beyond the breakdown.
    """
    noise = {"dragger_fraction": dragger_fraction, "noise_scale": 1.0}
    admissible = divisors(batch_size)
    radii = bias_radius(admissible, **noise)
    best, radius = int(admissible[np.nanargmin(radii)]), float(np.nanmin(radii))
    norms = np.geomspace(beyond * radius, start, points)
    pulls = guaranteed_pull(norms[:, None], admissible, **noise)
    sizes, pairs = strongest(norms, admissible, pulls)
    arrival = hitting_time.evaluate(
        micro_batch_size=best,
        excess=(beyond - 1) * radius,
        alignment=1.0,
        initial_gap=start**2 / 2,
        smoothness=1.0,
        **noise,
    )
    return Descent(
        best=best,
        radius=radius,
        norms=norms,
        sizes=sizes,
        target=float(arrival["target"]),
        pairs=pairs,
        step=round(float(arrival["step_size"]), 6),
        bound=float(arrival["hitting_time"]),
    )
