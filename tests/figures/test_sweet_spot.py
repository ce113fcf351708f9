"""The sweet-spot figure in the quick profile: a true caption, reproducible files."""

import copy
import hashlib
import json
from pathlib import Path

import pytest

import figures.__main__
from figures.checks import CheckError
from figures.figure import METADATA
from figures.sweet_spot import figure

ROOT = Path(__file__).parents[2]


def test_caption_is_checked(document):
    assert len(document["checks"]) == 4
    assert all(check["passed"] for check in document["checks"])
    assert "3.3 times better" in document["caption"]
    assert document["alt"]


def spoil_agreement(data):
    for point in data["simulation"]:
        point["exact"] *= 1.05


def spoil_bound(data):
    data["normalized"]["bias_radius"] = [
        None if r is None else 0.4 * r for r in data["normalized"]["bias_radius"]
    ]


def spoil_argmin(data):
    data["best"]["exact"] = 16


def spoil_order(data):
    data["sgd"] = 0.5


@pytest.mark.parametrize(
    ("spoil", "which"),
    [(spoil_agreement, 0), (spoil_bound, 1), (spoil_argmin, 2), (spoil_order, 3)],
)
def test_every_check_can_fail(document, spoil, which):
    """Exact values 5 % off, a radius 60 % smaller, another argmin, another SGD: each is seen."""
    data = copy.deepcopy(document["data"])
    spoil(data)
    assert not figure.check(data)[which].passed


def test_a_failed_check_stops_the_figure(monkeypatch, document):
    checks = [*figure.check(document["data"])]
    failed = checks[0].__class__("the sky is green", "green", "blue", False)
    monkeypatch.setattr(type(figure), "data", lambda *arguments: document["data"])
    monkeypatch.setattr(type(figure), "check", lambda self, data: [*checks, failed])
    with pytest.raises(CheckError, match="the sky is green: expected green, found blue"):
        figure.prepare("quick", ROOT / "results")


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.fixture
def prepared(monkeypatch, document):
    monkeypatch.setattr(type(figure), "prepare", lambda *arguments: document)


def test_files_are_the_same_bytes_every_time(tmp_path, capsys, prepared, document):
    for name in ("a", "b"):
        assert figures.__main__.main(["sweet_spot", "--out", str(tmp_path / name)]) == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert set(digests(tmp_path / "a")) == {f"sweet_spot.{form}" for form in (*METADATA, "json")}
    stored = json.loads((tmp_path / "a" / "sweet_spot.json").read_text())
    assert stored == json.loads(json.dumps(document))
    assert stored["provenance"]["experiments"][0]["specification"]["run"]["seed"] == 1


def test_the_document_is_the_same_every_time(document):
    assert figure.prepare("quick", ROOT / "results") == document


def test_output_folder_must_be_writable(capsys, prepared):
    assert figures.__main__.main(["sweet_spot", "--out", "/dev/null/x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_json_lists_the_files(tmp_path, capsys, prepared):
    assert figures.__main__.main(["--out", str(tmp_path), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["figures"]
    assert set(entry) == {"name", "title", "caption", "files"}
    assert all(Path(path).stat().st_size > 1000 for path in entry["files"])
