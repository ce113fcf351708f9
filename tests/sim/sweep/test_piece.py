"""Pieces of work that pass several pauses: the same bits, and nothing half passed."""

from dataclasses import replace

import numpy as np
import pytest

import sim.sweep.piece
from analysis.spec.experiment import Experiment
from sim.engines import engine
from sim.engines.state import ARRAYS, start
from sim.engines.workers import Workers
from sim.measures import MEASURES
from sim.presets import presets
from sim.sweep.measure import measure
from sim.sweep.piece import Piece
from sim.sweep.session import Pieces

PRESET = Experiment.load(presets()["sweet_spot"])
HEAVY = {"law": "student-t", "degrees": 3.0, "scale": 1.0}
SIZE = 8
STEP = 0.1
RUNS = {
    "trajectory": {"points": 9, "start": 2.0},
    "bias": {"steps": (0.2, STEP)},
    "average": {"start": 2.0},
    "hitting": {"radius": 1.0, "start": 2.0},
}


def experiment(kind, noise=None):
    model = PRESET.to_mapping()["model"]
    model |= {} if noise is None else {"noise": noise}
    algorithm = {"rule": "adaptive", "batch_size": 32, "micro_batch_sizes": [SIZE]}
    run = {"measure": kind, "iterations": 200, "replicates": 17, **RUNS[kind]}
    return Experiment.from_mapping({"model": model, "algorithm": algorithm, "run": run})


def begun(e):
    """The experiment's measure and its first state."""
    e = e.centred()
    return MEASURES[e.run.measure](e), start(e)


def arrays(state):
    return {name: getattr(state, name).copy() for name in ARRAYS}


def equal(one, other):
    return all(np.array_equal(one[n], other[n], equal_nan=True) for n in ARRAYS)


@pytest.mark.parametrize("noise", [None, HEAVY], ids=["fused", "samples"])
@pytest.mark.parametrize("kind", RUNS)
def test_the_numbers_do_not_depend_on_what_is_passed(kind, noise):
    """Step by step, where nothing is passed, and in pieces as long as they can be."""
    e = experiment(kind, noise)
    expected = measure(e, None, 1, False, pieces=Pieces(0.0))
    for threads in (1, 3):
        assert measure(e, None, threads, False, pieces=Pieces(1e9)) == expected
    other = replace(e, run=replace(e.run, seed=2))
    assert measure(other, None, 1, False, pieces=Pieces(1e9)) != expected


def test_a_long_piece_passes_all_pauses_but_the_last():
    e = experiment("trajectory")
    record, state = begun(e)
    piece = Piece(record, state, 0, 10**9)
    assert piece.end == 200
    assert [*piece.passed, 200] == record.pauses()
    short = Piece(record, state, 1, 10)
    assert short.end == 10
    assert short.passed == tuple(p for p in record.pauses() if 1 < p < 10)


def test_what_is_recorded_stays_the_same_in_a_piece():
    record, state = begun(experiment("bias"))
    burn_in, *batches, end = record.pauses()
    first = Piece(record, state, 0, 10**9)
    assert (first.end, first.passed, first.record) == (burn_in, (), False)
    second = Piece(record, state, burn_in, 10**9)
    assert (second.end, second.passed, second.record) == (end, tuple(batches), True)


def test_copies_have_room(monkeypatch):
    record, state = begun(experiment("trajectory"))
    whole = sum(array.nbytes for array in arrays(state).values())
    read = state.w.nbytes + state.last.nbytes
    pauses = record.pauses()
    for copies in (0, 3):
        monkeypatch.setattr(sim.sweep.piece, "ROOM", whole + copies * read)
        piece = Piece(record, state, 0, 10**9)
        assert piece.passed == tuple(pauses[:copies])
        assert piece.end == pauses[copies]
    monkeypatch.setattr(sim.sweep.piece, "ROOM", 0)
    assert Piece(record, state, 0, 10**9).passed == ()


@pytest.mark.parametrize("change", [{"device": object()}, {"steps": np.arange(17)}])
def test_devices_and_replicates_that_stand_apart_pass_nothing(change):
    record, state = begun(experiment("trajectory"))
    assert Piece(record, state, 0, 10**9).passed
    assert not Piece(record, replace(state, **change), 0, 10**9).passed


@pytest.mark.parametrize("noise", [None, HEAVY], ids=["fused", "samples"])
def test_a_piece_stopped_amid_its_pauses_is_given_up(noise):
    """Before and after it, state and record are what they were; then it is repeated."""
    e = experiment("trajectory", noise)
    stop = np.zeros(1, bool)
    record, state = begun(e)
    untouched = arrays(state)
    seen = []

    class Stopped(Piece):
        """Ctrl-C when some of the replicates pass the fourth pause."""

        def look(self, number, rows):
            super().look(number, rows)
            seen.append(number)
            if number == 3:
                stop[0] = True

    with Workers(2) as workers:
        machine = engine(e.centred(), SIZE, STEP, workers=workers, stop=stop)
        assert not Stopped(record, state, 0, 10**9).work(machine)
        assert 3 in seen
        assert max(seen) < len(record.pauses()) - 2
        assert equal(arrays(state), untouched)
        assert not record.found.any()
        stop[0] = False
        piece = Piece(record, state, 0, 10**9)
        assert piece.work(machine)
    assert piece.reached == 200
    expected, other = begun(e)
    with Workers(1) as workers:
        machine = engine(e.centred(), SIZE, STEP, workers=workers)
        for begin, end in zip([0, *record.pauses()], record.pauses(), strict=False):
            assert Piece(expected, other, begin, end).work(machine)
    assert np.array_equal(record.found, expected.found)
    assert equal(arrays(piece.state), arrays(other))
