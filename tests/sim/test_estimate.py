"""Extrapolation, intervals and the confidence set, on distributions that are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sim import estimate as module
from sim.estimate import confidence_set, extrapolation_weights


def estimate(means, steps, squared=False):
    """Estimate from batch means of a gradient; means of its square are appended."""
    with np.errstate(over="ignore"):
        both = np.concatenate([means, (means**2).sum(-1, keepdims=True)], axis=-1)
    return module.estimate(both, steps, squared)


@pytest.mark.parametrize("steps", [(0.2, 0.1), (0.2, 0.1, 0.05), (0.1, 0.3)])
def test_weights_extrapolate_polynomials_to_zero(steps):
    h = np.array(steps)
    for degree in range(len(steps)):
        value = extrapolation_weights(steps) @ h**degree
        assert value == pytest.approx(float(degree == 0), abs=1e-12)
    assert abs(extrapolation_weights(steps) @ h ** len(steps)) > 1e-4


def batch_means(rng, mean, n, d, spread, shift=0.3, steps=(0.2, 0.1)):
    """Batch means [steps, n, 2, d] with mean + shift·step on the first axis."""
    noise = rng.normal(size=(len(steps), n, 2, d)) * spread
    noise[..., 0] += mean + shift * np.array(steps)[:, None, None]
    return noise


def fewest(trials):
    """Of trials that succeed with 99 % each; false alarms 1e-8."""
    return stats.binom.ppf(1e-8, trials, 0.99)


def coverage(mean, n, d, spread, trials, seed, truth=None):
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(trials):
        low, high = estimate(batch_means(rng, mean, n, d, spread), (0.2, 0.1)).interval
        hits += low <= (mean if truth is None else truth) <= high
    return hits / trials


@pytest.mark.parametrize(
    ("mean", "d", "spread"),
    [
        *((1.0, 1, 0.1), (0.0, 1, 0.5), (0.0, 5, 0.5), (0.3, 64, 0.5), (0.0, 64, 1.0)),
        *((delta, d, 2.53) for delta in (2.0, 2.5, 3.0, 4.0) for d in (1, 2, 3)),
    ],
)
@pytest.mark.parametrize("trials", [1000, pytest.param(4000, marks=pytest.mark.soak)])
def test_interval_covers(mean, d, spread, trials):
    """A spread of 2.53 makes the standard error 1: a few of it are the hard biases."""
    assert coverage(mean, 32, d, spread, trials, 1) * trials >= fewest(trials)


def test_interval_is_not_too_wide():
    """A value two interval lengths away is almost never covered: the twin fails."""
    rng = np.random.default_rng(1)
    low, high = estimate(batch_means(rng, 1.0, 32, 2, 0.1), (0.2, 0.1)).interval
    assert coverage(1.0, 32, 2, 0.1, 300, 2, truth=1.0 + 2 * (high - low)) < 0.02


def test_components_are_extrapolated_before_the_norm():
    """Mean (1, 0), a shift across it: the extrapolation's norm, not its opposite."""
    means = np.zeros((2, 32, 2, 2))
    means[..., 0] = 1.0
    means[..., 1] = np.array([0.2, 0.1])[:, None, None]
    assert estimate(means, (0.2, 0.1)).bias == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("unit", [1.0, 1e-12])
def test_biases_at_single_steps_are_not_extrapolated(unit):
    """Norm, error and interval of the mean at each step; on a line by hand."""
    rng = np.random.default_rng(4)
    means = unit * batch_means(rng, 1.0, 40, 1, 0.1)
    result = estimate(means, (0.2, 0.1))
    for at, of_step in zip(result.at_steps, means[..., 0], strict=True):
        runs = of_step.mean(1)
        error = runs.std(ddof=1) / math.sqrt(40)
        assert at.bias == pytest.approx(abs(runs.mean()), rel=1e-12)
        assert at.standard_error == pytest.approx(error, rel=1e-12)
        low, high = at.interval
        student = 2 * 2.7079 * error  # which it exceeds, for the square's sake
        assert low < at.bias < high
        assert student < high - low < 1.05 * student
    first, second = (at.bias for at in result.at_steps)
    assert result.bias == pytest.approx(abs(2 * second - first), rel=1e-12)


def test_a_step_that_diverged_leaves_the_others_their_bias():
    rng = np.random.default_rng(4)
    means = batch_means(rng, 1.0, 40, 2, 0.1)
    alone = estimate(means, (0.2, 0.1)).at_steps[1]
    means[0, 3] = np.nan
    result = estimate(means, (0.2, 0.1))
    assert result.problem.startswith("diverged")
    assert math.isnan(result.at_steps[0].bias)
    assert result.at_steps[1] == alone


def test_the_root_of_a_mean_square_at_single_steps():
    rng = np.random.default_rng(4)
    means = np.full((2, 40, 2, 1), 0.5) + 0.01 * rng.normal(size=(2, 40, 2, 1))
    result = estimate(means, (0.2, 0.1), squared=True)
    roots = np.sqrt((means**2).mean((1, 2, 3)))
    assert [at.bias for at in result.at_steps] == pytest.approx(roots, rel=1e-12)


def test_few_replicates_use_their_batches():
    rng = np.random.default_rng(3)
    result = estimate(rng.normal(size=(2, 1, 32, 3)), (0.2, 0.1))
    assert result.degrees == 31
    assert estimate(rng.normal(size=(2, 40, 2, 3)), (0.2, 0.1)).degrees == 39


def test_unrest_sees_a_drift():
    rng = np.random.default_rng(3)
    still = batch_means(rng, 1.0, 32, 2, 0.1)
    moving = still + np.array([0.0, 1.0])[:, None]
    assert estimate(still, (0.2, 0.1)).problem is None
    assert "not stationary" in estimate(moving, (0.2, 0.1)).problem


def test_a_drift_in_proportion_to_the_step_is_seen():
    """Extrapolation cancels such a drift: the halves are compared at each step size."""
    rng = np.random.default_rng(3)
    means = batch_means(rng, 1.0, 32, 2, 0.1)
    means[..., 1, 0] += np.array([0.2, 0.1])[:, None] * 5
    result = estimate(means, (0.2, 0.1))
    assert abs(result.bias - 1) < 0.2
    assert "not stationary" in result.problem


def test_steps_too_large_to_extrapolate_from_are_seen():
    """The warning compares the correction with the bias; one of 4 % is none."""
    rng = np.random.default_rng(3)
    steep = estimate(batch_means(rng, 1.0, 32, 2, 0.1, shift=10.0), (0.2, 0.1))
    assert "smaller run.steps" in steep.warning
    assert (
        estimate(batch_means(rng, 1.0, 32, 2, 0.1, shift=0.4), (0.2, 0.1)).warning
        is None
    )


def test_batches_shorter_than_the_memory_are_seen():
    rng = np.random.default_rng(3)
    walk = rng.normal(size=(2, 1, 256, 2)).cumsum(2) * 0.1
    walk -= walk.mean(2, keepdims=True)
    assert "correlated" in estimate(walk, (0.2, 0.1)).warning
    assert estimate(rng.normal(size=(2, 1, 256, 2)), (0.2, 0.1)).warning is None


def test_runs_of_correlated_batches_still_give_intervals_that_cover():
    """Batch means correlated by 0.4, one replicate."""
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(300):
        noise = rng.normal(size=(2, 1, 257, 1))
        low, high = estimate(
            1 + noise[:, :, 1:] + 0.5 * noise[:, :, :-1], (0.2, 0.1)
        ).interval
        hits += low <= 1 <= high
    assert hits >= fewest(300)


def test_divergence_is_nan():
    means = np.full((2, 32, 2, 2), np.nan)
    result = estimate(means, (0.2, 0.1))
    assert np.isnan(result.bias)
    assert "diverged" in result.problem
    huge = estimate(
        np.full((2, 32, 2, 2), 1e200) * np.random.default_rng(1).random((2, 32, 2, 2)),
        (0.2, 0.1),
    )
    assert "diverged" in huge.problem


def sets(means, spread, trials, seed):
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        yield confidence_set(
            {
                b: estimate(batch_means(rng, mean, 32, 2, spread), (0.2, 0.1))
                for b, mean in means.items()
            }
        )


def test_confidence_set_holds_the_best_size():
    """Ties, near ties."""
    means = {1: 1.0, 2: 0.5, 4: 0.5, 8: 0.51, 16: 0.9}
    kept = sum(2 in outcome for outcome in sets(means, 0.1, 500, 5))
    assert kept >= fewest(500)


@pytest.mark.parametrize("delta", [1.5, 2.0, 2.5, 3.0])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("trials", [150, pytest.param(600, marks=pytest.mark.soak)])
def test_confidence_set_survives_noisy_rivals(delta, d, trials):
    """One precise best size against eight noisy ones `delta` standard errors away."""
    rng = np.random.default_rng(9)
    kept = 0
    for _ in range(trials):
        outcome = {0: estimate(batch_means(rng, delta, 32, d, 0.01), (0.2, 0.1))}
        for b in range(1, 9):
            outcome[b] = estimate(
                batch_means(rng, delta + 0.01, 32, d, 2.53), (0.2, 0.1)
            )
        kept += 0 in confidence_set(outcome)
    assert kept >= fewest(trials)


def test_confidence_set_drops_what_is_clearly_worse():
    means = {1: 1.0, 2: 0.5, 4: 0.7}
    assert all(outcome == [2] for outcome in sets(means, 0.05, 50, 5))


def test_confidence_set_leaves_out_what_diverged():
    rng = np.random.default_rng(3)
    good = estimate(batch_means(rng, 1.0, 32, 2, 0.1), (0.2, 0.1))
    bad = estimate(np.full((2, 32, 2, 2), np.nan), (0.2, 0.1))
    assert confidence_set({1: good, 2: bad}) == [1]
    assert confidence_set({2: bad}) == []


@pytest.mark.parametrize(("radius", "spread"), [(1.0, 0.3), (0.0, 0.3), (0.2, 0.5)])
def test_intervals_for_a_sphere_of_rest_points_cover(radius, spread):
    """Random directions, known lengths: 99 % of 600 intervals, false alarm 1e-6."""
    rng = np.random.default_rng(8)
    hits = 0
    missed = 0
    for _ in range(600):
        square = radius**2 + spread * rng.normal(size=(2, 64, 2, 1))
        means = np.concatenate([rng.normal(size=(2, 64, 2, 3)), square], axis=-1)
        low, high = module.estimate(means, (0.2, 0.1), squared=True).interval
        hits += low <= radius <= high
        missed += low <= radius + 1.0 <= high
    assert hits > 600 * 0.99 - 5 * (600 * 0.99 * 0.01) ** 0.5
    assert missed < 300


def test_a_small_transient_calls_the_interval_in_doubt():
    """Halves 4.6 standard errors apart at the smaller step: too little to be restless.

    That of the extrapolated mean is 4.1 on average, and the limit 3.5: on average 15 of
    20 are seen. Without a transient one in a thousand would be.
    """
    rng = np.random.default_rng(11)
    seen = 0
    quiet = 0
    for _ in range(20):
        means = rng.normal(size=(2, 64, 2, 1)) + 10
        quiet += estimate(means, (0.2, 0.1)).warning is None
        means[1, :, 0] += 4.6 * np.sqrt(2 / 64)
        outcome = estimate(means, (0.2, 0.1))
        seen += "perhaps not stationary" in (outcome.warning or "")
    assert seen >= 8
    assert quiet >= 18


def test_terms_of_second_order_are_guessed_from_those_of_first():
    """A shift of a fifth of the bias is in doubt where the interval is narrow."""
    rng = np.random.default_rng(12)
    narrow = estimate(batch_means(rng, 1.0, 64, 2, 0.01, shift=2.0), (0.2, 0.1))
    assert "extrapolation" in narrow.warning
    wide = estimate(batch_means(rng, 1.0, 64, 2, 1.0, shift=2.0), (0.2, 0.1))
    assert wide.warning is None


def resting(rng, scale=1.0, d=2, replicates=64):
    """Stationary batch means of that size."""
    return scale * (0.3 + 0.1 * rng.normal(size=(2, replicates, 8, d)))


@pytest.mark.parametrize("replicates", [8, 64])
@pytest.mark.parametrize("squared", [False, True])
def test_the_unit_of_the_gradient_does_not_matter(replicates, squared):
    """Powers of two, so nothing is rounded; the smallest squares would underflow."""
    means = resting(np.random.default_rng(3), replicates=replicates)
    both = np.concatenate([means, (means**2).sum(-1, keepdims=True)], axis=-1)
    whole = module.estimate(both, (0.2, 0.1), squared)
    assert whole.problem is None
    for power in (-4, -60, -240):
        unit = 2.0**power
        outcome = module.estimate(
            both * (unit**2 if squared else unit), (0.2, 0.1), squared
        )
        assert outcome.bias == unit * whole.bias
        assert outcome.standard_error == unit * whole.standard_error
        assert outcome.interval == tuple(unit * end for end in whole.interval)
        for name in ("unrest", "drift", "memory"):
            assert getattr(outcome, name) == getattr(whole, name)


@pytest.mark.parametrize("scale", [1.0, 1e-40, 1e-160, 1e-300])
@pytest.mark.parametrize("replicates", [8, 64])
def test_a_tiny_transient_is_seen(scale, replicates):
    """Of whatever size: each batch is further from the start than the one before."""
    rng = np.random.default_rng(4)
    means = np.arange(1.0, 9)[:, None] + 0.1 * rng.normal(size=(2, replicates, 8, 2))
    assert "not stationary" in estimate(scale * means, (0.2, 0.1)).problem
    still = estimate(resting(rng, scale, replicates=replicates), (0.2, 0.1))
    assert still.problem is None


@pytest.mark.parametrize("replicates", [8, 64])
def test_iterates_that_do_not_fluctuate_are_at_rest_at_zero_only(replicates):
    """Their steps are lost in rounding; it is seen in one of several coordinates."""
    rng = np.random.default_rng(5)
    stuck = np.full((2, replicates, 8, 2), 1.0)
    # 0.1 is no sum of powers of two: its spread is rounding
    for scale in (1.0, 0.1, 1e-20):
        assert "does not fluctuate" in estimate(scale * stuck, (0.2, 0.1)).problem
    means = resting(rng, replicates=replicates)
    means[..., 1] = 0.1
    assert "does not fluctuate" in estimate(means, (0.2, 0.1)).problem
    for small in (0.0, 1e-44, 1e-30):  # zero, or nearly: underflow, rounding
        means[..., 1] = small
        assert estimate(means, (0.2, 0.1)).problem is None
    assert estimate(0 * stuck, (0.2, 0.1)).problem is None
    assert estimate(1e-44 * stuck, (0.2, 0.1)).problem is None


@pytest.mark.parametrize("name", ["unrest", "drift", "memory", "shift"])
def test_what_is_not_a_number_is_in_doubt(name):
    whole = estimate(resting(np.random.default_rng(6)), (0.2, 0.1))
    assert whole.problem is None
    assert whole.warning is None
    doubtful = replace(whole, **{name: math.nan})
    assert doubtful.problem or doubtful.warning
    assert name != "unrest" or "not stationary" in doubtful.problem
