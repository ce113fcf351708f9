"""Numbers of whole streams for NumPy code, compiled: those of `sim.random.philox`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.compiled.jit import compiled
from sim.random.draws import U64, counter, fill, gamma_variable, step_address
from sim.random.normals import ROOM, numbers, store_words

# Compiled code is called with plain arrays and numbers, by position: hence seven.


@compiled
def _words(out, buffer, k0, k1, stream, replicates, iteration):  # noqa: PLR0913
    for r in range(replicates.size):
        address = step_address((k0, k1), U64(replicates[r]), iteration)
        for i in range(0, out.shape[1], numbers()):
            store_words(buffer, i, address.key, counter(address, U64(i // 4), stream))
        for i in range(out.shape[1]):
            out[r, i] = buffer[i]


@compiled
def _normals(out, buffer, k0, k1, stream, replicates, iteration):  # noqa: PLR0913
    for r in range(replicates.size):
        address = step_address((k0, k1), U64(replicates[r]), iteration)
        fill(buffer, out.shape[1], address, U64(0), stream)
        for i in range(out.shape[1]):
            out[r, i] = buffer[i]


@compiled
def _gammas(out, shape, k0, k1, stream, replicates, iteration):  # noqa: PLR0913
    for r in range(replicates.size):
        address = step_address((k0, k1), U64(replicates[r]), iteration)
        for i in range(out.shape[1]):
            out[r, i] = gamma_variable(shape[r, i], address, U64(i), stream)


def _filled(
    code: Any, key: Any, stream: int, replicates: Any, iteration: int, out: Any
) -> Any:
    buffer = np.empty(out.shape[1] + ROOM, out.dtype)
    numbers = np.asarray(replicates, np.uint64)
    code(out, buffer, U64(key[0]), U64(key[1]), U64(stream), numbers, U64(iteration))
    return out


def words(
    key: tuple[int, int], stream: int, replicates: Any, iteration: int, count: int
) -> NDArray[np.uint32]:
    """`philox.bits` [replicates, count], as uint32."""
    out = np.empty((len(replicates), count), np.uint32)
    return np.asarray(_filled(_words, key, stream, replicates, iteration, out))


def normals(
    key: tuple[int, int],
    stream: int,
    replicates: Any,
    iteration: int,
    count: int,
    dtype: Any,
) -> NDArray[Any]:
    """`philox.normals` [replicates, count], in float64 or to float32 rounding."""
    out = np.empty((len(replicates), count), dtype)
    return np.asarray(_filled(_normals, key, stream, replicates, iteration, out))


def gammas(
    key: tuple[int, int], stream: int, replicates: Any, iteration: int, shape: Any
) -> NDArray[np.float64]:
    """Γ(shape) variables [replicates, count] for shapes >= 0, the ith at position i."""
    out = np.empty(shape.shape)
    numbers = np.asarray(replicates, np.uint64)
    shapes = np.ascontiguousarray(shape, np.float64)
    _gammas(out, shapes, U64(key[0]), U64(key[1]), U64(stream), numbers, U64(iteration))
    return out
