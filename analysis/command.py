"""What the three commands have in common: options, one-line errors, JSON, exit codes."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from analysis import __version__
from analysis.fields import SpecificationError

BAD_INPUT = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line on stderr, exit code 2."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self.add_argument("--version", action="version", version=__version__)

    def error(self, message: str) -> NoReturn:
        """Print `message` in one line, point to --help, and exit with code 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {' '.join(message.split())} (see --help)\n")


def add_command(
    commands: Any, name: str, act: Callable[[argparse.Namespace], int], summary: str, details: str
) -> argparse.ArgumentParser:
    """Add a subcommand; `details`, with an example, stand below its options in --help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary, epilog=details
    )
    parser.set_defaults(act=act)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")


def document(value: Any) -> Any:
    """Plain JSON data: NaN and infinity become null, arrays lists, dataclasses objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: document(getattr(value, f.name)) for f in dataclasses.fields(value)}
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
    """A number in at most six significant digits, a dash where there is none."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.6g}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned to the right under their headings."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in [header, *rows]
    ]
    return "\n".join(lines)


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse, act, and turn what goes wrong into one line on stderr and an exit code."""
    options = parser.parse_args(arguments)
    try:
        code: int = options.act(options)
        sys.stdout.flush()
        return code
    except SpecificationError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        print(f"{parser.prog}: interrupted. {interrupt}".strip(), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has gone; nothing is left to tell it
        _drop_output()
        return 1
    except (OSError, MemoryError) as error:
        print(f"{parser.prog}: {error or 'not enough memory'}", file=sys.stderr)
        _drop_output()
        return 1


def _drop_output() -> None:
    """Keep Python from failing once more when it flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
