"""The best size at each horizon, and the command that prints it."""

import json
import math

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.spec.experiment import Experiment
from analysis.speed.horizons import SizeCurve, best_sizes, curve_table, size_curves

REGRESSION = """\
[model]
problem = "linear_regression"
dragger_fraction = 0.05
[model.linear_regression]
dimension = 50
noise = 0.5
optimum = 0.14
[model.dragger]
law = "isotropic"
norm = 20.0
[algorithm]
rule = "normalized"
batch_size = 16
micro_batch_sizes = [1, 4, 16]
[run]
measure = "trajectory"
steps = [0.1, 0.02]
iterations = 60
points = 4
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "regression.toml"
    file.write_text(REGRESSION)
    return file


@pytest.fixture
def experiment(path):
    return Experiment.load(path)


def test_each_horizon_has_the_best_of_the_steps(experiment):
    """By the curves of each step alone."""
    steps = [0.8, 0.1]
    both = size_curves(experiment, steps)
    alone = [size_curves(experiment, [step]) for step in steps]
    for i, curve in enumerate(both):
        losses = np.array([curves[i].loss for curves in alone])
        assert curve.loss == pytest.approx(losses.min(0))
        assert curve.step.tolist() == [steps[k] for k in losses.argmin(0)]
    assert len({step for curve in both for step in curve.step}) == 2


def test_the_sum_is_a_longer_step(path):
    text = REGRESSION.replace("[0.1, 0.02]", "[0.01]")
    path.write_text(text.replace("[1, 4, 16]", '[4]\naggregate = "sum"'))
    [sum_of_four] = curve_table(Experiment.load(path))["results"]
    path.write_text(text.replace("[1, 4, 16]", "[4]").replace("0.01]", "0.04]"))
    [mean] = curve_table(Experiment.load(path))["results"]
    assert sum_of_four.loss == pytest.approx(mean.loss)


def test_tuning_only_helps(experiment):
    plain, tuned = (curve_table(experiment, tune)["results"] for tune in (False, True))
    for one, other in zip(plain, tuned, strict=True):
        assert (other.loss <= one.loss * (1 + 1e-12)).all()
    assert tuned[0].loss[-1] < 0.999 * plain[0].loss[-1]


def test_a_size_that_diverges_is_never_best():
    def curve(size, *loss):
        n = np.arange(len(loss))
        return SizeCurve(size, n + 1, np.array(loss), np.array(loss), 0 * n + 0.1, 0.0)

    curves = [curve(1, 2.0, math.inf, math.inf), curve(2, 3.0, 1.0, math.inf)]
    best = best_sizes(curves)
    assert [row.micro_batch_size for row in best] == [1, 2, None]
    assert [row.loss for row in best] == [2.0, 1.0, None]


def test_the_command_prints_what_is_computed(path, experiment, capsys):
    assert main(["learning-curve", str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    computed = curve_table(experiment)
    for row, curve in zip(printed["results"], computed["results"], strict=True):
        assert row["micro_batch_size"] == curve.micro_batch_size
        assert row["loss"] == curve.loss.tolist()
        assert row["iterations"][-1] == 60
    assert [row["micro_batch_size"] for row in printed["best"]] == [
        row.micro_batch_size for row in computed["best"]
    ]
    assert main(["learning-curve", str(path), "--csv"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "micro_batch_size,iterations,loss,gradient_norm,step"
    assert len(rows) == 3 * 4
    assert main(["learning-curve", str(path)]) == 0
    text = capsys.readouterr().out
    assert "its minimum is 0.125" in text
    assert "not high for micro-batch size 16: " in text  # 17/(2·50) > 0.1


def test_the_picture_has_a_curve_for_each_size(path, tmp_path, capsys):
    picture = tmp_path / "curves.svg"
    assert main(["learning-curve", str(path), "--plot", str(picture)]) == 0
    assert picture.stat().st_size > 1000
    assert "picture in" in capsys.readouterr().out


def test_what_has_no_curve_is_one_line(capsys):
    assert main(["learning-curve", "sweet_spot"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "model.problem" in error
