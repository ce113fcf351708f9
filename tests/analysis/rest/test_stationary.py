"""Stationary distributions at a finite step, by following densities and chains."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from analysis.rest.stable import stationary_points
from analysis.rest.stationary import largest_stable_step, on_grid, on_lattice
from analysis.rest.update import Update
from analysis.spec.checking import SpecificationError
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian, Rare
from analysis.spec.rule import Clipping

FRACTION = 0.05
NORM = 20.0
SIZE = 8
COUNT = 4
MODEL = GradientModel(
    1, FRACTION, Gaussian("gaussian", 1.0), Dragger("persistent", NORM, (-1.0,))
)


def at_rest(rule, model=MODEL):
    """The update of a rule, and ∇f at its stationary point."""
    update = Update(model, Clipping(rule, SIZE * COUNT, SIZE))
    (point,) = stationary_points(update)
    return update, float(point.gradient[0])


def positive(w):
    """P(g > 0) for a micro-batch with k of b draggers, from the model; w [n]."""
    k = np.arange(SIZE)
    probability = special.comb(SIZE, k) * FRACTION**k * (1 - FRACTION) ** (SIZE - k)
    return (
        special.ndtr(((SIZE - k) * w[:, None] - k * NORM) / np.sqrt(SIZE - k))
        @ probability
    )


@pytest.mark.parametrize("step", [0.4, 0.1])
def test_lattice_by_iterating_the_density(step):
    """The rule on a fine grid of starts, its density pushed until it stands still.

    Starts that are spread evenly over a lattice spacing average over all lattices.
    """
    update, root = at_rest("normalized")
    means = []
    for offset in np.arange(4) / 4:
        w = abs(root) + 2 * step / COUNT * (np.arange(-80, 81) + offset)
        up, density = positive(w), np.full(w.size, 1 / w.size)
        for _ in range(int(60 / step)):
            pushed = np.zeros(w.size)
            for k in range(COUNT + 1):
                probability = special.comb(COUNT, k) * up**k * (1 - up) ** (COUNT - k)
                pushed += np.roll(density * probability, COUNT // 2 - k)
            density = pushed
        means.append(density @ w)
    assert np.ptp(means) < 1e-4
    found = on_lattice(update, root, step, 3.0)
    assert found.probability.sum() == pytest.approx(1, abs=1e-12)
    assert abs(found.mean) == pytest.approx(means[0], rel=1e-6)


def test_algorithm_1_by_following_it():
    """50 000 chains of micro-batch gradients in plain NumPy, from rest; 5 sigma."""
    update, root = at_rest("adaptive")
    rng = np.random.default_rng(2)
    n = 50_000
    step = 0.6
    w = np.full(n, root)
    total = 0.0
    for t in range(60):
        k = rng.binomial(SIZE, FRACTION, (COUNT, n))
        mean = ((SIZE - k) * w + k * np.sign(root) * -NORM) / SIZE
        g = mean + np.sqrt(SIZE - k) / SIZE * rng.standard_normal((COUNT, n))
        w = w - step * np.abs(g).min(0) * np.sign(g).mean(0)
        total = total + w * (t >= 45) / 15
    found, error = on_grid(update, root, step, 4.0).mean, total.std() / n**0.5
    assert abs(total.mean() - found) < 5 * error
    assert abs(total.mean() - root) > 20 * error


@pytest.mark.parametrize("distribution", [on_lattice, on_grid])
def test_a_distribution_has_the_unit_of_the_gradient(distribution):
    """Noise, draggers and the normalized rule's step times 1000 multiply its mean."""
    scaled = replace(
        MODEL,
        noise=Gaussian("gaussian", 1e3),
        dragger=Dragger("persistent", 1e3 * NORM, (-1.0,)),
    )
    rule = "normalized" if distribution is on_lattice else "adaptive"
    means = []
    for unit, model in ((1.0, MODEL), (1e3, scaled)):
        update, root = at_rest(rule, model)
        step = 0.2 * (unit if rule == "normalized" else 1.0)
        means.append(distribution(update, root, step, 3.0 * unit).mean / unit)
    assert means[1] == pytest.approx(means[0], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": Rare("rare", 0.1, 3.0, 0.3)}, "Gaussian noise"),
        ({"dragger": Dragger("opposing", 3.0)}, "persistent or additive"),
        (
            {"dimension": 2, "dragger": Dragger("persistent", 3.0, -1.0)},
            "model.dimension = 2",
        ),
    ],
)
def test_other_models_are_refused(change, message):
    update = Update(
        replace(MODEL, **change), Clipping("normalized", SIZE * COUNT, SIZE)
    )
    with pytest.raises(SpecificationError, match=message):
        on_lattice(update, 0.1, 0.1, 3.0)


def test_an_odd_number_of_micro_batches_has_no_lattice():
    with pytest.raises(SpecificationError, match="an even number"):
        on_lattice(Update(MODEL, Clipping("normalized", 24, 8)), 0.1, 0.1, 3.0)
    with pytest.raises(SpecificationError, match="rule = 'adaptive'"):
        on_lattice(Update(MODEL, Clipping("adaptive", 32, 8)), 0.1, 0.1, 3.0)


def test_largest_stable_step_by_following_the_logarithm():
    """The linear rule's mean growth there is zero over 400 000 steps (5 sigma)."""
    rng, limit = np.random.default_rng(15), largest_stable_step(MODEL, SIZE, COUNT)
    worst = rng.binomial(SIZE, FRACTION, (400_000, COUNT)).max(1)
    growth = np.log(np.abs(1 - limit * (1 - worst / SIZE)))
    assert abs(growth.mean()) < 5 * growth.std() / np.sqrt(growth.size)
    shorter = np.log(np.abs(1 - 0.95 * limit * (1 - worst / SIZE)))
    assert shorter.mean() < -5 * shorter.std() / np.sqrt(growth.size)
