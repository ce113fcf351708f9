"""Values exact in theory, against the simulator: both must find the same number.

Random models of every rule, noise and dragger law whose exact bias is quick to compute,
the laws of the lower bounds, and the expansions for small steps and smooth noise.
Spoilt: the exact values are 5 % larger, or as said.
"""

import math

import numpy as np
import pytest

from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias, stationary_points
from analysis.rest.update import Update
from analysis.spec.rule import Clipping


def full(count):
    return pytest.param(count, marks=pytest.mark.soak)


def known(lab, seed):
    """A model and its exact bias: one point of rest, over a tenth of the noise from 0.

    Any rule; draggers along e₁, or of a law without direction, so that the exact bias
    is quick.
    """
    for attempt in range(1000):
        rng = np.random.default_rng([30, seed, attempt])
        d, (B, b, fraction) = (
            int(rng.choice([1, 1, 2, 3, 8])),
            lab.random_sizes(rng, 0.5),
        )
        rule = str(rng.choice(["adaptive", "normalized", "fixed", "global", "sgd"]))
        dragger = lab.random_dragger(
            rng, ("persistent", "additive", "opposing", "isotropic"), d
        )
        if "direction" in dragger:
            dragger["direction"] = [float(rng.choice([-1, 1])), *[0.0] * (d - 1)]
        noise = lab.random_noise(
            rng, ("rare", "rare", "gamma" if d == 1 else "gaussian")
        )
        model = {
            "dimension": d,
            "dragger_fraction": fraction,
            "noise": noise,
            "dragger": dragger,
        }
        sigma = lab.experiment(model, "sgd", B, b, seed, 0.1).model.noise_scale()
        s = sigma / math.sqrt(B if rule == "global" else b)
        threshold = (
            s * float(np.exp(rng.uniform(-1, 1)))
            if rule in ("fixed", "global")
            else None
        )
        made = lab.resting(rule, model, B, b, seed, threshold=threshold, replicates=64)
        exact = exact_bias(made.model, rule, B, b, threshold=threshold)
        if len(exact.roots) == 1 and exact.bias > 0.1 * s:
            return made, exact.bias
    raise AssertionError("no such model")


@pytest.mark.parametrize("count", [5, full(200)])
def test_random_models_rest_at_the_exact_bias(count, family, lab):
    found = family("m_estimator_identity", "1.05", exact=True)
    for seed in range(count):
        made, exact = known(lab, seed)
        found.bias(seed, found.rest(made), exact, 1.05 * exact)
    found.judge()


@pytest.mark.parametrize("count", [2, full(40)])
@pytest.mark.parametrize(("name", "sign"), [("rare_signal", -1), ("rare_outlier", 1)])
def test_the_laws_of_the_lower_bound(name, sign, count, family, lab):
    found = family(name, "1.05", exact=True)
    for seed in range(count):
        rng = np.random.default_rng([31, seed])
        b, scaled = int(np.exp(rng.uniform(0, 4))), rng.uniform(0.05, 0.5)
        fraction = -math.expm1(-scaled / b)
        rest, _ = lab.extrapolated(lab.worst(sign, 16 * b, b, fraction))
        theory = CLAIMS[name].evaluate(
            micro_batch_size=b, dragger_fraction=fraction, noise_scale=1
        )["limiting_bias"]
        found.mean(seed, rest[:, 0], theory, 1.05 * theory)
    found.judge()


@pytest.mark.parametrize("count", [1, full(30)])
def test_tightness(count, family, lab):
    """The larger of the two biases reaches the share.

    It is attained for many samples at λb = 0.3458.
    """
    found = family("tightness", "1.1")
    for seed in range(count):
        rng = np.random.default_rng([32, seed])
        b, scaled = int(np.exp(rng.uniform(0, 4))), rng.uniform(0.05, 0.5)
        share, larger = larger_share(lab, b, scaled)
        found.mean(seed, larger, share, sign=-1)
    share, larger = larger_share(lab, 60, 0.3458)
    found.mean("attained", larger, share, 1.1 * share, sign=-1)
    found.judge()


def larger_share(lab, b, scaled):
    """The proven share, and the larger bias's by replicate, in units of the radius."""
    fraction = -math.expm1(-scaled / b)
    theory = CLAIMS["tightness"].evaluate(
        micro_batch_size=b, dragger_fraction=fraction, noise_scale=1
    )
    rests = [
        lab.extrapolated(lab.worst(sign, 16 * b, b, fraction))[0] for sign in (-1, 1)
    ]
    larger = max(rests, key=np.mean)[:, 0]
    return theory["share"], larger / theory["bias_radius"]


@pytest.mark.parametrize("count", [1, full(20)])
def test_finite_step(count, family, lab):
    """The slope of the stationary mean in the step, second order extrapolated away.

    Rare noise that points back makes the slope large enough to be measured.
    """
    found = family("finite_step", "2", exact=True)
    for seed in range(count):
        rng = np.random.default_rng([33, seed])
        noise = lab.two_points(-1, float(rng.uniform(0.15, 0.3)), 0.8) | {
            "gaussian": 0.6
        }
        run = {"step": 0.2, "iterations": 20000, "replicates": 256, "seed": seed}
        made = lab.straight_back(noise, 8, 2, float(rng.uniform(0.01, 0.05)), **run)
        update = Update(made.model, Clipping("normalized", 8, 2))
        [root] = [point.gradient for point in stationary_points(update)]
        extrapolated, coarse = lab.extrapolated(made)
        shifts = (
            coarse[:, 0] - root[0],
            (extrapolated[:, 0] + coarse[:, 0]) / 2 - root[0],
        )
        slope = (4 * shifts[1] - shifts[0]) / made.run.steps[0]
        theory = step_slope(update, root)
        found.mean(seed, slope, theory, 2 * theory)
    found.judge()


def step_slope(update, root, h=0.01):
    """Shift per step, rule `normalized`, four micro-batches of 2, by finite_step."""
    low, middle, high = (update.expected(root + x)[0] for x in (-h, 0.0, h))
    return CLAIMS["finite_step"].evaluate(
        step_size=1.0,
        drift_slope=(high - low) / (2 * h),
        drift_bend=(high - 2 * middle + low) / h**2,
        update_variance=1 / 4,  # of the mean of four signs that are 0 on average
    )["shift"]


@pytest.mark.parametrize("count", [1, full(20)])
def test_skewness_expansion(count, family, lab):
    """Within 1/√b of the expansion; without either of its terms it is farther away."""
    found = family("skewness_expansion", "one term only")
    for seed in range(count):
        rng = np.random.default_rng([34, seed])
        b = int(rng.choice([24, 32, 48]))
        shape = float(rng.uniform(0.5, 2))
        fraction = float(rng.uniform(0.3, 0.7)) * 0.5 / shape**0.5 * b**-1.5
        noise = {
            "law": "gamma",
            "shape": shape,
            "scale": 1.0,
            "sign": 1,
            "gaussian": 0.0,
        }
        run = {
            "step": 0.1 / math.sqrt(b),
            "iterations": 2000,
            "replicates": 96,
            "seed": seed,
        }
        rest, _ = lab.extrapolated(lab.straight_back(noise, 16 * b, b, fraction, **run))
        expansions = both_and_single_terms(2 / math.sqrt(shape), fraction, b)
        away = np.abs(rest[:, 0].mean() - expansions)
        error = rest[:, 0].std(ddof=1) / math.sqrt(len(rest))
        allowed = expansions[0] / math.sqrt(b)
        z = (away - allowed) / error
        found.add(seed, z[0], len(rest) - 1, away[0] / allowed, min(z[1:]))
    found.judge()


def both_and_single_terms(skewness, fraction, b):
    """The expansion of the bias with both terms, and with either of them alone [3]."""
    given = {"noise_scale": 1, "micro_batch_size": b}
    return np.array(
        [
            CLAIMS["skewness_expansion"].evaluate(
                skewness=k, dragger_fraction=eps, **given
            )["bias"]
            for k, eps in ((skewness, fraction), (skewness, 0.0), (1e-9, fraction))
        ]
    )
