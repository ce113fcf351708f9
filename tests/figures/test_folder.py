"""What goes into a folder: whole files, no links, no captions of other data."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis.spec.checking import SpecificationError
from figures import folder, report
from figures.formats import METADATA

ROOT = Path(__file__).parents[2]
OLD = b'{"of": "old"}'
NEW = b'{"of": "new"}'


def pictures(name, formats=tuple(METADATA)):
    return {form: f"{form} of {name}".encode() for form in formats}


def state(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_figure_replaces_what_was_there(tmp_path):
    folder.put(tmp_path, "x", OLD, pictures("old"))
    paths = folder.put(tmp_path, "x", NEW, pictures("new", ["svg"]))
    assert [path.name for path in paths] == ["x.json", "x.svg"]
    assert state(tmp_path) == {"x.json": NEW, "x.svg": b"svg of new"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("formats", [("png",), tuple(METADATA)])
def test_no_caption_is_ever_beside_pictures_of_other_data(
    tmp_path, monkeypatch, error, formats
):
    """Wherever it is interrupted: after each renaming and each removal."""
    calls = 0
    stop = 0

    def counted(function):
        def call(*arguments, **options):
            nonlocal calls
            function(*arguments, **options)
            calls += 1
            if calls == stop:
                raise error

        return call

    replace, unlink = os.replace, Path.unlink
    folder.put(tmp_path, "x", OLD, pictures("old"))
    monkeypatch.setattr(os, "replace", counted(replace))
    monkeypatch.setattr(Path, "unlink", counted(unlink))
    folder.put(tmp_path, "x", NEW, pictures("new", formats))
    steps = calls
    # the document goes, each picture is replaced or removed, the document comes
    assert steps == 5
    for step in range(1, steps + 1):
        stop = step
        monkeypatch.undo()
        folder.put(tmp_path, "x", OLD, pictures("old"))
        monkeypatch.setattr(os, "replace", counted(replace))
        monkeypatch.setattr(Path, "unlink", counted(unlink))
        calls = 0
        with pytest.raises(error):
            folder.put(tmp_path, "x", NEW, pictures("new", formats))
        left = state(tmp_path)
        if document := left.pop("x.json", None):
            assert document == NEW
            assert left == {
                f"x.{f}": content for f, content in pictures("new", formats).items()
            }
        # nothing else
        assert all(name in {f"x.{form}" for form in METADATA} for name in left)


def test_the_same_figure_again_is_never_away(tmp_path, monkeypatch):
    """Made again from the same results, its document stays."""
    folder.put(tmp_path, "x", OLD, pictures("old"))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: pytest.fail("removed"))
    folder.put(tmp_path, "x", OLD, pictures("old"))


def test_links_are_replaced_and_not_followed(tmp_path):
    """The files of the gallery and the names that were once used while unfinished."""
    victim, out = tmp_path / "victim", tmp_path / "out"
    out.mkdir()
    names = [f"x.{form}" for form in (*METADATA, "json")]
    for name in [*names, *(f"{name}.part" for name in [*names, folder.PAGE])]:
        victim.write_text("precious")
        (out / name).symlink_to(victim)
    folder.put(out, "x", NEW, pictures("new"))
    folder.write(out / folder.PAGE, b"a page")
    assert victim.read_text() == "precious"
    assert not any((out / name).is_symlink() for name in names)
    assert (out / "x.json.part").is_symlink()


@pytest.mark.parametrize("count", [10, pytest.param(1000, marks=pytest.mark.soak)])
def test_links_that_are_laid_meanwhile_are_not_followed(
    tmp_path, count, record_property
):
    """By somebody who lays one to the same file at every name, again and again."""
    victim, out = tmp_path / "victim", tmp_path / "out"
    victim.write_text("precious")
    out.mkdir()
    names = [*(f"x.{form}" for form in (*METADATA, "json")), folder.PAGE]
    stop = threading.Event()
    laid = 0

    def attack():
        nonlocal laid
        while not stop.is_set():
            for name in [*names, *(f"{name}.part" for name in names)]:
                with contextlib.suppress(FileNotFoundError):
                    (out / name).unlink()
                with contextlib.suppress(FileExistsError):
                    (out / name).symlink_to(victim)
                    laid += 1

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        for i in range(count):
            folder.put(out, "x", (OLD, NEW)[i % 2], pictures(str(i)))
            folder.write(out / folder.PAGE, b"a page")
    finally:
        stop.set()
        attacker.join()
    assert laid > count
    assert victim.read_text() == "precious"
    record_property(
        "soak", {"what": "links laid where figures write, none followed", "count": laid}
    )


def test_what_cannot_be_written_is_refused_before(tmp_path):
    """In one line that names the folder, or the file that is in the way."""
    folder.require(tmp_path / "new" / "folder", ["x"])
    for name in ("x.json", "x.svg", folder.PAGE):
        out = tmp_path / f"with {name}"
        (out / name).mkdir(parents=True)
        with pytest.raises(
            SpecificationError, match=rf"--out = .*: must be .*{name} is no folder"
        ):
            folder.require(out, ["x"])
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "x", Path("/dev/null/x")):
        with pytest.raises(
            SpecificationError, match=r"--out = .* a folder that can be written"
        ):
            folder.require(bad, ["x"])


WRITER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from figures import report
figure = SimpleNamespace(name=sys.argv[3], title="A title", claims=("drift",))
for _ in range(int(sys.argv[2])):
    report.write_failure(figure, "quick", "a < b", Path(sys.argv[1]))
    report.write(["one", "two"], Path(sys.argv[1]))
"""


def failing(name):
    return SimpleNamespace(name=name, title="A title", claims=("drift",))


def whole(out):
    """The page is there and complete, and so is each document."""
    text = (out / folder.PAGE).read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")
    assert (out / "one.json").read_bytes().endswith(b"}\n")


def test_two_threads_write_one_page(tmp_path):
    errors = []

    def write(name):
        try:
            for _ in range(4):
                report.write_failure(failing(name), "quick", "a < b", tmp_path)
                report.write(["one", "two"], tmp_path)
                if name == "one":
                    whole(tmp_path)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(state(tmp_path)) == {"one.json", "two.json", folder.PAGE}


def test_a_figure_that_comes_while_the_page_is_written_is_on_it(tmp_path, monkeypatch):
    """Whoever writes last has seen everything."""
    write = folder.write

    def meanwhile(path, content):
        monkeypatch.setattr(folder, "write", write)
        report.write_failure(failing("two"), "quick", "a < b", tmp_path)
        write(path, content)

    report.write_failure(failing("one"), "quick", "a < b", tmp_path)
    monkeypatch.setattr(folder, "write", meanwhile)
    text = report.write(["one", "two"], tmp_path).read_text(encoding="utf-8")
    assert '<article id="two"' in text


@pytest.mark.soak
@pytest.mark.parametrize("names", [("one", "two"), ("one", "one")])
def test_two_processes_write_one_page(tmp_path, names, record_property):
    """A reader sees a whole page at any time, and neither writer fails."""
    report.write_failure(failing("one"), "quick", "a < b", tmp_path)
    report.write(["one"], tmp_path)
    count = 150
    seen = 0
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, str(count), name], cwd=ROOT
        )
        for name in names
    ]
    while any(writer.poll() is None for writer in writers):
        whole(tmp_path)
        seen += 1
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen > count
    text = (tmp_path / folder.PAGE).read_text(encoding="utf-8")
    assert all(f'<article id="{name}"' in text for name in names)
    assert set(state(tmp_path)) == {f"{name}.json" for name in names} | {folder.PAGE}
    what = "pages written by two processes at once, none of them seen empty or half"
    record_property("soak", {"what": what, "count": 2 * count})
