"""The reference generator: published answers, addresses, the normals' law."""

import math

import array_api_strict
import numpy as np
import pytest

from sim.random import philox

# kat_vectors of Random123 1.14 (philox4x32, 10 rounds): counter, key, words
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_known_answers(counter, key, expected, xp):
    columns = tuple(xp.asarray([c], dtype=xp.uint64) for c in counter)
    assert tuple(int(w[0]) for w in philox.words(key, columns, xp)) == expected


def test_a_number_depends_on_its_address_alone():
    key = philox.key(1, 8, 0.1)
    whole = philox.normals(key, philox.NORMALS, range(6), 7, 21)
    part = philox.normals(key, philox.NORMALS, range(4, 6), 7, 10)
    assert np.array_equal(whole[4:, :10], part)


def test_every_part_of_the_address_matters():
    base = philox.bits(philox.key(1, 8, 0.1), 0, range(1), 0, 64)
    others = [
        philox.bits(philox.key(*k), stream, replicates, iteration, 64)
        for k, stream, replicates, iteration in [
            ((2, 8, 0.1), 0, range(1), 0),
            ((1, 4, 0.1), 0, range(1), 0),
            ((1, 8, 0.2), 0, range(1), 0),
            ((1, 8, 0.1), 1, range(1), 0),
            ((1, 8, 0.1), 0, range(1, 2), 0),
            ((1, 8, 0.1), 0, range(1), 1),
            ((1, 8, 0.1), 0, range(1), 2**32),
        ]
    ]
    assert all((base != other).all() for other in others)


def test_normals_are_standard_and_independent():
    """Moments to the fourth and six correlations: |z| < 6 each, 2e-8 in all.

    As a power twin, a spread of 1 + 8/√n is refuted.
    """
    z = philox.normals(philox.key(3, 1, 0.5), philox.NORMALS, range(4), 0, 200_000)
    n = z.size

    def scores(z):
        x, y = z[:, 1:].ravel(), z[:, :-1].ravel()
        moments = [
            (z, 1),
            (z**2 - 1, 2),
            (z**3, 15),
            (z**4 - 3, 96),
            (x * y, 1),
            (x**2 * y**2 - 1, 8),
            (z[:, ::2] * z[:, 1::2], 1),
            (z[:, 2:] * z[:, :-2], 1),
            (z[0] * z[1], 1),
            (np.abs(z) - math.sqrt(2 / math.pi), 1 - 2 / math.pi),
        ]
        return [m.mean() * math.sqrt(m.size / v) for m, v in moments]

    assert max(map(abs, scores(z))) < 6
    assert max(map(abs, scores(z * (1 + 8 / math.sqrt(n))))) > 6
