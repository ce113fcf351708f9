"""Interrupted runs lose nothing, use nothing half written, give the same numbers."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import sim.sweep.keeper
import sim.sweep.measure
import sim.sweep.session
from analysis.spec.experiment import Experiment
from analysis.spec.optimizer import Optimizer
from sim import run
from sim.engines import engine
from sim.engines.state import ARRAYS, State
from sim.engines.workers import Workers
from sim.sweep.measure import measure
from sim.sweep.store import Store

ROOT = Path(__file__).parents[3]
PRESET = Experiment.load(ROOT / "sim" / "presets" / "sweet_spot.toml")
SMALL = replace(
    PRESET,
    algorithm=replace(PRESET.algorithm, batch_size=32, micro_batch_sizes=(8, 1, 32)),
    run=replace(PRESET.run, iterations=100),
)


def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(tmp_path):
    """Ctrl-C: code 130, one line, no traceback, nothing half written, same numbers."""
    long = replace(SMALL, run=replace(SMALL.run, iterations=2500))
    table = long.to_mapping()
    text = "".join(
        f"[{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in inner.items())
        for name, inner in [
            (
                "model",
                {k: v for k, v in table["model"].items() if not isinstance(v, dict)},
            ),
            ("model.noise", table["model"]["noise"]),
            ("model.dragger", table["model"]["dragger"]),
            (
                "algorithm",
                table["algorithm"] | {"micro_batch_sizes": [32, 16, 8, 4, 2, 1]},
            ),
            ("run", table["run"]),
        ]
    )
    path = tmp_path / "long.toml"
    path.write_text(text)
    command = [
        sys.executable,
        "-m",
        "sim",
        "run",
        str(path),
        "--out",
        str(tmp_path / "out"),
    ]
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


@pytest.mark.parametrize(("stop", "kind"), [(1, None), (40, None), (40, "adam")])
def test_an_unfinished_run_goes_on_where_it_stopped(
    tmp_path, monkeypatch, watched, stop, kind
):
    """Whenever it is stopped, the numbers are the same in the end."""
    optimizer = kind and Optimizer(kind)
    small = replace(SMALL, algorithm=replace(SMALL.algorithm, optimizer=optimizer))
    expected = run(small)
    monkeypatch.setattr(sim.sweep.keeper, "KEEP", -1.0)

    def act(number, variant, progress):
        if number == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(small, tmp_path, 1, False, pieces=watched(act))
    assert list(tmp_path.rglob("*.npz"))
    assert run(small, tmp_path) == expected
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays | {"w": arrays["w"][:16]},
        lambda arrays: arrays | {"sums": arrays["sums"][:, :1]},
        lambda arrays: arrays | {"steps": arrays["steps"] + 10**9},
        lambda arrays: arrays | {"steps": arrays["steps"] - 10**9},
        lambda arrays: arrays | {"w": arrays["w"].astype(np.float64)},
        lambda arrays: {k: v for k, v in arrays.items() if k != "w"},
        lambda arrays: arrays | {"done5": arrays["found"]},
        lambda arrays: {"found": arrays["found"]},
    ],
)
def test_an_unfinished_state_that_does_not_fit_is_not_used(tmp_path, watched, spoil):
    small = replace(SMALL, algorithm=replace(SMALL.algorithm, micro_batch_sizes=(32,)))
    expected, store = run(small), Store(tmp_path / small.name)

    def act(number, variant, progress):
        if number == 10:
            store.write_state(small, 32, spoil(progress.to_arrays()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(small, tmp_path, 1, False, pieces=watched(act))
    assert run(small, tmp_path) == expected


@pytest.mark.parametrize("device", [None, SimpleNamespace(put=np.copy, get=np.copy)])
def test_replicates_that_stand_apart_are_brought_together(
    tmp_path, monkeypatch, watched, device
):
    """As a stop in the middle of a step leaves them; on a device only when they are."""
    small = replace(SMALL, algorithm=replace(SMALL.algorithm, micro_batch_sizes=(32,)))
    expected = run(small)
    store = Store(tmp_path / small.name)
    places = []
    centred = small.centred()

    def act(number, variant, progress):
        if number == 10:
            some = State(*(getattr(progress.state, name)[:9] for name in ARRAYS))
            with Workers(1) as workers:
                machine = engine(centred, variant, small.run.steps[0], workers=workers)
                machine.advance(some, progress.steps, progress.steps + 3, False)
            assert np.ptp(progress.state.steps) == 3
            store.write_state(small, 32, progress.to_arrays())
            raise KeyboardInterrupt

    def placed(experiment, variant, step, *, workers, device, stop):
        places.append(device)
        return engine(experiment, variant, step, workers=workers, stop=stop)

    with pytest.raises(KeyboardInterrupt):
        measure(small, tmp_path, 1, False, pieces=watched(act))
    monkeypatch.setattr(sim.sweep.session, "engine", placed)
    monkeypatch.setattr(
        sim.sweep.measure, "resolve", lambda backend: "cuda" if device else "cpu"
    )
    monkeypatch.setattr(sim.sweep.measure, "Device", lambda: device)
    assert run(small, tmp_path) == expected
    assert places == ([None, device, device] if device else [None, None])
