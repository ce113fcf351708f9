"""Micro-batch sizes: guarantees for the worst case, exact bias of an experiment.

The guarantee of the rule `normalized` does not depend on the number of micro-batches.
That of `adaptive` (Algorithm 1) does: with few of them all may hold a dragger at once,
and with a single one it is plain SGD.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from analysis.advice.law_free import adaptive_radius, largest_norm
from analysis.advice.worst_case import (
    Array,
    Sizes,
    WorstCase,
    cheapest,
    count,
    cut_drift,
    cut_radius,
    even_sizes,
    last,
)
from analysis.spec.checking import choice, refuse
from analysis.spec.rule import Rule, micro_batches

ADVISED = (Rule.ADAPTIVE, Rule.NORMALIZED)
# micro-batches that Algorithm 1 is given at least where the draggers' norm is unknown
FEW = 8
# how much a finite number of micro-batches may add to the normalized rule's radius
PRICE = 1.1


def advised_rule(name: str) -> Rule:
    """The rule of that name. Raises SpecificationError for one that is not advised."""
    return Rule(choice(*ADVISED)("rule", name))


def bias_radius(
    sizes: np.ndarray,
    dragger_fraction: float,
    noise_scale: float,
    alignment: float = 1.0,
) -> np.ndarray:
    """Bias(b) for the sizes [n], NaN beyond breakdown; the noise scale may be 0."""
    from analysis.claims.bias_radius import claim

    values = claim.evaluate(
        micro_batch_size=sizes,
        dragger_fraction=dragger_fraction,
        noise_scale=1.0,
        alignment=alignment,
    )
    return np.asarray(noise_scale * values["bias_radius"])


def best_sizes(
    dragger_fraction: float, noise_scale: float, alignment: float
) -> dict[str, Any]:
    """Real-valued size of smallest bias radius of `normalized`: claim sweet_spot.

    `micro_batch_size`, `bias_radius` there and `breakdown`, from which size on there is
    no radius. The size may be below one sample; the radius is that at one sample then.
    None: there is no breakdown, or one sample is beyond it already. Raises
    SpecificationError for a value outside its domain.

    >>> best = best_sizes(dragger_fraction=0.01, noise_scale=1.0, alignment=1.0)
    >>> {name: round(float(value), 3) for name, value in best.items()}
    {'micro_batch_size': 31.335, 'bias_radius': 0.263, 'breakdown': 68.968}
    """
    from analysis.claims.sweet_spot import claim

    values = claim.evaluate(
        dragger_fraction=dragger_fraction, noise_scale=noise_scale, alignment=alignment
    )
    interior = dragger_fraction > 0 and alignment > 0
    protected = interior and not np.isnan(values["bias_radius"])
    return {
        "micro_batch_size": values["micro_batch_size"] if interior else None,
        "bias_radius": values["bias_radius"] if protected else None,
        "breakdown": values["breakdown"] if interior else None,
    }


def enough_micro_batches(case: WorstCase, batch_size: int, b: int, rule: str) -> bool:
    """Whether size b leaves enough micro-batches for the normalized rule's guarantees.

    `normalized` always has, and without draggers nothing is needed. Algorithm 1 has
    where D is known and its own guaranteed radius (analysis.advice.law_free) is at most
    10 % larger than that of the normalized rule; where D is not known, eight are asked
    for, or single samples where B < 8.
    """
    m = -(-batch_size // b)
    if rule == Rule.NORMALIZED or case.dragger_fraction == 0:
        return True
    if case.dragger_norm is None or m == 1:
        return m >= min(FEW, max(batch_size, 2))
    limit = PRICE * float(cut_radius(case, batch_size, np.array([b]))[0])
    return limit < np.inf and adaptive_radius(case, batch_size, b) <= limit


def advised_size(case: WorstCase, batch_size: int, rule: str) -> dict[str, Any]:
    """The size whose guaranteed bias is the smallest for this mini-batch and rule.

    Looked at are the sizes of `even_sizes`, and `cheapest` says what is preferred. For
    `adaptive` the guarantee is that of Algorithm 1 where D is known; where it is not,
    that of the normalized rule with at least eight micro-batches. Without draggers it
    is plain SGD, which has no bias.

    Keys: `micro_batch_size`, `micro_batches` (m), `last` (samples in the last one),
    `bias_radius` (of the normalized rule), `guarantee` (radius of the rule itself; None
    where it is not known), `dragger_norm_limit` (where D is unknown: up to which D
    Algorithm 1's guarantee is at most 10 % larger than the normalized rule's, 10¹² σ
    standing for that or more), `plain_sgd` (a single micro-batch under Algorithm 1:
    nothing is clipped), `radius_without_last` (bias_radius when a smaller last
    micro-batch is left out), `fixed` (threshold and bias_radius of the rule `fixed` at
    this size). None where there is nothing to give. Raises SpecificationError for a
    value outside its domain.
    """
    chosen = advised_rule(rule)
    sizes = even_sizes(batch_size)
    if chosen is Rule.ADAPTIVE and case.dragger_fraction == 0:
        best: int | None = batch_size
    elif chosen is Rule.ADAPTIVE and case.dragger_norm is not None:
        given = (case.dragger_fraction, case.noise_scale, case.alignment)
        radii = np.array(
            [bias_radius(b, *given) for b in (sizes, last(batch_size, sizes))]
        )
        # no guarantee is below this
        least = np.where(np.isnan(radii), np.inf, radii).max(0)
        least[sizes == batch_size] = case.sgd_radius
        best = cheapest(
            batch_size, sizes, least, lambda b: adaptive_radius(case, batch_size, b)
        )
    else:
        best = size_with_enough(
            case, batch_size, sizes, cut_radius(case, batch_size, sizes), rule=chosen
        )
    return described_size(case, batch_size, best, rule)


def size_with_enough(
    case: WorstCase, batch_size: int, sizes: Sizes, costs: Array, *, rule: Rule
) -> int | None:
    """Size with the smallest cost [n] at which the rule has enough micro-batches."""
    cost = dict(zip(sizes.tolist(), costs.tolist(), strict=True))
    return cheapest(
        batch_size,
        sizes,
        costs,
        lambda b: (
            cost[b] if enough_micro_batches(case, batch_size, b, rule) else np.inf
        ),
    )


def described_size(
    case: WorstCase, batch_size: int, b: int | None, rule: str
) -> dict[str, Any]:
    """What `advised_size` says of one size, or of none."""
    if b is None:
        names = (
            "micro_batch_size",
            "micro_batches",
            "last",
            "bias_radius",
            "guarantee",
        )
        others = ("dragger_norm_limit", "plain_sgd", "radius_without_last", "fixed")
        return dict.fromkeys((*names, *others))
    size = np.array([b])
    rest = int(last(batch_size, size)[0])
    radius = float(cut_radius(case, batch_size, size)[0])
    guarantee = radius
    limit = None
    without = np.nan
    if rule == Rule.ADAPTIVE:
        known = case.dragger_norm is not None or case.dragger_fraction == 0
        with_norm = replace(case, dragger_norm=case.dragger_norm or 0.0)
        guarantee = adaptive_radius(with_norm, batch_size, b) if known else np.nan
        if not known and b < batch_size and np.isfinite(radius):
            limit = largest_norm(case, batch_size, b, PRICE * radius)
    if rest < b:
        without = float(cut_radius(case, batch_size - rest, size)[0])
    c = best_threshold(b, case.dragger_fraction, case.noise_scale, case.alignment)[
        "threshold"
    ]
    return {
        "micro_batch_size": b,
        "micro_batches": int(count(batch_size, size)[0]),
        "last": rest,
        "bias_radius": finite_or_none(radius),
        "guarantee": finite_or_none(guarantee),
        "dragger_norm_limit": limit,
        "plain_sgd": rule == Rule.ADAPTIVE and b == batch_size,
        "radius_without_last": finite_or_none(without),
        "fixed": {
            "threshold": c,
            "bias_radius": None
            if c is None
            else finite_or_none(fixed_radius(case, batch_size, b, c)),
        },
    }


def finite_or_none(value: float) -> float | None:
    """The number, None where it is infinite or not a number."""
    return float(value) if np.isfinite(value) else None


def at_gradient_norm(
    gradient_norm: float,
    dragger_fraction: float,
    noise_scale: float,
    batch_size: int | None = None,
    *,
    rule: str = "normalized",
    dragger_norm: float | None = None,
) -> dict[str, Any]:
    """The document of `analysis schedule`, from claims/phase_schedule.py.

    Raises SpecificationError for a value outside its domain.
    """
    from analysis.claims import CLAIMS

    case = WorstCase(dragger_fraction, noise_scale, dragger_norm=dragger_norm)
    given = {
        "gradient_norm": gradient_norm,
        "dragger_fraction": dragger_fraction,
        "noise_scale": noise_scale,
    }
    if dragger_fraction == 0:
        refuse(
            "dragger_fraction",
            dragger_fraction,
            "> 0: without draggers no size is too large",
        )
    best = best_sizes(dragger_fraction, noise_scale, 1.0)["micro_batch_size"]
    assert best is not None
    size = float(CLAIMS["phase_schedule"].evaluate(**given)["micro_batch_size"])
    size = float(max(1.0, min(size, best)))
    drift = CLAIMS["drift"].evaluate(micro_batch_size=size, alignment=1.0, **given)[
        "drift_bound"
    ]
    result: dict[str, Any] = {"micro_batch_size": size, "drift": drift}
    if batch_size is None:
        return result
    sizes = even_sizes(batch_size)
    chosen = advised_rule(rule)
    # inside the radius: the schedule has arrived
    cost = cut_radius(case, batch_size, sizes)
    if drift > 0:
        cost = -cut_drift(case, batch_size, sizes, gradient_norm)
    whole = size_with_enough(case, batch_size, sizes, cost, rule=chosen)
    result["admissible"] = described_size(case, batch_size, whole, rule)
    return result


def best_threshold(
    micro_batch_size: float,
    dragger_fraction: float,
    noise_scale: float,
    alignment: float = 1.0,
) -> dict[str, Any]:
    """The document of `analysis threshold`, from claims/optimal_threshold.py.

    Raises SpecificationError for a value outside its domain.
    """
    from analysis.claims.optimal_threshold import claim

    values = claim.evaluate(
        micro_batch_size=micro_batch_size,
        dragger_fraction=dragger_fraction,
        noise_scale=noise_scale,
        alignment=alignment,
    )
    known = np.isfinite(values["threshold"]) and dragger_fraction > 0 and alignment > 0
    names = ("threshold", "bias_radius", "gain")
    return {name: values[name] if known else None for name in names}


def fixed_radius(
    case: WorstCase, batch_size: int, micro_batch_size: int, threshold: float
) -> float:
    """Bias_c(b): largest gradient norm at which rule `fixed` can rest, threshold c > 0.

    In the unit of σ and c; infinite from the breakdown on. It is the root in G of the
    certain pull, Σ_j [p_j h_c(G, s_j) - α(1-p_j)c] = 0 over the micro-batches, h_c the
    bound of huber_lemma. For equal sizes it has the closed form s²/(4c(1-θ)) + θc where
    that is at most c(1+2θ), else Bias(b) - c (claim optimal_threshold, 'any threshold'
    and 'small thresholds').
    """
    from scipy import optimize

    from analysis.claims.huber_lemma import mean_pull_bound

    cut = micro_batches(batch_size, micro_batch_size)
    clean = [(number, float(np.exp(-case.rate * b)), b) for b, number in cut]
    push = sum(-number * case.alignment * np.expm1(-case.rate * b) for b, number in cut)
    unit = threshold / case.noise_scale

    def pull(G: float) -> float:
        held = sum(
            number * p * mean_pull_bound(G, unit, 1 / np.sqrt(b))
            for number, p, b in clean
        )
        return float(held / unit - push)

    if sum(number * p for number, p, _ in clean) <= push:
        return np.inf
    high = 1.0
    while pull(high) <= 0:
        high *= 2
    return float(
        case.noise_scale * optimize.brentq(pull, 0.0, high, xtol=1e-200, rtol=1e-13)
    )


def fixed_radii(case: WorstCase, micro_batch_size: int, thresholds: Array) -> Array:
    """`fixed_radius` for thresholds c [n] and equal micro-batches, by bisection.

    In the unit of σ and c; at most 1000 σ, which also stands for an infinite radius. α
    = 1.
    """
    from analysis.claims.huber_lemma import claim

    c = np.asarray(thresholds, np.float64)
    clean = (1 - case.dragger_fraction) ** micro_batch_size
    s = case.noise_scale / micro_batch_size**0.5
    low, high = np.zeros_like(c), np.full_like(c, 1e3 * case.noise_scale)
    for _ in range(60):
        middle = (low + high) / 2
        pull = claim.evaluate(G=middle, s=s, c=c)["mean_pull_bound"]
        inside = clean * pull < (1 - clean) * c
        low = np.where(inside, middle, low)
        high = np.where(inside, high, middle)
    return np.asarray((low + high) / 2)
