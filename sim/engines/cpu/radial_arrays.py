"""What the radial kernel works on besides `sim.engines.cpu.arrays`."""

from typing import Any, NamedTuple

import numpy as np

from sim.engines.cpu.arrays import Layout, Packed, packed
from sim.reduction.plan import BLOCK, RadialPlan


class Radii(NamedTuple):
    """What a plan says of each radius [radii]; reals unless said otherwise.

    A χ² is made from a normal z as twice·(1 + narrow·z)³. It is certainly taken where
    |narrow·z| <= 1/2 and doubt·(narrow·z)⁴ is at most the byte: with t =
    narrow·z and c the centre, the logarithm of the acceptance probability is 3c(ln(1 +
    t) - t + t²/2 - t³/3) >= -(3/4)c·t⁴/(1 - |t|).
    """

    orthogonal: Any  # N - 1
    root: Any  # √(N - 1)
    centre: Any  # of the gamma variable, float64
    narrow: Any  # 1/√(9·centre)
    twice: Any  # 2·centre
    doubt: Any  # 256·3·centre/2, for bytes


class RadialBuffers(NamedTuple):
    """A thread's workspace, with the gradients of one block of micro-batches."""

    gradient: Any  # ∇f [d]
    total: Any  # sum of the clipped gradients [d]
    across: Any  # P² of each radius [radii]
    words: Any  # for the compositions of all micro-batches, then those of `bytes`
    bytes: Any  # the same memory: the leading bytes of the χ²'s uniform numbers
    rows: Any  # the micro-batches' rows [block]
    # planes of their normals, one after the other: see `RadialPlan`. Those of the
    # coordinates become gradients
    z: Any
    part: Any  # ρ²/(N - 1) [radii, block]
    cosine: Any  # [radii, block], padded with zeros
    benign: Any  # terms of their gradients [block]
    deviation: Any
    first: Any
    along: Any  # [axes, block]
    # squares of their norms, then what the rule multiplies them with [block]
    weight: Any
    square: Any  # χ², then squares of what is added up [block]


def packed_radii(plan: RadialPlan, precision: str) -> tuple[Packed, Radii]:
    """The plan for iterates of that precision."""
    real = np.dtype(precision)
    centre = (plan.orthogonal - 1) / 2 - 1 / 3
    radii = Radii(
        orthogonal=plan.orthogonal.astype(real),
        root=np.sqrt(plan.orthogonal).astype(real),
        centre=centre,
        narrow=(1 / np.sqrt(9 * centre)).astype(real),
        twice=(2 * centre).astype(real),
        doubt=(384 * centre).astype(real),
    )
    inner = packed(plan.reduced, precision)
    return inner._replace(layout=Layout(stride=1, whole=0, block=BLOCK)), radii
