"""What is recorded at single step sizes is what a run is estimated from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.spec.algorithm import Run
from analysis.spec.experiment import Experiment
from sim.results import measured
from sim.sweep.measure import measure
from sim.sweep.recording import recording

ROOT = Path(__file__).parents[3]
PRESET = Experiment.load(ROOT / "sim" / "presets" / "sweet_spot.toml")
SIZE = 8


def experiment(measure="bias", steps=(0.2, 0.1), **run):
    algorithm = replace(PRESET.algorithm, batch_size=32, micro_batch_sizes=(SIZE,))
    return replace(
        PRESET,
        algorithm=algorithm,
        run=Run(measure, steps, iterations=60, replicates=32, **run),
    )


@pytest.mark.parametrize(
    "run",
    [
        {"measure": "bias"},
        {"measure": "trajectory", "steps": (0.2,)},
        {"measure": "average", "steps": (0.2, 0.4)},
        {"measure": "hitting", "steps": (0.2,), "radius": 1.0, "start": 2.0},
    ],
    ids=lambda run: run["measure"],
)
def test_a_run_is_estimated_from_its_recordings(run):
    """Also where the runs end early, because all have hit."""
    e = experiment(**run)
    recordings = [recording(e, SIZE, step) for step in e.run.steps]
    assert measured(e, recordings) == measure(e, None, 1, False, backend="cpu")[SIZE]


def test_threads_and_the_steps_of_the_experiment_have_no_influence():
    expected = recording(experiment(steps=(0.2, 0.1)), SIZE, 0.1)
    other = recording(experiment(steps=(0.4, 0.3)), SIZE, 0.1, threads=3)
    np.testing.assert_array_equal(other, expected)
    assert np.ptp(recording(experiment(), SIZE, 0.3) - expected) > 0
