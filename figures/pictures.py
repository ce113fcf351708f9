"""Pictures as the page shows them, once they are what matplotlib draws, no more.

An image in a page runs no script, but the page leads to the file itself too, and a
browser that opens an SVG file by itself runs what stands in it.
"""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from analysis.spec.checking import SpecificationError
from figures.document import read_bounded
from figures.formats import SHOWN

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SHAPES = re.compile(
    "svg|metadata|RDF|Work|type|format|defs|style|g|path|use|clipPath|rect|text|"
    "tspan|image|pattern"
)


@dataclass(frozen=True)
class Picture:
    """A picture's format, svg or png, and its bytes."""

    form: str
    content: bytes

    @property
    def address(self) -> str:
        """The picture as a data URI."""
        return (
            f"data:{SHOWN[self.form]};base64,{base64.b64encode(self.content).decode()}"
        )


def read(path: Path) -> Picture | None:
    """The PNG or SVG picture in a file, None if there is no such file.

    Raises SpecificationError, one line, for anything else and for an SVG picture that
    can do more than be looked at.
    """
    form = path.suffix[1:]
    try:
        content = read_bounded(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpecificationError(error.strerror or str(error)) from None
    if form == "svg":
        require_still(content)
    elif not content.startswith(SIGNATURE):
        raise SpecificationError("no PNG picture")
    return Picture(form, content)


def require_still(content: bytes) -> None:
    """Raise SpecificationError unless an SVG has only its own shapes, text, styles.

    No script, no event, no entity, no link and nothing from elsewhere.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    texts: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        tag = tag.split(" ")[-1]
        if not SHAPES.fullmatch(tag):
            raise SpecificationError(f"holds the element {tag[:40]!r}")
        for name, value in attributes.items():
            name = name.split(" ")[-1].lower()
            if not _harmless(name, value):
                raise SpecificationError(
                    f"holds the attribute {name[:20]} = {value[:40]!r}"
                )

    def refuse(*_: object) -> None:
        raise SpecificationError("holds an entity or an instruction")

    parser.StartElementHandler = start
    parser.CharacterDataHandler = texts.append
    parser.EntityDeclHandler = parser.ProcessingInstructionHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise SpecificationError(f"no SVG picture ({error})") from None
    if not _local("".join(texts)):
        raise SpecificationError("has a style from elsewhere")


def _harmless(name: str, value: str) -> bool:
    """Whether an attribute runs nothing and leads nowhere else."""
    if name == "href":
        return value.startswith(("#", "data:image/png;base64,"))
    return not name.startswith("on") and (name == "resource" or _local(value))


def _local(text: str) -> bool:
    """Whether style in the text takes nothing from elsewhere."""
    plain = text.replace("url(#", "").lower()
    return not any(
        word in plain for word in ("url(", "//", "@import", "expression(", "\\")
    )
