"""Close to a point of rest: Jacobian, covariance, finite-step shift by second routes.

Monte-Carlo comparisons: |z| < 6 for each of about 40 numbers, a false alarm in 10⁷ in
all.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.rest.fluctuation import covariance, fluctuation
from analysis.rest.mixture import mixture
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update, expected_update
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian, Rare
from analysis.spec.rule import Clipping
from tests.analysis.rest.sampling import sampled_updates

LIMIT = 6.0
BACK = Dragger("persistent", 4.0, (-1.0, 0.0))
RARE = GradientModel(2, 0.1, Rare("rare", 0.2, 1.5, 0.6), BACK)


CASES = [
    ("sgd", 4, 4, None),
    ("adaptive", 1, 8, None),
    ("adaptive", 4, 4, None),
    ("adaptive", 8, 1, None),
    ("normalized", 2, 4, None),
    ("fixed", 2, 4, 0.5),
]


def scores(rule, b, m, threshold, factor=1.0, at=0.3):
    law = mixture(RARE, b)
    a = np.array([at])
    clipping = Clipping(rule, b * m, b, threshold)
    mean = expected_update(law, a, clipping)
    wide = replace(law, offset=np.pad(law.offset, ((0, 0), (0, 1))))
    exact = covariance(((wide, m),), np.array([at, 0.0]), clipping)
    update = sampled_updates(RARE, clipping, np.array([at, 0.0]), 60_000, 7)
    centred = update - np.append(mean, 0.0)
    products = np.einsum("si,sj->sij", centred, centred)
    error = products.std(0) / math.sqrt(len(update))
    return np.abs(products.mean(0) - factor * exact) / error


@pytest.mark.parametrize(("rule", "b", "m", "threshold"), CASES)
def test_covariance_by_simulation(rule, b, m, threshold):
    assert scores(rule, b, m, threshold).max() < LIMIT


def test_micro_batches_share_their_clipping_norm():
    """Away from rest the products of two micro-batches count: ρ is common to them."""
    assert scores("adaptive", 4, 4, None, at=1.0).max() < LIMIT


def test_the_comparison_has_power():
    assert scores("adaptive", 4, 4, None, 1.1).max() > LIMIT


def local(model, b, rule, m, threshold=None):
    update = Update(model, Clipping(rule, b * m, b, threshold))
    root = stationary_points(update)[0].gradient
    return root, fluctuation(update, root)


def test_sgd_is_linear():
    """J = 1 - ε; no bend, so no shift; the variance of one sample over B."""
    _, found = local(RARE, 4, "sgd", 4)
    root = 0.1 * 4 / 0.9
    within = 0.9 * RARE.noise.total_variance + 0.1 * 0.9 * (root + 4) ** 2
    assert found.contraction == pytest.approx(0.9, rel=1e-6)
    assert found.noise == pytest.approx(within / 16, rel=1e-4)
    assert found.slope == pytest.approx(0, abs=1e-4)


def test_normalized_on_a_line_by_hand():
    """E u = p erf(x) - (1-p), x = a/(s√2): J, C = (1 - 0)/m, bend in closed form."""
    model = GradientModel(
        1, 0.1, Gaussian("gaussian", 1.0), Dragger("persistent", 9.0, (-1.0,))
    )
    root, found = local(model, 1, "normalized", 5)
    a = abs(root[0])
    p = 0.9
    slope = p * 2 * math.exp(-(a**2) / 2) / math.sqrt(2 * math.pi)
    bend = -a * slope
    assert found.contraction == pytest.approx(slope, rel=1e-3)
    assert found.noise == pytest.approx(1 / 5, rel=1e-6)
    assert found.slope == pytest.approx(-bend / 5 / (4 * slope**2), rel=3e-3)


def test_curvature_scales_the_shift():
    _, flat = local(RARE, 2, "normalized", 4)
    _, steep = local(replace(RARE, curvature=3.0), 2, "normalized", 4)
    assert steep.slope == pytest.approx(3 * flat.slope)
    assert steep.contraction == flat.contraction


def stationary_mean(model, root, step, b, m, seed, replicates=4000, length=600):
    """First coordinate's mean over half the runs from the root, and its error."""
    rng, law = np.random.default_rng(seed), model.noise
    w, total = np.tile(np.append(root, 0.0), (replicates, 1)), np.zeros(replicates)
    for t in range(length):
        k = rng.binomial(b, model.dragger_fraction, (replicates, m))
        rare = rng.binomial(b - k, law.probability)
        sd = np.sqrt(b - k) * law.gaussian / math.sqrt(2) / b
        g = ((b - k) / b)[..., None] * w[:, None] + rng.normal(
            size=(replicates, m, 2)
        ) * sd[..., None]
        g[..., 0] += (
            rare * law.hit + (b - k - rare) * law.miss - model.dragger.norm * k
        ) / b
        w = w - step * (g / np.linalg.norm(g, axis=-1, keepdims=True)).mean(1)
        if t >= length // 2:
            total += w[:, 0]
    mean = total / (length - length // 2)
    return mean.mean(), mean.std() / math.sqrt(replicates)


def test_shift_by_simulation():
    """The stationary mean of the normalized rule at steps 0.2 and 0.1.

    A shift of 0 is refuted.

    A tenth of the slope is allowed for the terms of second order in the step.
    """
    model = replace(RARE, noise=Rare("rare", 0.2, 1.5, 0.3))
    root, found = local(model, 2, "normalized", 2)
    (high, one), (low, other) = (
        stationary_mean(model, root, step, 2, 2, seed)
        for seed, step in ((1, 0.2), (2, 0.1))
    )
    slope, error = (high - low) / 0.1, math.hypot(one, other) / 0.1
    assert abs(slope - found.slope) < LIMIT * error + 0.1 * abs(found.slope)
    assert abs(slope) > LIMIT * error + 0.1 * abs(found.slope)


def test_where_there_is_no_expansion():
    opposing = replace(RARE, dragger=Dragger("opposing", 4.0))
    clipping = Clipping("normalized", 8, 2)
    assert fluctuation(Update(opposing, clipping), np.array([0.3, 0.0])) is None
    bent = replace(RARE, curvature=(1.0, 2.0))
    assert fluctuation(Update(bent, clipping), np.array([0.3])) is None
    bare = replace(RARE, noise=Rare("rare", 0.2, 1.5, 0.0))
    assert fluctuation(Update(bare, clipping), np.array([0.3])) is None


def test_a_flat_update_has_no_expansion():
    """Two equal atoms far apart: nothing pulls between them."""
    flat = replace(
        RARE,
        dragger_fraction=0.0,
        noise=Rare("rare", 0.5, 3.0, 0.05),
        dimension=1,
        dragger=Dragger("persistent", 4.0, (-1.0,)),
    )
    assert (
        fluctuation(Update(flat, Clipping("normalized", 4, 1)), np.array([0.0])) is None
    )
