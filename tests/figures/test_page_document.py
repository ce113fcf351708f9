"""Documents: the shape is required where stated, every refusal is one line."""

import copy
import json
import os

import pytest

from analysis.spec.checking import SpecificationError
from figures.document import LARGEST, Drawn, Failed, read
from figures.kit.checks import Check
from tests.figures.sample_document import sample_document

ANYTHING = {"data": {"anything": [1, None, {}]}}
GOOD = sample_document("x", ["drift", "minimax"]) | ANYTHING
OPTIONAL = {"notes", "id", "python", "packages", "experiments"}


def put(folder, content):
    path = folder / "x.json"
    path.write_bytes(
        content if isinstance(content, bytes) else json.dumps(content).encode()
    )
    return path


def refusal(path):
    with pytest.raises(SpecificationError) as refused:
        read(path)
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 1000
    return message


def test_what_was_written_is_read(tmp_path):
    found = read(put(tmp_path, GOOD))
    assert isinstance(found, Drawn)
    assert found.claims == ("drift", "minimax")
    assert found.checks == (Check("a", "b", "c", True, "i"),)
    assert found.provenance.experiments[0].specification.run.steps == (0.2, 1.0)
    failed = {key: GOOD[key] for key in ("name", "title", "claims")}
    failed |= {"failed": "because", "provenance": {"command": "c", "version": "0"}}
    assert isinstance(read(put(tmp_path, failed)), Failed)
    assert read(tmp_path / "nothing.json") is None


def objects(value, path=()):
    """The paths of all keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from objects(inner, (*path, key))
    if isinstance(value, list):
        for i, inner in enumerate(value):
            yield from objects(inner, (*path, i))


KEYS = [path for path in objects(GOOD) if path[0] != "data" or len(path) == 1]


def changed(path, change):
    made = copy.deepcopy(GOOD)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return made


def test_every_required_entry_is_required(tmp_path):
    """Its place is named; what a failure lacks or is a table's own may be absent."""
    for path in KEYS:
        file = put(tmp_path, changed(path, lambda inner, key: inner.pop(key)))
        if path[-1] in OPTIONAL or path[-2:-1] in (("packages",), ("results",)):
            read(file)
        else:
            assert refusal(file).endswith("is missing"), path
            assert path[-1] in refusal(file)


@pytest.mark.parametrize(
    "wrong", [None, True, 3, -1.5, "a text", [], ["x"], {}, {"x": 1}]
)
def test_every_entry_has_its_type(tmp_path, wrong):
    """What is accepted in an entry's place has the type of the entry."""
    for path in KEYS:

        def spoil(inner, key):
            inner[key] = wrong

        made = changed(path, spoil)
        inner = GOOD
        for key in path:
            inner = inner[key]
        try:
            read(put(tmp_path, made))
        except SpecificationError:
            continue
        assert type(wrong) is type(inner) or path[-1] == "failed", path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        ("{}".encode("utf-16"), "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        ([], "the document = []: must be an object"),
        ({}, "missing"),
        (GOOD | {"name": "y"}, "name = 'y': must be one of x"),
        (GOOD | {"claims": ["nothing"]}, "claims = 'nothing': must be one of"),
        (GOOD | {"claims": ["__file__"]}, "claims = '__file__': must be one of"),
        (GOOD | {"claims": ["drift", "drift"]}, "without repetition"),
        (GOOD | {"title": "\ud800"}, "characters"),
        (GOOD | {"title": "\n\x1b" * 99, "alt": 3}, "alt = 3: must be a text"),
        (GOOD | {"failed": 1}, "failed = 1: must be a text"),
        (json.dumps(GOOD).replace("0.2", "NaN").encode(), "holds NaN"),
        (json.dumps(GOOD).replace("0.2", "-Infinity").encode(), "holds -Infinity"),
        (json.dumps(GOOD).replace("0.2", "1e999").encode(), "holds the number 1e999"),
        (
            json.dumps(GOOD).replace("0.2", "1" + "0" * 400).encode(),
            "must be a finite number",
        ),
        (json.dumps(GOOD).replace("0.2", "1" * 5000).encode(), "no JSON"),
    ],
)
def test_damage_is_named_in_one_line(tmp_path, content, problem):
    assert problem in refusal(put(tmp_path, content))


def test_files_that_are_no_document(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "loop.json").symlink_to("loop.json")
    put(tmp_path, GOOD)
    os.truncate(tmp_path / "x.json", LARGEST + 1)
    assert "not a regular file" in refusal(tmp_path / "folder.json")
    assert "not a regular file" in refusal(tmp_path / "fifo.json")
    assert "symbolic links" in refusal(tmp_path / "loop.json")
    assert "larger than" in refusal(tmp_path / "x.json")
