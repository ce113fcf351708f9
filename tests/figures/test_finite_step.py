"""The finite-step figure: every sentence can fail; slopes and laws by second routes.

Each agreement raises a false alarm once in a million true cases.
"""

import numpy as np
import pytest
from scipy import special

from analysis.rest.fluctuation import fluctuation
from analysis.rest.mixture import mixture
from analysis.rest.stable import stable_roots
from figures.finite_step import MODEL, b, experiment_of, figure, m, stationary_mean, step_limit

FRACTION, NORM = MODEL["dragger_fraction"], MODEL["dragger"]["norm"]


def spoil_exact(data):
    for p in data["rules"]["normalized"]["points"]:
        p["z"] -= 0.15 * p["exact"] / p["error"]


def spoil_slope(rule):
    def spoil(data):
        data["rules"][rule]["slope"] *= 1.02

    return spoil


def spoil_sign(data):
    point = data["rules"]["adaptive"]["points"][2]
    point["interval"] = [-x for x in reversed(point["interval"])]


def spoil_extrapolated(data):
    """As if the largest steps extrapolated to the exact bias."""
    for rule in data["rules"].values():
        point = rule["extrapolated"][0]
        point["z"] *= point["value"] / (point["value"] - point["exact"])


def spoil_order(data):
    """As if what is left were of third order."""
    for p in data["rules"]["normalized"]["extrapolated"]:
        p["exact"] *= p["step"]


def spoil_limit(data):
    data["finite"][0] = False


@pytest.mark.parametrize(
    ("spoil", "which"),
    [
        (spoil_exact, 0),
        (spoil_slope("normalized"), 1),
        (spoil_slope("adaptive"), 1),
        (spoil_sign, 2),
        (spoil_extrapolated, 3),
        (spoil_order, 4),
        (spoil_limit, 5),
    ],
)
def test_every_check_can_fail(refused, spoil, which):
    """An exact shift 15 % off, a slope 2 % off, a sign changed, a third order."""
    assert which in refused(spoil)


def test_nothing_is_stored():
    assert [figure.experiments(profile) for profile in ("quick", "full")] == [[], []]


def test_files_are_the_same_bytes_every_time(written_twice):
    a, b = written_twice
    assert a == b


def test_the_claim_in_one_dimension_is_the_general_expansion(document):
    for rule, found in document["data"]["rules"].items():
        model = experiment_of(rule, {}).gradient_model
        (root,) = stable_roots(model, b, rule, m)
        near = fluctuation(model, root, b, rule, m)
        assert found["slope"] == pytest.approx(near.slope, rel=2e-3)
        assert found["drift_slope"] == pytest.approx(near.contraction, rel=1e-3)


def chance_positive(w):
    """P(g > 0) for a micro-batch with k of b draggers, straight from the model; w [n]."""
    k = np.arange(b)
    chance = special.comb(b, k) * FRACTION**k * (1 - FRACTION) ** (b - k)
    return special.ndtr(((b - k) * w[:, None] - k * NORM) / np.sqrt(b - k)) @ chance


@pytest.mark.parametrize("step", [0.4, 0.1])
def test_lattice_law_by_iterating_the_density(step):
    """The rule on a fine grid of starting points, its law pushed forward until it stands still.

    Starts that are spread evenly over a lattice spacing average over all lattices.
    """
    model = experiment_of("normalized", {}).gradient_model
    (root,) = stable_roots(model, b, "normalized", m)
    means = []
    for offset in np.arange(4) / 4:
        w = np.abs(root[0]) + 2 * step / m * (np.arange(-80, 81) + offset)
        positive, law = chance_positive(w), np.full(w.size, 1 / w.size)
        for _ in range(int(60 / step)):
            pushed = np.zeros(w.size)
            for k in range(m + 1):
                chance = special.comb(m, k) * positive**k * (1 - positive) ** (m - k)
                pushed += np.roll(law * chance, m // 2 - k)
            law = pushed
        means.append(law @ w)
    assert np.ptp(means) < 1e-4
    found = abs(stationary_mean("normalized", mixture(model, b), root, step, 3.0))
    assert found == pytest.approx(means[0], rel=1e-6)


def test_law_of_algorithm_1_by_following_it():
    """50 000 chains of micro-batch gradients in plain NumPy, from rest; 5 sigma."""
    model, rng, n, step = (
        experiment_of("adaptive", {}).gradient_model,
        np.random.default_rng(2),
        50_000,
        0.6,
    )
    (root,) = stable_roots(model, b, "adaptive", m)
    w, total = np.full(n, root[0]), 0.0
    for t in range(60):
        k = rng.binomial(b, FRACTION, (m, n))
        mean = ((b - k) * w + k * np.sign(root[0]) * -NORM) / b
        g = mean + np.sqrt(b - k) / b * rng.standard_normal((m, n))
        w = w - step * np.abs(g).min(0) * np.sign(g).mean(0)
        total = total + w * (t >= 45) / 15
    found, error = (
        stationary_mean("adaptive", mixture(model, b), root, step, 4.0),
        total.std() / n**0.5,
    )
    assert abs(total.mean() - found) < 5 * error
    assert abs(total.mean() - root[0]) > 20 * error


def test_step_limit_by_following_the_logarithm():
    """The mean growth at the limit, over 400 000 steps of the linear rule, is zero (5 sigma)."""
    rng = np.random.default_rng(15)
    worst = rng.binomial(b, FRACTION, (400_000, m)).max(1)
    growth = np.log(np.abs(1 - step_limit(FRACTION) * (1 - worst / b)))
    assert abs(growth.mean()) < 5 * growth.std() / np.sqrt(growth.size)
    shorter = np.log(np.abs(1 - 0.95 * step_limit(FRACTION) * (1 - worst / b)))
    assert shorter.mean() < -5 * shorter.std() / np.sqrt(growth.size)
