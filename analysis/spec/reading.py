"""An experiment file as nested tables: what can be read, or why it cannot be."""

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from analysis.spec.checking import NUMBER, SpecificationError, number_hint, shown

# bytes; a list of 2^18 numbers, the largest dimension of a simulation
LARGEST_FILE = 4 * 2**20

# A line that gives a key one number, written as TOML does not write numbers.
ODD_NUMBER = re.compile(rf"\s*([\w.\"'-]+)\s*=\s*({NUMBER}\s*%?)\s*(?:#.*)?")


def read_table(path: Path) -> dict[str, Any]:
    """The tables of a TOML file in UTF-8, with or without a byte order mark.

    Raises SpecificationError, without the path: for what is no file (a pipe is not
    waited for), too large (4 MiB), not UTF-8, empty, or no TOML.
    """
    text = read_text(path, "TOML file", LARGEST_FILE)
    if not text.strip():
        raise SpecificationError("the file is empty: must hold [model] and [algorithm]")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecificationError(_odd_number(text) or f"broken TOML: {error}") from None
    # a number of thousands of digits, or deep nesting
    except (ValueError, RecursionError):
        raise SpecificationError("broken TOML: cannot be parsed") from None


def read_text(path: Path, kind: str, largest: int) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises SpecificationError, without the path: for what is no file (a pipe is not
    waited for), for one of more than `largest` bytes, and for one that is not UTF-8.
    """
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) and status.st_size <= largest:
            return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise SpecificationError(f"{reason}: must be a readable {kind}") from None
    except UnicodeDecodeError:
        raise SpecificationError("must be a text file in UTF-8") from None
    except ValueError:  # a zero byte in the path
        raise SpecificationError(f"must be the path of a {kind}") from None
    if stat.S_ISREG(status.st_mode):
        allowed = f"at most {largest} bytes"
        raise SpecificationError(
            f"a file of {status.st_size} bytes: must have {allowed}"
        )
    other = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
    raise SpecificationError(f"{other}: must be a {kind}")


def _odd_number(text: str) -> str | None:
    """The refusal of the first number with a comma or a per cent sign, if any."""
    for place, line in enumerate(text.splitlines(), 1):
        found = ODD_NUMBER.fullmatch(line)
        hint = number_hint(found[2]) if found else ""
        if found and hint:
            value = shown(found[2].strip())[1:-1]
            return f"line {place}: {found[1]} = {value}: must be a number{hint}"
    return None
