"""python -m figures: regenerate the figures."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from analysis import command
from analysis.fields import choice
from figures.checks import CheckError
from figures.figure import Figure
from sim.sweep import available_cores

HELPERS = {"__main__", "checks", "figure", "marks", "report"}

DESCRIPTION = """\
Regenerate the figures: run what is missing, check every caption against the data, draw. Writes
NAME.png, NAME.pdf, NAME.svg and NAME.json (the data, the caption, the checks, the provenance).

example: python -m figures sweet_spot --profile quick

keys with --json: figures[{name, title, caption, files[]}]; exit code 1 if a caption is not true"""


def found() -> dict[str, Figure]:
    """Every figure of this package by its name, in the order of the gallery."""
    folder = [str(Path(__file__).parent)]
    names = {name for _, name, _ in iter_modules(folder)} - HELPERS
    figures = [import_module(f"figures.{name}").figure for name in names]
    return {figure.name: figure for figure in sorted(figures, key=lambda f: (f.place, f.name))}


def _make(options: argparse.Namespace) -> int:
    figures, documents = found(), []
    for name in options.names:
        choice(*figures)("figure", name)
    for name in options.names or figures:
        figure = figures[name]
        try:
            document = figure.prepare(options.profile, Path(options.results), available_cores())
        except CheckError as error:
            print(f"python -m figures: {error}", file=sys.stderr)
            return 1
        paths = figure.write(document, Path(options.out))
        documents.append(
            {
                "name": name,
                "title": figure.title,
                "caption": document["caption"],
                "files": [str(path) for path in paths],
            }
        )
        if not options.json:
            print(f"{name}: {figure.title}")
            for check in document["checks"]:
                print(f"  checked: {check['statement']}: {check['found']}")
            print(f"  {Path(options.out) / name}.{{png,pdf,svg,json}}")
    if options.json:
        print(command.to_json({"figures": documents}))
    return 0


def parser() -> command.Parser:
    """The command's parser."""
    top = command.Parser(prog="python -m figures", description=DESCRIPTION)
    top.set_defaults(act=_make)
    top.add_argument("names", metavar="NAME", nargs="*", help="figures to make (default: all)")
    top.add_argument(
        "--profile",
        choices=["quick", "full"],
        default="quick",
        help="quick: under 90 s on 2 cores; full: more replicates and step sizes (default quick)",
    )
    top.add_argument("--out", default="figures/out", metavar="DIR", help="default: figures/out")
    top.add_argument(
        "--results", default="results", metavar="DIR", help="finished runs (default: results)"
    )
    command.add_json(top)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return command.run(parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
