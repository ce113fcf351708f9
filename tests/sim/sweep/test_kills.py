"""A run that is killed again and again, at random moments, ends with the same numbers.

The process keeps its state after every piece of work, so that many kills meet a file
half written.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.spec.experiment import Experiment
from sim import run
from sim.presets import presets

ROOT = Path(__file__).parents[3]
KILLS = 40
PROGRAM = """
import json, sys
import sim.engines.cpu.engine, sim.sweep.keeper
from analysis.spec.experiment import Experiment
from sim.sweep.measure import measure
from sim.sweep.session import Pieces
sim.sweep.keeper.KEEP, sim.sweep.keeper.SHARE = -1.0, 0
experiment = Experiment.from_mapping(json.load(sys.stdin), name="killed")
print("ready", flush=True)
measure(experiment, sys.argv[1], 2, False, pieces=Pieces(0.002))
"""


def small(iterations):
    preset = Experiment.load(presets()["sweet_spot"])
    algorithm = replace(preset.algorithm, batch_size=32, micro_batch_sizes=(8, 1, 32))
    return replace(
        preset,
        algorithm=algorithm,
        run=replace(preset.run, iterations=iterations),
        name="killed",
    )


@pytest.mark.soak
def test_killed_runs_end_with_the_same_numbers(tmp_path, record_property):
    """SIGKILL, each third time Ctrl-C: what is kept is used or refused, never wrong."""
    experiment, rng = small(60_000), random.Random(1)
    text = json.dumps(experiment.to_mapping())
    kept = 0
    met = 0
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        process.stdin.write(text)
        process.stdin.close()
        assert process.stdout.readline() == "ready\n"
        # every other time until there is a state
        patience = time.monotonic() + 10 * (kill % 2)
        while not list(tmp_path.rglob("*.npz")) and time.monotonic() < patience:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.4))
        met += process.poll() is None
        os.kill(process.pid, signal.SIGKILL if kill % 3 else signal.SIGINT)
        process.wait(timeout=60)
        kept += bool(list(tmp_path.rglob("*.npz")))
    record_property("soak", {"what": "kills of a process at work", "count": met})
    record_property(
        "soak", {"what": "of them with an unfinished state on disk", "count": kept}
    )
    assert min(met, kept) > KILLS / 3
    assert run(experiment, tmp_path, progress=False) == run(experiment, progress=False)
    assert not list(tmp_path.rglob("*.npz"))
