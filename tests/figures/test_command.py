"""Python -m figures as a user meets it, with two small figures as gallery."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

import figures.__main__ as command
import figures.folder
from analysis.spec.files import write_whole
from figures import registry
from figures.figure import METADATA, Figure
from figures.kit.captions import Description
from figures.kit.checks import Check

ROOT = Path(__file__).parents[2]


class Small(Figure):
    """A figure without experiments; its caption is true while `truth` is."""

    claims = ("drift",)

    def __init__(self, name, place):
        self.name = name
        self.place = place
        self.title = f"What {name} shows"
        self.truth = True
        self.seen = []

    def experiments(self, profile):
        return []

    def data(self, profile, simulated):
        return {"y": [1.0, 2.0]}

    def check(self, data):
        return [
            Check(
                "the sky is blue", "blue", "blue" if self.truth else "green", self.truth
            )
        ]

    def describe(self, data):
        return Description("A line that rises.", f"{data['y'][1]:g} & more.")

    def draw(self, data):
        canvas = Canvas(figsize=(2, 1))
        canvas.add_artist(Line2D([0, 1], data["y"]))
        return canvas

    def prepare(self, *arguments):
        self.seen.append(arguments)
        return super().prepare(*arguments)


@pytest.fixture
def gallery(monkeypatch):
    made = {name: Small(name, place) for place, name in enumerate(("early", "late"))}
    monkeypatch.setattr(registry, "gallery", lambda: made)
    monkeypatch.setattr(registry, "names", lambda: list(made))
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
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()
    }


def everything(*names):
    return {f"{name}.{form}" for name in names for form in (*METADATA, "json")} | {
        "index.html"
    }


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
    assert (
        document["provenance"]["command"] == "python -m figures early --profile quick"
    )
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
    assert entry["files"] == [
        str(tmp_path / "out" / f"early.{f}") for f in ("json", *METADATA)
    ]
    assert result["failed"] == [
        {"name": "late", "problem": "the sky is blue: expected blue, found green"}
    ]
    assert result["page"] == str(tmp_path / "out" / "index.html")


def test_formats(gallery, call, tmp_path):
    """Pictures of other runs and formats do not stay: they may show other data."""
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


def without(document, *path):
    made = json.loads(json.dumps(document))
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return made


@pytest.mark.parametrize("option", ["--out", "--results"])
def test_a_folder_has_a_name(gallery, capsys, option):
    """An empty one would be the current folder."""
    assert command.main(["early", f"{option}="]) == 2
    assert (
        capsys.readouterr().err
        == f"python -m figures: {option} = '': must be a folder\n"
    )


DAMAGE = {
    "half": lambda good: "{",
    "another kind": lambda good: "[]",
    "another figure": lambda good: json.dumps(good | {"name": "early"}),
    "unknown claim": lambda good: json.dumps(good | {"claims": ["no claim"]}),
    "no failure": lambda good: json.dumps({"failed": "x"}),
    "inner key": lambda good: json.dumps(without(good, "checks", 0, "found")),
    "provenance": lambda good: json.dumps(without(good, "provenance", "command")),
    "type": lambda good: json.dumps(good | {"caption": 3}),
    "NaN": lambda good: json.dumps(good | {"data": {"y": float("nan")}}),
    "nested": lambda good: "[" * 100_000,
    "surrogate": lambda good: json.dumps(good | {"title": "\ud800"}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_document_is_named_before_the_work_and_left_out(
    gallery, call, tmp_path, monkeypatch, capsys, damage
):
    """The page says so too, and the figure comes back when it is made again."""
    call()
    path = tmp_path / "out" / "late.json"
    good = path.read_text(encoding="utf-8")
    path.write_text(DAMAGE[damage](json.loads(good)), encoding="utf-8")
    told = []

    def prepare(*arguments):
        told.append(capsys.readouterr().err)
        return Small.prepare(gallery["early"], *arguments)

    monkeypatch.setattr(gallery["early"], "prepare", prepare)
    code, _, err = call("early")
    assert code == 0
    (line,) = told[0].splitlines()
    assert line.startswith(
        f"python -m figures: {path}: left out of the page, make this figure"
    )
    assert "late.json" not in err
    assert articles(tmp_path / "out") == [("early", "")]
    assert "<code>late.json</code>" in (tmp_path / "out" / "index.html").read_text()
    assert call("late")[0] == 0
    assert path.read_text(encoding="utf-8") == good
    assert articles(tmp_path / "out") == [("early", ""), ("late", "")]


def test_things_that_are_no_files_are_named(gallery, call, tmp_path):
    """In another figure's place they are left out.

    In its own they are in the way or replaced.
    """
    out = tmp_path / "out"
    call()
    (out / "late.json").unlink()
    os.mkfifo(out / "late.json")
    code, _, err = call("early")
    assert code == 0
    assert (
        "late.json: left out of the page, make this figure again: not a regular file"
        in err
    )
    assert call("late")[0] == 0
    (out / "late.svg").unlink()
    (out / "late.svg").mkdir()
    before = digests_of_files(out)
    code, _, err = call("late")
    assert (code, err.count("\n")) == (2, 1)
    assert "late.svg is no folder" in err
    assert digests_of_files(out) == before
    assert call("early")[0] == 0


def digests_of_files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_a_picture_that_is_more_than_that_is_left_out(gallery, call, tmp_path):
    call()
    svg = tmp_path / "out" / "late.svg"
    svg.write_text(svg.read_text().replace("</svg>", "<script>alert(1)</script></svg>"))
    code, _, err = call("early")
    assert code == 0
    assert (
        "late.svg: left out of the page, make this figure again: holds the element"
        in err
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert 'href="late.svg"' not in page
    assert 'href="late.png"' in page


def test_no_page_beside_pictures_that_it_cannot_show(gallery, call, tmp_path):
    """For a folder of a paper, say; with --json the page is null."""
    code, out, _ = call("early", "--formats", "pdf")
    assert code == 0
    assert "index.html" not in out
    assert set(digests(tmp_path / "out")) == {"early.pdf", "early.json"}
    assert json.loads(call("early", "--formats", "pdf", "--json")[1])["page"] is None


def test_the_page_of_somebody_else_stays(gallery, call, tmp_path):
    """Refused before the work; where no page would be written it is not in the way."""
    (tmp_path / "out").mkdir()
    own = tmp_path / "out" / "index.html"
    own.write_text("<h1>My home page</h1>")
    code, _, err = call("early")
    assert (code, err.count("\n"), gallery["early"].seen) == (2, 1, [])
    assert "without an index.html of somebody else" in err
    assert call("early", "--formats", "pdf")[0] == 0
    assert own.read_text() == "<h1>My home page</h1>"


def test_the_users_own_style_changes_nothing(gallery, call, tmp_path):
    call("early", out="a")
    own = {"text.antialiased": False, "axes.facecolor": "red", "savefig.dpi": 37}
    with matplotlib.rc_context(own):
        call("early", out="b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_a_full_disk_names_the_file(gallery, tmp_path, monkeypatch):
    """Earlier figures are on the page; the command prints the error as its one line."""

    def full(path, put):
        if path.name == "late.svg":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_whole(path, put)

    monkeypatch.setattr(figures.folder, "write_whole", full)
    options = command.parser().parse_args(["--out", str(tmp_path / "out")])
    with pytest.raises(OSError, match=r"No space left on device: '.*late\.svg'"):
        options.act(options)
    assert articles(tmp_path / "out") == [("early", "")]
    assert not (tmp_path / "out" / "late.json").exists()


def test_the_output_folder_must_be_writable(gallery, capsys):
    """It is asked before the work."""
    assert command.main(["early", "--out", "/dev/null/x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert gallery["early"].seen == []


BUSY = """
import sys
from analysis.cli.entry import start
from figures import registry

class Busy:
    name = title = "busy"
    def prepare(self, *_):
        print("at work", file=sys.stderr, flush=True)
        exec("while True: pass")

registry.names, registry.gallery = (lambda: ["busy"]), (lambda: {"busy": Busy()})
start("figures")
"""


def test_ctrl_c_ends_the_process(tmp_path):
    """Within 2 s, in one line, with code 130: also in code compiled from a text.

    Python would end such a process by the signal, once it had dismantled all modules.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            BUSY,
            "--out",
            str(tmp_path),
            "--results",
            str(tmp_path),
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr.readline() == "at work\n"
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err == "python -m figures: interrupted. No run was finished.\n"
    assert process.returncode == 130
    assert time.monotonic() - asked < 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
def test_interrupts_at_any_time(tmp_path, record_property):
    """A real figure: one line, soon, nothing half; in the end the same bytes."""
    line = [sys.executable, "-m", "figures", "rates"]

    def started(out):
        return subprocess.Popen(
            [
                *line,
                "--out",
                str(tmp_path / out),
                "--results",
                str(tmp_path / f"results {out}"),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    began = time.monotonic()
    assert started("undisturbed").wait() == 0
    duration = time.monotonic() - began
    met = 0
    count = 12
    for i in range(count):
        process = started("disturbed")
        time.sleep(0.2 + duration * i / count)
        met += process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        done = "1/1 rates" in err  # Python, at its end, no longer asks us what to do
        assert process.returncode == 130 or (
            done and process.returncode in (0, -signal.SIGINT)
        )
        assert "Traceback" not in err
        assert "ignored" not in err
        assert not list(tmp_path.rglob("*.part"))
    assert started("disturbed").wait() == 0
    assert met > count / 3
    assert digests(tmp_path / "undisturbed") == digests(tmp_path / "disturbed")
    record_property("soak", {"what": "interrupts of a figure at work", "count": met})


@pytest.mark.parametrize("told", ["", "What is done is kept."])
@pytest.mark.parametrize("kept", [True, False])
def test_interrupted(gallery, call, tmp_path, monkeypatch, told, kept):
    """The page is about what was made so far, and the last line says what is kept."""

    def stop(*_):
        raise KeyboardInterrupt(told)

    if kept:
        (tmp_path / "results" / "run").mkdir(parents=True)
        (tmp_path / "results" / "run" / "b00001.json").write_text("{}")
    monkeypatch.setattr(gallery["late"], "prepare", stop)
    code, _, err = call()
    assert code == 130
    runs = (
        f"Finished runs are in {tmp_path / 'results'}: the same command "
        "goes on from there."
    )
    runs = told or (runs if kept else "No run was finished.")
    made = f"Figures made: 1, in {tmp_path / 'out'}."
    assert err.splitlines()[-1] == f"python -m figures: interrupted. {made} {runs}"
    assert articles(tmp_path / "out") == [("early", "")]
    shutil.rmtree(tmp_path / "out")
    code, _, err = call("late")
    assert (code, err) == (130, f"python -m figures: interrupted. {runs}\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_every_figure_is_found():
    gallery = registry.gallery()
    places = [figure.place for figure in gallery.values()]
    assert sorted(gallery) == registry.names()
    assert next(iter(gallery)) == "sweet_spot"
    assert places == sorted(set(places))
    assert all(name == figure.name for name, figure in gallery.items())
