"""Philox words and float32 normals for the compiled engines, sixteen counters at a time.

The instructions are written for LLVM's vector types, so that they do not depend on what an
optimiser recognises; LLVM splits the vectors on machines with narrower registers. The words are
those of `sim.philox`; the normals agree with its float64 normals to float32 rounding: the logarithm
by the polynomial of the Cephes library (Moshier 1989), sine and cosine by Taylor-like polynomials
on an eighth of the circle.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sim.philox import MASK, MULTIPLIERS, ROUNDS, WEYL

LANES = 16  # counters at a time
NUMBERS = 4 * LANES  # words or normals that they give
HALF = 8  # 64-bit lanes at a time: a product of 32-bit words needs 64 bits

I32, I64, F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
FAST = ("contract", "reassoc", "nsz", "arcp")
LOG = (
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
ROOT_HALF = 0x3F3504F3  # bits of √½ as a float32


class _Vectors:
    """Arithmetic on vectors of `lanes` elements of one type, in the middle of a function."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes

    def integers(self, value: int, kind: Any = I32) -> Any:
        """The same integer everywhere."""
        return ir.Constant(ir.VectorType(kind, self.lanes), [value] * self.lanes)

    def reals(self, value: float) -> Any:
        """The same float32 everywhere."""
        constant = float(np.float32(value))
        return ir.Constant(ir.VectorType(F32, self.lanes), [constant] * self.lanes)

    def splat(self, scalar: Any) -> Any:
        """A scalar everywhere."""
        vector = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        vector = self.builder.insert_element(vector, scalar, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(vector, vector, self.integers(0))

    def times(self, a: Any, b: Any) -> Any:
        """Element by element."""
        return self.builder.fmul(a, b, flags=FAST)

    def plus(self, a: Any, b: Any) -> Any:
        """Element by element."""
        return self.builder.fadd(a, b, flags=FAST)

    def polynomial(self, x: Any, first: Any, coefficients: Any) -> Any:
        """(…(first·x + c₀)·x + c₁)·x + … + c_n."""
        for c in coefficients:
            first = self.plus(self.times(first, x), self.reals(c))
        return first

    def real(self, x: Any) -> Any:
        """The bits read as float32."""
        return self.builder.bitcast(x, ir.VectorType(F32, self.lanes))

    def integer(self, x: Any) -> Any:
        """The bits read as integers."""
        return self.builder.bitcast(x, ir.VectorType(I32, self.lanes))


def _joined(builder: Any, a: Any, b: Any) -> Any:
    """The two vectors as one of twice the length."""
    size = 2 * a.type.count
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, size), list(range(size))))


def _words(builder: Any, key: Any, counter: Any) -> list[Any]:
    """Four vectors of words for the LANES counters from counter[0] on; scalars are 64-bit."""
    v = _Vectors(builder, HALF)
    mask, half = v.integers(MASK, I64), v.integers(32, I64)
    multipliers = [v.integers(m, I64) for m in MULTIPLIERS]
    iota = ir.Constant(ir.VectorType(I64, HALF), list(range(HALF)))
    parts = []
    for begin in range(0, LANES, HALF):
        position = builder.add(counter[0], ir.Constant(I64, begin))
        c0 = builder.add(v.splat(position), iota)
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
        parts.append([builder.trunc(c, ir.VectorType(I32, HALF)) for c in (c0, c1, c2, c3)])
    return [_joined(builder, a, b) for a, b in zip(*parts, strict=True)]


def _normal_pair(builder: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Box and Muller on two vectors of words."""
    v = _Vectors(builder, LANES)
    float_vector = ir.VectorType(F32, LANES)
    u = v.plus(builder.uitofp(first, float_vector), v.reals(0.5))
    u = v.times(u, v.reals(2.0**-32))
    scaled = builder.sub(v.integer(u), v.integers(ROOT_HALF))
    exponent = builder.sitofp(builder.ashr(scaled, v.integers(23)), float_vector)
    mantissa = builder.add(builder.and_(scaled, v.integers(0x7FFFFF)), v.integers(ROOT_HALF))
    f = v.plus(v.real(mantissa), v.reals(-1.0))
    square = v.times(f, f)
    tail = v.polynomial(f, v.reals(7.0376836292e-2), LOG)
    log = v.plus(v.times(v.times(f, square), tail), v.times(v.reals(-0.5), square))
    log = v.plus(v.plus(f, log), v.times(exponent, v.reals(0.69314718)))
    root = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(float_vector, [float_vector]), f"llvm.sqrt.v{LANES}f32"
    )
    radius = builder.call(root, [v.times(v.reals(-2.0), log)])

    quadrant = builder.add(second, v.integers(2**29))
    remainder = builder.ashr(builder.shl(second, v.integers(2)), v.integers(2))
    angle = v.plus(builder.sitofp(remainder, float_vector), v.reals(0.5))
    angle = v.times(angle, v.reals(2 * np.pi * 2.0**-32))
    square = v.times(angle, angle)
    sin = v.polynomial(square, v.reals(SIN[0]), SIN[1:])
    sin = v.plus(angle, v.times(v.times(angle, square), sin))
    cos = v.polynomial(square, v.reals(COS[0]), COS[1:])
    cos = v.plus(v.times(v.times(square, square), cos), v.times(v.reals(-0.5), square))
    cos = v.plus(cos, v.reals(1.0))
    # Quadrants 0 to 3: (c, s), (-s, c), (-c, -s), (s, -c); the number is in the two highest bits.
    sign = v.integers(-(2**31))
    odd = builder.icmp_signed("<", builder.shl(quadrant, v.integers(1)), v.integers(0))
    next_quadrant = builder.add(quadrant, v.integers(2**30))
    x, y = builder.select(odd, sin, cos), builder.select(odd, cos, sin)
    x = v.real(builder.xor(v.integer(x), builder.and_(next_quadrant, sign)))
    y = v.real(builder.xor(v.integer(y), builder.and_(quadrant, sign)))
    return v.times(radius, x), v.times(radius, y)


def _interleaved(builder: Any, columns: list[Any]) -> Any:
    """Four vectors as one whose element 4i + k is element i of vector k."""
    a, b = _joined(builder, *columns[:2]), _joined(builder, *columns[2:])
    order = [k * LANES + i for i in range(LANES) for k in range(4)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, NUMBERS), order))


def _store(context: Any, builder: Any, kind: Any, array: Any, position: Any, numbers: Any) -> None:
    """Write the vector to array[position:]."""
    pointer = builder.gep(context.make_array(kind)(context, builder, array).data, [position])
    builder.store(numbers, builder.bitcast(pointer, numbers.type.as_pointer()), align=4)


def _signature(out: Any) -> Any:
    return types.void(out, types.int64, *[types.uint64] * 6)


@intrinsic
def store_words(
    typing: Any, out: Any, at: Any, k0: Any, k1: Any, c0: Any, c1: Any, c2: Any, c3: Any
) -> Any:
    """Write the NUMBERS words of LANES counters to out[at:], an array of uint32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, position, *scalars = arguments
        words = _interleaved(builder, _words(builder, scalars[:2], scalars[2:]))
        _store(context, builder, signature.args[0], array, position, words)
        return context.get_dummy_value()

    return _signature(out), code


@intrinsic
def store_normals(
    typing: Any, out: Any, at: Any, k0: Any, k1: Any, c0: Any, c1: Any, c2: Any, c3: Any
) -> Any:
    """Write the NUMBERS normals of LANES counters to out[at:], an array of float32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, position, *scalars = arguments
        words = _words(builder, scalars[:2], scalars[2:])
        columns = [*_normal_pair(builder, *words[:2]), *_normal_pair(builder, *words[2:])]
        normals = _interleaved(builder, columns)
        _store(context, builder, signature.args[0], array, position, normals)
        return context.get_dummy_value()

    return _signature(out), code
