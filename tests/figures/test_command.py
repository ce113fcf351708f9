"""python -m figures as a user meets it, with two small figures in place of the gallery."""

import hashlib
import json
import re

import matplotlib.pyplot as plt
import pytest
from matplotlib.lines import Line2D

import figures.__main__ as command
from figures.checks import Check
from figures.figure import METADATA, Figure


class Small(Figure):
    """A figure without experiments; its caption is true while `truth` is."""

    claims = ("drift",)

    def __init__(self, name, place):
        self.name, self.place, self.title = name, place, f"What {name} shows"
        self.truth, self.seen = True, []

    def experiments(self, profile):
        return []

    def data(self, profile, simulated):
        return {"y": [1.0, 2.0]}

    def check(self, data):
        return [Check("the sky is blue", "blue", "blue" if self.truth else "green", self.truth)]

    def caption(self, data):
        return f"{data['y'][1]:g} & more."

    def alt(self, data):
        return "A line that rises."

    def draw(self, data):
        canvas = plt.figure(figsize=(2, 1))
        canvas.add_artist(Line2D([0, 1], data["y"]))
        return canvas

    def prepare(self, *arguments):
        self.seen.append(arguments)
        return super().prepare(*arguments)


@pytest.fixture
def gallery(monkeypatch):
    made = {name: Small(name, place) for place, name in enumerate(("early", "late"))}
    monkeypatch.setattr(command, "found", lambda: made)
    monkeypatch.setattr(command, "known", lambda: list(made))
    return made


@pytest.fixture
def call(capsys, tmp_path):
    """Exit code, stdout, stderr of the command, its output below tmp_path/out."""

    def run(*words, out="out"):
        results = ["--results", str(tmp_path / "results")]
        try:
            code = command.main([*words, "--out", str(tmp_path / out), *results])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def everything(*names):
    return {f"{name}.{form}" for name in names for form in (*METADATA, "json")} | {"index.html"}


def articles(folder):
    page = (folder / "index.html").read_text(encoding="utf-8")
    return re.findall(r'<article id="(\w+)"( class="failed")?', page)


def test_files_are_the_same_bytes_every_time(gallery, call, tmp_path):
    for folder in ("a", "b"):
        code, out, err = call(out=folder)
        assert code == 0
        assert out.count("  checked: the sky is blue: blue\n") == 2
        assert out.splitlines()[-1] == str(tmp_path / folder / "index.html")
        assert re.fullmatch(r"1/2 early: \d+\.\d s\n2/2 late: \d+\.\d s\n", err)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert set(digests(tmp_path / "a")) == everything("early", "late")


def test_one_figure_refreshes_its_part_of_the_page(gallery, call, tmp_path):
    call("late")
    assert articles(tmp_path / "out") == [("late", "")]
    before = digests(tmp_path / "out")
    call("early", "early")
    assert articles(tmp_path / "out") == [("early", ""), ("late", "")]
    after = digests(tmp_path / "out")
    assert {name for name in before if before[name] != after[name]} == {"index.html"}
    assert len(gallery["early"].seen) == 1


def test_a_failed_figure_is_said_and_shown(gallery, call, tmp_path):
    """The others are made, nothing of its former success stays, and it comes back."""
    call()
    gallery["early"].truth = False
    code, _, err = call()
    assert code == 1
    problem = "the sky is blue: expected blue, found green"
    assert err.splitlines()[-1] == f"python -m figures: early: {problem}"
    assert len(gallery["late"].seen) == 2
    assert articles(tmp_path / "out") == [("early", ' class="failed"'), ("late", "")]
    assert set(digests(tmp_path / "out")) == everything("late") | {"early.json"}
    document = json.loads((tmp_path / "out" / "early.json").read_text())
    assert set(document) == {"name", "title", "claims", "failed", "provenance"}
    assert document["failed"] == problem
    assert document["provenance"]["command"] == "python -m figures early --profile quick"
    gallery["early"].truth = True
    assert call("early")[0] == 0
    assert articles(tmp_path / "out") == [("early", ""), ("late", "")]


def test_json(gallery, call, tmp_path):
    gallery["late"].truth = False
    code, out, err = call("--json")
    result = json.loads(out)
    assert code == 1
    assert err.count("\n") == 1
    assert set(result) == {"figures", "failed", "page"}
    (entry,) = result["figures"]
    assert set(entry) == {"name", "title", "caption", "files"}
    assert entry["files"] == [str(tmp_path / "out" / f"early.{f}") for f in ("json", *METADATA)]
    assert result["failed"] == [
        {"name": "late", "problem": "the sky is blue: expected blue, found green"}
    ]
    assert result["page"] == str(tmp_path / "out" / "index.html")


def test_formats(gallery, call, tmp_path):
    """Pictures of another run in other formats do not stay: they may show other data."""
    call("early")
    assert call("early", "--formats", "svg,svg")[0] == 0
    assert set(digests(tmp_path / "out")) == {"early.svg", "early.json", "index.html"}


def test_options_reach_the_figure(gallery, call, tmp_path):
    call("early", "--profile", "full", "--backend", "cpu")
    ((profile, results, _, backend),) = gallery["early"].seen
    assert (profile, results, backend) == ("full", tmp_path / "results", "cpu")


def test_list(gallery, call, tmp_path):
    assert call("--list")[:2] == (
        0,
        "early               What early shows\nlate                What late shows\n",
    )
    (entry,) = json.loads(call("late", "--list", "--json")[1])["figures"]
    assert entry == {"name": "late", "title": "What late shows", "claims": ["drift"]}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--formats", "gif"], "--formats = 'gif': must be one of png, pdf, svg"),
        (["--formats", "png,"], "--formats = ''"),
        (["--formats="], "--formats = ''"),
        (["--backend", "tpu"], "--backend"),
        (["nothing"], "figure = 'nothing': must be one of early, late"),
    ],
)
def test_bad_input_is_one_line_before_any_work(gallery, call, tmp_path, words, named):
    code, out, err = call(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err
    assert not (tmp_path / "out").exists()


def test_a_spoilt_document_is_named(gallery, call, tmp_path):
    call("late")
    good = json.loads((tmp_path / "out" / "late.json").read_text())
    others = [[], good | {"name": "early"}, good | {"claims": ["no claim"]}, {"failed": "x"}]
    for content in ("{", *map(json.dumps, others)):
        (tmp_path / "out" / "late.json").write_text(content)
        code, _, err = call("early")
        assert code == 2
        assert "document = 'late.json': must be one that" in err.splitlines()[-1]
    assert call("late")[0] == 0


@pytest.mark.parametrize("truth", [True, False])
def test_output_folder_must_be_writable(gallery, capsys, truth):
    gallery["early"].truth = truth
    assert command.main(["early", "--out", "/dev/null/x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_interrupted(gallery, call, tmp_path, monkeypatch):
    """The page is about what was made so far."""

    def stop(*_):
        raise KeyboardInterrupt("What is done is kept.")

    monkeypatch.setattr(gallery["late"], "prepare", stop)
    code, _, err = call()
    assert code == 130
    assert err.splitlines()[-1] == "python -m figures: interrupted. What is done is kept."
    assert articles(tmp_path / "out") == [("early", "")]


def test_every_figure_is_found():
    figures = command.found()
    places = [figure.place for figure in figures.values()]
    assert sorted(figures) == command.known()
    assert next(iter(figures)) == "sweet_spot"
    assert places == sorted(set(places))
    assert all(name == figure.name for name, figure in figures.items())
