"""Draws by address: gamma variables, and what the address does."""

import math

import numpy as np
import pytest
from scipy import special

from sim.random import philox
from sim.random.addresses import Draws

KEY = philox.key(2, 4, 0.5)


def gamma(shape, count=40_000, **where):
    at = {"replicates": range(1), "iteration": 3} | where
    rows = len(at["replicates"])
    return Draws(KEY, **at).gamma(philox.GAMMA, np.full((rows, count), shape))


@pytest.mark.parametrize("shape", [0.05, 0.7, 1.0, 3.5, 400.0])
def test_gamma_variables_have_their_law(shape):
    """Mean, variance, probability transform's mean: |z| < 6 each; a power twin."""
    x = gamma(shape).ravel()

    def scores(x):
        u = special.gammainc(shape, x)
        square = (x - shape) ** 2 - shape
        return [
            (x - shape).mean() / math.sqrt(shape / x.size),
            square.mean() / (math.sqrt(2 * shape**2 + 6 * shape) / math.sqrt(x.size)),
            (u - 0.5).mean() * math.sqrt(12 * x.size),
            (u**2 - 1 / 3).mean() * math.sqrt(x.size / (4 / 45)),
        ]

    assert max(map(abs, scores(x))) < 6
    assert max(map(abs, scores(x + 12 * math.sqrt(shape / x.size)))) > 6


def test_shape_zero_gives_zero_and_mixes_with_others():
    shape = np.array([[0.0, 2.0, 0.0, 0.3]])
    x = Draws(KEY, range(1), 3).gamma(philox.GAMMA, shape)
    assert (x[0] > 0).tolist() == [False, True, False, True]
    alone = gamma(2.0, 2)
    assert x[0, 1] == alone[0, 1]


def test_a_number_depends_on_its_address_alone():
    whole = gamma(0.6, 30, replicates=range(6))
    assert np.array_equal(gamma(0.6, 20, replicates=[4, 1]), whole[[4, 1], :20])
    assert (gamma(0.6, 30, iteration=3 + 2**32) != whole[:1]).all()
    draws = Draws(KEY, [5, 2], 3)
    for found in (draws.normals, draws.uniforms):
        every = getattr(Draws(KEY, range(6), 3), found.__name__)
        assert np.array_equal(
            found(philox.SAMPLE, 10), every(philox.SAMPLE, 21)[[5, 2], :10]
        )


def by_definition(replicate, place, shape, iteration=3):
    """One variable in scalar code, each attempt's words by the public generator."""
    for n in range(256):
        stream = philox.GAMMA + (n << 8)
        found = philox.bits(KEY, stream, [replicate], iteration, 4 * place + 4)[
            0, 4 * place :
        ]
        words = [int(w) for w in found]
        u = [(w + 0.5) / 2**32 for w in words]
        k = shape + 1 if shape < 1 else shape
        d = k - 1 / 3
        z = math.sqrt(-2 * math.log(u[0])) * math.cos(2 * math.pi * u[1])
        v = (1 + z / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(u[2]) < z * z / 2 + d - d * v + d * math.log(v):
            return d * v * (u[3] ** (1 / shape) if shape < 1 else 1), n
    raise AssertionError


def test_each_attempt_has_its_own_words():
    x = gamma(0.2, 60, replicates=range(2))
    expected = [[by_definition(r, i, 0.2) for i in range(60)] for r in range(2)]
    values, attempts = np.array(expected).transpose(2, 0, 1)
    assert x == pytest.approx(values, rel=1e-12)
    assert attempts.max() >= 1


def test_other_libraries_and_single_precision():
    strict = pytest.importorskip("array_api_strict")
    shape = np.array([[0.0, 2.0, 0.4]] * 2)
    other = Draws(KEY, [3, 1], 9, strict, strict.float32)
    single = Draws(KEY, [3, 1], 9, np, np.float32)
    pairs = [
        (
            other.gamma(philox.GAMMA, strict.asarray(shape)),
            single.gamma(philox.GAMMA, shape),
        ),
        (other.normals(0, 9), single.normals(0, 9)),
    ]
    for a, b in pairs:
        assert b.dtype == np.float32
        # of numbers of size one
        assert np.asarray(a) == pytest.approx(b, rel=1e-6, abs=3e-7)
    assert np.array_equal(np.asarray(other.uniforms(0, 9)), single.uniforms(0, 9))
    assert single.uniforms(0, 9).dtype == np.float64
