"""Philox words and float32 normals for compiled engines, `lanes` counters at a time.

The instructions are written for LLVM's vector types, so that they do not depend on what
an optimiser recognises. The words are those of `sim.random.philox`; the normals agree
with its float64 normals as far as float32 can tell words and angles apart. What counts
is the number of instructions, so the counters stand in the lanes in an order in which
neither the halves of 64-bit products nor the four normals of a counter ever cross the
128-bit parts of a register.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sim.compiled.vectors import F32, I32, I64, Vectors, lanes
from sim.random.philox import MASK, MULTIPLIERS, ROUNDS, WEYL

ROOM = 64  # more numbers than asked for that may be written to a buffer

# Near-minimax polynomials (Lawson's iteration), constant term first: -2 ln(1 + f)/f for
# √½ <= 1 + f <= √2 to a relative error of 2.6e-8, and with z = x² <= 1 the functions
# sin(πx)/(x(1 - z)) and cos(πx)/(1 - 4z), which have no zero left; sine and cosine to
# 1.2e-8.
LOG = (
    -1.9999999483791757,
    0.9999997592839164,
    -0.6666837125211772,
    0.5000414813510631,
    -0.39913667092890426,
    0.3312478622936877,
    -0.2990453352662462,
    0.28733685606111836,
    -0.17444710042224176,
)
SIN = (
    3.1415926350085046,
    -2.0261194554717727,
    0.5240371772377996,
    -0.07519222420932659,
    0.006867921896511753,
    -0.00038981589520581394,
)
COS = (
    0.9999999881272189,
    -0.9348011560916856,
    0.3194907789760521,
    -0.057199076641029634,
    0.006241965544369066,
    -0.0003991705391834799,
)
ROOT_HALF = 0x3F3504F3  # bits of √½ as a float32


def _order() -> list[int]:
    """The counter in each lane: lane 4l + k of part l holds the kth of its four."""
    parts = lanes() // 4
    return [parts * k + part for part in range(parts) for k in range(4)]


def _within(builder: Any, a: Any, b: Any, pattern: tuple[int, ...]) -> Any:
    """The same choice in each 128-bit part.

    Indices 0 to 3 are elements of a's part, 4 to 7 of b's.
    """
    n = a.type.count
    index = [part + k % 4 + n * (k // 4) for part in range(0, n, 4) for k in pattern]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, n), index))


def _words(builder: Any, key: Any, counter: Any) -> list[Any]:
    """Four vectors of words for the counters from counter[0] on; scalars are 64-bit."""
    v = Vectors(builder, lanes() // 2)  # a product of 32-bit words needs 64 bits
    mask, half = v.integers(MASK, I64), v.integers(32, I64)
    multipliers = [v.integers(m, I64) for m in MULTIPLIERS]
    pairs = [[c for i, c in enumerate(_order()) if i % 4 // 2 == k] for k in (0, 1)]
    start = v.splat(counter[0])
    parts = []
    for pair in pairs:
        c0 = builder.add(start, ir.Constant(ir.VectorType(I64, v.lanes), pair))
        c1, c2, c3 = (v.splat(c) for c in counter[1:])
        for r in range(ROUNDS):
            p = builder.mul(multipliers[0], builder.and_(c0, mask))
            q = builder.mul(multipliers[1], builder.and_(c2, mask))
            k0, k1 = (
                v.splat(builder.add(k, ir.Constant(I64, r * w)))
                for k, w in zip(key, WEYL, strict=True)
            )
            c0 = builder.xor(builder.xor(builder.lshr(q, half), c1), k0)
            c2 = builder.xor(builder.xor(builder.lshr(p, half), c3), k1)
            c1, c3 = q, p
        parts.append(
            [builder.bitcast(c, ir.VectorType(I32, lanes())) for c in (c0, c1, c2, c3)]
        )
    return [_within(builder, a, b, (0, 2, 4, 6)) for a, b in zip(*parts, strict=True)]


def _normal_pair(builder: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Box and Muller on two vectors of words."""
    v = Vectors(builder, lanes())
    float_vector = ir.VectorType(F32, v.lanes)
    u = builder.uitofp(first, float_vector)
    u = v.plus(v.times(u, v.reals(2.0**-32)), v.reals(2.0**-33))
    scaled = builder.sub(v.integer(u), v.integers(ROOT_HALF))
    exponent = builder.sitofp(builder.ashr(scaled, v.integers(23)), float_vector)
    mantissa = builder.add(
        builder.and_(scaled, v.integers(0x7FFFFF)), v.integers(ROOT_HALF)
    )
    f = v.plus(v.real(mantissa), v.reals(-1.0))
    log = v.times(f, v.polynomial(f, LOG))
    log = v.plus(v.times(exponent, v.reals(-2 * np.log(2.0))), log)
    root = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(float_vector, [float_vector]),
        f"llvm.sqrt.v{v.lanes}f32",
    )
    radius = builder.call(root, [log])

    # The word read with a sign is the angle between -π and π, and needs no reduction.
    x = v.times(builder.sitofp(second, float_vector), v.reals(2.0**-31))
    z = v.times(x, x)
    sin = v.times(
        v.plus(x, v.times(v.times(v.reals(-1.0), z), x)), v.polynomial(z, SIN)
    )
    cos = v.times(v.plus(v.times(v.reals(-4.0), z), v.reals(1.0)), v.polynomial(z, COS))
    return v.times(radius, cos), v.times(radius, sin)


def _store(
    context: Any, builder: Any, kind: Any, array: Any, position: Any, columns: list[Any]
) -> None:
    """Write each counter's four numbers in turn, to array[position:]."""
    v = Vectors(builder, lanes())
    a, b, c, d = columns
    data = context.make_array(kind)(context, builder, array).data
    k = 0
    for pattern in ((0, 4, 1, 5), (2, 6, 3, 7)):  # two counters of each part at a time
        low, high = _within(builder, a, b, pattern), _within(builder, c, d, pattern)
        for half in ((0, 1, 4, 5), (2, 3, 6, 7)):
            row = _within(builder, low, high, half)
            v.store(row, data, builder.add(position, ir.Constant(I64, k * v.lanes)))
            k += 1


def _signature(out: Any) -> Any:
    key, counter = (types.UniTuple(types.uint64, n) for n in (2, 4))
    return types.void(out, types.int64, key, counter)


def _write(
    context: Any, builder: Any, signature: Any, arguments: Any, numbers: Any
) -> Any:
    """Write the numbers of some counters, numbers(words) being four vectors."""
    array, position, *addresses = arguments
    key, counter = (cgutils.unpack_tuple(builder, words) for words in addresses)
    columns = numbers(_words(builder, key, counter))
    _store(context, builder, signature.args[0], array, position, columns)
    return context.get_dummy_value()


@intrinsic
def numbers(typing: Any) -> Any:
    """How many numbers `store_words` and `store_normals` write at once."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(I64, 4 * lanes())

    return types.int64(), code


@intrinsic
def store_words(typing: Any, out: Any, at: Any, key: Any, counter: Any) -> Any:
    """Write the next words of successive counters to out[at:], an array of uint32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _write(context, builder, signature, arguments, lambda words: words)

    return _signature(out), code


@intrinsic
def store_normals(typing: Any, out: Any, at: Any, key: Any, counter: Any) -> Any:
    """Write the next normals of successive counters to out[at:], a float32 array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def numbers(words: list[Any]) -> list[Any]:
            return [
                *_normal_pair(builder, *words[:2]),
                *_normal_pair(builder, *words[2:]),
            ]

        return _write(context, builder, signature, arguments, numbers)

    return _signature(out), code
