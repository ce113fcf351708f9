"""The two passes over a block of micro-batch gradients, vector by vector.

A micro-batch is a row z[o : o + d] of the buffer of normals. The first pass turns it
into the gradient and measures it; the second adds up all rows, each multiplied with its
rule's weight.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sim.compiled.vectors import F32, F64, I64, Vectors, lanes

COLUMNS = 4  # vectors at a time, their sums in registers


def vectors(builder: Any, kind: Any) -> Vectors:
    """Vectors of the array's reals that fill a register."""
    single = kind.dtype.bitwidth == 32
    width = lanes() if single else lanes() // 2
    return Vectors(builder, width, F32 if single else F64)


def data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """The pointer to an array's elements."""
    return context.make_array(kind)(context, builder, array).data


def loop(
    builder: Any,
    begin: Any,
    end: Any,
    step: int,
    values: list[Any],
    body: Callable[..., list[Any]],
) -> list[Any]:
    """Carry values = body(i, values), i = begin, begin + step, …, in registers."""
    before = builder.block
    head, inside, after = (
        builder.append_basic_block(name) for name in ("head", "body", "after")
    )
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(I64)
    i.add_incoming(begin, before)
    carried = [builder.phi(value.type) for value in values]
    for phi, value in zip(carried, values, strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", i, end), inside, after)
    builder.position_at_end(inside)
    found = body(i, carried)
    for phi, value in zip(carried, found, strict=True):
        phi.add_incoming(value, builder.block)
    i.add_incoming(builder.add(i, ir.Constant(I64, step)), builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return carried


def _in_columns(
    v: Vectors,
    count: Any,
    values: list[Any],
    body: Callable[[int], Callable[..., list[Any]]],
) -> list[Any]:
    """Carry values through `count` numbers, COLUMNS vectors at a time, then one by one.

    body(k) is the body of a loop over k vectors at a time.
    """
    builder, zero = v.builder, ir.Constant(I64, 0)
    wide = builder.and_(count, ir.Constant(I64, -COLUMNS * v.lanes))
    values = loop(builder, zero, wide, COLUMNS * v.lanes, values, body(COLUMNS))
    return loop(builder, wide, count, v.lanes, values, body(1))


@intrinsic
def combine(  # noqa: PLR0913 numba's intrinsic: its typing context, then six
    typing: Any, z: Any, begin: Any, count: Any, gradient: Any, axes: Any, terms: Any
) -> Any:
    """Make z[begin : begin + count] benign·∇f + deviation·z + first·e₁ + along·axis.

    `terms` are the four factors, a `sim.engines.cpu.arrays.Terms`; the axis is axes[0].
    Returns the square of the norm. Only whole vectors are done: `count` is a multiple
    of their length, and the rest of the row is the caller's.
    """

    def code(  # noqa: PLR0914 the text of one pass, instruction by instruction
        context: Any, builder: Any, signature: Any, arguments: Any
    ) -> Any:
        v = vectors(builder, z)
        buffer = data(context, builder, z, arguments[0])
        origin, number = arguments[1:3]
        a = data(context, builder, gradient, arguments[3])
        axis = data(context, builder, axes, arguments[4])
        benign, deviation, first, along = cgutils.unpack_tuple(builder, arguments[5])
        times_a, times_z, times_axis = map(v.splat, (benign, deviation, along))
        zeros = v.reals(0.0)

        def body(count: int) -> Callable[..., list[Any]]:
            def several(i: Any, values: list[Any]) -> list[Any]:
                extra, *squares = values
                for k in range(count):
                    at = builder.add(i, ir.Constant(I64, k * v.lanes))
                    place = builder.add(origin, at)
                    extra_here = extra if k == 0 else zeros
                    x = v.plus(v.times(times_a, v.load(a, at)), extra_here)
                    x = v.plus(v.times(times_axis, v.load(axis, at)), x)
                    x = v.plus(v.times(times_z, v.load(buffer, place)), x)
                    v.store(x, buffer, place)
                    squares[k] = v.plus(squares[k], v.times(x, x))
                return [zeros, *squares]

            return several

        offset = builder.insert_element(zeros, first, ir.Constant(I64, 0))
        _, *squares = _in_columns(v, number, [offset, *[zeros] * COLUMNS], body)
        return v.total(reduce(v.plus, squares))

    real = z.dtype
    factors = types.NamedUniTuple(real, 4, terms.instance_class)
    return real(z, types.int64, types.int64, gradient, axes, factors), code


@intrinsic
def accumulate(  # noqa: PLR0913 likewise
    typing: Any, total: Any, whole: Any, weight: Any, z: Any, rows: Any, stride: Any
) -> Any:
    """Add Σ_j weight_j·z[j·stride : j·stride + d] over `rows` rows to total [d].

    Only whole vectors are done, as in `combine`.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v = vectors(builder, z)
        sums = data(context, builder, total, arguments[0])
        weights = data(context, builder, weight, arguments[2])
        buffer = data(context, builder, z, arguments[3])
        size, number, apart = arguments[1], arguments[4], arguments[5]

        def columns(count: int) -> Callable[..., list[Any]]:
            def several(at: Any, _: list[Any]) -> list[Any]:
                places = [
                    builder.add(at, ir.Constant(I64, k * v.lanes)) for k in range(count)
                ]

                def row(j: Any, values: list[Any]) -> list[Any]:
                    origin = builder.mul(j, apart)
                    w = v.splat(builder.load(builder.gep(weights, [j])))
                    return [
                        v.plus(
                            v.times(w, v.load(buffer, builder.add(origin, place))),
                            value,
                        )
                        for place, value in zip(places, values, strict=True)
                    ]

                begin = [v.load(sums, place) for place in places]
                ends = loop(builder, ir.Constant(I64, 0), number, 1, begin, row)
                for value, place in zip(ends, places, strict=True):
                    v.store(value, sums, place)
                return []

            return several

        _in_columns(v, size, [], columns)
        return context.get_dummy_value()

    return types.void(total, types.int64, weight, z, types.int64, types.int64), code
