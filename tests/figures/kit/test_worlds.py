"""Worlds: the specifications that they stand for, written out."""

import pytest

from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from figures.kit import worlds
from sim.presets import presets

NOISE = {"law": "gamma", "shape": 1.0, "scale": 1.0, "sign": 1.0, "gaussian": 0.0}


def test_an_experiment_on_a_line():
    model = worlds.line_model(dragger_fraction=0.01, noise=NOISE, dragger_norm=5.0)
    run = {"steps": [0.2, 0.1], "replicates": 32}
    given = worlds.experiment(
        "name", model, run, rule="fixed", batch_size=32, sizes=(4, 8), threshold=0.5
    )
    dragger = {"law": "persistent", "norm": 5.0, "direction": [-1.0]}
    tables = {
        "model": {
            "dimension": 1,
            "dragger_fraction": 0.01,
            "noise": NOISE,
            "dragger": dragger,
        },
        "algorithm": {
            "rule": "fixed",
            "batch_size": 32,
            "micro_batch_sizes": [4, 8],
            "threshold": 0.5,
        },
        "run": run,
    }
    assert given == Experiment.from_mapping(tables, name="name")


def test_the_other_direction():
    model = worlds.line_model(
        dragger_fraction=0.01, noise=NOISE, dragger_norm=5.0, direction=1.0
    )
    assert model["dragger"]["direction"] == [1.0]


def test_the_same_total_noise_in_every_dimension():
    at = {"dragger_fraction": 0.01, "noise_scale": 2.0, "dragger_norm": 20.0}
    for dimension in (1, 64):
        model = worlds.isotropic(dimension, **at)
        run = {"steps": [0.2, 0.1]}
        e = worlds.experiment("x", model, run, rule="sgd", batch_size=8, sizes=[8])
        assert e.gradient_model.noise_scale() == pytest.approx(2.0)
        assert e.gradient_model.dimension == dimension


def test_a_variant_changes_what_it_names():
    first = worlds.worked_law()
    assert first == Experiment.load(presets()["sweet_spot"])
    other = worlds.variant(first, "other", {"replicates": 7}, micro_batch_sizes=(2,))
    tables = first.to_mapping()
    tables["run"]["replicates"] = 7
    tables["algorithm"]["micro_batch_sizes"] = [2]
    assert other == Experiment.from_mapping(tables, name="other")


def test_what_a_file_may_not_hold():
    model = worlds.line_model(dragger_fraction=2.0, noise=NOISE, dragger_norm=5.0)
    with pytest.raises(SpecificationError, match="dragger_fraction"):
        worlds.experiment("x", model, {}, rule="sgd", batch_size=8, sizes=[8])
