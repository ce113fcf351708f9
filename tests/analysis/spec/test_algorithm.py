"""Schedules and measures: what they mean, and what is refused in one line."""

import re

import numpy as np
import pytest

from analysis.spec.algorithm import Algorithm, Run, Schedule
from analysis.spec.checking import SpecificationError
from analysis.spec.rule import micro_batches

RULE = {"rule": "sgd", "batch_size": 32}


def schedule(**table):
    return Algorithm.read(RULE | {"schedule": table})


def optimizer(**table):
    return Algorithm.read(RULE | {"micro_batch_sizes": [1], "optimizer": table})


BAD = [
    (lambda: schedule(), "one of the keys iterations and gradient_norm"),
    (
        lambda: schedule(iterations=[[0, 1]], gradient_norm=[[0.0, 1]]),
        "one of the keys iterations and gradient_norm",
    ),
    (lambda: schedule(iterations=[]), "a list of 1 to 64 values"),
    (lambda: schedule(iterations=[[1, 1]]), "begin with 0 and increase"),
    (lambda: schedule(iterations=[[0, 1], [0, 2]]), "begin with 0 and increase"),
    (lambda: schedule(iterations=[[0, 1, 2]]), "algorithm.schedule.iterations[0]"),
    (lambda: schedule(iterations=[[0, 33]]), "at most algorithm.batch_size = 32"),
    (
        lambda: schedule(iterations=[[0, 0]]),
        "iterations[0][1] = 0: must be an integer from 1",
    ),
    (lambda: schedule(gradient_norm=[[1.0, 2]]), "decrease and end with 0"),
    (lambda: schedule(gradient_norm=[[0.0, 2], [1.0, 4]]), "decrease and end with 0"),
    (
        lambda: schedule(gradient_norm=[[0.0, 2.5]]),
        "algorithm.schedule.gradient_norm[0][1] = 2.5",
    ),
    (lambda: schedule(steps=[[0, 1]]), "unknown key 'steps'"),
    (lambda: Algorithm.read(RULE), "'micro_batch_sizes' is missing"),
    (
        lambda: Algorithm.read(
            RULE | {"micro_batch_sizes": [1], "schedule": {"iterations": [[0, 1]]}}
        ),
        "absent with [algorithm.schedule]",
    ),
    (lambda: optimizer(), "the required key 'kind' is missing"),
    (lambda: optimizer(kind="nesterov"), "kind = 'nesterov': must be one of momentum"),
    (lambda: optimizer(kind="momentum", momentum=1.0), "a finite number >= 0 and < 1"),
    (lambda: optimizer(kind="momentum", beta1=0.9), "absent with kind = momentum"),
    (lambda: optimizer(kind="adam", momentum=0.9), "absent with kind = adam"),
    (lambda: optimizer(kind="adam", epsilon=0), "algorithm.optimizer.epsilon = 0"),
    (
        lambda: Run.read({"measure": "speed"}),
        "bias, trajectory, average, hitting",
    ),
    (
        lambda: Run.read({"measure": "hitting"}),
        "'radius' is required by measure = 'hitting'",
    ),
    (lambda: Run.read({"radius": 1.0}), "run.radius = 1.0: must be absent"),
    (lambda: Run.read({"points": 5}), "run.points = 5: must be absent"),
    (lambda: Run.read({"measure": "trajectory", "burn_in": 0.5}), "run.burn_in = 0.5"),
    (lambda: Run.read({"steps": [0.1]}), "two or three values"),
    (lambda: Run.read({"precision": "float16"}), "one of float32, float64"),
    (lambda: Run.read({"measure": "hitting", "radius": 0.0}), "> 0"),
]


@pytest.mark.parametrize(("make", "allowed"), BAD)
def test_bad_values_are_refused_in_one_line(make, allowed):
    with pytest.raises(SpecificationError, match=re.escape(allowed)) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_schedule_by_iterations():
    found = Schedule.read({"iterations": [[0, 1], [10, 8], [20, 1]]})
    assert [found.size_at(t, 0.0) for t in (0, 9, 10, 19, 20, 10**9)] == [
        1,
        1,
        8,
        8,
        1,
        1,
    ]
    assert found.micro_batch_sizes == (1, 8)


def test_a_schedule_by_gradient_norm():
    found = Schedule.read({"gradient_norm": [[2.0, 1], [0.5, 4], [0.0, 16]]})
    norms = np.array([5.0, 2.0, 1.99, 0.5, 0.49, 0.0])
    assert found.size_at(0, norms).tolist() == [1, 1, 4, 4, 16, 16]


@pytest.mark.parametrize(
    "run",
    [
        {"measure": "trajectory", "points": 7, "steps": [0.1]},
        {"measure": "hitting", "radius": 0.5, "steps": [0.1, 0.3, 0.2]},
        {"precision": "float64", "burn_in": 0.2},
    ],
)
def test_a_run_is_read_back(run):
    assert Run.read(Run.read(run).to_mapping()) == Run.read(run)


def test_an_optimizer_is_read_back_with_its_defaults():
    heavy, adam = optimizer(kind="momentum"), optimizer(kind="adam", beta2=0.99)
    for algorithm in (heavy, adam):
        assert Algorithm.read(algorithm.to_mapping()) == algorithm
    assert heavy.to_mapping()["optimizer"] == {"kind": "momentum", "momentum": 0.9}
    assert adam.optimizer.to_mapping() == {
        "kind": "adam",
        "beta1": 0.9,
        "beta2": 0.99,
        "epsilon": 1e-8,
    }
    plain = Algorithm.read(RULE | {"micro_batch_sizes": [1]})
    assert "optimizer" not in plain.to_mapping()


def test_a_schedule_is_read_back():
    for table in (
        {"iterations": [[0, 1], [5, 8]]},
        {"gradient_norm": [[1.5, 1], [0.0, 8]]},
    ):
        algorithm = schedule(**table)
        assert Algorithm.read(algorithm.to_mapping()) == algorithm


@pytest.mark.parametrize(
    ("batch_size", "size", "cut"),
    [
        (256, 8, ((8, 32),)),
        (257, 29, ((29, 8), (25, 1))),
        (257, 32, ((32, 8), (1, 1))),
        (257, 200, ((200, 1), (57, 1))),
        (5, 5, ((5, 1),)),
    ],
)
def test_the_last_micro_batch_has_what_is_left(batch_size, size, cut):
    assert micro_batches(batch_size, size) == cut


def test_micro_batches_hold_every_sample_once():
    for batch_size in (1, 2, 12, 97):
        for size in range(1, batch_size + 1):
            cut = micro_batches(batch_size, size)
            assert sum(samples * count for samples, count in cut) == batch_size
            assert sum(count for _, count in cut) == -(-batch_size // size)
            assert all(samples <= size and count > 0 for samples, count in cut)


@pytest.mark.parametrize("size", [0, 33])
def test_a_micro_batch_larger_than_the_mini_batch_is_refused(size):
    with pytest.raises(
        SpecificationError, match=f"micro_batch_size = {size}: must be from 1 to"
    ):
        micro_batches(32, size)
