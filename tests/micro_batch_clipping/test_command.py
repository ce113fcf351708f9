"""python -m micro_batch_clipping: compare another implementation."""

import json
import math
import os
import subprocess
import sys

import pytest

import micro_batch_clipping as mbc

RIGHT = """
def clip(case):
    g, c = case["gradients"][0], case["threshold"]
    rows = case["gradients"]
    if case["dtype"] != "float64" or len(rows) != 2 or case["weights"]:
        raise NotImplementedError("two rows only")
    factors = [min(1, c / max(sum(x * x for x in r) ** 0.5, 1e-300)) for r in rows]
    return [sum(f * r[i] for f, r in zip(factors, rows)) / 2 for i in range(len(g))]

def zero(case):
    return {"update": [0.0] * len(case["gradients"][0]), "used": 0}

def nothing(case):
    return {}

class Holder:
    clip = staticmethod(clip)

number = 3
raise_on_import = None
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module of one's own."""
    (tmp_path / "my_clipping.py").write_text(RIGHT, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import no_such_thing\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_clipping"
    for name in ("my_clipping", "broken"):
        sys.modules.pop(name, None)


def test_what_agrees_and_what_does_not(module, capsys):
    assert mbc.main(["--check", f"{module}:clip", "--rules", "fixed"]) == 1
    *wrong, last = capsys.readouterr().out.splitlines()
    count = sum(case["rule"] == "fixed" for case in mbc.vectors()["cases"])
    assert last == f"{count - len(wrong)} of {count} cases agree"
    names = {line.partition(":")[0] for line in wrong}
    assert "never_the_running_sum" not in names
    assert "tokens_fixed: raises NotImplementedError: two rows only" in wrong
    assert mbc.main(["--check", f"{module}:Holder.clip", "--rules", "fixed"]) == 1


@pytest.mark.parametrize(
    ("function", "said"),
    [("zero", "update = [0.0, 0.0], must be ["), ("nothing", "returns no update")],
)
def test_a_wrong_implementation_is_told_what(module, capsys, function, said):
    assert mbc.main(["--check", f"{module}:{function}"]) == 1
    out = capsys.readouterr().out
    assert f"sgd: {said}" in out
    assert "nan_raises: does not raise" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of the arguments --check --vectors is required"),
        (["--check", "nonsense"], "must be your_module:your_function"),
        (["--check", "my_clipping:"], "must be your_module:your_function"),
        (["--check", "no_such_module:f"], "No module named 'no_such_module'"),
        (["--check", "broken:f"], "No module named 'no_such_thing'"),
        (["--check", "my_clipping:absent"], "no attribute 'absent'"),
        (["--check", "my_clipping:number"], "must be a function"),
        (["--vectors", "--rules", "min"], "invalid choice: 'min'"),
    ],
)
def test_bad_targets_are_one_line(module, capsys, arguments, said):
    with pytest.raises(SystemExit) as stop:
        mbc.main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert said in error
    assert error.count("\n") == 1


def test_a_copy_without_the_vectors_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(mbc, "VECTORS", tmp_path / "micro_batch_clipping.json")
    with pytest.raises(SystemExit) as stop:
        mbc.main(["--vectors"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "must lie beside micro_batch_clipping.py" in error
    assert error.count("\n") == 1


def test_the_vectors_are_printed(capsys):
    assert mbc.main(["--vectors", "--rules", "sgd", "quantile"]) == 0
    file = json.loads(capsys.readouterr().out)
    assert {case["rule"] for case in file["cases"]} == {"sgd", "quantile"}
    assert file["tolerance"].keys() == {"float16", "bfloat16", "float32", "float64"}


def test_help_tells_the_protocol(capsys):
    with pytest.raises(SystemExit) as stop:
        mbc.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    (case, *_) = mbc.vectors()["cases"]
    for name in case.keys() - {"name", "expected"}:
        assert name in text, name


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_is_not_a_number_and_infinity_not_large(value):
    """A wrong kind of number is found, in both directions."""
    names = {
        "sgd": lambda case: [value] * len(case["gradients"][0]),
        "adaptive": lambda case: [0.0] * len(case["gradients"][0]),
    }
    assert "sgd" in mbc.failures(names["sgd"], ["sgd"])
    assert "nan_passed_on" in mbc.failures(names["adaptive"], ["adaptive"])


def test_a_reader_that_goes_away_is_no_traceback():
    """The pipe is closed before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, mbc.__file__, "--vectors"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
