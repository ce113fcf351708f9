"""Extreme inputs work, within errors of the exact bias if there is one, or are refused.

Nine comparisons on 127 degrees of freedom, |z| < 6.5: a false alarm in 10⁸.
"""

import numpy as np
import pytest

from analysis.rest.stable import exact_bias
from analysis.spec.algorithm import Schedule
from analysis.spec.experiment import Experiment
from sim.sweep.measure import simulate

NORMAL = {"law": "gaussian", "scale": 1.0}
RARE = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.5}


def experiment(d=2, fraction=0.05, noise=NORMAL, norm=5.0, B=256, b=8, **run):
    dragger = {"law": "persistent", "norm": norm, "direction": [-1.0] + [0.0] * (d - 1)}
    model = {
        "dimension": d,
        "dragger_fraction": fraction,
        "noise": noise,
        "dragger": dragger,
    }
    return Experiment.from_mapping(
        {
            "model": model,
            "algorithm": {
                "rule": "normalized",
                "batch_size": B,
                "micro_batch_sizes": [b],
            },
            "run": {"iterations": 400, "replicates": 128, "steps": [0.1, 0.05], **run},
        }
    )


EXACT = {
    "no draggers": experiment(fraction=0.0),
    "draggers once in 10¹²": experiment(fraction=1e-12, norm=1e6),
    "rare once in 10¹²": experiment(noise=RARE | {"probability": 1e-12}),
    "one dimension": experiment(d=1),
    "one micro-batch": experiment(b=256),
    "single samples": experiment(b=1, B=64),
    "norm 0": experiment(norm=0.0),
    "norm 10⁶": experiment(norm=1e6, fraction=0.02),
    "large batches": experiment(noise=RARE, B=4096, b=64, fraction=0.002),
}


@pytest.mark.parametrize("name", EXACT)
def test_extremes_agree_with_the_exact_bias(name):
    e = EXACT[name]
    (estimate,) = simulate(e, None, 2, False).values()
    assert estimate.problem is None
    exact = exact_bias(
        e.model, "normalized", e.algorithm.batch_size, e.algorithm.sizes[0]
    ).bias
    assert abs(estimate.score(exact)) < 6.5
    assert abs(estimate.score(exact + 0.2)) > 6.5


@pytest.mark.parametrize("law", ["persistent", "opposing"])
def test_a_vanishing_gradient_has_no_direction(law):
    """Without noise SGD halves w to underflow: 1/‖∇f‖ cannot be multiplied with."""
    e = experiment(
        fraction=0.0, noise={"law": "gaussian", "scale": 0.0}, steps=[0.5, 0.25]
    )
    dragger = {"law": law, "norm": 5.0}
    if law == "persistent":
        dragger["direction"] = [-1.0, 0.0]
    mapping = {**e.to_mapping(), "model": {**e.model.to_mapping(), "dragger": dragger}}
    mapping["algorithm"]["rule"] = "sgd"
    mapping["run"]["start"] = 1.0
    (estimate,) = simulate(Experiment.from_mapping(mapping), None, 1, False).values()
    assert estimate.bias < 1e-20  # not NaN


@pytest.mark.parametrize(
    "e",
    [
        experiment(d=4096, iterations=16, replicates=32),
        experiment(B=4096, b=4096, noise=RARE, iterations=16, replicates=32),
        experiment(fraction=0.999, iterations=40),
        experiment(
            noise={
                "law": "gamma",
                "shape": 1e-3,
                "scale": 1.0,
                "sign": 1,
                "gaussian": 0.0,
            }
        ),
        experiment(noise={"law": "gaussian", "scale": 0.0}),
    ],
)
def test_other_extremes_give_numbers(e):
    (estimate,) = simulate(e, None, 2, False).values()
    assert estimate.bias >= 0


def test_divergence_with_a_schedule_by_gradient_norm_is_no_error():
    """NaN is below every threshold, and stays NaN."""
    sizes = Schedule.read({"gradient_norm": [[1.0, 1], [0.0, 4]]}).size_at(
        0, np.array([np.nan, 2])
    )
    assert sizes.tolist() == [4, 1]


def test_student_t_noise_of_scale_zero_is_none():
    noise = {"law": "student-t", "degrees": 3.0, "scale": 0.0}
    dragger = {"law": "isotropic", "norm": 0.0}
    e = Experiment.from_mapping(
        {
            "model": {
                "dimension": 2,
                "dragger_fraction": 0.0,
                "noise": noise,
                "dragger": dragger,
            },
            "algorithm": {"rule": "sgd", "batch_size": 4, "micro_batch_sizes": [4]},
            "run": {"start": 1.0, "steps": [0.5, 0.25], "iterations": 200},
        }
    )
    (estimate,) = simulate(e, None, 1, False).values()
    assert estimate.bias < 1e-6
