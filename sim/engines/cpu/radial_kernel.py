"""The compiled kernel in coordinates and radii: see `sim.engines.readable_radial`.

It has the stages of its readable form in the same order, block by block of
micro-batches. All loops over micro-batches run over planes, in which they stand side by
side. Whole steps are walked through as in `sim.engines.cpu.kernel`.
"""

import math

import numpy as np

from sim.compiled.jit import compiled, inlined, uncounted
from sim.engines.cpu.arrays import (
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
)
from sim.engines.cpu.kernel import finish, gradient, inverted
from sim.engines.cpu.radial_arrays import RadialBuffers, Radii
from sim.engines.cpu.radial_passes import halve, least, padded
from sim.engines.cpu.radial_rows import (
    chi_squares,
    combine,
    lengths,
    merge,
    pad,
    shift,
    square_of,
    weighted,
)
from sim.engines.cpu.rows import weight_of
from sim.engines.cpu.tables import block_at, compositions, phase
from sim.random.draws import U64, counter, fill, gamma_variable, step_address
from sim.random.normals import ROOM, numbers, store_words
from sim.random.philox import COMPOSITION, GAMMA, NORMALS


@compiled
def advance(replicates, piece, course, plan, radii):
    """Do a piece of work, in place: see `sim.engines.state`.

    The arguments are a `Replicates`, a `Piece`, a `PackedCourse`, a `Packed` and a
    `Radii` without their names: see `sim.engines.cpu.arrays.plain`.
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
    given = Radii(*radii)
    buffers = allocated(named, given)
    walk(
        Replicates(*replicates),
        Piece(*piece),
        PackedCourse(*course),
        named,
        given,
        buffers,
    )


@inlined
def rounded(count):
    """The next multiple of 4."""
    return (count + 3) // 4 * 4


@inlined
def allocated(plan, radii):
    """The buffers for a plan."""
    real, d, block = plan.axes.dtype, plan.axes.shape[1], plan.layout.block
    most = rounded(plan.laws.micro_batches.max())
    words = np.empty(most + radii.root.size * most // 4 + ROOM, np.uint32)
    return RadialBuffers(
        np.empty(d, real),
        np.empty(d, real),
        np.empty(radii.root.size, real),
        words,
        words.view(np.uint8),
        np.empty(block, np.uint64),
        np.empty(block * (d + 2 * radii.root.size) + ROOM, real),
        np.empty((radii.root.size, block), real),
        np.empty((radii.root.size, block), real),
        np.empty(block, real),
        np.empty(block, real),
        np.empty(block, real),
        np.empty((plan.axes.shape[0], block), real),
        np.empty(block, real),
        np.empty(block, real),
    )


@uncounted
def walk(replicates, piece, course, plan, radii, buffers):
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
                place(buffers, block, step, plan)
                measure(buffers, block, step, radii)
                smallest = clip(buffers, block, smallest, plan, radii)
            rest = w.dtype.type(0)
            for k in range(buffers.across.size):
                rest += buffers.across[k]
            outcome = Outcome(smallest, clean, rest)
            scale = finish(replicates, buffers, step, outcome, plan)
            move(w, r, buffers, scale * course.size)
        steps[r] = max(piece.end, steps[r])


@inlined
def begin(buffers, step):
    """Draw the words for the compositions and the bytes, and begin the sums."""
    address, most = step.address, rounded(step.micro_batches)
    for i in range(0, most + buffers.across.size * most // 4, numbers()):
        at = counter(address, U64(i // 4), U64(COMPOSITION))
        store_words(buffers.words, i, address.key, at)
    for i in range(buffers.total.size):
        buffers.total[i] = 0
    for k in range(buffers.across.size):
        buffers.across[k] = 0


@inlined
def draw(buffers, block, step, plan):
    """Draw the block's normals and rows, list their terms; count the clean ones."""
    planes = buffers.total.size + 2 * buffers.across.size
    position = U64(block.first * planes // 4)
    fill(buffers.z, planes * rounded(block.size), step.address, position, U64(NORMALS))
    compositions(buffers, block, step, plan)
    rows = plan.rows
    clean = 0
    for j in range(U64(block.size)):
        row = buffers.rows[j]
        clean += rows.clean[row]
        buffers.benign[j] = rows.benign[row] - step.inverse * rows.backward[row]
        buffers.deviation[j] = rows.deviation[row]
        buffers.first[j] = rows.first[row]
        for q in range(U64(rows.along.shape[1])):
            buffers.along[q, j] = rows.along[row, q]
    if rows.shape.shape[1] > 0:
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
        buffers.first[j] = total


@inlined
def place(buffers, block, step, plan):
    """Make the planes of the coordinates gradients; the squares of their norms."""
    n, wide, axes = block.size, rounded(block.size), plan.axes
    for i in range(U64(axes.shape[1])):
        plane = i * U64(wide)
        combine(buffers, plane, n, buffers.gradient[i])
        if i == 0:
            shift(buffers.z, plane, n, buffers.first, axes.dtype.type(1))
        for q in range(axes.shape[0]):
            if axes[q, i] != 0:
                shift(buffers.z, plane, n, buffers.along[q], axes[q, i])
        square_of(buffers.weight, buffers.z, plane, n, i == 0)


@inlined
def measure(buffers, block, step, radii):
    """Draw the radii's cosines and ρ²/(N - 1), which add to the norms."""
    d, count = buffers.total.size, radii.root.size
    wide, most = rounded(block.size), rounded(step.micro_batches)
    for k in range(count):
        normals = U64((d + count + k) * wide)
        byte = U64((4 + k) * most + block.first)
        chi_squares(buffers, (k, normals, byte), block, step, radii)
        lengths(buffers, U64((d + k) * wide), block.size, radii, k)


@inlined
def clip(buffers, block, smallest, plan, radii):
    """Add the block's gradients up, weighted by the rule; the smallest norm so far."""
    weight, square, n = buffers.weight, buffers.square, block.size
    count = padded(weight, n)
    pad(weight, n, count, weight.dtype.type(np.inf))
    norm = math.sqrt(least(weight, count))
    smallest = norm if norm < smallest else smallest
    for j in range(U64(n)):
        weight[j] = weight_of(math.sqrt(weight[j]), plan.rule, plan.clip)
    for i in range(buffers.total.size):
        plane = U64(i * rounded(n))
        buffers.total[i] += weighted(weight, buffers.z, plane, n)
    for k in range(radii.root.size):
        for j in range(U64(n)):
            size = weight[j] * buffers.deviation[j] * radii.root[k]
            square[j] = size * size * buffers.part[k, j]
        pad(square, n, count, weight.dtype.type(0))
        pad(buffers.cosine[k], n, count, weight.dtype.type(0))
        whole = halve(square, buffers.cosine[k], count)
        buffers.across[k] = merge(buffers.across[k], whole, buffers.cosine[k, 0])
    return smallest


@inlined
def move(w, r, buffers, size):
    """Take the step: `size` is the factor of the weighted sum."""
    explicit = buffers.total.size - buffers.across.size
    for i in range(explicit):
        w[r, i] -= size * buffers.total[i]
    for k in range(buffers.across.size):
        along = w[r, explicit + k] - size * buffers.total[explicit + k]
        square = along * along + size * size * buffers.across[k]
        w[r, explicit + k] = math.sqrt(square)
