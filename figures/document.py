"""NAME.json as the page needs it: its shape, stated as classes, and its only reader.

Whoever hands on a folder of figures can change its files, so nothing is taken on trust:
a document has this shape, or it is refused in one line.
"""

import errno
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from analysis.claims import CLAIMS
from analysis.spec.checking import SpecificationError, choice, refuse
from analysis.spec.files import read_whole
from figures.kit.checks import Check

LARGEST = 2**24  # bytes of a file; the largest of the gallery have a tenth of that
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """How long and how often an experiment was run."""

    measure: str
    replicates: int
    iterations: int
    steps: tuple[float, ...]
    seed: int


@dataclass(frozen=True)
class Algorithm:
    """What the page says of the rule."""

    rule: str


@dataclass(frozen=True)
class Specification:
    """What the page says of an experiment's specification."""

    run: Run
    algorithm: Algorithm


@dataclass(frozen=True)
class Recorded:
    """An experiment behind a figure; the digests of its results by micro-batch size."""

    name: str
    specification: Specification
    results: Mapping[str, str]


@dataclass(frozen=True)
class Provenance:
    """What makes the figure again; only command and version if it failed."""

    command: str
    version: str
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    experiments: tuple[Recorded, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A figure whose checks passed."""

    name: str
    title: str
    caption: str
    alt: str
    claims: tuple[str, ...]
    checks: tuple[Check, ...]
    data: Mapping[str, Any]
    provenance: Provenance
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The entry of a figure of which a check failed."""

    name: str
    title: str
    claims: tuple[str, ...]
    failed: str
    provenance: Provenance


Document = Drawn | Failed


def read(path: Path) -> Document | None:
    """The document of the figure that the file is named after, None without file.

    Raises SpecificationError for anything else: one line that says what is wrong with
    the file.
    """
    try:
        return _document(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = error.strerror or str(error)
    except RecursionError:
        problem = "nested too deeply"
    except SpecificationError:
        raise
    except ValueError as error:  # neither UTF-8 nor JSON
        problem = f"no JSON ({error})"
    raise SpecificationError(problem)


def _document(path: Path) -> Document:
    content = read_bounded(path).decode("utf-8")
    value = json.loads(content, parse_constant=_no_number, parse_float=_finite)
    kind: Any = Failed if isinstance(value, dict) and "failed" in value else Drawn
    document: Document = shaped(kind, value)
    choice(path.stem)("name", document.name)
    for name in document.claims:
        choice(*sorted(CLAIMS.names))("claims", name)
    if len(set(document.claims)) < len(document.claims):
        refuse("claims", list(document.claims), "a list without repetition")
    return document


def read_bounded(path: Path) -> bytes:
    """The bytes of a regular file of at most LARGEST bytes.

    Raises OSError for anything else.
    """
    if path.stat().st_size > LARGEST:
        raise OSError(errno.EFBIG, f"larger than {LARGEST} bytes", str(path))
    return read_whole(path)


def _no_number(text: str) -> NoReturn:
    raise SpecificationError(f"holds {text}")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise SpecificationError(f"holds the number {text[:20]}, which is too large")
    return number


def shaped(kind: type[T], value: Any) -> T:
    """JSON data as an object of a class of this module.

    Lists become tuples; keys that the class does not have are left out. Raises
    SpecificationError that names the first entry of another type, or that is missing.
    """
    result: T = _shaped(kind, value, "")
    return result


def _shaped(kind: Any, value: Any, place: str) -> Any:
    """`value` as a `kind`: a dataclass, tuple or mapping of one kind, Any, or plain."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        _require(isinstance(value, dict), place, value, "an object")
        return _object(kind, value, place)
    if origin is tuple:
        _require(isinstance(value, list), place, value, "a list")
        return tuple(_shaped(inner[0], v, f"{place}[{i}]") for i, v in enumerate(value))
    if origin is Mapping:
        _require(isinstance(value, dict), place, value, "an object")
        return {
            _plain(str, k, place): _shaped(inner[1], v, place) for k, v in value.items()
        }
    return value if kind is Any else _plain(kind, value, place)


def _object(kind: Any, value: Mapping[str, Any], place: str) -> Any:
    hints = get_type_hints(kind)
    entries = {}
    for entry in fields(kind):
        where = f"{place}.{entry.name}" if place else entry.name
        if entry.name in value:
            entries[entry.name] = _shaped(hints[entry.name], value[entry.name], where)
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise SpecificationError(f"the entry {where} is missing")
    return kind(**entries)


WORDS = {
    str: "a text",
    int: "an integer",
    float: "a finite number",
    bool: "true or false",
}


def _plain(kind: type, value: Any, place: str) -> Any:
    accepted = (int, float) if kind is float else kind
    truth = isinstance(value, bool) == (kind is bool)  # True is an int for Python
    _require(truth and isinstance(value, accepted), place, value, WORDS[kind])
    try:
        if kind is float:
            return float(value)
        if kind is str:
            value.encode("utf-8")
    except OverflowError:
        refuse(place, value, WORDS[kind])
    except UnicodeEncodeError:
        refuse(place, value, "a text of characters only")
    return value


def _require(holds: bool, place: str, value: Any, allowed: str) -> None:
    if not holds:
        refuse(place or "the document", value, allowed)
