"""Clipping against SGD by guarantee: proof, attack, the interval by a second route."""

import numpy as np
import pytest
from scipy import optimize

from analysis.claims import CLAIMS
from analysis.claims.crossover import claim

CLIPPING = {"micro_batch_size": 16, "alignment": 1.0}
SGD = {"batch_size": 256, "dragger_norm": 3000.0}
SHARED = {
    "dragger_fraction": 0.01,
    "noise_scale": 1.0,
    "smoothness": 1.0,
    "initial_gap": 5000.0,
}


def lead(horizon, **changes):
    """SGD's squared guarantee minus clipping's."""
    clipping, sgd, shared = (
        {name: changes.get(name, value) for name, value in d.items()}
        for d in (CLIPPING, SGD, SHARED)
    )
    ours = CLAIMS["averaged_guarantee"].evaluate(**shared, **clipping, horizon=horizon)
    theirs = CLAIMS["sgd_rate"].evaluate(**shared, **sgd, horizon=horizon)
    return theirs["squared_bound"] - ours["averaged_bound"] ** 2


def evaluate(**changes):
    return claim.evaluate(**(SHARED | CLIPPING | SGD | changes))


def test_the_ends_by_a_second_route():
    """Zeros of the difference of the two guarantees, found numerically."""
    values = evaluate()
    low, high = float(values["crossover_low"]), float(values["crossover_high"])
    assert 1 < low < high
    for end, inside in ((low, 1), (high, -1)):
        found = optimize.brentq(
            lambda t: float(lead(np.exp(t))),
            np.log(end) - 0.5,
            np.log(end) + 0.5,
            xtol=1e-14,
        )
        assert np.exp(found) == pytest.approx(end, rel=1e-9)
        assert lead(end * 1.01**inside) > 0 > lead(end * 1.01**-inside)


def test_without_a_crossover_sgd_is_never_worse():
    changes = {"dragger_norm": 1.0}
    values = evaluate(**changes)
    assert np.isnan(values["crossover_low"])
    assert np.isnan(values["crossover_high"])
    assert (lead(np.logspace(0, 12, 200), **changes) < 0).all()


def test_nothing_beyond_the_breakdown():
    values = evaluate(micro_batch_size=[68, 69], dragger_norm=1e9)
    assert np.isfinite(values["crossover_high"]).tolist() == [True, False]


def test_without_draggers_sgd_is_never_worse():
    """Its noise is σ/√B, a micro-batch's σ/√b; over B samples are no micro-batch."""
    values = evaluate(
        dragger_fraction=0.0, micro_batch_size=[1, 16, 256, 512], noise_scale=10.0
    )
    assert np.isnan(values["crossover_low"]).all()
    assert (lead(np.logspace(0, 12, 200), dragger_fraction=0.0) < 0).all()


def test_nothing_for_micro_batches_larger_than_the_mini_batch():
    values = evaluate(batch_size=[16, 15])
    assert np.isfinite(values["crossover_low"]).tolist() == [True, False]


def test_inputs_of_different_shapes_broadcast():
    norms = np.array([1.0, 3000.0])
    found = evaluate(dragger_norm=norms, initial_gap=np.array([[5000.0], [500.0]]))
    assert found["crossover_high"].shape == (2, 2)
    assert np.isnan(found["crossover_high"]).tolist() == [[True, False], [True, False]]
