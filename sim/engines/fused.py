"""The fused kernel on the CPU: whole trajectories, one micro-batch after the other, nothing stored.

`advance` is `sim.engines.stepwise` with everything that NumPy would allocate kept in two small
buffers. One pass over the micro-batches is enough for every rule: Algorithm 1 is the mean of unit
vectors, multiplied in the end with the smallest norm.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from sim.engines.compiled import FLAGS, compiled, inlined, scalar
from sim.engines.normals import NUMBERS, store_normals, store_words
from sim.philox import COMPOSITION, GAMMA, MASK, MULTIPLIERS, NORMALS, REFINEMENT, ROUNDS, WEYL


class Packed(NamedTuple):
    """A `sim.plan.Plan` as arrays, reals in the precision of the iterates unless said otherwise.

    The rows of all compositions stand in one array; composition p begins at first_column[p] of the
    alias tables and at first_row[p] of the rows.
    """

    rule: int
    clip: Any
    average: bool
    bend: bool  # whether there is a flat direction
    opposing: bool  # whether any draggers push against the gradient
    centre: Any  # [d]
    curvature: Any  # [d]
    flat: Any  # [d]
    wave: Any  # [2]
    axes: Any  # [axes, d]
    iteration_edges: Any
    gradient_edges: Any  # float64
    phase: Any
    micro_batches: Any  # [compositions], like the next three
    bits: Any
    first_column: Any
    first_row: Any
    stretch: Any  # [compositions, gammas] float64
    threshold: Any  # [columns], like the next
    alias: Any
    benign: Any  # [rows], like all that follow
    backward: Any
    first: Any  # float64
    deviation: Any
    along: Any  # [rows, axes]
    shape: Any  # [rows, gammas] float64
    clean: Any


SGD, ADAPTIVE, NORMALIZED, FIXED, GLOBAL = range(5)  # as in analysis.model.RULES
BUFFER = 4096  # normals at a time: 16 KiB
SMALL = 8  # up to this dimension loops run over micro-batches, above it over coordinates
U = np.uint64
M0, M1, W0, W1, FULL = U(MULTIPLIERS[0]), U(MULTIPLIERS[1]), U(WEYL[0]), U(WEYL[1]), U(MASK)
HALF, LAST_ATTEMPT = U(32), 255


@scalar
def four_words(k0, k1, c0, c1, c2, c3):
    """The words of one counter; all are uint64 below 2³²."""
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


def fill(out, count, k0, k1, position, c1, c2, c3):
    """Write at least `count` normals to `out`, from the counter at `position` on."""
    raise NotImplementedError  # pragma: no cover


@overload(fill, jit_options={"fastmath": FLAGS})
def _fill(out, count, k0, k1, position, c1, c2, c3):
    def single(out, count, k0, k1, position, c1, c2, c3):
        for i in range(0, count, NUMBERS):
            store_normals(out, i, k0, k1, position + U(i // 4), c1, c2, c3)

    def double(out, count, k0, k1, position, c1, c2, c3):
        for i in range(0, count, 4):  # the buffer has room for NUMBERS more
            words = four_words(k0, k1, position + U(i // 4), c1, c2, c3)
            for k in range(0, 4, 2):
                radius = math.sqrt(-2.0 * math.log(uniform(words[k])))
                angle = 2.0 * math.pi * uniform(words[k + 1])
                out[i + k], out[i + k + 1] = radius * math.cos(angle), radius * math.sin(angle)

    return single if out.dtype.bitwidth == 32 else double


@scalar
def gamma_variable(shape, k0, k1, position, c1, c2, c3):
    """Γ(shape) by rejection (Marsaglia and Tsang 2000), each attempt at its own address."""
    if shape <= 0:
        return 0.0
    boosted = shape if shape >= 1 else shape + 1.0
    center = boosted - 1 / 3
    width = 1 / math.sqrt(9 * center)
    for attempt in range(LAST_ATTEMPT + 1):
        w0, w1, w2, w3 = four_words(k0, k1, position, c1, c2, c3 + (U(attempt) << U(8)))
        z = math.sqrt(-2.0 * math.log(uniform(w0))) * math.cos(2.0 * math.pi * uniform(w1))
        v = (1 + width * z) ** 3
        if attempt == LAST_ATTEMPT:
            v = 1.0
        elif v <= 0 or math.log(uniform(w2)) >= z * z / 2 + center * (1 - v + math.log(v)):
            continue
        scale = 1.0 if shape >= 1 else math.exp(math.log(uniform(w3)) / shape)
        return center * v * scale
    return 0.0


@inlined
def row_of(thresholds, alias, first, bits, word, j, k0, k1, c1, c2, high):
    """The row of micro-batch j by its word and the alias table that begins at column `first`."""
    column = int(U(word) >> (HALF - bits))
    rest = (U(word) << bits) & FULL
    threshold = thresholds[first + column]
    known, limit = rest >> bits, threshold >> HALF >> bits
    if known < limit:
        return column
    if known == limit:
        words = four_words(k0, k1, U(j // 4), c1, c2, U(REFINEMENT) | high)
        if (rest << HALF) | (U(words[j % 4]) << bits) < threshold:
            return column
    return int(alias[first + column])


@inlined
def remove(x, v):
    """Subtract from x its component along the unit vector v."""
    dot = x.dtype.type(0)
    for i in range(x.size):
        dot += x[i] * v[i]
    for i in range(x.size):
        x[i] -= dot * v[i]


@inlined
def mixed(z, o, d, factor, a, spread):
    """Make z[o : o + d] factor·a + spread·z; the square of its norm."""
    square = z.dtype.type(0)
    for i in range(U(d)):
        x = factor * a[i] + spread * z[o + i]
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
def squared(z, o, d):
    """The square of the norm of z[o : o + d]."""
    square = z.dtype.type(0)
    for i in range(U(d)):
        square += z[o + i] * z[o + i]
    return square


@inlined
def accumulate(total, factor, z, o):
    """Add factor·z[o : o + d] to total [d]."""
    for i in range(U(total.size)):
        total[i] += factor * z[o + i]


@inlined
def clipped(size, n, rule, clip, smallest):
    """Replace squared norms [n] by the rule's factors; the smallest norm so far."""
    one, zero = size.dtype.type(1), size.dtype.type(0)
    for j in range(U(n)):
        norm = math.sqrt(size[j])
        if rule in (ADAPTIVE, NORMALIZED):
            smallest = norm if norm < smallest else smallest
            size[j] = one / norm if norm != 0 else zero
        elif rule == FIXED:
            size[j] = clip / norm if norm > clip else one
        else:
            size[j] = one
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


@compiled
def advance(w, sums, hit, last, first_replicate, begin, end, record, radius, step, key, plan):
    """Advance replicates w [R, d] by the steps begin … end - 1; see `sim.engines.mixture`.

    `plan` is a `Packed`. All that does not change from step to step is taken out of it first.
    """
    k0, k1 = key
    rule, clip, axes, phase, wave = plan.rule, plan.clip, plan.axes, plan.phase, plan.wave
    benign, backward, deviation = plan.benign, plan.backward, plan.deviation
    along, shape, stretch, clean = plan.along, plan.shape, plan.stretch, plan.clean
    threshold, alias, offset = plan.threshold, plan.alias, plan.first
    opposing = plan.opposing
    iteration_edges, gradient_edges = plan.iteration_edges, plan.gradient_edges
    replicates, d = w.shape
    real = w.dtype.type
    zero, one = real(0), real(1)
    stride = d if d <= 2 else (d + 3) // 4 * 4
    block = max(1, (BUFFER // 4 if d <= SMALL else BUFFER) // (4 * stride)) * 4
    z = np.empty(block * stride + NUMBERS, w.dtype)
    words = np.empty(plan.micro_batches.max() + NUMBERS, np.uint32)
    which, part = np.empty(block, np.uint64), np.empty((4 + axes.shape[0], block), w.dtype)
    size, y = np.empty(block, w.dtype), np.empty((d if d <= SMALL else 0, block), w.dtype)
    units = np.empty((1, d), w.dtype)
    unit = units[0]
    a, total = np.empty(d, w.dtype), np.empty(d, w.dtype)
    for r in range(replicates):
        replicate = U(first_replicate + r)
        for t in range(begin, end):
            if hit[r] >= 0:
                break
            for i in range(d):
                a[i] = w[r, i] - plan.centre[i]
            if plan.bend:
                remove(a, plan.flat)
            for i in range(d):
                a[i] *= plan.curvature[i]
            if plan.bend:
                remove(a, plan.flat)
            if wave[0] != 0:
                for i in range(d):
                    a[i] += wave[0] * wave[1] * math.sin(wave[1] * w[r, i])
            square = 0.0
            for i in range(d):
                square += float(a[i]) * float(a[i])
                total[i] = zero
            length = math.sqrt(square)
            if length <= radius:
                hit[r] = t
                break
            if record:
                for i in range(d):
                    sums[r, i] += a[i]
                sums[r, d] += square
            inverse = real(1 / length) if length > 0 else zero
            for i in range(d):
                unit[i] = inverse * a[i]

            early, low_norm = 0, 0
            while early < iteration_edges.size and iteration_edges[early] <= t:
                early += 1
            while low_norm < gradient_edges.size and gradient_edges[low_norm] <= length:
                low_norm += 1
            p = phase[early, low_norm]
            m, row0 = plan.micro_batches[p], plan.first_row[p]
            first, bits = plan.first_column[p], plan.bits[p]
            c1, high = U(t) & FULL, (U(t) >> HALF) << U(16)
            for i in range(0, m, NUMBERS):
                store_words(words, i, k0, k1, U(i // 4), c1, replicate, U(COMPOSITION) | high)

            smallest, unspoilt = real(np.inf), 0
            for j0 in range(0, m, block):
                n = min(block, m - j0)
                position = U(j0 * stride // 4)
                fill(z, n * stride, k0, k1, position, c1, replicate, U(NORMALS) | high)
                for j in range(n):
                    word, number = words[j0 + j], j0 + j
                    row = row0 + row_of(
                        threshold, alias, first, bits, word, number, k0, k1, c1, replicate, high
                    )
                    unspoilt += clean[row]
                    along_first = offset[row]
                    for g in range(shape.shape[1]):
                        position, kind = U(number * shape.shape[1] + g), U(GAMMA) | high
                        along_first += stretch[p, g] * gamma_variable(
                            shape[row, g], k0, k1, position, c1, replicate, kind
                        )
                    which[j], part[2, j] = row, along_first
                    if d <= SMALL:
                        part[0, j], part[1, j], part[3, j] = (
                            benign[row],
                            deviation[row],
                            -backward[row],
                        )
                        for q in range(axes.shape[0]):
                            part[4 + q, j] = along[row, q]
                if d <= SMALL:
                    across(y, z, n, stride, a, part)
                    if opposing:
                        shift(y, n, units, 0, part, 3)
                    for q in range(axes.shape[0]):
                        shift(y, n, axes, q, part, 4 + q)
                    squares(size, y, n, d)
                    smallest = clipped(size, n, rule, clip, smallest)
                    gather(total, size, y, n)
                    continue
                for j in range(n):
                    row, o = which[j], U(j * stride)
                    norm = mixed(z, o, d, benign[row], a, deviation[row])
                    if part[2, j] != 0:
                        z[o] += part[2, j]
                        norm = squared(z, o, d)
                    for q in range(axes.shape[0]):
                        if along[row, q] != 0:
                            norm = added(z, o, d, along[row, q], axes, q)
                    if backward[row] != 0:
                        norm = added(z, o, d, -backward[row], units, 0)
                    size[0] = norm
                    smallest = clipped(size, 1, rule, clip, smallest)
                    accumulate(total, size[0], z, o)

            scale, rho = real(1 / m), math.nan
            if rule == ADAPTIVE:
                scale, rho = scale * smallest, smallest
            elif rule == NORMALIZED:
                rho = 1.0
            elif rule == FIXED:
                rho = clip
            elif rule == GLOBAL:
                norm = zero
                for i in range(d):
                    norm += total[i] * scale * total[i] * scale
                norm, rho = math.sqrt(norm), clip
                scale = scale * (clip / norm if norm > clip else one)
            if not plan.average:
                scale = scale * real(m)
            if t == end - 1 or radius >= 0:  # a replicate that hits next has no later step
                dot, norm2 = 0.0, 0.0
                for i in range(d):
                    dot += float(total[i]) * float(a[i])
                    norm2 += float(total[i]) * float(total[i])
                last[r, 0], last[r, 1] = rho, unspoilt / m
                last[r, 2] = dot / math.sqrt(norm2 * square) if norm2 * square != 0 else 0.0
            scale = scale * step
            for i in range(d):
                w[r, i] -= scale * total[i]
