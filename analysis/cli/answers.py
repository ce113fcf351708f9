"""How a command answers: lines of text, JSON, comma-separated values, a picture.

def add(commands):
    parser = common.add_command(commands, …)
    answers.add_forms(parser)

def _act(options):
    answers.require_one_form(options)
    …
    return answers.give(options, Answer(result, lines, rows, plot))
"""

import argparse
import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from analysis.cli import common
from analysis.spec.checking import refuse, shown

# The formats of pictures, with what makes two of the same numbers the same bytes.
UNDATED: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}
DASHES = ("-", "--", "-.", ":")


class Curve(NamedTuple):
    """A line of a picture: its name, and y [n] against x [n]; None or NaN is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True)
class Plot:
    """What --plot draws: curves over one axis, which may be logarithmic."""

    curves: Sequence[Curve]
    xlabel: str
    ylabel: str
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Answer:
    """The same numbers for --json, for a terminal, for --csv and for --plot.

    document: plain data, arrays or dataclasses. rows: one flat mapping a row, all with
    the same keys; there is at least one.
    """

    document: Any
    lines: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    plot: Plot


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Add --json and --csv, for `require_one_form`."""
    common.add_json(parser)
    parser.add_argument(
        "--csv", action="store_true", help="print comma-separated values instead"
    )


def add_forms(parser: argparse.ArgumentParser) -> None:
    """Add --json, --csv and --plot FILE."""
    add_tables(parser)
    parser.add_argument(
        "--plot",
        type=picture_file,
        metavar="FILE",
        help=f"also draw a picture: a file name that ends in {_endings()}",
    )


def picture_file(name: str) -> Path:
    """The path of a picture to write. Raises argparse.ArgumentTypeError for another.

    Its ending must be that of a format, and its folder must exist.
    """
    path = Path(name)
    if path.suffix[1:] not in UNDATED:
        message = f"{shown(name)}: must be a file name that ends in {_endings()}"
        raise argparse.ArgumentTypeError(message)
    if not path.parent.is_dir():
        message = f"{shown(name)}: must be in a folder that exists"
        raise argparse.ArgumentTypeError(message)
    return path


def _endings() -> str:
    *most, last = [f".{ending}" for ending in UNDATED]
    return f"{', '.join(most)} or {last}"


def require_one_form(options: argparse.Namespace) -> None:
    """Raise SpecificationError for --json and --csv at once; before any work."""
    if options.csv and options.json:
        refuse("--csv", "with --json", "one of the two")


def give(options: argparse.Namespace, answer: Answer) -> int:
    """Print and draw the answer in the forms that the options name; the exit code."""
    if options.plot is not None:
        draw(answer.plot, options.plot)
    if options.json:
        print(common.to_json(answer.document))
    elif options.csv:
        print(comma_separated(answer.rows))
    else:
        print("\n".join(answer.lines))
        if options.plot is not None:
            print(f"picture in {shown(str(options.plot))}")
    return 0


def comma_separated(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows, one or more of equal keys, under a header; empty where one has none."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(common.document(row) for row in rows)
    return out.getvalue().rstrip("\n")


def draw(plot: Plot, path: Path) -> None:
    """Write the picture, in the format that the path's ending names.

    matplotlib's own settings, whatever those of the reader are. Raises OSError where
    the file cannot be written.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    style = {"svg.hashsalt": "micro-batch-clipping"}
    with matplotlib.style.context(["default", style]):
        canvas = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = canvas.subplots()
        for i, curve in enumerate(plot.curves):
            y = [math.nan if value is None else value for value in curve.y]
            dashes = DASHES[i % len(DASHES)]  # so that grey curves can be told apart
            axes.plot(curve.x, y, dashes, marker="o", markersize=4, label=curve.name)
        axes.set(xlabel=plot.xlabel, ylabel=plot.ylabel)
        axes.set_xscale("log" if plot.log_x else "linear")
        axes.set_yscale("log" if plot.log_y else "linear")
        axes.legend(frameon=False)
        canvas.savefig(path, metadata=UNDATED[path.suffix[1:]])
