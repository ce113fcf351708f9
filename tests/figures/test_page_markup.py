"""HTML by construction: what is escaped or refused, and who may call a text HTML."""

import ast
from pathlib import Path

import pytest

from figures.markup import Markup, element, joined, packaged

FOLDER = Path(__file__).parents[2] / "figures"


def test_children_and_attributes_are_escaped():
    made = element("p", "a < b & c", element("code", '"x"'), 3, class_='q"<')
    assert made == '<p class="q&quot;&lt;">a &lt; b &amp; c<code>"x"</code>3</p>\n'
    assert joined("<", element("br"), ">") == "&lt;<br>\n&gt;"
    assert joined() == ""
    assert element("div", role="group", aria_label="x", id=None) == (
        '<div role="group" aria-label="x"></div>\n'
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda markup: f"{markup}",
        lambda markup: markup + "",
        lambda markup: "".join([markup]),
        lambda markup: markup.replace("x", "y"),
        lambda markup: str(markup),
        lambda markup: "%s" % markup,  # noqa: UP031
    ],
)
def test_what_python_makes_of_markup_is_text(spoil):
    """A mistake is seen on the page instead of doing harm."""
    assert joined(spoil(element("code", "x"))).startswith("&lt;code&gt;")


@pytest.mark.parametrize(
    "tag", ["script", "iframe", "object", "form", "p onclick", "svg", "P", ""]
)
def test_no_other_element(tag):
    with pytest.raises(ValueError, match="no element of a page"):
        element(tag)


@pytest.mark.parametrize(
    "name", ["onload", "style", "srcdoc", "href x", "target", "action"]
)
def test_no_other_attribute(name):
    with pytest.raises(ValueError, match="no attribute of a page"):
        element("p", **{name: "x"})


@pytest.mark.parametrize(
    "address",
    [
        *(
            "javascript:alert(1)",
            "data:text/html,x",
            "data:image/svg+xml,<svg/>",
            "//evil.example",
        ),
        *(
            "http://evil.example",
            "../x.svg",
            "/etc/passwd",
            "file:///x.png",
            "x.html",
            "x.svg#y",
        ),
        *(
            "https://evil.example/?x",
            "#",
            "",
            " #x",
            "#x\n",
            'x".png',
            "JAVASCRIPT:x.png",
        ),
        *("data:image/png;base64,AA\nAA", "\u0456.png"),
    ],
)
def test_no_other_address(address):
    for name in ("href", "src"):
        with pytest.raises(ValueError, match="no address for a page"):
            element("a", **{name: address})


def test_addresses_of_a_page():
    for address in (
        "#sweet_spot",
        "sweet_spot.svg",
        "data:,",
        "data:image/png;base64,AAA=",
    ):
        assert f'href="{address}"' in element("a", href=address)


def test_an_empty_element_has_no_children():
    with pytest.raises(ValueError, match="has no children"):
        element("br", "x")


def calls(name):
    """Where the name is called in the figures' sources, and with what."""
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                yield path.name, node.args


def test_only_two_modules_say_that_a_text_is_markup():
    """mathml.py knows no texts but those of claims, and escapes them itself."""
    assert {file for file, _ in calls("Markup")} == {"markup.py", "mathml.py"}
    named = {
        file: [ast.literal_eval(a) for a in args] for file, args in calls("packaged")
    }
    assert set(named) == {"page.py"}
    assert type(packaged("report.css")) is Markup
