"""The horizon figure in the quick profile: every sentence can fail; second routes.

Runs are below their bounds but for false alarms of 1 in a million for each of three families; the
numbers are fixed by the seeds. Two simulations differ by chance once in a million, too.
"""

import numpy as np
import pytest
from scipy import optimize, stats

from analysis.advice.horizon import Training, at_horizon
from analysis.advice.worst_case import WorstCase
from analysis.claims import CLAIMS
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.rule import Clipping
from figures.checks import ALARM
from figures.horizon import (
    BATCH,
    FAILURES,
    FEWER,
    FRACTION,
    LOSS,
    START,
    WORST,
    b,
    experiment,
    figure,
    growth,
    of_runs,
    probable,
    run_averages,
)


def test_caption_is_checked(document):
    assert len(document["checks"]) == 7
    assert all(check["passed"] for check in document["checks"])
    assert "averaged sweet spot, 266.1 for ε = 0.001 and 26.5 for ε = 0.01" in document["caption"]
    assert "at T = 10, 2.3% of the runs are above it" in document["caption"]
    assert document["alt"]


def spoil_growth(data):
    data["sizes"]["0.001"]["growth"][1] = 0.28


def spoil_limit(data):
    data["sizes"]["0.01"]["limit"] *= 1.0001


def spoil_minimum(data):
    data["sizes"]["0.001"]["excess"][30] = -1e-6


def spoil_size(data):
    data["sizes"]["0.01"]["grid_steps"][30] += 1


def spoil_mean(data):
    """The guarantee lowered by a quarter."""
    point = data["runs"]["mean"][0]
    error = (point["value"] - point["bound"]) / point["z"]
    point["z"] = (point["value"] - 0.75 * point["bound"]) / error


def spoil_share(q):
    def spoil(data):
        """At one horizon 1.5 (q = 0.1) or 2 times as many runs above the bound as it allows."""
        more = {0.1: 1.5, 0.01: 2.0}[q]
        data["runs"][str(q)][2]["above"] = round(more * q * data["replicates"])

    return spoil


def spoil_need(data):
    data["runs"]["mean"][0]["above"] = round(1.4 * 0.01 * data["replicates"])


@pytest.mark.parametrize(
    ("spoil", "which"),
    [
        (spoil_growth, 0),
        (spoil_limit, 1),
        (spoil_minimum, 2),
        (spoil_size, 2),
        (spoil_mean, 3),
        (spoil_share(0.1), 4),
        (spoil_share(0.01), 5),
        (spoil_need, 6),
    ],
)
def test_every_check_can_fail(refused, spoil, which):
    """A slope 10 % or a limit 0.01 % off, a smaller guarantee elsewhere, more runs above."""
    assert refused(spoil) == {which}


def test_nothing_is_stored():
    assert [figure.experiments(profile) for profile in ("quick", "full")] == [[], []]


def test_files_are_the_same_bytes_every_time(written_twice):
    first, second = written_twice
    assert first == second


@pytest.mark.parametrize("fraction", [FEWER, FRACTION])
def test_best_size_by_minimising_the_guarantee(document, fraction):
    """A bounded search over log b, at every tenth horizon; growth and the staircase as drawn."""
    drawn = document["data"]["sizes"][str(fraction)]
    last = np.log(0.99 * np.log(2) / -np.log1p(-fraction))
    for T, size in list(zip(drawn["horizon"], drawn["micro_batch_size"], strict=True))[:-1:10]:

        def guarantee(log_b, T=T):
            given = {"horizon": T, "dragger_fraction": fraction} | LOSS | WORST
            values = CLAIMS["averaged_guarantee"].evaluate(micro_batch_size=np.exp(log_b), **given)
            return float(values["averaged_bound"])

        found = optimize.minimize_scalar(guarantee, bounds=(0, last), options={"xatol": 1e-9})
        assert size == pytest.approx(np.exp(found.x), rel=1e-5)
        case = WorstCase(fraction, dragger_norm=1.0)
        told = at_horizon(case, Training(T, **LOSS), BATCH)["admissible"]
        shown = guarantee(np.log(drawn["admissible"][drawn["horizon"].index(T)]))
        assert told["clipping_bound"] <= 1.02 * shown  # the advice may be a cut that is not even
    low, high = (drawn["micro_batch_size"][drawn["horizon"].index(T)] for T in (10.0, 100.0))
    assert drawn["growth"][1] == pytest.approx(np.log10(high / low))


def test_growth_window_closes_where_sizes_are_small():
    """x* → 0: exactly 1/3. At x* = 0.02 and 0.04, from 1 - 4x* < S < 1."""
    assert growth(np.array([1.0, 10 ** (1 / 3)]), np.array([0.0, 0.0])) == pytest.approx(
        [1 / 3] * 3
    )
    low, _, high = growth(np.ones(2), np.array([0.02, 0.04]))
    assert low == pytest.approx(1 / 3 + 2 / 3 * np.log10(0.84))
    assert high == pytest.approx(1 / 3 - 2 / 3 * np.log10(0.92))


@pytest.mark.parametrize("q", FAILURES)
def test_split_is_the_best_of_a_grid(q):
    given = {"horizon": 100, "failure_probability": q, "dragger_fraction": FRACTION}
    given |= {"micro_batch_size": b, "batch_size": BATCH} | LOSS | WORST
    grid = np.linspace(0.001, 0.999, 2000)
    bounds = CLAIMS["high_probability"].evaluate(split=grid, **given)["probable_bound"]
    assert probable(100, q) == pytest.approx(bounds.min(), rel=1e-5)
    assert probable(100, q) <= bounds.min()


def test_model_has_the_scale_and_the_point_of_rest_that_it_should():
    """σ = 1, and at rest half of all micro-batches without rare sample point either way."""
    made = experiment(10, 1)
    assert made.model.noise_scale() == pytest.approx(1)
    update = Update(made.gradient_model, Clipping("normalized", BATCH, b))
    (root,) = (point.gradient for point in stationary_points(update))
    assert root[0] == pytest.approx(-made.model.noise.value, rel=0.1)


def test_runs_against_samples_drawn_one_by_one():
    """20 000 runs of 20 steps in plain NumPy: the same mean, the same shares below quantiles."""
    made, T, n = experiment(20, 4096), 20, 20_000
    noise, rng, w, total = made.model.noise, np.random.default_rng(16), START, 0.0
    other = -noise.value * noise.probability / (1 - noise.probability)
    w = np.full(n, START)
    for _ in range(T):
        total += np.abs(w)
        shape = (n, BATCH // b, b)
        usual = rng.random(shape) < noise.probability
        sample = w[:, None, None] + np.where(usual, noise.value, other)
        sample += noise.gaussian * rng.standard_normal(shape)
        sample[rng.random(shape) < FRACTION] = -made.model.dragger.norm
        w = w - made.run.steps[0] * np.sign(sample.mean(2)).mean(1)
    mine, theirs = total / T, run_averages(made)
    error = np.hypot(mine.std() / n**0.5, theirs.std() / len(theirs) ** 0.5)
    limit = stats.norm.isf(ALARM / 6)
    assert abs(mine.mean() - theirs.mean()) < limit * error
    assert abs(1.02 * mine.mean() - theirs.mean()) > limit * error
    for q in FAILURES:
        share = (mine > of_runs(T, theirs)[str(q)]["value"]).mean()
        assert abs(share - q) < limit * np.sqrt(q * (1 - q) * (1 / n + 1 / len(theirs)))


@pytest.mark.parametrize("q", FAILURES)
def test_order_statistics_enclose_quantiles(q):
    """The j-th of n uniform numbers has a beta law: at most 0.5 % miss at each side, not less."""
    n = 1000
    low, high = of_runs(10, np.arange(1.0, n + 1))[str(q)]["interval"]

    def too_low(j):
        return stats.beta.cdf(1 - q, j, n + 1 - j)

    assert 1 - too_low(low) <= 0.005 < 1 - too_low(low + 1)
    assert too_low(high) <= 0.005 < too_low(high - 1)
