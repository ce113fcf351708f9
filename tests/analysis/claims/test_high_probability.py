"""The guarantee for a single run: proved, attacked by runs, evaluated, best split."""

import numpy as np
import pytest
from scipy import optimize

from analysis.claims import CLAIMS
from analysis.claims.high_probability import claim
from analysis.proof.relations import Mean, Quantile
from analysis.proof.symbols import G, q

AT = {
    "smoothness": 2.0,
    "initial_gap": 3.0,
    "horizon": 300,
    "noise_scale": 2.0,
    "dragger_fraction": 1 - 0.9**0.25,
    "alignment": 1.0,
    "micro_batch_size": 4,
    "batch_size": 40,
    "failure_probability": np.exp(-3),
    "split": 0.25,
}


def evaluate(**changes):
    return claim.evaluate(**(AT | changes))


def test_it_speaks_of_a_quantile_over_runs():
    assert claim.statement.lhs == Quantile(Mean(G), 1 - q)


def test_value_by_hand():
    """κ = 0.8, ps = 0.9, √(2LΔ/T) = 0.2, m = 10: [0.2(1 + (1 + 1/√300)3/4)+0.9]/0.6."""
    value = (0.2 * (1 + (1 + 300**-0.5) * 3 / 4) + 0.9) / 0.6
    assert evaluate()["probable_bound"] == pytest.approx(value)


def test_best_split_by_a_second_route():
    found = optimize.minimize_scalar(
        lambda z: float(evaluate(split=z)["probable_bound"]),
        bounds=(1e-3, 0.999),
        method="bounded",
        options={"xatol": 1e-10},
    )
    best = evaluate()["best_split"]
    assert best == pytest.approx(found.x, rel=1e-5)
    assert evaluate(split=best)["probable_bound"] <= found.fun * (1 + 1e-12)


def test_it_approaches_the_averaged_guarantee_with_many_micro_batches():
    changes = {"batch_size": 4e12, "split": 1e-5}
    shared = {
        k: AT[k] for k in AT if k not in ("batch_size", "failure_probability", "split")
    }
    averaged = CLAIMS["averaged_guarantee"].evaluate(**shared)["averaged_bound"]
    found = evaluate(**changes)["probable_bound"]
    assert averaged < found < averaged * 1.0001


def test_a_smaller_chance_of_failure_costs_its_logarithm():
    bounds = evaluate(failure_probability=[1e-2, 1e-4, 1e-6])["probable_bound"]
    assert bounds[1] - bounds[0] == pytest.approx(bounds[2] - bounds[1])


def test_nothing_beyond_the_breakdown():
    values = evaluate(dragger_fraction=0.01, micro_batch_size=[68, 69], batch_size=690)
    assert np.isfinite(values["probable_bound"]).tolist() == [True, False]
    assert np.isfinite(values["best_split"]).tolist() == [True, False]


def test_nothing_for_micro_batches_larger_than_the_mini_batch():
    values = evaluate(dragger_fraction=0.01, batch_size=[16, 4, 1])
    assert np.isfinite(values["probable_bound"]).tolist() == [True, True, False]
    assert np.isfinite(values["best_split"]).tolist() == [True, True, False]
