"""Compiled look-ups: which law holds, and the composition of each micro-batch."""

from typing import Any, NamedTuple

from sim.compiled.jit import inlined
from sim.engines.cpu.arrays import Block
from sim.random.draws import U64, counter, four_words
from sim.random.philox import REFINEMENT


class Table(NamedTuple):
    """Where a law's alias table and rows begin, and the bits for a column; uint64."""

    bits: Any
    first_column: Any
    first_row: Any


@inlined
def phase(phases, t, length):
    """The law that holds at iteration t and ‖∇f‖ = length."""
    early = 0
    low = 0
    while early < phases.iteration_edges.size and phases.iteration_edges[early] <= t:
        early += 1
    while low < phases.gradient_edges.size and phases.gradient_edges[low] <= length:
        low += 1
    return phases.law[early, low]


@inlined
def block_at(first, law, plan):
    """The block that begins with micro-batch `first`."""
    left = plan.laws.micro_batches[law] - first
    size = min(plan.layout.block, left)
    other = plan.laws.last[law] >= 0 and size == left
    return Block(first, size, size - 1 if other else size)


@inlined
def table(laws, law):
    """The place of a law's alias table."""
    return Table(laws.bits[law], U64(laws.first_column[law]), U64(laws.first_row[law]))


@inlined
def compositions(buffers, block, step, plan):
    """The rows of a block's micro-batches."""
    own = table(plan.laws, step.law)
    look_up(buffers.rows, block, own, plan.columns, buffers.words, step.address)
    if block.alike < block.size:
        last = Block(block.first + block.alike, 1, 0)
        other = table(plan.laws, plan.laws.last[step.law])
        rows = buffers.rows[block.alike :]
        look_up(rows, last, other, plan.columns, buffers.words, step.address)


@inlined
def look_up(rows, block, table, columns, words, address):
    """Fill `rows` with the rows of a block's micro-batches, by their words.

    words: those of all micro-batches of the step.
    """
    shift = U64(32) - table.bits
    known = (U64(1) << shift) - U64(1)
    for j in range(U64(block.size)):
        number = U64(block.first) + j
        word = U64(words[number])
        column = word >> shift
        place, rest = table.first_column + column, word & known
        other = U64(columns.alias[place])
        row = column if rest < columns.limit[place] else other
        if rest == columns.limit[place]:  # once in 2^(32 - bits) micro-batches
            more = four_words(
                address.key, counter(address, number // U64(4), U64(REFINEMENT))
            )
            low = U64(more[number % U64(4)]) << table.bits
            if (rest << (table.bits + U64(32))) | low < columns.threshold[place]:
                row = column
        rows[j] = row + table.first_row
