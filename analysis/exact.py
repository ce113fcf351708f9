"""The exact asymptotic bias of every rule on a solvable model: no Monte-Carlo.

For small steps the iterates settle where the expected update vanishes. With i.i.d. micro-batches
Algorithm 1 follows E[ψ(g)], ψ(v) = H(‖v‖) v/‖v‖, with H' = S^(m-1) and S(t) = P(‖g‖ > t).
Integrating by parts,

    E[ψ(g)] = ∫_0^∞ H'(t) C(t) dt,    C(t) = E[u; ‖g‖ > t],    u = g/‖g‖,

and the other rules differ in H' only: 1 for sgd, S^(m-1) for adaptive, 1 below the threshold for
fixed and global, a unit mass at 0 for normalized. The bias is ‖∇f‖ at the root.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.bare import bare
from analysis.coalesce import cloud
from analysis.fields import refuse
from analysis.gradient import GradientModel
from analysis.mixture import Mixture, mixture
from analysis.radial import mean_cosine
from analysis.roots import on_line, refined, with_axes
from analysis.span import Span, span
from analysis.tails import tails

Array = NDArray[np.float64]
ERROR = 1e-9  # of the expected update, relative to its largest length


def expected_update(
    law: Mixture, a: Array, rule: str, m: float, threshold: float | None, rough: bool = False
) -> Array:
    """E[direction of the update] [axes] at a = ∇f [axes], for m micro-batches; -E of the step.

    The relative error is about 1e-9, with `rough` 1e-6.
    """
    if rule == "normalized":
        noisy, still = cloud(law, a), bare(law, a)
        cosine = mean_cosine(law.dimension, noisy.kappa)
        update = cosine / np.where(noisy.kappa > 0, noisy.kappa, 1.0) @ noisy.vector
        update += still.weight @ still.unit
        update[0] += still.mean_sign()
        return update
    t = tails(law, a, np.inf if threshold is None else threshold, rough)
    slope = t.survival ** (m - 1) if rule == "adaptive" else np.ones_like(t.survival)
    return np.einsum("pn,pn,pna->a", t.measure, slope, t.direction)


def clipping_norm(law: Mixture, a: Array, m: float) -> float:
    """E ρ = ∫_0^∞ S(t)^m dt: the mean of the smallest of m micro-batch norms at a = ∇f [axes]."""
    t = tails(law, a)
    return float(np.einsum("pn,pn->", t.measure, t.survival**m))


def stable_roots(
    model: GradientModel,
    b: int,
    rule: str,
    m: float,
    threshold: float | None = None,
    group: int = 1,
) -> list[Array]:
    """All stable roots a = ∇f [axes] that the search finds, the nearest to 0 first; [] if none.

    `group` samples at a time share a domain, see `mixture`. In the coordinates of `span`; opposing
    draggers leave a sphere, or a ring around the span, of which one point is given.

    The mean (sgd, or adaptive with one micro-batch) has its root in closed form. Where one axis is
    to be searched the drift is scanned outwards until it points back, and every sign change from -
    to + is refined; with more axes Newton's method, see analysis/roots.py. Raises
    SpecificationError with more axes when there is no Gaussian noise, and when the search finds
    nothing and does not run away, and for a model that is only simulated.
    """
    model.require_exact()
    place = span(model)
    if rule == "sgd" or (rule == "adaptive" and m == 1):
        return [_mean_root(model, place)]
    q = place.free.shape[1]
    if q == 0:
        return [np.zeros(place.axes)]
    law = mixture(model, b, group)
    _require_gaussian(model, law, q)
    scale = model.noise_scale(group) / np.sqrt(b) or model.dragger.norm / b
    if scale == 0:
        return [np.zeros(place.axes)]
    reach = 2 * law.reach + scale
    thin = law.thinned(5e-3)
    if q > 1:  # many evaluations of the rough drift, few of the exact one
        law, thin = law.thinned(1e-10), thin.lumped()

    def searched(y: Array, rough: bool) -> Array:
        a = place.free @ y
        return place.free.T @ expected_update(thin if rough else law, a, rule, m, threshold, rough)

    if q > 1:
        mean = place.free.T @ _mean_root(model, place)
        found = with_axes(
            lambda y: searched(y, rough=False),
            lambda y: searched(y, rough=True),
            q,
            scale,
            reach,
            [np.zeros(q), *(f * mean for f in (0.1, 0.3, 1.0))],
            place.ray,
        )
        return [place.free @ y for y in found]

    exact = cache(lambda x: float(searched(np.array([x]), rough=False)[0]))
    guess = cache(lambda x: float(searched(np.array([x]), rough=True)[0]))
    size = {"normalized": 1.0, "adaptive": 0.0}.get(rule, threshold or 0.0)  # of the largest update
    error = ERROR * size
    guesses = on_line(guess, scale, 2 * thin.reach + scale, 1e-4, place.ray, 1e3 * error)
    points = [refined(exact, x, scale, error) for x in guesses]
    if not points or None in points:
        points = list(on_line(exact, scale, reach, 1e-13, place.ray, error))
    return [place.free[:, 0] * x for x in sorted((x for x in points if x is not None), key=abs)]


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
    """

    micro_batch_size: int
    bias: float | None
    roots: tuple[float, ...]
    clipping_norm: float | None = None


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
    and `global` on the batch size only, unless domains are `pure`: one for each micro-batch.
    Second routes: tests/analysis/test_exact.py and test_laws_*.py.
    """
    group = micro_batch_size if pure else 1
    sizes = clipped_sizes(rule, batch_size, micro_batch_size)
    found = stable_roots(model, sizes[0], rule, sizes[1], threshold, group)
    norms = tuple(float(np.linalg.norm(a)) for a in found)
    rho = None
    if rule == "adaptive" and found and not _ambiguous(model, sizes[1]):
        rho = clipping_norm(mixture(model, sizes[0], group), found[0], sizes[1])
    return ExactBias(micro_batch_size, norms[0] if norms else None, norms, rho)


def clipped_sizes(rule: str, batch_size: int, micro_batch_size: int) -> tuple[int, int]:
    """Samples in what is clipped as one, and how many such units a step has."""
    if rule == "global":  # per-micro-batch clipping with a single micro-batch
        return batch_size, 1
    return micro_batch_size, batch_size // micro_batch_size


def _ambiguous(model: GradientModel, m: int) -> bool:
    """A single micro-batch and opposing draggers: every point of a sphere is one of rest."""
    return m == 1 and model.dragger.law == "opposing" and span(model).axes > 1
