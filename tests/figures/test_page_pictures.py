"""Pictures that the page shows are drawings.

Anything that can do more is named and left out.
"""

import os

import matplotlib.pyplot as plt
import pytest

from analysis.spec.checking import SpecificationError
from figures.document import LARGEST
from figures.formats import METADATA
from figures.pictures import SIGNATURE, read, require_still

HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
)


def drawing(inside, head=HEAD, before=""):
    return f"{before}{head}>{inside}</svg>".encode()


@pytest.mark.parametrize("fonttype", ["path", "none"])
def test_what_matplotlib_draws_is_still(tmp_path, fonttype):
    """Lines, hatches, clipped images and texts."""
    with plt.rc_context({"svg.fonttype": fonttype}):
        canvas, axes = plt.subplots()
        axes.imshow([[1, 2], [3, 4]])
        axes.bar([1], [1], hatch="///")
        axes.errorbar([1, 2], [1, 2], yerr=0.3)
        axes.set_title("$x^2$ < & ‖g‖")
        canvas.savefig(tmp_path / "x.svg", metadata=METADATA["svg"])
        canvas.savefig(tmp_path / "x.png", metadata=METADATA["png"])
        plt.close(canvas)
    for form in ("svg", "png"):
        picture = read(tmp_path / f"x.{form}")
        assert picture.content == (tmp_path / f"x.{form}").read_bytes()
        assert picture.address.startswith("data:image/" + form)


@pytest.mark.parametrize(
    "content",
    [
        drawing("<script>alert(1)</script>"),
        drawing('<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>'),
        drawing("", HEAD + ' onload="alert(1)"'),
        drawing('<g ONCLICK="alert(1)"/>'),
        drawing('<a href="javascript:alert(1)"><text>x</text></a>'),
        drawing("<foreignObject/>"),
        drawing('<use xlink:href="https://evil.example/x.svg#y"/>'),
        drawing('<image href="data:image/svg+xml,%3Csvg/%3E"/>'),
        drawing('<set attributeName="onclick" to="alert(1)"/>'),
        drawing('<g style="fill: url(https://evil.example)"/>'),
        drawing("<style>@import 'https://evil.example/x.css';</style>"),
        drawing("<style>g { fill: u\\72l(https://evil.example) }</style>"),
        drawing("<style><![CDATA[@im]]><![CDATA[port 'x']]></style>"),
        drawing("<style>@im<g/>port 'x.css';</style>"),
        drawing("<g style=\"cursor: image-set('https://evil.example/x.png' 1x)\"/>"),
        drawing(
            "&x;", before='<!DOCTYPE svg [<!ENTITY x "<script>alert(1)</script>">]>'
        ),
        drawing("", before='<?xml-stylesheet href="https://evil.example"?>'),
        drawing("<g>"),
        b"<html><script>alert(1)</script></html>",
        b"",
        b"\xff\xfe",
        SIGNATURE,
    ],
)
def test_anything_else_is_refused(content, tmp_path):
    with pytest.raises(SpecificationError):
        require_still(content)
    (tmp_path / "x.svg").write_bytes(content)
    with pytest.raises(SpecificationError) as refusal:
        read(tmp_path / "x.svg")
    assert len(str(refusal.value).splitlines()) == 1


def test_a_still_drawing_is_accepted():
    """The twin: what the others are made of."""
    require_still(
        drawing('<defs><path id="x"/></defs><use xlink:href="#x"/><style>g{}</style>')
    )


def test_files_that_are_no_picture(tmp_path):
    assert read(tmp_path / "x.png") is None
    (tmp_path / "x.png").write_bytes(b"GIF89a")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "fifo.svg")
    (tmp_path / "large.png").write_bytes(SIGNATURE)
    os.truncate(tmp_path / "large.png", LARGEST + 1)
    for name, problem in {
        "x.png": "no PNG picture",
        "folder.png": "not a regular file",
        "fifo.svg": "not a regular file",
        "large.png": "larger than",
    }.items():
        with pytest.raises(SpecificationError, match=problem):
            read(tmp_path / name)
