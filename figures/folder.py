"""What figures leave in a folder: NAME.json with its pictures, and the page."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from analysis.spec.checking import refuse
from analysis.spec.files import read_whole, write_whole
from figures.formats import METADATA

PAGE = "index.html"


def require(out: Path, names: Iterable[str]) -> None:
    """Make the folder, and see that the figures `names` and a page can be put there.

    Raises SpecificationError where they cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        refuse("--out", str(out), f"a folder that can be written ({error.strerror})")
    for file in (
        PAGE,
        *(f"{name}.{form}" for name in names for form in ("json", *METADATA)),
    ):
        if (out / file).is_dir() and not (out / file).is_symlink():
            refuse("--out", str(out), f"a folder where {file} is no folder")


def put(
    out: Path, name: str, document: bytes, pictures: Mapping[str, bytes]
) -> list[Path]:
    """Put a figure into the folder, in place of what was there; the files written.

    `pictures` maps formats to contents. A picture in another format is removed, since
    it shows other data. The document comes last, and an old one that differs goes
    first: whenever this is interrupted, a document has no pictures beside it but its
    own.

    Raises OSError, naming the file, where one cannot be written.
    """
    path = out / f"{name}.json"
    if not _holds(path, document):
        path.unlink(missing_ok=True)
    paths = [path]
    for form in METADATA:
        picture = out / f"{name}.{form}"
        if form in pictures:
            write(picture, pictures[form])
            paths.append(picture)
        else:
            picture.unlink(missing_ok=True)
    write(path, document)
    return paths


def write(path: Path, content: bytes) -> None:
    """Write the file wholly or not at all; OSError, naming the file, if it cannot."""
    write_whole(path, lambda file: file.write(content))


def _holds(path: Path, content: bytes) -> bool:
    try:
        return read_whole(path) == content
    except OSError:
        return False
