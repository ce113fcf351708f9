"""The fused kernel on the CPU: whole trajectories, one micro-batch after the other, nothing stored.

`advance` is `sim.engines.readable` with everything that NumPy would allocate kept in small buffers.
A step's normals are drawn once, block by block, for every rule: Algorithm 1 is the mean of unit
vectors, multiplied in the end with the smallest norm.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from sim.compiled.jit import compiled
from sim.engines.cpu.rows import (
    ADAPTIVE,
    BYTES,
    FIXED,
    GLOBAL,
    NORMALIZED,
    across,
    add_rows,
    added,
    clipped,
    combined,
    gather,
    remove,
    shift,
    squares,
)
from sim.engines.readable import VANISHING, VANISHING_DOUBLE
from sim.random.draws import FULL, HALF, U, fill, gamma_variable, look_up
from sim.random.normals import NUMBERS, store_words
from sim.random.philox import COMPOSITION, GAMMA, NORMALS


class Packed(NamedTuple):
    """A `Plan` as arrays, reals in the precision of the iterates unless said otherwise.

    The rows of all compositions stand in one array; composition p begins at first_column[p] of the
    alias tables and at first_row[p] of the rows.
    """

    rule: int
    clip: Any
    average: bool
    bend: bool  # whether there is a flat direction
    centre: Any  # [d]
    curvature: Any  # [d]
    flat: Any  # [d]
    wave: Any  # [2]
    axes: Any  # [axes, d]
    iteration_edges: Any
    gradient_edges: Any  # float64
    phase: Any
    micro_batches: Any  # [compositions], like the next four
    last: Any  # composition of the last micro-batch, -1 where it is no other
    bits: Any
    first_column: Any
    first_row: Any
    stretch: Any  # [compositions, gammas] float64
    limit: Any  # [columns], like the next two: the leading bits of threshold
    threshold: Any
    alias: Any
    benign: Any  # [rows], like all that follow
    backward: Any
    first: Any  # float64
    deviation: Any
    along: Any  # [rows, axes]
    shape: Any  # [rows, gammas] float64
    clean: Any


BUFFER = 4096  # normals at a time: 16 KiB
SMALL = 8  # up to this dimension loops run over micro-batches, above it over coordinates


@compiled
def advance(
    w, sums, hit, last, steps, stop, first_replicate, begin, end, record, radius, step, key, plan
):
    """Advance replicates w [R, d] by the steps begin … end - 1; see `sim.engines.cpu.engine`.

    `plan` is a `Packed`. All that does not change from step to step is taken out of it first.
    Nothing of a step is written before its random numbers are drawn, so that it may be given up.
    """
    k0, k1 = key
    rule, clip, axes, phase, wave = plan.rule, plan.clip, plan.axes, plan.phase, plan.wave
    benign, backward, deviation = plan.benign, plan.backward, plan.deviation
    along, shape, stretch, clean = plan.along, plan.shape, plan.stretch, plan.clean
    limit, threshold, alias, offset = plan.limit, plan.threshold, plan.alias, plan.first
    iteration_edges, gradient_edges = plan.iteration_edges, plan.gradient_edges
    replicates, d = w.shape
    real = w.dtype.type
    zero, one = real(0), real(1)
    stride = d if d <= 2 else (d + 3) // 4 * 4
    whole = d - d % (BYTES // w.itemsize)
    vanishing = VANISHING if w.itemsize == 4 else VANISHING_DOUBLE
    block = max(1, (BUFFER // 4 if d <= SMALL else BUFFER) // (4 * stride)) * 4
    z = np.empty(block * stride + NUMBERS, w.dtype)
    words = np.empty(plan.micro_batches.max() + NUMBERS, np.uint32)
    which, part = np.empty(block, np.uint64), np.empty((3 + axes.shape[0], block), w.dtype)
    size, y = np.empty(block, w.dtype), np.empty((d if d <= SMALL else 0, block), w.dtype)
    a, total = np.empty(d, w.dtype), np.empty(d, w.dtype)
    for r in range(replicates):
        replicate = U(first_replicate + r)
        for t in range(max(begin, steps[r]), end):
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
                square += np.float64(a[i]) * np.float64(a[i])
                total[i] = zero
            length = math.sqrt(square)
            if length <= radius:
                hit[r] = t
                break
            inverse = real(1 / length) if length > vanishing else zero

            early, low_norm = 0, 0
            while early < iteration_edges.size and iteration_edges[early] <= t:
                early += 1
            while low_norm < gradient_edges.size and gradient_edges[low_norm] <= length:
                low_norm += 1
            p = phase[early, low_norm]
            m, row0 = plan.micro_batches[p], plan.first_row[p]
            first, bits, smaller = plan.first_column[p], plan.bits[p], plan.last[p]
            c1, high = U(t) & FULL, (U(t) >> HALF) << U(16)
            for i in range(0, m, NUMBERS):
                store_words(words, i, k0, k1, U(i // 4), c1, replicate, U(COMPOSITION) | high)

            smallest, unspoilt = real(np.inf), 0
            for j0 in range(0, m, block):
                if stop[0]:
                    steps[r] = t
                    return
                n = min(block, m - j0)
                position = U(j0 * stride // 4)
                fill(z, n * stride, k0, k1, position, c1, replicate, U(NORMALS) | high)
                look_up(
                    which,
                    limit,
                    threshold,
                    alias,
                    first,
                    bits,
                    words,
                    j0,
                    n,
                    k0,
                    k1,
                    c1,
                    replicate,
                    high,
                )
                for j in range(U(n)):
                    which[j] += U(row0)
                alike = n
                if smaller >= 0 and j0 + n == m:
                    alike = n - 1
                    look_up(
                        which[alike:],
                        limit,
                        threshold,
                        alias,
                        plan.first_column[smaller],
                        plan.bits[smaller],
                        words,
                        m - 1,
                        1,
                        k0,
                        k1,
                        c1,
                        replicate,
                        high,
                    )
                    which[alike] += U(plan.first_row[smaller])
                for j in range(U(n)):
                    row = which[j]
                    unspoilt += clean[row]
                    part[2, j] = offset[row]
                for j in range(n if shape.shape[1] > 0 else 0):
                    extra, law = offset[which[j]], p if j < alike else smaller
                    for g in range(shape.shape[1]):
                        position, kind = U((j0 + j) * shape.shape[1] + g), U(GAMMA) | high
                        extra += stretch[law, g] * gamma_variable(
                            shape[which[j], g], k0, k1, position, c1, replicate, kind
                        )
                    part[2, j] = extra
                if d <= SMALL:
                    for j in range(U(n)):
                        row = which[j]
                        part[0, j] = benign[row] - inverse * backward[row]
                        part[1, j] = deviation[row]
                        for q in range(axes.shape[0]):
                            part[3 + q, j] = along[row, q]
                    across(y, z, n, stride, a, part)
                    for q in range(axes.shape[0]):
                        shift(y, n, axes, q, part, 3 + q)
                    squares(size, y, n, d)
                else:
                    for j in range(n):
                        row, o = which[j], j * stride
                        factor = benign[row] - inverse * backward[row]
                        push, extra = along[row, 0], part[2, j]
                        size[j] = combined(
                            z, o, d, whole, factor, a, deviation[row], push, axes, extra
                        )
                        for q in range(1, axes.shape[0]):
                            if along[row, q] != 0:
                                size[j] = added(z, U(o), d, along[row, q], axes, q)
                smallest = clipped(size, n, rule, clip, smallest)
                if d <= SMALL:
                    gather(total, size, y, n)
                else:
                    add_rows(total, whole, size, z, n, stride)

            if record:
                for i in range(d):
                    sums[r, i] += a[i]
                sums[r, d] += square
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
                    dot += np.float64(total[i]) * np.float64(a[i])
                    norm2 += np.float64(total[i]) * np.float64(total[i])
                last[r, 0], last[r, 1] = rho + 0 * dot, unspoilt / m  # not a number with the rest
                moved = norm2 * square != 0 and scale != 0
                last[r, 2] = dot / math.sqrt(norm2 * square) if moved else 0.0
            scale = scale * step
            for i in range(d):
                w[r, i] -= scale * total[i]
        steps[r] = max(end, steps[r])
