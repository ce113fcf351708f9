"""Engines stopped amid their work: nothing is lost, nothing done twice."""

import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.sampled import LARGEST
from sim.engines.state import ARRAYS, start
from sim.engines.workers import Workers
from sim.presets import presets
from sim.sweep.interrupt import Interrupt

NORMAL = {"law": "gaussian", "scale": 1.0}
HEAVY = {"law": "student-t", "degrees": 3.0, "scale": 1.0}


GAMMA = {"law": "gamma", "shape": 0.5, "scale": 1.0, "sign": 1, "gaussian": 0.3}


def experiment(noise=NORMAL, d=4, B=2**16, b=1, replicates=12, **run):
    model = {"dimension": d, "dragger_fraction": 0.01, "noise": noise}
    model["dragger"] = {"law": "opposing", "norm": 5.0}
    algorithm = {"rule": "adaptive", "batch_size": B, "micro_batch_sizes": [b]}
    if "optimizer" in run:
        algorithm["optimizer"] = {"kind": run.pop("optimizer")}
    table = {"replicates": replicates, "start": 1.0, **run}
    return Experiment.from_mapping(
        {"model": model, "algorithm": algorithm, "run": table}
    )


def stopped_after(seconds, machine, stop, state, end):
    """Advance from 0 to `end`, stopped after that time; processor seconds since."""
    asked = []

    def ask():
        stop[0] = True
        asked.append(time.process_time())

    timer = threading.Timer(seconds, ask)
    timer.start()
    machine.advance(state, 0, end, True)
    ended = time.process_time()
    timer.join()
    return ended - asked[0]


CASES = {
    "fused": (experiment(), 20),
    "wide": (experiment(d=512, B=512), 80),
    "hitting": (experiment(measure="hitting", radius=0.5), 20),
    "samples": (experiment(HEAVY, B=256), 40),
    "adam": (experiment(optimizer="adam"), 8),
    "samples, momentum": (experiment(HEAVY, B=256, optimizer="momentum"), 40),
    "two_layer": (Experiment.load(presets()["two_layer"]), 60),
}


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_piece_goes_on_to_the_same_numbers(name):
    """Whatever the replicates had done, with other threads and other pieces."""
    e, end = CASES[name]
    b = e.algorithm.sizes[0]
    step = 0.1
    stop = np.zeros(1, bool)
    whole = start(e)
    cut = start(e)
    with Workers(2) as workers, Workers(3) as other:
        engine(e, b, step, workers=workers).advance(whole, 0, end, True)
        stopped_after(
            0.02, engine(e, b, step, workers=workers, stop=stop), stop, cut, end
        )
        assert 0 <= cut.steps.min() < end
        assert not np.array_equal(cut.w, whole.w)
        begin = int(cut.steps.min())
        middle = max(begin + 1, int(cut.steps.max()) - 1)
        for low, high in [(begin, middle), (middle, end)]:
            engine(e, b, step, workers=other).advance(cut, low, high, True)
    for array in ARRAYS:
        assert np.array_equal(
            getattr(whole, array), getattr(cut, array), equal_nan=True
        ), array


@pytest.mark.parametrize(
    "e",
    [
        experiment(B=2**26, d=1, replicates=2),
        experiment(GAMMA, B=2**24),
        experiment(B=256, d=2**18, replicates=32, start=0.0),
        experiment(HEAVY, B=LARGEST, d=1, replicates=4),
    ],
)
def test_engines_stop_within_a_second(e):
    """In the middle of a step that takes many times as long, on two threads."""
    stop = np.zeros(1, bool)
    with Workers(2) as workers:
        machine = engine(e, 1, 0.1, workers=workers, stop=stop)
        state = start(e)
        assert stopped_after(0.1, machine, stop, state, 1000) < 2
        assert state.steps.min() < 1000


def test_nothing_is_done_once_stopped():
    e = replace(experiment(B=64))
    with Workers(1) as workers:
        state, before = start(e), start(e)
        engine(e, 1, 0.1, workers=workers, stop=np.ones(1, bool)).advance(
            state, 0, 1000, True
        )
    for array in ARRAYS:
        assert np.array_equal(
            getattr(state, array), getattr(before, array), equal_nan=True
        )


def test_the_first_time_asks_the_second_interrupts(capsys):
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        assert interrupt.stop[0]
        assert not interrupt.insisted
        with interrupt.announced("wait"):
            assert capsys.readouterr().err == "wait\n"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupt.insisted
    assert signal.getsignal(signal.SIGINT) is before
    with Interrupt() as interrupt, interrupt.announced("wait"):
        assert capsys.readouterr().err == ""
        signal.raise_signal(signal.SIGINT)
        assert capsys.readouterr().err == "wait\n"


def test_at_once_it_interrupts_the_first_time():
    with (
        Interrupt() as interrupt,
        pytest.raises(KeyboardInterrupt),
        interrupt.at_once(),
    ):
        signal.raise_signal(signal.SIGINT)
    assert interrupt.asked
    assert not interrupt.insisted
    assert interrupt.stop[0]
