"""The averaged guarantee: proved, attacked by exact runs, evaluated.

The size with the smallest bias is tested too.
"""

import numpy as np
import pytest
from scipy import optimize, special

from analysis.claims import CLAIMS
from analysis.claims.attacks.exact_runs import Batch, Loss, Run, normalized_run
from analysis.claims.averaged_guarantee import claim

AT = {"smoothness": 2.0, "initial_gap": 3.0, "horizon": 300, "noise_scale": 2.0}


def evaluate(**changes):
    return claim.evaluate(
        **(
            AT
            | {"alignment": 1.0, "dragger_fraction": 0.01, "micro_batch_size": 16}
            | changes
        )
    )


def test_value_by_hand():
    """P = 0.9, s = 1, κ = 0.8, √(2LΔ/T) = 0.2: (0.2+0.9)/0.8; γ = √(2Δ/(LT)) = 0.1."""
    values = evaluate(micro_batch_size=4, dragger_fraction=1 - 0.9**0.25)
    assert values["averaged_bound"] == pytest.approx(1.1 / 0.8)
    assert values["averaged_bias"] == pytest.approx(0.9 / 0.8)
    assert values["step_size"] == pytest.approx(0.1)


def test_a_clean_run_has_the_noise_of_a_micro_batch_as_its_bias():
    values = evaluate(dragger_fraction=0.0, horizon=1e12)
    assert values["averaged_bias"] == 2 / 4
    assert values["averaged_bound"] == pytest.approx(0.5, rel=1e-4)


def test_nothing_beyond_the_breakdown():
    values = evaluate(micro_batch_size=[68, 69])
    assert np.isfinite(values["averaged_bound"]).tolist() == [True, False]
    assert np.isfinite(values["averaged_bias"]).tolist() == [True, False]


@pytest.mark.parametrize("alignment", [1.0, 0.5, 0.05])
def test_the_averaged_bias_is_smallest_where_lambert_w_says(alignment):
    """SciPy's W against SciPy's minimiser; never below the sharp radius."""
    rate = 0.001
    at = {"alignment": alignment, "dragger_fraction": -np.expm1(-rate)}
    found = optimize.minimize_scalar(
        lambda x: float(evaluate(micro_batch_size=x / rate, **at)["averaged_bias"]),
        bounds=(0.01, 0.99 * np.log1p(1 / alignment)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    w = special.lambertw((1 + alignment) * np.exp(0.5) / (2 * alignment)).real
    assert found.x == pytest.approx(w - 0.5, rel=1e-5)
    if alignment == 1:
        assert found.x == pytest.approx(0.266249, abs=1e-6)
    radius = CLAIMS["bias_radius"].evaluate(
        micro_batch_size=found.x / rate, noise_scale=2.0, **at
    )["bias_radius"]
    assert found.fun > radius


def test_another_step_size_is_not_covered_by_the_bound():
    """A step a hundred times too short cannot reach the bound in time."""
    loss, batch = Loss("quadratic", 1.0), Batch(1e-6, 1.0, 1, 1, 0.01)
    values = claim.evaluate(
        smoothness=1.0, initial_gap=0.5, horizon=400, **batch.inputs
    )
    step = float(values["step_size"])
    for factor, kept in ((1.0, True), (0.01, False)):
        norms, _ = normalized_run(Run(loss, 1.0, factor * step, 400), batch)
        assert (norms.mean() <= values["averaged_bound"]) == kept
