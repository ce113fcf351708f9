"""Compiled pieces of the engines: random numbers by address, gamma variables.

They are those of `sim.random.philox` and `sim.random.addresses`, one number or one
buffer at a time.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from sim.compiled.jit import FLAGS, inlined, scalar
from sim.random.normals import numbers, store_normals
from sim.random.philox import MASK, MULTIPLIERS, ROUNDS, WEYL

U64 = np.uint64
M0, M1, W0, W1, FULL = (
    U64(MULTIPLIERS[0]),
    U64(MULTIPLIERS[1]),
    U64(WEYL[0]),
    U64(WEYL[1]),
    U64(MASK),
)
HALF = U64(32)
LAST_ATTEMPT = 255


class Address(NamedTuple):
    """Where a replicate's step has its random numbers, uint64: `sim.random.philox`."""

    key: Any  # two words
    low: Any  # the iteration's lowest 32 bits
    replicate: Any
    high: Any  # the iteration's other bits, in their place


@inlined
def step_address(key, replicate, iteration):
    """The address of a replicate's numbers at an iteration; uint64."""
    return Address(key, iteration & FULL, replicate, (iteration >> HALF) << U64(16))


@inlined
def counter(address, position, stream):
    """The four words of the counter at a position of a stream."""
    return position, address.low, address.replicate, stream | address.high


@scalar
def four_words(key, counter):
    """The words of one counter; all are uint64 below 2³²."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
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


def fill(out, count, address, position, stream):
    """Write at least `count` normals to `out`, from the counter at `position` on."""
    raise TypeError("only for compiled code")


@overload(fill, jit_options={"fastmath": FLAGS})
def _fill(out, count, address, position, stream):
    def single(out, count, address, position, stream):
        for i in range(0, count, numbers()):
            store_normals(
                out, i, address.key, counter(address, position + U64(i // 4), stream)
            )

    def double(out, count, address, position, stream):
        for i in range(0, count, 4):  # the buffer has room for more
            words = four_words(
                address.key, counter(address, position + U64(i // 4), stream)
            )
            for k in range(0, 4, 2):
                radius = math.sqrt(-2.0 * math.log(uniform(words[k])))
                angle = 2.0 * math.pi * uniform(words[k + 1])
                out[i + k], out[i + k + 1] = (
                    radius * math.cos(angle),
                    radius * math.sin(angle),
                )

    return single if out.dtype.bitwidth == 32 else double


@scalar
def gamma_variable(shape, address, position, stream):
    """Γ(shape) by rejection (Marsaglia and Tsang 2000), an address for each try."""
    if shape <= 0:
        return 0.0
    boosted = shape if shape >= 1 else shape + 1.0
    center = boosted - 1 / 3
    width = 1 / math.sqrt(9 * center)
    for attempt in range(LAST_ATTEMPT + 1):
        w0, w1, w2, w3 = four_words(
            address.key, counter(address, position, stream + (U64(attempt) << U64(8)))
        )
        z = math.sqrt(-2.0 * math.log(uniform(w0))) * math.cos(
            2.0 * math.pi * uniform(w1)
        )
        v = (1 + width * z) ** 3
        if attempt == LAST_ATTEMPT:
            v = 1.0
        elif v <= 0 or math.log(uniform(w2)) >= z * z / 2 + center * (
            1 - v + math.log(v)
        ):
            continue
        scale = 1.0 if shape >= 1 else math.exp(math.log(uniform(w3)) / shape)
        return center * v * scale
    return 0.0
