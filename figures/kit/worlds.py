"""Models that several figures share, and experiments on them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis.spec.experiment import Experiment
from sim.presets import presets

Table = dict[str, Any]  # a table of an experiment's TOML file


def worked_law() -> Experiment:
    """The preset sweet_spot: rare useful samples one way, draggers the other."""
    return Experiment.load(presets()["sweet_spot"])


def line_model(
    *,
    dragger_fraction: float,
    noise: Mapping[str, Any],
    dragger_norm: float,
    direction: float = -1.0,
) -> Table:
    """One dimension, draggers that all have the gradient `direction · dragger_norm`.

    `noise` is the table model.noise; `direction` is 1 or -1.
    """
    return {
        "dimension": 1,
        "dragger_fraction": dragger_fraction,
        "noise": dict(noise),
        "dragger": {
            "law": "persistent",
            "norm": dragger_norm,
            "direction": [direction],
        },
    }


def isotropic(
    dimension: int, *, dragger_fraction: float, noise_scale: float, dragger_norm: float
) -> Table:
    """Gaussian noise of one total size in d dimensions, draggers along the diagonal."""
    return {
        "dimension": dimension,
        "dragger_fraction": dragger_fraction,
        "noise": {"law": "gaussian", "scale": noise_scale},
        "dragger": {"law": "persistent", "norm": dragger_norm, "direction": -1.0},
    }


def variant(
    experiment: Experiment, name: str, run: Mapping[str, Any], **algorithm: Any
) -> Experiment:
    """The experiment with another name, and other entries of its run and algorithm."""
    return replace(
        experiment,
        name=name,
        run=replace(experiment.run, **run),
        algorithm=replace(experiment.algorithm, **algorithm),
    )


def experiment(
    name: str,
    model: Mapping[str, Any],
    run: Mapping[str, Any],
    *,
    rule: str,
    batch_size: int,
    sizes: Sequence[int],
    **algorithm: Any,
) -> Experiment:
    """The rule on the model, at the micro-batch sizes; tables as in a TOML file.

    `algorithm` are further entries of that table, such as threshold. Raises
    SpecificationError for what such a file may not hold.
    """
    tables = {
        "model": dict(model),
        "algorithm": {
            "rule": rule,
            "batch_size": batch_size,
            "micro_batch_sizes": list(sizes),
            **algorithm,
        },
        "run": dict(run),
    }
    return Experiment.from_mapping(tables, name=name)
