"""python -m figures: regenerate the figures and their page."""

import sys

if __name__ == "__main__":  # before the other imports, which take a while and may fail
    try:
        from analysis.cli.entry import start
    except ImportError:
        message = "python -m figures: another package called analysis is in the way"
        print(message, file=sys.stderr)
        sys.exit(2)
    start("figures")

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.cli import common
from analysis.spec.checking import choice, named, refuse
from figures import folder, registry
from figures.formats import METADATA, SHOWN
from figures.kit.profiles import Profile
from sim.backend import BACKENDS

if TYPE_CHECKING:  # with matplotlib, SymPy and numba: imported when they are needed
    from figures.figure import Figure
    from figures.kit.checks import CheckError

DESCRIPTION = """\
Regenerate the figures: run what is missing, check every caption against the data, draw.
Writes NAME.json (data, caption and notes, checks, provenance), NAME.png, NAME.pdf and
NAME.svg, and index.html, a page about all figures in DIR that needs no other file; no
page where none of them is a PNG or SVG picture.

example: python -m figures sweet_spot --profile quick

A figure whose caption is not true is not drawn: its old pictures are removed, the page
says what was found, the other figures are made, and the exit code is 1.

keys with --json: figures[{name, title, caption, files[]}], failed[{name, problem}],
page (null where there is none); with --list: figures[{name, title, claims[]}]"""


@dataclass
class Outcome:
    """Entries of the JSON output: of figures that were made, and that failed."""

    made: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)


def _act(options: argparse.Namespace) -> int:
    names = [named("figure", name, registry.names()) for name in options.names]
    options.formats = _formats(options.formats)
    for option, path in (("--out", options.out), ("--results", options.results)):
        if not path:
            refuse(option, path, "a folder")
    # pictures go to files, whatever is set for windows
    os.environ["MPLBACKEND"] = "agg"
    figures = registry.gallery()
    chosen = {name: figures[name] for name in names or figures}
    return (
        _list(chosen, options.json)
        if options.list
        else make(chosen, list(figures), options)
    )


def _list(figures: "dict[str, Figure]", as_json: bool) -> int:
    rows = [
        {"name": f.name, "title": f.title, "claims": f.claims} for f in figures.values()
    ]
    if as_json:
        print(common.to_json({"figures": rows}))
    else:
        print("\n".join(f"{f.name:<20}{f.title}" for f in figures.values()))
    return 0


def make(
    chosen: "dict[str, Figure]", names: Sequence[str], options: argparse.Namespace
) -> int:
    """Make the chosen figures, then the page about all `names` that are in --out."""
    from figures import report

    out = Path(options.out)
    folder.require(out, chosen)
    if set(options.formats) & set(SHOWN) and report.foreign(out / folder.PAGE):
        refuse("--out", str(out), f"a folder without an {folder.PAGE} of somebody else")
    others = [name for name in names if name not in chosen]
    _say_damaged(report.read(others, out)[1], out)
    outcome = Outcome()
    try:
        try:
            _make_each(chosen, options, outcome)
        finally:
            page = report.write(names, out)
    except KeyboardInterrupt as interrupt:
        state = _state(str(interrupt), len(outcome.made), options)
        raise KeyboardInterrupt(state) from None
    if options.json:
        shown = None if page is None else str(page)
        print(
            common.to_json(
                {"figures": outcome.made, "failed": outcome.failed, "page": shown}
            )
        )
    elif page:
        print(page, flush=True)
    for entry in outcome.failed:
        common.say(f"python -m figures: {entry['name']}: {entry['problem']}")
    return int(bool(outcome.failed))


def _make_each(
    chosen: "dict[str, Figure]", options: argparse.Namespace, outcome: Outcome
) -> None:
    """Make the figures one by one, and say so unless JSON is to be printed."""
    for i, (name, figure) in enumerate(chosen.items(), 1):
        began = time.perf_counter()
        lines = _make_one(figure, options, outcome)
        if not options.json:
            print("\n".join([f"{name}: {figure.title}", *lines]), flush=True)
            seconds = time.perf_counter() - began
            print(f"{i}/{len(chosen)} {name}: {seconds:.1f} s", file=sys.stderr)


def _make_one(
    figure: "Figure", options: argparse.Namespace, outcome: Outcome
) -> list[str]:
    """Make one figure, or leave in its place why it failed; lines for a terminal."""
    from figures.kit.checks import CheckError
    from sim.sweep.measure import available_cores

    profile, out = Profile(options.profile), Path(options.out)
    try:
        document = figure.prepare(
            profile, Path(options.results), available_cores(), options.backend
        )
    except CheckError as error:
        outcome.failed.append(_refused(figure, error, profile, out))
        return ["  not drawn, a check failed"]
    paths = figure.write(document, out, options.formats)
    entry = {key: document[key] for key in ("name", "title", "caption")}
    outcome.made.append(entry | {"files": [str(path) for path in paths]})
    lines = [f"  checked: {c['statement']}: {c['found']}" for c in document["checks"]]
    formats = ",".join([*options.formats, "json"])
    return [*lines, f"  {out / figure.name}.{{{formats}}}"]


def _refused(
    figure: "Figure", error: "CheckError", profile: Profile, out: Path
) -> dict[str, str]:
    """Leave the reason in the figure's place, and no picture."""
    from figures import report

    problem = str(error).removeprefix(f"{figure.name}: ")
    report.write_failure(figure, profile, problem, out)
    return {"name": figure.name, "problem": problem}


def _say_damaged(damaged: Mapping[str, str], out: Path) -> None:
    """Say which files of other figures the page leaves out."""
    for name, problem in damaged.items():
        place = f"python -m figures: {out / name}"
        common.say(f"{place}: left out of the page, make this figure again: {problem}")


def _state(simulation: str, count: int, options: argparse.Namespace) -> str:
    """What an interrupt leaves: figures, and what the simulation says of its runs."""
    results = Path(options.results)
    if simulation:
        runs = simulation
    elif any(results.glob("*/*.json")):
        runs = f"Finished runs are in {results}: the same command goes on from there."
    else:
        runs = "No run was finished."
    return f"Figures made: {count}, in {options.out}. {runs}" if count else runs


def _formats(words: str) -> tuple[str, ...]:
    """The formats of a list with commas, each once."""
    if not words:
        refuse("--formats", words, "a list of " + ", ".join(METADATA))
    check = choice(*METADATA)
    return tuple(dict.fromkeys(check("--formats", word) for word in words.split(",")))


def parser() -> common.Parser:
    """The command's parser."""
    top = common.Parser(prog="python -m figures", description=DESCRIPTION)
    top.set_defaults(act=_act)
    top.add_argument(
        "names", metavar="NAME", nargs="*", help="figures to make (default: all)"
    )
    top.add_argument(
        "--profile",
        choices=[profile.value for profile in Profile],
        default="quick",
        help=(
            "quick: at most 12 s a figure on 2 cores; full: more runs and "
            "sizes (default quick)"
        ),
    )
    top.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help=(
            "where simulations run; auto: on a CUDA device if there is "
            "one (default auto)"
        ),
    )
    top.add_argument(
        "--out", default="figures/out", metavar="DIR", help="default: figures/out"
    )
    top.add_argument(
        "--formats",
        default=",".join(METADATA),
        metavar="LIST",
        help=f"with commas between (default: {','.join(METADATA)})",
    )
    top.add_argument(
        "--results",
        default="results",
        metavar="DIR",
        help="finished runs (default: results)",
    )
    top.add_argument("--list", action="store_true", help="list the figures instead")
    common.add_json(top)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return common.run(parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
