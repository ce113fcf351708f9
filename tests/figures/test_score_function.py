"""The score of Algorithm 1: every sentence can fail, and the numbers have a second route.

Each of the three comparisons with simulation is refused by chance once in a million seeds; the
seeds are fixed.
"""

import numpy as np
import pytest

from figures.score_function import COUNTS, clipped, figure
from sim import reference


def shifted(percent, points):
    """The exact values of these points that many percent larger, z adapted."""

    def spoil(data):
        for point in points(data):
            if point["standard_error"]:
                point["z"] -= percent / 100 * point["exact"] / point["standard_error"]

    return spoil


def spoil_mean(data):
    data["lines"][0]["score"][7] *= 1 + 2e-6


def spoil_rise(data):
    """A score that falls beyond the draggers."""
    data["lines"][3]["score"][-1] *= 0.99


def spoil_bend(data):
    """A score that steepens: the square of the length."""
    data["lines"][2]["score"] = [r**2 for r in data["length"]]


def spoil_bound(data):
    """A bound that asks for half of H(s) more."""
    for line in data["pull"]:
        line["bound"] = [bound + 0.5 for bound in line["bound"]]


@pytest.mark.parametrize(
    ("spoil", "which"),
    [
        (shifted(2, lambda data: data["points"]), 0),
        (spoil_mean, 1),
        (spoil_rise, 2),
        (spoil_bend, 2),
        (shifted(6, lambda data: data["clipping_norms"]), 3),
        (shifted(5, lambda data: [p for line in data["pull"] for p in line["points"]]), 4),
        (spoil_bound, 5),
    ],
)
def test_every_check_can_fail(refused, spoil, which):
    assert which in refused(spoil)


def test_files_are_the_same_bytes_every_time(written_twice):
    a, b = written_twice
    assert a == b


def test_every_run_has_a_name_and_random_numbers_of_its_own():
    every = [e for profile in ("quick", "full") for e in figure.experiments(profile)]
    assert len({e.name for e in every}) == len(every)
    assert len({e.run.seed for e in every}) == len(COUNTS)


def test_the_clipped_length_is_that_of_the_plain_loops():
    gradients = np.random.default_rng(1).normal(size=(5, 4, 2))
    length, clip = clipped(gradients)
    for i, batch in enumerate(gradients):
        loops = [reference.norm(g) for g in reference.adaptive(batch.tolist(), None)]
        assert loops == pytest.approx([clip[i, 0]] * 4)
        assert length[i] == pytest.approx([reference.norm(g) for g in batch.tolist()])
