"""The commands' closed forms are the claims': to 1e-12, at random arguments."""

import numpy as np
import pytest

from analysis.advice import closed_forms
from analysis.advice.closed_forms import Micro, Sgd
from analysis.claims import CLAIMS

COUNT = 400
RNG = np.random.default_rng(12)
ALPHA = np.where(np.arange(COUNT) % 4 == 0, 1.0, RNG.uniform(0.01, 1, COUNT))
FRACTION = 10 ** RNG.uniform(-9, -0.35, COUNT)
SIGMA = RNG.lognormal(0, 3, COUNT)
SIZE = np.maximum(1, RNG.uniform(0.01, 1.1, COUNT) * np.log1p(1 / ALPHA) / FRACTION)
GRADIENT = SIGMA * RNG.lognormal(0, 2, COUNT)
ORDER = RNG.uniform(1.01, 2, COUNT)
TRAINING = {
    "smoothness": RNG.lognormal(0, 2, COUNT),
    "initial_gap": RNG.lognormal(0, 2, COUNT),
    "horizon": 10 ** RNG.uniform(0, 9, COUNT),
}
BATCH = np.ceil(SIZE * 10 ** RNG.uniform(0, 2, COUNT))
NORM = RNG.lognormal(2, 2, COUNT)
PRICE = 2 * TRAINING["smoothness"] * TRAINING["initial_gap"]
PACE = np.sqrt(PRICE / TRAINING["horizon"])
PROBLEM = {
    "dragger_fraction": FRACTION,
    "noise_scale": SIGMA,
    "alignment": ALPHA,
    "micro_batch_size": SIZE,
}


def claimed(name, **more):
    """The claim's values at the random arguments that it needs, [COUNT] each."""
    claim = CLAIMS[name]
    given = PROBLEM | TRAINING | {"batch_size": BATCH, "dragger_norm": NORM} | more
    from analysis.proof.evaluate import inputs

    needed = {entry.name for entry in inputs(claim.values)}
    return claim.evaluate(**{k: v for k, v in given.items() if k in needed})


def micro(i, size=None):
    rate = -np.log1p(-FRACTION[i])
    return Micro(
        float(rate), float(ALPHA[i]), float(SIGMA[i]), SIZE[i] if size is None else size
    )


def sgd(i):
    variance = (1 - FRACTION[i]) * SIGMA[i] ** 2 + FRACTION[i] * NORM[i] ** 2
    return Sgd(
        float(variance / BATCH[i]), float(FRACTION[i]), float(PACE[i]), float(PRICE[i])
    )


def same(found, expected, tolerance=1e-12):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert (np.isfinite(found) == np.isfinite(expected)).all()
    known = np.isfinite(expected)
    assert known.mean() > 0.05
    assert found[known] == pytest.approx(expected[known], rel=tolerance, abs=0)


def of_each(function):
    return [function(i) for i in range(COUNT)]


def test_bias_radius():
    found = of_each(lambda i: closed_forms.bias_radius(micro(i)))
    same(found, claimed("bias_radius")["bias_radius"], 1e-9)


def test_averaged_bound():
    found = of_each(lambda i: closed_forms.averaged_bound(micro(i), PACE[i]))
    same(found, claimed("averaged_guarantee")["averaged_bound"], 1e-9)


def test_drift_bound():
    """Two terms may cancel: to 1e-12 of the larger one."""
    found = of_each(lambda i: closed_forms.drift_bound(micro(i), GRADIENT[i]))
    expected = claimed("drift", gradient_norm=GRADIENT)["drift_bound"]
    assert np.abs(found - expected).max() < 1e-12 * GRADIENT.max()
    assert (np.abs(found - expected) <= 1e-12 * GRADIENT).all()


@pytest.mark.parametrize("name", ["threshold", "bias_radius", "gain"])
def test_best_threshold(name):
    found = of_each(lambda i: closed_forms.best_threshold(micro(i))[name])
    same(found, claimed("optimal_threshold")[name], 1e-9)


def test_mean_pull():
    c, s = GRADIENT * RNG.lognormal(0, 2, COUNT), SIGMA
    found = of_each(lambda i: closed_forms.mean_pull(GRADIENT[i], c[i], s[i]))
    values = CLAIMS["huber_lemma"].evaluate(G=GRADIENT, s=s, c=c)["mean_pull_bound"]
    assert (np.abs(found - values) <= 1e-12 * (GRADIENT + c)).all()


def test_best_sizes():
    expected = claimed("sweet_spot")
    same(
        of_each(lambda i: closed_forms.best_scaled_size(ALPHA[i])),
        expected["scaled_size"],
    )
    found = of_each(lambda i: closed_forms.breakdown(micro(i).rate, ALPHA[i]))
    same(found, expected["breakdown"])


def test_best_size_at_a_horizon():
    found = of_each(lambda i: closed_forms.best_size_at_horizon(micro(i), PACE[i]))
    same(found, claimed("finite_horizon")["micro_batch_size"])


def test_best_size_at_a_gradient_norm():
    found = of_each(
        lambda i: closed_forms.best_size_at_norm(micro(i).rate, SIGMA[i], GRADIENT[i])
    )
    expected = claimed("phase_schedule", gradient_norm=GRADIENT)
    same(found, expected["micro_batch_size"])


@pytest.mark.parametrize("name", ["bias_radius", "scaled_size", "minimax_bias"])
def test_heavy_tails(name):
    found = of_each(
        lambda i: getattr(closed_forms.heavy_tails(micro(i), ORDER[i]), name)
    )
    same(found, claimed("heavy_tails", tail_exponent=ORDER)[name], 1e-9)


def test_sgd_bounds():
    found = of_each(lambda i: sgd(i).upper_bound)
    same(found, claimed("sgd_rate")["gradient_bound"])
    found = of_each(lambda i: sgd(i).lower_bound)
    same(found, claimed("sgd_lower_bound")["gradient_bound"])


def test_crossover():
    expected = claimed("crossover")
    ends = of_each(lambda i: closed_forms.crossover(micro(i), sgd(i)) or (np.nan,) * 2)
    low, high = zip(*ends, strict=True)
    same(low, expected["crossover_low"], 1e-8)
    same(high, expected["crossover_high"], 1e-8)


def test_sideways_draggers():
    """α = 0: no breakdown, however improbable a clean micro-batch is."""
    case = Micro(0.1, 0.0, 2.0, np.array([4.0, 1e5]))
    at = {"dragger_fraction": -np.expm1(-0.1), "noise_scale": 2.0, "alignment": 0.0}
    known = CLAIMS["bias_radius"].evaluate(micro_batch_size=case.size, **at)
    assert closed_forms.bias_radius(case) == pytest.approx(known["bias_radius"])
    assert closed_forms.breakdown(0.1, 0.0) == np.inf
    heavy = closed_forms.heavy_tails(case._replace(size=4.0), 2.0)
    assert heavy.bias_radius == pytest.approx(1.0)
    assert heavy.scaled_size == np.inf
    found = closed_forms.best_size_at_horizon(case, 0.5)
    values = CLAIMS["finite_horizon"].evaluate(
        smoothness=1.0, initial_gap=0.125, horizon=1, **at
    )
    assert found == pytest.approx(values["micro_batch_size"])


def test_a_zero_that_is_not_there():
    assert closed_forms.zero_between(lambda _: 1.0, 0.0, 2.0) == pytest.approx(2.0)
    assert closed_forms.zero_between(lambda x: 1 - x, 0.0, 2.0) == 1.0
