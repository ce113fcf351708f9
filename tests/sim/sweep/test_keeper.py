"""What is kept of an unfinished run, how often, and what is said of it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import sim.sweep.keeper
import sim.sweep.session
from analysis.spec.experiment import Experiment
from sim import run
from sim.presets import presets
from sim.sweep.measure import measure
from sim.sweep.session import Pieces
from sim.sweep.store import Store

PRESET = Experiment.load(presets()["sweet_spot"])
SMALL = replace(
    PRESET,
    algorithm=replace(PRESET.algorithm, batch_size=32, micro_batch_sizes=(8, 32)),
    run=replace(PRESET.run, iterations=400),
)


@pytest.fixture
def ask(watched):
    """Ctrl-C after so many pieces of the second size, which is 8."""

    def after(pieces):
        def act(number, variant, progress):
            if variant == 8 and number == pieces:
                signal.raise_signal(signal.SIGINT)

        return watched(act)

    return after


def message(tmp_path, pieces):
    with pytest.raises(KeyboardInterrupt) as interrupt:
        measure(SMALL, tmp_path, 1, False, pieces=pieces)
    return str(interrupt.value)


def failing(monkeypatch, error):
    def write(store, *arguments):
        raise error

    monkeypatch.setattr(Store, "write_state", write)


FULL = OSError(28, "No space left on device", "results")


def test_what_is_done_is_kept(tmp_path, ask):
    expected = run(SMALL)
    said = message(tmp_path, ask(5))
    assert said == f"What is done is in {tmp_path / SMALL.name}; run again to go on."
    assert (
        len(list(tmp_path.rglob("*.npz"))) == len(list(tmp_path.rglob("*.json"))) == 1
    )
    assert run(SMALL, tmp_path) == expected


def test_without_a_folder_nothing_is_said(ask):
    assert message(None, ask(5)) == ""


def test_before_the_first_step_there_is_nothing_to_keep(tmp_path, monkeypatch):
    """Ctrl-C while the engine is compiled interrupts at once."""

    def slow(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("not interrupted")

    monkeypatch.setattr(sim.sweep.session, "engine", slow)
    assert message(tmp_path, Pieces()).startswith("Nothing was begun")
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize("error", [FULL, MemoryError()])
def test_a_state_that_cannot_be_kept_is_said_to_be_lost(
    tmp_path, ask, monkeypatch, error, capsys
):
    failing(monkeypatch, error)
    reason = "No space left" if error is FULL else "not enough memory"
    text = message(tmp_path, ask(5))
    assert text.startswith("1 of 2 sizes are in")
    assert reason in text
    assert capsys.readouterr().err == ""


def test_asked_again_while_the_state_is_written(tmp_path, ask, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    said = message(tmp_path, ask(5))
    assert "not the state of the next one (interrupted again)" in said


def test_an_older_state_is_said_to_be_old(tmp_path, watched, monkeypatch):
    monkeypatch.setattr(sim.sweep.keeper, "KEEP", -1.0)
    monkeypatch.setattr(sim.sweep.keeper, "SHARE", 0)
    clock = [0.0]
    monkeypatch.setattr(
        sim.sweep.keeper, "time", SimpleNamespace(monotonic=lambda: clock[0])
    )
    whole = Store.write_state

    def write(store, *arguments):
        if clock[0] > 0:
            raise FULL
        if arguments[1] == 8:
            whole(store, *arguments)

    monkeypatch.setattr(Store, "write_state", write)

    def act(number, variant, progress):
        if variant == 8 and number == 3:
            clock[0] = 40.0
        if variant == 8 and number == 5:
            signal.raise_signal(signal.SIGINT)

    said = message(tmp_path, watched(act))
    assert said.startswith("What was done 40 seconds ago is in")


def test_results_that_were_deleted_are_not_said_to_be_there(tmp_path, ask, monkeypatch):
    finish = sim.sweep.keeper.Keeper.finish

    def deleted(keeper, result):
        finish(keeper, result)
        for path in tmp_path.rglob("*.json"):
            path.unlink()
        path.parent.rmdir()

    monkeypatch.setattr(sim.sweep.keeper.Keeper, "finish", deleted)
    failing(monkeypatch, FULL)
    assert message(tmp_path, ask(5)).startswith("Nothing was kept in")


def test_a_run_whose_state_cannot_be_kept_goes_on(tmp_path, monkeypatch, capsys):
    """It is said once for each size, not after every piece of work."""
    monkeypatch.setattr(sim.sweep.keeper, "KEEP", -1.0)
    monkeypatch.setattr(sim.sweep.keeper, "SHARE", 0)
    failing(monkeypatch, FULL)
    pieces = Pieces(0.0)
    assert measure(SMALL, tmp_path, 1, False, pieces=pieces) == measure(
        SMALL, None, 1, False
    )
    errors = capsys.readouterr().err.splitlines()
    assert [
        ("cannot be kept" in line, "No space left" in line) for line in errors[:2]
    ] == [(True, True)] * 2
    assert sum("cannot be kept" in line for line in errors) == 2


def test_a_state_that_takes_long_to_write_is_written_seldom(tmp_path, monkeypatch):
    """At most one second in twenty-one goes into it."""
    clock = [0.0]
    written = []

    def write(store, *arguments):
        clock[0] += 12.0
        written.append(clock[0])

    monkeypatch.setattr(
        sim.sweep.keeper, "time", SimpleNamespace(monotonic=lambda: clock[0])
    )
    monkeypatch.setattr(Store, "write_state", write)
    keeper = sim.sweep.keeper.Keeper(Store(tmp_path), SMALL, SMALL, 8)
    keeper.progress.done.append(np.zeros(1))
    interrupt = sim.sweep.keeper.Interrupt()
    while clock[0] < 5000:
        clock[0] += 1.0
        keeper.keep_if_due(interrupt)
    assert 12.0 * len(written) <= 5000 / 20
    assert len(written) >= 5000 // 253 - 1


WIDE = """
import sys
from analysis.spec.experiment import Experiment
from sim.__main__ import main
sys.exit(main(["run", sys.argv[1], "--out", sys.argv[2]]))
"""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("dimension", "batch_size", "replicates"),
    [(2**18, 256, 256), (1, 2**26, 32), (2, 16, 2**25)],
)
def test_ctrl_c_is_answered_while_a_step_takes_minutes(
    tmp_path, dimension, batch_size, replicates, record_property
):
    """By an end, or a notice that a large state is written, which the next leaves."""
    path = tmp_path / "wide.toml"
    path.write_text(
        "[model]\n"
        f"dimension = {dimension}\n"
        "dragger_fraction = 0.01\n"
        'noise = {law = "gaussian", scale = 1.0}\n'
        'dragger = {law = "opposing", norm = 5.0}\n'
        "[algorithm]\n"
        'rule = "adaptive"\n'
        f"batch_size = {batch_size}\n"
        "micro_batch_sizes = [1]\n"
        "[run]\n"
        f"replicates = {replicates}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", WIDE, str(path), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(20)
    waits = []
    for _ in range(2):
        began = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        line = process.stderr.readline()
        waits.append(time.monotonic() - began)
        if "Ctrl-C: leave it" not in line:
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in line
    assert rest == ""
    assert max(waits) < 5
    what = (
        f"milliseconds to answer Ctrl-C, d = {dimension}, B = "
        f"{batch_size}, R = {replicates}"
    )
    record_property("soak", {"what": what, "count": round(1000 * max(waits))})
