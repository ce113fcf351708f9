"""Which micro-batch size: the worst-case optimum, and the exact bias of an experiment beside it."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from analysis.exact import ExactBias, exact_bias
from analysis.fields import integer
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

    Raises SpecificationError for a value outside its domain.
    """
    from analysis.claims.sweet_spot import claim

    values = claim.evaluate(
        dragger_fraction=dragger_fraction, noise_scale=noise_scale, alignment=alignment
    )
    interior = dragger_fraction > 0 and alignment > 0
    result = {
        "micro_batch_size": values["micro_batch_size"] if interior else None,
        "bias_radius": values["bias_radius"] if interior else None,
        "breakdown": values["breakdown"] if interior else None,
    }
    if batch_size is not None:
        batch_size = integer(1, 2**26)("batch_size", batch_size)
        candidates = np.arange(1, batch_size + 1)
        divisors = candidates[batch_size % candidates == 0]
        radius = bias_radius(divisors, dragger_fraction, noise_scale, alignment)
        result["admissible"] = {"micro_batch_size": None, "bias_radius": None}
        if np.isfinite(radius).any():
            best = int(np.nanargmin(radius))
            result["admissible"] = {
                "micro_batch_size": int(divisors[best]),
                "bias_radius": float(radius[best]),
            }
    return result


def bias_table(experiment: Experiment) -> dict[str, Any]:
    """The document of `analysis bias`: exact bias and worst-case radius at each size."""
    model, algorithm = experiment.model, experiment.algorithm
    sizes, pure = np.array(algorithm.micro_batch_sizes), algorithm.domains == "pure"
    scales = np.array([model.noise_scale(b if pure else 1) for b in algorithm.micro_batch_sizes])
    radius = bias_radius(sizes, model.dragger_fraction, 1.0) * scales
    # whether the micro-batch size has no effect
    one_for_all = algorithm.rule == "sgd" or (algorithm.rule == "global" and not pure)
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
