"""Panels: what is drawn where, and that a reader's own plotting is left alone."""

import subprocess
import sys

import numpy as np
import pytest

from figures.kit import panels


@pytest.fixture
def axes():
    return panels.subplots()[1]


def test_points_have_their_intervals(axes):
    points = [
        {"b": 1, "value": 2.0, "interval": [1.5, 3.0]},
        {"b": 4, "value": 5.0, "interval": [4.0, 5.5]},
    ]
    line, _, (bars,) = panels.simulated(axes, points, "b", fmt="s")
    assert line.get_xydata().tolist() == [[1, 2], [4, 5]]
    assert line.get_marker() == "s"
    ends = np.array([[[1, 1.5], [1, 3.0]], [[4, 4.0], [4, 5.5]]])
    assert np.array(bars.get_segments()) == pytest.approx(ends)


def test_no_points_draw_nothing(axes):
    line, *_ = panels.simulated(axes, [], "b")
    assert line.get_xydata().size == 0


def test_ticks_are_those_given(axes):
    panels.log_log(axes, xlim=(0.5, 100), ylim=(0.5, 100), xlabel="x")
    panels.plain_ticks(axes.xaxis, [1, 8, 64])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "8", "64"]
    assert axes.get_xticks(minor=True).tolist() == []
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "")


def test_a_ruled_line_has_its_name(axes):
    panels.ruled(axes, 0.5, "SGD", x=3, color="red", lw=2)
    (line,), (text,) = axes.lines, axes.texts
    assert (line.get_ydata()[0], line.get_linewidth()) == (0.5, 2)
    assert (text.get_text(), text.get_position()) == ("SGD", (3, 0.52))


def test_titles_say_how_often():
    assert panels.counted("Title", 32) == "Title   (n = 32 replicates, 99 % intervals)"
    assert panels.counted("T", 8, intervals=False) == "T   (n = 8 replicates)"


def test_importing_figures_leaves_the_backend_alone():
    """Nor is pyplot imported, which would choose one."""
    code = (
        "import matplotlib, sys; matplotlib.use('svg'); import figures.figure, "
        "figures.sweet_spot; "
        "print(matplotlib.get_backend(), 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["svg", "False"]
