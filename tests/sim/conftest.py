"""A small model for each problem and law, shared by tests of problems and engine."""

import pytest

from analysis.spec.experiment import Experiment
from sim.problems import build
from sim.random import philox
from sim.random.addresses import Draws

DIMENSION = 3
BOWL = {"dimension": DIMENSION, "curvature": [0.5, 1.0, 2.0]}
NORMAL = {"law": "gaussian", "scale": 0.7}
RARE = {"law": "rare", "probability": 0.3, "value": 2.0, "gaussian": 0.5}
GAMMA = {"law": "gamma", "shape": 0.7, "scale": 1.5, "sign": -1, "gaussian": 0.5}
HEAVY = {"law": "student-t", "degrees": 9.0, "scale": 1.3}
PUSH = {"law": "persistent", "norm": 4.0, "direction": [-1.0, 0.5, 0.0]}
DOMAINS = [
    {"weight": 0.5, "optimum": [1.0, 0.0, 0.0], "noise": RARE},
    {"weight": 0.3, "optimum": [0.0, -2.0, 0.0], "noise": HEAVY},
    {"weight": 0.2, "optimum": [0.5, 0.0, 3.0], "noise": GAMMA},
]
LINEAR = {
    "dimension": DIMENSION,
    "spectrum": [2.0, 1.0, 0.3],
    "optimum": [1.0, -1.0, 2.0],
    "noise": 0.5,
}
LOGISTIC = {"mean": [0.8, -0.5], "positive_fraction": 0.3, "leverage": 3.0}
LAYERS = {"inputs": 4, "hidden": 3, "teacher": 2, "teacher_norm": 1.5, "noise": 0.3}
MODELS = {
    "quadratic": {**BOWL, "noise": NORMAL, "dragger": PUSH},
    "rare": {**BOWL, "noise": RARE, "dragger": PUSH},
    "gamma": {**BOWL, "noise": GAMMA, "dragger": {**PUSH, "law": "orthogonal"}},
    "student-t": {**BOWL, "noise": HEAVY, "dragger": {**PUSH, "law": "additive"}},
    "nonconvex": {
        **BOWL,
        "problem": "nonconvex",
        "nonconvex": {"amplitude": 0.6, "frequency": 3.0},
        "noise": NORMAL,
        "dragger": {"law": "opposing", "norm": 2.0},
    },
    "domains": {
        **BOWL,
        "domains": DOMAINS,
        "dragger": {"law": "isotropic", "norm": 4.0},
    },
    "linear_regression": {"linear_regression": LINEAR | {"magnitude": 2.0}},
    "constant": {
        "linear_regression": LINEAR | {"magnitude": 5.0, "corruption": "constant"}
    },
    "data": {"linear_regression": LINEAR | {"magnitude": 2.0, "samples": 40}},
    "logistic_regression": {"logistic_regression": LOGISTIC},
    "two_layer": {"two_layer": LAYERS | {"magnitude": 2.0}},
}


def _experiment(name, pure=False, algorithm=None, run=None, **model):
    table = {"dragger_fraction": 0.2, **MODELS[name], **model}
    for problem in ("linear_regression", "logistic_regression", "two_layer"):
        if problem in table:
            table["problem"] = problem
    rule = {
        "rule": "sgd",
        "batch_size": 12,
        "micro_batch_sizes": [3],
        **(algorithm or {}),
    }
    if pure:
        rule["domains"] = "pure"
    return Experiment.from_mapping(
        {"model": table, "algorithm": rule, "run": run or {}}
    )


@pytest.fixture
def experiment():
    """The experiment of that name, some keys of its tables replaced."""
    return _experiment


@pytest.fixture
def problem():
    """The problem of that name, some keys of its model replaced."""
    return lambda name, **keys: build(_experiment(name, **keys))


@pytest.fixture
def draws():
    """The random numbers of some replicates in iteration 7."""
    return lambda replicates=range(1): Draws(philox.key(5, 3, 0.1), replicates, 7)
