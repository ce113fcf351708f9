"""Figures, one per file: each declares its runs, its data, its checks and its drawing.

To add one, write `figures/NAME.py` with a subclass of `figures.figure.Figure` and, as
its last line, `figure = ThatClass()`; `figures/captions/NAME.md` with its alt text,
caption and notes; and `tests/figures/test_NAME.py` with what makes its checks fail.

    experiments  what is simulated, named after the figure and the profile
    data         theory and simulation side by side, as plain JSON data
    check        what must be true of the data, or else nothing is drawn
    numbers      what the caption quotes beyond entries of the data
    draw         the picture: theory as lines, simulation as points with error bars

`figures.kit` has what figures share. A figure only shows: what is theory is computed in
`analysis`, what is simulation in `sim`. No figure imports another.
"""
