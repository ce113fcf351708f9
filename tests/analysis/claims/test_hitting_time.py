"""The hitting time: proved, attacked by exact runs, evaluated; its step matters."""

import dataclasses

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.claims.attacks.exact_runs import Batch, Loss, Run, hitting_time
from analysis.claims.attacks.hitting_time import random_problem
from analysis.claims.hitting_time import claim

AT = {
    "smoothness": 2.0,
    "initial_gap": 3.0,
    "excess": 0.1,
    "noise_scale": 2.0,
    "dragger_fraction": 0.01,
    "alignment": 0.7,
    "micro_batch_size": 16,
}


def test_every_case_of_the_attack_could_fail():
    """Each run starts outside its target, and lasts several times the bound."""
    rng = np.random.default_rng(7)
    slacks = []
    for _ in range(100):
        loss, batch, start, inputs = random_problem(claim, rng)
        values = claim.evaluate(**inputs)
        target, step, bound = (
            values[n] for n in ("target", "step_size", "hitting_time")
        )
        assert abs(loss.slope(np.array(start))) > target
        run = Run(loss, start, step, int(5 * bound + 5))
        taken = hitting_time(run, batch, target)
        assert 1 <= taken <= bound
        slacks.append(1 - taken / bound)
        stuck = hitting_time(dataclasses.replace(run, step=1e-9 * step), batch, target)
        assert stuck > bound
    assert np.median(slacks) < 0.9


def test_values_from_the_radius_and_the_drift_bound():
    """Second route: the two claims that it uses, evaluated one after the other."""
    values = claim.evaluate(**AT)
    shared = {k: AT[k] for k in ("noise_scale", "dragger_fraction", "alignment")}
    shared["micro_batch_size"] = 16
    target = CLAIMS["bias_radius"].evaluate(**shared)["bias_radius"] + 0.1
    h = CLAIMS["drift"].evaluate(gradient_norm=target, **shared)
    assert values["target"] == pytest.approx(target)
    assert values["step_size"] == pytest.approx(h["drift_bound"] / 2)
    assert values["hitting_time"] == pytest.approx(2 * 2 * 3 / h["drift_bound"] ** 2)


def test_a_smaller_excess_takes_longer_like_its_square():
    times = claim.evaluate(**(AT | {"excess": [1e-6, 2e-6]}))["hitting_time"]
    assert times[0] / times[1] == pytest.approx(4, rel=1e-4)


def test_nothing_beyond_the_breakdown():
    breakdown = float(np.log1p(1 / 0.7) / -np.log1p(-0.01))
    values = claim.evaluate(
        **(AT | {"micro_batch_size": [breakdown - 1, breakdown + 1]})
    )
    assert np.isfinite(values["hitting_time"]).tolist() == [True, False]


def test_a_run_with_a_far_shorter_step_is_late():
    loss, batch = Loss("quadratic", 1.0), Batch(0.01, 1.0, 1, 1, 0.1)
    at = batch.inputs | {"smoothness": 1.0, "initial_gap": 0.5, "excess": 0.2}
    values = claim.evaluate(**at)
    for factor, kept in ((1.0, True), (0.01, False)):
        step, target = factor * float(values["step_size"]), float(values["target"])
        taken = hitting_time(Run(loss, 1.0, step, 500), batch, target)
        assert (taken <= values["hitting_time"]) == kept


def test_zero_when_the_run_starts_there():
    loss, batch = Loss("cosine", 1.0), Batch(0.01, 1.0, 2, 2, 1.0)
    assert hitting_time(Run(loss, 0.3, 0.1, 100), batch, 0.5) == 0
