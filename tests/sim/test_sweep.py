"""Runs: the same numbers whatever the workers, resumable, and never mixed up."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim.sweep
from analysis.command import to_json
from analysis.fields import SpecificationError
from analysis.model import Experiment
from sim import run
from sim.store import Store

ROOT = Path(__file__).parents[2]
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
    monkeypatch.setattr(sim.sweep, "engine", lambda *arguments: calls.append(arguments))
    assert run(SMALL, tmp_path) == expected
    fewer = replace(SMALL, algorithm=replace(SMALL.algorithm, micro_batch_sizes=(1,)))
    assert run(fewer, tmp_path).results[0] == expected.results[1]
    assert not calls


def test_another_specification_gets_its_own_files(tmp_path):
    run(SMALL, tmp_path)
    before = set(tmp_path.rglob("*.json"))
    run(replace(SMALL, run=replace(SMALL.run, seed=2)), tmp_path)
    assert len(set(tmp_path.rglob("*.json"))) == 2 * len(before) == 6


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace('"norm": 20.0', '"norm": 21.0'), "another specification"),
        (lambda text: text.replace('"degrees"', '"freedom"'), "another specification"),
        (lambda text: text.replace('"squared": 0.', '"squared": 1.'), "or was changed"),
        (lambda text: text[:100], "cannot be read"),
        (lambda text: "[]", "another specification"),
    ],
)
def test_a_file_that_does_not_match_is_refused(tmp_path, damage, message):
    run(SMALL, tmp_path)
    path = Store(tmp_path / SMALL.name).path(SMALL, 8)
    path.write_text(damage(path.read_text()))
    with pytest.raises(SpecificationError, match=message):
        run(SMALL, tmp_path)


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
    assert "not at rest" in capsys.readouterr().err


def test_draggers_that_win_are_not_the_best(capsys):
    """Six samples in ten are draggers: the iterates run away, in proportion to the step."""
    model = replace(SMALL.model, dragger_fraction=0.6)
    algorithm = replace(SMALL.algorithm, rule="normalized", micro_batch_sizes=(1, 2))
    result = run(replace(SMALL, model=model, algorithm=algorithm))
    assert [r.bias for r in result.results] == [None, None]
    assert result.best.confidence_set == []
    assert capsys.readouterr().err.count("not at rest") == 2


def test_a_diverged_result_is_stored_and_read_back(tmp_path):
    wild = replace(SMALL, run=replace(SMALL.run, steps=(5000.0, 6000.0), iterations=1000))
    wild = replace(wild, algorithm=replace(SMALL.algorithm, rule="sgd"))
    assert to_json(run(wild, tmp_path)) == to_json(run(wild, tmp_path))


def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(tmp_path):
    """Ctrl-C: exit code 130, one line, no traceback, nothing half written, the same numbers."""
    long = replace(SMALL, run=replace(SMALL.run, iterations=2500))
    table = long.to_mapping()
    text = "".join(
        f"[{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in inner.items())
        for name, inner in [
            ("model", {k: v for k, v in table["model"].items() if not isinstance(v, dict)}),
            ("model.noise", table["model"]["noise"]),
            ("model.dragger", table["model"]["dragger"]),
            ("algorithm", table["algorithm"] | {"micro_batch_sizes": [32, 16, 8, 4, 2, 1]}),
            ("run", table["run"]),
        ]
    )
    path = tmp_path / "long.toml"
    path.write_text(text)
    command = [sys.executable, "-m", "sim", "run", str(path), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a background job ignores it
    )
    folder = tmp_path / "out" / "long"
    deadline = time.monotonic() + 60
    while not list(folder.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.count("\n") == 1
    assert "run again to go on" in errors
    assert 0 < len(list(folder.glob("*.json"))) < 6
    assert not list(folder.glob("*.part"))
    again = run(Experiment.load(path), tmp_path / "out")
    assert again == run(Experiment.load(path))


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
    keys = {"micro_batch_size", "bias", "standard_error", "interval"}
    assert all(set(r) == keys and len(r["interval"]) == 2 for r in printed["results"])
    assert all(np.isfinite(r["bias"]) for r in printed["results"])


def test_trajectories_and_hitting_times(tmp_path):
    """The two other measures: their keys, their errors, and that they can be read back."""
    table = SMALL.to_mapping()
    table["run"] = {"measure": "trajectory", "steps": [0.1], "iterations": 300, "start": 3.0}
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
    table["run"] = {"measure": "hitting", "radius": 1.0, "iterations": 300, "start": 3.0}
    e = Experiment.from_mapping(table)
    row = run(e, tmp_path / "b").results[0]
    assert row["reached"] == row["replicates"] == 32
    assert 1 < row["mean"] < 300
    far = run(replace(e, run=replace(e.run, iterations=5)), None).results[0]
    assert (far["mean"], far["reached"]) == (5.0, 0)


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
    with pytest.raises(SpecificationError, match=r"run\.precision = 'float32': must be float64"):
        run(huge)
    assert run(replace(huge, run=replace(huge.run, precision="float64"))).results[0] is not None


def test_an_unfinished_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Whenever it is stopped, the numbers are the same in the end."""
    expected = run(SMALL)
    monkeypatch.setattr(sim.sweep, "CHUNK", 0.0)
    monkeypatch.setattr(sim.sweep, "KEEP", -1.0)
    whole = sim.sweep._advance
    for stop in (1, 40):

        def stopped(*arguments, stop=stop):
            for i, steps in enumerate(whole(*arguments)):
                yield steps
                if i == stop:
                    raise KeyboardInterrupt

        monkeypatch.setattr(sim.sweep, "_advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(SMALL, tmp_path / str(stop))
        assert list((tmp_path / str(stop)).rglob("*.npz"))
        monkeypatch.setattr(sim.sweep, "_advance", whole)
        assert run(SMALL, tmp_path / str(stop)) == expected
        assert not list((tmp_path / str(stop)).rglob("*.npz"))
