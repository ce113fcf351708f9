"""What fused engines execute: micro-batch laws as alias tables, and when each applies.

A micro-batch's mean depends on its samples through its composition (how many draggers,
how many samples of each domain, how many rare ones), at most a few gamma variables, and
one Gaussian vector:

    g = benign·a - backward·a/‖a‖ + Σ_p along_p·axis_p
        + (first + Σ_i stretch_i·X_i)·e₁ + deviation·z

with a = ∇f(w), X_i ~ Γ(shape_i) and z ~ N(0, I). Compositions are numbered by rows, and
drawn from an alias table (Walker 1977, Vose 1991) in 64-bit fixed point. Its 2ᵏ columns
are chosen by the first k bits of one random word; the other bits decide between the
column's own row and its alias, and only when they agree with the leading bits of the
threshold is a second word needed.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK = 64  # micro-batches of a radial plan whose numbers stand together


@dataclass(frozen=True)
class Composition:
    """The law of one micro-batch's composition: alias table and its rows' parameters.

    Column c stands for itself if u < threshold[c] (u uniform in 0 … 2⁶⁴ - 1), else for
    row alias[c]; a column that has no alias is its own. `clean` says which rows have no
    dragger. `micro_batches` is how many a step has. The last of them follows the law
    `last`, where it has fewer samples than the others.
    """

    micro_batches: int
    bits: int
    threshold: NDArray[np.uint64]  # [2^bits]
    alias: NDArray[np.uint32]  # [2^bits]
    benign: Array  # [rows]
    backward: Array  # [rows]
    first: Array  # [rows]
    deviation: Array  # [rows]
    along: Array  # [rows, axes]
    shape: Array  # [rows, gammas]; 0 where the gamma variable is absent
    stretch: Array  # [gammas]
    clean: NDArray[np.bool_]  # [rows]
    last: "Composition | None" = None


def alias_table(
    weight: Array,
) -> tuple[int, NDArray[np.uint64], NDArray[np.uint32]]:
    """Bits, thresholds and aliases for rows of the given weights [rows], of sum 1.

    Chances differ from weights by the rounding of floating point alone: a test adds up
    the columns.
    """
    bits = max(0, (weight.size - 1).bit_length())
    columns = 2**bits
    unit = 2**64
    # Exact integers: every column holds 2⁶⁴ parts, the rows' parts sum to columns·2⁶⁴.
    parts = [int(w * 2.0 ** (64 + bits)) for w in weight / weight.sum()]
    parts[int(np.argmax(weight))] += columns * unit - sum(parts)
    left = parts + [0] * (columns - len(parts))
    threshold, alias = [0] * columns, list(range(columns))
    small = [c for c in range(columns) if left[c] < unit]
    large = [c for c in range(columns) if left[c] >= unit]
    while small:
        c, giver = small.pop(), large[-1]
        threshold[c], alias[c] = left[c], giver
        left[giver] -= unit - left[c]
        if left[giver] < unit:
            small.append(large.pop())
    return bits, np.array(threshold, np.uint64), np.array(alias, np.uint32)


class Space(NamedTuple):
    """The loss and the axes of a `Plan`, in some coordinates."""

    centre: Array  # [d]
    curvature: Array  # [d]
    flat: Array  # [d]
    wave: tuple[float, float]
    axes: Array  # [axes, d]


@dataclass(frozen=True)
class Plan:
    """One trajectory's problem and rule, as arrays.

    With x = w - centre the gradient is curvature∘x, or P(curvature∘Px) with P = I - vvᵀ
    for a `flat` direction v (zeros: none), plus for `wave` = (A, k) the term
    A·k·sin(k·w_i) in each coordinate i. At iteration t and ‖∇f‖ = G the law of a
    micro-batch is compositions[phase[i, j]], i the number of iteration edges <= t and j
    the number of gradient edges <= G.
    """

    dimension: int
    rule: int  # Rule.number
    clip: float  # threshold of the rules that have one, else 0
    average: bool  # False: micro-batches are summed
    centre: Array  # [d]
    curvature: Array  # [d]
    flat: Array  # [d]
    wave: tuple[float, float]
    axes: Array  # [axes, d]
    compositions: tuple[Composition, ...]
    iteration_edges: NDArray[np.int64]  # [p], increasing
    gradient_edges: Array  # [q], increasing
    phase: NDArray[np.int64]  # [p + 1, q + 1]

    @property
    def laws(self) -> tuple[Composition, ...]:
        """Compositions, then those of their last micro-batches where different."""
        return (
            *self.compositions,
            *(law.last for law in self.compositions if law.last),
        )

    @property
    def last_laws(self) -> NDArray[np.int64]:
        """The place among the laws of each last micro-batch, -1 if it is the same."""
        smaller = np.array([law.last is not None for law in self.laws])
        return np.where(smaller, len(self.compositions) + np.cumsum(smaller) - 1, -1)

    @property
    def stride(self) -> int:
        """Distance between the normals of successive micro-batches: see `stride`."""
        return stride(self.dimension)


@dataclass(frozen=True)
class RadialPlan:
    """A plan in the coordinates of `sim.reduction.radial`: explicit ones, then radii.

    The last coordinates of `reduced` are the radii; orthogonal [radii] are the
    dimensions of each radius's block in which there is noise alone.

    A step's normals stand in planes, in each of them one a micro-batch: a plane for
    each coordinate, then one for the z₂ of each radius, then one for the normal of each
    radius from which its χ² is made. Micro-batches are numbered in blocks of BLOCK; the
    last block has as many as are left, its `width` rounded up to a multiple of 4. Block
    k begins at number BLOCK·planes·k, its plane p at p·width from there.
    """

    reduced: Plan
    orthogonal: Array

    @property
    def radii(self) -> int:
        """How many there are."""
        return self.orthogonal.size

    @property
    def explicit(self) -> int:
        """How many coordinates are no radii."""
        return self.reduced.dimension - self.radii

    @property
    def planes(self) -> int:
        """How many planes of normals there are."""
        return self.reduced.dimension + 2 * self.radii


def width(micro_batches: int, first: int) -> int:
    """The width of the planes of the block that begins with micro-batch `first`."""
    return min(BLOCK, -(-(micro_batches - first) // 4) * 4)


def stride(dimension: int) -> int:
    """The dimension if 1, 2 or 4, else the next multiple of 4.

    No counter straddles two rows.
    """
    return dimension if dimension in (1, 2) else -(-dimension // 4) * 4
