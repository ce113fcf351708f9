"""Compositions of a micro-batch, by counting every sample's fate."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy import special

from analysis.rest.resolution import RESOLUTION as THEORY
from analysis.spec.checking import SpecificationError
from analysis.spec.composition import (
    Resolution,
    TooManyCompositionsError,
    of_groups,
    of_mixed_samples,
    of_one_domain,
)
from analysis.spec.domains import Domain
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gaussian
from sim.reduction.compositions import RESOLUTION as SIMULATION

EPSILON = 0.2
WEIGHTS = (0.5, 0.3, 0.2)
NOISE = Gaussian("gaussian", 1.0)
MODEL = GradientModel(
    1,
    EPSILON,
    None,
    Dragger("persistent", 1.0, (-1.0,)),
    domains=tuple(Domain(weight, 0.0, NOISE) for weight in WEIGHTS),
)


def counted(samples, group):
    """Probability of (draggers, clean of each domain), from all sample sequences."""
    fates = Counter()
    for domains in product(range(3), repeat=samples // group):
        for dragged in product((False, True), repeat=samples):
            clean = [0, 0, 0]
            for i, dragger in enumerate(dragged):
                clean[domains[i // group]] += not dragger
            k = sum(dragged)
            probability = EPSILON**k * (1 - EPSILON) ** (samples - k)
            probability *= np.prod([WEIGHTS[domain] for domain in domains])
            fates[k, *clean] += probability
    return fates


def as_counter(table):
    fates = Counter()
    for c, weight in enumerate(table.weight):
        fates[table.draggers[c], *table.clean[:, c]] += weight
    return fates


@pytest.mark.parametrize("resolution", [THEORY, SIMULATION])
@pytest.mark.parametrize(
    ("group", "enumerate_them"),
    [
        (1, of_mixed_samples),
        (4, of_one_domain),
        (4, lambda *arguments: of_groups(*arguments, 4)),
        (2, lambda *arguments: of_groups(*arguments, 2)),
        (1, lambda *arguments: of_groups(*arguments, 1)),
    ],
)
def test_every_composition_by_counting(resolution, group, enumerate_them):
    table = enumerate_them(MODEL, 4, resolution)
    expected = counted(4, group)
    found = as_counter(table)
    assert found.keys() == expected.keys()
    assert all(
        found[key] == pytest.approx(expected[key], rel=1e-12) for key in expected
    )


def test_nobody_drags_while_draggers_are_not_active():
    for enumerate_them in (of_mixed_samples, of_one_domain):
        assert not enumerate_them(MODEL, 6, SIMULATION, active=False).draggers.any()


@pytest.mark.parametrize(("n", "q"), [(5, 0.3), (300, 0.01), (40_000, 0.2)])
def test_binomials_of_both_resolutions(n, q):
    """By SciPy's incomplete beta function; what is left out is negligible to each."""
    tolerance = 1e-12 if n < 1000 else 1e-9
    for resolution in (THEORY, SIMULATION):
        number, probability = resolution.binomial(n, q)
        assert probability.sum() == pytest.approx(1, abs=tolerance)
        below = special.bdtr(number, n, q)
        assert np.cumsum(probability) == pytest.approx(below, abs=tolerance)
    few, many = (
        resolution.binomial(n, q).value.size for resolution in (THEORY, SIMULATION)
    )
    assert few <= many


def test_certain_numbers():
    for resolution in (THEORY, SIMULATION):
        assert resolution.binomial(7, 0.0).value.tolist() == [0]
        assert resolution.binomial(7, 1.0).value.tolist() == [7]
        assert resolution.binomial(0, 0.5).value.tolist() == [0]


def test_a_draw_splits_every_row():
    """Each clean sample of the second domain is special with probability 0.1."""
    table = of_mixed_samples(MODEL, 3, SIMULATION)
    split = table.with_binomial_draw(table.clean[1], 0.1)
    assert split.draws.shape == (1, split.weight.size)
    assert (split.draws[0] <= split.clean[1]).all()
    mean = split.weight @ split.draws[0]
    assert mean == pytest.approx(0.1 * table.weight @ table.clean[1], rel=1e-12)


def test_too_many_are_refused_in_one_line():
    small = Resolution(
        1e-13, True, 20, SIMULATION.binomial_probabilities, " for a test"
    )
    message = (
        "algorithm.micro_batch_sizes = 8: must be smaller for a test "
        ".*more than 20 kinds"
    )
    with pytest.raises(TooManyCompositionsError, match=message):
        of_mixed_samples(MODEL, 8, small)
    assert issubclass(TooManyCompositionsError, SpecificationError)
    assert of_mixed_samples(MODEL, 2, small).weight.size == 10
