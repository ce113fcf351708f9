"""A whole run through the GPU's engine, its device emulated: as on the CPU."""

import pytest

from analysis.spec.experiment import Experiment
from sim import run

TABLE = {
    "model": {
        "dimension": 2,
        "dragger_fraction": 0.1,
        "noise": {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.3},
        "dragger": {"law": "persistent", "norm": 20.0, "direction": [-1.0, 0.0]},
    },
    "algorithm": {"rule": "adaptive", "batch_size": 16, "micro_batch_sizes": [4]},
    "run": {"iterations": 600, "replicates": 4, "precision": "float64"},
}


def test_the_same_bias(host_device, monkeypatch):
    experiment = Experiment.from_mapping(TABLE)
    [expected] = run(experiment, backend="cpu").results
    used = []
    monkeypatch.setattr("sim.sweep.measure.resolve", lambda backend: "cuda")
    monkeypatch.setattr(
        "sim.sweep.measure.Device", lambda: used.append(True) or host_device
    )
    [found] = run(experiment).results
    assert used
    assert found.bias == pytest.approx(expected.bias, rel=1e-9)
    assert found.interval == pytest.approx(expected.interval, rel=1e-9)
