"""Which micro-batch size: the worst-case optimum, and the exact bias of an experiment beside it."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from analysis.exact import ExactBias, clipped_units, exact_bias, points_of_rest
from analysis.fields import SpecificationError, integer, refuse
from analysis.model import Experiment


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


def best_sizes(
    dragger_fraction: float, noise_scale: float, alignment: float, batch_size: int | None = None
) -> dict[str, Any]:
    """The document of `analysis sweet-spot`: derived in claims/sweet_spot.py.

    The best size is real-valued, and may be below one sample; the radius is that at one sample
    then, None where even that is beyond the breakdown. Raises SpecificationError for a value
    outside its domain.
    """
    from analysis.claims.sweet_spot import claim

    values = claim.evaluate(
        dragger_fraction=dragger_fraction, noise_scale=noise_scale, alignment=alignment
    )
    interior = dragger_fraction > 0 and alignment > 0
    protected = interior and not np.isnan(values["bias_radius"])
    result = {
        "micro_batch_size": values["micro_batch_size"] if interior else None,
        "bias_radius": values["bias_radius"] if protected else None,
        "breakdown": values["breakdown"] if interior else None,
    }
    if batch_size is not None:
        sizes = divisors(batch_size)
        radius = bias_radius(sizes, dragger_fraction, noise_scale, alignment)
        result["admissible"] = {"micro_batch_size": None, "bias_radius": None}
        if np.isfinite(radius).any():
            best = int(np.nanargmin(radius))
            result["admissible"] = {
                "micro_batch_size": int(sizes[best]),
                "bias_radius": float(radius[best]),
            }
    return result


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
) -> dict[str, Any]:
    """The document of `analysis horizon`, from the claims sgd_rate to finite_horizon.

    The size is the given one, or the one with the smallest clipping bound, between 1 and B. Raises
    SpecificationError for a value outside its domain.
    """
    from analysis.claims import CLAIMS

    run = {"horizon": horizon, "smoothness": smoothness, "initial_gap": initial_gap}
    noise = {"dragger_fraction": dragger_fraction, "noise_scale": noise_scale}
    B = integer(1, 2**26)("batch_size", batch_size)
    sgd = {"batch_size": float(B), "dragger_norm": dragger_norm}
    b = micro_batch_size
    if b is None:
        best = CLAIMS["finite_horizon"].evaluate(alignment=alignment, **run, **noise)
        b = float(best["micro_batch_size"])
        b = float(np.clip(b, 1, B)) if np.isfinite(b) else float(B)
    elif not 1 <= b <= B:
        refuse("micro_batch_size", b, f"a number from 1 to the batch size {B}")
    clipping = {"micro_batch_size": b, "alignment": alignment}
    sizes, averaged = divisors(B), CLAIMS["averaged_guarantee"]
    every = averaged.evaluate(micro_batch_size=sizes, alignment=alignment, **run, **noise)
    bounds = every["averaged_bound"]
    finite = bool(np.isfinite(bounds).any())
    ends = CLAIMS["crossover"].evaluate(
        smoothness=smoothness, initial_gap=initial_gap, **noise, **sgd, **clipping
    )
    low, high = float(ends["crossover_low"]), float(ends["crossover_high"])
    crossing = None if np.isnan(low) or high < 1 else [max(low, 1.0), high]
    agreeing = CLAIMS["sgd_persistent_bias"].evaluate(
        learning_rate=1 / smoothness,
        dragger_mean=dragger_norm,
        alignment=alignment,
        **run,
        **noise,
        **sgd,
    )
    return {
        "sgd_bound": CLAIMS["sgd_rate"].evaluate(**run, **noise, **sgd)["gradient_bound"],
        "clipping_bound": averaged.evaluate(**run, **noise, **clipping)["averaged_bound"],
        "crossover": crossing,
        "micro_batch_size": b,
        "admissible": {
            "micro_batch_size": int(sizes[np.nanargmin(bounds)]) if finite else None,
            "clipping_bound": float(np.nanmin(bounds)) if finite else None,
        },
        "sgd_persistent_bias": agreeing["small_step_bias"],
    }


def at_gradient_norm(
    gradient_norm: float,
    dragger_fraction: float,
    noise_scale: float,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """The document of `analysis schedule`, from claims/phase_schedule.py.

    Raises SpecificationError for a value outside its domain.
    """
    from analysis.claims import CLAIMS

    given = {
        "gradient_norm": gradient_norm,
        "dragger_fraction": dragger_fraction,
        "noise_scale": noise_scale,
    }
    if dragger_fraction == 0:
        refuse("dragger_fraction", dragger_fraction, "> 0: without draggers no size is too large")
    best = best_sizes(dragger_fraction, noise_scale, 1.0)["micro_batch_size"]
    size = float(CLAIMS["phase_schedule"].evaluate(**given)["micro_batch_size"])
    size = float(max(1.0, min(size, best)))

    def pull(sizes: Any) -> Any:
        drift = CLAIMS["drift"].evaluate(micro_batch_size=sizes, alignment=1.0, **given)
        return drift["drift_bound"]

    result: dict[str, Any] = {"micro_batch_size": size, "drift": pull(size)}
    if batch_size is not None:
        last = best_sizes(dragger_fraction, noise_scale, 1.0, batch_size)["admissible"]
        best_divisor = last["micro_batch_size"] or 1
        if result["drift"] > 0:  # else inside the radius, where the schedule has arrived
            sizes = divisors(batch_size)
            best_divisor = int(sizes[np.argmax(pull(sizes))])
        result["admissible"] = {"micro_batch_size": best_divisor}
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


def divisors(batch_size: int) -> np.ndarray:
    """The micro-batch sizes [n] that a mini-batch of this size allows."""
    batch_size = integer(1, 2**26)("batch_size", batch_size)
    candidates = np.arange(1, batch_size + 1)
    return np.asarray(candidates[batch_size % candidates == 0])


def _at_finite_step(experiment: Experiment, b: int, bias: float | None) -> dict[str, float | None]:
    from analysis.fluctuation import near_rest

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


def bias_table(experiment: Experiment, finite_step: bool = False) -> dict[str, Any]:
    """The document of `analysis bias`: exact bias and worst-case radius at each size.

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
    found: list[ExactBias] = []
    for b in algorithm.micro_batch_sizes:
        if one_for_all and found:
            found.append(replace(found[0], micro_batch_size=b))
        else:
            rule = (algorithm.rule, algorithm.batch_size, b, algorithm.threshold)
            found.append(exact_bias(model, *rule, pure=pure))
    results = [
        asdict(one) | {"bias_radius": float(bound) if np.isfinite(bound) else None}
        for one, bound in zip(found, radius, strict=True)
    ]
    if finite_step:
        for one in results:
            one |= _at_finite_step(experiment, one["micro_batch_size"], one["bias"])
    finite = [r for r in results if r["bias"] is not None]
    best = min(finite, key=lambda r: r["bias"], default=None)
    return {
        "rule": algorithm.rule,
        "batch_size": algorithm.batch_size,
        "results": results,
        "best": {
            "micro_batch_size": best["micro_batch_size"] if best else None,
            "bias": best["bias"] if best else None,
        },
    }
