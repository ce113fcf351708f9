"""HTML in which forgetting to escape is impossible.

Only elements are markup, the rest is text.

`element` escapes every child that is not `Markup` itself, knows only harmless elements
and attributes, and lets an address lead nowhere but to the page, a picture in it, a
file beside it or a page on the web. What Python makes of a `Markup` by formatting,
joining or adding is a plain string again, so that it would be escaped: a mistake is
seen on the page, and does no harm.
"""

import re
from html import escape
from pathlib import Path

ELEMENTS = re.compile(
    "html|head|meta|title|link|style|body|header|main|nav|footer|section|article|div|"
    "span|p|h[1-4]|a|ul|ol|li|dl|dt|dd|figure|figcaption|img|details|summary|table|"
    "thead|tbody|tr|th|td|pre|code|strong|br|math|mo|mn"
)
VOID = re.compile("meta|link|img|br")
# no new line behind them
INLINE = re.compile("a|span|strong|code|img|th|td|math|mo|mn")
ATTRIBUTES = re.compile(
    "lang|charset|name|content|http-equiv|rel|href|src|alt|id|class|display|role|"
    "tabindex|scope|aria-label|aria-labelledby"
)
ADDRESS = re.compile(
    r"#[a-z][\w-]*|\w+\.(png|pdf|svg|json)|https://[\w./-]+|"
    r"data:,|data:image/(png|svg\+xml);base64,[A-Za-z0-9+/]*={0,2}",
    re.ASCII,
)


class Markup(str):
    """HTML put into a page as it is. Its texts are nobody's data, or escaped."""

    __slots__ = ()


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """The element, its children escaped unless Markup, and its attributes but None.

    An underscore in an attribute's name stands for a hyphen; one at its end, as in
    `class_`, for nothing. Raises ValueError for an element, an attribute or an address
    that no page here needs.
    """
    if not ELEMENTS.fullmatch(tag):
        raise ValueError(f"no element of a page: {tag!r}")
    inside = "".join(_attribute(name, value) for name, value in attributes.items())
    end = "" if INLINE.fullmatch(tag) else "\n"
    if VOID.fullmatch(tag):
        if children:
            raise ValueError(f"<{tag}> has no children")
        return Markup(f"<{tag}{inside}>{end}")
    return Markup(f"<{tag}{inside}>{joined(*children)}</{tag}>{end}")


def joined(*children: object) -> Markup:
    """One after the other; escaped unless they are Markup."""
    return Markup(
        "".join(
            c if isinstance(c, Markup) else escape(str(c), quote=False)
            for c in children
        )
    )


def packaged(name: str) -> Markup:
    """A file of this package that is HTML, or the style of a page."""
    return Markup(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _attribute(name: str, value: object) -> str:
    if value is None:
        return ""
    name, text = name.rstrip("_").replace("_", "-"), str(value)
    if not ATTRIBUTES.fullmatch(name):
        raise ValueError(f"no attribute of a page: {name!r}")
    if name in ("href", "src") and not ADDRESS.fullmatch(text):
        raise ValueError(f"no address for a page: {text[:60]!r}")
    return f' {name}="{escape(text)}"'
