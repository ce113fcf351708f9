"""Compiled pieces of the fused kernel: algebra on micro-batch gradients.

Above a small dimension a micro-batch is a row z[o : o + d] of the buffer of normals, and loops run
over its coordinates; up to it the micro-batches stand side by side in y [d, n], and loops run over
them. Indices are unsigned: a signed one may count from the end, which keeps loops from being
vectorised.
"""

import math

import numpy as np

from analysis.spec.rule import Rule
from sim.compiled.jit import inlined, scalar
from sim.compiled.vectors import LANES
from sim.engines.cpu.passes import accumulate, combine
from sim.random.draws import U

BYTES = 4 * LANES  # of a vector
SGD, ADAPTIVE, NORMALIZED, FIXED, GLOBAL = (rule.number for rule in Rule)


@inlined
def remove(x, v):
    """Subtract from x its component along the unit vector v."""
    dot = x.dtype.type(0)
    for i in range(x.size):
        dot += x[i] * v[i]
    for i in range(x.size):
        x[i] -= dot * v[i]


@inlined
def combined(z, o, d, whole, factor, a, spread, along, axes, first):
    """Make z[o : o + d] factor·a + spread·z + along·axes[0] + first·e₁; the square of its norm."""
    square = combine(z, o, whole, factor, a, spread, along, axes, first)
    for i in range(U(whole), U(d)):
        x = factor * a[i] + spread * z[o + i] + along * axes[0, i]
        if i == 0:
            x += first
        z[o + i] = x
        square += x * x
    return square


@inlined
def added(z, o, d, factor, axes, q):
    """Add factor·axes[q] to z[o : o + d]; the square of its new norm."""
    square = z.dtype.type(0)
    for i in range(U(d)):
        x = z[o + i] + factor * axes[q, i]
        z[o + i] = x
        square += x * x
    return square


@inlined
def add_rows(total, whole, factor, z, n, stride):
    """Add Σ_j factor_j·z[j·stride : j·stride + d] over n rows to total [d]."""
    accumulate(total, whole, factor, z, n, stride)
    for i in range(U(whole), U(total.size)):
        for j in range(U(n)):
            total[i] += factor[j] * z[j * U(stride) + i]


@scalar
def weight_of(norm, rule, clip):
    """What the rule multiplies a micro-batch gradient of that norm with."""
    one = np.float32(1)
    if rule in (ADAPTIVE, NORMALIZED):
        return one / norm if norm != 0 else norm
    if rule == FIXED and norm > clip:
        return clip / norm
    return one


@inlined
def clipped(size, n, rule, clip, smallest):
    """Replace squared norms [n] by the rule's weights; the smallest norm so far."""
    for j in range(U(n)):
        norm = math.sqrt(size[j])
        smallest = norm if norm < smallest else smallest
        size[j] = weight_of(norm, rule, clip)
    return smallest


@inlined
def across(y, z, n, stride, a, part):
    """Micro-batch gradients y [d, n], coordinate by coordinate: part₀·a + part₂·e₁ + part₁·z."""
    for i in range(U(a.size)):
        for j in range(U(n)):
            y[i, j] = part[0, j] * a[i] + part[1, j] * z[j * U(stride) + i]
    for j in range(U(n)):
        y[0, j] += part[2, j]


@inlined
def shift(y, n, axes, q, part, k):
    """Add part_k times axis q to y [d, n]."""
    for i in range(U(axes.shape[1])):
        for j in range(U(n)):
            y[i, j] += part[k, j] * axes[q, i]


@inlined
def squares(size, y, n, d):
    """Squared norms of y [d, n] in size [n]."""
    for j in range(U(n)):
        size[j] = y[0, j] * y[0, j]
    for i in range(U(1), U(d)):
        for j in range(U(n)):
            size[j] += y[i, j] * y[i, j]


@inlined
def gather(total, factor, y, n):
    """Add Σ_j factor_j·y [d, n] to total [d]."""
    for i in range(U(total.size)):
        x = total.dtype.type(0)
        for j in range(U(n)):
            x += factor[j] * y[i, j]
        total[i] += x
