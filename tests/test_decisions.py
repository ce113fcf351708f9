"""The commands that advise, and tables of values: contracts, and each number by a second route."""

import csv
import io
import json
import math

import numpy as np
import pytest
from scipy import optimize

from analysis.__main__ import main

RATE = -math.log1p(-0.01)


def document(capsys, line):
    assert main([*line.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def refused(capsys, line):
    try:
        code = main(line.split())
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


HORIZON = (
    "horizon --horizon 10000 --dragger-fraction 0.01 --noise-scale 1 --batch-size 256 "
    "--dragger-norm 200 --smoothness 2 --initial-gap 5"
)


def clipping_bound(b, T=1e4):
    p = math.exp(-RATE * b)
    kappa = 2 * p - 1
    return (math.sqrt(2 * 2 * 5 / T) + p / math.sqrt(b)) / kappa


def sgd_bound(T=1e4):
    V = (0.99 + 0.01 * 200**2) / 256
    return math.sqrt((2 * 2 * 5 / T + 2 * math.sqrt(2 * 2 * 5 * V / T)) / 0.99)


def test_horizon_by_hand(capsys):
    result = document(capsys, HORIZON)
    keys = {"sgd_bound", "clipping_bound", "crossover", "micro_batch_size", "sgd_persistent_bias"}
    keys |= {"admissible"}
    divisors = [2**k for k in range(7)]
    assert result["admissible"]["micro_batch_size"] == min(divisors, key=clipping_bound)
    assert set(result) == keys
    assert result["sgd_persistent_bias"] == pytest.approx(0.01 * 200 / 0.99)
    best = optimize.minimize_scalar(
        clipping_bound, bounds=(1, 60), method="bounded", options={"xatol": 1e-9}
    )
    assert result["micro_batch_size"] == pytest.approx(best.x, rel=1e-6)
    assert result["clipping_bound"] == pytest.approx(best.fun, rel=1e-9)
    assert result["sgd_bound"] == pytest.approx(sgd_bound(), rel=1e-12)


def test_the_bounds_cross_at_the_crossover(capsys):
    result = document(capsys, HORIZON)
    low, high = result["crossover"]
    for T in (low, high):
        assert clipping_bound(result["micro_batch_size"], T) == pytest.approx(
            sgd_bound(T), rel=1e-9
        )
    inside, outside = math.sqrt(low * high), 2 * high
    assert clipping_bound(result["micro_batch_size"], inside) < sgd_bound(inside)
    assert clipping_bound(result["micro_batch_size"], outside) > sgd_bound(outside)


def test_the_horizon_takes_a_size(capsys):
    result = document(capsys, HORIZON + " --micro-batch-size 4")
    assert result["micro_batch_size"] == 4
    assert result["clipping_bound"] == pytest.approx(clipping_bound(4), rel=1e-12)


def test_weak_draggers_are_better_left_alone(capsys):
    line = "horizon --horizon 100 --dragger-fraction 0.01 --batch-size 256 --dragger-norm 1"
    assert document(capsys, line)["crossover"] is None
    assert main(line.split()) == 0
    assert "never" in capsys.readouterr().out


def test_without_draggers_the_full_batch_is_best(capsys):
    line = "horizon --horizon 100 --dragger-fraction 0 --batch-size 64"
    result = document(capsys, line)
    assert result["micro_batch_size"] == 64
    assert result["clipping_bound"] == pytest.approx(math.sqrt(2 / 100) + 1 / 8)


def test_orthogonal_draggers_have_a_best_size_at_a_finite_horizon(capsys):
    line = "horizon --horizon 10000 --dragger-fraction 0.01 --batch-size 4096 --alignment 0"
    result = document(capsys, line)
    best = optimize.minimize_scalar(
        lambda b: math.sqrt(2 / 1e4) * math.exp(RATE * b) + 1 / math.sqrt(b),
        bounds=(1, 4096),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert result["micro_batch_size"] == pytest.approx(best.x, rel=1e-5)


@pytest.mark.parametrize("norm", [0.05, 1.0, 20.0])
def test_schedule_by_search(capsys, norm):
    line = f"schedule --gradient-norm {norm} --dragger-fraction 0.01 --noise-scale 3"
    result = document(capsys, line)

    def pull(b):
        p, s2 = math.exp(-RATE * b), 9 / b
        return p * norm * (norm**2 - s2) / (norm**2 + s2) - (1 - p) * norm

    best = optimize.minimize_scalar(
        lambda b: -pull(b), bounds=(1, 31.335), method="bounded", options={"xatol": 1e-9}
    )
    assert result["micro_batch_size"] == pytest.approx(best.x, rel=1e-4)
    assert result["drift"] == pytest.approx(pull(result["micro_batch_size"]), rel=1e-9)


def test_schedule_takes_a_divisor(capsys):
    line = "schedule --gradient-norm 1 --dragger-fraction 0.01 --noise-scale 3 --batch-size 256"
    result = document(capsys, line)
    size = result["admissible"]["micro_batch_size"]
    assert size in (16, 32)
    assert size / 2 < result["micro_batch_size"] < size * 2


@pytest.mark.parametrize(
    ("norm", "batch", "size"), [(1e-9, 100, 25), (0.05, 1000, 25), (0.2, 64, 32)]
)
def test_schedule_stays_at_the_sweet_spot(capsys, norm, batch, size):
    """Inside the radius the drift would favour sizes beyond it."""
    line = f"schedule --gradient-norm {norm} --dragger-fraction 0.01 --batch-size {batch}"
    assert document(capsys, line)["admissible"]["micro_batch_size"] == size


def test_threshold_by_hand(capsys):
    line = "threshold --micro-batch-size 10 --dragger-fraction 0.01 --noise-scale 2"
    result = document(capsys, line)
    p = 0.99**10
    theta, s = (1 - p) / p, 2 / math.sqrt(10)
    assert result["threshold"] == pytest.approx(s / (2 * math.sqrt(theta * (1 - theta))))
    assert result["bias_radius"] == pytest.approx(s * math.sqrt(theta / (1 - theta)))
    assert result["gain"] == pytest.approx(math.sqrt(1 - p))


@pytest.mark.parametrize("options", ["--micro-batch-size 90", "--micro-batch-size 4 --alignment 0"])
def test_no_threshold_is_best(capsys, options):
    line = f"threshold --dragger-fraction 0.01 {options}"
    assert document(capsys, line) == {"threshold": None, "bias_radius": None, "gain": None}
    assert main(line.split()) == 0
    assert "no threshold is best" in capsys.readouterr().out


GRID = "eval bias_radius --set epsilon=0.01 sigma=1 alpha=1"


def test_a_grid_is_a_table(capsys):
    rows = document(capsys, f"{GRID} --grid micro_batch_size=1:256")["rows"]
    assert [row["micro_batch_size"] for row in rows] == list(range(1, 257))
    single = document(capsys, f"{GRID} b=32")["values"]["bias_radius"]
    assert rows[31]["bias_radius"] == single
    assert rows[100]["bias_radius"] is None


def test_csv_holds_the_same_numbers(capsys):
    line = f"{GRID} --grid b=1:101:50"
    rows = document(capsys, line)["rows"]
    assert main([*line.split(), "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    for row, printed in zip(rows, table, strict=True):
        for name, value in row.items():
            assert printed[name] == ("" if value is None else str(value))


def test_two_grids_multiply(capsys):
    line = "eval bias_radius --set epsilon=0.01 sigma=1 --grid b=1:2 alpha=0:1:0.5"
    rows = document(capsys, line)["rows"]
    pairs = [(row["b"], row["alpha"]) for row in rows]
    assert pairs == [(b, a) for b in (1, 2) for a in (0, 0.5, 1)]


def test_the_last_point_of_a_grid_is_not_lost_to_rounding(capsys):
    line = "eval bias_radius --set epsilon=0.01 sigma=1 b=4 --grid alpha=0:1:0.1"
    values = [row["alpha"] for row in document(capsys, line)["rows"]]
    np.testing.assert_allclose(values, np.linspace(0, 1, 11), atol=1e-12)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (f"{GRID} --grid b=5:1", "LOW <= HIGH"),
        (f"{GRID} --grid b=1:5:0", "STEP > 0"),
        (f"{GRID} --grid b=1:many", "LOW:HIGH"),
        (f"{GRID} --grid b", "LOW:HIGH"),
        (f"{GRID} --grid b=1:1e9", "at most 1000000"),
        (f"{GRID} --grid b=1:5 b=1:6", "b=1:6"),
        (f"{GRID} --grid b=1:5 sigma=1:2", "does not fix"),
        (f"{GRID} --grid b=0:5", "micro_batch_size"),
        (f"{GRID} --grid b=nan:5", "LOW <= HIGH"),
        (f"{GRID} --set b=1 b=2", "one value"),
        ("eval m_estimator_identity", "no values"),
        (f"{GRID} b=1 --csv --json", "one of the two"),
        ("schedule --gradient-norm 0 --dragger-fraction 0.01", "gradient_norm"),
        ("schedule --gradient-norm 1 --dragger-fraction 0", "dragger_fraction"),
        ("threshold --micro-batch-size 0.5 --dragger-fraction 0.01", "micro_batch_size"),
        ("threshold --micro-batch-size 4 --dragger-fraction 1", "dragger_fraction"),
        ("horizon --horizon 0 --dragger-fraction 0.01 --batch-size 4", "horizon"),
        ("horizon --horizon 9 --dragger-fraction 0.01 --batch-size 0", "batch_size"),
        (
            "horizon --horizon 9 --dragger-fraction 0.01 --batch-size 4 --micro-batch-size 5",
            "micro_batch_size",
        ),
    ],
)
def test_bad_input_is_one_line_that_names_it(capsys, line, word):
    assert word in refused(capsys, line)
