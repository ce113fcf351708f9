"""The report: the page about all figures in a folder, failed ones included."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis import __version__
from analysis.cli import common
from analysis.spec.checking import SpecificationError
from analysis.spec.files import read_whole
from figures import document, folder, pictures
from figures.document import Failed
from figures.figure import Figure
from figures.formats import METADATA, SHOWN
from figures.page import DESCRIPTION, Shown, page


def write(names: Sequence[str], out: Path) -> Path | None:
    """Write `out`/index.html about the figures of `names` there; its path.

    A page that would show nothing is removed, and None is returned, as it is where
    another index.html stands. Raises OSError when the page cannot be written.
    """
    path = out / folder.PAGE
    contents = read(names, out)
    while not foreign(path):
        _write(path, *contents)
        newest = read(names, out)
        if newest == contents:  # else another process has put a figure there meanwhile
            break
        contents = newest
    return None if foreign(path) or not path.exists() else path


def _write(path: Path, shown: Sequence[Shown], damaged: Mapping[str, str]) -> None:
    if any(figure.picture or isinstance(figure.document, Failed) for figure in shown):
        folder.write(path, page(shown, damaged).encode())
    else:
        path.unlink(missing_ok=True)


def foreign(path: Path) -> bool:
    """Whether the file there is no page of this command."""
    try:
        return DESCRIPTION.encode() not in read_whole(path)[:4096]
    except OSError:
        return False


def read(names: Sequence[str], out: Path) -> tuple[list[Shown], dict[str, str]]:
    """Those of the figures `names` that are there, and what is wrong with others."""
    shown: list[Shown] = []
    damaged: dict[str, str] = {}
    for name in names:
        path = out / f"{name}.json"
        try:
            content = document.read(path)
            if content is not None:
                shown.append(_with_pictures(content, out, damaged))
        except SpecificationError as error:
            damaged[path.name] = str(error)
    return shown, damaged


def _with_pictures(
    content: document.Document, out: Path, damaged: dict[str, str]
) -> Shown:
    """The document with the pictures beside it; the page shows the smallest file."""
    if isinstance(content, Failed):
        return Shown(content)
    sound = {}
    for form in SHOWN:
        path = out / f"{content.name}.{form}"
        try:
            picture = pictures.read(path)
        except SpecificationError as error:
            damaged[path.name] = str(error)
        else:
            if picture:
                sound[form] = picture
    others = {form for form in METADATA if form not in SHOWN}
    linked = {form for form in others if (out / f"{content.name}.{form}").is_file()}
    formats = [form for form in METADATA if form in sound or form in linked]
    smallest = min(
        sound.values(), key=lambda picture: len(picture.content), default=None
    )
    return Shown(content, smallest, (*formats, "json"))


def write_failure(figure: Figure, profile: str, problem: str, out: Path) -> None:
    """Put a document in the figure's place that says why it failed.

    Raises OSError when it cannot be written.
    """
    failed = {
        "name": figure.name,
        "title": figure.title,
        "claims": list(figure.claims),
        "failed": problem,
        "provenance": {
            "command": f"python -m figures {figure.name} --profile {profile}",
            "version": __version__,
        },
    }
    folder.put(out, figure.name, (common.to_json(failed) + "\n").encode(), {})
