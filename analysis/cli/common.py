"""What the three commands share: options, one-line errors, JSON, exit codes."""

import argparse
import dataclasses
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import numpy as np

from analysis import __version__
from analysis.cli.entry import BAD_INPUT, ESCAPED, INTERRUPTED, set_errors
from analysis.spec.checking import (
    SpecificationError,
    named,
    number_hint,
    printable,
    shortened,
    shown,
)

LONGEST_MESSAGE = 500  # characters: a message may quote the command line
LARGEST_WHOLE = 1e15  # from here on, decimal digits of a float are not all significant


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line on stderr, exit code 2.

    Its subcommands may be written with - or _. Numbers are read by `read_real` and
    `read_whole`, whose errors say how a number is written.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self.add_argument("--version", action="version", version=__version__)
        self.register("type", float, read_real)
        self.register("type", int, read_whole)
        self._commands: Any = None

    def error(self, message: str) -> NoReturn:
        """Print `message` in one line, point to --help, and exit with code 2."""
        message = shortened(printable(" ".join(message.split())), LONGEST_MESSAGE)
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see --help)\n")

    def add_subparsers(self, **options: Any) -> Any:
        """Subcommands, one of which is required, with parsers of this class."""
        defaults: dict[str, Any] = {
            "required": True,
            "metavar": "COMMAND",
            "parser_class": Parser,
        }
        self._commands = super().add_subparsers(**defaults | options)
        return self._commands

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As usual, except that the name of a subcommand need not be exact."""
        words = list(sys.argv[1:] if args is None else args)
        if self._commands is not None:
            for i, word in enumerate(words):
                if not word.startswith("-"):
                    words[i] = self._command(word)
                    break
        return super().parse_known_args(words, namespace)

    def _command(self, word: str) -> str:
        try:
            return named("command", word, self._commands.choices)
        except SpecificationError as error:
            self.error(str(error))


def read_real(text: str) -> float:
    """A number on the command line."""
    try:
        return float(text)
    except ValueError:
        message = f"{shown(text)}: must be a number{number_hint(text)}"
        raise argparse.ArgumentTypeError(message) from None


def read_whole(text: str) -> int:
    """A whole number on the command line."""
    try:
        return int(text)
    except ValueError:
        message = f"{shown(text)}: must be a whole number, written in digits"
        raise argparse.ArgumentTypeError(message) from None


def add_command(
    commands: Any,
    name: str,
    act: Callable[[argparse.Namespace], int],
    summary: str,
    *,
    details: str,
) -> argparse.ArgumentParser:
    """Add a subcommand; `details`, with an example, end its --help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary, epilog=details
    )
    parser.set_defaults(act=act)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document instead"
    )


def document(value: Any) -> Any:
    """Plain JSON data: NaN and infinity are null, arrays lists, dataclasses objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: document(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): document(entry) for key, entry in value.items()}
    if isinstance(value, np.generic):
        return document(value.item())
    if isinstance(value, (list, tuple, np.ndarray)):
        return [document(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def to_json(value: Any) -> str:
    """The JSON text of `document(value)`, indented, without a final newline."""
    return json.dumps(document(value), indent=2, ensure_ascii=False, allow_nan=False)


def number(value: float | None) -> str:
    """A whole number with all its digits, any other with six; a dash for none."""
    if value is None or not np.isfinite(value):
        return "-"
    if isinstance(value, (int, np.integer)) or (
        value == int(value) and abs(value) < LARGEST_WHOLE
    ):
        return str(int(value))
    return f"{value:.6g}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned to the right under their headings, two spaces apart."""
    columns = zip(header, *rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for row in [header, *rows]:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(cell.rjust(width) for cell, width in cells))
    return "\n".join(lines)


def pairs(rows: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each label and its value; the values begin in the same column."""
    width = max((len(label) for label, _ in rows), default=0)
    return [f"{label:<{width}}  {value}" for label, value in rows]


def say(message: str) -> None:
    """Print one line on stderr, whatever the names in it contain."""
    print(printable(message), file=sys.stderr)


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse and act; the exit code. What goes wrong is one line on stderr."""
    try:
        options = parser.parse_args(arguments)
        if getattr(options, "json", False):
            set_errors(sys.stdout, ESCAPED)
        code: int = options.act(options)
        sys.stdout.flush()
        return code
    except SpecificationError as error:
        say(f"{parser.prog}: {error}")
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        say(f"{parser.prog}: interrupted. {interrupt}".strip())
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the pipe has gone
        _drop_output()
        return 1
    except (OSError, MemoryError) as error:
        say(f"{parser.prog}: {error or 'not enough memory'}")
        _drop_output()
        return 1


def _drop_output() -> None:
    """Keep Python from failing a second time when it flushes stdout at exit."""
    with suppress(io.UnsupportedOperation):  # stdout may be text in memory
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
