"""Where theory and simulation meet: the exact bias lies inside the interval.

What vanishes at rest is the expected score of m_estimator_identity.

Fourteen small models of all noise laws, all dragger laws, domains and all rules, two
step sizes each. One comparison is one z-score on 95 degrees of freedom or more: |z| <
6.5 has fewer than 5 false alarms in 10⁹, 35 comparisons, so 2e-7 in all; the seeds are
fixed. Drawing every sample, and not the micro-batches' means, must give the same
numbers within errors, likewise, for seven laws; with the full count of replicates in
the soak tests.
"""

from dataclasses import replace
from functools import cache

import pytest

import sim.engines
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from sim.sweep.measure import simulate

LIMIT = 6.5


def experiment(
    rule, noise, dragger, fraction, sizes, threshold=None, domains=None, batch=32
):
    return Experiment.from_mapping(
        {
            "model": {
                "dimension": len(dragger.get("direction", [0.0, 0.0])),
                "dragger_fraction": fraction,
                "dragger": dragger,
                **({"domains": noise} if isinstance(noise, list) else {"noise": noise}),
            },
            "algorithm": {
                "rule": rule,
                "batch_size": batch,
                "micro_batch_sizes": sizes,
                **({} if threshold is None else {"threshold": threshold}),
                **({} if domains is None else {"domains": domains}),
            },
            "run": {"steps": [0.1, 0.05], "iterations": 2000, "replicates": 128},
        }
    )


RARE = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.5}
GAMMA = {"law": "gamma", "shape": 0.5, "scale": 1.0, "sign": 1, "gaussian": 0.3}
GAUSSIAN = {"law": "gaussian", "scale": 1.0}
BACK = {"law": "persistent", "norm": 5.0, "direction": [-1.0, 0.0]}
ACROSS = {"law": "persistent", "norm": 3.0, "direction": [0.5, -1.0, 0.0]}
SLANTED = {"law": "orthogonal", "norm": 5.0, "direction": [1.0, 2.0, 0.0]}
ANY = {"law": "isotropic", "norm": 5.0}
ADDED = {"law": "additive", "norm": 5.0, "direction": [1.0] * 5}
TWO = [
    {"weight": 0.7, "optimum": [0.0, 0.0], "noise": {"law": "gaussian", "scale": 0.5}},
    {"weight": 0.3, "optimum": [1.0, 0.0], "noise": {"law": "gaussian", "scale": 0.5}},
]
AGAINST = {"law": "opposing", "norm": 3.0}

CASES = {
    "adaptive, rare": experiment("adaptive", RARE, BACK, 0.03, [4, 16]),
    "adaptive, rare, in the plane": experiment("adaptive", RARE, ACROSS, 0.1, [2, 8]),
    "adaptive, gaussian, additive": experiment(
        "adaptive", GAUSSIAN, ADDED, 0.05, [2, 8]
    ),
    "normalized, rare": experiment("normalized", RARE, BACK, 0.03, [4, 8]),
    "fixed, gaussian": experiment("fixed", GAUSSIAN, ACROSS, 0.1, [1, 4], 0.5),
    "adaptive, gamma": experiment("adaptive", GAMMA, BACK, 0.03, [2, 8]),
    "normalized, rare, orthogonal": experiment(
        "normalized", RARE, SLANTED, 0.1, [2, 4]
    ),
    "adaptive, rare, isotropic": experiment("adaptive", RARE, ANY, 0.1, [1, 2]),
    "global, rare": experiment("global", RARE, BACK, 0.05, [4, 32], 0.3),
    "adaptive, gaussian, opposing": experiment(
        "adaptive", GAUSSIAN, AGAINST, 0.1, [2, 4]
    ),
    "normalized, mixed domains": experiment(
        "normalized", TWO, BACK, 0.05, [1, 8], None, "mixed"
    ),
    "adaptive, pure domains": experiment(
        "adaptive", TWO, BACK, 0.05, [8, 16], None, "pure"
    ),
    "adaptive, unequal": experiment("adaptive", RARE, BACK, 0.03, [5, 15]),
    "global, unequal": experiment("global", TWO, BACK, 0.05, [20, 31], 0.3, "pure"),
}
SAMPLED = [
    "adaptive, rare",
    "adaptive, gaussian, additive",
    "fixed, gaussian",
    "adaptive, gamma",
    "normalized, rare, orthogonal",
    "adaptive, pure domains",
    "adaptive, unequal",
]


@pytest.fixture(scope="module", params=CASES)
def simulated(request):
    return request.param, simulate(
        CASES[request.param], None, workers=1, progress=False
    )


@cache
def exact(name, b):
    case = CASES[name]
    algorithm = case.algorithm
    return exact_bias(
        case.model,
        algorithm.rule,
        algorithm.batch_size,
        b,
        threshold=algorithm.threshold,
        pure=algorithm.domains == "pure",
    ).bias


def test_exact_bias_agrees_and_a_fifth_more_does_not(simulated):
    name, estimates = simulated
    for b, estimate in estimates.items():
        assert estimate.problem is None
        assert estimate.warning is None
        assert abs(estimate.score(exact(name, b))) < LIMIT
        assert abs(estimate.score(1.2 * exact(name, b))) > LIMIT


@pytest.mark.parametrize("simulated", ["adaptive, unequal"], indirect=True)
def test_equal_micro_batches_have_another_bias(simulated):
    """Two micro-batches of 15 and one of 2 do not rest where 2 or 3 of 15 would."""
    name, estimates = simulated
    model = CASES[name].model
    for batch, b in ((45, 15), (30, 15)):
        assert (
            abs(estimates[15].score(exact_bias(model, "adaptive", batch, b).bias))
            > LIMIT
        )


@pytest.mark.parametrize("replicates", [96, pytest.param(512, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", SAMPLED)
def test_drawing_every_sample_agrees_too(name, replicates, monkeypatch):
    case = CASES[name]
    run = replace(case.run, iterations=500, replicates=replicates, seed=2)
    monkeypatch.setattr(sim.engines, "reducible", lambda experiment: False)
    b = case.algorithm.sizes[1]
    sizes = replace(case.algorithm, micro_batch_sizes=(b,))
    (estimate,) = simulate(
        replace(case, run=run, algorithm=sizes), None, 2, False
    ).values()
    assert estimate.problem is None
    assert abs(estimate.score(exact(name, b))) < LIMIT
    assert abs(estimate.score(1.5 * exact(name, b))) > LIMIT
