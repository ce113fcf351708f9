"""The forms of an answer: text, JSON, comma-separated values, a picture."""

import argparse
import csv
import io
import json

import pytest

from analysis.cli import answers, common
from analysis.cli.answers import Answer, Curve, Plot

PLOT = Plot([Curve("one", [1, 2, 4], [0.5, None, 0.1])], "size", "bias", log_x=True)
ROWS = [{"size": 1, "bias": 0.5}, {"size": 2, "bias": None}]
ANSWER = Answer({"results": ROWS}, ["line 1", "line 2"], ROWS, PLOT)


def parser():
    top = common.Parser(prog="python -m analysis")
    answers.add_forms(top)

    def act(options):
        answers.require_one_form(options)
        return answers.give(options, ANSWER)

    top.set_defaults(act=act)
    return top


def call(capsys, *words):
    """Exit code, stdout and stderr."""
    try:
        code = common.run(parser(), words)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_forms_hold_the_same_numbers(capsys):
    assert call(capsys)[1] == "line 1\nline 2\n"
    assert json.loads(call(capsys, "--json")[1]) == {"results": ROWS}
    rows = list(csv.DictReader(io.StringIO(call(capsys, "--csv")[1])))
    assert rows == [{"size": "1", "bias": "0.5"}, {"size": "2", "bias": ""}]


@pytest.mark.parametrize(
    ("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_a_picture_is_written_in_each_format_the_same_every_time(
    capsys, tmp_path, ending, begins
):
    content = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}.{ending}"
        code, out, err = call(capsys, "--plot", str(path))
        assert (code, err) == (0, "")
        assert out.splitlines()[-1].startswith("picture in")
        content.append(path.read_bytes())
    assert content[0].startswith(begins)
    assert content[0] == content[1]


def test_a_picture_shows_its_curve(tmp_path):
    """Another curve, or another axis, is another picture."""
    drawn = set()
    for y in ([1.0, 2.0], [2.0, 1.0]):
        for log in (False, True):
            path = tmp_path / "x.svg"
            answers.draw(Plot([Curve("c", [1, 2], y)], "x", "y", log_y=log), path)
            drawn.add(path.read_text(encoding="utf-8"))
    assert len(drawn) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "--csv"], "one of the two"),
        (["--plot", "x.gif"], "ends in .pdf, .png or .svg"),
        (["--plot", "png"], "ends in"),
        (["--plot", "no_such_folder/x.png"], "folder that exists"),
    ],
)
def test_other_forms_are_refused_in_one_line(capsys, words, said):
    code, out, err = call(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_a_picture_that_cannot_be_written_is_one_line(capsys, tmp_path):
    (tmp_path / "x.png").mkdir()
    code, _, err = call(capsys, "--plot", str(tmp_path / "x.png"))
    assert (code, err.count("\n")) == (1, 1)


def test_a_file_name_is_a_path(tmp_path):
    assert answers.picture_file(str(tmp_path / "a.svg")) == tmp_path / "a.svg"
    with pytest.raises(argparse.ArgumentTypeError, match="must be"):
        answers.picture_file("")
