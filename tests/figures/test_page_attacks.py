"""Whatever a folder of figures holds, no element, attribute or address enters.

Payloads are put into every text, key and number of a document, first as a file that is
read, then past the reader, as objects. The twin takes away the escaping and must see
every payload.
"""

import copy
import dataclasses
import json
from html.parser import HTMLParser

import pytest

from figures import document, markup, report
from figures.page import Shown, page
from figures.pictures import Picture
from tests.figures.sample_document import sample_document

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    '" autofocus onfocus="alert(1)',
    "javascript:alert(1)",
    (
        "</figcaption></article></style></title><iframe "
        "srcdoc='<script>alert(1)</script>'>"
    ),
    "<!--",
    "]]><x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "</math><math><mtext><style><a title='</style><img src onerror=alert(1)>'>",
    "\u2028\u202e\x00\x1b[31m<\x00script>",
    "data:text/html,<script>alert(1)</script>",
    "`<b>code</b>`",
    "{STYLE}{0.__class__}%s",
    "a\n<b>Setting</b>: <i onclick=alert(1)>x</i>\n\n**<u>bold</u>**",
)
ALL_AT_ONCE = "".join(PAYLOADS)
HONEST = sample_document("sweet_spot", ["several_domains"])
FAILED = {key: HONEST[key] for key in ("name", "title", "claims", "provenance")}
FAILED = FAILED | {"failed": "a < b: expected this, found that"}
PNG = Picture("png", b"\x89PNG\r\n\x1a\n")


class Skeleton(HTMLParser):
    """Elements with the names of their attributes, and where the addresses lead."""

    def __init__(self, text):
        super().__init__()
        self.shapes, self.addresses = set(), set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.shapes.add((tag, tuple(name for name, _ in attributes)))
        self.addresses |= {
            value for name, value in attributes if name in ("href", "src")
        }

    def handle_comment(self, text):
        self.shapes.add(("comment", text))

    handle_pi = unknown_decl = handle_comment


def skeleton(text):
    found = Skeleton(text)
    return found.shapes, found.addresses


def read(given):
    """The object that the document becomes."""
    return document.shaped(
        document.Failed if "failed" in given else document.Drawn, given
    )


def drawn(figure):
    """The page about one figure, with a picture and a damaged file."""
    return page([Shown(figure, PNG, ("png", "json"))], {"x.json": "x"})


SHAPES, ADDRESSES = map(
    set.union, *(skeleton(drawn(read(given))) for given in (HONEST, FAILED))
)


def harmless(text):
    """No element, attribute or address that an honest page does not have."""
    shapes, addresses = skeleton(text)
    return shapes <= SHAPES and addresses <= ADDRESSES


def places(value, path=()):
    """Entries and keys of nested JSON data: the path, and whether the key is meant."""
    if isinstance(value, (dict, list, tuple)):
        for key, inner in (
            value.items() if isinstance(value, dict) else enumerate(value)
        ):
            yield (*path, key), False
            if isinstance(value, dict):
                yield (*path, key), True
            yield from places(inner, (*path, key))


def spoilt(value, path, is_key, payload):
    """A copy with the payload as an entry, or as a further key, of the same value."""
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if is_key:
        inner[payload] = inner[path[-1]]
    else:
        inner[path[-1]] = payload
    return made


PLACES = [(given, *place) for given in (HONEST, FAILED) for place in places(given)]


def from_file(given, folder):
    """The page about a folder with one document."""
    (folder / "sweet_spot.json").write_text(json.dumps(given), encoding="utf-8")
    shown, damaged = report.read(["sweet_spot"], folder)
    shown = [dataclasses.replace(figure, picture=PNG) for figure in shown]
    return page(shown, damaged)


full = pytest.mark.parametrize(
    "payloads", [(ALL_AT_ONCE,), pytest.param(PAYLOADS, marks=pytest.mark.soak)]
)


@full
def test_nothing_in_a_file_is_markup(tmp_path, payloads, record_property):
    for payload in payloads:
        for given, path, is_key in PLACES:
            text = from_file(spoilt(given, path, is_key, payload), tmp_path)
            assert harmless(text), (path, payload)
    count = len(payloads) * len(PLACES)
    record_property(
        "soak", {"what": "scripts put into documents, none on the page", "count": count}
    )


@full
def test_nothing_past_the_reader_is_markup(payloads):
    """Not even in objects that no file becomes.

    What has no place in an address is an error.
    """
    for payload in payloads:
        texts = [(tried(attack), path) for attack, path in past_the_reader(payload)]
        shown = [(text, path) for text, path in texts if text is not None]
        assert len(shown) > 25
        for text, path in shown:
            assert harmless(text), (path, payload)


def tried(attack):
    """The page, or None where there is no such address, number or claim."""
    try:
        return drawn(attack)
    except (ValueError, AttributeError, KeyError, TypeError):
        return None


def past_the_reader(payload):
    """The honest documents as objects, the payload in each place in turn."""
    for given in (HONEST, FAILED):
        honest = read(given)
        for path, is_key in places(dataclasses.asdict(honest)):
            if not is_key or path[-2:-1] in (("packages",), ("results",)):
                yield replaced(honest, path, is_key, payload), path


def replaced(value, path, is_key, payload):
    """The object with the payload at that place."""
    if not path:
        return payload
    first, rest = path[0], path[1:]
    if dataclasses.is_dataclass(value):
        inner = replaced(getattr(value, first), rest, is_key, payload)
        return dataclasses.replace(value, **{first: inner})
    if isinstance(value, tuple):
        inner = replaced(value[first], rest, is_key, payload)
        return (*value[:first], inner, *value[first + 1 :])
    if is_key and not rest:
        return {**value, payload: value[first]}
    return {**value, first: replaced(value[first], rest, is_key, payload)}


HIDDEN = {"name", "claims", "steps", "data", "passed", "id"}  # not shown, or no text


def test_without_escaping_every_attack_is_seen(monkeypatch):
    """The twin: wherever the page shows a text, number or key of a document."""
    monkeypatch.setattr(markup, "escape", lambda text, quote=True: text)
    texts = [(tried(attack), path) for attack, path in past_the_reader(ALL_AT_ONCE)]
    seen = {path for text, path in texts if text is not None and not harmless(text)}
    leaves = {
        path
        for given, path, _ in PLACES
        if not isinstance(at(given, path), (dict, list))
    }
    shown = {path for path in leaves if not HIDDEN & set(path)}
    assert len(shown) > 15
    assert shown <= seen


def at(value, path):
    return at(value[path[0]], path[1:]) if path else value
