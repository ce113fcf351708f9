"""`python -m analysis speed`: the same numbers in every form, refusals in one line."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main

KURTOSIS = ["speed", "--kurtosis", "3", "--dragger-fraction", "0.005"]


def answer(capsys, *words):
    """Exit code, stdout and stderr."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_readme_shows_what_the_command_prints(capsys):
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n\$ python -m analysis (speed .*?)```", readme, re.S)
    line, *shown = block.splitlines()
    _, out, _ = answer(capsys, *line.split())
    assert out.splitlines()[: len(shown)] == shown


@pytest.fixture
def recorded(tmp_path):
    """Norms of 3000 Gaussian residuals."""
    norms = np.abs(np.random.default_rng(0).normal(size=3000))
    path = tmp_path / "norms.csv"
    path.write_text("norm\n" + "\n".join(map(repr, norms.tolist())), encoding="utf-8")
    return ["speed", "--norms", str(path), "--dragger-fraction", "0.005"]


def test_the_forms_hold_the_same_numbers(capsys):
    code, out, err = answer(capsys, *KURTOSIS, "--batch-size", "64", "--json")
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert list(result) == [
        *("micro_batch_size", "relative_efficiency", "kurtosis", "dragger_fraction"),
        *("admissible", "results", "interval"),
    ]
    assert result["micro_batch_size"] == pytest.approx(7.0277, abs=1e-4)
    assert (result["kurtosis"], result["interval"]) == (3, None)
    assert result["admissible"]["micro_batch_size"] == 8
    _, out, _ = answer(capsys, *KURTOSIS, "--batch-size", "64", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [float(row["relative_efficiency"]) for row in rows] == [
        row["relative_efficiency"] for row in result["results"]
    ]
    _, out, _ = answer(capsys, *KURTOSIS, "--batch-size", "64")
    assert "7.02772" in out
    assert "8: 8 micro-batches of 8 samples" in out


def test_recorded_norms_and_the_kurtosis_agree(capsys, recorded):
    """The fastest size is that of Gaussian residuals to within 5 % (seed fixed)."""
    _, out, _ = answer(capsys, *recorded, "--json")
    result = json.loads(out)
    low, high = result["interval"]
    assert low < 3 < high
    assert low < result["kurtosis"] < high
    assert result["micro_batch_size"] == pytest.approx(7.03, rel=0.05)
    assert "95 % interval" in answer(capsys, *recorded)[1]


def test_without_draggers_larger_is_better(capsys):
    words = ["speed", "--kurtosis", "3", "--batch-size", "6"]
    result = json.loads(answer(capsys, *words, "--json")[1])
    assert result["micro_batch_size"] is None
    assert result["relative_efficiency"] == 1
    assert result["admissible"]["micro_batch_size"] == 6
    assert "the larger the better" in answer(capsys, *words)[1]


def test_a_picture(capsys, tmp_path):
    path = tmp_path / "speed.svg"
    assert answer(capsys, *KURTOSIS, "--plot", str(path))[0] == 0
    assert path.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["speed"], "--kurtosis --norms is required"),
        ([*KURTOSIS, "--norms", "x"], "not allowed with"),
        (
            ["speed", "--kurtosis", "0.9"],
            "kurtosis = 0.9: must be a finite number >= 1",
        ),
        (["speed", "--kurtosis", "3", "--dragger-fraction", "5"], "per cent: 0.05"),
        ([*KURTOSIS, "--batch-size", "0"], "batch_size = 0"),
        ([*KURTOSIS, "--csv", "--json"], "one of the two"),
        (["speed", "--norms", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_refusals_are_one_line(capsys, words, said):
    code, out, err = answer(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_bad_norms_are_one_line(capsys, tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text("1\n-2\n", encoding="utf-8")
    code, out, err = answer(capsys, "speed", "--norms", str(path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "line 2 = '-2': must be one finite number" in err
