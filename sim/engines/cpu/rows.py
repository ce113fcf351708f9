"""Compiled pieces of the kernel: algebra on micro-batch gradients.

Above a small dimension a micro-batch is a row z[origin : origin + d] of the buffer of
normals, and loops run over its coordinates; up to it the micro-batches stand side by
side in y [d, n], and loops run over them. Indices are unsigned: a signed one may count
from the end, which keeps loops from being vectorised.
"""

import numpy as np

from analysis.spec.rule import Rule
from sim.compiled.jit import inlined, scalar
from sim.engines.cpu.arrays import ALONG, BENIGN, DEVIATION, FIRST
from sim.engines.cpu.passes import accumulate, combine
from sim.random.draws import U64

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
def combined(z, origin, whole, gradient, axes, terms):
    """Make normals z[origin : origin + d] a gradient with one axis; its squared norm.

    The first `whole` coordinates are whole vectors; `terms` are a `Terms`.
    """
    square = combine(z, origin, whole, gradient, axes, terms)
    for i in range(U64(whole), U64(gradient.size)):
        x = terms.benign * gradient[i] + terms.deviation * z[origin + i]
        x += terms.along * axes[0, i]
        if i == 0:
            x += terms.first
        z[origin + i] = x
        square += x * x
    return square


@inlined
def added(z, origin, factor, axes, q):
    """Add factor·axes[q] to z[origin : origin + d]; the square of its new norm."""
    square = z.dtype.type(0)
    for i in range(U64(axes.shape[1])):
        x = z[origin + i] + factor * axes[q, i]
        z[origin + i] = x
        square += x * x
    return square


@inlined
def add_rows(total, weight, z, n, layout):
    """Add Σ_j weight_j·z[j·stride : j·stride + d] over n rows to total [d]."""
    accumulate(total, layout.whole, weight, z, n, layout.stride)
    for i in range(U64(layout.whole), U64(total.size)):
        for j in range(U64(n)):
            total[i] += weight[j] * z[j * U64(layout.stride) + i]


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
def across(y, z, n, stride, gradient, terms):
    """Gradients y [d, n] without their axes, coordinate by coordinate; terms [4, n]."""
    for i in range(U64(gradient.size)):
        for j in range(U64(n)):
            y[i, j] = (
                terms[BENIGN, j] * gradient[i]
                + terms[DEVIATION, j] * z[j * U64(stride) + i]
            )
    for j in range(U64(n)):
        y[0, j] += terms[FIRST, j]


@inlined
def shift(y, n, axes, q, terms):
    """Add axis q, terms[ALONG] times, to y [d, n]."""
    for i in range(U64(axes.shape[1])):
        for j in range(U64(n)):
            y[i, j] += terms[ALONG, j] * axes[q, i]


@inlined
def squares(square, y, n):
    """Squared norms [n] of y [d, n]."""
    for j in range(U64(n)):
        square[j] = y[0, j] * y[0, j]
    for i in range(U64(1), U64(y.shape[0])):
        for j in range(U64(n)):
            square[j] += y[i, j] * y[i, j]


@inlined
def gather(total, weight, y, n):
    """Add Σ_j weight_j·y [d, n] to total [d]."""
    for i in range(U64(total.size)):
        x = total.dtype.type(0)
        for j in range(U64(n)):
            x += weight[j] * y[i, j]
        total[i] += x
