"""What every figure must do; its own tests say what is true of its data.

test_NAME.py has SPOILERS: for the id of each check, functions that make a copy of the
data wrong in the way that this check is to see.
"""

import re
from importlib import import_module
from pathlib import Path

import matplotlib.style
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from analysis.claims import CLAIMS
from figures import registry
from figures.figure import STYLE
from figures.kit import captions

FIGURES = registry.gallery()
SPOILERS = {
    name: import_module(f"tests.figures.test_{name}").SPOILERS for name in FIGURES
}
every_figure = pytest.mark.parametrize("name", FIGURES)


@every_figure
def test_its_claims_exist(name):
    assert set(FIGURES[name].claims) <= set(CLAIMS)


@every_figure
def test_it_stands_alone_on_the_kit(name):
    """No other figure, no backend, no colour of its own."""
    source = Path(import_module(f"figures.{name}").__file__).read_text("utf-8")
    imported = re.findall(r"^(?:from|import) figures\.(\w+)", source, flags=re.M)
    assert set(imported) <= {"figure", "kit"}
    assert "pyplot" not in source
    assert not re.search(r"#[0-9A-Fa-f]{6}", source)


@every_figure
def test_files_are_the_same_bytes_every_time(name, prepared, drawn_twice):
    first, second = drawn_twice(FIGURES[name], prepared(FIGURES[name]))
    assert first == second


@every_figure
def test_no_text_is_cut_off_at_the_edge(name, prepared):
    """Titles and labels; ticks beyond an axis' ends are not drawn."""
    with matplotlib.style.context(["default", STYLE]):
        canvas = FIGURES[name].draw(prepared(FIGURES[name])["data"])
        FigureCanvasAgg(canvas).draw()
    axes = [axis for panel in canvas.axes for axis in (panel.xaxis, panel.yaxis)]
    ticks = {t for axis in axes for t in axis.get_ticklabels(which="both")}
    texts = [t for t in canvas.findobj(Text) if t.get_text() and t.get_visible()]
    for text in {*texts} - ticks:
        box = text.get_window_extent()
        assert min(box.x0, box.y0) > -1, text
        assert max(box.x1 - canvas.bbox.x1, box.y1 - canvas.bbox.y1) < 1, text


@every_figure
def test_the_caption_says_the_finding_first_and_is_short(name, prepared):
    """One sentence, then labelled lines in their order; no field is left."""
    document = prepared(FIGURES[name])
    finding, *lines = document["caption"].split("\n")
    assert re.fullmatch(r"[A-Z].*\.", finding)
    assert not re.search(r"[.!?] [A-Z]", finding)
    labels = [line.split(":")[0] for line in lines]
    assert labels
    assert labels == [label for label in captions.LABELS if label in labels]
    assert len(document["caption"].split()) <= captions.LONGEST
    for text in (document["alt"], document["caption"], *document["notes"]):
        assert text.endswith(".")
        assert not re.search(r"nan|None|\{[a-z]", text)


@every_figure
def test_every_check_has_an_id_and_spoilers(name, prepared):
    ids = [check["id"] for check in prepared(FIGURES[name])["checks"]]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    assert set(SPOILERS[name]) == set(ids)


@pytest.mark.parametrize(
    ("name", "check", "spoil"),
    [
        pytest.param(name, check, spoil, id=f"{name}-{check}-{i}")
        for name, spoilers in SPOILERS.items()
        for check, several in spoilers.items()
        for i, spoil in enumerate(several)
    ],
)
def test_every_check_can_fail(name, check, spoil, prepared, refused_by):
    assert check in refused_by(FIGURES[name], prepared(FIGURES[name]), spoil)
