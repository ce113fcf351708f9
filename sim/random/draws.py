"""Compiled pieces of the engines: random numbers by address, gamma variables, alias tables.

They are those of `sim.random.philox` and `sim.random.addresses`, one number or one buffer at a
time.
"""

import math

import numpy as np
from numba.extending import overload

from sim.compiled.jit import FLAGS, inlined, scalar
from sim.random.normals import NUMBERS, store_normals
from sim.random.philox import MASK, MULTIPLIERS, REFINEMENT, ROUNDS, WEYL

U = np.uint64
M0, M1, W0, W1, FULL = U(MULTIPLIERS[0]), U(MULTIPLIERS[1]), U(WEYL[0]), U(WEYL[1]), U(MASK)
HALF, LAST_ATTEMPT = U(32), 255


@scalar
def four_words(k0, k1, c0, c1, c2, c3):
    """The words of one counter; all are uint64 below 2³²."""
    for _ in range(ROUNDS):
        p, q = M0 * c0, M1 * c2
        c0, c2 = (q >> HALF) ^ c1 ^ k0, (p >> HALF) ^ c3 ^ k1
        c1, c3 = q & FULL, p & FULL
        k0, k1 = (k0 + W0) & FULL, (k1 + W1) & FULL
    return c0, c1, c2, c3


@scalar
def uniform(word):
    """(word + ½)/2³² in float64."""
    return (float(word) + 0.5) * 2.0**-32


def fill(out, count, k0, k1, position, c1, c2, c3):
    """Write at least `count` normals to `out`, from the counter at `position` on."""
    raise TypeError("only for compiled code")


@overload(fill, jit_options={"fastmath": FLAGS})
def _fill(out, count, k0, k1, position, c1, c2, c3):
    def single(out, count, k0, k1, position, c1, c2, c3):
        for i in range(0, count, NUMBERS):
            store_normals(out, i, k0, k1, position + U(i // 4), c1, c2, c3)

    def double(out, count, k0, k1, position, c1, c2, c3):
        for i in range(0, count, 4):  # the buffer has room for NUMBERS more
            words = four_words(k0, k1, position + U(i // 4), c1, c2, c3)
            for k in range(0, 4, 2):
                radius = math.sqrt(-2.0 * math.log(uniform(words[k])))
                angle = 2.0 * math.pi * uniform(words[k + 1])
                out[i + k], out[i + k + 1] = radius * math.cos(angle), radius * math.sin(angle)

    return single if out.dtype.bitwidth == 32 else double


@scalar
def gamma_variable(shape, k0, k1, position, c1, c2, c3):
    """Γ(shape) by rejection (Marsaglia and Tsang 2000), each attempt at its own address."""
    if shape <= 0:
        return 0.0
    boosted = shape if shape >= 1 else shape + 1.0
    center = boosted - 1 / 3
    width = 1 / math.sqrt(9 * center)
    for attempt in range(LAST_ATTEMPT + 1):
        w0, w1, w2, w3 = four_words(k0, k1, position, c1, c2, c3 + (U(attempt) << U(8)))
        z = math.sqrt(-2.0 * math.log(uniform(w0))) * math.cos(2.0 * math.pi * uniform(w1))
        v = (1 + width * z) ** 3
        if attempt == LAST_ATTEMPT:
            v = 1.0
        elif v <= 0 or math.log(uniform(w2)) >= z * z / 2 + center * (1 - v + math.log(v)):
            continue
        scale = 1.0 if shape >= 1 else math.exp(math.log(uniform(w3)) / shape)
        return center * v * scale
    return 0.0


@inlined
def look_up(which, limit, threshold, alias, first, bits, words, j0, n, k0, k1, c1, c2, high):
    """The rows of micro-batches j0 … j0 + n - 1 by their words, in which [n].

    The alias table begins at column `first`; limit is the part of threshold that a word knows.
    """
    shift, known = U(32) - bits, (U(1) << (U(32) - bits)) - U(1)
    for j in range(U(n)):
        word = U(words[U(j0) + j])
        column = word >> shift
        place, rest = U(first) + column, word & known
        other = U(alias[place])
        row = column if rest < limit[place] else other
        if rest == limit[place]:  # once in 2^(32 - bits) micro-batches
            number = U(j0) + j
            more = four_words(k0, k1, number // U(4), c1, c2, U(REFINEMENT) | high)
            if (rest << (bits + U(32))) | (U(more[number % U(4)]) << bits) < threshold[place]:
                row = column
        which[j] = row
