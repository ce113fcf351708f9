"""Vector by vector over the micro-batches of a block: the smallest, and a tree of sums.

Arrays are padded to a power of two that holds whole vectors, see `padded`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sim.compiled.vectors import I32, I64, Vectors
from sim.engines.cpu.passes import data, loop, vectors
from sim.reduction.plan import BLOCK


@intrinsic
def padded(typing: Any, kind: Any, n: Any) -> Any:
    """The next power of two that is at least n and holds whole vectors of the array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = ir.Constant(I64, BLOCK)
        size = BLOCK // 2
        while size >= vectors(builder, kind).lanes:
            half = ir.Constant(I64, size)
            fits = builder.icmp_signed("<=", arguments[1], half)
            count = builder.select(fits, half, count)
            size //= 2
        return count

    return types.int64(kind, types.int64), code


@intrinsic
def least(typing: Any, values: Any, count: Any) -> Any:
    """The smallest of count values, a multiple of a vector; NaN counts as none."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = vectors(builder, values)
        pointer = data(context, builder, values, arguments[0])

        def body(i: Any, carried: list[Any]) -> list[Any]:
            return [smaller(builder, v.load(pointer, i), carried[0])]

        zero = ir.Constant(I64, 0)
        begin = [v.load(pointer, zero)]
        (found,) = loop(builder, zero, arguments[1], v.lanes, begin, body)
        half = v.lanes // 2
        while half:
            found = smaller(builder, upper(v, found, half), found)
            half //= 2
        return builder.extract_element(found, ir.Constant(I32, 0))

    return values.dtype(values, types.int64), code


@intrinsic
def halve(typing: Any, square: Any, cosine: Any, count: Any) -> Any:
    """The squared length of a sum of vectors from those of count vectors.

    The second half is added to the first, each vector with its own cosine, until one is
    left: `sim.engines.readable_radial.halved`. `square` is overwritten.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = vectors(builder, square)
        squares = data(context, builder, square, arguments[0])
        cosines = data(context, builder, cosine, arguments[1])
        left, zero = BLOCK // 2, ir.Constant(I64, 0)
        while left >= v.lanes:
            half = ir.Constant(I64, left)
            with builder.if_then(builder.icmp_signed("<", half, arguments[2])):

                def body(i: Any, _: list[Any], half: Any = half) -> list[Any]:
                    other = builder.add(i, half)
                    found = merged(
                        v,
                        v.load(squares, i),
                        v.load(squares, other),
                        v.load(cosines, other),
                    )
                    v.store(found, squares, i)
                    return []

                loop(builder, zero, half, v.lanes, [], body)
            left //= 2
        found, angle = v.load(squares, zero), v.load(cosines, zero)
        while left:
            other = upper(v, found, left)
            found = merged(v, found, other, upper(v, angle, left))
            left //= 2
        return builder.extract_element(found, ir.Constant(I32, 0))

    return square.dtype(square, cosine, types.int64), code


def smaller(builder: Any, x: Any, y: Any) -> Any:
    """The smaller one, element by element; y where one is NaN."""
    return builder.select(builder.fcmp_ordered("<", x, y), x, y)


def upper(v: Vectors, x: Any, half: int) -> Any:
    """The elements from `half` on, in the first places."""
    index = [*range(half, 2 * half), *range(v.lanes - half)]
    places = ir.Constant(ir.VectorType(I32, v.lanes), index)
    return v.builder.shuffle_vector(x, x, places)


def merged(v: Vectors, first: Any, second: Any, cosine: Any) -> Any:
    """`sim.engines.readable_radial.merged`, element by element."""
    between = v.times(v.times(root(v, first), root(v, second)), cosine)
    square = v.plus(v.plus(first, second), v.plus(between, between))
    zeros = v.reals(0.0)
    negative = v.builder.fcmp_ordered("<", square, zeros)
    return v.builder.select(negative, zeros, square)


def root(v: Vectors, x: Any) -> Any:
    """√x, element by element."""
    name = "f32" if v.kind == ir.FloatType() else "f64"
    function = ir.FunctionType(x.type, [x.type])
    code = cgutils.get_or_insert_function(
        v.builder.module, function, f"llvm.sqrt.v{v.lanes}{name}"
    )
    return v.builder.call(code, [x])
