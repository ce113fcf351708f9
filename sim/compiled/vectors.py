"""Explicit SIMD in compiled functions, whose loops are not always vectorised."""

from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding, ir

from sim import environment

I32, I64, F32, F64 = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()
FAST = ("contract", "reassoc", "nsz", "arcp")


@cache
def lanes() -> int:
    """How many numbers of 32 bits a vector holds, the same for the life of the process.

    Raises SpecificationError when the environment asks for another width than there is.
    """
    return environment.lanes(
        16 if binding.get_host_cpu_features().get("avx512f") else 8
    )


class Vectors:
    """Arithmetic on vectors of `lanes` elements of one type, inside a function."""

    def __init__(self, builder: Any, lanes: int, real: Any = F32) -> None:
        self.builder, self.lanes, self.kind = builder, lanes, real

    def integers(self, value: int, kind: Any = I32) -> Any:
        """The same integer everywhere."""
        return ir.Constant(ir.VectorType(kind, self.lanes), [value] * self.lanes)

    def reals(self, value: float) -> Any:
        """The same real everywhere."""
        constant = float(np.float32(value)) if self.kind == F32 else float(value)
        return ir.Constant(
            ir.VectorType(self.kind, self.lanes), [constant] * self.lanes
        )

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

    def polynomial(self, x: Any, coefficients: Any) -> Any:
        """c₀ + x(c₁ + x(c₂ + …))."""
        *rest, last = coefficients
        value = self.reals(last)
        for c in reversed(rest):
            value = self.plus(self.times(value, x), self.reals(c))
        return value

    def real(self, x: Any) -> Any:
        """The bits read as float32."""
        return self.builder.bitcast(x, ir.VectorType(F32, self.lanes))

    def integer(self, x: Any) -> Any:
        """The bits read as integers."""
        return self.builder.bitcast(x, ir.VectorType(I32, self.lanes))

    def load(self, pointer: Any, at: Any) -> Any:
        """The reals from pointer[at] on."""
        place = self.builder.gep(pointer, [at])
        vector = ir.VectorType(self.kind, self.lanes).as_pointer()
        return self.builder.load(self.builder.bitcast(place, vector), align=4)

    def store(self, values: Any, pointer: Any, at: Any) -> None:
        """Write the vector to pointer[at:]."""
        place = self.builder.gep(pointer, [at])
        self.builder.store(
            values, self.builder.bitcast(place, values.type.as_pointer()), align=4
        )

    def total(self, values: Any) -> Any:
        """The sum of all elements, halves added to each other."""
        n = self.lanes
        while n > 1:
            n //= 2
            index = [*range(n, 2 * n), *range(self.lanes - n)]
            other = self.builder.shuffle_vector(
                values, values, ir.Constant(ir.VectorType(I32, self.lanes), index)
            )
            values = self.plus(values, other)
        return self.builder.extract_element(values, ir.Constant(I32, 0))
