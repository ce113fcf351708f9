"""Thresholds: inf is no clipping, everywhere, exactly, and its results are kept."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest

from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from analysis.spec.feasibility import require_precision
from sim.engines import engine
from sim.engines.readable import Stepwise
from sim.engines.state import start
from sim.engines.workers import Workers
from sim.reduction.compositions import plan
from sim.reference import Sample, fixed, trajectory
from sim.sweep.measure import measure
from sim.sweep.store import Store, digest, specification

NORMAL = {"law": "gaussian", "scale": 1.0}
HEAVY = {"law": "student-t", "degrees": 4.0, "scale": 1.0}
FILE = """
[model]
dimension = 1
dragger_fraction = 0.1
noise = {{law = "gaussian", scale = 1.0}}
dragger = {{law = "persistent", norm = 5.0, direction = 1.0}}
[algorithm]
rule = "fixed"
threshold = {}
batch_size = 12
micro_batch_sizes = [3]
"""


def experiment(rule="fixed", noise=NORMAL, aggregate="mean", **keys):
    dragger = {"law": "persistent", "norm": 5.0, "direction": [-1.0, 0.0]}
    model = {
        "dimension": 2,
        "dragger_fraction": 0.1,
        "noise": noise,
        "dragger": dragger,
    }
    sizes = {"batch_size": 12, "micro_batch_sizes": [3], "aggregate": aggregate}
    run = {"iterations": 40, "replicates": 16, "measure": "trajectory", "start": 1.0}
    return Experiment.from_mapping(
        {"model": model, "algorithm": {"rule": rule, **sizes, **keys}, "run": run}
    )


def walked(e):
    state = start(e)
    with Workers(1) as workers:
        engine(e, 3, 0.1, workers=workers).advance(state, 0, 40, True)
    return state


@pytest.mark.parametrize("rule", ["fixed", "global"])
@pytest.mark.parametrize("noise", [NORMAL, HEAVY])
def test_a_threshold_whose_square_overflows_clips_nothing(rule, noise):
    """In both engines."""
    ends = []
    for name, keys in (("sgd", {}), (rule, {"threshold": 1e200})):
        e = experiment(name, noise, **keys)
        ends.append(walked(replace(e, run=replace(e.run, precision="float64"))).w)
    assert ends[1] == pytest.approx(ends[0], rel=1e-9)


@pytest.mark.parametrize("rule", ["fixed", "global"])
@pytest.mark.parametrize("aggregate", ["mean", "sum"])
@pytest.mark.parametrize("noise", [NORMAL, HEAVY])
def test_an_infinite_threshold_is_sgd_bit_by_bit(rule, aggregate, noise):
    """In both engines: the fused one, and that which draws single samples."""
    plain = walked(experiment("sgd", noise, aggregate))
    found = walked(experiment(rule, noise, aggregate, threshold=math.inf))
    finite = walked(experiment(rule, noise, aggregate, threshold=0.5))
    for name in ("w", "sums", "hit", "last"):
        assert np.array_equal(
            getattr(plain, name), getattr(found, name), equal_nan=True
        )
    assert not np.array_equal(plain.w, finite.w)


@pytest.mark.parametrize("rule", ["fixed", "global"])
def test_every_other_engine_is_given_the_plan_of_sgd(rule):
    """The kernel of a GPU and the readable engine read nothing but the plan."""
    plain, found = (
        plan(e, 3) for e in (experiment("sgd"), experiment(rule, threshold=math.inf))
    )
    for field in fields(plain):
        if field.name != "compositions":
            assert np.array_equal(
                getattr(plain, field.name), getattr(found, field.name)
            )
    readable = [start(experiment("sgd")) for _ in range(2)]
    for state, one in zip(readable, (plain, found), strict=True):
        Stepwise(one, (1, 2), 0.1).advance(state, 0, 5, False)
    assert np.array_equal(readable[0].w, readable[1].w)


def test_the_oracle_clips_nothing_either():
    gradients = [[3.0, -4.0], [1e200, 0.0]]
    assert fixed(gradients, math.inf) == gradients
    batches = [[Sample(False, 0.0, [1.0, -1.0])] * 12] * 3
    plain = trajectory(experiment("sgd"), 3, 0.1, batches)
    assert trajectory(experiment(threshold=math.inf), 3, 0.1, batches) == plain


def test_a_result_without_clipping_is_kept_and_found(tmp_path):
    e = experiment(threshold=math.inf)
    assert Experiment.from_mapping(json.loads(json.dumps(e.to_mapping()))) == e
    (result,) = measure(e, tmp_path, 1, False).values()
    kept = Store(tmp_path / e.name).read(e, 3)
    # NaN, the clipping norm of nothing, is not equal to itself
    assert str(kept) == str(result)
    digests = {digest(specification(one, 3)) for one in (e, experiment(threshold=1e9))}
    assert len(digests) == 2


@pytest.mark.parametrize("written", ["inf", "+inf", '"inf"'])
def test_a_file_may_say_inf(tmp_path, written):
    path = tmp_path / "off.toml"
    path.write_text(FILE.format(written))
    assert Experiment.load(path).algorithm.threshold == math.inf


@pytest.mark.parametrize(
    "written", ["nan", "-inf", "0", "-1.0", "true", '"off"', "1e-310"]
)
def test_other_thresholds_are_refused(tmp_path, written):
    path = tmp_path / "wrong.toml"
    path.write_text(FILE.format(written))
    with pytest.raises(
        SpecificationError, match=r"algorithm.threshold = .*, or inf for no"
    ):
        Experiment.load(path)


@pytest.mark.parametrize(
    ("precision", "change"),
    [
        ("float32", {"threshold": 1e-16}),
        ("float32", {"threshold": 1e16}),
        ("float64", {"threshold": 1e-160}),
        ("float32", {"noise": {"law": "gaussian", "scale": 1.5e-15}}),
        ("float64", {"noise": {"law": "gaussian", "scale": 1e-151}}),
    ],
)
def test_numbers_whose_squares_are_lost_are_refused(precision, change):
    """1.5e-15 of noise is less than 1e-15 in a micro-batch of three."""
    e = experiment(**{"threshold": 1.0, **change})
    with pytest.raises(SpecificationError, match=f"run.precision = '{precision}'"):
        require_precision(replace(e, run=replace(e.run, precision=precision)))


@pytest.mark.parametrize("threshold", [1e-14, 1e14, math.inf])
def test_ordinary_thresholds_are_for_every_precision(threshold):
    e = experiment(threshold=threshold)
    for precision in ("float32", "float64"):
        require_precision(replace(e, run=replace(e.run, precision=precision)))
    wide = replace(e, run=replace(e.run, precision="float64"))
    far = replace(wide, algorithm=replace(e.algorithm, threshold=1e300))
    require_precision(far)
    assert np.isfinite(walked(far).w).all()
