"""Runs: the same numbers whatever the workers, resumable, and never mixed up."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim.sweep.session
from analysis.cli.common import to_json
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from analysis.spec.optimizer import Optimizer
from sim import run

ROOT = Path(__file__).parents[3]
PRESET = Experiment.load(ROOT / "sim" / "presets" / "sweet_spot.toml")
SMALL = replace(
    PRESET,
    algorithm=replace(PRESET.algorithm, batch_size=32, micro_batch_sizes=(8, 1, 32)),
    run=replace(PRESET.run, iterations=100),
)


def test_workers_do_not_change_the_result():
    assert to_json(run(SMALL, workers=3)) == to_json(run(SMALL))


def test_results_keep_the_order_of_the_file():
    assert [r.micro_batch_size for r in run(SMALL).results] == [8, 1, 32]


def test_finished_sizes_are_reused(tmp_path, monkeypatch):
    expected = run(SMALL, tmp_path)
    calls = []
    monkeypatch.setattr(
        sim.sweep.session,
        "engine",
        lambda *arguments, **options: calls.append(arguments),
    )
    assert run(SMALL, tmp_path) == expected
    fewer = replace(SMALL, algorithm=replace(SMALL.algorithm, micro_batch_sizes=(1,)))
    assert run(fewer, tmp_path).results[0] == expected.results[1]
    assert not calls


def test_another_specification_gets_its_own_files(tmp_path):
    run(SMALL, tmp_path)
    before = set(tmp_path.rglob("*.json"))
    run(replace(SMALL, run=replace(SMALL.run, seed=2)), tmp_path)
    assert len(set(tmp_path.rglob("*.json"))) == 2 * len(before) == 6


def test_a_folder_that_cannot_be_written_is_refused_before_work_starts(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecificationError, match="one that can be written"):
        run(SMALL, tmp_path / "file")


def test_divergence_is_null_and_said(capsys):
    wild = replace(SMALL, algorithm=replace(SMALL.algorithm, rule="sgd"))
    wild = replace(wild, run=replace(SMALL.run, steps=(50.0, 60.0), iterations=1000))
    result = run(wild)
    assert result.results[0].bias is None
    assert result.best.micro_batch_size is None
    assert result.best.confidence_set == []
    assert "diverged" in capsys.readouterr().err
    json.loads(to_json(result))


def test_a_run_that_is_not_at_rest_is_said(capsys):
    far = replace(SMALL, run=replace(SMALL.run, start=1000.0, burn_in=0.0))
    run(far)
    assert "not stationary" in capsys.readouterr().err


def test_draggers_that_win_are_not_the_best(capsys):
    """Six samples in ten are draggers: iterates run away in proportion to the step."""
    model = replace(SMALL.model, dragger_fraction=0.6)
    algorithm = replace(SMALL.algorithm, rule="normalized", micro_batch_sizes=(1, 2))
    result = run(replace(SMALL, model=model, algorithm=algorithm))
    assert [r.bias for r in result.results] == [None, None]
    assert result.best.confidence_set == []
    assert capsys.readouterr().err.count("not stationary") == 2


def test_a_diverged_result_is_stored_and_read_back(tmp_path):
    wild = replace(
        SMALL, run=replace(SMALL.run, steps=(5000.0, 6000.0), iterations=1000)
    )
    wild = replace(wild, algorithm=replace(SMALL.algorithm, rule="sgd"))
    assert to_json(run(wild, tmp_path)) == to_json(run(wild, tmp_path))


def test_python_returns_what_the_command_prints(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sim",
            "run",
            "sweet_spot",
            "--json",
            "--out",
            str(ROOT / "results"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    printed = json.loads(done.stdout)
    assert done.stderr == ""
    assert printed == json.loads(to_json(run(PRESET, ROOT / "results")))
    assert set(printed) == {"rule", "batch_size", "results", "best"}
    assert set(printed["best"]) == {"micro_batch_size", "confidence_set"}
    keys = {"micro_batch_size", "bias", "standard_error", "interval", "at_steps"}
    assert all(set(r) == keys and len(r["interval"]) == 2 for r in printed["results"])
    assert all(np.isfinite(r["bias"]) for r in printed["results"])


def test_trajectories_and_hitting_times(tmp_path):
    """The two other measures: their keys, their errors, and reading them back."""
    table = SMALL.to_mapping()
    table["run"] = {
        "measure": "trajectory",
        "steps": [0.1],
        "iterations": 300,
        "start": 3.0,
    }
    e = Experiment.from_mapping(table)
    result = run(e, tmp_path / "a")
    assert to_json(run(e, tmp_path / "a")) == to_json(result)
    for row in result.results:
        assert row["iterations"][0] == 1
        assert row["iterations"][-1] == 300
        assert row["gradient_norm"][0] > row["gradient_norm"][-1] > 0
        assert all(error >= 0 for error in row["gradient_norm_error"])
        assert all(-1 <= c <= 1 for c in row["cosine"])
    assert [row["micro_batch_size"] for row in result.results] == [8, 1, 32]
    table["run"] = {
        "measure": "hitting",
        "radius": 1.0,
        "iterations": 300,
        "start": 3.0,
    }
    e = Experiment.from_mapping(table)
    row = run(e, tmp_path / "b").results[0]
    assert row["reached"] == row["replicates"] == 32
    assert 1 < row["mean"] < 300
    far = run(replace(e, run=replace(e.run, iterations=5)), None).results[0]
    assert (far["mean"], far["reached"]) == (5.0, 0)


def test_averages_of_runs_without_noise(tmp_path, capsys):
    """SGD on a bowl: ∇f_t = λ(1 - γλ)^t w_0 in each direction, whatever the threads."""
    table = {
        "model": {
            "dimension": 2,
            "curvature": [1.0, 3.0],
            "dragger_fraction": 0.0,
            "noise": {"law": "gaussian", "scale": 1e-12},
            "dragger": {"law": "opposing", "norm": 1.0},
        },
        "algorithm": {"rule": "sgd", "batch_size": 8, "micro_batch_sizes": [8]},
        "run": {
            "measure": "average",
            "steps": [0.2, 0.1],
            "iterations": 20,
            "start": [4.0, 1.0],
            "replicates": 3,
            "precision": "float64",
        },
    }
    e = Experiment.from_mapping(table)
    result = run(e, tmp_path, workers=2)
    assert to_json(run(e, tmp_path)) == to_json(result) == to_json(run(e))
    t = np.arange(20)
    for row, step in zip(result.results, (0.2, 0.1), strict=True):
        norms = np.hypot(4 * (1 - step) ** t, 3 * (1 - 3 * step) ** t)
        assert row["gradient_norm"] == pytest.approx(norms.mean(), rel=1e-9)
        square = pytest.approx((norms**2).mean(), rel=1e-9)
        assert row["squared_gradient_norm"] == square
        assert (
            max(row["gradient_norm_error"], row["squared_gradient_norm_error"]) < 1e-9
        )
        for quantile in row["quantiles"]:
            values = [quantile["value"], *quantile["interval"]]
            assert values == pytest.approx([norms.mean()] * 3, rel=1e-9)
    table["run"]["replicates"] = 10**6 + 1
    with pytest.raises(SpecificationError, match=r"run\.replicates.*at most 1000000"):
        run(Experiment.from_mapping(table))


def test_averages_are_over_single_runs():
    """The mean of 32 runs, its error and their median, from the trajectories."""
    table = SMALL.to_mapping()
    table["algorithm"]["micro_batch_sizes"] = [8]
    table["run"] = {"measure": "average", "iterations": 4, "start": 3.0}
    averages = run(Experiment.from_mapping(table)).results[0]
    table["run"] |= {"measure": "trajectory", "points": 1000}
    paths = run(Experiment.from_mapping(table)).results[0]["gradient_norm"]
    mean = (3.0 + sum(paths[:-1])) / 4  # the last one is that of w_T
    assert averages["gradient_norm"] == pytest.approx(mean, rel=1e-6)
    assert abs(averages["gradient_norm"] / np.mean(paths) - 1) > 0.02
    low, high = averages["quantiles"][0]["interval"]
    assert low < averages["quantiles"][0]["value"] < high
    assert 0 < averages["gradient_norm_error"] < high - low


def test_a_step_has_the_same_result_in_whatever_company():
    one, other = (
        run(replace(SMALL, run=replace(SMALL.run, steps=steps)))
        for steps in ((0.2, 0.1), (0.1, 0.05))
    )
    for first, second in zip(one.results, other.results, strict=True):
        assert [x.step for x in first.at_steps] == [0.2, 0.1]
        assert first.at_steps[1] == second.at_steps[0]
        assert first.at_steps[0].bias != first.at_steps[1].bias


def test_a_schedule_is_run_as_one(tmp_path):
    table = SMALL.to_mapping()
    table["algorithm"] = {"rule": "normalized", "batch_size": 32}
    table["algorithm"]["schedule"] = {"gradient_norm": [[1.0, 1], [0.0, 8]]}
    table["run"] |= {"start": 3.0, "iterations": 400}
    e = Experiment.from_mapping(table)
    result = run(e, tmp_path)
    assert [r.micro_batch_size for r in result.results] == [None]
    assert to_json(run(e, tmp_path)) == to_json(result)


def test_numbers_that_single_precision_cannot_square_are_refused():
    dragger = replace(SMALL.model.dragger, norm=1e20)
    huge = replace(SMALL, model=replace(SMALL.model, dragger=dragger))
    with pytest.raises(
        SpecificationError, match=r"run\.precision = 'float32': must be float64"
    ):
        run(huge)
    assert (
        run(replace(huge, run=replace(huge.run, precision="float64"))).results[0]
        is not None
    )


def test_a_transient_is_noticed(capsys):
    """Start far away: if there is no problem, there is at least a warning."""
    model = replace(SMALL.model, dragger_fraction=0.0)
    algorithm = replace(SMALL.algorithm, rule="sgd", micro_batch_sizes=(32,))
    for start in (4.0, 8.0, 16.0):
        changes = {
            "start": start,
            "iterations": 60,
            "replicates": 64,
            "steps": (0.1, 0.05),
        }
        run(Experiment(model, algorithm, replace(SMALL.run, **changes)))
        assert "not stationary" in capsys.readouterr().err


@pytest.mark.parametrize(
    "measure",
    [
        {"measure": "trajectory"},
        {"measure": "average"},
        {"measure": "hitting", "radius": 1},
    ],
)
def test_divergence_is_said_for_every_measure(measure, capsys):
    table = SMALL.to_mapping()
    table["algorithm"] |= {"rule": "sgd", "micro_batch_sizes": [32]}
    table["run"] = {**measure, "steps": [50.0], "iterations": 400, "start": 5.0}
    result = run(Experiment.from_mapping(table))
    assert "diverged" in capsys.readouterr().err
    assert "null" in to_json(result)


def test_distant_optima_leave_no_rounding_errors():
    """Two domains at 10⁵ in single precision: the bias is that of double precision."""
    noise = {"law": "gaussian", "scale": 0.5}
    table = SMALL.to_mapping()
    table["model"] = {
        "dimension": 1,
        "dragger_fraction": 0.05,
        "dragger": {"law": "persistent", "norm": 5.0, "direction": [1.0]},
        "domains": [
            {"weight": 0.7, "optimum": 1e5, "noise": noise},
            {"weight": 0.3, "optimum": 1e5 + 1, "noise": noise},
        ],
    }
    table["algorithm"] = {
        "rule": "normalized",
        "batch_size": 32,
        "micro_batch_sizes": [4],
    }
    table["run"] = {"steps": [0.02, 0.01], "iterations": 2000, "start": 1e5}
    found = []
    for precision in ("float32", "float64"):
        table["run"]["precision"] = precision
        found.append(run(Experiment.from_mapping(table)).results[0])
    single, double = found
    assert abs(single.bias - double.bias) < 0.02 * double.standard_error


@pytest.mark.parametrize(
    "steps", [(2e-165, 1e-165), (2e-300, 1e-300), (0.1, 1e-76), (1e80, 0.1)]
)
def test_steps_whose_powers_are_no_numbers_are_refused(steps):
    tiny = replace(SMALL, run=replace(SMALL.run, precision="float64", steps=steps))
    with pytest.raises(
        SpecificationError, match=r"run\.steps\[.\] = .*: must be from 1e-75 to 1e"
    ):
        run(tiny)


@pytest.mark.parametrize("steps", [(2e-6, 1e-6), (0.1, 1e-4)])
def test_runs_too_short_to_come_to_rest_are_refused(steps):
    """100 steps of at most 1e-6 of the way each: the record is where the run began."""
    short = replace(SMALL, run=replace(SMALL.run, precision="float64", steps=steps))
    with pytest.raises(SpecificationError, match="does not come to rest"):
        run(short)
    run(replace(short, run=replace(short.run, steps=(0.2, 0.1))))


def test_adam_with_steps_too_short_is_seen_not_to_rest(capsys):
    """Its steps are about as long as their size, whatever the gradient."""
    adam = replace(SMALL.algorithm, optimizer=Optimizer("adam"))
    brief = replace(SMALL.run, precision="float64", steps=(2e-6, 1e-6))
    result = run(replace(SMALL, algorithm=adam, run=brief))
    assert [r.bias for r in result.results] == [None] * 3
    assert capsys.readouterr().err.count("not stationary") == 3


@pytest.mark.parametrize(
    ("precision", "step", "start"),
    [("float64", 1e-70, 0.0), ("float64", 1e-17, 1.0), ("float32", 1e-9, 1.0)],
)
def test_steps_that_move_nothing_give_no_bias(precision, step, start, capsys):
    """Smaller than the iterates' rounding, or so small that rest is far away."""
    changes = {"precision": precision, "steps": (2 * step, step), "start": start}
    algorithm = replace(SMALL.algorithm, rule="normalized", threshold=None)
    result = run(replace(SMALL, algorithm=algorithm, run=replace(SMALL.run, **changes)))
    assert [r.bias for r in result.results] == [None] * 3
    assert result.best.micro_batch_size is None
    assert capsys.readouterr().err.count("not stationary") == 3
