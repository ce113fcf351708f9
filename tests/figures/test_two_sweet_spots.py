"""Two sweet spots in the quick profile.

False alarms: the two agreements, and the best sizes against all others, one in a million each.
"""

import numpy as np
import pytest

from analysis.advice.sizes import best_sizes
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from figures.two_sweet_spots import SKEWNESS, exact_best, figure


def test_caption_quotes_the_data(document):
    rarest = document["data"]["sets"][-1]
    factor = rarest["worst_case"] / rarest["exact"]
    assert f"they differ by a factor of {factor:.1f}" in document["caption"]
    assert all(check["passed"] for check in document["checks"])


def shift(points):
    """Exact values 7 % lower; 2.75 standard errors are half an interval."""
    for p in points:
        low, high = p["interval"]
        p["z"] += 0.07 * p["exact"] * 2 * 2.75 / (high - low)


def spoil_agreement(data):
    shift(data["sets"][0]["points"])


def spoil_turned(data):
    shift(data["example"]["turned_points"])


def spoil_set(data):
    data["sets"][0]["best"] = data["sets"][0]["points"][-1]["micro_batch_size"]


def tilt(data, name):
    """The slope changed by 0.05."""
    for row in data["curve"]:
        row[name] *= row["dragger_fraction"] ** -0.05


def spoil_slope(data):
    tilt(data, "exact")


def spoil_worst_case(data):
    tilt(data, "worst_case")


def spoil_cancellation(data):
    data["example"]["turned_size"] = [b + 4 for b in data["example"]["turned_size"]]


SPOILERS = [
    spoil_agreement,
    spoil_turned,
    spoil_set,
    spoil_slope,
    spoil_worst_case,
    spoil_cancellation,
]


@pytest.mark.parametrize(("i", "spoil"), [*enumerate(SPOILERS)])
def test_every_check_can_fail(refused, i, spoil):
    """Each spoiled sentence is refused, and no other."""
    assert refused(spoil) == {i}


@pytest.mark.parametrize("fraction", [0.03, 0.003])
def test_best_size_by_the_roots_of_the_expected_update(fraction):
    """Another route than quantiles: the bias by root search at all whole sizes near the best."""
    (run, *_) = [e for e in figure.experiments("quick") if f"_{fraction:g}_" in e.name]
    best = exact_best(fraction)
    sizes = range(int(best) - 2, int(best) + 4)
    bias = [exact_bias(run.gradient_model, "normalized", b, b).bias for b in sizes]
    assert abs(sizes[int(np.argmin(bias))] - best) < 1


def test_formula_is_approached(document):
    """Exact over formula: 1 - 1/(2√b) or so, closer and closer to 1 as draggers become rarer."""
    rows = [row for row in document["data"]["curve"] if row["dragger_fraction"] < 0.05]
    error = np.array([1 - row["exact"] / row["formula"] for row in rows])
    root = np.array([row["formula"] for row in rows]) ** 0.5
    assert (np.diff(error) > 0).all()
    assert (error * root > 0.4).all()
    assert (error * root < 0.6).all()


def test_two_powers_by_their_definitions():
    """Far from every simulated fraction: both best sizes, a factor 10 in ε apart."""
    at = {"skewness": SKEWNESS, "noise_scale": 1.0, "micro_batch_size": 1.0}
    fractions = np.array([1e-7, 1e-6])
    formula = CLAIMS["skewness_expansion"].evaluate(dragger_fraction=fractions, **at)
    exact = [exact_best(float(fraction)) for fraction in fractions]
    worst = [best_sizes(float(fraction), 1.0, 1.0)["micro_batch_size"] for fraction in fractions]
    assert exact == pytest.approx(formula["best_micro_batch_size"], rel=0.01)
    assert exact[0] / exact[1] == pytest.approx(10 ** (2 / 3), rel=0.01)
    assert worst[0] / worst[1] == pytest.approx(10, rel=1e-5)


def test_files_are_the_same_bytes_every_time(written_twice):
    a, b = written_twice
    assert a == b
