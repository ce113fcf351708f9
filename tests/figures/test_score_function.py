"""The score of Algorithm 1 in the quick profile: every sentence can fail.

Each of the three comparisons with simulation is refused by chance once in a million
seeds; the seeds are fixed. Score, pull and bound have their second routes in
tests/analysis/rest/test_score.py, the simulation in tests/sim/test_micro_batches.py.
"""

from figures.kit.profiles import Profile
from figures.score_function import COUNTS, figure


def shifted(percent, points):
    """The exact values of these points that many percent larger, z adapted."""

    def spoil(data):
        for point in points(data):
            if point["standard_error"]:
                point["z"] -= percent / 100 * point["exact"] / point["standard_error"]

    return spoil


def spoil_mean(data):
    data["lines"][0]["score"][7] *= 1 + 2e-6


def spoil_measured_mean(data):
    data["points"][0]["value"] *= 1 + 2e-6


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


SPOILERS = {
    "score": [shifted(2, lambda data: data["points"])],
    "identity": [spoil_mean, spoil_measured_mean],
    "concave": [spoil_rise, spoil_bend],
    "norm": [shifted(6, lambda data: data["clipping_norms"])],
    "pull": [shifted(5, lambda data: [p for x in data["pull"] for p in x["points"]])],
    "bound": [spoil_bound],
}


def test_every_run_has_a_name_and_random_numbers_of_its_own():
    runs = [e for profile in Profile for e in figure.experiments(profile)]
    assert len({e.name for e in runs}) == len(runs)
    assert len({e.run.seed for e in runs}) == len(COUNTS)
