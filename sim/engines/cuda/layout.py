"""How the GPU's lanes and warps share the work of `sim.engines.cuda.launch`.

Two of these choices decide the order of summation, the lanes of a micro-batch and the
blocks of a step. They follow from the problem alone. The others, how many warps work
for a replicate and how many replicates stand in a block of threads, may follow the
machine.
"""

from dataclasses import dataclass

WARP = 32
# Into so many blocks a step's micro-batches are cut at most: as many warps for a
# replicate.
MOST_BLOCKS = 16
COMBINED = 32 * 1024  # bytes of shared memory for the sums of those blocks
# Instructions of a lane in the hot loop, in float32: per counter of four normals, and
# besides.
PER_COUNTER = 155
PER_MICRO_BATCH = 35
FEW_WARPS = 1.25  # the price of so many registers that only few warps are resident


@dataclass(frozen=True)
class Shape:
    """How the work is laid out: see the head of `micro_batch.cu`."""

    lanes: int
    counters: int
    team: int
    warps: int = 1

    def unit(self) -> int:
        """Micro-batches that a team takes at a time, times four."""
        return 4 * self.team // self.lanes


def shape(dimension: int, micro_batches: int, size: int) -> Shape:
    """The layout for the largest number of micro-batches and reals of `size` bytes.

    It decides the order of summation, so the number of replicates has no say in it.
    """
    counters = max(1, -(-dimension // 4))
    comfortable = 2 if size == 4 else 1

    def price(lanes: int) -> float:
        held = -(-counters // lanes)
        return (
            lanes
            * (PER_COUNTER * held + PER_MICRO_BATCH)
            * (1 if held <= comfortable else FEW_WARPS)
        )

    allowed = [n for n in (1, 2, 4, 8, 16, 32) if counters <= 2 * comfortable * n] or [
        WARP
    ]
    lanes = min(allowed, key=price)
    wanted = -(-micro_batches // 4) if lanes == 1 else lanes * micro_batches
    team = min(WARP, max(lanes, 1 << (wanted - 1).bit_length()))
    return Shape(lanes, -(-counters // lanes), team)


def coordinates(dimension: int, form: Shape) -> int:
    """Coordinates of one lane."""
    return dimension if dimension <= 2 else 4 * form.counters


def blocks(
    micro_batches: int, dimension: int, size: int, form: Shape
) -> tuple[int, int]:
    """Length and number of the blocks into which a step's micro-batches are cut.

    Every block but the last fills the team's lanes at least once.
    """
    sums = 2 * WARP * coordinates(dimension, form) * size
    most = max(1, min(MOST_BLOCKS, COMBINED // sums, micro_batches // form.unit()))
    length = form.unit() * -(-micro_batches // (form.unit() * most))
    return length, -(-micro_batches // length)


def warps(replicates: int, most_blocks: int, resident: int, processors: int) -> int:
    """Warps for each replicate: a power of two, to fill the device with few of them."""
    wanted = max(1, min(most_blocks, processors * resident // replicates))
    return 1 << (wanted.bit_length() - 1)
