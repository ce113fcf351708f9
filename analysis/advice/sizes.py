"""Which micro-batch size: guarantees for the worst case, and the exact bias of an experiment.

The guarantee of the rule `normalized` does not depend on the number of micro-batches. That of
`adaptive` (Algorithm 1) does: with few of them all may hold a dragger at once, and with a single
one it is plain SGD.
"""

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np

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
from analysis.rest.discrete import bare
from analysis.rest.stable import ExactBias, clipped_units, exact_bias, points_of_rest
from analysis.spec.algorithm import Algorithm, micro_batches
from analysis.spec.checking import SpecificationError, choice, integer, refuse
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel

RULES = ("adaptive", "normalized")
FEW = 8  # micro-batches that Algorithm 1 is given at least where the draggers' norm is unknown
PRICE = 1.1  # how much a finite number of micro-batches may add to the normalized rule's radius
MOVING = 0.5  # share of steps that are not zero, from which on a rule is said to move
ZERO = 1e-9  # a norm that counts as zero, in units of the noise


def bias_radius(
    sizes: np.ndarray, dragger_fraction: float, noise_scale: float, alignment: float = 1.0
) -> np.ndarray:
    """Bias(b) for the sizes [n], NaN from the breakdown on; the noise scale may be 0."""
    from analysis.claims.bias_radius import claim

    values = claim.evaluate(
        micro_batch_size=sizes,
        dragger_fraction=dragger_fraction,
        noise_scale=1.0,
        alignment=alignment,
    )
    return np.asarray(noise_scale * values["bias_radius"])


def best_sizes(dragger_fraction: float, noise_scale: float, alignment: float) -> dict[str, Any]:
    """The real-valued size with the smallest bias radius of the normalized rule: claim sweet_spot.

    `micro_batch_size`, `bias_radius` there and `breakdown`, from which size on there is no radius.
    The size may be below one sample; the radius is that at one sample then. None: there is no
    breakdown, or one sample is beyond it already. Raises SpecificationError for a value outside its
    domain.
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
    """Whether at size b the rule has enough micro-batches for the normalized rule's guarantees.

    `normalized` always has, and without draggers nothing is needed. Algorithm 1 has where D is
    known and its own guaranteed radius (analysis.advice.law_free) is at most 10 % larger than that
    of the normalized rule; where D is not known, eight are asked for, or single samples where B <
    8.
    """
    m = -(-batch_size // b)
    if rule == "normalized" or case.dragger_fraction == 0:
        return True
    if case.dragger_norm is None or m == 1:
        return m >= min(FEW, max(batch_size, 2))
    limit = PRICE * float(cut_radius(case, batch_size, np.array([b]))[0])
    return limit < np.inf and adaptive_radius(case, batch_size, b) <= limit


def advised_size(case: WorstCase, batch_size: int, rule: str) -> dict[str, Any]:
    """The size whose guaranteed bias is the smallest for this mini-batch and rule.

    Looked at are the sizes of `even_sizes`, and `cheapest` says what is preferred. For `adaptive`
    the guarantee is that of Algorithm 1 where D is known; where it is not, that of the normalized
    rule with at least eight micro-batches. Without draggers it is plain SGD, which has no bias.

    Keys: `micro_batch_size`, `micro_batches` (m), `last` (samples in the last one), `bias_radius`
    (of the normalized rule), `guarantee` (radius of the rule itself; None where it is not known),
    `dragger_norm_limit` (where D is unknown: up to which D Algorithm 1's guarantee is at most 10 %
    larger than the normalized rule's, 10¹² σ standing for that or more), `plain_sgd` (a single
    micro-batch under Algorithm 1: nothing is clipped), `radius_without_last` (bias_radius when a
    smaller last micro-batch is left out), `fixed` (threshold and bias_radius of the rule `fixed` at
    this size). None where there is nothing to give. Raises SpecificationError for a value outside
    its domain.
    """
    choice(*RULES)("rule", rule)
    sizes = even_sizes(batch_size)
    if rule == "adaptive" and case.dragger_fraction == 0:
        best: int | None = batch_size
    elif rule == "adaptive" and case.dragger_norm is not None:
        given = (case.dragger_fraction, case.noise_scale, case.alignment)
        radii = np.array([bias_radius(b, *given) for b in (sizes, last(batch_size, sizes))])
        least = np.where(np.isnan(radii), np.inf, radii).max(0)  # no guarantee is below this
        least[sizes == batch_size] = case.sgd_radius
        best = cheapest(batch_size, sizes, least, lambda b: adaptive_radius(case, batch_size, b))
    else:
        best = _with_enough(case, batch_size, sizes, cut_radius(case, batch_size, sizes), rule)
    return described_size(case, batch_size, best, rule)


def _with_enough(
    case: WorstCase, batch_size: int, sizes: Sizes, costs: Array, rule: str
) -> int | None:
    """The size with the smallest cost [n] at which the rule has enough micro-batches."""
    cost = dict(zip(sizes.tolist(), costs.tolist(), strict=True))
    return cheapest(
        batch_size,
        sizes,
        costs,
        lambda b: cost[b] if enough_micro_batches(case, batch_size, b, rule) else np.inf,
    )


def described_size(case: WorstCase, batch_size: int, b: int | None, rule: str) -> dict[str, Any]:
    """What `advised_size` says of one size, or of none."""
    if b is None:
        names = ("micro_batch_size", "micro_batches", "last", "bias_radius", "guarantee")
        others = ("dragger_norm_limit", "plain_sgd", "radius_without_last", "fixed")
        return dict.fromkeys((*names, *others))
    size = np.array([b])
    rest = int(last(batch_size, size)[0])
    radius = float(cut_radius(case, batch_size, size)[0])
    guarantee, limit, without = radius, None, np.nan
    if rule == "adaptive":
        known = case.dragger_norm is not None or case.dragger_fraction == 0
        with_norm = replace(case, dragger_norm=case.dragger_norm or 0.0)
        guarantee = adaptive_radius(with_norm, batch_size, b) if known else np.nan
        if not known and b < batch_size and np.isfinite(radius):
            limit = largest_norm(case, batch_size, b, PRICE * radius)
    if rest < b:
        without = float(cut_radius(case, batch_size - rest, size)[0])
    c = best_threshold(b, case.dragger_fraction, case.noise_scale, case.alignment)["threshold"]
    return {
        "micro_batch_size": b,
        "micro_batches": int(count(batch_size, size)[0]),
        "last": rest,
        "bias_radius": _finite(radius),
        "guarantee": _finite(guarantee),
        "dragger_norm_limit": limit,
        "plain_sgd": rule == "adaptive" and b == batch_size,
        "radius_without_last": _finite(without),
        "fixed": {
            "threshold": c,
            "bias_radius": None if c is None else _finite(fixed_radius(case, batch_size, b, c)),
        },
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def at_horizon(
    horizon: float,
    dragger_fraction: float,
    noise_scale: float,
    alignment: float,
    batch_size: int,
    dragger_norm: float,
    smoothness: float,
    initial_gap: float,
    micro_batch_size: float | None = None,
    *,
    rule: str = "normalized",
) -> dict[str, Any]:
    """The document of `analysis horizon`, from the claims sgd_rate to finite_horizon.

    clipping_bound is the normalized rule's, at the given size, else at the one where it is
    smallest: among all real numbers from 1 to B for `normalized`, for `adaptive` among the whole
    sizes with enough micro-batches. Raises SpecificationError for a value outside its domain.
    """
    from analysis.claims import CLAIMS

    case = WorstCase(dragger_fraction, noise_scale, alignment, dragger_norm)
    run = {"horizon": horizon, "smoothness": smoothness, "initial_gap": initial_gap}
    noise = {"dragger_fraction": dragger_fraction, "noise_scale": noise_scale}
    sizes = even_sizes(batch_size)
    sgd = {"batch_size": float(batch_size), "dragger_norm": dragger_norm}
    sgd_bound = CLAIMS["sgd_rate"].evaluate(**run, **noise, **sgd)["gradient_bound"]
    choice(*RULES)("rule", rule)
    pace = float(np.sqrt(2 * smoothness * initial_gap / horizon))
    bounds = cut_average(case, batch_size, sizes, pace)
    whole = _with_enough(case, batch_size, sizes, bounds, rule)
    bound = None if whole is None else float(bounds[sizes == whole][0])
    b, asked = micro_batch_size, None
    if b is not None:
        if not 1 <= b <= batch_size:
            refuse("micro_batch_size", b, f"a number from 1 to the batch size {batch_size}")
        asked = enough_micro_batches(case, batch_size, math.ceil(b), rule)
    elif rule == "normalized":
        best = CLAIMS["finite_horizon"].evaluate(alignment=alignment, **run, **noise)
        b = float(best["micro_batch_size"])
        b = float(np.clip(b, 1, batch_size)) if np.isfinite(b) else float(batch_size)
    elif whole is not None:
        b = float(whole)
    agreeing = CLAIMS["sgd_persistent_bias"].evaluate(
        learning_rate=1 / smoothness,
        dragger_mean=dragger_norm,
        alignment=alignment,
        **run,
        **noise,
        **sgd,
    )
    result: dict[str, Any] = {
        "sgd_bound": sgd_bound,
        "clipping_bound": None,
        "crossover": None,
        "micro_batch_size": b,
        "enough_micro_batches": asked,
        "admissible": described_size(case, batch_size, whole, rule) | {"clipping_bound": bound},
        "sgd_persistent_bias": agreeing["small_step_bias"],
    }
    if b is None:
        return result
    clipping = {"micro_batch_size": b, "alignment": alignment}
    result["clipping_bound"] = CLAIMS["averaged_guarantee"].evaluate(**run, **noise, **clipping)[
        "averaged_bound"
    ]
    ends = CLAIMS["crossover"].evaluate(
        smoothness=smoothness, initial_gap=initial_gap, **noise, **sgd, **clipping
    )
    low, high = float(ends["crossover_low"]), float(ends["crossover_high"])
    result["crossover"] = [max(low, 1.0), high] if low < np.inf and high >= 1 else None
    return result


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
        refuse("dragger_fraction", dragger_fraction, "> 0: without draggers no size is too large")
    best = best_sizes(dragger_fraction, noise_scale, 1.0)["micro_batch_size"]
    assert best is not None
    size = float(CLAIMS["phase_schedule"].evaluate(**given)["micro_batch_size"])
    size = float(max(1.0, min(size, best)))
    drift = CLAIMS["drift"].evaluate(micro_batch_size=size, alignment=1.0, **given)["drift_bound"]
    result: dict[str, Any] = {"micro_batch_size": size, "drift": drift}
    if batch_size is None:
        return result
    sizes = even_sizes(batch_size)
    choice(*RULES)("rule", rule)
    cost = cut_radius(case, batch_size, sizes)  # inside the radius: the schedule has arrived
    if drift > 0:
        cost = -cut_drift(case, batch_size, sizes, gradient_norm)
    whole = _with_enough(case, batch_size, sizes, cost, rule)
    result["admissible"] = described_size(case, batch_size, whole, rule)
    return result


def best_threshold(
    micro_batch_size: float, dragger_fraction: float, noise_scale: float, alignment: float = 1.0
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
    """Bias_c(b): the largest gradient norm at which the rule `fixed` can rest, threshold c > 0.

    In the unit of σ and c; infinite from the breakdown on. It is the root in G of the certain pull,
    Σ_j [p_j h_c(G, s_j) - α(1-p_j)c] = 0 over the micro-batches, h_c the bound of huber_lemma. For
    equal sizes it has the closed form s²/(4c(1-θ)) + θc where that is at most c(1+2θ), else
    Bias(b) - c (claim optimal_threshold, 'any threshold' and 'small thresholds').
    """
    from scipy import optimize

    from analysis.claims.huber_lemma import mean_pull_bound

    cut = micro_batches(batch_size, micro_batch_size)
    clean = [(number, float(np.exp(-case.rate * b)), b) for b, number in cut]
    push = sum(-number * case.alignment * np.expm1(-case.rate * b) for b, number in cut)
    unit = threshold / case.noise_scale

    def pull(G: float) -> float:
        held = sum(number * p * mean_pull_bound(G, unit, 1 / np.sqrt(b)) for number, p, b in clean)
        return float(held / unit - push)

    if sum(number * p for number, p, _ in clean) <= push:
        return np.inf
    high = 1.0
    while pull(high) <= 0:
        high *= 2
    return float(case.noise_scale * optimize.brentq(pull, 0.0, high, xtol=1e-200, rtol=1e-13))


def fixed_radii(case: WorstCase, micro_batch_size: int, thresholds: Array) -> Array:
    """Bias_c(b) for thresholds c [n] and equal micro-batches, by bisection: see `fixed_radius`.

    In the unit of σ and c; at most 1000 σ, which also stands for an infinite radius. α = 1.
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


def divisors(batch_size: int) -> np.ndarray:
    """The micro-batch sizes [n] that a mini-batch of this size allows."""
    batch_size = integer(1, 2**26)("batch_size", batch_size)
    candidates = np.arange(1, batch_size + 1)
    return np.asarray(candidates[batch_size % candidates == 0])


def _at_finite_step(experiment: Experiment, b: int, bias: float | None) -> dict[str, float | None]:
    from analysis.rest.fluctuation import near_rest

    model, algorithm = experiment.gradient_model, experiment.algorithm
    found = None
    if bias is not None:
        rule, pure = algorithm.rule, algorithm.domains == "pure"
        units = clipped_units(rule, algorithm.batch_size, b, pure)
        root, _ = points_of_rest(model, rule, units, algorithm.threshold)[0]
        found = near_rest(model, root, rule, units, algorithm.threshold)
    total = -(-algorithm.batch_size // b) if algorithm.aggregate == "sum" else 1
    return {
        "contraction": None if found is None else total * found.contraction,
        "update_noise": None if found is None else total**2 * found.noise,
        "step_slope": None if found is None else total * found.slope,
    }


def _guarantee(model: GradientModel, algorithm: Algorithm, b: int) -> float | None:
    """The radius that is guaranteed for the file's own rule at size b; None without noise."""
    rule, B, c = algorithm.effective_rule, algorithm.batch_size, algorithm.threshold
    pure = algorithm.domains == "pure"
    scale = model.noise_scale(b if pure else 1)
    if rule == "global":  # one unit of B samples; their weights differ where b does not divide B
        scale = clipped_units(rule, B, b, pure)[0].noise_scale(model) * math.sqrt(B)
    if scale == 0:
        return None
    case = WorstCase(model.dragger_fraction, scale, dragger_norm=model.dragger.norm)
    additive = model.dragger.law == "additive"
    if rule == "sgd":
        return _finite(adaptive_radius(case, B, B, additive))
    if rule == "adaptive":
        return _finite(adaptive_radius(case, B, b, additive))
    if rule == "normalized":
        return _finite(cut_radius(case, B, np.array([b]))[0])
    assert c is not None
    return _finite(fixed_radius(case, B, B if rule == "global" else b, c))


def moving_share(model: GradientModel, algorithm: Algorithm, b: int) -> float | None:
    """The share of steps of Algorithm 1 that are not zero at the point of rest nearest to 0.

    A step is zero when one micro-batch gradient is: the share is Π_j P(‖g_j‖ > 0), S(0)^m where b
    divides B. 1 wherever every micro-batch has Gaussian or gamma noise; None where nothing comes to
    rest. A norm below 1e-9 of the noise scale counts as zero.
    """
    units = clipped_units("adaptive", algorithm.batch_size, b, algorithm.domains == "pure")
    laws = [unit.law(model) for unit in units]
    if not any(((law.scale == 0) & (law.weight > 0)).any() for law in laws):
        return 1.0
    found = points_of_rest(model, "adaptive", units)
    if not found:
        return None
    share = 1.0
    for law, unit in zip(laws, units, strict=True):
        still = bare(law, found[0][0])
        zero = still.length <= ZERO * unit.noise_scale(model)
        share *= float(1 - still.weight[zero].sum()) ** unit.count
    return share


def bias_table(experiment: Experiment, finite_step: bool = False) -> dict[str, Any]:
    """The document of `analysis bias`: exact bias, guarantee and SGD beside them, at each size.

    With `finite_step` also how the iterates behave at the point of rest nearest to 0. Raises
    SpecificationError for a model that is only simulated.
    """
    model, algorithm = experiment.gradient_model, experiment.algorithm
    if algorithm.schedule is not None:
        raise SpecificationError(
            "algorithm.schedule: must be absent for an exact bias, which belongs to one size"
        )
    sizes, pure = np.array(algorithm.micro_batch_sizes), algorithm.domains == "pure"
    scales = np.array([model.noise_scale(b if pure else 1) for b in algorithm.micro_batch_sizes])
    radius = bias_radius(sizes, model.dragger_fraction, 1.0) * scales
    # whether the micro-batch size has no effect
    equal = all(algorithm.batch_size % b == 0 for b in algorithm.micro_batch_sizes)
    one_for_all = algorithm.rule == "sgd" or (algorithm.rule == "global" and equal and not pure)
    B = algorithm.batch_size
    sgd = exact_bias(model, "sgd", B, B, pure=pure).bias
    found: list[ExactBias] = []
    for b in algorithm.micro_batch_sizes:
        if one_for_all and found:
            found.append(replace(found[0], micro_batch_size=b))
        else:
            rule = (algorithm.rule, B, b, algorithm.threshold)
            found.append(exact_bias(model, *rule, pure=pure))
    results = [
        asdict(one)
        | {
            "bias_radius": _finite(bound),
            "guaranteed_radius": _guarantee(model, algorithm, one.micro_batch_size),
            "gain_over_sgd": sgd / one.bias if sgd is not None and one.bias else None,
            "moving_share": moving_share(model, algorithm, one.micro_batch_size)
            if algorithm.rule == "adaptive"
            else None,
        }
        for one, bound in zip(found, radius, strict=True)
    ]
    if finite_step:
        for one in results:
            one |= _at_finite_step(experiment, one["micro_batch_size"], one["bias"])
    finite = [r for r in results if r["bias"] is not None]
    moving = [r for r in finite if r["moving_share"] is None or r["moving_share"] >= MOVING]
    return {
        "rule": algorithm.rule,
        "batch_size": B,
        "sgd_bias": sgd,
        "results": results,
        "best": _smallest_bias(finite),
        "best_moving": _smallest_bias(moving),
    }


def _smallest_bias(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Size and bias where the bias is smallest, None for none."""
    best = min(results, key=lambda r: r["bias"], default=None)
    names = ("micro_batch_size", "bias")
    return {name: best[name] if best else None for name in names}
