"""Checked fields: what a specification may contain, else a one-line refusal."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, NoReturn, Self

Check = Callable[[str, Any], Any]

LONGEST_SHOWN = 60  # characters of a value in a message


class SpecificationError(ValueError):
    """Bad input. The message is one line: the field, the value and what is allowed.

    Line breaks and other characters that are not printed as they are, such as those
    that turn the direction of writing, stand there as escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """The text with everything a terminal would obey, not print, escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and three dots where it has more characters."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def shown(value: object) -> str:
    """The value as messages show it, cut at 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a number too long to print"
    return shortened(text, LONGEST_SHOWN)


def refuse(name: str, value: object, allowed: str) -> NoReturn:
    """SpecificationError("name = value: must be allowed"), cut at 60 characters."""
    raise SpecificationError(f"{name} = {shown(value)}: must be {allowed}")


def one_of(options: Iterable[str], word: object = "") -> str:
    """The phrase "one of a, b, c", and which of them the word probably means."""
    options = list(options)
    return "one of " + ", ".join(options) + suggestion(word, options)


def suggestion(word: object, options: Iterable[str]) -> str:
    """The question which option the word means, in brackets; empty if none is close.

    >>> suggestion("swet-spot", ["bias_radius", "sweet_spot"])
    ' (did you mean sweet_spot?)'
    """
    from difflib import get_close_matches

    by_form = {_form(option): option for option in options}
    close = get_close_matches(_form(str(word)[:LONGEST_SHOWN]), by_form, n=1)
    return f" (did you mean {by_form[close[0]]}?)" if close else ""


def named(name: str, word: str, options: Iterable[str], otherwise: str = "") -> str:
    """The option of that name, whatever its case and its - or _.

    Raises SpecificationError, which says first what else is allowed, if anything is.
    """
    options = list(options)
    same = [option for option in options if _form(option) == _form(word)]
    if same:
        return word if word in same else same[0]
    refuse(name, word, otherwise + one_of(options, word))


def _form(word: str) -> str:
    """What is compared of a name: sweet-spot and Sweet_Spot are one."""
    return word.replace("-", "_").casefold()


NUMBER = r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?"


def number_hint(text: str) -> str:
    """How the number that a text seems to mean is written, in brackets.

    The hint is empty if it means none.

    >>> number_hint("0,005"), number_hint("0.5 %"), number_hint("many")
    (' (with a decimal point: 0.005)', ' (a fraction, not per cent: 0.005)', '')
    """
    number, percent = (
        text.strip().removesuffix("%").rstrip(),
        text.strip().endswith("%"),
    )
    if not re.fullmatch(NUMBER, number) or not (percent or "," in number):
        return ""
    value = float(number.replace(",", "."))
    if percent:
        return f" (a fraction, not per cent: {value / 100:g})"
    return f" (with a decimal point: {value:g})"


def percent_hint(value: float) -> str:
    """A hint where a fraction is expected and a percentage may be meant, else ""."""
    return f" (a fraction, not per cent: {value / 100:g})" if 1 < value <= 100 else ""


def real(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> Check:
    """Check for a finite number in the range.

    Integers become floats, booleans are refused.
    """
    left = "" if low == -math.inf else f" {'>' if open_low else '>='} {low:g}"
    right = "" if high == math.inf else f" {'<' if open_high else '<='} {high:g}"
    allowed = "a finite number" + left + (" and" if left and right else "") + right

    def check(name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            refuse(
                name,
                value,
                allowed + number_hint(value if isinstance(value, str) else ""),
            )
        try:
            number = float(value)
        except OverflowError:
            refuse(name, value, allowed)
        too_low = number < low or (open_low and number == low)
        too_high = number > high or (open_high and number == high)
        if not math.isfinite(number) or too_low or too_high:
            fraction = (low, high) == (0, 1)
            refuse(name, value, allowed + (percent_hint(number) if fraction else ""))
        return number

    return check


def integer(low: int, high: int) -> Check:
    """Check for an integer in low..high, both included; booleans are refused."""

    def check(name: str, value: Any) -> int:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not low <= value <= high
        ):
            refuse(name, value, f"an integer from {low} to {high}")
        return value

    return check


def choice(*options: str) -> Check:
    """Check for one of the given words."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in options:
            refuse(name, value, one_of(options, value))
        return value

    return check


LONGEST_NAME = 255  # bytes, on the usual file systems


def file_name(name: str, value: Any) -> str:
    """Check for a word that can name a file or folder.

    It leads nowhere else and can be printed.
    """
    if (
        not isinstance(value, str)
        or value in ("", ".", "..")
        or not value.isprintable()
        or re.search(r"[/\\]", value)
        or len(value.encode()) > LONGEST_NAME
    ):
        allowed = (
            "a file's name: printable, without separators, at most "
            f"{LONGEST_NAME} bytes"
        )
        refuse(name, value, allowed)
    return value


def several(item: Check, low: int, high: int) -> Check:
    """Check for a list of `low` to `high` items; the result is a tuple."""

    def check(name: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or not low <= len(value) <= high:
            refuse(name, value, f"a list of {low} to {high} values")
        return tuple(item(f"{name}[{i}]", entry) for i, entry in enumerate(value))

    return check


def one_or_several(item: Check, high: int) -> Check:
    """Check for one value, or a list of 1 to `high` values."""
    many = several(item, 1, high)

    def check(name: str, value: Any) -> Any:
        return (
            many(name, value) if isinstance(value, (list, tuple)) else item(name, value)
        )

    return check


def instance(*classes: type) -> Check:
    """Check for an object of one of the given classes."""

    def check(name: str, value: Any) -> Any:
        if not isinstance(value, classes):
            refuse(name, value, "a " + " or ".join(cls.__name__ for cls in classes))
        return value

    return check


def optional(item: Check) -> Check:
    """Check that lets None (the key is absent) pass."""
    return lambda name, value: None if value is None else item(name, value)


def absent_or(items: Check) -> Check:
    """Check that passes () (an absent list); an empty list in a file is for `items`."""
    return lambda name, value: () if value == () else items(name, value)


def checked(check: Check, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field whose value must pass `check`."""
    return dataclasses.field(default=default, metadata={"check": check})


@dataclasses.dataclass(frozen=True)
class Checked:
    """Base of the frozen specification classes: every field is checked on construction.

    Raises SpecificationError naming `table.field`.
    """

    table: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if "check" in field.metadata:
                value = field.metadata["check"](
                    f"{self.table}.{field.name}", getattr(self, field.name)
                )
                object.__setattr__(self, field.name, value)

    @classmethod
    def entries(cls, table: Any) -> dict[str, Any]:
        """The table's entries, once all required keys and no unknown ones are there."""
        if not isinstance(table, Mapping):
            refuse(cls.table, table, "a table")
        known = {
            field.name: field for field in dataclasses.fields(cls) if field.compare
        }
        for key in table:
            if key not in known:
                raise SpecificationError(
                    f"{cls.table}: unknown key {str(key)[:60]!r}: must be "
                    f"{one_of(known, key)}"
                )
        for key, field in known.items():
            unset = dataclasses.MISSING
            if key not in table and field.default is unset:
                raise SpecificationError(
                    f"{cls.table}: the required key {key!r} is missing"
                )
        return dict(table)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build the class from a mapping; unknown and missing keys are refused."""
        return cls(**cls.entries(table))

    def to_mapping(self) -> dict[str, Any]:
        """Plain nested mapping, as in TOML; absent keys (None, ()) are left out."""
        return {
            field.name: plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) not in (None, ())
        }


def read_law(name: str, table: Any, laws: Mapping[str, type[Any]]) -> Any:
    """Read the class that the table's key `law` names."""
    if not isinstance(table, Mapping):
        refuse(name, table, "a table")
    if "law" not in table:
        raise SpecificationError(f"{name}: the required key 'law' is missing")
    return laws[choice(*laws)(f"{name}.law", table["law"])].read(table)


def plain(value: Any) -> Any:
    """Checked objects as mappings, tuples as lists, words of a choice as strings."""
    if isinstance(value, Checked):
        return value.to_mapping()
    if isinstance(value, StrEnum):
        return value.value
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value
