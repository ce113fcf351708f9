"""Random numbers addressed by identity, the same on every backend: Philox4x32-10.

A counter-based generator (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers:
as easy as 1, 2, 3") maps an address to four words of 32 bits. The address is

| word      | holds                                                                    |
| --------- | ------------------------------------------------------------------------ |
| key 0, 1  | a hash of the seed, the micro-batch size and the step size               |
| counter 0 | position: four words, or four normals, at each                           |
| counter 1 | iteration, its lowest 32 bits                                            |
| counter 2 | replicate                                                                |
| counter 3 | stream + attempt·2⁸ of a rejection sampler + (iteration >> 32)·2¹⁶       |

so nothing depends on how the work is cut into pieces, or on who does it. This file is
the reference, written for any array library; the compiled engines are held to it.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

# streams
NORMALS, COMPOSITION, REFINEMENT, GAMMA, SAMPLE, FEATURES, LABEL, DATA = range(8)
CHI_SQUARE = 8

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = 0xFFFFFFFF


def key(seed: int, micro_batch_size: int, step: float) -> tuple[int, int]:
    """The two key words of one simulated trajectory."""
    bits = struct.unpack("<2I", struct.pack("<d", step))
    source = np.random.SeedSequence(seed, spawn_key=(micro_batch_size, *bits))
    low, high = source.generate_state(2, np.uint32)
    return int(low), int(high)


def words(
    key: tuple[int, int], counter: tuple[Any, Any, Any, Any], xp: Any = np
) -> list[Any]:
    """Four words a counter; both are uint64 arrays below 2³², of one shape."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    mask = xp.asarray(MASK, dtype=xp.uint64)
    half = xp.asarray(32, dtype=xp.uint64)
    first, second = (xp.asarray(m, dtype=xp.uint64) for m in MULTIPLIERS)
    for _ in range(ROUNDS):
        p, q = first * c0, second * c2
        c0 = (q >> half) ^ c1 ^ xp.asarray(k0, dtype=xp.uint64)
        c2 = (p >> half) ^ c3 ^ xp.asarray(k1, dtype=xp.uint64)
        c1, c3 = q & mask, p & mask
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return [c0, c1, c2, c3]


def bits(
    key: tuple[int, int],
    stream: int,
    replicates: Sequence[int],
    iteration: int,
    count: int,
    xp: Any = np,
) -> Any:
    """First `count` words of each replicate [replicates, count], uint64 below 2³²."""
    blocks = -(-count // 4)
    shape = (len(replicates), blocks)
    position = xp.broadcast_to(xp.arange(blocks, dtype=xp.uint64)[None, :], shape)
    numbers = xp.asarray(np.asarray(replicates, np.uint64))
    replicate = xp.broadcast_to(numbers[:, None], shape)
    low = xp.full(shape, iteration & MASK, dtype=xp.uint64)
    high = xp.full(shape, stream | (iteration >> 32) << 16, dtype=xp.uint64)
    found = words(key, (position, low, replicate, high), xp)
    return xp.reshape(xp.stack(found, axis=-1), (shape[0], 4 * blocks))[:, :count]


def uniform(word: Any, xp: Any = np, dtype: Any = None) -> Any:
    """(word + ½)/2³², strictly between 0 and 1 in float64."""
    return (xp.astype(word, dtype or xp.float64) + 0.5) * 2.0**-32


def normal_pair(first: Any, second: Any, xp: Any = np) -> tuple[Any, Any]:
    """Independent standard normals from two words (Box and Muller 1958), in float64."""
    radius = xp.sqrt(-2.0 * xp.log(uniform(first, xp)))
    angle = (2.0 * xp.pi) * uniform(second, xp)
    return radius * xp.cos(angle), radius * xp.sin(angle)


def normals(
    key: tuple[int, int],
    stream: int,
    replicates: Sequence[int],
    iteration: int,
    count: int,
    xp: Any = np,
) -> Any:
    """First `count` normals of each replicate [replicates, count], float64.

    The words 4i, 4i+1 give the normals 4i, 4i+1, and the words 4i+2, 4i+3 the other
    two.
    """
    rounded = -(-count // 4) * 4
    word = bits(key, stream, replicates, iteration, rounded, xp)
    pairs = xp.reshape(word, (word.shape[0], rounded // 2, 2))
    found = xp.stack(normal_pair(pairs[..., 0], pairs[..., 1], xp), axis=-1)
    return xp.reshape(found, (word.shape[0], rounded))[:, :count]
