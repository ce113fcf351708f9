"""First-order bias of skewed noise: derived, against quantiles, best size searched."""

import numpy as np
import pytest
from scipy import optimize

from analysis.claims.skewness_expansion import claim
from analysis.rest.gamma import median_bias

AT = {"skewness": 2.0, "noise_scale": 1.0, "dragger_fraction": 1e-5}


def test_best_size_by_search():
    found = optimize.minimize_scalar(
        lambda b: float(claim.evaluate(micro_batch_size=b, **AT)["bias"]),
        bounds=(1, 6e4),
        method="bounded",
        options={"xatol": 1e-6},
    )
    best = claim.evaluate(micro_batch_size=1.0, **AT)["best_micro_batch_size"]
    assert best == pytest.approx(found.x, rel=1e-5)


def test_best_size_of_the_exact_law_is_close():
    """Exponential noise, skewness 2, λ = 1e-5: the exact minimiser is 1395."""
    sizes = np.arange(500, 8000.0)
    exact = median_bias(np.ones(sizes.size), sizes, 1e-5 * np.ones(sizes.size))
    best = claim.evaluate(micro_batch_size=1.0, **AT)["best_micro_batch_size"]
    assert sizes[exact.argmin()] == pytest.approx(best, rel=0.02)


def test_the_size_grows_like_the_fraction_to_the_minus_two_thirds():
    sizes = [
        claim.evaluate(micro_batch_size=1.0, **(AT | {"dragger_fraction": eps}))[
            "best_micro_batch_size"
        ]
        for eps in (1e-6, 8e-6)
    ]
    assert sizes[0] / sizes[1] == pytest.approx(4.0, rel=1e-5)


def test_nothing_beyond_the_breakdown():
    """On a line with all contaminated micro-batches straight back: e^(λb) < 2."""
    values = claim.evaluate(
        micro_batch_size=[68, 69], **(AT | {"dragger_fraction": 0.01})
    )
    assert np.isfinite(values["bias"]).tolist() == [True, False]
    assert np.isfinite(values["best_micro_batch_size"]).all()
    values = claim.evaluate(micro_batch_size=1, **(AT | {"dragger_fraction": 0.9}))
    assert np.isnan(list(values.values())).all()
