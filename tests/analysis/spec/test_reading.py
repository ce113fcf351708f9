"""Experiment files as people write them, and what is said of unreadable ones."""

import os
import time
from pathlib import Path

import pytest

from analysis.spec.checking import (
    SpecificationError,
    file_name,
    named,
    number_hint,
    suggestion,
)
from analysis.spec.experiment import Experiment
from analysis.spec.reading import LARGEST_FILE, read_table

PRESET = Path(__file__).parents[3] / "sim" / "presets" / "sweet_spot.toml"
TEXT = PRESET.read_text(encoding="utf-8")


def refusal(path):
    with pytest.raises(SpecificationError) as caught:
        Experiment.load(path)
    message = str(caught.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_of_any_editor(tmp_path, encoding, newline):
    path = tmp_path / "sweet_spot.toml"
    path.write_text(TEXT, encoding=encoding, newline=newline)
    assert Experiment.load(path) == Experiment.load(PRESET)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0,005", "= 0,005: must be a number (with a decimal point: 0.005)"),
        ("0.5%", "= 0.5%: must be a number (a fraction, not per cent: 0.005)"),
        ("0,5 %  # few", "= 0,5 %: must be a number (a fraction, not per cent: 0.005)"),
        ('"0.5%"', "and < 1 (a fraction, not per cent: 0.005)"),
        ("5", "and < 1 (a fraction, not per cent: 0.05)"),
        ("inf", "= inf: must be a finite number >= 0 and < 1"),
        ("nan", "= nan: must be a finite number >= 0 and < 1"),
        ("0.005.1", "broken TOML"),
    ],
)
def test_numbers_as_people_write_them(tmp_path, written, said):
    path = tmp_path / "x.toml"
    path.write_text(
        TEXT.replace("dragger_fraction = 0.01", f"dragger_fraction = {written}")
    )
    message = refusal(path)
    assert said in message
    if "must be a number" in said:
        number = TEXT[: TEXT.index("dragger_fraction")].count("\n") + 1
        assert f"line {number}: dragger_fraction" in message


def test_a_hint_only_where_a_number_is_meant():
    for text in ("", ",", "%", "a,b", "1,2,3", "1e", "0.5", "5", "many", "-", "."):
        assert number_hint(text) == ""
    assert number_hint("-1,5e-3") == " (with a decimal point: -0.0015)"


def test_what_is_no_file_is_not_waited_for(tmp_path):
    fifo = tmp_path / "fifo.toml"
    os.mkfifo(fifo)
    began = time.monotonic()
    assert refusal(fifo).endswith("a pipe or a device: must be a TOML file")
    assert refusal("/dev/null").endswith("a pipe or a device: must be a TOML file")
    assert refusal(tmp_path).endswith("a folder: must be a TOML file")
    assert refusal(tmp_path / "a\0b").endswith("must be the path of a TOML file")
    assert time.monotonic() - began < 10


def test_a_file_may_have_that_many_bytes(tmp_path):
    path = tmp_path / "long.toml"
    path.write_bytes(b"x = 1 #" + b" " * (LARGEST_FILE - 7))
    assert read_table(path) == {"x": 1}
    with path.open("ab") as file:
        file.write(b" ")
    assert f"must have at most {LARGEST_FILE} bytes" in refusal(path)


@pytest.mark.parametrize("stem", ["..", ".", "a\nb", "a\u202eb", "a\x1b[31mb", "a\\b"])
def test_a_name_leads_nowhere(tmp_path, stem):
    """Results stay in a folder of the file's name, which must not leave its place."""
    path = tmp_path / f"{stem}.toml"
    path.write_text(TEXT)
    assert "experiment.name = " in refusal(path)


@pytest.mark.parametrize("name", ["", "/x", "../x", "é" * 128, "a\udcffb", 3])
def test_an_experiment_of_ones_own_is_named_as_a_file(name):
    table = read_table(PRESET)
    with pytest.raises(
        SpecificationError, match=r"experiment\.name = .*must be a file's name"
    ):
        Experiment.from_mapping(table, name=name)
    assert file_name("name", "é" * 127) == "é" * 127


def test_messages_are_printed_not_obeyed(tmp_path):
    message = refusal(tmp_path / "a\nb\u202e\x1b[31m\udcff.toml")
    assert message.startswith(str(tmp_path / r"a\nb\u202e\x1b[31m\udcff.toml"))


def test_names_that_are_nearly_right():
    options = ["bias_radius", "sweet_spot", "rates"]
    for word in ("sweet_spot", "sweet-spot", "Sweet_Spot"):
        assert named("claim", word, options) == "sweet_spot"
    for word in ("sweetspot", "swet-spot", "SWEETSPOT"):
        with pytest.raises(SpecificationError, match=r"\(did you mean sweet_spot\?\)"):
            named("claim", word, options)
    assert suggestion("quite different", options) == ""
    assert named("rule", "X", ["x", "X"]) == "X"
