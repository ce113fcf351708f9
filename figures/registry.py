"""The figures of this package."""

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings matplotlib, SymPy and numba
    from figures.figure import Figure


def names() -> list[str]:
    """Their names, from the files of this package; none of them is imported."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    declared = re.compile(r"^figure = ", re.MULTILINE)
    return [path.stem for path in files if declared.search(path.read_text("utf-8"))]


def gallery() -> "dict[str, Figure]":
    """Every figure by its name, in the order of the gallery; imports them all."""
    figures: list[Figure] = [import_module(f"figures.{x}").figure for x in names()]
    ordered = sorted(figures, key=lambda figure: (figure.place, figure.name))
    return {figure.name: figure for figure in ordered}
