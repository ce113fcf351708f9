"""The report: the page about all figures in a folder, and what stands there for a failed one."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from analysis import __version__, claims, command
from analysis.fields import refuse
from figures.figure import Figure
from figures.page import Document, page

PAGE = "index.html"
COMMON = {"name", "title", "claims", "provenance"}
DRAWN = {"caption", "alt", "checks", "data"}


def write(names: Sequence[str], out: Path) -> Path:
    """Write `out`/index.html about the figures `names` that have a document there; its path.

    Raises SpecificationError when a document cannot be read or the page cannot be written.
    """
    documents = [_read(out / f"{name}.json") for name in names if (out / f"{name}.json").exists()]
    return _replace(out / PAGE, page(documents, out))


def write_failure(figure: Figure, profile: str, problem: str, out: Path) -> Path:
    """Put a document in the figure's place that says why there is none; its path.

    Raises SpecificationError when it cannot be written.
    """
    document = {
        "name": figure.name,
        "title": figure.title,
        "claims": list(figure.claims),
        "failed": problem,
        "provenance": {
            "command": f"python -m figures {figure.name} --profile {profile}",
            "version": __version__,
        },
    }
    return _replace(out / f"{figure.name}.json", command.to_json(document) + "\n")


def _replace(path: Path, content: str) -> Path:
    temporary = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(content, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    except OSError as error:
        refuse("--out", str(path.parent), f"a folder that can be written ({error.strerror})")
    return path


def _read(path: Path) -> Document:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        needed = COMMON | ({"failed"} if "failed" in document else DRAWN)
        known = set(document["claims"]) <= claims.NAMES
        if needed <= set(document) and known and document["name"] == path.stem:
            return dict(document)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    refuse("document", path.name, "one that this command wrote; make the figure again")
