"""Micro-batch sizes: guarantees for the worst case, exact bias of an experiment.

The guarantees of the rules `normalized` and `fixed` do not depend on the number of
micro-batches. That of `adaptive` (Algorithm 1) does: with few of them all may hold a
dragger at once, and with a single one it is plain SGD.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from analysis.advice import closed_forms
from analysis.advice.law_free import adaptive_radius, largest_norm
from analysis.advice.worst_case import (
    Array,
    Sizes,
    WorstCase,
    cheapest,
    count,
    cut_average,
    cut_drift,
    cut_radius,
    even_sizes,
    last,
)
from analysis.spec.checking import choice, real, refuse
from analysis.spec.rule import Rule, micro_batches

ADVISED = (Rule.ADAPTIVE, Rule.NORMALIZED, Rule.FIXED)
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
    case = WorstCase(dragger_fraction, 1.0, alignment)
    b = np.asarray(sizes, np.float64)
    return np.asarray(noise_scale * closed_forms.bias_radius(case.micro(b)))


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
    case = WorstCase(dragger_fraction, noise_scale, alignment)
    if dragger_fraction == 0 or alignment == 0:
        return dict.fromkeys(("micro_batch_size", "bias_radius", "breakdown"))
    size = closed_forms.best_scaled_size(alignment) / case.rate
    radius = float(closed_forms.bias_radius(case.micro(max(1.0, size))))
    return {
        "micro_batch_size": size,
        "bias_radius": finite_or_none(radius),
        "breakdown": closed_forms.breakdown(case.rate, alignment),
    }


def heavy_sizes(
    case: WorstCase, order: float, batch_size: int | None = None, b: int | None = None
) -> dict[str, Any]:
    """The size with the smallest bias radius of `normalized` without a variance.

    Of the noise E‖ξ‖^ν <= σ^ν is known, ν = `order` in (1, 2] and σ = case.noise_scale:
    claim heavy_tails. `micro_batch_size`, `bias_radius` there (at one sample where the
    size is below one), `breakdown`, and `minimax_bias`, which no rule goes below; None
    as in `best_sizes`. For a batch also `admissible` with micro_batch_size (the given
    b, else the best of `even_sizes`), micro_batches, last and bias_radius. Raises
    SpecificationError for a value outside its domain.
    """
    real(1, 2, open_low=True)("tail_exponent", order)
    found = closed_forms.heavy_tails(case.micro(1.0), order)
    size = found.scaled_size / case.rate if case.rate > 0 else np.inf
    at_best = closed_forms.heavy_tails(case.micro(max(1.0, size)), order)
    known = np.isfinite(size)
    result: dict[str, Any] = {
        "micro_batch_size": size if known else None,
        "bias_radius": finite_or_none(at_best.bias_radius) if known else None,
        "breakdown": finite_or_none(closed_forms.breakdown(case.rate, case.alignment)),
        "minimax_bias": finite_or_none(found.minimax_bias),
    }
    if batch_size is None:
        return result
    sizes = even_sizes(batch_size) if b is None else np.array([b])
    radii = cut_average(case, batch_size, sizes, 0.0, order=order)
    best = b if b is not None else cheapest(batch_size, sizes, radii)
    admissible: dict[str, Any] = {"micro_batch_size": best}
    chosen = np.array([best if best is not None else 1])
    values: dict[str, Any] = {
        "micro_batches": int(count(batch_size, chosen)[0]),
        "last": int(last(batch_size, chosen)[0]),
        "bias_radius": finite_or_none(
            float(cut_average(case, batch_size, chosen, 0.0, order=order)[0])
        ),
    }
    if best is None:
        values = dict.fromkeys(values)
    return result | {"admissible": admissible | values}


def enough_micro_batches(case: WorstCase, batch_size: int, b: int, rule: str) -> bool:
    """Whether size b leaves enough micro-batches for the normalized rule's guarantees.

    `normalized` and `fixed` always have, and without draggers nothing is needed.
    Algorithm 1 has where D is known and its own guaranteed radius
    (analysis.advice.law_free) is at most 10 % larger than that of the normalized rule;
    where D is not known, eight are asked for, or single samples where B < 8.
    """
    m = -(-batch_size // b)
    if rule != Rule.ADAPTIVE or case.dragger_fraction == 0:
        return True
    if case.dragger_norm is None or m == 1:
        return m >= min(FEW, max(batch_size, 2))
    limit = PRICE * float(cut_radius(case, batch_size, np.array([b]))[0])
    return limit < np.inf and adaptive_radius(case, batch_size, b) <= limit


def advised_size(
    case: WorstCase, batch_size: int, rule: str, threshold: float | None = None
) -> dict[str, Any]:
    """The size whose guaranteed bias is the smallest for this mini-batch and rule.

    Looked at are the sizes of `even_sizes`, and `cheapest` says what is preferred. For
    `adaptive` the guarantee is that of Algorithm 1 where D is known; where it is not,
    that of the normalized rule with at least eight micro-batches. Without draggers it
    is plain SGD, which has no bias. For `fixed` it is that of the `threshold`, by
    default of the best one for each size.

    Keys: `micro_batch_size`, `micro_batches` (m), `last` (samples in the last one),
    `bias_radius` (of the normalized rule), `guarantee` (radius of the rule itself; None
    where it is not known), `dragger_norm_limit` (where D is unknown: up to which D
    Algorithm 1's guarantee is at most 10 % larger than the normalized rule's, 10¹² σ
    standing for that or more), `plain_sgd` (a single micro-batch under Algorithm 1:
    nothing is clipped), `radius_without_last` (bias_radius when a smaller last
    micro-batch is left out), `fixed` (threshold and bias_radius of the rule `fixed` at
    this size; the given threshold, or the best one). None where there is nothing to
    give. Raises SpecificationError for a value outside its domain.
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
    elif chosen is Rule.FIXED:
        found = [
            _of_fixed(case, batch_size, b, threshold)["bias_radius"]
            for b in sizes.tolist()
        ]
        costs = np.array([np.inf if x is None else x for x in found])
        best = cheapest(batch_size, sizes, costs)
    else:
        best = size_with_enough(
            case, batch_size, sizes, cut_radius(case, batch_size, sizes), rule=chosen
        )
    return described_size(case, batch_size, best, rule, threshold=threshold)


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
    case: WorstCase,
    batch_size: int,
    b: int | None,
    rule: str,
    *,
    threshold: float | None = None,
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
    fixed = _of_fixed(case, batch_size, b, threshold)
    if rule == Rule.FIXED:
        guarantee = np.nan if fixed["bias_radius"] is None else fixed["bias_radius"]
    return {
        "micro_batch_size": b,
        "micro_batches": int(count(batch_size, size)[0]),
        "last": rest,
        "bias_radius": finite_or_none(radius),
        "guarantee": finite_or_none(guarantee),
        "dragger_norm_limit": limit,
        "plain_sgd": rule == Rule.ADAPTIVE and b == batch_size,
        "radius_without_last": finite_or_none(without),
        "fixed": fixed,
    }


def _of_fixed(
    case: WorstCase, batch_size: int, b: int, threshold: float | None
) -> dict[str, float | None]:
    """Threshold and bias_radius of the rule `fixed`: the given one, or the best."""
    c = threshold
    if c is None:
        given = (case.dragger_fraction, case.noise_scale, case.alignment)
        c = best_threshold(b, *given)["threshold"]
    if c is None:
        return {"threshold": None, "bias_radius": None}
    radius = finite_or_none(fixed_radius(case, batch_size, b, c))
    return {"threshold": c, "bias_radius": radius}


def finite_or_none(value: float) -> float | None:
    """The number, None where it is infinite or not a number."""
    return float(value) if np.isfinite(value) else None


def at_gradient_norm(
    case: WorstCase,
    gradient_norm: float,
    batch_size: int | None = None,
    *,
    rule: str = "normalized",
    threshold: float | None = None,
) -> dict[str, Any]:
    """The document of `analysis schedule`, from claims/phase_schedule.py: α = 1.

    Raises SpecificationError for a value outside its domain.
    """
    case = replace(case, alignment=1.0)
    real(0, open_low=True)("gradient_norm", gradient_norm)
    if case.dragger_fraction == 0:
        refuse(
            "dragger_fraction",
            case.dragger_fraction,
            "> 0: without draggers no size is too large",
        )
    best = closed_forms.best_scaled_size(1.0) / case.rate
    size = closed_forms.best_size_at_norm(case.rate, case.noise_scale, gradient_norm)
    size = max(1.0, min(size, best))
    drift = closed_forms.drift_bound(case.micro(size), gradient_norm)
    result: dict[str, Any] = {"micro_batch_size": size, "drift": drift}
    if batch_size is None:
        return result
    sizes = even_sizes(batch_size)
    chosen = advised_rule(rule)
    if chosen is Rule.FIXED:
        pulls = np.array(
            [
                fixed_pull(case, batch_size, b, gradient_norm, threshold=threshold)
                for b in sizes.tolist()
            ]
        )
        if pulls.max() <= 0:
            result["admissible"] = advised_size(case, batch_size, rule, threshold)
            return result
        cost = -pulls
    elif drift > 0:
        cost = -cut_drift(case, batch_size, sizes, gradient_norm)
    else:  # inside the radius: the schedule has arrived
        cost = cut_radius(case, batch_size, sizes)
    whole = size_with_enough(case, batch_size, sizes, cost, rule=chosen)
    result["admissible"] = described_size(
        case, batch_size, whole, rule, threshold=threshold
    )
    return result


def fixed_pull(
    case: WorstCase,
    batch_size: int,
    micro_batch_size: int,
    gradient_norm: float,
    *,
    threshold: float | None = None,
) -> float:
    """What the rule `fixed` is pulled back with at least, in units of its threshold c.

    (1/m) Σ_j [p_j h_c(G, s_j)/c - α(1-p_j)], h_c the bound of huber_lemma; c is by
    default the best one for the size. -∞ where no threshold is best.
    """
    c = _of_fixed(case, batch_size, micro_batch_size, threshold)["threshold"]
    if c is None:
        return -np.inf
    parts = micro_batches(batch_size, micro_batch_size)
    pulls = []
    for size, number in parts:
        part = case.micro(size)
        held = part.clean * closed_forms.mean_pull(gradient_norm, c, part.noise) / c
        pulls.append(number * (held - part.push))
    return float(sum(pulls) / sum(number for _, number in parts))


def best_threshold(
    micro_batch_size: float,
    dragger_fraction: float,
    noise_scale: float,
    alignment: float = 1.0,
) -> dict[str, Any]:
    """The document of `analysis threshold`, from claims/optimal_threshold.py.

    Raises SpecificationError for a value outside its domain.
    """
    case = WorstCase(dragger_fraction, noise_scale, alignment)
    real(1)("micro_batch_size", micro_batch_size)
    values = closed_forms.best_threshold(case.micro(micro_batch_size))
    known = dragger_fraction > 0 and alignment > 0
    return {name: finite_or_none(x) if known else None for name, x in values.items()}


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
    cut = micro_batches(batch_size, micro_batch_size)
    clean = [(number, float(np.exp(-case.rate * b)), b) for b, number in cut]
    push = sum(-number * case.alignment * np.expm1(-case.rate * b) for b, number in cut)
    unit = threshold / case.noise_scale

    def deficit(G: float) -> float:
        held = sum(
            number * p * closed_forms.mean_pull(G, unit, b**-0.5)
            for number, p, b in clean
        )
        return push - held / unit

    if sum(number * p for number, p, _ in clean) <= push:
        return np.inf
    high = 1.0
    while deficit(high) >= 0:
        high *= 2
    return case.noise_scale * closed_forms.zero_between(deficit, 0.0, high)


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
