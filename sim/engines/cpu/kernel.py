"""The compiled kernel: whole trajectories, micro-batch by micro-batch, nothing stored.

It has the stages of `sim.engines.readable` in the same order (`place` in a form for
small and one for large dimensions; `begin`, `factor` and `report` are its own), with
everything that NumPy would allocate kept in small buffers. A step's
normals are drawn once, block by block, for every rule: Algorithm 1 is the mean of unit
vectors, multiplied in the end with the smallest norm.
"""

import math

import numpy as np

from sim.compiled.jit import compiled, inlined, uncounted
from sim.engines.cpu.arrays import (
    ALONG,
    BENIGN,
    DEVIATION,
    FIRST,
    SMALL,
    Buffers,
    Columns,
    Laws,
    Layout,
    Loss,
    Outcome,
    Packed,
    PackedCourse,
    Phases,
    Piece,
    Replicates,
    Rows,
    Step,
    Terms,
)
from sim.engines.cpu.optimizers import optimized
from sim.engines.cpu.rows import (
    ADAPTIVE,
    FIXED,
    GLOBAL,
    NORMALIZED,
    across,
    add_rows,
    added,
    combined,
    gather,
    remove,
    shift,
    squares,
    weight_of,
)
from sim.engines.cpu.tables import block_at, compositions, phase
from sim.engines.readable import VANISHING, VANISHING_DOUBLE
from sim.random.draws import U64, counter, fill, gamma_variable, step_address
from sim.random.normals import ROOM, numbers, store_words
from sim.random.philox import COMPOSITION, GAMMA, NORMALS


@compiled
def advance(replicates, piece, course, plan):
    """Do a piece of work, in place: see `sim.engines.state`.

    The arguments are a `Replicates`, a `Piece`, a `PackedCourse` and a `Packed` without
    their names: see `plain`.
    """
    rule, clip, average, axes, layout, loss, phases, laws, columns, rows = plan
    named = Packed(
        rule,
        clip,
        average,
        axes,
        Layout(*layout),
        Loss(*loss),
        Phases(*phases),
        Laws(*laws),
        Columns(*columns),
        Rows(*rows),
    )
    buffers = allocated(named)
    walk(Replicates(*replicates), Piece(*piece), PackedCourse(*course), named, buffers)


@inlined
def allocated(plan):
    """The buffers for a plan."""
    real, d, block = plan.axes.dtype, plan.axes.shape[1], plan.layout.block
    return Buffers(
        np.empty(d, real),
        np.empty(d, real),
        np.empty(plan.laws.micro_batches.max() + ROOM, np.uint32),
        np.empty(block, np.uint64),
        np.empty(block * plan.layout.stride + ROOM, real),
        np.empty((d if d <= SMALL else 0, block), real),
        np.empty((4, block), real),
        np.empty(block, real),
    )


@uncounted
def walk(replicates, piece, course, plan, buffers):
    """The piece, replicate by replicate and step by step.

    Nothing of a step is written before its random numbers are drawn, so that it may be
    given up.
    """
    w, hit, steps = replicates.w, replicates.hit, replicates.steps
    for r in range(w.shape[0]):
        for t in range(max(piece.begin, steps[r]), piece.end):
            if hit[r] >= 0:
                break
            square = gradient(buffers, w, r, plan.loss)
            length = math.sqrt(square)
            if length <= course.radius:
                hit[r] = t
                break
            law = phase(plan.phases, t, length)
            step = Step(
                r,
                law,
                plan.laws.micro_batches[law],
                step_address(course.key, U64(piece.first + r), U64(t)),
                square,
                inverted(length, w),
                piece.record,
                # A replicate that hits next has no later step.
                t == piece.end - 1 or course.radius >= 0,
            )
            begin(buffers, step)
            smallest = w.dtype.type(np.inf)
            clean = 0
            for first in range(0, step.micro_batches, plan.layout.block):
                if course.stop[0]:
                    steps[r] = t
                    return
                block = block_at(first, law, plan)
                clean += draw(buffers, block, step, plan)
                if w.shape[1] <= SMALL:
                    place_small(buffers, block, step, plan)
                else:
                    place_large(buffers, block, step, plan)
                smallest = clip(buffers, block, smallest, plan)
            scale = finish(replicates, buffers, step, Outcome(smallest, clean), plan)
            scale = optimized(replicates.moments[r], buffers.total, scale, t, course)
            scale = scale * course.size
            for i in range(w.shape[1]):
                w[r, i] -= scale * buffers.total[i]
        steps[r] = max(piece.end, steps[r])


@inlined
def gradient(buffers, w, r, loss):
    """Put ∇f at w[r] into the buffer; ‖∇f‖² in float64."""
    a, wave = buffers.gradient, loss.wave
    for i in range(a.size):
        a[i] = w[r, i] - loss.centre[i]
    if loss.bend:
        remove(a, loss.flat)
    for i in range(a.size):
        a[i] *= loss.curvature[i]
    if loss.bend:
        remove(a, loss.flat)
    if wave[0] != 0:
        for i in range(a.size):
            a[i] += wave[0] * wave[1] * math.sin(wave[1] * w[r, i])
    square = 0.0
    for i in range(a.size):
        square += np.float64(a[i]) * np.float64(a[i])
    return square


@inlined
def inverted(length, w):
    """1/‖∇f‖ in the precision of w, 0 where the gradient has no direction."""
    vanishing = VANISHING if w.itemsize == 4 else VANISHING_DOUBLE
    return w.dtype.type(1 / length) if length > vanishing else w.dtype.type(0)


@inlined
def begin(buffers, step):
    """Draw the words for the compositions, and begin the sum."""
    address = step.address
    for i in range(0, step.micro_batches, numbers()):
        at = counter(address, U64(i // 4), U64(COMPOSITION))
        store_words(buffers.words, i, address.key, at)
    for i in range(buffers.total.size):
        buffers.total[i] = 0


@inlined
def draw(buffers, block, step, plan):
    """Draw the block's normals, rows, terms along e₁; count its clean micro-batches."""
    stride = plan.layout.stride
    position = U64(block.first * stride // 4)
    fill(buffers.z, block.size * stride, step.address, position, U64(NORMALS))
    compositions(buffers, block, step, plan)
    clean = 0
    for j in range(U64(block.size)):
        row = buffers.rows[j]
        clean += plan.rows.clean[row]
        buffers.terms[FIRST, j] = plan.rows.first[row]
    if plan.rows.shape.shape[1] > 0:
        add_gammas(buffers, block, step, plan)
    return clean


@inlined
def add_gammas(buffers, block, step, plan):
    """Draw the gamma variables, which add to the terms along e₁."""
    shape, stretch = plan.rows.shape, plan.laws.stretch
    for j in range(block.size):
        row = buffers.rows[j]
        total = plan.rows.first[row]
        law = step.law if j < block.alike else plan.laws.last[step.law]
        for g in range(shape.shape[1]):
            position = U64((block.first + j) * shape.shape[1] + g)
            variable = gamma_variable(shape[row, g], step.address, position, U64(GAMMA))
            total += stretch[law, g] * variable
        buffers.terms[FIRST, j] = total


@inlined
def place_small(buffers, block, step, plan):
    """Put the block's gradients side by side into y, and the squares of their norms."""
    terms, y, n = buffers.terms, buffers.y, block.size
    for j in range(U64(n)):
        row = buffers.rows[j]
        terms[BENIGN, j] = (
            plan.rows.benign[row] - step.inverse * plan.rows.backward[row]
        )
        terms[DEVIATION, j] = plan.rows.deviation[row]
    across(y, buffers.z, n, plan.layout.stride, buffers.gradient, terms)
    for q in range(plan.axes.shape[0]):
        for j in range(U64(n)):
            terms[ALONG, j] = plan.rows.along[buffers.rows[j], q]
        shift(y, n, plan.axes, q, terms)
    squares(buffers.weight, y, n)


@inlined
def place_large(buffers, block, step, plan):
    """Put the block's gradients where their normals are, and their squared norms."""
    z, axes, along = buffers.z, plan.axes, plan.rows.along
    for j in range(block.size):
        row, origin = buffers.rows[j], j * plan.layout.stride
        benign = plan.rows.benign[row] - step.inverse * plan.rows.backward[row]
        deviation, first = plan.rows.deviation[row], buffers.terms[FIRST, j]
        terms = Terms(benign, deviation, first, along[row, 0])
        square = combined(z, origin, plan.layout.whole, buffers.gradient, axes, terms)
        for q in range(1, axes.shape[0]):
            if along[row, q] != 0:
                square = added(z, U64(origin), along[row, q], axes, q)
        buffers.weight[j] = square


@inlined
def clip(buffers, block, smallest, plan):
    """Add the block's gradients up, weighted by the rule; the smallest norm so far."""
    weight = buffers.weight
    for j in range(U64(block.size)):
        norm = math.sqrt(weight[j])
        smallest = norm if norm < smallest else smallest
        weight[j] = weight_of(norm, plan.rule, plan.clip)
    if buffers.total.size <= SMALL:
        gather(buffers.total, weight, buffers.y, block.size)
    else:
        add_rows(buffers.total, weight, buffers.z, block.size, plan.layout)
    return smallest


@inlined
def finish(replicates, buffers, step, outcome, plan):
    """Write what is asked about the step; return the factor of its gradients' sum."""
    if step.record:
        sums, r = replicates.sums, step.replicate
        for i in range(buffers.gradient.size):
            sums[r, i] += buffers.gradient[i]
        sums[r, buffers.gradient.size] += step.square
        sums[r, buffers.gradient.size + 1] += math.sqrt(step.square)
    scale, rho = factor(buffers.total, step.micro_batches, outcome.smallest, plan)
    if step.report:
        last = replicates.last[step.replicate]
        report(last, buffers, step, outcome, (scale, rho))
    return scale


@inlined
def factor(total, m, smallest, plan):
    """The factor of the sum of m weighted gradients, and the clipping norm."""
    scale, rho = total.dtype.type(1 / m), math.nan
    if plan.rule == ADAPTIVE:
        scale, rho = scale * smallest, smallest
    elif plan.rule == NORMALIZED:
        rho = 1.0
    elif plan.rule == FIXED:
        rho = plan.clip
    elif plan.rule == GLOBAL:
        norm = total.dtype.type(0)
        for i in range(total.size):
            norm += total[i] * scale * total[i] * scale
        norm, rho = math.sqrt(norm), plan.clip
        scale = scale * (plan.clip / norm if norm > plan.clip else total.dtype.type(1))
    if not plan.average:
        scale = scale * total.dtype.type(m)
    return scale, rho


@inlined
def report(last, buffers, step, outcome, factor):
    """Write clipping norm, fraction of clean micro-batches and cosine to last [3]."""
    a, total = buffers.gradient, buffers.total
    scale, rho = factor
    dot = 0.0
    square = 0.0
    for i in range(a.size):
        dot += np.float64(total[i]) * np.float64(a[i])
        square += np.float64(total[i]) * np.float64(total[i])
    last[0] = rho + 0 * dot  # NaN if any part of the step is
    last[1] = outcome.clean / step.micro_batches
    moved = square * step.square != 0 and scale != 0
    last[2] = dot / math.sqrt(square * step.square) if moved else 0.0
