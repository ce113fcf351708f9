"""The exact asymptotic bias of every rule on a solvable model: no Monte-Carlo.

For small steps the iterates settle where the expected update vanishes. With i.i.d. micro-batches
Algorithm 1 follows E[ψ(g)], ψ(v) = H(‖v‖) v/‖v‖, with H' = S^(m-1) and S(t) = P(‖g‖ > t).
Integrating by parts,

    E[ψ(g)] = ∫_0^∞ H'(t) C(t) dt,    C(t) = E[u; ‖g‖ > t],    u = g/‖g‖,

and the other rules differ in H' only: 1 for sgd, S^(m-1) for adaptive, 1 below the threshold for
fixed and global, a unit mass at 0 for normalized. The bias is ‖∇f‖ at the root.

Where the last micro-batch is smaller, each has tails S_j and C_j of its own. The smallest norm of
the others exceeds t with the chance Π_{i≠j} S_i(t), and the same integration by parts gives

    E[update] = (1/m) Σ_j ∫_0^∞ Π_{i≠j} S_i(t) C_j(t) dt,    E ρ = ∫_0^∞ Π_i S_i(t) dt.

For normalized and fixed it is the average over the micro-batches; the root of sgd is that of equal
ones, and global clips the mean of the micro-batches' means, whose law is that of a weighted sum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.rest.axes import Span, span
from analysis.rest.chi import mean_cosine
from analysis.rest.clouds import cloud
from analysis.rest.discrete import bare
from analysis.rest.mixture import Mixture, average, mixture
from analysis.rest.roots import ERROR, FAR, on_line, refined, rest, with_axes
from analysis.rest.tails import Tails, joint_tails
from analysis.spec.algorithm import micro_batches
from analysis.spec.checking import refuse
from analysis.spec.model import GradientModel

Array = NDArray[np.float64]
Units = tuple[tuple[Mixture, float], ...]  # the laws of a step's micro-batches, how many of each


class Piece(NamedTuple):
    """The mean of some samples, `group` at a time of one domain, and its weight in a unit."""

    samples: int
    group: int
    weight: float = 1.0


@dataclass(frozen=True)
class Unit:
    """What is clipped as one, the weighted mean of its pieces, and how many such units a step has.

    A micro-batch is one piece. With `global` the mini-batch is a unit; where the last micro-batch
    is smaller, its samples have a larger weight and are a second piece.
    """

    pieces: tuple[Piece, ...]
    count: float

    def law(self, model: GradientModel) -> Mixture:
        """The law of its gradient. Raises SpecificationError as `mixture` and `average` do."""
        laws = [mixture(model, piece.samples, piece.group) for piece in self.pieces]
        return average(laws, [piece.weight for piece in self.pieces]) if len(laws) > 1 else laws[0]

    def noise_scale(self, model: GradientModel) -> float:
        """Total standard deviation of its gradient without draggers."""
        return math.hypot(
            *(p.weight * model.noise_scale(p.group) / math.sqrt(p.samples) for p in self.pieces)
        )


def clipped_units(
    rule: str, batch_size: int, micro_batch_size: int, pure: bool = False
) -> tuple[Unit, ...]:
    """The units that the rule clips: see `analysis.spec.algorithm.micro_batches`."""
    cut = micro_batches(batch_size, micro_batch_size)
    if rule != "global":
        return tuple(Unit((Piece(b, b if pure else 1),), count) for b, count in cut)
    m = sum(count for _, count in cut)
    pieces = (Piece(b * count, b if pure else 1, count / m) for b, count in cut)
    return (Unit(tuple(pieces), 1),)


def expected_update(
    law: Mixture, a: Array, rule: str, m: float, threshold: float | None, rough: bool = False
) -> Array:
    """E[direction of the update] [axes] at a = ∇f [axes], for m micro-batches; -E of the step.

    The relative error is about 1e-9, with `rough` 1e-6.
    """
    return mean_update(((law, m),), a, rule, threshold, rough)[0]


def mean_update(
    units: Units, a: Array, rule: str, threshold: float | None, rough: bool = False
) -> tuple[Array, float]:
    """Likewise [axes] for micro-batches of several laws, and the mean length of what one adds."""
    m = sum(count for _, count in units)
    shares = [count / m for _, count in units] if len(units) > 1 else [1.0]  # m may be inf
    if rule == "normalized":
        means = [
            share * _mean_direction(law, a) for share, (law, _) in zip(shares, units, strict=True)
        ]
        return np.sum(means, axis=0), 1.0
    cut = math.inf if threshold is None else threshold
    every = joint_tails([law for law, _ in units], a, cut, rough)
    update, length = np.zeros_like(a), 0.0
    for k, t in enumerate(every):
        slope = np.ones_like(t.survival)
        if rule == "adaptive":
            others = [count - (j == k) for j, (_, count) in enumerate(units)]
            slope = survival(every, others)
        update = update + shares[k] * np.einsum("pn,pn,pna->a", t.measure, slope, t.direction)
        length += shares[k] * float(np.einsum("pn,pn,pn->", t.measure, slope, t.survival))
    return update, length


def _mean_direction(law: Mixture, a: Array) -> Array:
    """E u [axes] at a = ∇f [axes]."""
    noisy, still = cloud(law, a), bare(law, a)
    cosine = mean_cosine(law.dimension, noisy.kappa)
    update = cosine / np.where(noisy.kappa > 0, noisy.kappa, 1.0) @ noisy.vector
    update += still.weight @ still.unit
    update[0] += still.mean_sign()
    return np.asarray(update)


def survival(every: Sequence[Tails], powers: Sequence[float]) -> Array:
    """Π_k S_k(t)^powers_k at the nodes [p, n]: the chance that so many norms exceed t."""
    result = every[0].survival ** powers[0]
    for t, power in zip(every[1:], powers[1:], strict=True):
        result = result * t.survival**power
    return np.asarray(result)


def clipping_norm(law: Mixture, a: Array, m: float) -> float:
    """E ρ = ∫_0^∞ S(t)^m dt: the mean of the smallest of m micro-batch norms at a = ∇f [axes]."""
    return smallest_norm(((law, m),), a)


def smallest_norm(units: Units, a: Array) -> float:
    """Likewise for micro-batches of several laws: ∫_0^∞ Π_k S_k(t)^count_k dt."""
    every = joint_tails([law for law, _ in units], a)
    return float(
        np.einsum("pn,pn->", every[0].measure, survival(every, [count for _, count in units]))
    )


def stable_roots(
    model: GradientModel,
    b: int,
    rule: str,
    m: float,
    threshold: float | None = None,
    group: int = 1,
) -> list[Array]:
    """All stable roots a = ∇f [axes] that the search finds, the nearest to 0 first; [] if none.

    For m units of b samples, `group` samples at a time sharing a domain. In the coordinates of
    `span`; opposing draggers leave a sphere, or a ring around the span, of which one point is
    given. Errors as for `points_of_rest`.
    """
    units = (Unit((Piece(b, group),), m),)
    return [point for point, _ in points_of_rest(model, rule, units, threshold)]


def points_of_rest(
    model: GradientModel, rule: str, units: Sequence[Unit], threshold: float | None = None
) -> list[tuple[Array, tuple[float, float]]]:
    """Stable roots a = ∇f [axes], the nearest to 0 first, and each one's range of rest in ‖∇f‖.

    The mean (sgd, a threshold of inf, adaptive with one micro-batch) has its root in closed form.
    Where one axis is to be searched the drift is scanned outwards until it points back, and every
    sign change from - to + is refined; with more axes Newton's method, see analysis/rest/roots.py.
    A range of rest is looked for on a line only, see `roots.rest`. Raises SpecificationError with
    more axes when there is no Gaussian noise, and when the search finds nothing and does not run
    away, and for a model that is only simulated.
    """
    model.require_exact()
    place = span(model)
    if is_mean(rule, units, threshold):
        return [_single(_mean_root(model, place))]
    q = place.free.shape[1]
    if q == 0:
        return [_single(np.zeros(place.axes))]
    laws = tuple((unit.law(model), unit.count) for unit in units)
    for law, _ in laws:
        _require_gaussian(model, law, q)
    scale = units[0].noise_scale(model) or model.dragger.norm / units[0].pieces[0].samples
    if scale == 0:
        return [_single(np.zeros(place.axes))]
    reach = 2 * max(law.reach for law, _ in laws) + scale
    thin = tuple((law.thinned(5e-3), count) for law, count in laws)
    if q > 1:  # many evaluations of the rough drift, few of the exact one
        laws = tuple((law.thinned(1e-10), count) for law, count in laws)
        thin = tuple((law.lumped(), count) for law, count in thin)

    def searched(y: Array, rough: bool) -> tuple[Array, float]:
        a = place.free @ y
        update, length = mean_update(thin if rough else laws, a, rule, threshold, rough)
        return place.free.T @ update, length

    if q > 1:
        mean = place.free.T @ _mean_root(model, place)
        _, typical = searched(np.zeros(q), rough=True)
        found = with_axes(
            lambda y: searched(y, rough=False)[0] / typical,
            lambda y: searched(y, rough=True)[0] / typical,
            q,
            scale,
            reach,
            [np.zeros(q), *(f * mean for f in (0.1, 0.3, 1.0))],
            place.ray,
        )
        return [_single(place.free @ y) for y in found]

    def relative(x: float, rough: bool) -> float:
        """The drift over the mean length of an update: between -1 and 1, in every unit the same."""
        update, length = searched(np.array([x]), rough)
        return float(update[0]) / length if length > 0 else 0.0

    exact = cache(lambda x: relative(x, rough=False))
    guess = cache(lambda x: relative(x, rough=True))
    outer = 2 * max(law.reach for law, _ in thin) + scale
    guesses = on_line(guess, scale, outer, 1e-4, place.ray, 1e3 * ERROR)
    points = [refined(exact, x, scale) for x in guesses]
    if not points or None in points:
        points = list(on_line(exact, scale, reach, 1e-13, place.ray))
    ranges = [rest(exact, x, scale, FAR * reach) for x in points if x is not None]
    return [
        (place.free[:, 0] * one.point, one.norms)
        for one in sorted(ranges, key=lambda one: abs(one.point))
    ]


def is_mean(rule: str, units: Sequence[Unit], threshold: float | None) -> bool:
    """Whether the rule clips nothing."""
    alone = rule == "adaptive" and sum(unit.count for unit in units) == 1
    return rule == "sgd" or alone or threshold == math.inf


def _single(point: Array) -> tuple[Array, tuple[float, float]]:
    """A point of rest that is alone."""
    norm = float(np.linalg.norm(point))
    return point, (norm, norm)


def _mean_root(model: GradientModel, place: Span) -> Array:
    """Where the mean of all samples vanishes: (1-ε)∇f + ε E[dragger] = 0.

    It is -εD v/(1-ε), or -εD v for additive draggers; 0 for orthogonal ones, whose component along
    v no step removes, and isotropic ones; at any point with ‖∇f‖ = εD/(1-ε) for opposing ones.
    """
    eps, norm, law = model.dragger_fraction, model.dragger.norm, model.dragger.law
    if law == "opposing":
        return np.eye(place.axes)[-1] * (eps * norm / (1 - eps))
    if law in ("orthogonal", "isotropic"):
        return np.zeros(place.axes)
    return -eps * norm / (1.0 if law == "additive" else 1 - eps) * place.direction


def _require_gaussian(model: GradientModel, law: Mixture, searched: int) -> None:
    """Refuse what has no exact expression: several axes without a Gaussian part of the noise."""
    several = law.axes > 1 if (law.shape > 0).any() else searched > 1
    if not several:
        return
    for i, (_, noise) in enumerate(model.parts):
        if noise.gaussian == 0:
            table = "model.noise" if model.domains is None else f"model.domains[{i}].noise"
            field = "scale" if noise.law == "gaussian" else "gaussian"
            refuse(
                f"{table}.{field}",
                noise.gaussian,
                "> 0 for an exact bias where the gradients do not lie on one line "
                "(the lengths of purely discrete or gamma noise have no known law there)",
            )


@dataclass(frozen=True)
class ExactBias:
    """The exact asymptotic bias of one rule at one micro-batch size.

    `bias` = ‖∇f‖ is that of the stable root nearest to 0, None when there is none (the draggers
    win); `roots` holds the norms of all that were found. `clipping_norm` is E ρ at the first one,
    for `adaptive` only, and None where it differs between points of rest of the same norm.

    `interval` is the smallest and the largest ‖∇f‖ at which the iterates may stay near the first
    root, both equal to `bias` where it is the only such point (`unique`). A wider one is a range in
    which the expected update is next to nothing, less than 1e-4 of the mean length of an update:
    typical of discrete noise, where half of all micro-batches may point either way. There `bias`
    depends on ever smaller changes of the model, and short runs end anywhere in the range.
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
    threshold: float | None = None,
    pure: bool = False,
) -> ExactBias:
    """Norm of the gradient where the rule settles for small steps, in units of the gradient.

    `adaptive` depends on both sizes, `normalized` and `fixed` on the micro-batch size only, `sgd`
    and `global` on the batch size only, unless domains are `pure`, one for each micro-batch, or
    micro-batches are of unequal size. Second routes: tests/analysis/rest/test_stable.py,
    test_laws_*.py.
    """
    units = clipped_units(rule, batch_size, micro_batch_size, pure)
    found = points_of_rest(model, rule, units, threshold)
    if not found:
        return ExactBias(micro_batch_size, None, ())
    norms = tuple(float(np.linalg.norm(a)) for a, _ in found)
    a, (low, high) = found[0]
    rho = None
    if rule == "adaptive" and not _ambiguous(model, units):
        rho = smallest_norm(tuple((unit.law(model), unit.count) for unit in units), a)
    return ExactBias(micro_batch_size, norms[0], norms, rho, (low, high), low == high)


def _ambiguous(model: GradientModel, units: Sequence[Unit]) -> bool:
    """A single micro-batch and opposing draggers: every point of a sphere is one of rest."""
    alone = sum(unit.count for unit in units) == 1
    return alone and model.dragger.law == "opposing" and span(model).axes > 1
