"""Problems simulated sample by sample: what a file may say, what theory says."""

import copy
import math
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from analysis.advice.table import bias_table
from analysis.rest.stable import exact_bias
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from analysis.spec.learning import LearningModel

NORMAL = {"law": "gaussian", "scale": 1.0}
PUSH = {"law": "persistent", "norm": 3.0, "direction": [1.0, 0.0]}
GOOD = {
    "quadratic": {"dimension": 2, "noise": NORMAL, "dragger": PUSH},
    "student-t": {
        "dimension": 2,
        "noise": {"law": "student-t", "degrees": 3.0, "scale": 1.0},
        "dragger": PUSH,
    },
    "nonconvex": {
        "problem": "nonconvex",
        "dimension": 2,
        "nonconvex": {"amplitude": 0.5, "frequency": 2.0},
        "noise": NORMAL,
        "dragger": PUSH,
    },
    "domains": {
        "problem": "domains",
        "dimension": 2,
        "domains": [{"weight": 1.0, "optimum": [1.0, 0.0], "noise": NORMAL}],
        "dragger": PUSH,
    },
    "linear": {
        "problem": "linear_regression",
        "linear_regression": {
            "dimension": 2,
            "noise": 1.0,
            "samples": 10,
            "spectrum": [1.0, 2.0],
        },
        "dragger": PUSH,
    },
    "logistic": {
        "problem": "logistic_regression",
        "logistic_regression": {"mean": [1.0, 0.0]},
    },
    "layers": {
        "problem": "two_layer",
        "two_layer": {"inputs": 4, "hidden": 3, "teacher": 2},
    },
}
ABSENT = object()


def experiment(name, **changes):
    """The experiment of that name; keys of the model, with dots as __, replaced."""
    model = copy.deepcopy({"dragger_fraction": 0.1, **GOOD[name]})
    for path, value in changes.items():
        *parents, last = path.split("__")
        table = model
        for parent in parents:
            table = table.setdefault(parent, {})
        if value is ABSENT:
            del table[last]
        else:
            table[last] = value
    algorithm = {"rule": "normalized", "batch_size": 8, "micro_batch_sizes": [2]}
    return Experiment.from_mapping({"model": model, "algorithm": algorithm})


@pytest.mark.parametrize("name", GOOD)
def test_round_trip(name):
    found = experiment(name)
    assert Experiment.from_mapping(found.to_mapping()) == found
    assert found.model.dimension == {"logistic": 3, "layers": 12}.get(name, 2)


def test_defaults():
    assert experiment("quadratic", problem="quadratic") == experiment("quadratic")
    assert experiment("domains", problem=ABSENT) == experiment("domains")
    found = experiment("layers").model
    assert isinstance(found, LearningModel)
    assert found.dragger.law == "corrupted"
    assert experiment("layers", dragger={}) == experiment(
        "layers", dragger={"law": "corrupted"}
    )


def test_draggers_may_be_active_for_a_while():
    for name, law in (("quadratic", "persistent"), ("logistic", "corrupted")):
        for active in ({"gradient_norm": [0.5, 2]}, {"iterations": [0, 10]}):
            found = experiment(name, dragger__active=active)
            assert found.model.dragger.law == law
            assert Experiment.from_mapping(found.to_mapping()) == found
    forever = experiment(
        "quadratic", dragger__active={"gradient_norm": [0.5, math.inf]}
    )
    assert forever.model.dragger.active.gradient_norm == (0.5, sys.float_info.max)


OPPOSING = {"law": "opposing", "norm": 1.0}
BAD = [
    (
        "quadratic",
        {"problem": "cubic"},
        "model.problem = 'cubic': must be one of quadratic, nonco",
    ),
    ("quadratic", {"problem": 3}, "model.problem = 3: must be one of"),
    (
        "quadratic",
        {"problem": "domains"},
        "model.problem = 'domains': must be another one without",
    ),
    (
        "domains",
        {"problem": "quadratic"},
        "model.problem = 'quadratic': must be 'domains' with [[",
    ),
    ("domains", {"problem": "nonconvex"}, "'nonconvex' is required"),
    (
        "quadratic",
        {"nonconvex": {"amplitude": 1, "frequency": 1}},
        "absent without problem = 'non",
    ),
    (
        "nonconvex",
        {"nonconvex": ABSENT},
        "the table 'nonconvex' is required by this problem",
    ),
    (
        "nonconvex",
        {"nonconvex__amplitude": -1},
        "model.nonconvex.amplitude = -1: must be",
    ),
    (
        "nonconvex",
        {"nonconvex__frequency": 0},
        "model.nonconvex.frequency = 0: must be",
    ),
    (
        "nonconvex",
        {"dragger__law": "orthogonal"},
        "another one with problem = 'nonconvex'",
    ),
    (
        "student-t",
        {"noise__degrees": 2},
        "model.noise.degrees = 2: must be a finite number > 2",
    ),
    ("student-t", {"noise__scale": -1}, "model.noise.scale = -1"),
    (
        "linear",
        {"linear_regression": ABSENT},
        "the table 'linear_regression' is required by",
    ),
    (
        "linear",
        {"linear_regression": 3},
        "model.linear_regression = 3: must be a table",
    ),
    (
        "linear",
        {"linear_regression__spectrum": [1.0]},
        "model.linear_regression.spectrum = [1.0]",
    ),
    (
        "linear",
        {"linear_regression__spectrum": 0},
        "model.linear_regression.spectrum = 0",
    ),
    (
        "linear",
        {"linear_regression__optimum": [1.0]},
        "a list of model.linear_regression.dimension",
    ),
    ("linear", {"linear_regression__corruption": "odd"}, "one of opposed, constant"),
    (
        "linear",
        {"linear_regression__samples": 0},
        "model.linear_regression.samples = 0",
    ),
    (
        "linear",
        {"linear_regression__samples": 2**26},
        "at most 33554432 in dimension 2",
    ),
    ("linear", {"linear_regression__noise": ABSENT}, "'noise' is missing"),
    ("linear", {"linear_regression__colour": 1}, "unknown key 'colour'"),
    ("linear", {"dimension": 2}, "unknown key 'dimension'"),
    ("linear", {"noise": NORMAL}, "unknown key 'noise'"),
    (
        "linear",
        {"dragger__direction": [1.0]},
        "model.dragger.direction = [1.0]: must be a number, or a list of 2",
    ),
    (
        "linear",
        {"dragger__law": "orthogonal"},
        "one of corrupted, persistent, additive, opposing",
    ),
    ("linear", {"dragger": {"norm": 3.0}}, "model.dragger: unknown key 'norm'"),
    ("linear", {"dragger": 3}, "model.dragger = 3: must be a table"),
    ("linear", {"dragger_fraction": 1.0}, "model.dragger_fraction = 1.0"),
    (
        "logistic",
        {"two_layer": GOOD["layers"]["two_layer"]},
        "absent with problem = 'logistic_reg",
    ),
    (
        "logistic",
        {"logistic_regression__mean": []},
        "model.logistic_regression.mean = []",
    ),
    ("logistic", {"logistic_regression__positive_fraction": 1.0}, "> 0 and < 1"),
    (
        "logistic",
        {"logistic_regression__leverage": 0},
        "model.logistic_regression.leverage = 0",
    ),
    (
        "layers",
        {"two_layer__teacher": 4},
        "model.two_layer.teacher = 4: must be at most model.two",
    ),
    (
        "layers",
        {"two_layer__inputs": 1},
        "model.two_layer.teacher = 2: must be at most model.two_l",
    ),
    ("layers", {"two_layer__inputs": 2**26}, "model.two_layer.inputs"),
    (
        "layers",
        {"dragger__active": {}},
        "model.dragger.active: must have one of the keys",
    ),
    ("quadratic", {"dragger__active": 3}, "model.dragger.active = 3: must be a table"),
    (
        "quadratic",
        {"dragger__active": {"gradient_norm": [0, 1], "iterations": [0, 1]}},
        "must have one of the keys 'gradient_norm' and 'iterations'",
    ),
    (
        "quadratic",
        {"dragger__active": {"iterations": [3, 3]}},
        "active.iterations = [3, 3]",
    ),
    (
        "quadratic",
        {"dragger__active": {"iterations": [0, 2.5]}},
        "active.iterations[1] = 2.5",
    ),
    (
        "quadratic",
        {"dragger__active": {"gradient_norm": [2, 1]}},
        "the first one smaller",
    ),
    (
        "quadratic",
        {"dragger__active": {"gradient_norm": [-1, 1]}},
        "active.gradient_norm[0] = -1",
    ),
    (
        "quadratic",
        {"dragger__active": {"gradient_norm": [0, math.nan]}},
        "a finite number",
    ),
    ("quadratic", {"dragger__law": "corrupted"}, "model.dragger.law = 'corrupted'"),
]


@pytest.mark.parametrize(("name", "changes", "message"), BAD)
def test_bad_values_are_refused_in_one_line(name, changes, message):
    with pytest.raises(SpecificationError, match=re.escape(message)) as caught:
        experiment(name, **changes)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("model")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "student-t",
            {},
            "model.noise.law = 'student-t': must be gaussian, rare or gamma",
        ),
        ("nonconvex", {}, "model.problem = 'nonconvex': must be quadratic or domains"),
        (
            "quadratic",
            {"dragger__active": {"iterations": [0, 9]}},
            "model.dragger.active",
        ),
        ("linear", {}, "model.problem = 'linear_regression': must be quadratic"),
        ("layers", {}, "model.problem = 'two_layer': must be quadratic"),
    ],
)
def test_what_has_no_exact_bias_is_refused(name, changes, message):
    e = experiment(name, **changes)
    with pytest.raises(SpecificationError, match=re.escape(message)) as caught:
        bias_table(e)
    assert "\n" not in str(caught.value)
    if not isinstance(e.model, LearningModel):
        with pytest.raises(SpecificationError, match=re.escape(message)):
            exact_bias(e.model, "normalized", 8, 2)


def test_heavy_noise_in_a_domain_is_named_by_its_place():
    noise = GOOD["student-t"]["noise"]
    e = experiment(
        "domains", domains=[{"weight": 1.0, "optimum": [0.0, 0.0], "noise": noise}]
    )
    with pytest.raises(
        SpecificationError, match=re.escape("model.domains[0].noise.law = 'stud")
    ):
        bias_table(e)


def test_the_gradient_of_the_loss():
    """Λ(w - c) for domains, Λw + A k sin(k w) with a wave; the loss by its slopes."""
    w = np.array([[0.7, -1.2], [0.0, 0.3]])
    assert np.array_equal(experiment("domains").model.gradient(w), w - [1.0, 0.0])
    assert np.array_equal(experiment("quadratic").model.gradient(w), w)
    model = experiment("nonconvex", curvature=[1.0, 3.0]).model
    expected = np.array([1.0, 3.0]) * w + 1.0 * np.sin(2 * w)
    assert model.gradient(w) == pytest.approx(expected)
    for one in (model, experiment("domains").model):
        slope = [(one.loss(w + h) - one.loss(w - h)) / 2e-6 for h in 1e-6 * np.eye(2)]
        assert np.transpose(slope) == pytest.approx(one.gradient(w), abs=1e-8)


def test_a_changed_model_keeps_its_kind():
    model = experiment("nonconvex").model
    assert replace(model, dragger_fraction=0.2).problem == "nonconvex"
    assert (
        replace(experiment("domains").model, dragger_fraction=0.2).domains is not None
    )
